"""Neighbours against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.analysis.neighbours import build_index, knn, search


def unit(n: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 999), st.data())
def test_search_is_the_brute_force(n: int, k: int, seed: int, data: st.DataObject) -> None:
    vectors = unit(n, seed=seed)
    out = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=n, unique=True)), dtype=np.int64)
    query = unit(1, seed=seed + 1)[0]
    rows, similarities = search(build_index(vectors), query, k, out)
    brute = vectors @ query
    allowed = np.setdiff1d(np.arange(n), out)
    expected = np.sort(brute[allowed])[::-1][:k]
    assert len(rows) == min(k, len(allowed))
    assert len(set(rows)) == len(rows)
    assert not set(rows) & set(out)
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    np.testing.assert_allclose(similarities, brute[rows], atol=1e-6)


def test_a_film_is_its_own_nearest() -> None:
    vectors = unit(50)
    for row in range(50):
        rows, similarities = search(build_index(vectors), vectors[row], 3)
        assert rows[0] == row
        assert similarities[0] == pytest.approx(1, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 50), st.integers(0, 999))
def test_knn_is_the_brute_force_with_the_row_first(n: int, seed: int) -> None:
    vectors = unit(n, seed=seed)
    k = min(6, n)
    rows, distances = knn(vectors, k)
    brute = 1 - vectors @ vectors.T
    np.fill_diagonal(brute, -1)  # itself first
    expected = np.sort(brute, axis=1)[:, :k]
    expected[:, 0] = 0
    assert (rows[:, 0] == np.arange(n)).all()
    np.testing.assert_allclose(distances, np.maximum(expected, 0), atol=1e-6)
    assert (distances >= 0).all()
    assert all(len(set(row)) == k for row in rows)


def test_copies_of_a_film_do_not_push_it_from_its_own_list() -> None:
    vectors = np.repeat(unit(3), 10, axis=0)  # ten copies of each, more than k
    rows, distances = knn(vectors, 4)
    assert (rows[:, 0] == np.arange(30)).all()
    assert all(len(set(row)) == 4 for row in rows)
    assert (rows // 10 == np.arange(30)[:, None] // 10).all()
    np.testing.assert_allclose(distances, 0, atol=1e-6)
