"""Risk and coverage: by hand, at the optimum, at chance, by the identity with AUROC, and whether intervals hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from explorer.analysis.jackknife import groups_of
from explorer.analysis.risk_coverage import (
    areas,
    fewer_patients,
    jackknife_interval,
    kept_films,
    random_areas,
    selective_risk,
)

SEEDS = 200


def of_all(loss: list[float], confidence: list[float]) -> np.ndarray:
    return areas(np.array(loss), np.array(confidence), np.ones((len(loss), 1), np.float32))[0]


def test_areas_by_hand() -> None:
    # selective risks 0, 1/2, 1/3, 2/4; kept errors of all films 0, 1/4, 1/4, 2/4 from a coverage of 0 on
    assert of_all([0, 1, 0, 1], [4, 3, 2, 1]) == pytest.approx(
        [(0 + 1 / 2 + 1 / 3 + 1 / 2) / 4, (0 + 1 / 8 + 1 / 4 + 3 / 8) / 4]
    )
    assert of_all([0, 1], [2, 1]) == pytest.approx([1 / 4, 1 / 8])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=6))
def test_equal_confidence_is_the_mean_over_orders(films: list[tuple[bool, int]]) -> None:
    loss, confidence = (np.array(column, float) for column in zip(*films, strict=True))
    n = len(loss)
    orders = [order for order in itertools.permutations(range(n)) if (np.diff(confidence[list(order)]) <= 0).all()]
    aurc = np.mean([(np.cumsum(loss[list(order)]) / np.arange(1, n + 1)).mean() for order in orders])
    assert of_all(loss.tolist(), confidence.tolist())[0] == pytest.approx(aurc)


def test_a_perfect_confidence_reaches_the_optimum_and_none_is_chance() -> None:
    loss = np.array([1.0] * 30 + [0.0] * 70)
    risk, once = 0.3, np.ones((100, 1), np.float32)
    assert areas(loss, 1 - loss, once)[0, 1] == pytest.approx(risk**2 / 2)
    assert areas(loss, np.zeros(100), once)[0] == pytest.approx([risk, risk / 2])
    assert random_areas(loss, once)[0] == pytest.approx([risk, risk / 2])
    rng = np.random.default_rng(0)
    shuffled = np.array([areas(loss, rng.random(100), once)[0] for _ in range(400)])
    assert shuffled.mean(axis=0) == pytest.approx([risk, risk / 2], abs=0.01)


def test_augrc_is_traubs_identity_with_auroc() -> None:
    rng = np.random.default_rng(0)
    loss, confidence = (rng.random(300) < 0.2).astype(float), rng.integers(0, 40, 300).astype(float)
    accuracy = 1 - loss.mean()
    auroc = roc_auc_score(1 - loss, confidence)
    expected = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert of_all(loss.tolist(), confidence.tolist())[1] == pytest.approx(expected)


def test_weights_are_films_left_out_or_counted_twice() -> None:
    rng = np.random.default_rng(1)
    loss, confidence = (rng.random(40) < 0.3).astype(float), rng.integers(0, 12, 40).astype(float)
    weights = rng.integers(0, 3, (40, 5)).astype(np.float32)
    weights[:, 4] = 0
    together = areas(loss, confidence, weights)
    for b in range(4):
        rows = np.repeat(np.arange(40), weights[:, b].astype(int))
        assert together[b] == pytest.approx(of_all(loss[rows].tolist(), confidence[rows].tolist()))
    assert np.isnan(together[4]).all()


def test_selective_risk_ends_at_the_risk_and_keeps_the_sure() -> None:
    loss, confidence = np.array([0.0, 1, 0, 1]), np.array([4.0, 3, 2, 1])
    risks = selective_risk(loss, confidence, np.ones((4, 1), np.float32), np.array([0.25, 0.5, 0.75, 1]))[0]
    assert risks == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert kept_films(confidence, 0.5).tolist() == [True, True, False, False]
    assert kept_films(np.zeros(4), 0.5).sum() == 2


def test_paired_intervals_hold_the_difference() -> None:
    """Two confidences of one set, the truth from a large set; patients have two films that are alike."""

    def one_set(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        hard = np.repeat(rng.normal(size=patients), 2)
        loss = (hard + rng.normal(size=2 * patients) > 1.2).astype(float)
        noise = rng.normal(size=(2, 2 * patients))
        return loss, -hard - 0.5 * noise[0], -hard - 2 * noise[1]

    loss, better, worse = one_set(np.random.default_rng(0), 200_000)
    once = np.ones((len(loss), 1), np.float32)
    truth = (areas(loss, better, once) - areas(loss, worse, once))[0]
    held = np.zeros(2)
    for seed in range(SEEDS):
        loss, better, worse = one_set(np.random.default_rng(seed + 1), 100)
        patients = np.repeat(np.arange(100), 2)
        without, once = groups_of(patients), np.ones((200, 1), np.float32)
        value = (areas(loss, better, once) - areas(loss, worse, once))[0]
        low, high = jackknife_interval(
            value, areas(loss, better, without) - areas(loss, worse, without), fewer_patients(loss, patients)
        )
        held += (low < truth) & (truth < high)
    assert (held >= binom.ppf(0.001, SEEDS, 0.95) - 4).all(), held
