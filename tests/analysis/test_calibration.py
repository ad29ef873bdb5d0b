"""Calibration against scikit-learn, on probabilities that are right, and on what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit
from scipy.stats import foldnorm
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from explorer.analysis.calibration import (
    BINS,
    CALIBRATION_COLUMNS,
    METHODS,
    TEMPERATURES,
    at_bound,
    calibration,
    fit,
    folded_variance,
    probabilities,
    reliability,
    temperature,
)


def drawn(n: int, scale: float = 1.0, offset: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets of known probability, and logits that overstate it ``scale`` times."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.5, n)
    return (rng.random(n) < expit(truth)).astype(np.float32), (scale * truth + offset).astype(np.float32)


@pytest.mark.parametrize(("method", "scale", "offset"), [("temperature", 10, 0), ("platt", 10, 3), ("platt", 0.1, -2)])
def test_fitting_finds_the_scale_again(method: str, scale: float, offset: float) -> None:
    targets, logits = drawn(4000, scale, offset)
    x = np.linspace(-4, 2, 20)
    assert fit(method, targets, logits)(scale * x + offset) == pytest.approx(expit(x), abs=0.05)


@pytest.mark.parametrize(
    ("targets", "bound"),
    [([1, 1, 0, 0], TEMPERATURES[0]), ([0, 0, 1, 1], TEMPERATURES[1]), ([1, 0, 1, 0], None), ([1, 1, 1, np.nan], None)],
)
def test_a_temperature_at_an_end_of_its_search_is_known(targets: list[float], bound: float | None) -> None:
    t = temperature(np.float32(targets), np.float32([2, 1, -1, -2]))
    assert at_bound(t) == (bound is not None)
    if bound is not None:
        assert t == pytest.approx(bound, rel=1e-3)
    elif not np.isnan(t):
        x = np.float32([-1, 0, 3])
        assert fit("temperature", np.float32(targets), np.float32([2, 1, -1, -2]))(x) == pytest.approx(expit(x / t))


def test_platt_is_logistic_regression_on_many_films() -> None:
    targets, logits = drawn(4000, 3, 1)
    other = LogisticRegression(C=1e6).fit(logits[:, None], targets)
    np.testing.assert_allclose(
        fit("platt", targets, logits)(logits), other.predict_proba(logits[:, None])[:, 1], atol=2e-3
    )


def test_platt_stays_short_of_certain_where_classes_part() -> None:
    p = fit("platt", np.float32([1, 1, 0, 0]), np.float32([4, 3, -3, -4]))(np.float32([100, 3, -3]))
    assert p[1] < 0.95
    assert p[2] > 0.05


@given(
    arrays.arrays(np.float32, 20, elements=st.sampled_from([0.0, 1.0, np.nan])),
    arrays.arrays(np.float32, 20, elements=st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0])),
)
def test_isotonic_is_scikit_learns(targets: np.ndarray, logits: np.ndarray) -> None:
    known = ~np.isnan(targets)
    assume(len(np.unique(targets[known])) == 2 and np.ptp(logits[known]) > 0)
    other = IsotonicRegression(out_of_bounds="clip").fit(logits[known], targets[known])
    x = np.linspace(-3, 4, 15)
    np.testing.assert_allclose(fit("isotonic", targets, logits)(x), other.predict(x), atol=1e-6)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
@pytest.mark.parametrize("column", [[0, 0, 0, np.nan], [1, 1, 1, 1], [np.nan] * 4])
def test_what_cannot_be_fitted_is_the_rate(method: str, column: list[float]) -> None:
    targets = np.float32(column)
    positives, n = np.nansum(targets), (~np.isnan(targets)).sum()
    p = fit(method, targets, np.float32([3, 1, 2, 0]))(np.float32([5, -5]))
    assert p == pytest.approx([(positives + 1) / (n + 2)] * 2)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_changes_a_labels_order(method: str) -> None:
    targets, logits = drawn(500, 2)
    p = probabilities(method, targets[:250, None], logits[:250, None], logits[250:, None])[:, 0]
    assert (np.diff(p[np.argsort(logits[250:])]) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()


def test_reliability_bins_hold_all_known_films_and_ties_share_one() -> None:
    targets, logits = drawn(1000)
    targets[:50] = np.nan
    frame = reliability(targets, expit(logits))
    assert len(frame) == BINS
    assert frame["n"].sum() == 950
    assert frame["positives"].sum() == (targets == 1).sum()
    assert frame["said"].is_monotonic_increasing
    assert len(reliability(np.float32([1, 0, 1]), np.full(3, 0.5))) == 1
    assert reliability(np.float32([np.nan]), np.array([0.5])).empty


def test_figures_intervals_and_baselines() -> None:
    n = 2000
    right, logits = drawn(2 * n)
    given = {
        "right": np.stack([logits, logits], axis=1),
        "loud": np.stack([5 * logits, 5 * logits], axis=1),
    }
    targets = np.stack([right, np.zeros_like(right)], axis=1)
    val = (targets[:n], {name: x[:n] for name, x in given.items()})
    frame = calibration(("a", "none"), val, targets[n:], {k: x[n:] for k, x in given.items()}, np.arange(n))
    assert set(frame.columns) == set(CALIBRATION_COLUMNS) - {"split"}
    assert frame.loc[frame["label"] == "none", ["value", "ci_low", "ci_high"]].isna().all(axis=None)
    found = frame[frame["label"] == "a"].set_index(["regime", "method", "metric"])
    y = right[n:]
    assert found.loc[("right", "none", "brier"), "value"] == pytest.approx(brier_score_loss(y, expit(logits[n:])))
    assert found.loc[("right", "none", "brier"), "baseline"] == pytest.approx(((right[:n].mean() - y) ** 2).mean())
    assert (found["ci_low"] <= found["value"]).all()
    assert (found["value"] <= found["ci_high"]).all()
    ece = found.xs("ece", level="metric")
    assert ece.loc[("right", "none"), "value"] == pytest.approx(ece.loc[("right", "none"), "baseline"], rel=0.6)
    assert ece.loc[("loud", "none"), "ci_low"] > 3 * ece.loc[("loud", "none"), "baseline"]
    for method in ("temperature", "platt", "isotonic"):
        assert ece.loc[("loud", method), "ci_high"] < ece.loc[("loud", "none"), "ci_low"]


def test_the_baseline_of_ece_is_what_right_probabilities_show() -> None:
    found = []
    for seed in range(120):
        y, logits = drawn(300, seed=seed)
        rest = (y[:, None], {"r": logits[:, None]})
        frame = calibration("a", rest, y[:, None], {"r": logits[:, None]}, np.arange(300))
        found.append(frame[(frame["method"] == "none") & (frame["metric"] == "ece")].iloc[0])
    columns = ["value", "baseline", "ci_low", "ci_high"]
    value, baseline, low, high = np.array([row[columns].to_numpy(float) for row in found]).T
    assert value.mean() == pytest.approx(baseline.mean(), rel=0.12)
    errors = (high - low).mean() / (2 * 1.96)
    assert 1 < errors / value.std() < 1.45, "1.9 where gaps near 0 vary as others do"


def test_the_variance_of_a_gaps_size_is_the_folded_normals() -> None:
    means, errors = np.array([0.0, 0.3, -2.0]), np.array([1.0, 0.5, 0.4])
    np.testing.assert_allclose(folded_variance(means, errors), foldnorm(np.abs(means) / errors, scale=errors).var())
    assert folded_variance(np.array([0.2]), np.zeros(1)) == 0, "a bin without spread"
