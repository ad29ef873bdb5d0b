"""Image-wise multi-label metrics.

The paper is Sadman et al., "Interpreting Biomedical VLMs on High-Imbalance Out-of-Distributions" (BIOKDD 2025,
arXiv 2506.14136). Its figures are means over films, so one vector with each film's value serves every resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.pooled import any_of
from explorer.data.labels import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HIGHER_IS_BETTER = {"macro_f1": True, "exact_match": True, "lrap": True, "coverage_error": False}
"""The columns of the paper's table, and which way is better."""
MULTILABEL: tuple[str, ...] = tuple(HIGHER_IS_BETTER)


@dataclass(frozen=True)
class Outcome:
    """One prediction's figures, for each resample.

    Attributes
    ----------
    macro_f1, exact_match, lrap, coverage_error : (B,)
        NaN where the prediction has no calls or no ranking.
    """

    macro_f1: NDArray[np.float64]
    exact_match: NDArray[np.float64]
    lrap: NDArray[np.float64]
    coverage_error: NDArray[np.float64]


def complete(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) films whose every label is known: image-wise metrics have no meaning on the others."""
    return np.asarray(~np.isnan(targets).any(axis=1))


def min_max(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each film's scores to 0..1 over its labels, as the paper's zero-shot table does; 0 where all are equal.

    Every film then has a label at 1, so at threshold 0.5 at least one label is always predicted positive.
    """
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    return np.where(high > low, (scores - low) / np.where(high > low, high - low, 1), 0).astype(np.float32)


def f1(targets: NDArray[np.float32], calls: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of each label in each resample, over its known films.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    calls : (n, C)
    weights : (B, n)

    Returns
    -------
    (B, C)
        0 where there is neither a positive nor a call, as scikit-learn with ``zero_division=0`` and the paper have it.
    """
    known = ~np.isnan(targets)
    positive = targets == 1
    hit = weights @ (positive & calls)
    either = weights @ (positive.astype(np.float64) + (calls & known))
    return np.where(either > 0, 2 * hit / np.where(either > 0, either, 1), 0.0)


def exact_match(targets: NDArray[np.float32], calls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) 1 where every label of a complete film is predicted right."""
    right: NDArray[np.float64] = ((targets == 1) == calls).all(axis=1).astype(np.float64)
    return right


def lrap(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Label ranking average precision of each complete film (Schapire & Singer, Machine Learning 2000).

    For each true label of a film: the share of true ones among the labels ranked as high or higher. The film's value is
    their mean; 1 for a film with no true label.

    Examples
    --------
    >>> import numpy as np
    >>> lrap(np.array([[1, 0, 0], [0, 0, 1]]), np.array([[0.75, 0.5, 1], [1, 0.2, 0.1]])).round(3).tolist()
    [0.5, 0.333]
    """
    positive = targets == 1
    above = scores[:, :, None] <= scores[:, None, :]  # (n, j, k): label k ranks as high as j or higher
    share = (above & positive[:, None, :]).sum(axis=2) / above.sum(axis=2)
    count = positive.sum(axis=1)
    return np.where(count > 0, (share * positive).sum(axis=1) / np.maximum(count, 1), 1.0)


def coverage_error(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far down each complete film's ranking one must go to meet all its true labels; 0 where it has none."""
    positive = targets == 1
    above = (scores[:, :, None] <= scores[:, None, :]).sum(axis=2)
    depth: NDArray[np.float64] = (above * positive).max(axis=1).astype(np.float64)
    return depth


def outcome(
    targets: NDArray[np.float32],
    calls: NDArray[np.bool_] | None,
    scores: NDArray[np.floating] | None,
    weights: NDArray[np.float64],
) -> Outcome:
    """All figures of one prediction.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    calls : (n, C), optional
        Which labels are predicted positive.
    scores : (n, C), optional
        What ranks a film's labels against each other.
    weights : (B, n)
        How often each film counts in each resample; ones for the point estimate.
    """
    whole = complete(targets)
    none = np.full(len(weights), np.nan)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        w = weights[:, whole]
        total = w.sum(axis=1)
        return np.where(total > 0, w @ values / np.where(total > 0, total, 1), np.nan)

    return Outcome(
        macro_f1=none if calls is None else f1(targets, calls, weights).mean(axis=1),
        exact_match=none if calls is None else mean(exact_match(targets[whole], calls[whole])),
        lrap=none if scores is None else mean(lrap(targets[whole], scores[whole])),
        coverage_error=none if scores is None else mean(coverage_error(targets[whole], scores[whole])),
    )


def by_domain(
    labels: Sequence[str], targets: NDArray[np.float32], calls: NDArray[np.bool_]
) -> tuple[list[str], NDArray[np.float32], NDArray[np.bool_]]:
    """The paper's four domains as labels: a film has a domain, or is predicted to, where it has any of its labels.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    calls : (n, C)

    Returns
    -------
    names : K domains with a label here
    targets : (n, K)
        NaN where no label is positive and some are unknown.
    calls : (n, K)
    """
    places = {name: [labels.index(one) for one in members if one in labels] for name, members in DOMAINS.items()}
    places = {name: columns for name, columns in places.items() if columns}
    grouped = [any_of(targets[:, columns]) for columns in places.values()]
    predicted = [calls[:, columns].any(axis=1) for columns in places.values()]
    n = len(targets)
    return (
        list(places),
        np.stack(grouped, axis=1) if grouped else np.zeros((n, 0), np.float32),
        np.stack(predicted, axis=1) if predicted else np.zeros((n, 0), bool),
    )
