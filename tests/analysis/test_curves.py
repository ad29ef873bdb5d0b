"""Curves and their bands: against scikit-learn, by hand, and from the resamples the metrics use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from sklearn.metrics import precision_recall_curve, roc_curve

from explorer.analysis.curves import (
    BAND_COLUMNS,
    GRID,
    bands,
    gain,
    gain_area,
    gain_interval,
    least_precision,
    on_grid,
    pr_curve,
)
from explorer.analysis.metrics import MACRO, MACRO_ALL, Scored
from explorer.analysis.pooled import MICRO, tasks
from explorer.analysis.ranking import rank, reached
from tests.problems import NAN, problem, scored, scores_of


@given(scored())
def test_the_curve_steps_to_the_average_precision(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    curve = pr_curve(targets, scores)
    area = (np.diff(curve["recall"], prepend=0) * curve["precision"]).sum()
    assert area == pytest.approx(scores_of(targets, scores)["average_precision"])
    assert curve["threshold"].is_monotonic_decreasing
    assert curve["threshold"].is_unique
    assert curve["recall"].iloc[-1] == 1
    assert curve["n_predicted"].iloc[-1] == (~np.isnan(targets)).sum()
    for point in curve.itertuples():
        at = scores_of(targets, scores, float(point.threshold))
        assert (at["precision"], at["recall"]) == pytest.approx((point.precision, point.recall))


def test_no_known_positive_no_curve() -> None:
    assert pr_curve(np.float32([0, NAN]), np.float32([1, 2])).empty


@given(scored())
def test_every_point_is_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    known = ~np.isnan(targets)
    curve = pr_curve(targets, scores)
    precision, recall, cuts = precision_recall_curve(targets[known], scores[known])
    assert curve["threshold"].tolist() == cuts[::-1].tolist()
    np.testing.assert_allclose(curve["precision"], precision[-2::-1])
    np.testing.assert_allclose(curve["recall"], recall[-2::-1])
    false, _, _ = roc_curve(targets[known], scores[known], drop_intermediate=False)
    np.testing.assert_allclose(curve["fpr"], false[1:])


def test_gain_puts_all_positive_at_zero_and_perfection_at_one() -> None:
    assert gain(np.array([0.1, 1.0]), 0.1) == pytest.approx([0, 1])
    assert gain(np.array([0.05]), 0.1)[0] < 0
    assert gain(np.array([0.0]), 0.1)[0] == -np.inf


@pytest.mark.parametrize(
    ("truth", "scores", "area"),
    [
        ([1, 0, 1, 0], [4, 3, 2, 1], 0.25),  # from (0, 0) at recall 1/2 straight to (1, 1/2)
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.0),
        ([0, 0, 1, 1], [4, 3, 2, 1], -0.5),  # from (0, -1) to (1, 0)
        ([0, 1, 0, 0, NAN], [4, 3, 2, 1, 9], 1 / 6),  # recall 1/4 lies between cuts: from (0, -1/3) to (1, 2/3)
        ([0, 0], [1, 2], NAN),
    ],
)
def test_the_gain_area_by_hand(truth: list[float], scores: list[float], area: float) -> None:
    targets = np.float32(truth)
    measured = gain_area(*reached(rank(targets, np.float32(scores)), np.ones((len(targets), 1)))[:2])
    assert measured[0] == pytest.approx(area, nan_ok=True)


def test_the_gain_areas_interval_holds_it_and_means_run_over_labels() -> None:
    given = problem()
    asked = tasks("abc", given["targets"], given["logits"], given["thresholds"])[:3]
    each = [gain_interval([task], given["patients"], resamples=200) for task in asked]
    assert all(low < value < high for value, low, high in each)
    mean, low, high = gain_interval(asked, given["patients"], resamples=200)
    assert mean == pytest.approx(np.mean([value for value, _, _ in each]))
    assert low < mean < high


def test_no_ranking_lies_below_the_least_precision() -> None:
    targets = np.float32([0] * 30 + [1] * 10)
    worst = pr_curve(targets, -targets - np.arange(40, dtype=np.float32) / 100 * (targets == 1))
    last = worst[worst["recall"] > 0]
    np.testing.assert_allclose(last["precision"], least_precision(last["recall"].to_numpy(), 0.25))


@given(scored())
def test_on_the_grid_a_curve_is_its_own(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    (precision, recall), curve = on_grid(*reached(rank(targets, scores), np.ones((len(targets), 1)))[:2]), None
    curve = pr_curve(targets, scores)
    for x, value in zip(GRID, precision[:, 0], strict=True):
        first = curve[(curve["recall"] > 0) & (curve["recall"] >= x - 1e-9)].iloc[0]
        assert value == pytest.approx(first["precision"])
    fpr, tpr = np.append(0, curve["fpr"]), np.append(0, curve["recall"])
    np.testing.assert_allclose(recall[:, 0], np.interp(GRID, fpr, tpr))


def some_bands(**changed: object) -> pd.DataFrame:
    given = problem()
    scores = Scored(given["logits"], given["thresholds"])
    return bands("abc", given["targets"], {"r": scores}, given["patients"], **{"resamples": 100, **changed})


def test_bands_hold_their_curve_and_are_narrower_with_more_films() -> None:
    frame = some_bands()
    assert set(frame.columns) == set(BAND_COLUMNS) - {"split"}
    assert set(frame["label"]) == {"a", "b", "c", MICRO, MACRO, MACRO_ALL}
    known = frame[frame["low"].notna()]  # a recall of 1 at the end has no spread, and so no band
    inside = (known["low"] <= known["y"] + 1e-9) & (known["y"] <= known["high"] + 1e-9)
    assert inside.mean() > 0.97
    assert len(known) > 0.9 * len(frame)
    width = (frame["high"] - frame["low"]).groupby(frame["label"]).mean()
    assert width["a"] > width["c"], "a has a fifth of c's positives"
    pr = frame[frame["curve"] == "pr"].pivot(index="x", columns="label", values="y")
    np.testing.assert_allclose(pr[MACRO], pr[["a", "b", "c"]].mean(axis=1))


def test_a_label_without_positives_has_no_band_and_spoils_no_other() -> None:
    given = problem()
    given["targets"][:, 0] = 0
    frame = bands("abc", given["targets"], {"r": Scored(given["logits"], given["thresholds"])}, given["patients"])
    by_label = frame.groupby("label")[["y", "low", "high"]]
    assert by_label.apply(lambda part: part.isna().all(axis=None))["a"]
    assert by_label.apply(lambda part: part.notna().all(axis=1).mean())[["b", MACRO]].min() > 0.9
