"""A label's nearest films of other patients: their purity, and the labels confused with each other.

Neighbours are searched once per space. A shuffle of labels or a resample of patients is then a column of weights.
All columns together are one product with the sparse neighbour matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from explorer.analysis.chunks import chunks
from explorer.analysis.neighbours import build_index

if TYPE_CHECKING:
    from numpy.typing import NDArray


def neighbours_of_others(vectors: NDArray[np.float32], patients: NDArray[np.int64], k: int) -> sparse.csr_array:
    """Each film's k nearest by cosine among the films of other patients.

    Parameters
    ----------
    vectors : (n, D) unit norm
    patients : (n,)
    k : int
        Fewer where other patients have fewer films.

    Returns
    -------
    (n, n) sparse float32
        1 where the column's film is among the k nearest of the row's.
    """
    n = len(vectors)
    _, member, films = np.unique(patients, return_inverse=True, return_counts=True)
    wanted = min(n, k + int(films.max()))
    _, rows = build_index(vectors).search(np.ascontiguousarray(vectors), wanted)
    other = member[rows] != member[:, None]
    taken = other & (np.cumsum(other, axis=1) <= k)
    edges = rows[taken]
    starts = np.concatenate([[0], np.cumsum(taken.sum(axis=1))])
    return sparse.csr_array((np.ones(len(edges), np.float32), edges, starts), shape=(n, n))


def lift(
    near: sparse.csr_array,
    same: sparse.csr_array,
    positive: NDArray[np.float32],
    known: NDArray[np.float32],
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """How much more often neighbours of a label's films have the label than films of other patients do.

    Purity is the share of positives among all known neighbours of all positive films. Lift is purity over what random
    neighbours among other patients' known films would reach.

    Parameters
    ----------
    near, same : (n, n) of :func:`neighbours_of_others` and :func:`~explorer.analysis.patients.same_patient`
    positive, known : (n, R)
        How often each film counts as positive and as known, in each of R shuffles or resamples.
    rows : (m,), optional
        Where ``positive`` is not zero in some column; all by default.

    Returns
    -------
    (R,)
        NaN without positives of two patients or without known neighbours.
    """
    asked, near, same = (positive, near, same) if rows is None else (positive[rows], near[rows], same[rows])
    others, known_others = positive.sum(axis=0) - same @ positive, known.sum(axis=0) - same @ known
    parts = (near @ positive, near @ known, others, known_others)
    return _over_chance(*((asked * part).sum(axis=0, dtype=np.float64) for part in parts))


def confusions(
    near: sparse.csr_array,
    targets: NDArray[np.float32],
    orders: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How much more often than by chance a film with label a but not b has neighbours with b but not a.

    Films with both, or with either unknown, take no part: co-occurrence is not confusion.

    Parameters
    ----------
    near : (n, n) of :func:`neighbours_of_others`
    targets : (n, C) 1, 0 or NaN
    orders : (S, n) shuffles
    weights : (B, n) resamples

    Returns
    -------
    value : (C, C)
        Row a, column b: share of b-without-a among the neighbours, over its share among all films with both known. NaN
        on the diagonal and where no film has a without b, or none b without a.
    shuffled : (S, C, C)
    resampled : (B, C, C)

    Notes
    -----
    A shuffle of label rows over fixed neighbours is a shuffle of neighbours under fixed labels. So only each label's
    own films are looked up.
    """
    positive, negative = (targets == 1).astype(np.float32), (targets == 0).astype(np.float32)
    known = positive + negative
    n, n_labels = targets.shape
    value = np.full((n_labels, n_labels), np.nan)
    shuffled, resampled = (np.full((len(draws), n_labels, n_labels), np.nan) for draws in (orders, weights))
    places = np.argsort(orders, axis=1)  # (S, n) where each label row went
    once = np.ones((1, n), np.float32)
    for a in range(n_labels):
        rows = np.flatnonzero(positive[:, a])
        if len(rows):
            sought = np.hstack([positive * negative[:, [a]], known * known[:, [a]]])  # (n, 2C) b without a, both known
            asked = np.tile(negative[rows], 2)  # (m, 2C) a without b
            value[a] = _resampled(near[rows], rows, asked, sought, once)[0]
            resampled[:, a] = _resampled(near[rows], rows, asked, sought, weights)
            shuffled[:, a] = _shuffled(near, orders, places[:, rows], asked, sought)
    return value, shuffled, resampled


def _resampled(
    near: sparse.csr_array,
    rows: NDArray[np.int64],
    asked: NDArray[np.float32],
    sought: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]:
    """(B, C) of resamples: a film and its neighbour count as often as both are drawn."""
    asking = np.repeat(np.arange(len(rows)), np.diff(near.indptr))  # (E,) of each pair of film and neighbour
    pairs = asked[asking] * sought[near.indices] * near.data[:, None]  # (E, 2C)
    hits = [(w[:, rows[asking]] * w[:, near.indices]) @ pairs for w in chunks(weights, len(pairs))]
    return _over_chance(*_halves(np.concatenate(hits)), *_halves(weights @ sought))


def _shuffled(
    near: sparse.csr_array,
    orders: NDArray[np.int64],
    places: NDArray[np.int64],
    asked: NDArray[np.float32],
    sought: NDArray[np.float32],
) -> NDArray[np.float64]:
    """(S, C) of shuffles; ``places`` (S, m) is where the asking label rows went."""
    hits = []
    for order, place in zip(chunks(orders, asked.size), chunks(places, asked.size), strict=True):
        moved = near[place.ravel()]
        shuffle = np.repeat(np.arange(len(order)), np.diff(moved.indptr[:: place.shape[1]]))
        moved = sparse.csr_array((moved.data, order[shuffle, moved.indices], moved.indptr), moved.shape)
        around = (moved @ sought).reshape(*place.shape, -1)  # (s, m, 2C)
        hits.append(np.einsum("smc,mc->sc", around, asked))
    return _over_chance(*_halves(np.concatenate(hits)), *_halves(sought.sum(axis=0)))


def _over_chance(
    hits: NDArray[np.floating], of: NDArray[np.floating], could: NDArray[np.floating], among: NDArray[np.floating]
) -> NDArray[np.float64]:
    """hits/of over could/among; NaN where nothing was looked at or no hit is possible."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value: NDArray[np.float64] = np.divide(hits, of, dtype=np.float64) / np.divide(could, among, dtype=np.float64)
    return np.where((of > 0) & (could > 0), value, np.nan)


def _halves(sums: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Of (…, 2C): the hits, and of how many."""
    hits, of = np.split(sums, 2, axis=-1)
    return hits, of
