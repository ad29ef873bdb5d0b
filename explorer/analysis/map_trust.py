"""How far a map may be believed: for every film, as a whole, and across seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DOUBTFUL = 0.75
"""Below this a film's neighbourhood is closer to a random map's (0.5) than to a perfect one (1)."""

TRUST_ROWS = 4000
"""Above this many films trust is measured for a seeded sample of them, each against all films, and says so."""

TRUST, CONTINUITY, KEPT, DENSITY = range(4)
"""Columns of what :func:`point_trust` measures."""

CELLS = 2_000_000
"""Distances held at once: 100,000 films do not fit in memory against one another."""


def trust(
    vectors: NDArray[np.float32], layout: NDArray[np.float32], k: int, seed: int
) -> tuple[NDArray[np.float32], dict[str, float | int]]:
    """How far a map may be believed.

    Returns
    -------
    points : (N, 4) float32
        As :func:`point_trust` gives them; NaN for films not measured.
    figures : dict
        ``trustworthiness``, ``continuity`` and ``knn_overlap`` are means over the points. A random map reaches
        ``knn_overlap_baseline``. ``doubtful`` is the share of points the map tears or fakes. ``n`` films are measured
        with ``k`` neighbours.
    """
    n = len(vectors)
    rows = np.arange(n)
    if n > TRUST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, TRUST_ROWS, replace=False))
    k = min(k, (n - 1) // 2)
    points = np.full((n, 4), np.nan, dtype=np.float32)
    points[rows] = point_trust(np.asarray(vectors), np.asarray(layout), k, rows)
    kept = points[rows].astype(np.float64).mean(axis=0)
    return points, {
        "trustworthiness": float(kept[0]),
        "continuity": float(kept[1]),
        "knn_overlap": float(kept[2]),
        "knn_overlap_baseline": k / (n - 1),
        "doubtful": float((doubts(points[rows]) > 0).mean()),
        "k": k,
        "n": len(rows),
    }


def point_trust(
    vectors: NDArray[np.float32], layout: NDArray[np.float32], k: int, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How well a map keeps the neighbourhood of each of some films, compared with all films.

    Trustworthiness falls where the map fakes neighbours: films beside each other on the map only. Continuity falls
    where it tears: neighbours in the space that the map sets apart. Both count how far down the other side's ranking
    the wrong or lost neighbours stand, scaled to 1 at best. Their means over all films are Venna & Kaski's measures
    (2006, Neural Networks 19, section 3), defined for k < N / 2. A random map has about 0.5.

    Parameters
    ----------
    vectors : (N, dim) unit norm
    layout : (N, 2)
    k : neighbours, 1 <= k < N / 2
    rows : (m,) the films measured

    Returns
    -------
    (m, 4) float32
        Trustworthiness, continuity, share of the k neighbours kept, and density: mean cosine similarity to the k
        nearest in the space.
    """
    n = len(vectors)
    out = np.empty((len(rows), 4), dtype=np.float32)
    worst = k * (2 * n - 3 * k - 1) / 2
    step = max(1, CELLS // n)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        at = np.arange(len(part))
        far = np.maximum(1 - vectors[part] @ vectors.T, 0)  # (c, N) cosine distance; rounding takes twins below 0
        x, y = layout[:, 0], layout[:, 1]
        far_flat = (x[part, None] - x) ** 2 + (y[part, None] - y) ** 2  # (c, N)
        far[at, part] = far_flat[at, part] = -1.0  # a film is its own nearest, whatever its twins
        near, near_flat = _nearest(far, k), _nearest(far_flat, k)  # (c, k)
        faked, torn = _ranks(far, near_flat) - k, _ranks(far_flat, near) - k  # positive where not a neighbour
        done = slice(start, start + len(part))
        out[done, 0] = 1 - np.maximum(faked, 0).sum(axis=1) / worst
        out[done, 1] = 1 - np.maximum(torn, 0).sum(axis=1) / worst
        out[done, 2] = (faked <= 0).mean(axis=1)
        out[done, 3] = 1 - far[at[:, None], near].mean(axis=1)
    return out


def _nearest(distances: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(c, k) the k nearest of each row, in no order, the row's own film left out by its distance -1."""
    chosen = np.argpartition(distances, k, axis=1)[:, : k + 1]
    own = distances[np.arange(len(distances))[:, None], chosen] >= 0
    return chosen[own].reshape(len(distances), k)


def _ranks(distances: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """(c, k) 1-based rank of some columns in each row, the row's own film not counted; equals share the better rank."""
    own = distances[np.arange(len(distances))[:, None], columns]
    return np.stack([(distances < own[:, [j]]).sum(axis=1) for j in range(columns.shape[1])], axis=1)


def doubts(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(N,) 0 where the map may be read, 1 torn, 2 faked, 3 both; 0 too where a film was not measured (NaN).

    Examples
    --------
    >>> doubts(np.array([[0.9, 0.9, 1, 1], [0.9, 0.6, 1, 1], [0.6, 0.9, 1, 1], [0.5, 0.5, 1, 1]])).tolist()
    [0, 1, 2, 3]
    """
    torn = (points[:, 1] < DOUBTFUL).astype(np.uint8)
    return torn + 2 * (points[:, 0] < DOUBTFUL).astype(np.uint8)


def align_layout(layout: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """A layout moved, turned, mirrored and scaled to lie as near as can be to another (orthogonal Procrustes).

    Neighbourhoods stay as they are: only the picture is turned.

    Parameters
    ----------
    layout, reference : (N, 2) of the same films in the same order
    """
    from scipy.linalg import orthogonal_procrustes

    centre = reference.mean(axis=0)
    fixed, moving = reference - centre, layout - layout.mean(axis=0)
    turn, scale = orthogonal_procrustes(moving, fixed)
    size = float((moving**2).sum()) or 1.0
    return np.asarray(moving @ turn * (scale / size) + centre, dtype=np.float32)


def disparity(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """What is left between two layouts after Procrustes: 0 the same picture, about 1 two unrelated ones.

    The residual sum of squares with both layouts scaled to unit size (Gower 1975), as ``scipy.spatial.procrustes``.
    """
    from scipy.spatial import procrustes

    return float(procrustes(one, other)[2])


def layout_disparity(layouts: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Mean and largest disparity over all pairs of layouts of one space made with several seeds."""
    pairs = [disparity(a, b) for i, a in enumerate(layouts) for b in layouts[i + 1 :]]
    return float(np.mean(pairs)), float(np.max(pairs))
