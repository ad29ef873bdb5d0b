"""One ranking of films by a score, and what it is worth under many weightings of the films at once.

A bootstrap resample is a column of whole-number weights. A ranking keeps only the cuts where a curve can turn: just
before and just after each group of equal scores that holds a positive. Between two cuts lies a segment; what each
resample has in each segment is one sparse matrix product, which sorts and copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        Which film's positive or negative rows lie in each segment, highest scores first. The last row holds those
        predicted positive at the operating point. A film may have several rows (labels pooled).
    has_calls : bool
        Whether there is an operating point.
    harmonic : float
        Sum over groups of equal scores of their size over their last place; without ties, the harmonic number.
    """

    positive: csr_matrix
    negative: csr_matrix
    has_calls: bool
    harmonic: float

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
        Which rows are predicted positive; None without an operating point.
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
    hits = np.concatenate([[0], np.cumsum(truth)])
    holds = hits[ends + 1] > hits[before]
    # the first row after each cut; the last cut is the end, so that segments hold all rows
    cuts = np.unique(np.concatenate([before[holds], ends[holds] + 1, [len(order)]]))
    segment = np.searchsorted(cuts[cuts > 0], np.arange(len(order)), side="right")
    predicted = np.zeros(len(order), dtype=bool) if calls is None else calls[order]
    film = order if films is None else films[order]
    shape = (int((cuts > 0).sum()) + 1, len(targets) if n_films is None else n_films)

    def members(chosen: NDArray[np.bool_]) -> csr_matrix:
        both = chosen & predicted
        rows = np.concatenate([segment[chosen], np.full(int(both.sum()), shape[0] - 1)])
        columns = np.concatenate([film[chosen], film[both]])
        return csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)

    harmonic = float((np.diff(ends, prepend=-1) / (ends + 1)).sum())
    return Ranking(members(truth), members(~truth), calls is not None, harmonic)


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
    predicted : (2, B)
        Positives and negatives predicted positive at the operating point.
    """
    positive = (ranking.positive @ weights).astype(np.float64)  # (K + 1, B)
    negative = (ranking.negative @ weights).astype(np.float64)
    predicted = np.stack([positive[-1], negative[-1]])
    return np.cumsum(positive[:-1], axis=0), np.cumsum(negative[:-1], axis=0), predicted


@dataclass(frozen=True)
class Tally:
    """What each of B resamples holds of a ranking: all that a metric is computed from.

    Attributes
    ----------
    tp, fp : (K, B)
        Positives and negatives met at each cut, from the highest score down.
    positives, negatives : (B,)
    hit, false_alarm : (B,)
        Positives and negatives predicted positive; NaN without an operating point.
    harmonic : float
        The ranking's, of the films themselves whatever the resample.
    """

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    hit: NDArray[np.float64]
    false_alarm: NDArray[np.float64]
    harmonic: float

    @classmethod
    def of(cls, ranking: Ranking, weights: NDArray[np.float32]) -> Tally:
        """Count a ranking under weights (N, B)."""
        tp, fp, (hit, false_alarm) = reached(ranking, weights)
        if not len(tp):
            tp = fp = np.zeros((1, weights.shape[1]))
        if not ranking.has_calls:
            hit, false_alarm = np.full((2, weights.shape[1]), np.nan)
        return cls(tp, fp, hit, false_alarm, ranking.harmonic)

    @property
    def positives(self) -> NDArray[np.float64]:
        return np.asarray(self.tp[-1])

    @property
    def negatives(self) -> NDArray[np.float64]:
        return np.asarray(self.fp[-1])

    @property
    def predicted(self) -> NDArray[np.float64]:
        return self.hit + self.false_alarm

    @property
    def prevalence(self) -> NDArray[np.float64]:
        return self.positives / (self.positives + self.negatives)


def average_precision(tally: Tally) -> NDArray[np.float64]:
    """(B,) the step sum of scikit-learn's ``average_precision_score``."""
    seen = tally.tp + tally.fp
    gained = np.diff(tally.tp, axis=0, prepend=0.0)
    return np.asarray((gained * np.where(seen > 0, tally.tp / seen, 0.0)).sum(axis=0) / tally.positives)


def expected_average_precision(tally: Tally) -> NDArray[np.float64]:
    """(1,) the exact mean of step average precision over all orders of the films themselves, ties staying in place.

    A group of g equal scores that ends at place k holds g/n of the positives on average. A positive in it meets itself
    and (k - 1)(p - 1)/(n - 1) others up to k. Let h be the sum of g/k. Summed over groups, that is
    (h + (n - h)(p - 1)/(n - 1))/n. It exceeds the prevalence p/n, and by far at few positives.
    """
    n, p, h = tally.positives + tally.negatives, tally.positives, tally.harmonic
    return np.asarray((h + (n - h) * (p - 1) / (n - 1)) / n)


def auroc(tally: Tally) -> NDArray[np.float64]:
    """(B,) the Mann-Whitney statistic, ties at one half."""
    lost = np.diff(tally.fp, axis=0, prepend=0.0)
    beaten_by = tally.tp - np.diff(tally.tp, axis=0, prepend=0.0) / 2
    return np.asarray((lost * beaten_by).sum(axis=0) / (tally.positives * tally.negatives))


def precision(tally: Tally) -> NDArray[np.float64]:
    """(B,) 0 where nothing is predicted positive, as scikit-learn with ``zero_division=0``."""
    return np.where(tally.predicted == 0, 0.0, tally.hit / tally.predicted)


@dataclass(frozen=True)
class Metric:
    """A figure of one ranking.

    Attributes
    ----------
    title, short : str
        As pages and as narrow tables name it.
    baseline_is : str
        What the trivial baseline is.
    value, baseline : Tally to (B,)
    compared : bool
        Whether regimes are compared by it.
    """

    title: str
    short: str
    baseline_is: str
    value: Callable[[Tally], NDArray[np.float64]]
    baseline: Callable[[Tally], NDArray[np.float64]]
    compared: bool = False


BINARY_METRICS: dict[str, Metric] = {
    "average_precision": Metric(
        "Average precision",
        "AP",
        "the exact mean over random rankings of as many films and positives",
        average_precision,
        expected_average_precision,
        compared=True,
    ),
    "auroc": Metric(
        "AUROC",
        "AUROC",
        "0.5: what a random ranking reaches",
        auroc,
        lambda tally: np.full(len(tally.positives), 0.5),
        compared=True,
    ),
    "precision": Metric(
        "Precision",
        "Precision",
        "prevalence: what calling every film positive reaches",
        precision,
        lambda tally: tally.prevalence,
    ),
    "recall": Metric(
        "Recall",
        "Recall",
        "the share called positive: what random calls at the same rate reach",
        lambda tally: tally.hit / tally.positives,
        lambda tally: tally.predicted / (tally.positives + tally.negatives),
    ),
    "f1": Metric(
        "F1",
        "F1",
        "2p/(1+p) with prevalence p: what calling every film positive reaches",
        lambda tally: 2 * tally.hit / (tally.predicted + tally.positives),
        lambda tally: 2 * tally.prevalence / (1 + tally.prevalence),
        compared=True,
    ),
}
"""Every figure by its name; arrays of figures keep this order, and a further one is one more entry."""


def score(
    ranking: Ranking, weights: NDArray[np.float32], names: Sequence[str] = tuple(BINARY_METRICS)
) -> NDArray[np.float64]:
    """(B, M) metrics of each resample, from weights (N, B).

    NaN where a metric does not exist: no positive, no negative, no operating point.
    """
    return _table(Tally.of(ranking, weights), [BINARY_METRICS[name].value for name in names])


def baselines(ranking: Ranking, names: Sequence[str] = tuple(BINARY_METRICS)) -> NDArray[np.float64]:
    """(M,) the trivial baseline of each metric on the films themselves; NaN where the metric does not exist."""
    once = np.ones((ranking.positive.shape[1], 1), np.float32)
    return np.asarray(_table(Tally.of(ranking, once), [BINARY_METRICS[name].baseline for name in names])[0])


def _table(tally: Tally, columns: Sequence[Callable[[Tally], NDArray[np.float64]]]) -> NDArray[np.float64]:
    """(B, M) figures, NaN in resamples of one class."""
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = np.stack([column(tally) for column in columns], axis=1)
    return np.where(((tally.positives > 0) & (tally.negatives > 0))[:, None], figures, np.nan)
