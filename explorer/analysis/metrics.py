"""Multi-label metrics with patient-level bootstrap intervals and trivial baselines.

Each label is scored on the rows where it is known. Intervals come from a cluster bootstrap over patients (Efron &
Tibshirani 1993, chapter 8): a patient drawn k times counts k times, with all of their films. The same draws serve all
labels and regimes, so that differences between regimes are paired.

A resample is a vector of integer row weights, so no rows are copied: scores are sorted once per label, and every
resample is one row of a (B, n) matrix of cumulative weighted counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

METRIC_COLUMNS: tuple[str, ...] = (
    "regime",
    "label",
    "split",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n_pos",
    "n_neg",
    "n_unknown",
    "baseline",
)
MACRO = "macro"
"""The pseudo-label of figures averaged over labels."""

METRICS: tuple[str, ...] = ("average_precision", "auroc", "precision", "recall", "f1")
"""In the order of the last axis of :func:`score`. The last three are at the operating point."""

BASELINES = {
    "average_precision": "prevalence: what a random ranking reaches",
    "auroc": "0.5: what a random ranking reaches",
    "precision": "prevalence: what calling every film positive reaches",
    "recall": "the share called positive: what random calls at the same rate reach",
    "f1": "2p/(1+p) with prevalence p: what calling every film positive reaches",
}

_CHUNK = 2**22
"""Weights handled at once: bounds memory at about 32 MB an array whatever B and n."""


@dataclass(frozen=True)
class Ranking:
    """One label's rows sorted by falling score, with the ends of tied groups.

    Attributes
    ----------
    order : (n,) int64
        Positions of the known rows, highest score first.
    positive : (n,) float64
        1 where the row at that place is positive, else 0.
    ends : (t,) int64
        Last place of each group of equal scores: only there does a threshold exist.
    n_called : int
        How many rows reach the operating point; -1 where there is none.
    """

    order: NDArray[np.int64]
    positive: NDArray[np.float64]
    ends: NDArray[np.int64]
    n_called: int


def rank(targets: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> Ranking:
    """Sort one label's known rows.

    Parameters
    ----------
    targets : (N,) 1, 0 or NaN
    scores : (N,) finite
    threshold : float
        Operating point in the units of ``scores``; NaN where there is none.
    """
    known = np.flatnonzero(~np.isnan(targets))
    order = known[np.argsort(-scores[known], kind="stable")]
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, np.int64)
    called = -1 if np.isnan(threshold) else int(np.count_nonzero(ranked >= threshold))
    return Ranking(order, targets[order].astype(np.float64), ends, called)


def score(ranking: Ranking, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All METRICS of one label and their baselines, for each resample at once.

    Parameters
    ----------
    ranking : Ranking
    weights : (B, N)
        How often each row counts in each resample.

    Returns
    -------
    values, baselines : (B, 5) each
        NaN where a metric does not exist: no positive, no negative, no operating point.

    Notes
    -----
    Average precision is the step sum of scikit-learn's ``average_precision_score``; AUROC is the Mann-Whitney
    statistic with ties at one half.
    """
    w = weights[:, ranking.order]  # (B, n)
    tp = np.cumsum(w * ranking.positive, axis=1)
    seen = np.cumsum(w, axis=1)
    tp_end, seen_end = tp[:, ranking.ends], seen[:, ranking.ends]  # (B, t)
    zero = np.zeros((len(w), 1))
    pos = tp_end[:, -1:] if tp_end.shape[1] else zero
    total = seen_end[:, -1:] if seen_end.shape[1] else zero
    neg = total - pos
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.diff(tp_end, prepend=zero)  # positives gained at each threshold
        precision_at = np.where(seen_end > 0, tp_end / seen_end, 0.0)
        ap = (step * precision_at).sum(axis=1) / pos[:, 0]
        fp_end = seen_end - tp_end
        below = np.diff(fp_end, prepend=zero)  # negatives gained at each threshold
        auroc = (below * (tp_end - step / 2)).sum(axis=1) / (pos * neg)[:, 0]
        prevalence = (pos / total)[:, 0]
        if ranking.n_called < 0:
            precision = recall = f1 = rate = np.full(len(w), np.nan)
        else:
            k = ranking.n_called
            hit = tp[:, k - 1] if k else zero[:, 0]
            called = seen[:, k - 1] if k else zero[:, 0]
            # as scikit-learn with zero_division=0: nothing called is a precision of 0, not an undefined one
            precision = np.where(called > 0, hit / called, 0.0)
            recall = hit / pos[:, 0]
            f1 = 2 * hit / (called + pos[:, 0])
            rate = called / total[:, 0]
        values = np.stack([ap, auroc, precision, recall, f1], axis=1)
        half = np.full(len(w), 0.5)
        baselines = np.stack([prevalence, half, prevalence, rate, 2 * prevalence / (1 + prevalence)], axis=1)
    one_class = (pos[:, 0] == 0) | (neg[:, 0] == 0)
    values[one_class] = np.nan
    baselines[one_class] = np.nan
    return values, baselines


def patient_weights(patients: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Row weights of a cluster bootstrap over patients.

    Parameters
    ----------
    patients : (n,) int
        Which patient each row belongs to.
    resamples : int
        B.

    Returns
    -------
    (B, n) float64
        How often each row counts; a patient's rows always count alike.
    """
    _, member = np.unique(patients, return_inverse=True)
    n_patients = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=resamples)
    return draws[:, member].astype(np.float64)


def evaluate(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    logits: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    patients: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every metric of every label and their macro average, with 95% percentile intervals.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN for unknown
    logits : (n, C) finite
    thresholds : (C,) logit units, NaN where a label has none
    patients : (n,) int

    Returns
    -------
    DataFrame
        METRIC_COLUMNS without regime and split. A value is NaN where the rows hold no positive or no negative; an
        interval is NaN too where fewer than half of the resamples define it. The macro average runs over the labels
        whose value exists; its n_pos, n_neg and n_unknown count label cells.
    """
    if len(targets) == 0:
        raise ValueError("evaluate needs at least one row")
    weights = patient_weights(patients, resamples, seed)
    chunk = max(1, _CHUNK // len(targets))
    points, draws, baselines = [], [], []
    for c in range(len(labels)):
        ranking = rank(targets[:, c], logits[:, c], float(thresholds[c]))
        point, baseline = score(ranking, np.ones((1, len(targets))))
        parts = [score(ranking, weights[i : i + chunk])[0] for i in range(0, resamples, chunk)]
        points.append(point[0])
        baselines.append(baseline[0])
        draws.append(np.concatenate(parts))
    value = np.stack(points)  # (C, M)
    base = np.stack(baselines)  # (C, M)
    drawn = np.stack(draws)  # (C, B, M)

    counts = np.stack([(targets == 1).sum(0), (targets == 0).sum(0), np.isnan(targets).sum(0)], axis=1)  # (C, 3)
    # A resample may lose a rare label's positives; its macro average then runs over the labels it kept.
    value = np.vstack([value, _mean_defined(value)])
    base = np.vstack([base, _mean_defined(base)])
    drawn = np.concatenate([drawn, _mean_defined(drawn)[None]])
    counts = np.vstack([counts, counts.sum(0)])
    low, high = _interval(drawn)

    names = np.repeat([*labels, MACRO], len(METRICS))
    frame = pd.DataFrame(
        {
            "label": names,
            "metric": np.tile(METRICS, len(labels) + 1),
            "value": value.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
            "baseline": base.ravel(),
        }
    )
    frame[["n_pos", "n_neg", "n_unknown"]] = np.repeat(counts, len(METRICS), axis=0)
    return frame[[column for column in METRIC_COLUMNS if column in frame]]


def pr_curve(targets: NDArray[np.float32], scores: NDArray[np.float32]) -> pd.DataFrame:
    """Precision and recall at every threshold of one label, from the highest score down.

    Returns
    -------
    DataFrame
        threshold, precision, recall, n_called: one row for each distinct score; empty without a known positive.

    Examples
    --------
    >>> import numpy as np
    >>> pr_curve(np.array([1, 0, 1, np.nan]), np.array([0.9, 0.8, 0.7, 0.95]))["precision"].round(2).tolist()
    [1.0, 0.5, 0.67]
    """
    ranking = rank(targets, scores, float("nan"))
    n_pos = ranking.positive.sum()
    if n_pos == 0:
        return pd.DataFrame({name: np.zeros(0) for name in ("threshold", "precision", "recall", "n_called")})
    tp = np.cumsum(ranking.positive)[ranking.ends]
    called = ranking.ends + 1
    return pd.DataFrame(
        {
            "threshold": scores[ranking.order][ranking.ends],
            "precision": tp / called,
            "recall": tp / n_pos,
            "n_called": called,
        }
    )


def _mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _interval(drawn: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% percentile interval over axis 1, NaN where fewer than half of the draws are defined."""
    enough = (~np.isnan(drawn)).mean(axis=1) >= 0.5
    filled = np.where(enough[:, None], drawn, 0.0)
    low, high = np.nanpercentile(filled, [2.5, 97.5], axis=1)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)
