"""Intervals and tests of figures by leaving out patients in turn.

The delete-one jackknife by patient gives a figure's bias and standard error (Efron & Tibshirani 1993, chapter 11). Step
average precision counts each positive in its own precision, so it lies too high at few positives. The jackknife takes
that off, also from a mean over labels, where it does not average out. Figures between 0 and 1 have their interval on
the logit scale with t quantiles. A mean over labels has Satterthwaite's (1946) degrees of freedom, which labels of
few patients lower. ``tests/analysis/test_coverage.py`` holds their coverage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, owens_t, stdtr, stdtrit  # scipy.stats takes a page's first second

GROUPS = 1000
"""More patients than this are left out in so many groups: enough for the standard error, and it bounds the time."""
PRIOR = 20
"""Patients' worth of trust in the binormal variance of AUROC beside the measured one."""
SILENT = 1e-12
"""A standard error up to this is no spread at all."""

_AUROCS = expit(np.linspace(logit(1e-4), logit(1 - 1e-6), 4001))


@dataclass(frozen=True)
class Estimates:
    """Figures of T tasks on the films themselves and without each group of patients.

    Attributes
    ----------
    names : T labels, domains, pools and last the means over labels
    metrics : M names
    value, baseline : (T, M)
    left_out : (T, G, M)
        Without each of G groups of patients; NaN where that leaves no figure.
    counts : (T, 3)
        Rows known positive, known negative and unknown; pools and means count film-label pairs.
    patients : (T, 3)
        Patients with a positive row, with a negative one and with one predicted positive.
    members : (T, C) bool
        The labels that a mean is over; no label in the rows of all else.
    """

    names: tuple[str, ...]
    metrics: tuple[str, ...]
    value: NDArray[np.float64]
    baseline: NDArray[np.float64]
    left_out: NDArray[np.float64]
    counts: NDArray[np.int64]
    patients: NDArray[np.int64]
    members: NDArray[np.bool_]

    def __sub__(self, other: Estimates) -> Estimates:
        """The differences, paired by patient; counts and members stay."""
        return Estimates(
            self.names,
            self.metrics,
            self.value - other.value,
            np.zeros_like(self.baseline),
            self.left_out - other.left_out,
            self.counts,
            self.patients,
            self.members,
        )

    @property
    def units(self) -> NDArray[np.int64]:
        """(T,) patients with a positive or with a negative, whichever are fewer; of a mean, its least label's."""
        alone = self.patients[:, :2].min(axis=1)
        labels = alone[: self.members.shape[1]]
        least = np.where(self.members, labels, labels.max()).min(axis=1)
        return np.asarray(np.where(self.members.any(axis=1), least, alone))

    @property
    def bias(self) -> NDArray[np.float64]:
        """(T, M)"""
        groups = self.left_out.shape[1]
        return np.asarray((groups - 1) * (self.left_out.mean(axis=1) - self.value))

    @property
    def error(self) -> NDArray[np.float64]:
        """(T, M) standard errors; NaN where the figure needs each of its patients, as from a single one."""
        return np.where((self.units > 1)[:, None], standard_error(self.left_out), np.nan)

    @property
    def degrees(self) -> NDArray[np.float64]:
        """(T, M) degrees of freedom: patients less one; of a mean, Satterthwaite's from its labels' variances."""
        own = np.maximum(self.units - 1, 1)[:, None].astype(np.float64)
        n_labels = self.members.shape[1]
        variance = np.nan_to_num(self.error[:n_labels] ** 2)  # (C, M)
        with np.errstate(invalid="ignore", divide="ignore"):
            together = (self.members @ variance) ** 2 / (self.members @ (variance**2 / own[:n_labels]))
        mean = np.asarray(self.members.any(axis=1))[:, None] & np.isfinite(together)
        return np.where(mean, np.maximum(together, own), own)


def standard_error(left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, M) standard errors of figures from their values without each group of patients, (T, G, M)."""
    return np.asarray(np.sqrt((left_out.shape[1] - 1) * left_out.var(axis=1)))


def mean_of_films(values: NDArray[np.floating], patients: NDArray[np.int64]) -> tuple[float, float, float]:
    """The mean of (N,) values of films and its 95% interval with t quantiles; NaN ends where one patient has them all.

    Examples
    --------
    >>> [round(part, 3) for part in mean_of_films(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]))]
    [2.0, -0.484, 4.484]
    """
    _, member = np.unique(patients, return_inverse=True)
    total, films = np.bincount(member, values), np.bincount(member)
    mean, n = float(values.mean()), len(films)
    if n < 2:
        return mean, np.nan, np.nan
    left_out = (total.sum() - total) / (len(values) - films)
    reach = float(standard_error(left_out[None, :, None])[0, 0] * stdtrit(n - 1, 0.975))
    return mean, mean - reach, mean + reach


def patient_interval(
    metric: Callable[..., float], patients: NDArray[np.int64], *arrays: NDArray[Any]
) -> tuple[float, float, float]:
    """Any figure of films and its 95% interval from leaving out patients in turn, with t quantiles.

    Parameters
    ----------
    metric : callable
        Given the arrays with the rows of some films, it returns a number.
    patients : (N,)
    arrays : (N, …) each

    Returns
    -------
    value, low, high : float
        Ends are NaN where there is one patient, or no figure without one of them.

    Notes
    -----
    The jackknife suits smooth figures; it underestimates the error of a median or a maximum (Efron & Tibshirani 1993).

    Examples
    --------
    >>> [round(end, 3) for end in patient_interval(np.mean, np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    kept = groups_of(patients).astype(bool).T  # (G, N)
    value = float(metric(*arrays))
    if len(kept) < 2:
        return value, np.nan, np.nan
    left_out = np.array([metric(*(array[rows] for array in arrays)) for rows in kept])
    reach = float(standard_error(left_out[None, :, None])[0, 0] * stdtrit(len(kept) - 1, 0.975))
    return value, value - reach, value + reach


def groups_of(patients: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, G) weights of the films: column g leaves out one patient, or a group of them where there are many."""
    _, member = np.unique(patients, return_inverse=True)
    n = int(member.max()) + 1
    group = np.random.default_rng(0).permutation(n) % min(n, GROUPS)
    return np.asarray(group[member][:, None] != np.arange(min(n, GROUPS)), dtype=np.float32)


def intervals(estimates: Estimates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% intervals of figures between 0 and 1.

    Returns
    -------
    low, high : (T, M)
        At a perfect or empty figure, one-sided and exact (:func:`edge`). NaN where there is none to give: a single
        patient, or no spread between the edges.
    """
    value, error = estimates.value, estimates.error
    centre = np.clip(value - estimates.bias, value / 2, (1 + value) / 2)  # at most half way to the edge
    low, high = on_logit_scale(centre, error, estimates.degrees)
    spread = error > SILENT
    alone: NDArray[np.bool_] = ~estimates.members.any(axis=1) & (estimates.units > 1)
    for i in np.flatnonzero(alone):
        positives, negatives, predicted = (int(n) for n in estimates.patients[i])
        known = estimates.counts[i, :2]
        for m, name in enumerate(estimates.metrics):
            at_edge = value[i, m] in (0.0, 1.0)
            if name == "auroc" and (spread[i, m] or at_edge):
                low[i, m], high[i, m] = auroc_interval(value[i, m], error[i, m], positives, negatives)
            elif at_edge and not spread[i, m]:
                prevalence = float(known[0] / known.sum())
                low[i, m], high[i, m] = edge(name, value[i, m] == 1, prevalence, positives, negatives, predicted)
    return low, high


def on_logit_scale(
    centre: NDArray[np.float64], error: NDArray[np.float64], degrees: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of 95% intervals around figures between 0 and 1; NaN where the error shows no spread."""
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = stdtrit(degrees, 0.975) * error / (centre * (1 - centre))
        low, high = (expit(logit(centre) + side * reach) for side in (-1, 1))
    return np.where(error > SILENT, low, np.nan), np.where(error > SILENT, high, np.nan)


def difference_intervals(
    difference: Estimates,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """95% intervals of differences and the two-sided p of their being 0, which say the same.

    Returns
    -------
    low, high, p : (T, M)
        NaN where nothing differs whichever patient is left out, or a figure rests on a single patient.
    """
    centre, error, degrees = difference.value - difference.bias, difference.error, difference.degrees
    error = np.where(error > SILENT, error, np.nan)
    reach = stdtrit(degrees, 0.975) * error
    p = 2 * stdtr(degrees, -np.abs(centre) / error)
    return np.maximum(centre - reach, -1), np.minimum(centre + reach, 1), p


def auroc_interval(value: float, error: float, positives: int, negatives: int) -> tuple[float, float]:
    """The AUROCs that a measured one does not contradict at 95%: a score interval.

    Parameters
    ----------
    value : float
    error : float
        Its jackknife standard error, which is DeLong's with Obuchowski's sums over patients but for small terms.
    positives, negatives : int
        Patients.

    Notes
    -----
    Newcombe's (Statistics in Medicine 2006) method 5 with the binormal model's variance in place of the exponential's:
    the variance is taken at each AUROC tried, so that the interval exists at 1 and holds near it. It is scaled by the
    measured variance over the model's, with the weight of PRIOR patients for the model.
    """
    tried, at = _AUROCS, _binormal_variance(_AUROCS, positives, negatives)
    fewest = min(positives, negatives)
    scale = 1.0
    if error > SILENT:
        model = _binormal_variance(np.clip([value], 1e-3, 1 - 1e-3), positives, negatives)[0]
        scale = (PRIOR + fewest * error**2 / model) / (PRIOR + fewest)
    inside = tried[(tried - value) ** 2 <= ndtri(0.975) ** 2 * scale * at]
    return (0.0 if value == 0 else float(inside[0])), (1.0 if value == 1 else float(inside[-1]))


def _binormal_variance(auroc: NDArray[np.float64], positives: int, negatives: int) -> NDArray[np.float64]:
    """Variance of the Mann-Whitney statistic for normal scores of equal spread.

    The chance that two positives both lie above one negative is that of two normals correlated by one half.
    """
    both = auroc - 2 * owens_t(ndtri(auroc), 1 / np.sqrt(3))
    spread = (positives + negatives - 2) * (both - auroc**2)
    return np.asarray((auroc * (1 - auroc) + spread) / (positives * negatives))


def edge(
    name: str, perfect: bool, prevalence: float, positives: int, negatives: int, predicted: int, level: float = 0.05
) -> tuple[float, float]:
    """One-sided exact bound of a figure at 1 or 0, where no patient left out shows any spread.

    Parameters
    ----------
    name : str
        A metric.
    perfect : bool
        At 1, else at 0.
    prevalence : float
    positives, negatives, predicted : int
        Patients with a positive film, with a negative one, and with one predicted positive.

    Returns
    -------
    low, high : float
        NaN, NaN where there is no bound, as for the precision of no calls.

    Notes
    -----
    Clopper & Pearson's (1934) bound at k of k patients is ``level ** (1 / k)``. For a ranking, the bar is the highest
    negative: with half of the level each, a share q of positives lies above it, at least ``(level / 2) ** (1 / m)``,
    and a share s of negatives, at most ``1 - (level / 2) ** (1 / n)``. At recall r up to q, precision is then at least
    pr / (pr + (1 - p)s), whose integral bounds average precision; q(1 - s) bounds AUROC. F1 takes q and s as recall and
    false alarms.
    """

    def certain(k: int, share: float = level) -> float:
        return float(share ** (1 / k)) if k else 0.0

    if not perfect:
        missed = 1 - certain(positives)
        precision = 1 - certain(predicted) if predicted else np.nan
        bounds = {"recall": missed, "f1": 2 * missed / (1 + missed), "precision": precision}
        high = {**bounds, "specificity": 1 - certain(negatives)}.get(name, np.nan)
        return (0.0 if high == high else np.nan), high
    q, s = certain(positives, level / 2), 1 - certain(negatives, level / 2)
    odds = (1 - prevalence) * s / prevalence
    bound = {
        "average_precision": q - odds * float(np.log1p(q / odds)),
        "auroc": q * (1 - s),
        "f1": 2 * q / (q + odds + 1),
        "recall": certain(positives),
        "specificity": certain(negatives),
        "precision": certain(predicted),
    }
    low = bound.get(name, np.nan)
    return low, (1.0 if low == low else np.nan)
