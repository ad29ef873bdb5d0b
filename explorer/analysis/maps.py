"""Two-dimensional maps of a space, laid out alike, and how much of a map is chance."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from explorer.analysis.map_trust import TRUST_ROWS, align_layout, layout_disparity
from explorer.analysis.neighbours import knn

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCHS = 200
RATE_FROM_A_MAP = 0.5
"""From another space's map, fewer steps than UMAP's 500, of half their length, are enough. The layout starts nearly
right and drifts less (ARCHITECTURE.md, Decisions, has the figures)."""

RESEEDS = 2
"""Layouts beside the map that show how much of it is chance. They too take EPOCHS steps: their cost is the stage's."""


def umap_map(
    vectors: NDArray[np.float32],
    k: int,
    seed: int,
    init: NDArray[np.float32] | Literal["spectral", "random"] = "spectral",
) -> NDArray[np.float32]:
    """UMAP (McInnes et al., 2018) over exact FAISS neighbours by cosine distance.

    Parameters
    ----------
    vectors : (N, dim) unit norm, N >= 4
    k : int
        Neighbours; no more than N - 2 are used.
    seed : int
        Makes the layout repeat exactly.
    init : (N, 2), "spectral" or "random"
        Where the layout starts: the spectral layout, random places, or another space's map. In the last case the
        result is turned onto that map (Procrustes).

    Returns
    -------
    (N, 2) float32
    """
    umap = _compiled_umap()
    k = min(k, len(vectors) - 2)
    rows, distances = knn(vectors, k + 1)
    start: Any = init
    steps: dict[str, Any] = {} if isinstance(init, str) and init == "spectral" else {"n_epochs": EPOCHS}
    if not isinstance(init, str):
        steps["learning_rate"] = RATE_FROM_A_MAP
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
            **steps,
        )
        layout = np.asarray(reducer.fit_transform(vectors), dtype=np.float32)
    return layout if isinstance(init, str) else align_layout(layout, init)


@cache
def _compiled_umap() -> Any:
    """umap-learn, whose compiled functions are kept on disk: compiling takes 10 to 18 s, more than most maps.

    The library keeps few of its own. numba keeps them by source file and processor, beside the library or, where that
    cannot be written, in the user's cache folder.
    """
    import umap  # 4 s to import: only where a map is made
    from numba.core.registry import CPUDispatcher
    from umap import layouts, umap_, utils

    for module in (layouts, umap_, utils):
        for function in vars(module).values():
            if isinstance(function, CPUDispatcher) and function.__module__ == module.__name__:
                function.enable_caching()
    return umap


def stability(vectors: NDArray[np.float32], layout: NDArray[np.float32], k: int, seed: int) -> dict[str, float | int]:
    """How much of a map would be elsewhere with another seed.

    The space is laid out again from random places with other seeds; what Procrustes cannot bring together is chance.
    Above TRUST_ROWS films it is tried on a seeded sample of that many, which is laid out once more in place of the map.

    Returns
    -------
    dict
        ``spread`` and ``spread_max`` are the mean and largest Procrustes disparity over all pairs: 0 for the same
        picture, about 1 for unrelated ones. ``reseeds`` and ``spread_n`` count further seeds and films laid out.
    """
    rng = np.random.default_rng(seed)
    if len(vectors) > TRUST_ROWS:
        rows = np.sort(rng.choice(len(vectors), TRUST_ROWS, replace=False))
        vectors = np.ascontiguousarray(vectors[rows])
        layout = umap_map(vectors, k, seed)
    others = [umap_map(vectors, k, seed + 1 + i, init="random") for i in range(RESEEDS)]
    mean, largest = layout_disparity([layout, *others])
    return {"spread": mean, "spread_max": largest, "reseeds": RESEEDS, "spread_n": len(vectors)}
