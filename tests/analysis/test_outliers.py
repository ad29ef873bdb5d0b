"""How far out a film lies: distances by hand and by scikit-learn, percentiles that mean what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from explorer.analysis.outliers import NEIGHBOUR, distances, fit_cloud, outlyingness, percentiles
from precompute.stages.audit import write_outliers


def unit(rng: np.random.Generator, n: int, spread: float = 0.15, at: int = 0) -> NDArray[np.float32]:
    """(n, 12) unit vectors around one axis."""
    vectors = spread * rng.standard_normal((n, 12))
    vectors[:, at] += 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_distances_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    train, query = unit(rng, 200), unit(rng, 30)
    fitted = LedoitWolf().fit(train.astype(np.float64))
    found = distances(query, train, fitted.location_, fitted.precision_)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOUR, metric="cosine").fit(train).kneighbors(query)[0]
    np.testing.assert_allclose(found[:, 0], nearest[:, -1], atol=1e-5)
    np.testing.assert_allclose(found[:, 1] ** 2, fitted.mahalanobis(query.astype(np.float64)), rtol=1e-5)


def test_a_percentile_counts_the_nearer_ones() -> None:
    reference = np.array([[0.1, 1.0], [0.2, 1.0], [0.3, 1.0], [0.4, 5.0]])
    found = np.array([[0.05, 0.5], [0.2, 1.0], [9.0, 9.0]])
    assert percentiles(found, reference).tolist() == [[0, 0], [25, 0], [100, 100]]


def test_films_like_the_training_films_spread_evenly_and_others_lie_outside() -> None:
    rng = np.random.default_rng(1)
    cloud, _ = fit_cloud(unit(rng, 600), np.arange(600))
    alike = outlyingness(cloud, unit(rng, 600))
    assert np.abs(np.median(alike, axis=0) - 50).max() < 8
    assert (np.abs((alike >= 90).mean(axis=0) - 0.1) < 0.05).all()
    assert (outlyingness(cloud, unit(rng, 20, at=5)) > 99).all()


def test_a_patients_films_are_held_out_together() -> None:
    """Each film many times under one patient: were its copies not held out with it, it would lie at distance 0."""
    rng = np.random.default_rng(2)
    vectors = np.repeat(unit(rng, 60), 2 * NEIGHBOUR, axis=0)
    together, _ = fit_cloud(vectors, np.repeat(np.arange(60), 2 * NEIGHBOUR))
    apart, _ = fit_cloud(vectors, np.arange(len(vectors)))
    assert together.reference[:, 0].min() > 0.01
    assert np.median(apart.reference[:, 0]) < 1e-6


@pytest.mark.filterwarnings("ignore:Only one sample")
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_films_are_enough_to_answer(n: int) -> None:
    cloud, _ = fit_cloud(unit(np.random.default_rng(3), n), np.zeros(n, np.int64))
    found = outlyingness(cloud, unit(np.random.default_rng(4), 3))
    assert found.shape == (3, 2)
    assert np.isfinite(found).all()


def test_stored_training_films_count_as_held_out_and_others_as_new(tmp_path: Path) -> None:
    folder = tmp_path
    rng = np.random.default_rng(5)
    vectors, train = unit(rng, 300), np.arange(0, 300, 2)
    paths = write_outliers(folder, vectors, train, np.arange(300), seed=0)
    stored = np.load(folder / "audit/outliers/percentiles.npy")
    assert set(paths) == {str(p.relative_to(folder)) for p in folder.rglob("*.npy")}
    cloud, held_out = fit_cloud(vectors[train], train, seed=0)
    np.testing.assert_allclose(stored[train], percentiles(held_out, cloud.reference), atol=1e-4)
    np.testing.assert_allclose(stored[1::2], outlyingness(cloud, vectors[1::2]), atol=1e-4)
