"""Maps: they repeat with a seed, keep what is near near, and their trust figures are right."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from explorer.analysis import maps
from explorer.analysis.maps import trust, umap_map


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


def test_a_faithful_map_is_trusted_and_a_random_one_is_not() -> None:
    angle = np.linspace(0, 1.5, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    good = trust(circle, circle, 10, seed=0)
    assert good["trustworthiness"] > 0.99
    assert good["knn_overlap"] > 0.9
    scattered = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    bad = trust(circle, scattered, 10, seed=0)
    assert bad["trustworthiness"] < 0.6
    assert bad["knn_overlap"] == pytest.approx(bad["knn_overlap_baseline"], abs=0.04)
    assert bad["knn_overlap_baseline"] == pytest.approx(10 / 199)
    assert bad["trustworthiness"] == pytest.approx(trustworthiness(circle, scattered, n_neighbors=10, metric="cosine"))
    assert (good["k"], good["n"]) == (10, 200)


def test_many_rows_are_sampled_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "TRUST_ROWS", 50)
    vectors, _ = clusters()
    figures = trust(vectors, vectors[:, :2], 10, seed=0)
    assert figures["n"] == 50
    assert figures == trust(vectors, vectors[:, :2], 10, seed=0)
    assert trust(vectors[:5], vectors[:5, :2], 10, seed=0)["k"] == 2
