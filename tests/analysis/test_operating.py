"""What a threshold does, against scikit-learn, an explicit bootstrap, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef, precision_score, recall_score

from explorer.analysis.metrics import patient_weights
from explorer.analysis.operating import at_threshold, count_draws, net_benefit, outcome_cells

TARGETS = arrays.arrays(np.float32, 25, elements=st.sampled_from([0.0, 1.0, np.nan]))
CALLS = arrays.arrays(bool, 25)


@given(TARGETS, CALLS)
def test_every_figure_is_scikit_learns(targets: np.ndarray, calls: np.ndarray) -> None:
    assume((targets == 1).any() and (targets == 0).any())
    known = ~np.isnan(targets)
    y, called = targets[known], calls[known]
    (tn, fp), (fn, tp) = confusion_matrix(y, called, labels=[0, 1])
    assert outcome_cells(targets, calls).sum(axis=0).tolist() == [tp, fp, fn, tn]
    found = at_threshold(targets, calls, np.arange(25), resamples=50)
    assert found["recall"].value == pytest.approx(recall_score(y, called))
    assert found["specificity"].value == pytest.approx(recall_score(1 - y, ~called))
    assert found["f1"].value == pytest.approx(f1_score(y, called))
    assert found["mcc"].value == pytest.approx(matthews_corrcoef(y, called))
    if called.any():
        assert found["precision"].value == pytest.approx(precision_score(y, called))
    else:
        assert np.isnan(found["precision"].value)
    for figure in found.values():
        assert np.isnan(figure.value) or np.isnan(figure.low) or figure.low <= figure.value <= figure.high


def test_a_perfect_recall_of_three_is_not_certain() -> None:
    targets = np.float32([1, 1, 1] + [0] * 20)
    found = at_threshold(targets, targets == 1, np.arange(23))
    assert found["recall"].value == 1
    assert found["recall"].low == pytest.approx(0.44, abs=0.01)


def test_baselines_are_random_calls_at_the_same_rate() -> None:
    rng = np.random.default_rng(0)
    targets, calls = (rng.random(50_000) < 0.2).astype(np.float32), rng.random(50_000) < 0.4
    for figure in at_threshold(targets, calls, np.arange(50_000), resamples=10).values():
        assert figure.value == pytest.approx(figure.baseline, abs=0.02)


@pytest.mark.parametrize("column", [[0, 0, np.nan], [1, 1, 1], [np.nan] * 3])
def test_one_class_is_nan_and_no_crash(column: list[float]) -> None:
    found = at_threshold(np.float32(column), np.array([True, False, True]), np.arange(3), resamples=20)
    assert np.isnan(found["f1"].value)
    assert np.isnan(found["mcc"].low)


def test_drawing_kinds_of_patients_is_drawing_patients() -> None:
    """Same mean and spread as weights over patients, where some have several films."""
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 80, 200)
    members = outcome_cells((rng.random(200) < 0.3).astype(np.float32), rng.random(200) < 0.5)
    fast = count_draws(members, patients, 20_000, 0)
    slow = patient_weights(patients, 20_000, 1) @ members
    np.testing.assert_allclose(fast.mean(axis=0), slow.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(np.cov(fast.T), np.cov(slow.T), atol=0.05 * np.cov(slow.T).max())


def test_net_benefit_by_hand() -> None:
    targets, p = np.float32([1, 0, 1, 0, np.nan]), np.array([0.9, 0.6, 0.3, 0.1, 0.99])
    frame = net_benefit(targets, p, np.arange(5), np.array([0.2, 0.5]), resamples=20)
    assert frame["value"].tolist() == pytest.approx([2 / 4 - 1 / 4 * 0.25, 1 / 4 - 1 / 4])
    assert frame["all"].tolist() == pytest.approx([0.5 - 0.5 * 0.25, 0])


def test_certain_probabilities_gain_the_prevalence() -> None:
    targets = np.float32([1] * 20 + [0] * 80)
    frame = net_benefit(targets, targets.astype(float), np.arange(100), np.linspace(0.05, 0.95, 10), resamples=200)
    np.testing.assert_allclose(frame["value"], 0.2)
    assert (frame["value"] >= frame["all"] - 1e-12).all()
    assert ((frame["low"] < 0.2) & (frame["high"] > 0.2)).all()
