"""A small sample of films for readers, with every label in it that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stratified_films(targets: NDArray[np.float32], n: int, seed: int) -> NDArray[np.int64]:
    """Choose films so that every label has as nearly the same number of positives as can be.

    In turn each label, the rarest first, adds one of its positives at random, until there are n films. Labels that
    have no more are passed over, and films without any positive fill what is left.

    Parameters
    ----------
    targets : (N, C) 1, 0 or NaN
    n : int
    seed : int

    Returns
    -------
    (min(n, N),) places in ``targets``, ascending
    """
    order = np.random.default_rng(seed).permutation(len(targets))
    positive = targets[order] == 1
    rarest_first = np.argsort(positive.sum(axis=0), kind="stable")
    queues = [np.flatnonzero(positive[:, c]).tolist() for c in rarest_first]
    chosen: dict[int, None] = {}
    while len(chosen) < n and any(queues):
        for queue in queues:
            while queue and queue[0] in chosen:
                queue.pop(0)
            if queue and len(chosen) < n:
                chosen[queue.pop(0)] = None
    for place in range(len(targets)):
        if len(chosen) >= n:
            break
        chosen.setdefault(place)
    return np.sort(order[list(chosen)]).astype(np.int64)
