"""Two-dimensional maps of a space, and how far they may be believed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.analysis.neighbours import knn

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUST_ROWS = 4000
"""Trust figures compare all pairs; above this many rows they are taken on a seeded sample, and say so."""


def umap_map(
    vectors: NDArray[np.float32], k: int, seed: int, init: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """UMAP (McInnes et al., 2018) over exact FAISS neighbours by cosine distance.

    Parameters
    ----------
    vectors : (N, dim) unit norm, N >= 4
    k : int
        Neighbours; no more than N - 2 are used.
    seed : int
        Makes the layout repeat exactly.
    init : (N, 2), optional
        Start from another space's map, so that the two are laid out alike; the spectral layout by default.

    Returns
    -------
    (N, 2) float32
    """
    import umap  # 15 s to import: only where a map is made

    k = min(k, len(vectors) - 2)
    rows, distances = knn(vectors, k + 1)
    start: Any = "spectral"
    if init is not None:
        span = np.ptp(init, axis=0).max() or 1.0
        start = ((init - init.mean(axis=0)) / span * 20).astype(np.float32)  # the width UMAP's own starts have
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="n_jobs value .* overridden"
        )  # a seed means one thread: we ask for it
        warnings.filterwarnings("ignore", message="precomputed_knn")  # no transform of new films is wanted
        reducer = umap.UMAP(
            n_neighbors=k + 1,
            metric="cosine",
            precomputed_knn=(rows, distances),
            force_approximation_algorithm=True,  # else umap recomputes small sets' neighbours and ignores ours
            init=start,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float32)


def trust(vectors: NDArray[np.float32], layout: NDArray[np.float32], k: int, seed: int) -> dict[str, float | int]:
    """How well a map keeps neighbourhoods.

    Returns
    -------
    dict
        ``trustworthiness`` (Venna & Kaski 2001; 1 where no false neighbour appears), ``knn_overlap`` (mean share of a
        point's k neighbours in the space that are also its k neighbours on the map; ``knn_overlap_baseline`` is what a
        random map reaches), ``k``, and ``n``, the rows compared.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    rows = np.arange(len(vectors))
    if len(rows) > TRUST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, TRUST_ROWS, replace=False))
    space, flat = np.asarray(vectors[rows]), np.asarray(layout[rows])
    k = min(k, (len(rows) - 1) // 2)
    near = knn(space, k + 1)[0][:, 1:]
    near_flat = NearestNeighbors(n_neighbors=k).fit(flat).kneighbors(return_distance=False)
    shared = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(near, near_flat, strict=True)]
    return {
        "trustworthiness": float(trustworthiness(space, flat, n_neighbors=k, metric="cosine")),
        "knn_overlap": float(np.mean(shared) / k),
        "knn_overlap_baseline": k / (len(rows) - 1),
        "k": k,
        "n": len(rows),
    }
