"""What predictions that never look at a film reach on image-wise multi-label metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.multilabel import MULTILABEL, complete, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from explorer.analysis.multilabel import Outcome


def trivial_baselines(
    labels: Sequence[str], train: NDArray[np.float32], targets: NDArray[np.float32]
) -> dict[str, dict[str, float]]:
    """What predictions that never look at a film reach on ``targets``: exact expectations, nothing drawn.

    Parameters
    ----------
    labels : C names
    train : (m, C) 1, 0 or NaN
        Where prevalences are taken from.
    targets : (n, C) 1, 0 or NaN

    Returns
    -------
    dict
        Name to its MULTILABEL figures, those it has.

    Notes
    -----
    Random ranking: a true label's place r is uniform in 1..C, and (r - 1)(k - 1)/(C - 1) of the k - 1 others lie above
    it. So LRAP is the mean over r of (1 + (r - 1)(k - 1)/(C - 1))/r. The deepest of k lies at k(C + 1)/(k + 1).
    Prevalence-matched random calls label c with probability p_c; its F1 is the ratio of expectations, 2pq/(p + q).
    """
    whole = complete(targets)
    rows = targets[whole] == 1  # (n, C)
    n_labels = targets.shape[1]
    ones = np.ones((1, len(targets)))
    rate, prevalence = _prevalence(train), _prevalence(targets)
    places = np.arange(1, n_labels + 1)
    expected = np.array(
        [np.mean((1 + (places - 1) * (k - 1) / max(n_labels - 1, 1)) / places) for k in range(1, n_labels + 1)]
    )
    k = rows.sum(axis=1)
    random_lrap = np.where(k > 0, expected[np.maximum(k, 1) - 1], 1.0)
    both = prevalence + rate
    matched_f1 = np.where(both > 0, 2 * prevalence * rate / np.where(both > 0, both, 1), 0.0)
    baselines: dict[str, dict[str, float]] = {
        "random ranking": {
            "lrap": _mean(random_lrap),
            "coverage_error": _mean(k * (n_labels + 1) / (k + 1)),
        },
        "prevalence ranking": _point(outcome(targets, None, np.tile(rate, (len(targets), 1)), ones)),
        "all positive": _point(outcome(targets, np.ones(targets.shape, dtype=bool), None, ones)),
        "prevalence-matched random": {
            "macro_f1": float(matched_f1.mean()),
            "exact_match": _mean(np.where(rows, rate, 1 - rate).prod(axis=1)),
        },
    }
    if "No Finding" in labels:
        calls = np.zeros(targets.shape, dtype=bool)
        calls[:, list(labels).index("No Finding")] = True
        baselines["always No Finding"] = _point(outcome(targets, calls, None, ones))
    return baselines


def _prevalence(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,) share of positives among known films; 0 where nothing is known."""
    known = (~np.isnan(targets)).sum(axis=0)
    return np.where(known > 0, (targets == 1).sum(axis=0) / np.maximum(known, 1), 0.0)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _point(result: Outcome) -> dict[str, float]:
    figures = {name: float(getattr(result, name)[0]) for name in MULTILABEL}
    return {name: value for name, value in figures.items() if not np.isnan(value)}
