"""One ranking of films by a score, and what it is worth under many weightings of the films at once.

A bootstrap resample is a column of whole-number weights. A ranking keeps only the cuts where a curve can turn: just
before and just after each group of equal scores that holds a positive. Between two cuts lies a segment; what each
resample has in each segment is one sparse matrix product, which sorts and copies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ranking:
    """Known rows sorted by falling score and cut into segments.

    Attributes
    ----------
    positive, negative : (K + 1, N) sparse float32
        Which film's positive or negative rows lie in each segment, highest scores first; the last row holds those
        called positive at the operating point. A film may have several rows (labels pooled).
    has_calls : bool
        Whether there is an operating point.
    """

    positive: csr_matrix
    negative: csr_matrix
    has_calls: bool

    @property
    def size(self) -> int:
        """Numbers held for one resample: what decides how many resamples fit into memory at once."""
        return int(sum(self.positive.shape))


def rank(
    targets: NDArray[np.float32],
    scores: NDArray[np.floating],
    calls: NDArray[np.bool_] | None = None,
    films: NDArray[np.int64] | None = None,
    n_films: int | None = None,
) -> Ranking:
    """Sort the known rows of a label, or of several labels pooled.

    Parameters
    ----------
    targets : (m,) 1, 0 or NaN
    scores : (m,) finite
    calls : (m,), optional
        Which rows are called positive; None without an operating point.
    films : (m,), optional
        Which film each row belongs to; by default row i is film i.
    n_films : int, optional
        N; by default m.
    """
    known = np.flatnonzero(~np.isnan(targets))
    order = known[np.argsort(-scores[known], kind="stable")]
    truth = targets[order] == 1  # (n,)
    ends = group_ends(scores[order])
    before = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    found = np.concatenate([[0], np.cumsum(truth)])
    holds = found[ends + 1] > found[before]
    # the first row after each cut; the last cut is the end, so that segments hold all rows
    cuts = np.unique(np.concatenate([before[holds], ends[holds] + 1, [len(order)]]))
    segment = np.searchsorted(cuts[cuts > 0], np.arange(len(order)), side="right")
    called = np.zeros(len(order), dtype=bool) if calls is None else calls[order]
    film = order if films is None else films[order]
    shape = (int((cuts > 0).sum()) + 1, len(targets) if n_films is None else n_films)

    def members(chosen: NDArray[np.bool_]) -> csr_matrix:
        both = chosen & called
        rows = np.concatenate([segment[chosen], np.full(int(both.sum()), shape[0] - 1)])
        columns = np.concatenate([film[chosen], film[both]])
        return csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)

    return Ranking(members(truth), members(~truth), calls is not None)


def group_ends(ranked: NDArray[np.floating]) -> NDArray[np.int64]:
    """Last place of each group of equal scores: only there does a threshold exist."""
    return np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, np.int64)


def reached(
    ranking: Ranking, weights: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Positives and negatives met at each cut, in each resample.

    Parameters
    ----------
    ranking : Ranking
    weights : (N, B) whole numbers
        How often each film counts; float32 holds their sums exactly up to 2^24.

    Returns
    -------
    tp, fp : (K, B)
        Counted from the highest score down; the last cut has them all.
    called : (2, B)
        Positives and negatives called positive at the operating point.
    """
    positive = (ranking.positive @ weights).astype(np.float64)  # (K + 1, B)
    negative = (ranking.negative @ weights).astype(np.float64)
    called = np.stack([positive[-1], negative[-1]])
    return np.cumsum(positive[:-1], axis=0), np.cumsum(negative[:-1], axis=0), called


def score(ranking: Ranking, weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All of ``metrics.METRICS`` and their trivial baselines, for each resample at once.

    Parameters
    ----------
    ranking : Ranking
    weights : (N, B) whole numbers

    Returns
    -------
    values, baselines : (B, 5) each
        Average precision, AUROC, precision, recall, F1. NaN where a metric does not exist: no positive, no negative,
        no operating point.

    Notes
    -----
    Average precision is the step sum of scikit-learn's ``average_precision_score``; AUROC is the Mann-Whitney
    statistic with ties at one half. Called positive is precision 0 where nothing is, as with ``zero_division=0``.
    """
    resamples = weights.shape[1]
    tp, fp, (hit, false_alarm) = reached(ranking, weights)
    if not len(tp):
        tp = fp = np.zeros((1, resamples))
    positives, negatives = tp[-1], fp[-1]  # (B,)
    called, total = hit + false_alarm, positives + negatives
    gained = np.diff(tp, axis=0, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = tp + fp
        ap = (gained * np.where(seen > 0, tp / seen, 0.0)).sum(axis=0) / positives
        auroc = (np.diff(fp, axis=0, prepend=0.0) * (tp - gained / 2)).sum(axis=0) / (positives * negatives)
        prevalence = positives / total
        precision = np.where(called > 0, hit / called, 0.0)
        at_cut = np.stack([precision, hit / positives, 2 * hit / (called + positives)])
        if not ranking.has_calls:
            at_cut, called = np.full_like(at_cut, np.nan), np.full_like(called, np.nan)
        values = np.stack([ap, auroc, *at_cut], axis=1)
        chance = np.full(resamples, 0.5)
        baselines = np.stack(
            [prevalence, chance, prevalence, called / total, 2 * prevalence / (1 + prevalence)], axis=1
        )
    one_class = (positives == 0) | (negatives == 0)
    values[one_class] = np.nan
    baselines[one_class] = np.nan
    return values, baselines
