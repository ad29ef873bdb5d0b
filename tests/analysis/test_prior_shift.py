"""Figures at another prevalence: by hand, the same at the set's own, and a planted shift recovered."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, norm

from explorer.analysis.operating import at_threshold
from explorer.analysis.prior_shift import FIGURES, at_prevalence, logit_line

SEEDS = 200
BAND = binom.ppf([0.001, 0.999], SEEDS, 0.95)
"""How many of SEEDS intervals hold the truth, if 95% of them do."""


def scored(rng: np.random.Generator, n: int, prevalence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets and binormal logits two standard deviations apart, of patients with one to three films each."""
    patients = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
    y = (rng.random(n) < prevalence).astype(np.float32)
    return y, (rng.normal(size=n) + 2 * y).astype(np.float32), patients


def test_figures_by_hand() -> None:
    targets = np.float32([1] * 50 + [0] * 100 + [np.nan])
    calls = np.array([True] * 40 + [False] * 10 + [True] * 10 + [False] * 90 + [True])
    frame = at_prevalence(targets, calls, np.arange(151), np.array([0.1, 1 / 3]), 0.2).set_index(["figure", "at"])
    tenth = frame.xs(0.1, level="at")
    assert tenth["value"].to_dict() == pytest.approx(
        {"precision": 0.08 / 0.17, "npv": 0.81 / 0.83, "f1": 0.16 / 0.27, "net_benefit": 0.08 - 0.09 / 4}
    )
    rate = 50 / 150
    assert tenth["baseline"].to_dict() == pytest.approx(
        {"precision": 0.1, "npv": 0.9, "f1": 2 * rate * 0.1 / (rate + 0.1), "net_benefit": 0}
    )
    assert frame.loc[("net_benefit", 1 / 3), "baseline"] == pytest.approx(1 / 3 - 2 / 3 / 4)
    assert (frame["low"] < frame["value"]).all()
    assert (frame["value"] < frame["high"]).all()


def test_at_the_sets_own_prevalence_figures_are_those_of_the_threshold() -> None:
    y, x, patients = scored(np.random.default_rng(0), 400, 0.3)
    y[:40] = np.nan
    frame = at_prevalence(y, x > 1, patients, np.array([np.nanmean(y)]), 0.5).set_index("figure")["value"]
    direct = at_threshold(y, x > 1, patients, resamples=2)
    for figure in ("precision", "npv", "f1"):
        assert frame[figure] == pytest.approx(direct[figure].value)


@pytest.mark.parametrize("column", [[0, 0, np.nan], [1, 1, 1], [np.nan] * 3])
def test_one_class_is_nan_and_no_crash(column: list[float]) -> None:
    frame = at_prevalence(np.float32(column), np.array([True, False, True]), np.arange(3), np.array([0.1]), 0.2)
    assert frame[["value", "low", "high", "baseline"]].isna().all(axis=None)
    line = logit_line(np.float32(column), np.float32([1, 2, 3]), np.arange(3))
    assert np.isnan(line.slope)
    assert np.isnan(line.moved(1.0, 0.1))
    assert np.isnan(line.probability(1.0, 0.1)).all()


def test_a_set_resampled_to_another_prevalence_shows_the_figures_foretold() -> None:
    rng = np.random.default_rng(1)
    y, x, patients = scored(rng, 3000, 0.3)
    foretold = at_prevalence(y, x > 1, patients, np.array([0.05]), 0.2).set_index("figure")
    direct = []
    for _ in range(50):
        kept = np.flatnonzero((y == 0) | (rng.random(len(y)) < 0.05 / 0.95 * 0.7 / 0.3))
        figures = at_threshold(y[kept], x[kept] > 1, patients[kept], resamples=2)
        direct.append([figures[name].value for name in ("precision", "npv", "f1")])
    for figure, value in zip(("precision", "npv", "f1"), np.mean(direct, axis=0), strict=True):
        assert foretold.loc[figure, "low"] < value < foretold.loc[figure, "high"]
        assert value == pytest.approx(foretold.loc[figure, "value"], rel=0.03)


def test_a_planted_shift_is_recovered_and_intervals_hold_it() -> None:
    there, harm = 0.05, 0.2
    sensitivity, alarm = norm.sf(-1), norm.sf(1)
    hit, wrong, missed = sensitivity * there, alarm * (1 - there), (1 - sensitivity) * there
    passed = (1 - alarm) * (1 - there)
    benefit = hit - wrong * harm / (1 - harm)
    values = (hit / (hit + wrong), passed / (passed + missed), 2 * hit / (hit + wrong + there), benefit)
    truth = dict(zip(FIGURES, values, strict=True))
    held = dict.fromkeys(FIGURES, 0)
    for seed in range(SEEDS):
        y, x, patients = scored(np.random.default_rng(seed), 500, 0.3)
        frame = at_prevalence(y, x > 1, patients, np.array([there]), harm, resamples=400, seed=seed)
        for row in frame.itertuples():
            held[row.figure] += row.low < truth[row.figure] < row.high
    for figure, times in held.items():
        assert BAND[0] - 4 <= times <= BAND[1], figure  # of few films: an interval may hold a little less often


def test_the_probability_of_a_film_elsewhere_is_bayes_rule() -> None:
    """Of binormal scores 2 apart the log odds are 2x - 2 + logit of the prevalence."""
    here, there, at = 0.3, 0.05, 1.4
    truth = expit(2 * at - 2 + logit(there))
    held = 0
    for seed in range(SEEDS):
        y, x, patients = scored(np.random.default_rng(1000 + seed), 400, here)
        line = logit_line(y, x, patients)
        value, low, high = line.probability(at, there)
        held += low < truth < high
        assert line.probability(at, line.prevalence)[0] == pytest.approx(line.probability(at)[0])
        assert line.moved(at, line.prevalence) == pytest.approx(at)
        assert line.probability(line.moved(at, there), there)[0] == pytest.approx(line.probability(at)[0])
        assert line.moved(at, there) > at
        assert value < line.probability(at)[0]
    assert BAND[0] - 4 <= held <= BAND[1]
