"""Metrics against scikit-learn, by hand, and by what must hold whatever the data."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from explorer.analysis.metrics import MACRO, MACRO_ALL, METRIC_COLUMNS, METRICS, evaluate, patient_weights
from explorer.analysis.pooled import MICRO
from explorer.analysis.ranking import BINARY_METRICS, baselines, rank, score
from tests.problems import NAN, problem, scored, scores_of


def by_sklearn(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    called = scores >= threshold
    return {
        "average_precision": average_precision_score(y, scores),
        "auroc": roc_auc_score(y, scores),
        "precision": precision_score(y, called, zero_division=0),
        "recall": recall_score(y, called),
        "f1": f1_score(y, called),
    }


@given(scored(), st.sampled_from([-9.0, -0.5, 0.0, 0.1, 9.0]))
def test_every_metric_is_scikit_learns_on_the_known_rows(case: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    targets, scores = case
    known = ~np.isnan(targets)
    assert scores_of(targets, scores, threshold) == pytest.approx(by_sklearn(targets[known], scores[known], threshold))


@given(scored(), st.integers(0, 2**31))
def test_weights_are_an_explicit_resampling_of_rows(case: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    targets, scores = case
    rows = np.random.default_rng(seed).integers(0, len(targets), len(targets))
    weights = np.bincount(rows, minlength=len(targets)).astype(np.float32)
    weighted = score(rank(targets, scores, scores >= 0), weights[:, None])
    copied = score(rank(targets[rows], scores[rows], scores[rows] >= 0), np.ones((len(rows), 1)))
    np.testing.assert_allclose(weighted, copied)


@given(scored(both=False))
def test_a_label_of_one_class_is_nan_and_no_crash(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    values = scores_of(targets, scores)
    two = (targets == 0).any() and (targets == 1).any()
    assert all(np.isfinite(v) == two for v in values.values())


@given(scored(), st.randoms(use_true_random=False))
def test_row_order_and_monotone_rescaling_change_nothing(case: tuple[np.ndarray, np.ndarray], random: object) -> None:
    targets, scores = case
    expected = scores_of(targets, scores)
    order = np.random.default_rng(random.randrange(2**31)).permutation(len(targets))  # type: ignore[attr-defined]
    assert scores_of(targets[order], scores[order]) == pytest.approx(expected)
    rescaled = (np.exp(scores) - 1).astype(np.float32)  # 0 stays 0, so the operating point does too
    assert scores_of(targets, rescaled) == pytest.approx(expected)


@given(scored())
def test_unknown_rows_do_not_count(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    more = np.concatenate([targets, np.full(3, np.nan, np.float32)])
    assert scores_of(more, np.concatenate([scores, np.float32([9, 0, -9])])) == pytest.approx(
        scores_of(targets, scores)
    )


def test_by_hand() -> None:
    # ranked: 1, 0, 1, 0; called at >= 0.6: the first three
    calls = np.array([True, True, True, False])
    ranking = rank(np.float32([1, 0, 1, 0]), np.float32([0.9, 0.8, 0.7, 0.1]), calls)
    by_hand = {
        "average_precision": ((1 + 2 / 3) / 2, (25 / 12 + (4 - 25 / 12) / 3) / 4),
        "auroc": (3 / 4, 0.5),
        "precision": (2 / 3, 0.5),
        "recall": (1, 0.75),
        "f1": (4 / 5, 2 / 3),
    }
    assert set(by_hand) == set(METRICS)
    for name, expected in by_hand.items():
        found = score(ranking, np.ones((4, 1)), [name])[0, 0], baselines(ranking, [name])[0]
        assert found == pytest.approx(expected)


def test_baselines_are_what_the_trivial_classifier_reaches() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.1).astype(np.float32)
    constant = np.zeros(4000, np.float32)
    once = np.ones((4000, 1), np.float32)
    ranking = rank(y, constant, constant >= -1)
    # a constant score that calls every film positive: every metric equals its baseline
    np.testing.assert_allclose(score(ranking, once)[0], baselines(ranking))
    noise = rng.random(4000).astype(np.float32)
    ranking, names = rank(y, noise, noise >= 0.7), [name for name in BINARY_METRICS if name != "f1"]
    assert score(ranking, once, names)[0] == pytest.approx(baselines(ranking, names), abs=0.04)


def test_without_an_operating_point_only_the_ranking_is_scored() -> None:
    values = scores_of(np.float32([1, 0, 1]), np.float32([3, 2, 1]), NAN)
    assert np.isfinite([values["average_precision"], values["auroc"]]).all()
    assert np.isnan([values["precision"], values["recall"], values["f1"]]).all()


# --- bootstrap -----------------------------------------------------------------------------------------------


def test_a_patients_films_are_drawn_together() -> None:
    patients = np.array([7, 3, 7, 9, 3, 7])
    weights = patient_weights(patients, 200, 0)
    for patient in (3, 7, 9):
        mine = weights[:, patients == patient]
        assert (mine == mine[:, :1]).all()
    drawn = weights[:, [1, 0, 3]]  # one film of each patient
    assert (drawn.sum(axis=1) == 3).all()  # as many patients as there are
    assert drawn.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.2)


def test_evaluate_counts_averages_and_holds_its_point() -> None:
    given = problem()
    frame = evaluate("abc", **given)
    assert list(frame.columns) == [c for c in METRIC_COLUMNS if c not in ("regime", "split")]
    assert len(frame) == 6 * len(METRICS)
    assert ((frame["ci_low"] <= frame["value"]) & (frame["value"] <= frame["ci_high"])).mean() > 0.9
    assert (frame["ci_low"] < frame["ci_high"]).all()
    labels = frame[frame["label"].isin(list("abc"))]
    macro = frame[frame["label"] == MACRO].set_index("metric")
    for metric, rows in labels.groupby("metric"):
        assert macro.loc[metric, "value"] == pytest.approx(rows["value"].mean())
        assert macro.loc[metric, "baseline"] == pytest.approx(rows["baseline"].mean())
    first = labels[labels["label"] == "a"].iloc[0]
    column = given["targets"][:, 0]
    assert (first["n_pos"], first["n_neg"]) == ((column == 1).sum(), (column == 0).sum())
    assert first["n_unknown"] == np.isnan(column).sum() > 0
    assert macro["n_pos"].iloc[0] == (given["targets"] == 1).sum()


def test_copies_of_a_patients_films_change_nothing() -> None:
    """They bring no new evidence: neither a figure nor its interval may move."""
    given = problem(120)
    copied = {name: np.repeat(given[name], 2, axis=0) for name in ("targets", "logits", "patients")}
    one = evaluate("abc", **given)
    two = evaluate("abc", **copied, thresholds=given["thresholds"])
    columns = ["value", "ci_low", "ci_high"]
    pd.testing.assert_frame_equal(one[columns], two[columns])
    assert (two[["n_pos", "n_neg", "n_unknown"]] == 2 * one[["n_pos", "n_neg", "n_unknown"]]).all(axis=None)


def test_domains_and_micro_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    labels = ["Cardiomegaly", "Enlarged Cardiomediastinum", "Fracture"]
    targets = (rng.random((200, 3)) < [0.2, 0.1, 0.3]).astype(np.float32)
    logits = (rng.normal(size=(200, 3)) + targets).astype(np.float32)
    cuts = np.float32([0.5, 1.0, 0.2])
    targets[:5, 0] = np.nan
    frame = evaluate(labels, targets, logits, cuts, np.arange(200)).set_index(["label", "metric"])
    value = frame["value"]
    known = ~np.isnan(targets)
    micro_y, micro_scores = targets[known], logits[known]
    assert value[MICRO, "average_precision"] == pytest.approx(average_precision_score(micro_y, micro_scores))
    assert value[MICRO, "auroc"] == pytest.approx(roc_auc_score(micro_y, micro_scores))
    assert value[MICRO, "f1"] == pytest.approx(f1_score(micro_y, (logits >= cuts)[known]))
    either = (targets[:, :2] == 1).any(axis=1)
    sure = either | ~np.isnan(targets[:, :2]).any(axis=1)  # one positive is enough, but not one negative
    assert frame.loc[("Cardiovascular", "f1"), "n_unknown"] == (~sure).sum()
    called = (logits[:, :2] >= cuts[:2]).any(axis=1)
    assert value["Cardiovascular", "f1"] == pytest.approx(f1_score(either[sure], called[sure]))
    above = (logits[:, :2] - cuts[:2]).max(axis=1)
    assert value["Cardiovascular", "auroc"] == pytest.approx(roc_auc_score(either[sure], above[sure]))


def test_the_baseline_of_average_precision_is_its_mean_over_all_orders() -> None:
    scores = np.float32([3, 2, 2, 1, 1, 1])
    orders = [np.isin(np.arange(6), places).astype(np.float32) for places in combinations(range(6), 2)]
    for ranked in (scores, np.arange(6, 0, -1, dtype=np.float32)):
        mean = np.mean([average_precision_score(y, ranked) for y in orders])
        assert baselines(rank(orders[0], ranked), ["average_precision"])[0] == pytest.approx(mean)


def test_a_perfect_label_has_an_exact_bound_above_its_baseline() -> None:
    targets = (np.arange(375) < 12).astype(np.float32)[:, None]
    frame = evaluate("a", targets, targets, np.float32([0.5]), np.arange(375))
    label = frame[frame["label"] == "a"]
    assert (label["value"] == 1).all()
    assert (label["ci_high"] == 1).all()
    ranked = label[label["metric"].isin(["average_precision", "auroc", "f1"])]
    assert (ranked["ci_low"] > ranked["baseline"]).all()
    assert label.set_index("metric").loc["recall", "ci_low"] == pytest.approx(0.05 ** (1 / 12))


def test_chunks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(120)
    whole = evaluate("abc", **given)
    monkeypatch.setattr("explorer.analysis.metrics._CHUNK", 7 * 500)
    pd.testing.assert_frame_equal(whole, evaluate("abc", **given))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_a_label_without_positives_leaves_the_others_alone(seed: int) -> None:
    given = problem(60, seed)
    assume((given["targets"][:, 1] == 1).any() and (given["targets"][:, 1] == 0).any())
    given["targets"][:, 0] = np.where(np.isnan(given["targets"][:, 0]), np.nan, 0)
    given["targets"][:, 2] = np.nan  # nothing known at all
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = evaluate("abc", **given).set_index(["label", "metric"])
    assert frame.loc[["a", "c"], ["value", "ci_low", "ci_high", "baseline"]].isna().all(axis=None)
    assert frame.loc["c", "n_unknown"].iloc[0] == 60
    assert (frame.loc[MACRO_ALL, "value"] == frame.loc["b", "value"]).all()  # over the labels whose value exists


def test_no_interval_from_a_single_patient() -> None:
    scores = np.arange(10, 0, -1, dtype=np.float32)[:, None]
    for negatives, expected in (([4], False), ([4, 7], True)):
        targets = np.ones((10, 1), np.float32)
        targets[negatives] = 0
        frame = evaluate("a", targets, scores, np.float32([5]), np.arange(10))
        assert frame.loc[frame["label"] != MACRO, "value"].notna().all()
        assert (frame.loc[frame["label"] == "a", "ci_low"].notna() == expected).all()


def test_no_rows_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        evaluate("a", np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32), np.float32([0]), np.zeros(0, int))


def test_a_domain_without_thresholds_is_still_ranked() -> None:
    targets, scores = np.float32([[1], [0], [1], [0]]), np.float32([[4], [3], [2], [1]])
    frame = evaluate(["Fracture"], targets, scores, np.float32([NAN]), np.arange(4))
    value = frame.set_index(["label", "metric"])["value"]
    assert value["Skeletal", "auroc"] == value["Fracture", "auroc"] == 0.75
    assert np.isnan(value["Skeletal", "f1"])
