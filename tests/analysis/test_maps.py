"""Maps: they repeat with a seed, keep what is near near, and their trust figures are right."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from explorer.analysis import map_trust
from explorer.analysis.map_trust import (
    DENSITY,
    KEPT,
    TRUST,
    align_layout,
    disparity,
    doubts,
    layout_disparity,
    point_trust,
    trust,
)
from explorer.analysis.maps import stability, umap_map


def clusters(n: int = 90, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    group = np.arange(n) % 3
    vectors = (np.eye(dim)[group] * 3 + rng.normal(size=(n, dim)) * 0.3).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), group


def test_a_map_repeats_exactly_and_parts_what_is_apart() -> None:
    vectors, group = clusters()
    one = umap_map(vectors, 10, seed=3)
    assert one.shape == (90, 2)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.array_equal(one, umap_map(vectors, 10, seed=3))
    assert not np.array_equal(one, umap_map(vectors, 10, seed=4))
    near = np.argsort(((one[:, None] - one[None]) ** 2).sum(-1), axis=1)[:, 1:6]
    assert (group[near] == group[:, None]).mean() > 0.95
    # started from another map it keeps that map's layout: every group stays nearest to where it was
    moved = umap_map(vectors, 10, seed=5, init=one)
    there = [np.stack([layout[group == g].mean(0) for g in range(3)]) for layout in (one, moved)]
    for side in range(2):
        assert np.corrcoef(there[0][:, side], there[1][:, side])[0, 1] > 0.5
    # as few films as there may be, and no complaint on the way
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*n_neighbors.*")
        for n in (4, 6, 11):
            assert np.isfinite(umap_map(vectors[:n], 15, seed=0)).all()


def test_a_map_started_from_another_lies_on_it() -> None:
    vectors, _ = clusters()
    first = umap_map(vectors, 10, seed=3)
    moved = umap_map(vectors, 10, seed=5, init=first)
    turned = first @ np.array([[0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    # Procrustes has nothing left to do: turning the first map turns the second with it
    assert np.allclose(align_layout(moved, first), moved, atol=1e-3)
    assert np.allclose(align_layout(turned, first), first, atol=1e-4)
    assert disparity(turned * 3 + 7, first) == pytest.approx(0, abs=1e-6)
    scattered = np.random.default_rng(0).permutation(first)
    assert disparity(scattered, first) > 0.8
    assert layout_disparity([first, turned, scattered])[1] == pytest.approx(
        max(disparity(scattered, first), disparity(scattered, turned))
    )


def test_what_another_seed_moves_is_said() -> None:
    vectors, _ = clusters()
    figures = stability(vectors, umap_map(vectors, 10, seed=0), 10, seed=0)
    assert figures == stability(vectors, umap_map(vectors, 10, seed=0), 10, seed=0)
    assert 0 <= figures["spread"] <= figures["spread_max"] <= 1
    assert (figures["reseeds"], figures["spread_n"]) == (2, 90)


def test_trust_by_hand() -> None:
    # on a circle in the space 0-1-2-3-4-5 lie in order; the map swaps the places of 0 and 3
    angle = np.array([0.0, 0.1, 0.25, 0.45, 0.7, 1.0])
    space = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    flat = np.stack([angle, np.zeros(6)], axis=1).astype(np.float32)
    assert point_trust(space, flat, 1, np.arange(6))[:, :3].tolist() == [[1, 1, 1]] * 6
    swapped = flat[[3, 1, 2, 0, 4, 5]]
    points = point_trust(space, swapped, 1, np.arange(6))
    # film 0's nearest in the space is 1; on the map it stands at 0.45, nearest 2 (at 0.25), which is 2nd in the space.
    # On the map, 1 (at 0.1) is 3rd from it after 2 and 4 (0.7). One rank costs 1 / (k (2n - 3k - 1) / 2) = 1 / 4.
    assert points[0, :3].tolist() == pytest.approx([1 - 1 / 4, 1 - 2 / 4, 0])
    assert points[0, DENSITY] == pytest.approx(np.cos(0.1), abs=1e-6)


@pytest.mark.parametrize("n", [60, 300])
def test_trust_is_sklearns_and_a_random_map_has_half(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_trust, "CELLS", 7 * n)  # several chunks, the last one short
    rng = np.random.default_rng(0)
    space = rng.normal(size=(n, 8)).astype(np.float32)
    space /= np.linalg.norm(space, axis=1, keepdims=True)
    for layout in (space[:, :2], rng.normal(size=(n, 2)).astype(np.float32)):
        points, figures = trust(space, layout, 10, seed=0)
        oracle = trustworthiness(space, layout, n_neighbors=10, metric="cosine")
        assert figures["trustworthiness"] == pytest.approx(oracle, abs=1e-6)
        # continuity is trustworthiness with the two sides exchanged; cosine ranks unit vectors as Euclid does
        assert figures["continuity"] == pytest.approx(trustworthiness(layout, space, n_neighbors=10), abs=1e-6)
        assert points.mean(axis=0)[KEPT] == pytest.approx(figures["knn_overlap"], abs=1e-6)
    assert figures["trustworthiness"] == pytest.approx(0.5, abs=0.06)
    assert figures["continuity"] == pytest.approx(0.5, abs=0.06)
    assert figures["knn_overlap"] == pytest.approx(figures["knn_overlap_baseline"], abs=0.04)
    assert figures["knn_overlap_baseline"] == pytest.approx(10 / (n - 1))


def test_trust_does_not_hang_on_the_order_or_the_turn_of_a_map() -> None:
    rng = np.random.default_rng(1)
    space = rng.normal(size=(80, 5)).astype(np.float32)
    space /= np.linalg.norm(space, axis=1, keepdims=True)
    layout = space[:, :2] + rng.normal(size=(80, 2)).astype(np.float32) * 0.2
    points, _ = trust(space, layout, 8, seed=0)
    order = rng.permutation(80)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], dtype=np.float32)
    moved, _ = trust(space[order], layout[order] @ turn * 5 + 3, 8, seed=0)
    assert np.allclose(moved, points[order], atol=1e-5)


def test_twins_whose_cosine_rounds_above_one_have_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.concatenate([vectors, vectors])
    assert (vectors @ vectors.T - np.eye(len(vectors)) * 2 > 1).any(), "some pair rounds above 1"
    points, _ = trust(vectors, rng.normal(size=(800, 2)).astype(np.float32), 15, seed=0)
    assert np.isfinite(points).all()
    assert (points[:, DENSITY] <= 1).all()


def test_torn_and_faked_points_are_told_apart() -> None:
    # two groups in the space; the map sets film 0 among the other group: it is torn from its own and faked into another
    vectors, group = clusters(60)
    layout = np.stack([group * 10.0, np.arange(60) % 10], axis=1).astype(np.float32)
    layout += np.random.default_rng(0).normal(size=layout.shape).astype(np.float32) * 0.1
    layout[0] = [20.0, 5.05]
    points, figures = trust(vectors, layout, 10, seed=0)
    assert doubts(points)[0] == 3
    assert points[0, TRUST] == points[:, TRUST].min()
    assert figures["doubtful"] == pytest.approx((doubts(points) > 0).mean())


def test_many_films_are_measured_on_a_sample_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = clusters()
    layout = vectors[:, :2]
    everything, _ = trust(vectors, layout, 10, seed=0)
    monkeypatch.setattr(map_trust, "TRUST_ROWS", 50)
    points, figures = trust(vectors, layout, 10, seed=0)
    measured = ~np.isnan(points[:, 0])
    assert figures["n"] == measured.sum() == 50
    assert np.allclose(points[measured], everything[measured], atol=1e-6), (
        "each against all films, not against the sample"
    )
    assert (doubts(points)[~measured] == 0).all()
    assert trust(vectors[:5], vectors[:5, :2], 10, seed=0)[1]["k"] == 2
