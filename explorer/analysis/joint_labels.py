"""Joint labels: pairs predicted together against pairs that occur together, and figures of whole films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.multilabel import f1, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WHOLE_FILM: dict[str, str] = {
    "exact_match": "Exact match",
    "hamming": "Hamming loss ↓",
    "lrap": "LRAP",
    "coverage_error": "Coverage error ↓",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "weighted_f1": "Weighted F1",
}
"""Figures of :func:`whole_film`, in order."""


def cooccurrence(
    positive: NDArray[np.bool_], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How often labels occur together.

    Parameters
    ----------
    positive, known : (n, C)

    Returns
    -------
    share : (C, C)
        P(column positive | row positive) over films where both are known; NaN where no film has the row.
    both : (C, C)
        Films positive for both.
    """
    has, can = (positive & known).astype(np.int64), known.astype(np.int64)
    both = has.T @ has
    row_known = has.T @ can
    with np.errstate(invalid="ignore"):
        return both / row_known, both


def pairs(labels: Sequence[str], targets: NDArray[np.float32], calls: NDArray[np.bool_]) -> pd.DataFrame:
    """Every pair of labels: films that have both, films predicted positive for both, and how many by chance.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    calls : (n, C)

    Returns
    -------
    DataFrame
        one, other, n (films where both are known), true, predicted, by_chance: the largest excess of predictions first.
        ``by_chance`` is n times the product of the two labels' rates of positive predictions.
    """
    known = ~np.isnan(targets)
    rows = []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            both = known[:, i] & known[:, j]
            n = int(both.sum())
            true = int(((targets[:, i] == 1) & (targets[:, j] == 1)).sum())
            a, b = calls[both, i], calls[both, j]
            rows.append((labels[i], labels[j], n, true, int((a & b).sum()), float(a.mean() * b.sum()) if n else 0.0))
    frame = pd.DataFrame(rows, columns=["one", "other", "n", "true", "predicted", "by_chance"])
    excess = (frame["predicted"] - frame["true"]).sort_values(ascending=False, kind="stable")
    return frame.loc[excess.index].reset_index(drop=True)


def whole_film(
    targets: NDArray[np.float32],
    calls: NDArray[np.bool_] | None,
    scores: NDArray[np.floating] | None,
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Figures that judge all labels of a film at once, for each resample.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    calls : (n, C), optional
    scores : (n, C), optional
        What ranks a film's labels against each other.
    weights : (B, n)

    Returns
    -------
    dict
        WHOLE_FILM's names, those the prediction has, to (B,). Exact match, LRAP and coverage need films whose every
        label is known; Hamming loss and F1 use every known film-label pair.
    """
    base = outcome(targets, calls, scores, weights)
    figures: dict[str, NDArray[np.float64]] = {}
    if scores is not None:
        figures |= {"lrap": base.lrap, "coverage_error": base.coverage_error}
    if calls is not None:
        known, positive = ~np.isnan(targets), targets == 1
        wrong = weights @ ((positive != calls) & known).sum(axis=1)
        pairs_known = weights @ known.sum(axis=1)
        hit = weights @ (positive & calls).sum(axis=1)
        either = weights @ (positive.sum(axis=1) + (calls & known).sum(axis=1))
        support = weights @ positive  # (B, C)
        figures |= {"exact_match": base.exact_match, "macro_f1": base.macro_f1}
        figures["hamming"] = wrong / np.where(pairs_known > 0, pairs_known, np.nan)
        figures["micro_f1"] = 2 * hit / np.where(either > 0, either, np.nan)
        weighted = (f1(targets, calls, weights) * support).sum(axis=1)
        figures["weighted_f1"] = weighted / np.maximum(support.sum(axis=1), 1)
    return {name: figures[name] for name in WHOLE_FILM if name in figures}
