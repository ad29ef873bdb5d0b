"""Precision-recall, ROC and precision-recall-gain curves, and how far each may be off.

Between two cuts a precision-recall curve is a step (Davis & Goadrich 2006: a straight line there is not reachable), a
ROC curve a straight line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis.metrics import MACRO, Scored, interval, mean_defined, weight_blocks
from explorer.analysis.pooled import tasks, units
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
        threshold, precision, recall, fpr, n_called: one row for each distinct score; empty without a known positive.
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
    columns = ("threshold", "precision", "recall", "fpr", "n_called")
    if not len(positive) or positive[-1] == 0:
        return pd.DataFrame({name: np.zeros(0) for name in columns})
    tp, called = positive[ends], ends + 1
    negatives = len(order) - positive[-1]
    fpr = (called - tp) / negatives if negatives else np.full(len(ends), np.nan)
    values = (scores[order][ends], tp / called, tp / positive[-1], fpr, called)
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def gain(share: NDArray[np.float64], prevalence: float) -> NDArray[np.float64]:
    """Precision or recall on the harmonic scale where the prevalence is 0 and perfection is 1.

    Flach & Kull, "Precision-Recall-Gain curves: PR analysis done right", NeurIPS 2015, section 3. Below the prevalence
    a gain is negative: worse than calling every film positive.

    Examples
    --------
    >>> import numpy as np
    >>> gain(np.array([0.2, 0.5, 1.0]), 0.2).round(2).tolist()
    [0.0, 0.75, 1.0]
    """
    with np.errstate(divide="ignore"):
        return np.asarray((share - prevalence) / ((1 - prevalence) * share))


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
        Precision at the first cut that reaches each recall, then recall at each false positive rate; NaN where a
        resample has no positive or no negative.
    """
    found = np.full((2, len(GRID), tp.shape[1]), np.nan)
    for b in range(tp.shape[1]):
        hits, alarms = tp[:, b], fp[:, b]
        if not len(hits) or hits[-1] == 0 or alarms[-1] == 0:
            continue
        # the first positive is met at some cut even at recall 0; 1e-9 keeps rounding from skipping a cut
        wanted = np.maximum(GRID * hits[-1] - 1e-9, 1e-9)
        cut = np.searchsorted(hits, wanted)
        found[0, :, b] = hits[cut] / (hits[cut] + alarms[cut])
        rate, recall = np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1])
        found[1, :, b] = np.interp(GRID, rate, recall)
    return found


def bands(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Pointwise 95% bands of every label's, domain's and pool's curves, from the resamples the metrics use.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    regimes : name to Scored
    patients : (n,) int

    Returns
    -------
    DataFrame
        BAND_COLUMNS without split. MACRO is the mean of the labels' curves at each place of GRID.
    """
    once = np.ones((len(targets), 1), dtype=np.float32)
    parts = []
    for regime, scored in regimes.items():
        curves, drawn = [], []
        asked = tasks(labels, targets, *scored)
        for task in asked:
            ranking = rank(task.targets, task.scores, None, task.films, len(targets))
            curves.append(_drawn(ranking, [once]))
            blocks = weight_blocks(patients, resamples, seed, max(1, _CHUNK // ranking.size))
            drawn.append(_drawn(ranking, blocks))
        names = [*(task.name for task in asked), MACRO]
        evidence = [*(units(task, patients) for task in asked), len(np.unique(patients))]
        curves.append(mean_defined(np.stack(curves[: len(labels)])))
        drawn.append(mean_defined(np.stack(drawn[: len(labels)])))
        for name, n, curve, sample in zip(names, evidence, curves, drawn, strict=True):
            for kind, y, draws in zip(("pr", "roc"), curve, sample, strict=True):
                low, high = interval(y[None, :, 0], draws.T[None], np.array([n]))
                columns = {"x": GRID, "y": y[:, 0], "low": low[0], "high": high[0]}
                parts.append(pd.DataFrame({"regime": regime, "label": name, "curve": kind, **columns}))
    return pd.concat(parts, ignore_index=True)


def _drawn(ranking: Ranking, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(2, G, B) curves of one ranking."""
    return np.concatenate([on_grid(*reached(ranking, weights)[:2]) for weights in blocks], axis=2)
