"""Separability: by hand, against scikit-learn and plain loops, on planted clusters, and by what must hold always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, ortho_group
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, davies_bouldin_score, pairwise_distances, silhouette_samples
from sklearn.model_selection import GroupKFold

from explorer.analysis.centroid import centroid_distances, first_positive, resampled_distances
from explorer.analysis.contrast import ComparedFilms, contrast
from explorer.analysis.likeness import cka
from explorer.analysis.neighbour_purity import confusions, lift, neighbours_of_others
from explorer.analysis.patients import same_patient, shuffles
from explorer.analysis.ranking import rank, score
from explorer.analysis.readout import average_precisions, held_out_scores, make_folds
from explorer.analysis.separability import (
    CLASSES,
    MEASURES,
    Labelled,
    Space,
    confusability,
    likeness,
    measure_separability,
)

NAN = float("nan")


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def some_films(seed: int, n: int = 40, labels: int = 3, unknown: float = 0.1) -> tuple[np.ndarray, ...]:
    """Vectors, targets with unknowns, and patients of one to three films."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, labels)) < 0.4).astype(np.float32)
    vectors = unit(rng.normal(size=(n, 5)) + targets @ rng.normal(size=(labels, 5)))
    targets[rng.random(targets.shape) < unknown] = NAN
    return vectors, targets, rng.integers(0, n // 2, n)


def groups(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (targets == 1).astype(np.float32), (targets == 0).astype(np.float32)


# --- patients --------------------------------------------------------------------------------------------------------


def test_a_shuffle_exchanges_whole_patients() -> None:
    patients = np.repeat([7, 3, 5, 9], 2)
    orders = shuffles(patients, 50, seed=0)
    given_ = patients[orders]
    assert (given_[:, ::2] == given_[:, 1::2]).all(), "both rows of a patient go to one patient"
    assert len(np.unique(orders, axis=0)) > 12
    assert (np.sort(orders, axis=1) == np.arange(8)).all()


@given(st.integers(0, 10**6))
def test_a_shuffle_keeps_all_labels_where_patients_differ_in_films(seed: int) -> None:
    patients = some_films(seed)[2]
    for order in shuffles(patients, 3, seed):
        np.testing.assert_array_equal(np.sort(order), np.arange(len(patients)))
        dealt = patients[order][np.argsort(patients, kind="stable")]
        runs = 1 + np.count_nonzero(dealt[1:] != dealt[:-1])
        assert runs <= 2 * len(np.unique(patients)), "a patient's rows stay next to each other"


# --- neighbours ------------------------------------------------------------------------------------------------------

ANGLES = np.radians([0, 1, 2, 90, 91, 92, 180, 181])
CIRCLE = unit(np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]))


def test_neighbours_are_of_other_patients() -> None:
    near = neighbours_of_others(CIRCLE, np.array([0, 0, 1, 2, 3, 4, 5, 6]), 2).toarray()
    assert np.flatnonzero(near[0]).tolist() == [2, 3], "film 1 is nearer, but of the same patient"
    assert np.flatnonzero(near[4]).tolist() == [3, 5]
    assert (near.sum(axis=1) == 2).all()


def test_lift_by_hand() -> None:
    """Positives 0, 1, 3; k = 1. Film 0's nearest is 1, film 1's is 0 or 2 (made 2 by moving it), film 3's is 4."""
    vectors = unit(np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]))
    patients = np.arange(8)
    near = neighbours_of_others(vectors, patients, 2)  # 0: 1 2; 1: 0 2; 3: 4 5
    positive = np.zeros((8, 1), np.float32)
    positive[[0, 1, 3]] = 1
    known = np.ones((8, 1), np.float32)
    # 6 neighbours, 2 positive; at random 2 of the 7 others
    assert lift(near, same_patient(patients), positive, known)[0] == pytest.approx((2 / 6) / (2 / 7))
    known[[2, 5]] = 0  # unknown: not negative, so not counted
    assert lift(near, same_patient(patients), positive, known)[0] == pytest.approx((2 / 3) / (2 / 5))


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_lift_is_the_plain_loop(seed: int) -> None:
    vectors, targets, patients = some_films(seed)
    cosine = vectors @ vectors.T
    positive, negative = groups(targets)
    lifts = lift(neighbours_of_others(vectors, patients, 4), same_patient(patients), positive, positive + negative)
    for c in range(targets.shape[1]):
        hit = seen = could = among = 0
        for i in np.flatnonzero(targets[:, c] == 1):
            others = np.flatnonzero(patients != patients[i])
            near = others[np.argsort(-cosine[i, others])[:4]]
            hit, seen = hit + (targets[near, c] == 1).sum(), seen + (~np.isnan(targets[near, c])).sum()
            could, among = could + (targets[others, c] == 1).sum(), among + (~np.isnan(targets[others, c])).sum()
        assert lifts[c] == pytest.approx((hit / seen) / (could / among))


@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_confusions_are_the_plain_loop(seed: int) -> None:
    vectors, targets, patients = some_films(seed)
    near = neighbours_of_others(vectors, patients, 4)
    orders = shuffles(patients, 3, seed)
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(patients))).astype(np.float32)
    value, shuffled, resampled = confusions(near, targets, orders, weights)

    def plain(targets: np.ndarray, w: np.ndarray) -> np.ndarray:
        out = np.full(value.shape, NAN)
        for a, b in zip(*np.nonzero(~np.eye(len(out), dtype=bool)), strict=True):
            asked = w * ((targets[:, a] == 1) & (targets[:, b] == 0))
            sought = w * ((targets[:, b] == 1) & (targets[:, a] == 0))
            known = w * ~np.isnan(targets[:, [a, b]]).any(axis=1)
            of, could = asked @ (near @ known), sought.sum()
            if of > 0 and could > 0:
                out[a, b] = (asked @ (near @ sought) / of) / (could / known.sum())
        return out

    once = np.ones(len(patients))
    np.testing.assert_allclose(value, plain(targets, once), rtol=1e-5)
    for s, order in enumerate(orders):
        np.testing.assert_allclose(shuffled[s], plain(targets[order], once), rtol=1e-5)
    for b, w in enumerate(weights):
        np.testing.assert_allclose(resampled[b], plain(targets, w), rtol=1e-5)


# --- pairs -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_contrast_is_scikit_learns_and_the_definition(seed: int) -> None:
    vectors, targets, _ = some_films(seed, unknown=0.2)
    films = ComparedFilms.of(vectors.astype(np.float64), same_patient(np.arange(len(vectors))))
    contrasts = contrast(films, *groups(targets))
    for c in range(targets.shape[1]):
        known = ~np.isnan(targets[:, c])
        x, y = vectors[known].astype(np.float64), targets[known, c]
        assert contrasts.silhouette[c] == pytest.approx(
            silhouette_samples(x, y, metric="cosine")[y == 1].mean(), abs=1e-6
        )
        up, down = x[y == 1], x[y == 0]
        variance = [((part - part.mean(0)) ** 2).sum() / (len(part) - 1) for part in (up, down)]
        gap = ((up.mean(0) - down.mean(0)) ** 2).sum() - variance[0] / len(up) - variance[1] / len(down)
        assert contrasts.fisher[c] == pytest.approx(gap / sum(variance), abs=1e-6)
        within = pairwise_distances(up, metric="cosine")[np.triu_indices(len(up), 1)].mean()
        assert contrasts.distance[c] == pytest.approx(pairwise_distances(up, down, metric="cosine").mean() / within)


def test_a_patients_own_films_are_no_evidence() -> None:
    """Two positives of one patient lie together; those of another patient do not."""
    vectors = CIRCLE[[0, 1, 6, 3, 4]]
    positive = np.array([[1], [1], [1], [0], [0]], np.float32)
    films = ComparedFilms.of(vectors, same_patient(np.array([0, 0, 1, 2, 3])))
    contrasts = contrast(films, positive, 1 - positive)
    assert contrasts.distance[0] == pytest.approx(0.5, abs=0.01), "about 1 from the negatives, about 2 from each other"
    alone = ComparedFilms.of(vectors, same_patient(np.array([0, 0, 0, 1, 2])))
    assert all(np.isnan(part[0]) for part in contrast(alone, positive, 1 - positive))


def test_weights_are_repeated_films() -> None:
    vectors, targets, patients = some_films(5, unknown=0)
    times = np.random.default_rng(0).integers(0, 3, patients.max() + 1)[patients]  # by patient
    again = np.repeat(np.arange(len(patients)), times)
    up, down = groups(targets)
    weighted = contrast(
        ComparedFilms.of(vectors, same_patient(patients)),
        up * times[:, None],
        down * times[:, None],
        np.flatnonzero(times),
    )
    repeated = contrast(ComparedFilms.of(vectors[again], same_patient(patients[again])), up[again], down[again])
    np.testing.assert_allclose(weighted, repeated, rtol=1e-3, atol=1e-5)


# --- readout ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_the_readout_is_scikit_learns_ridge_on_films_not_seen(seed: int) -> None:
    vectors, targets, patients = some_films(seed, n=60, unknown=0)
    up, down = groups(targets)
    held_out = held_out_scores(vectors, make_folds(vectors, patients, seed), up, down)
    for train, held in GroupKFold(5, shuffle=True, random_state=seed).split(vectors, groups=patients):
        assert not set(patients[train]) & set(patients[held])
        x = vectors[train].astype(np.float64)
        centred = x - x.mean(0)
        share = max(ledoit_wolf_shrinkage(centred, assume_centered=True), 1e-3)
        assume(share < 1)
        scale = (centred**2).sum() / x.size
        for c in range(targets.shape[1]):
            if len(np.unique(targets[train, c])) < 2:
                continue
            model = Ridge(len(x) * scale * share / (1 - share)).fit(x, targets[train, c])
            scores = (vectors[held] - x.mean(0)) @ model.coef_
            shrunk = (1 - share) * centred.T @ centred / len(x) + share * scale * np.eye(x.shape[1])
            scores /= np.sqrt(model.coef_ @ shrunk @ model.coef_)
            np.testing.assert_allclose(held_out[held, c], scores, atol=2e-4)


def test_the_readout_does_not_score_what_it_was_fitted_on() -> None:
    """Noise in more dimensions than films: a readout fitted on what it scores would be perfect."""
    rng = np.random.default_rng(0)
    vectors, targets = unit(rng.normal(size=(60, 200))), (rng.random((60, 1)) < 0.5).astype(np.float32)
    scores = held_out_scores(vectors, make_folds(vectors, np.arange(60), 0), *groups(targets))
    assert score(rank(targets[:, 0], scores[:, 0]), np.ones((60, 1), np.float32), ["average_precision"])[0, 0] < 0.7


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_average_precision_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.choice([0, 1, NAN], (30, 2)).astype(np.float32)
    targets[:2] = [[0, 1], [1, 0]]
    scores = rng.permutation(60).reshape(30, 2).astype(np.float32)
    up, down = groups(targets)
    precisions = average_precisions(scores, up, up + down)
    for c in range(2):
        known = ~np.isnan(targets[:, c])
        assert precisions[c] == pytest.approx(average_precision_score(targets[known, c], scores[known, c]))


# --- the paper's classes ---------------------------------------------------------------------------------------------


def test_davies_bouldin_is_scikit_learns() -> None:
    vectors, targets, _ = some_films(3)
    classes = first_positive(targets)
    has = classes >= 0
    distances = centroid_distances(vectors, classes)
    assert distances["davies_bouldin"] == pytest.approx(davies_bouldin_score(vectors[has], classes[has]))
    weights = np.random.default_rng(0).integers(0, 3, (5, len(classes)))
    many = resampled_distances(vectors, classes[None], weights)
    for b, w in enumerate(weights):
        again = np.repeat(np.arange(len(classes)), w)
        one = centroid_distances(vectors[again], classes[again])
        for name, value in one.items():
            assert many[name][b] == pytest.approx(value, rel=1e-3)
    shuffled = np.stack([np.random.default_rng(b).permutation(classes) for b in range(4)])
    moved = resampled_distances(vectors, shuffled, np.ones((1, len(classes))))
    for b, labels in enumerate(shuffled):
        for name, value in centroid_distances(vectors, labels).items():
            assert moved[name][b] == pytest.approx(value, rel=1e-3)


# --- spaces against each other ---------------------------------------------------------------------------------------


def test_cka_sees_through_rotation_and_finds_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    x, patients = unit(rng.normal(size=(80, 100))), np.arange(80)
    turned = (x @ ortho_group.rvs(100, random_state=0)).astype(np.float32)
    assert cka(x, turned, patients, 0)[0] == pytest.approx(1, abs=1e-5)
    value, low, high = cka(x, unit(rng.normal(size=(80, 100))), patients, 0)
    assert low < 0 < high and abs(value) < 0.1, "the plain estimate would be above 0.5"


def test_cka_is_its_definition() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 12, 3))

    def hsic(k: np.ndarray, m: np.ndarray) -> float:  # Song et al. (2012), equation 5
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        corner = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
        return float((np.trace(k @ m) + corner) / (n * (n - 3)))

    kernels = x @ x.T, y @ y.T
    expected = hsic(*kernels) / np.sqrt(hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1]))
    assert cka(x, y, np.arange(12), 0)[0] == pytest.approx(expected)


# --- the board -------------------------------------------------------------------------------------------------------


def board(vectors: np.ndarray, targets: np.ndarray, patients: np.ndarray, permutations: int = 99, resamples: int = 200):
    names = [f"label {c}" for c in range(targets.shape[1])]
    films = Labelled.of(names, targets, patients, permutations=permutations, resamples=resamples, seed=0)
    frame = measure_separability(Space.of(vectors, films), films)
    return frame.set_index(["measure", "label"])


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """160 films of 120 patients: label 0 is a cluster, 1 is noise, 2 has no positive, 3 is never known."""
    rng = np.random.default_rng(4)
    patients = np.concatenate([np.arange(120), rng.integers(0, 120, 40)])
    targets = np.zeros((160, 4), np.float32)
    targets[:, 0] = rng.random(120)[patients] < 0.2
    targets[:, 1] = rng.random(120)[patients] < 0.2
    vectors = unit(rng.normal(size=(160, 16)) + 0.7 * targets[:, [0]] * rng.normal(size=16))
    targets[rng.random(160) < 0.1, 1] = NAN
    targets[:, 3] = NAN
    return vectors, targets, patients


def test_a_planted_cluster_separates_and_noise_does_not() -> None:
    figures = board(*planted())
    for measure in MEASURES:
        cluster, noise = figures.loc[(measure, "label 0")], figures.loc[(measure, "label 1")]
        assert cluster["p_adjusted"] <= 0.02
        assert cluster["ci_low"] > cluster["null_high"]
        assert noise["p_adjusted"] > 0.05
        assert noise["null_low"] < noise["value"] < noise["null_high"]
    assert figures.loc[("lift", "label 1"), "ci_low"] < 1 < figures.loc[("lift", "label 1"), "ci_high"]
    assert figures.loc[("lift", "label 0"), "value"] > 3


def test_a_label_without_positives_has_counts_and_no_figure() -> None:
    _, targets, _ = planted()
    rows = board(*planted())
    figures = ["value", "ci_low", "ci_high", "baseline", "null_low", "null_high", "p", "p_adjusted"]
    for label, counts in (("label 2", [0, 160, 0]), ("label 3", [0, 0, 160])):
        for measure in MEASURES:
            row = rows.loc[(measure, label)]
            assert row[figures].isna().all()
            assert row[["n_pos", "n_neg", "n_unknown"]].tolist() == counts
    unknown = rows.loc[("lift", "label 1"), "n_unknown"]
    assert unknown == np.isnan(targets[:, 1]).sum() > 0


def test_unknown_is_not_negative() -> None:
    """Films where a label is unknown do not move its figures by what they would have been."""
    vectors, targets, patients = planted()
    half = targets.copy()
    half[::3, 0] = NAN
    kept = ~np.isnan(half[:, 0])
    up, down = groups(half[:, [0]])
    films = ComparedFilms.of(vectors, same_patient(patients))
    some = ComparedFilms.of(vectors[kept], same_patient(patients[kept]))
    np.testing.assert_allclose(contrast(films, up, down), contrast(some, up[kept], down[kept]), rtol=1e-4)
    figures = board(vectors, half, patients).loc[("average_precision", "label 0")]
    assert figures["n_unknown"] == (~kept).sum()
    assert figures["value"] > 0.7


def test_random_labels_are_told_apart_as_often_as_chance_says() -> None:
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 130, 160)
    targets = (rng.random((130, 60)) < 0.2).astype(np.float32)[patients]
    targets[rng.random(targets.shape) < 0.05] = NAN
    # films of a patient lie together, and share their labels: shuffling films would call this separation
    vectors = unit(rng.normal(size=(160, 8)) + 2 * rng.normal(size=(130, 8))[patients])
    figures = board(vectors, targets, patients).drop(CLASSES, level="label")
    for measure in MEASURES:
        assert kstest(figures.loc[measure, "p"], "uniform").pvalue > 1e-3
    purity = figures.loc["lift"]
    assert ((purity["ci_low"] <= 1) & (1 <= purity["ci_high"])).mean() > 0.85


@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_neither_the_order_of_films_nor_a_rotation_matters(seed: int) -> None:
    vectors, targets, patients = some_films(seed, n=50)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(patients))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    before = board(vectors, targets, patients, 3, 5)
    after = board((vectors[order] @ turn).astype(np.float32), targets[order], patients[order], 3, 5)
    np.testing.assert_allclose(after["value"], before["value"], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_very_few_films_give_counts_and_no_crash(n: int) -> None:
    vectors, targets, _ = some_films(0, n=8)
    figures = board(vectors[:n], targets[:n], np.arange(n), 3, 5)
    assert (figures["n_pos"] + figures["n_neg"] + figures["n_unknown"] == n).all()
    films = Labelled.of("abc", targets[:n], np.arange(n), permutations=3, resamples=5, seed=0)
    space = Space.of(vectors[:n], films)
    assert len(confusability(space, films)) == 6
    assert np.isnan(likeness(space, space, films)["value"].iloc[0])


def test_likeness_of_a_space_with_itself_is_whole_and_with_noise_is_chance() -> None:
    rng = np.random.default_rng(0)
    x, other = unit(rng.normal(size=(200, 20))), unit(rng.normal(size=(200, 20)))
    films = Labelled.of("a", np.zeros((200, 1), np.float32), np.arange(200), permutations=2, resamples=200, seed=0)
    one, noise = Space.of(x, films), Space.of(other, films)
    assert likeness(one, one, films)["value"].tolist() == pytest.approx([1, 1])
    for _, row in likeness(one, noise, films).iterrows():
        assert row["ci_low"] <= row["baseline"] <= row["ci_high"]
