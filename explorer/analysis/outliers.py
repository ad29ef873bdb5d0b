"""How far a film lies from the films an encoder's regimes were trained on.

Two distances of an embedding to the training split. One, to its k-th nearest neighbour, makes no assumption of shape
(Sun et al., ICML 2022). The other is Mahalanobis' with a shrunk covariance (Lee et al., NeurIPS 2018, without classes;
Ledoit & Wolf 2004). A raw distance says little, so each is given as a percentile: the share of training films that lie
nearer than this one. Each of those is held out with all films of its patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.neighbours import build_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISTANCES: tuple[str, ...] = ("knn", "mahalanobis")
"""In the order of the last axis of every array of distances or percentiles."""

NEIGHBOUR = 10
"""The distance is to this neighbour: one chance likeness does not bring a film near."""

DEFAULT = "mahalanobis"
"""The distance that a page shows first: at the same percentile it calls more truly foreign films outlying
(``docs/decisions/audit.md``)."""

OUTLYING = 99.0
"""From this percentile a film is outlying: one training film in a hundred lies as far out."""


@dataclass(frozen=True)
class Cloud:
    """The training films' embeddings, and how far out its own films lie when held out.

    Attributes
    ----------
    vectors : (n, D) float32, unit norm
    mean : (D,) float64
    precision : (D, D) float64
        Inverse of the shrunk covariance.
    reference : (n, 2) float64
        Each distance of the held-out training films, ascending by column.
    """

    vectors: NDArray[np.float32]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    reference: NDArray[np.float64]


def fit_cloud(
    vectors: NDArray[np.float32], patients: NDArray[np.int64], folds: int = 5, seed: int = 0
) -> tuple[Cloud, NDArray[np.float64]]:
    """Describe the training films, each of them also as a film not seen.

    Parameters
    ----------
    vectors : (n, D) unit norm, of the training split
    patients : (n,) int
        A patient's films are held out together.

    Returns
    -------
    Cloud
    (n, 2) float64
        The training films' distances, each to the other folds' films.
    """
    codes, members = np.unique(patients, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(codes))[members] % min(folds, len(codes))
    held_out = np.empty((len(vectors), len(DISTANCES)))
    for k in np.unique(fold):
        away = fold == k
        rest = vectors[~away] if not away.all() else vectors  # of one patient nothing is left to hold it against
        held_out[away] = distances(vectors[away], rest, *_gauss(rest))
    return Cloud(vectors, *_gauss(vectors), np.sort(held_out, axis=0)), held_out


def distances(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    mean: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Cosine distance to the k-th nearest of ``vectors``, and Mahalanobis distance from their mean.

    Parameters
    ----------
    query : (m, D) unit norm

    Returns
    -------
    (m, 2) float64
    """
    similarities, _ = build_index(vectors).search(np.ascontiguousarray(query), min(NEIGHBOUR, len(vectors)))
    away = query - mean
    squared = np.einsum("md,de,me->m", away, precision, away, optimize=True)
    return np.stack([np.maximum(1 - similarities[:, -1], 0), np.sqrt(np.maximum(squared, 0))], axis=1)


def percentiles(raw: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of held-out training films, in percent, that lie nearer than each film.

    Parameters
    ----------
    raw : (m, 2)
        Distances.
    reference : (n, 2) ascending by column

    Examples
    --------
    >>> percentiles(np.array([[0.25, 9.0]]), np.array([[0.1, 1.0], [0.2, 2.0], [0.3, 3.0], [0.4, 4.0]]))
    array([[ 50., 100.]])
    """
    columns = [np.searchsorted(reference[:, i], raw[:, i], side="left") for i in range(len(DISTANCES))]
    return np.stack(columns, axis=1) * 100.0 / len(reference)


def outlyingness(cloud: Cloud, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Percentiles of films that are not of the training split, for example an upload.

    Parameters
    ----------
    cloud : Cloud
    query : (m, D) unit norm

    Returns
    -------
    (m, 2) float64
        By ``DISTANCES``; from ``OUTLYING`` on a film is unlike nearly all training films.
    """
    raw = distances(query, cloud.vectors, cloud.mean, cloud.precision)
    return percentiles(raw, cloud.reference)


def _gauss(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.covariance import LedoitWolf  # slow to import, and not needed to score a new film

    fitted = LedoitWolf().fit(np.asarray(vectors, dtype=np.float64))
    return fitted.location_, fitted.precision_
