"""Differences between regimes on the same films: paired intervals, p values that allow for many labels, and a check."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

from explorer.analysis.jackknife import Estimates, difference_intervals
from explorer.analysis.metrics import METRICS, Scored
from explorer.analysis.pooled import MICRO, tasks
from explorer.analysis.ranking import BINARY_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DIFFERENCE_COLUMNS: tuple[str, ...] = (
    "split",
    "label",
    "metric",
    "regime",
    "against",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_delong",
    "n_pos",
    "n_neg",
)
COMPARED: tuple[str, ...] = tuple(name for name, metric in BINARY_METRICS.items() if metric.compared)

DELONG_FROM = 25
"""Patients of the fewer kind from which DeLong's test has its size: below, it rejects up to twice as often."""


def differences(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    estimates: Mapping[str, Estimates],
) -> pd.DataFrame:
    """Every pair of regimes, the later minus the earlier, for every label, domain and pool.

    Parameters
    ----------
    labels, targets, regimes, patients
        As :func:`explorer.analysis.metrics.estimate` had them.
    estimates : regime to Estimates
        What it returned: the same patients left out for all regimes, so that differences are paired.

    Returns
    -------
    DataFrame
        DIFFERENCE_COLUMNS without split. ``p_delong`` is :func:`delong`'s, for AUROC alone; NaN with fewer than
        DELONG_FROM patients, where it rejects too often.
    """
    asked = {name: tasks(labels, targets, *scored) for name, scored in regimes.items()}
    parts = []
    for earlier, later in combinations(regimes, 2):
        two = estimates[later]
        change = two - estimates[earlier]
        low, high, p = difference_intervals(change)
        check = np.full(len(two.names), np.nan)
        for i, (a, b) in enumerate(zip(asked[earlier], asked[later], strict=True)):
            if a.name != MICRO and two.units[i] >= DELONG_FROM:  # MICRO's rows are not independent within a film
                _, p_check = delong(a.targets, np.stack([a.scores, b.scores]), patients)
                check[i] = p_check
        for metric in COMPARED:
            m = METRICS.index(metric)
            parts.append(
                pd.DataFrame(
                    {
                        "label": two.names,
                        "metric": metric,
                        "regime": later,
                        "against": earlier,
                        "difference": change.value[:, m],
                        "ci_low": low[:, m],
                        "ci_high": high[:, m],
                        "p": p[:, m],
                        "p_delong": check if metric == "auroc" else np.nan,
                        "n_pos": two.counts[:, 0],
                        "n_neg": two.counts[:, 1],
                    }
                )
            )
    if not parts:  # a single regime
        return pd.DataFrame(columns=[name for name in DIFFERENCE_COLUMNS if name != "split"])
    return pd.concat(parts, ignore_index=True)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P values adjusted so that the chance of any false claim among them stays below the level (Holm 1979).

    Parameters
    ----------
    p : (n,)
        NaN takes no part and stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.03, np.nan])).round(3).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def delong(
    targets: NDArray[np.float32], scores: NDArray[np.floating], patients: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """AUROC of two rankings of the same films, and the p of their being equal.

    DeLong, DeLong & Clarke-Pearson (Biometrics 1988), with Obuchowski's sums over patients (Biometrics 1997), which is
    the same where every patient has one film.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    scores : (2, n)
    patients : (n,) int

    Returns
    -------
    auroc : (2,)
    p : float
        NaN without two patients of each class, and where the rankings agree on every pair of films.
    """
    positive, negative = targets == 1, targets == 0
    m, n = int(positive.sum()), int(negative.sum())
    if m == 0 or n == 0:
        return np.full(2, np.nan), np.nan
    both = np.concatenate([scores[:, positive], scores[:, negative]], axis=1)
    overall = _ranks(both)
    # the share of negatives each positive beats, and of positives each negative loses to; ties count half
    wins = (overall[:, :m] - _ranks(both[:, :m])) / n  # (2, m)
    losses = 1 - (overall[:, m:] - _ranks(both[:, m:])) / m  # (2, n)
    auroc = wins.mean(axis=1)
    _, codes = np.unique(patients, return_inverse=True)
    with_it, without = codes[positive], codes[negative]
    excess_wins = _by_patient(wins - auroc[:, None], with_it, codes.max() + 1)  # (2, P)
    excess_losses = _by_patient(losses - auroc[:, None], without, codes.max() + 1)
    i, j, every = len(np.unique(with_it)), len(np.unique(without)), len(np.unique(np.append(with_it, without)))
    if i < 2 or j < 2:
        return auroc, np.nan
    shared = excess_wins @ excess_losses.T
    covariance = (
        i / (i - 1) * (excess_wins @ excess_wins.T) / m**2
        + j / (j - 1) * (excess_losses @ excess_losses.T) / n**2
        + every / (every - 1) * (shared + shared.T) / (m * n)
    )
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if variance <= 1e-15:
        return auroc, np.nan
    return auroc, float(2 * ndtr(-abs(auroc[1] - auroc[0]) / np.sqrt(variance)))


def _by_patient(values: NDArray[np.float64], codes: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """(2, n) sums over each patient's rows."""
    return np.stack([np.bincount(codes, weights=row, minlength=n) for row in values])


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, n) rank of each score in its row, from 1; equal scores share their mean rank."""
    ranks = []
    for row in scores:
        _, place, count = np.unique(row, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(count) - (count - 1) / 2)[place])
    return np.stack(ranks)
