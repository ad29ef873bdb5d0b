"""The paper's figures: by hand on five films of three labels, and against scikit-learn on drawn ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from explorer.analysis.baselines import trivial_baselines
from explorer.analysis.centroid import centroid_distances, first_positive
from explorer.analysis.multilabel import by_domain, complete, coverage_error, exact_match, f1, lrap, min_max, outcome

LABELS = ("No Finding", "Edema", "Fracture")
TARGETS = np.float32([[1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]])
SCORES = np.float32([[0.3, 0.1, -0.1], [0.2, 0.4, 0.0], [0.5, 0.1, 0.3], [-0.2, 0.6, 0.2], [0.1, 0.2, 0.3]])
ONE = np.ones((1, 5))


# --- by hand -------------------------------------------------------------------------------------------------


def test_cosine_above_zero_by_hand() -> None:
    calls = SCORES > 0  # 110, 110, 111, 011, 111
    # No Finding: called 0 1 2 4, true 0 3: 1 hit of 4 calls and 2 positives. Edema: all five called, 2 true.
    # Fracture: called 2 3 4, true 2 4: 2 hits.
    np.testing.assert_allclose(f1(TARGETS, calls, ONE)[0], [2 * 1 / (4 + 2), 2 * 2 / (5 + 2), 2 * 2 / (3 + 2)])
    assert exact_match(TARGETS, calls).tolist() == [0, 0, 0, 0, 0]


def test_min_max_above_a_half_by_hand() -> None:
    scaled = min_max(SCORES)
    np.testing.assert_allclose(scaled, [[1, 0.5, 0], [0.5, 1, 0], [1, 0, 0.5], [0, 1, 0.5], [0, 0.5, 1]], atol=1e-6)
    calls = scaled > 0.75
    assert exact_match(TARGETS, calls).tolist() == [1, 1, 0, 0, 1]
    result = outcome(TARGETS, calls, scaled, ONE)
    # F1: No Finding called 0 2, true 0 3; Edema called 1 3, true 1 2; Fracture called 4, true 2 4
    assert result.macro_f1[0] == pytest.approx((2 / 4 + 2 / 4 + 2 / 3) / 3)
    assert result.exact_match[0] == pytest.approx(3 / 5)


def test_ranking_by_hand() -> None:
    # film 2: Edema third, Fracture second: (1/2 + 2/3) / 2, depth 3. Film 3: No Finding last.
    np.testing.assert_allclose(lrap(TARGETS, SCORES), [1, 1, (1 / 2 + 2 / 3) / 2, 1 / 3, 1])
    np.testing.assert_allclose(coverage_error(TARGETS, SCORES), [1, 1, 3, 3, 1])
    assert outcome(TARGETS, None, SCORES, ONE).coverage_error[0] == pytest.approx(9 / 5)


def test_domains_by_hand() -> None:
    """Edema is Pulmonary and Fracture Skeletal; No Finding is in no domain."""
    names, targets, calls = by_domain(LABELS, TARGETS, SCORES > 0.25)
    assert names == ["Pulmonary", "Skeletal"]
    assert targets.T.tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 0, 1]]
    assert calls.T.tolist() == [[0, 1, 0, 1, 0], [0, 0, 1, 0, 1]]
    # Pulmonary: films 1 and 3 called, 1 and 2 true; Skeletal: both right
    np.testing.assert_allclose(f1(targets, calls, ONE)[0], [2 * 1 / (2 + 2), 1])
    # two labels of one domain: any of them will do, and unknown is not negative
    lungs = np.float32([[0, 1], [0, 0], [np.nan, 0], [np.nan, 1]])
    _, grouped, predicted = by_domain(("Edema", "Pneumonia"), lungs, np.array([[1, 0], [0, 0], [0, 1], [0, 0]], bool))
    np.testing.assert_array_equal(grouped[:, 0], [1, 0, np.nan, 1])
    assert predicted[:, 0].tolist() == [True, False, True, False]


def test_every_rule_of_the_paper_on_five_films_by_hand() -> None:
    """The paper's whole table: stretched to 0..1, called above 0.5, and ranked by the scores themselves."""
    scores = np.float32([[0.9, 0.1, 0.3], [0.2, 0.8, 0.3], [0.9, 0, 0.6], [0, 1, 0.25], [0.1, 0.2, 0.9]])
    figures = outcome(TARGETS, min_max(scores) > 0.5, scores, ONE)
    # called: 100, 010, 101, 010, 001. No Finding: called 0 2, true 0 3; Edema: called 1 3, true 1 2; Fracture: both
    # called and true 2 4
    assert figures.macro_f1[0] == pytest.approx((2 / 4 + 2 / 4 + 1) / 3)
    assert figures.exact_match[0] == pytest.approx(3 / 5)  # films 0, 1 and 4
    # film 2: Fracture second, Edema third; film 3: No Finding third
    assert figures.lrap[0] == pytest.approx((1 + 1 + (1 / 2 + 2 / 3) / 2 + 1 / 3 + 1) / 5)
    assert figures.coverage_error[0] == pytest.approx((1 + 1 + 3 + 3 + 1) / 5)


def test_baselines_by_hand() -> None:
    """Prevalence 2/5 for every label; four films have one true label, one has two; C = 3."""
    baselines = trivial_baselines(LABELS, TARGETS, TARGETS)
    one, two = np.mean([1, 1 / 2, 1 / 3]), np.mean([1, 1.5 / 2, 2 / 3])
    assert baselines["random ranking"]["lrap"] == pytest.approx((4 * one + two) / 5)
    assert baselines["random ranking"]["coverage_error"] == pytest.approx((4 * 2 + 8 / 3) / 5)
    assert baselines["all positive"] == pytest.approx({"macro_f1": 2 * 2 / 7, "exact_match": 0})
    # No Finding alone called: 2 hits of 5 calls and 2 positives; the other two labels score 0
    assert baselines["always No Finding"] == pytest.approx({"macro_f1": (4 / 7) / 3, "exact_match": 2 / 5})
    assert baselines["prevalence-matched random"]["macro_f1"] == pytest.approx(2 / 5)
    exact = (4 * 0.4 * 0.6 * 0.6 + 0.4 * 0.4 * 0.6) / 5
    assert baselines["prevalence-matched random"]["exact_match"] == pytest.approx(exact)
    assert baselines["prevalence ranking"] == pytest.approx({"lrap": (4 * 1 / 3 + 2 / 3) / 5, "coverage_error": 3})


def test_distances_by_hand() -> None:
    assert first_positive(TARGETS).tolist() == [0, 1, 1, 0, 2]
    vectors = np.float32([[0, 1], [3, 0], [5, 0], [0, -1], [0, 4]])
    # centroids (0, 0), (4, 0), (0, 4); films lie 1, 1, 1, 1 and 0 from theirs
    distances = centroid_distances(vectors, first_positive(TARGETS))
    assert distances["inter"] == pytest.approx((4 + 4 + np.sqrt(32)) / 3)
    assert distances["intra"] == pytest.approx(2 / 3)
    assert distances["ratio"] == pytest.approx(distances["inter"] / distances["intra"])
    assert np.isnan(centroid_distances(vectors, np.full(5, 1))["ratio"])


# --- against scikit-learn ------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 6), st.booleans())
def test_as_scikit_learn(seed: int, n: int, c: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, c)) < 0.4).astype(np.float32)
    scores = (rng.integers(0, 3, (n, c)) if tied else rng.random((n, c))).astype(np.float32)
    calls = scores > 0.5
    times = rng.integers(0, 3, n)
    times[0] = 1
    figures = outcome(targets, calls, scores, times[None].astype(np.float64))
    again = np.repeat(np.arange(n), times)
    t, s, k = targets[again].astype(int), scores[again], calls[again]
    assert figures.lrap[0] == pytest.approx(sk.label_ranking_average_precision_score(t, s))
    assert figures.coverage_error[0] == pytest.approx(sk.coverage_error(t, s))
    assert figures.exact_match[0] == pytest.approx(sk.accuracy_score(t, k))
    assert figures.macro_f1[0] == pytest.approx(sk.f1_score(t, k, average="macro", zero_division=0))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_random_ranking_is_the_mean_of_many(seed: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    targets = (rng.random((8, c)) < 0.5).astype(np.float32)
    expected = trivial_baselines([f"l{i}" for i in range(c)], targets, targets)["random ranking"]
    draws = rng.permuted(np.tile(np.arange(c, dtype=np.float32), (8 * 400, 1)), axis=1)
    many = np.tile(targets, (400, 1))
    assert lrap(many, draws).mean() == pytest.approx(expected["lrap"], abs=0.03)
    assert coverage_error(many, draws).mean() == pytest.approx(expected["coverage_error"], abs=0.15)


# --- unknown is never negative -------------------------------------------------------------------------------


def test_films_with_an_unknown_label_are_left_out_of_image_wise_figures() -> None:
    targets = np.vstack([TARGETS, np.float32([[np.nan, 1, 0]])])
    scores = np.vstack([SCORES, SCORES[:1]])
    six = np.ones((1, 6))
    assert complete(targets).tolist() == [True] * 5 + [False]
    for name in ("exact_match", "lrap", "coverage_error"):
        with_it, without = (
            getattr(outcome(t, s > 0, s, w), name) for t, s, w in ((targets, scores, six), (TARGETS, SCORES, ONE))
        )
        assert with_it == without
    assert f1(targets, scores > 0, six)[0, 0] == f1(TARGETS, SCORES > 0, ONE)[0, 0]
    assert f1(targets, scores > 0, six)[0, 1] != f1(TARGETS, SCORES > 0, ONE)[0, 1]
    assert trivial_baselines(LABELS, targets, np.full_like(targets, np.nan))["all positive"].get("lrap") is None
