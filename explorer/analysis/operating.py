"""What a threshold does: which films are predicted positive, how often rightly, and the net benefit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.metrics import interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS: tuple[str, ...] = ("tp", "fp", "fn", "tn")


class Estimate(NamedTuple):
    """One figure at a threshold, its 95% interval, the films it rests on, and what random predictions reach."""

    value: float
    low: float
    high: float
    n: int
    baseline: float


def outcome_cells(targets: NDArray[np.float32], calls: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, 4) which of CELLS each film is in; unknown films are in none."""
    positive, negative = targets == 1, targets == 0
    return np.stack([positive & calls, negative & calls, positive & ~calls, negative & ~calls], axis=1)


def wilson(k: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of k out of n (JASA 1927).

    Examples
    --------
    >>> [round(end, 2) for end in wilson(3, 6)]
    [0.19, 0.81]
    """
    if n == 0:
        return np.nan, np.nan
    z = 1.96
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def count_draws(
    members: NDArray[np.bool_], patients: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """How many films each cell holds in each resample of a cluster bootstrap over patients.

    Parameters
    ----------
    members : (n, K)
        Which cells each film is in.
    patients : (n,) int
    resamples : int
        B.

    Returns
    -------
    (B, K)

    Notes
    -----
    Patients whose films fall alike into the cells are interchangeable. So it is enough to draw how many of each kind
    there are: one multinomial draw, exact, whose cost does not grow with the films.
    """
    codes, member = np.unique(patients, return_inverse=True)
    counts = np.stack([np.bincount(member, weights=column, minlength=len(codes)) for column in members.T], axis=1)
    kinds, number = np.unique(counts, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    return np.asarray(rng.multinomial(len(codes), number / len(codes), size=resamples) @ kinds)


def at_threshold(
    targets: NDArray[np.float32],
    calls: NDArray[np.bool_],
    patients: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """All figures of one label at one threshold.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    calls : (n,)
    patients : (n,) int

    Returns
    -------
    dict
        ``recall``, ``specificity``, ``precision``, ``npv`` with Wilson's interval, which holds for few films and at 0
        and 1; ``f1`` and ``mcc`` with a patient-level bootstrap interval. Baselines: random predictions at that rate.
    """
    members = outcome_cells(targets, calls)
    tp, fp, fn, tn = (int(count) for count in members.sum(axis=0))
    n = tp + fp + fn + tn
    rate = (tp + fp) / n if n else np.nan
    prevalence = (tp + fn) / n if n else np.nan
    estimates = {}
    for name, k, of, baseline in (
        ("recall", tp, tp + fn, rate),
        ("specificity", tn, tn + fp, 1 - rate),
        ("precision", tp, tp + fp, prevalence),
        ("npv", tn, tn + fn, 1 - prevalence),
    ):
        estimates[name] = Estimate(k / of if of else np.nan, *wilson(k, of), of, baseline)
    value = _f1_mcc(np.array([[tp, fp, fn, tn]], dtype=float))
    resampled = _f1_mcc(count_draws(members, patients, resamples, seed))
    evidence = np.array([min(len(np.unique(patients[targets == side])) for side in (0, 1))])
    low, high = interval(value, resampled[None], evidence)
    both = rate + prevalence
    random_f1 = 2 * rate * prevalence / both if both else 0.0
    estimates["f1"] = Estimate(float(value[0, 0]), float(low[0, 0]), float(high[0, 0]), tp + fn, random_f1)
    estimates["mcc"] = Estimate(float(value[0, 1]), float(low[0, 1]), float(high[0, 1]), n, 0.0)
    return estimates


def net_benefit(
    targets: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    patients: NDArray[np.int64],
    at: NDArray[np.float64],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Decision curve: net benefit of each threshold probability (Vickers & Elkin, Medical Decision Making 2006).

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    probabilities : (n,)
    patients : (n,) int
    at : (T,) in (0, 1)
        Threshold probabilities: acting at probability p weighs a missed finding (1 - p)/p times as heavily as a
        false alarm.

    Returns
    -------
    DataFrame
        at, value, low, high: true positives less false ones weighted by p/(1 - p), per film; and ``all``: every film
        predicted positive. Predicting none positive is 0.
    """
    known = ~np.isnan(targets)
    y, p, who = targets[known], probabilities[known], patients[known]
    weight = at / (1 - at)
    prevalence = float(y.mean()) if len(y) else np.nan
    evidence = np.array([min(len(np.unique(who[y == side])) for side in (0, 1))])
    rows = []
    for cut, price in zip(at, weight, strict=True):
        members = outcome_cells(y, p >= cut)
        value = np.array([[_benefit(members.sum(axis=0)[None], price)[0]]])
        resampled = _benefit(count_draws(members, who, resamples, seed), price)
        low, high = interval(value, resampled[None, :, None], evidence)
        rows.append((cut, value[0, 0], low[0, 0], high[0, 0], prevalence - (1 - prevalence) * price))
    return pd.DataFrame(rows, columns=["at", "value", "low", "high", "all"])


def _benefit(counts: NDArray[np.float64], price: float) -> NDArray[np.float64]:
    """(B,) from (B, 4) counts."""
    return np.asarray((counts[:, 0] - counts[:, 1] * price) / np.maximum(counts.sum(axis=1), 1))


def _f1_mcc(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, 2) from (B, 4) counts; NaN without a positive or a negative, MCC 0 where all predictions are alike."""
    tp, fp, fn, tn = counts.T
    defined = (tp + fn > 0) & (fp + tn > 0)
    area = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    mcc = np.where(area > 0, (tp * tn - fp * fn) / np.sqrt(np.where(area > 0, area, 1)), 0.0)
    return np.where(defined[:, None], np.stack([f1, mcc], axis=1), np.nan)
