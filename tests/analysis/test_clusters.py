"""Clusters, lifts and places: hand-computed cases and planted structure."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.analysis.clusters import describe_clusters, find_clusters
from explorer.analysis.composition import lifts
from explorer.analysis.modality_gap import centroids, halves_gap, modality_gap, place

LABELS = ("No Finding", "Edema", "Fracture")


def planted(n: int = 400, groups: int = 6, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    group = rng.integers(0, groups, n)
    vectors = np.eye(dim)[group] * 4 + rng.normal(size=(n, dim)) * 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


def test_planted_groups_are_found_in_any_order_and_any_turn() -> None:
    vectors, group = planted()
    codes = find_clusters(vectors, seed=0)
    assert codes.dtype == np.int16
    assert len(np.unique(codes)) == 6
    assert all(len(np.unique(codes[group == g])) == 1 for g in range(6))
    assert np.bincount(codes).tolist() == sorted(np.bincount(group).tolist(), reverse=True)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))[0].astype(np.float32)
    same = find_clusters(vectors @ turn, seed=0)
    assert len({(a, b) for a, b in zip(codes.tolist(), same.tolist(), strict=True)}) == 6
    assert find_clusters(vectors[:5], seed=0).tolist() == [0] * 5


def test_a_cluster_is_named_by_what_it_has_more_of_and_judged_where_the_name_was_not_chosen() -> None:
    codes = np.repeat([0, 1], 100).astype(np.int16)
    train = np.tile([True, False], 100)
    targets = np.zeros((200, 3), dtype=np.float32)
    targets[codes == 0, 1] = 1  # all of cluster 0 has Edema,
    targets[:10, 1] = np.nan  # five films of train and five others not known
    targets[codes == 0, 2] = np.tile([1, 0], 50)  # Fracture in cluster 0's train films alone: the name does not hold
    reports = ["Perihilar haze." if c == 0 else "Clear lungs." for c in codes]
    first, second = describe_clusters(codes, targets, LABELS, reports, train)
    assert first.name in ("Edema + Fracture", "Fracture + Edema")
    by_label = {f.label: f for f in first.findings}
    assert (by_label["Edema"].n, by_label["Edema"].n_pos, by_label["Edema"].purity) == (45, 45, 1.0)
    assert by_label["Edema"].base == pytest.approx(45 / 95)
    assert by_label["Edema"].lift == pytest.approx(95 / 45)
    assert (by_label["Fracture"].purity, by_label["Fracture"].lift) == (0, 0)
    assert set(first.words) == {"perihilar", "haze"}
    assert second.name == "Mixed"
    assert second.findings == ()
    assert set(second.words) == {"clear", "lungs"}


def test_a_name_that_no_film_outside_train_can_judge_is_not_given() -> None:
    codes = np.repeat([0, 1], 100).astype(np.int16)
    train = np.repeat([True, False], 100)  # the whole of cluster 0
    targets = np.zeros((200, 3), dtype=np.float32)
    targets[:50, 1] = targets[150:, 1] = 1
    codes[50:100] = 1
    first, second = describe_clusters(codes, targets, LABELS, [""] * 200, train)
    assert (first.name, first.findings) == ("Mixed", ())
    assert all(np.isfinite(finding.lift) for finding in second.findings)


def test_a_random_group_is_not_named() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((600, 14)) < 0.2).astype(np.float32)
    codes = rng.integers(0, 6, 600).astype(np.int16)
    named = describe_clusters(codes, targets, [str(i) for i in range(14)], [""] * 600, rng.random(600) < 0.7)
    assert [one.name for one in named] == ["Mixed"] * 6


def test_lifts_by_hand() -> None:
    targets = np.array([[1, 1, 0], [1, 0, 0], [0, np.nan, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    chosen = np.array([True, True, True, False, False, False])
    frame = lifts(targets, chosen, np.arange(6), LABELS).set_index("label")
    assert frame.loc["No Finding", ["n_pos", "n", "share", "base", "lift"]].tolist() == pytest.approx(
        [2, 3, 2 / 3, 2 / 6, 2]
    )
    assert frame.loc["Edema", ["n_pos", "n", "share", "base", "lift"]].tolist() == pytest.approx(
        [1, 2, 1 / 2, 2 / 5, 5 / 4]
    )
    assert np.isnan(frame.loc["Fracture", ["lift", "low", "high"]].to_numpy(dtype=float)).all()
    assert (frame["low"] <= frame["lift"]).iloc[:2].all()
    assert (frame["lift"] <= frame["high"]).iloc[:2].all()


def test_a_random_selections_interval_covers_1_and_patients_widen_it() -> None:
    rng = np.random.default_rng(0)
    n_patients, covered, wider = 200, [], []
    for _ in range(200):
        patients = np.repeat(np.arange(n_patients), 3)
        targets = np.repeat(rng.random(n_patients) < 0.3, 3).astype(np.float32)[:, None]  # a patient's films agree
        chosen = np.repeat(rng.random(n_patients) < 0.25, 3)
        row = lifts(targets, chosen, patients, ("x",)).iloc[0]
        alone = lifts(targets, chosen, np.arange(len(patients)), ("x",)).iloc[0]
        covered.append(row.low <= 1 <= row.high)
        wider.append((row.high / row.low) > (alone.high / alone.low))
    assert 0.9 <= np.mean(covered) <= 0.99
    assert all(wider)


def test_a_selection_without_a_label_has_an_upper_end() -> None:
    targets = np.zeros((100, 1), dtype=np.float32)
    targets[50:60] = 1
    row = lifts(targets, np.arange(100) < 40, np.arange(100), ("x",)).iloc[0]
    assert (row.lift, row.low) == (0, 0)
    assert 1 < row.high < 5, "no positive of 40 where 4 were to be expected leaves little room"


def test_a_text_stands_among_the_films_most_like_it() -> None:
    vectors, group = planted()
    layout = np.stack([group * 10.0, group * -3.0], axis=1).astype(np.float32)
    middle = centroids(vectors, (group[:, None] == np.arange(7)).astype(np.float32))  # the last has no film
    assert np.isnan(middle[6]).all()
    assert np.allclose(np.linalg.norm(middle[:6], axis=1), 1, atol=1e-5)
    places = place(middle[:6], vectors, layout, 15)
    assert places.tolist() == [[g * 10.0, g * -3.0] for g in range(6)]


def test_the_modality_gap_by_hand_and_without_one() -> None:
    images = np.array([[1, 0], [0, 1]], dtype=np.float32)
    texts = np.array([[-1, 0], [0, -1]], dtype=np.float32)
    weights = np.array([[1, 1], [2, 0]], dtype=float)
    assert modality_gap(images, texts, weights).tolist() == pytest.approx([np.sqrt(2), np.hypot(1.5, 0.5)])
    vectors, _ = planted()
    assert halves_gap(vectors, np.arange(len(vectors)), seed=0) < 0.15


def test_a_group_with_all_positives_is_as_sure_as_their_patients_are_many() -> None:
    for n_patients in (1, 5, 40):
        targets = np.zeros((400, 1), np.float32)
        targets[:n_patients] = 1
        chosen = np.arange(400) < 200
        row = lifts(targets, chosen, np.arange(400), ["Edema"]).iloc[0]
        assert row["lift"] == pytest.approx(2)
        assert row["low"] == pytest.approx(2 * 0.025 ** (1 / n_patients), rel=0.02)
    assert row["low"] > 1, "forty of forty is no chance"
    of_one_patient = lifts(targets, chosen, np.where(np.arange(400) < 40, 0, np.arange(400)), ["Edema"]).iloc[0]
    assert of_one_patient["low"] < 1
    everything = lifts(targets, np.ones(400, bool), np.arange(400), ["Edema"]).iloc[0]
    assert everything["lift"] == everything["low"] == pytest.approx(1)
