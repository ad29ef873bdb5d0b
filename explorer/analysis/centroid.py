"""The paper's embedding distances: between class centroids, and from films to their own.

Sadman et al., "Interpreting Biomedical VLMs on High-Imbalance Out-of-Distributions" (BIOKDD 2025, arXiv 2506.14136).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.chunks import chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray


CENTROID: tuple[str, ...] = ("inter", "intra", "ratio", "davies_bouldin")
"""The paper's embedding figures, in the order of :func:`resampled_distances`."""


def first_positive(targets: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n,) each film's first positive label in label order, -1 where it has none: the paper's single class."""
    positive = targets == 1
    return np.where(positive.any(axis=1), positive.argmax(axis=1), -1)


def centroid_distances(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, float]:
    """The paper's embedding figures, Euclidean.

    Parameters
    ----------
    vectors : (n, D)
    classes : (n,)
        Films of class -1 are left out.

    Returns
    -------
    dict
        ``inter``: mean distance between two classes' centroids. ``intra``: mean over classes of a film's mean distance
        to its centroid. ``ratio``: inter / intra. ``davies_bouldin`` (1979): each class's worst ratio against another
        class, as a mean over classes. That ratio is the sum of both classes' mean distances to their centroids over
        the distance between the centroids. NaN with fewer than two classes.
    """
    figures = resampled_distances(np.asarray(vectors, np.float64), classes[None], np.ones((1, len(classes))))
    return {name: float(values[0]) for name, values in figures.items()}


def resampled_distances(
    vectors: NDArray[np.floating], classes: NDArray[np.int64], weights: NDArray[np.floating]
) -> dict[str, NDArray[np.float64]]:
    """:func:`centroid_distances` many times over, (B,) each.

    Parameters
    ----------
    vectors : (n, D)
    classes : (B, n) or (1, n)
        Each time's classes, or the same every time.
    weights : (B, n) or (1, n)
        How often each film counts. A class that loses all its films is left out of the means.
    """
    present = np.unique(classes[classes >= 0])
    times = max(len(classes), len(weights))
    if len(present) < 2:
        return {name: np.full(times, np.nan) for name in CENTROID}
    x = vectors - vectors.mean(axis=0)
    squares, other = (x**2).sum(axis=1), ~np.eye(len(present), dtype=bool)
    parts = []
    for rows in chunks(np.arange(times), len(x) * len(present)):
        c = classes[rows] if len(classes) > 1 else classes
        w = (weights[rows] if len(weights) > 1 else weights).astype(x.dtype)
        size, centroids, spread = (_fixed if len(classes) == 1 else _moving)(x, squares, c, w, present)
        kept = size > 0
        lengths = (centroids**2).sum(axis=2)[:, :, None]
        gaps = lengths + lengths.transpose(0, 2, 1) - 2 * centroids @ centroids.transpose(0, 2, 1)
        pairs = kept[:, :, None] & kept[:, None] & other
        apart = np.where(pairs, np.sqrt(np.maximum(gaps, 0)), 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            inter = apart.sum(axis=(1, 2)) / pairs.sum(axis=(1, 2))
            intra = (spread * kept).sum(axis=1) / kept.sum(axis=1)
            worst = np.where(pairs, (spread[:, :, None] + spread[:, None]) / apart, 0).max(axis=2)
            parts.append(np.stack([inter, intra, inter / intra, worst.sum(axis=1) / kept.sum(axis=1)]))
    figures = np.concatenate(parts, axis=1).astype(np.float64)
    return dict(zip(CENTROID, np.where(np.isfinite(figures), figures, np.nan), strict=True))


def _fixed(
    x: NDArray[np.floating],
    squares: NDArray[np.floating],
    classes: NDArray[np.int64],
    weights: NDArray[np.floating],
    present: NDArray[np.int64],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Films (b, K), centroid (b, K, D) and mean distance to it (b, K) of classes that stay, weights moving."""
    sizes, centroids, spreads = [], [], []
    for k in present:
        own = np.flatnonzero(classes[0] == k)
        w, films = weights[:, own], x[own]
        size = w.sum(axis=1)
        count = np.maximum(size, 1)
        centroid = w @ films / count[:, None]
        apart = squares[own] + (centroid**2).sum(axis=1)[:, None] - 2 * centroid @ films.T  # (b, films)
        sizes.append(size)
        centroids.append(centroid)
        spreads.append((w * np.sqrt(np.maximum(apart, 0))).sum(axis=1) / count)
    return np.stack(sizes, axis=1), np.stack(centroids, axis=1), np.stack(spreads, axis=1)


def _moving(
    x: NDArray[np.floating],
    squares: NDArray[np.floating],
    classes: NDArray[np.int64],
    weights: NDArray[np.floating],
    present: NDArray[np.int64],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """The same where the classes move."""
    of = (classes[:, None] == present[:, None]) * weights[:, None]  # (b, K, n)
    size = of.sum(axis=2)
    count = np.maximum(size, 1)
    centroids = of @ x / count[:, :, None]
    apart = squares + (centroids**2).sum(axis=2)[:, :, None] - 2 * centroids @ x.T
    return size, centroids, (of * np.sqrt(np.maximum(apart, 0))).sum(axis=2) / count
