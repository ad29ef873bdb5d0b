"""Error slices: figures by hand, what may choose a film, and planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import t

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.slices import (
    FILM_COLUMNS,
    NAME_COLUMNS,
    SLICE_COLUMNS,
    Slices,
    Traits,
    excess,
    find_slices,
    fit,
    reduce,
    risk_error,
    traits,
)
from explorer.analysis.subgroups import Attribute, Scores
from tests.validation.slices import a_set, found, sure


def test_excess_is_the_jackknife_s_by_hand() -> None:
    rng = np.random.default_rng(0)
    patients, loss, inside = rng.integers(0, 25, 60), rng.random(60), rng.random(60) < 0.4
    kept = [patients != patient for patient in np.unique(patients)]
    without = np.array([loss[k & inside].mean() - loss[k & ~inside].mean() for k in kept])
    value = loss[inside].mean() - loss[~inside].mean()
    error = np.sqrt((len(without) - 1) * without.var())
    degrees = min(len(np.unique(patients[side])) for side in (inside, ~inside)) - 1
    figure = excess(loss, inside, patients)
    reach = t.ppf(0.975, degrees) * error
    assert (figure.value, figure.low, figure.high) == pytest.approx((value, value - reach, value + reach))
    assert figure.p == pytest.approx(2 * t.sf(abs(value) / error, degrees))


def test_films_that_all_lack_a_rare_label_are_no_sure_error() -> None:
    inside, answers = np.arange(150) < 50, np.zeros(150)
    answers[[60, 110]] = 1  # 2% of the others have it
    figure = risk_error(answers, np.full(150, 0.02), inside, np.arange(150))
    assert figure.value == pytest.approx(-0.02)
    error = np.sqrt(0.02 * 0.98 * (1 / 50 + 1 / 100))
    assert figure.high - figure.value == pytest.approx(t.ppf(0.975, 49) * error)
    assert figure.p > 0.05


def test_where_answers_vary_more_than_p_says_patients_decide() -> None:
    answers = np.repeat(np.tile([0.0, 1.0], 20), 5)  # a patient's five films are alike
    patients, inside, p = np.repeat(np.arange(40), 5), np.arange(200) < 100, np.full(200, 0.5)
    assert risk_error(answers, p, inside, patients) == excess(answers - p, inside, patients)


def test_probabilities_that_are_wrong_everywhere_are_no_slice_s_error() -> None:
    answers, inside = np.tile([0.0, 1.0], 50), np.arange(100) < 40
    figure = risk_error(answers, np.full(100, 0.1), inside, np.arange(100))
    assert figure.value == pytest.approx(0)


def test_a_mixture_assigns_by_embedding_alone() -> None:
    rng = np.random.default_rng(1)
    reduced = np.concatenate([rng.normal(-3, 1, (60, 2)), rng.normal(3, 1, (60, 2))])
    mixture = fit(reduced, np.repeat([0.0, 1.0], 60), 120, seed=0)
    member = mixture.assign(reduced)
    assert len(np.unique(member[:60])) and not set(member[:60]) & set(member[60:])
    densities = [
        weight * np.prod(np.exp(-((reduced - mean) ** 2) / variance / 2) / np.sqrt(variance), axis=1)
        for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True)
    ]
    assert (member == np.argmax(densities, axis=0)).all()


def test_components_have_unit_variance_where_they_are_fitted() -> None:
    vectors = np.random.default_rng(2).normal(size=(80, 30)).astype(np.float32) * np.arange(1, 31, dtype=np.float32)
    reduced = reduce(vectors, np.arange(50), seed=0)
    assert reduced.shape == (80, 16)
    np.testing.assert_allclose(reduced[:50].var(axis=0, ddof=1), 1, rtol=1e-3)
    np.testing.assert_allclose(reduced[:50].mean(axis=0), 0, atol=1e-4)


def a_marked_set(seed: int, unknown: bool = False) -> tuple[Slices, np.ndarray, np.ndarray, np.ndarray]:
    """Label a's scores of marked positives are turned off; slices, marker, targets and splits."""
    rng = np.random.default_rng(seed)
    n = 900
    splits = np.repeat(np.array(["train", "val", "test"], object), 300)
    marked = rng.random(n) < 0.3
    targets = (rng.random((n, 1)) < 0.5).astype(np.float32)
    reduced = rng.normal(size=(n, 3)) + 4 * marked[:, None]
    logits = (4 * targets - 2) * ~marked[:, None] - 2 * marked[:, None] + 0.1 * rng.normal(size=(n, 1))
    if unknown:
        targets[rng.random(n) < 0.2] = np.nan
    scores = Scores(logits.astype(np.float32), np.zeros(1, np.float32), expit(logits))
    named = Traits(
        [("attribute", "marker: yes"), ("word", "nothing")], np.stack([marked, ~marked], 1), np.ones((n, 2), bool)
    )
    args = (["a"], targets, {"one": scores}, {"one": reduced}, np.arange(n), splits, named, 0)
    return find_slices(*args), marked, targets[:, 0], splits


def test_a_planted_slice_has_the_figures_of_its_films_and_the_marker_s_name() -> None:
    slices, marked, targets, splits = a_marked_set(0, unknown=True)
    assert tuple(slices.slices.columns) == SLICE_COLUMNS
    assert tuple(slices.names.columns) == NAME_COLUMNS
    assert tuple(slices.films.columns) == FILM_COLUMNS
    row = slices.slices.iloc[0]
    assert (row["label"], row["state"], row["regime"]) == ("a", "positive", "one")
    assert row["p_adjusted"] < 0.001
    rows = slices.films.loc[slices.films["slice"] == row["slice"], "row"].to_numpy()
    assert set(targets[rows]) == {1.0}, "unknown and negative films are in no slice of positives"
    assert marked[rows].mean() > 0.95
    assert set(splits[rows]) == {"val", "test"}
    assert (row["n_val"], row["n"]) == tuple((splits[rows] == split).sum() for split in ("val", "test"))
    assert row["n"] + row["n_elsewhere"] == ((splits == "test") & (targets == 1)).sum()
    assert row["excess"] == pytest.approx(row["error"] - row["elsewhere"])
    assert row["wrong"] > 0.95 and row["wrong_elsewhere"] < 0.2
    (name,) = slices.names[slices.names["slice"] == row["slice"]].to_dict("records")
    assert (name["kind"], name["name"]) == ("attribute", "marker: yes")
    seen = (splits != "test") & (targets == 1)
    assert name["base"] == pytest.approx(marked[seen].mean())
    assert name["lift"] == pytest.approx(name["n_with"] / name["n"] / name["base"])


def test_a_test_film_s_own_score_does_not_choose_its_slice() -> None:
    rng = np.random.default_rng(3)
    n, splits = 400, np.repeat(np.array(["val", "test"], object), 200)
    targets, reduced = np.ones((n, 1), np.float32), rng.normal(size=(n, 4))
    logits = rng.normal(size=(n, 1)).astype(np.float32)
    named = Traits([], np.zeros((n, 0), bool), np.zeros((n, 0), bool))

    def films(scores: np.ndarray) -> pd.DataFrame:
        given = {"one": Scores(scores, np.zeros(1, np.float32), expit(scores.astype(float)))}
        return find_slices(["a"], targets, given, {"one": reduced}, np.arange(n), splits, named, 0).films

    first = films(logits)
    assert len(first)
    other = logits.copy()
    other[splits == "test"] = rng.permutation(other[splits == "test"])
    pd.testing.assert_frame_equal(films(other), first)


def test_too_few_patients_make_no_slice() -> None:
    n = 4 * ENOUGH - 2
    splits = np.repeat(np.array(["val", "test"], object), n // 2)
    named = Traits([], np.zeros((n, 0), bool), np.zeros((n, 0), bool))
    logits = np.random.default_rng(0).normal(size=(n, 1)).astype(np.float32)
    scores = {"one": Scores(logits, np.full(1, np.nan, np.float32), expit(logits.astype(float)))}
    tables = find_slices(["a"], np.ones((n, 1), np.float32), scores, {"one": logits}, np.arange(n), splits, named, 0)
    assert [len(table) for table in tables] == [0, 0, 0]
    assert tables.slices["excess"].dtype == np.float64


def test_slices_are_named_by_findings_groups_and_words_of_train() -> None:
    way = Attribute("sex", ("F", "M"), np.array([0, 1, -1, 0, 1]))
    reports = ["clear lungs", "clear lungs seen", "", "clear lungs", "portable"]
    result = traits(["a"], np.float32([[1], [0], [np.nan], [1], [0]]), [way], reports, np.array([1, 1, 1, 1, 1], bool))
    assert result.names == [
        ("finding", "a"),
        ("attribute", "sex: F"),
        ("attribute", "sex: M"),
        ("word", "clear"),
        ("word", "lungs"),
    ]
    assert result.has[:, 3].tolist() == [True, True, False, True, False]
    assert result.known[2].tolist() == [False] * 5, "without label, sex and report nothing is known"


@pytest.mark.parametrize("by_embedding", [False, True])
def test_nothing_planted_is_not_claimed(by_embedding: bool) -> None:
    """The share of claims over more sets is in docs/validation.md."""
    claims = [len(sure(a_set(np.random.default_rng(seed), 200, by_embedding=by_embedding).slices)) for seed in range(4)]
    assert sum(map(bool, claims)) <= 1


def test_a_label_turned_off_by_a_marker_is_found() -> None:
    hits = [found(a_set(np.random.default_rng(seed), 800, off=3.5)) for seed in range(3)]
    assert sum(hits) >= 2
