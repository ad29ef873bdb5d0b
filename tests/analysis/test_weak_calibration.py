"""Calibration in the large, intercept and slope: scikit-learn's fit, planted distortions, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from explorer.analysis.weak_calibration import PERFECT, weak_calibration

SEEDS = 200


def scored(rng: np.random.Generator, patients: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Targets, and probabilities whose log odds are the true ones over ``slope``, less ``shift``; two films each."""
    truth = np.repeat(rng.normal(-1, 1.2, patients), 2)
    y = np.repeat(rng.random(patients), 2) < expit(truth)
    return y.astype(np.float32), expit((truth - shift) / slope), np.repeat(np.arange(patients), 2)


def test_slope_and_intercept_are_scikit_learns() -> None:
    y, p, patients = scored(np.random.default_rng(0), 600, 0.6, 0.4)
    y[:30] = np.nan
    known = ~np.isnan(y)
    figures = weak_calibration(y, p, patients)
    other = LogisticRegression(C=1e9, tol=1e-9, max_iter=1000).fit(logit(p[known])[:, None], y[known])
    assert figures["slope"].value == pytest.approx(other.coef_[0, 0], abs=1e-3)
    moved = expit(logit(p[known]) + figures["intercept"].value)
    assert moved.mean() == pytest.approx(y[known].mean())
    assert figures["in_the_large"].value == pytest.approx(p[known].mean() - y[known].mean())


def test_distortions_are_told_by_their_sign() -> None:
    extreme = weak_calibration(*scored(np.random.default_rng(1), 2000, slope=0.5))
    assert extreme["slope"].high < 1
    understated = weak_calibration(*scored(np.random.default_rng(1), 2000, shift=1.0))
    assert understated["intercept"].low > 0
    assert understated["in_the_large"].high < 0
    plain = weak_calibration(*scored(np.random.default_rng(1), 2000))
    assert understated["slope"].value == pytest.approx(plain["slope"].value), "a shift is none of the slope's"


def test_intervals_hold_by_patient() -> None:
    truth = {"in_the_large": 0.0, "intercept": 0.0, "slope": 1.0}
    held = dict.fromkeys(PERFECT, 0)
    for seed in range(SEEDS):
        for name, (_, low, high) in weak_calibration(*scored(np.random.default_rng(seed), 150)).items():
            held[name] += low < truth[name] < high
    for name, times in held.items():
        assert times >= binom.ppf(0.001, SEEDS, 0.95) - 4, name
    assert min(held.values()) < SEEDS, "intervals that always hold are too wide"


@pytest.mark.parametrize("column", [[0, 0, np.nan], [1, 1, 1], [np.nan] * 3])
def test_one_class_has_no_figure(column: list[float]) -> None:
    figures = weak_calibration(np.float32(column), np.array([0.1, 0.2, 0.3]), np.arange(3))
    assert np.isnan([*figures.values()]).all()


def test_what_cannot_be_fitted_has_no_slope() -> None:
    y = np.float32([0, 0, 1, 1])
    certain = weak_calibration(y, np.array([0, 0.2, 0.6, 1.0]), np.arange(4))
    assert np.isnan(certain["slope"].value)
    assert certain["in_the_large"].value == pytest.approx(-0.05)
    parted = weak_calibration(y, np.array([0.1, 0.2, 0.6, 0.7]), np.arange(4))
    assert np.isnan(parted["slope"].value), "no slope is steep enough"
    assert parted["intercept"].value == pytest.approx(0.4, abs=0.2)
    alike = weak_calibration(y, np.full(4, 0.3), np.arange(4))
    assert np.isnan(alike["slope"].value)
    assert alike["intercept"].value == pytest.approx(logit(0.5) - logit(0.3))
