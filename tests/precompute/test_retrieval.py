"""Retrieval figures, list agreement, hubness and the kNN vote against hand-made values and scikit-learn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, ndcg_score
from sklearn.neighbors import KNeighborsClassifier

from explorer.analysis.hubness_agreement import (
    hubness,
    hubs,
    jaccard,
    neighbour_agreement,
    occurrences,
    rank_biased_overlap,
)
from explorer.analysis.metrics import MACRO
from explorer.analysis.neighbours import decision_vectors, neighbour_lists
from explorer.analysis.retrieval import TEMPERATURE, knn_classifier, knn_scores, query_figures, retrieval_figures


def unit(n: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_figures_of_one_list_by_hand() -> None:
    values, baselines = query_figures(np.array([[1, 0, np.nan, 1]], dtype=np.float32))
    gain = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(values[0], [2 / 3, (1 + 2 / 3) / 2, (1 + 1 / np.log2(4)) / gain])
    assert baselines[0, 0] == pytest.approx(2 / 3)


def test_a_list_with_nothing_to_find_has_no_figure() -> None:
    values, baselines = query_figures(np.array([[0, np.nan, 0]], dtype=np.float32))
    assert np.isnan(values).all()
    assert np.isnan(baselines).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(0, 999), st.integers(1, 12))
def test_figures_are_scikit_learns(n: int, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    relevance = (rng.random(n) < 0.4).astype(np.float32)
    relevance[rng.integers(n)] = 1
    with_unknown = np.insert(relevance, rng.integers(n + 1), np.nan)
    values, _ = query_figures(with_unknown[None], k)
    falling = -np.arange(n, dtype=float)
    assert values[0, 0] == pytest.approx(relevance[:k].mean())
    assert values[0, 1] == pytest.approx(average_precision_score(relevance, falling))
    assert values[0, 2] == pytest.approx(ndcg_score(relevance[None], falling[None], k=k))


@pytest.mark.parametrize(("n", "relevant", "k"), [(5, 2, 10), (6, 1, 3), (6, 4, 2)])
def test_baselines_are_means_over_all_orders(n: int, relevant: int, k: int) -> None:
    orders = np.array(list(permutations([1] * relevant + [0] * (n - relevant))), dtype=np.float32)
    values, baselines = query_figures(orders, k)
    np.testing.assert_allclose(values.mean(axis=0), baselines[0])


def test_lists_hold_other_patients_films_of_a_comparable_view() -> None:
    n, k = 40, 5
    rng = np.random.default_rng(3)
    vectors, patients = unit(n), rng.integers(0, 12, n)
    views = rng.choice(["frontal", "lateral", ""], n)
    lists = neighbour_lists(vectors, patients, views, k)
    similarity = vectors @ vectors.T
    for row in range(n):
        other = {"frontal": "lateral", "lateral": "frontal", "": "none"}[str(views[row])]
        allowed = np.flatnonzero((patients != patients[row]) & (views != other))
        expected = allowed[np.argsort(-similarity[row, allowed])][:k]
        listed = lists[row][lists[row] >= 0]
        assert set(listed) <= set(allowed)
        np.testing.assert_allclose(similarity[row, listed], similarity[row, expected], atol=1e-6)


def test_lists_are_filled_with_minus_one_where_there_are_too_few() -> None:
    lists = neighbour_lists(unit(4), np.array([0, 0, 0, 1]), np.array(["frontal"] * 4), 3)
    assert lists.tolist() == [[3, -1, -1]] * 3 + [lists[3].tolist()]
    assert set(lists[3]) == {0, 1, 2}


def two_groups(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Films of two opposite directions; the label is the direction."""
    rng = np.random.default_rng(0)
    side = np.repeat([1.0, -1.0], n // 2)
    vectors = np.column_stack([side, 0.1 * rng.normal(size=(n, 3))]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), (side > 0).astype(np.float32)


def test_a_space_that_holds_the_label_retrieves_it_and_one_that_does_not_is_at_the_baseline() -> None:
    vectors, label = two_groups()
    patients, views = np.arange(len(label)), np.array(["frontal"] * len(label))
    targets = np.column_stack([label, np.random.default_rng(1).random(len(label)) < 0.5]).astype(np.float32)
    frame = retrieval_figures(vectors, ("held", "noise"), targets, patients, views, resamples=200, seed=0)
    held, noise = (frame[frame["label"] == name].set_index("metric") for name in ("held", "noise"))
    np.testing.assert_allclose(held["value"], 1)
    assert held["baseline"].max() < 0.7
    assert (noise["ci_low"] < noise["baseline"] + 0.05).all()
    macro = frame[frame["label"] == MACRO].set_index("metric")
    np.testing.assert_allclose(macro["value"], (held["value"] + noise["value"]) / 2)
    assert held["n_pos"].unique().tolist() == [30]


def test_a_patients_own_films_are_never_found() -> None:
    vectors = np.repeat(unit(10, seed=5), 2, axis=0)  # each patient's two films are alike
    patients = np.repeat(np.arange(10), 2)
    targets = np.zeros((20, 1), np.float32)
    targets[:2] = 1  # one patient alone has the label: nothing to find
    frame = retrieval_figures(vectors, ("rare",), targets, patients, np.array([""] * 20), resamples=10, seed=0)
    assert frame["value"].isna().all()
    assert (frame["n_pos"] == 0).all()


def test_the_vote_is_scikit_learns() -> None:
    train, queries = unit(50, seed=1), unit(12, seed=2)
    targets = (np.random.default_rng(0).random((50, 1)) < 0.4).astype(np.float32)
    oracle = KNeighborsClassifier(
        7, metric="cosine", algorithm="brute", weights=lambda distance: np.exp(-distance / TEMPERATURE)
    ).fit(train, targets[:, 0].astype(int))
    np.testing.assert_allclose(
        knn_scores(train, targets, queries, 7)[:, 0], oracle.predict_proba(queries)[:, 1], atol=1e-5
    )


def test_unknown_neighbours_do_not_vote() -> None:
    train = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    targets = np.array([[np.nan], [1], [0]], dtype=np.float32)
    query = np.array([[1, 0]], dtype=np.float32)
    assert knn_scores(train, targets, query, 2)[0, 0] == 1.0
    assert knn_scores(train, targets, query, 1)[0, 0] == 0.5, "none known: the label's share in training"


def test_the_classifiers_k_is_chosen_on_validation_alone() -> None:
    vectors, label = two_groups(120)
    order = np.random.default_rng(0).permutation(120)
    splits = {"train": order[:60], "val": order[60:90], "test": order[90:]}
    patients = np.arange(120)
    targets = label[:, None]
    frame, k = knn_classifier(("held",), vectors, targets, patients, splits, resamples=20, seed=0)
    spoiled = targets.copy()
    spoiled[splits["test"]] = 1 - spoiled[splits["test"]]
    _, again = knn_classifier(("held",), vectors, spoiled, patients, splits, resamples=20, seed=0)
    assert again == k
    assert set(frame["split"]) == {"val", "test"}
    assert frame[(frame["label"] == "held") & (frame["metric"] == "knn_auroc")]["value"].tolist() == [1.0, 1.0]


def test_overlap_by_hand() -> None:
    a, b = np.array([[1, 2], [1, 2], [1, 2], [1, -1]]), np.array([[1, 2], [2, 1], [3, 4], [1, -1]])
    np.testing.assert_allclose(jaccard(a, b), [1, 1, 0, 1])
    np.testing.assert_allclose(rank_biased_overlap(a[:3], b[:3], 0.9), [1, 0.1 * 0.9 + 0.81, 0])


def test_lists_at_random_agree_as_the_baseline_says() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.array([rng.permutation(30)[:5] for _ in range(4000)]) for _ in range(2))
    frame = neighbour_agreement(a, b, np.arange(4000), 30, resamples=200, seed=0)
    assert ((frame["ci_low"] <= frame["baseline"]) & (frame["baseline"] <= frame["ci_high"])).all()


def test_a_planted_hub_is_flagged_and_skews() -> None:
    rng = np.random.default_rng(0)
    lists = np.array([rng.choice(np.delete(np.arange(200), row), 5, replace=False) for row in range(200)])
    fair = hubness(occurrences(lists), np.arange(200), 5, resamples=200, seed=0).iloc[0]
    assert fair["ci_low"] < fair["baseline"] < fair["ci_high"]
    lists[np.arange(200) != 7, 0] = 7
    counts = occurrences(lists)
    assert hubs(counts)[7]
    assert counts[7] >= 199
    skewed = hubness(counts, np.arange(200), 5, resamples=200, seed=0).iloc[0]
    assert skewed["value"] == pytest.approx(stats.skew(counts))
    assert skewed["value"] > 5


def test_decision_vectors_of_the_run_are_standardised_by_label() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32) * [1, 10, 100] + [0, 5, -7]
    vectors = decision_vectors(logits.astype(np.float32), logits.astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    one = decision_vectors(logits[4:5].astype(np.float32), logits.astype(np.float32))
    np.testing.assert_allclose(one[0], vectors[4], atol=1e-6)
    assert np.abs(vectors).mean(axis=0).max() < 3 * np.abs(vectors).mean(axis=0).min()
