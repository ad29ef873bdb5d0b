"""Precision-recall, ROC and precision-recall-gain curves, and how far each may be off.

Between two cuts a precision-recall curve is a step (Davis & Goadrich 2006: a straight line there is not reachable), a
ROC curve a straight line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis.metrics import MACRO, MACRO_ALL, Scored, interval, mean_defined, weight_blocks, well_known
from explorer.analysis.pooled import Task, tasks, units
from explorer.analysis.ranking import Ranking, group_ends, rank, reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

CurveKind = Literal["pr", "roc"]
GRID = np.linspace(0, 1, 51)
"""Where bands are given: recall for precision, false positive rate for recall."""
BAND_COLUMNS: tuple[str, ...] = ("regime", "split", "label", "curve", "x", "y", "low", "high")

_CHUNK = 2**22


def pr_curve(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> pd.DataFrame:
    """Precision and recall at every threshold of one label, from the highest score down.

    Returns
    -------
    DataFrame
        threshold, precision, recall, fpr, n_predicted: one row for each distinct score; empty without a known positive.
        fpr is NaN without a known negative.

    Examples
    --------
    >>> import numpy as np
    >>> pr_curve(np.array([1, 0, 1, np.nan]), np.array([0.9, 0.8, 0.7, 0.95]))["precision"].round(2).tolist()
    [1.0, 0.5, 0.67]
    """
    known = np.flatnonzero(~np.isnan(targets))
    order = known[np.argsort(-scores[known], kind="stable")]
    ends = group_ends(scores[order])
    positive = np.cumsum(targets[order] == 1)
    columns = ("threshold", "precision", "recall", "fpr", "n_predicted")
    if not len(positive) or positive[-1] == 0:
        return pd.DataFrame({name: np.zeros(0) for name in columns})
    tp, n_predicted = positive[ends], ends + 1
    negatives = len(order) - positive[-1]
    fpr = (n_predicted - tp) / negatives if negatives else np.full(len(ends), np.nan)
    values = (scores[order][ends], tp / n_predicted, tp / positive[-1], fpr, n_predicted)
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def gain(share: NDArray[np.float64], prevalence: float) -> NDArray[np.float64]:
    """Precision or recall on the harmonic scale where the prevalence is 0 and perfection is 1.

    Flach & Kull, "Precision-Recall-Gain curves: PR analysis done right", NeurIPS 2015, section 3. Below the prevalence
    a gain is negative: worse than predicting every film positive.

    Examples
    --------
    >>> import numpy as np
    >>> gain(np.array([0.2, 0.5, 1.0]), 0.2).round(2).tolist()
    [0.0, 0.75, 1.0]
    """
    with np.errstate(divide="ignore"):
        return np.asarray((share - prevalence) / ((1 - prevalence) * share))


def gain_area(tp: NDArray[np.float64], fp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the precision-recall-gain curve, where recall gain is 0 to 1 (Flach & Kull 2015, section 4).

    1 is perfect; ties everywhere give 0. Between two cuts both gains are linear in 1 / tp, so that the trapezoid is
    exact.

    Parameters
    ----------
    tp, fp : (K, B)
        Positives and negatives met at each cut, from the highest score down; the last cut has them all.

    Returns
    -------
    (B,)
        NaN where a resample has no positive or no negative.

    Examples
    --------
    >>> import numpy as np
    >>> gain_area(np.array([[1.0], [1.0], [2.0], [2.0]]), np.array([[0.0], [1.0], [1.0], [2.0]])).tolist()
    [0.25]
    """
    tp, fp = (np.pad(counted, ((1, 0), (0, 0))) for counted in (tp, fp))
    positives, negatives = tp[-1], fp[-1]
    start = positives**2 / np.maximum(positives + negatives, 1)  # where recall is the prevalence: its gain is 0
    after = np.minimum((tp <= start).sum(axis=0), len(tp) - 1)[None]  # the first cut beyond the start
    (t0, t1), (f0, f1) = (
        (np.take_along_axis(counted, after - 1, axis=0)[0], np.take_along_axis(counted, after, axis=0)[0])
        for counted in (tp, fp)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        at_start = f0 + (f1 - f0) * (start - t0) / (t1 - t0)
        before = np.arange(len(tp))[:, None] < after
        tp, fp = np.where(before, start, tp), np.where(before, at_start, fp)
        odds = positives / negatives
        recall_gain, precision_gain = 1 - odds * (positives / tp - 1), 1 - odds * fp / tp
        area = (np.diff(recall_gain, axis=0) * (precision_gain[1:] + precision_gain[:-1])).sum(axis=0) / 2
    return np.where((positives > 0) & (negatives > 0), area, np.nan)


def gain_interval(
    asked: Sequence[Task], patients: NDArray[np.int64], *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """:func:`gain_area` of a task, or its mean over tasks, and its 95% interval, from resampled patients."""
    once = np.ones((len(patients), 1), dtype=np.float32)
    values, draws = [], []
    for task in asked:
        ranking = rank(task.targets, task.scores, None, task.films, len(patients))
        blocks = weight_blocks(patients, resamples, seed, max(1, _CHUNK // ranking.size))
        values.append(gain_area(*reached(ranking, once)[:2]))
        draws.append(np.concatenate([gain_area(*reached(ranking, weights)[:2]) for weights in blocks]))
    value, resampled = mean_defined(np.stack(values)), mean_defined(np.stack(draws))
    evidence = units(asked[0], patients) if len(asked) == 1 else len(np.unique(patients))
    low, high = interval(value[None], resampled[None, :, None], np.array([evidence]))
    return float(value[0]), float(low[0, 0]), float(high[0, 0])


def least_precision(recall: NDArray[np.float64], prevalence: float) -> NDArray[np.float64]:
    """The precision of the worst ranking: below it nothing can be reached (Boyd et al., ICML 2012, theorem 1).

    Examples
    --------
    >>> import numpy as np
    >>> least_precision(np.array([0.0, 1.0]), 0.25).tolist()
    [0.0, 0.25]
    """
    return np.asarray(prevalence * recall / (1 - prevalence + prevalence * recall))


def on_grid(tp: NDArray[np.float64], fp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curves at GRID, from positives and negatives met at each cut.

    Parameters
    ----------
    tp, fp : (K, B)

    Returns
    -------
    (2, G, B)
        Precision at the first cut that reaches each recall, then recall at each false positive rate. NaN where a
        resample has no positive or no negative.
    """
    curves = np.full((2, len(GRID), tp.shape[1]), np.nan)
    for b in range(tp.shape[1]):
        hits, alarms = tp[:, b], fp[:, b]
        if not len(hits) or hits[-1] == 0 or alarms[-1] == 0:
            continue
        # the first positive is met at some cut even at recall 0; 1e-9 keeps rounding from skipping a cut
        wanted = np.maximum(GRID * hits[-1] - 1e-9, 1e-9)
        cut = np.searchsorted(hits, wanted)
        curves[0, :, b] = hits[cut] / (hits[cut] + alarms[cut])
        rate, recall = np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1])
        curves[1, :, b] = np.interp(GRID, rate, recall)
    return curves


def bands(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    averaged: NDArray[np.bool_] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Pointwise 95% bands of every label's, domain's and pool's curves, from resampled patients.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    regimes : name to Scored
    patients : (n,) int
    averaged : (C,) bool, optional
        The labels that MACRO is over; by default :func:`explorer.analysis.metrics.well_known`.

    Returns
    -------
    DataFrame
        BAND_COLUMNS without split. MACRO and MACRO_ALL are means of labels' curves at each place of GRID.
    """
    once = np.ones((len(targets), 1), dtype=np.float32)
    averaged = well_known(targets, patients) if averaged is None else averaged
    parts = []
    for regime, scored in regimes.items():
        curves, resampled = [], []
        asked = tasks(labels, targets, *scored)
        for task in asked:
            ranking = rank(task.targets, task.scores, None, task.films, len(targets))
            curves.append(_curves_on_grid(ranking, [once]))
            blocks = weight_blocks(patients, resamples, seed, max(1, _CHUNK // ranking.size))
            resampled.append(_curves_on_grid(ranking, blocks))
        names = [*(task.name for task in asked), MACRO, MACRO_ALL]
        evidence = [*(units(task, patients) for task in asked), *[len(np.unique(patients))] * 2]
        for parts_of in (curves, resampled):
            alone = np.stack(parts_of[: len(labels)])
            parts_of += [mean_defined(alone[averaged]), mean_defined(alone)]
        for name, n, curve, sample in zip(names, evidence, curves, resampled, strict=True):
            for kind, y, draws in zip(("pr", "roc"), curve, sample, strict=True):
                low, high = interval(y[None, :, 0], draws.T[None], np.array([n]))
                columns = {"x": GRID, "y": y[:, 0], "low": low[0], "high": high[0]}
                parts.append(pd.DataFrame({"regime": regime, "label": name, "curve": kind, **columns}))
    return pd.concat(parts, ignore_index=True)


def _curves_on_grid(ranking: Ranking, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(2, G, B) curves of one ranking."""
    return np.concatenate([on_grid(*reached(ranking, weights)[:2]) for weights in blocks], axis=2)
