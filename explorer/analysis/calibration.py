"""Do probabilities mean what they say? Reliability, ECE and Brier score, before and after fitting on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, logit, ndtr

from explorer.analysis.jackknife import groups_of, on_logit_scale, standard_error
from explorer.analysis.operating import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["none", "temperature", "platt", "isotonic"]
METHODS: dict[Method, str] = {
    "none": "As it is",
    "temperature": "Temperature",
    "platt": "Platt",
    "isotonic": "Isotonic",
}
BINS = 10
CALIBRATION_COLUMNS: tuple[str, ...] = (
    "regime",
    "split",
    "label",
    "method",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "baseline",
    "n_pos",
    "n_neg",
)
Calibrated = Callable[["NDArray[np.floating]"], "NDArray[np.float64]"]
"""Logits to probabilities."""

TEMPERATURES = (float(np.exp(-6)), float(np.exp(6)))
"""Where a temperature is searched."""

_CHUNK = 2**22


def temperature(targets: NDArray[np.float32], logits: NDArray[np.floating]) -> float:
    """T of temperature scaling, fitted on validation; NaN where nothing can be fitted.

    T ends at the low bound of TEMPERATURES where a cut at 0 separates the classes: no T is small enough. It ends at the
    high one where larger logits do not mean the label: no T is large enough.

    Parameters
    ----------
    targets : (m,) 1, 0 or NaN
    logits : (m,)
    """
    known = ~np.isnan(targets)
    y, x = targets[known].astype(np.float64), logits[known].astype(np.float64)
    if len(np.unique(y)) < 2 or np.ptp(x) == 0:
        return np.nan
    best = minimize_scalar(lambda t: _loss(y, x * np.exp(-t)), bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(best.x))


def at_bound(t: float) -> bool:
    """Whether a temperature is an end of its search, and no minimum.

    Examples
    --------
    >>> at_bound(1.2), at_bound(TEMPERATURES[1] * 0.9999), at_bound(float("nan"))
    (False, True, False)
    """
    return bool((np.abs(np.log(t) - np.log(TEMPERATURES)) < 0.001).any())


def fit(method: Method, targets: NDArray[np.float32], logits: NDArray[np.floating]) -> Calibrated:
    """Fit one label's map from logits to probabilities on validation.

    Parameters
    ----------
    method : Method
        ``none``: the sigmoid itself. ``temperature``: the sigmoid of the logit over T (Guo et al., ICML 2017, section
        4.2). ``platt``: of a line in the logit, with Platt's softened targets (Platt 1999, section 2.2). ``isotonic``:
        the rising step-wise fit, straight between steps (Zadrozny & Elkan, KDD 2002).
    targets : (m,) 1, 0 or NaN
    logits : (m,)

    Returns
    -------
    callable
        Without both classes in validation nothing can be fitted, and every film gets the rate there (Laplace).
    """
    known = ~np.isnan(targets)
    y, x = targets[known].astype(np.float64), logits[known].astype(np.float64)
    positives, negatives = y.sum(), len(y) - y.sum()
    if method == "none":
        return lambda z: np.asarray(expit(z.astype(np.float64)))
    if positives == 0 or negatives == 0 or np.ptp(x) == 0:
        rate = (positives + 1) / (len(y) + 2)
        return lambda z: np.full(z.shape, rate)
    if method == "temperature":
        t = temperature(targets, logits)
        return lambda z: np.asarray(expit(z.astype(np.float64) / t))
    if method == "platt":
        soft = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        middle, spread = x.mean(), x.std()
        unit = (x - middle) / spread

        def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            z = line[0] * unit + line[1]
            gap = expit(z) - soft
            return _loss(soft, z), np.array([(gap * unit).mean(), gap.mean()])

        slope, offset = minimize(loss, [0.0, logit(soft.mean())], jac=True, method="BFGS").x
        return lambda z: np.asarray(expit(slope * (z.astype(np.float64) - middle) / spread + offset))
    values, place, count = np.unique(x, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=y) / count
    steps = isotonic_regression(share, weights=count).x
    return lambda z: np.interp(z.astype(np.float64), values, steps)


def probabilities(
    method: Method,
    val_targets: NDArray[np.float32],
    val_logits: NDArray[np.floating],
    logits: NDArray[np.floating],
) -> NDArray[np.float64]:
    """(n, C) every label's probabilities, fitted on validation; arguments (m, C), (m, C), (n, C)."""
    columns = [
        fit(method, val_targets[:, c], val_logits[:, c])(np.asarray(logits[:, c])) for c in range(logits.shape[1])
    ]
    return np.stack(columns, axis=1)


def reliability(targets: NDArray[np.float32], p: NDArray[np.float64], bins: int = BINS) -> pd.DataFrame:
    """Films in bins of equal number by probability: what was said, and what was so.

    Returns
    -------
    DataFrame
        said, seen, low, high (Wilson), n, positives: one row for each bin, rising. Equal probabilities share a bin.
    """
    known = ~np.isnan(targets)
    y, p = targets[known], p[known]
    rows = []
    place = _bins(p, bins)
    for b in range(place.max() + 1 if len(place) else 0):
        mine = place == b
        k, n = int(y[mine].sum()), int(mine.sum())
        rows.append((float(p[mine].mean()), k / n, *wilson(k, n), n, k))
    return pd.DataFrame(rows, columns=["said", "seen", "low", "high", "n", "positives"])


def calibration(
    labels: Sequence[str],
    val: tuple[NDArray[np.float32], Mapping[str, NDArray[np.floating]]],
    targets: NDArray[np.float32],
    logits: Mapping[str, NDArray[np.floating]],
    patients: NDArray[np.int64],
) -> pd.DataFrame:
    """ECE and Brier score of every label, regime and method, with 95% intervals from leaving out patients in turn.

    Parameters
    ----------
    labels : C names
    val : targets (m, C) and each regime's logits (m, C)
        What calibration is fitted on.
    targets : (n, C) 1, 0 or NaN
    logits : regime to (n, C)
    patients : (n,) int

    Returns
    -------
    DataFrame
        CALIBRATION_COLUMNS without split. Baselines: Brier of saying validation's rate for every film; ECE that
        perfectly calibrated probabilities would show on so few films by chance. NaN without both classes.

    Notes
    -----
    ECE is the mean over bins of equal number of |said - seen|, weighted by their films (Nixon et al., CVPR-W 2019:
    with rare labels, bins of equal width would leave all films in the first). Its interval is of the mean ECE on as
    many films, which chance keeps above 0: nothing takes that bias off, and the baseline shows its size.
    """
    asked, measures = [], []
    for regime, scores in logits.items():
        for c, label in enumerate(labels):
            for method in METHODS:
                p = fit(method, val[0][:, c], val[1][regime][:, c])(np.asarray(scores[:, c]))
                asked.append((regime, label, method, c))
                measures.append(_Measure(targets[:, c], p, val[0][:, c]))
    once, without = np.ones((len(targets), 1), dtype=np.float32), groups_of(patients)
    value = np.stack([measure.of(once)[0] for measure in measures])
    error = np.stack([measure.error(without) for measure in measures])
    counts = np.stack([(targets == 1).sum(0), (targets == 0).sum(0)], axis=1)
    evidence = np.array([[len(np.unique(patients[~np.isnan(targets[:, c])]))] for *_, c in asked])  # (T, 1)
    low, high = on_logit_scale(value, np.where(evidence > 1, error, np.nan), np.maximum(evidence - 1, 1))
    rows = []
    for i, (regime, label, method, c) in enumerate(asked):
        for m, metric in enumerate(("ece", "brier")):
            figures = (value[i, m], low[i, m], high[i, m], measures[i].baselines[m])
            rows.append((regime, label, method, metric, *figures, *counts[c]))
    columns = [column for column in CALIBRATION_COLUMNS if column != "split"]
    return pd.DataFrame(rows, columns=columns)


def mean_brier(
    val_targets: NDArray[np.float32],
    targets: NDArray[np.float32],
    logits: NDArray[np.floating],
    patients: NDArray[np.int64],
) -> tuple[float, float, float, float]:
    """The Brier score of probabilities as they are, averaged over labels, with its interval and its baseline.

    Parameters
    ----------
    val_targets : (m, k)
        What the baseline's rates are from.
    targets : (n, k) 1, 0 or NaN
    logits : (n, k)
    patients : (n,) int

    Returns
    -------
    value, low, high, baseline : float
        95% interval from leaving out patients in turn. The baseline says validation's rate for every film. NaN where
        a label has one class.
    """
    p = expit(np.asarray(logits, dtype=np.float64))
    measures = [_Measure(targets[:, c], p[:, c], val_targets[:, c]) for c in range(targets.shape[1])]
    once, without = np.ones((len(targets), 1), dtype=np.float32), groups_of(patients)
    value = np.array([[np.mean([measure.brier(once)[0] for measure in measures])]])
    left_out = np.mean([measure.brier(without) for measure in measures], axis=0)  # (G,)
    known = len(np.unique(patients[~np.isnan(targets).all(axis=1)]))
    error = standard_error(left_out[None, :, None]) if known > 1 else np.full((1, 1), np.nan)
    low, high = on_logit_scale(value, error, np.full((1, 1), max(known - 1, 1)))
    baseline = float(np.mean([measure.baselines[1] for measure in measures]))
    return float(value[0, 0]), float(low[0, 0]), float(high[0, 0]), baseline


class _Measure:
    """ECE and Brier of one label's probabilities on any weighting of the films."""

    def __init__(self, targets: NDArray[np.float32], p: NDArray[np.float64], val: NDArray[np.float32]) -> None:
        self.known = np.flatnonzero(~np.isnan(targets))
        y, p = targets[self.known].astype(np.float64), p[self.known]
        self.one_class = len(np.unique(y)) < 2
        self.gap = p - y
        place = _bins(p, BINS)
        self.bins = np.eye(place.max() + 1 if len(place) else 1)[:, place]  # (b, n)
        rate = float(np.nanmean(val)) if (~np.isnan(val)).any() else np.nan
        noise = np.sqrt(2 / np.pi * (self.bins @ (p * (1 - p))))  # mean absolute error of each bin's positives
        self.baselines = (noise.sum() / max(len(y), 1), float(((rate - y) ** 2).mean()) if len(y) else np.nan)

    def of(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """(B, 2) from weights (n, B)."""
        brier, gaps = self._parts(weights)
        return np.stack([np.abs(gaps).sum(axis=0), brier], axis=1)

    def brier(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """(B,) Brier scores from weights (n, B)."""
        block = max(1, _CHUNK // len(weights))
        blocks = (weights[:, start : start + block] for start in range(0, weights.shape[1], block))
        return np.concatenate([self._parts(one)[0] for one in blocks])

    def error(self, without: NDArray[np.float32]) -> NDArray[np.float64]:
        """(2,) standard errors from weights (n, G) that leave out patients in turn.

        Where a bin's true gap is near 0, its absolute value varies less than the gap. Leaving out a patient hardly
        turns a gap's sign, so the jackknife measures the gap. The ECE's error is lessened as if each gap were normal.
        """
        block = max(1, _CHUNK // len(without))
        blocks = [self._parts(without[:, start : start + block]) for start in range(0, without.shape[1], block)]
        brier, gaps = (np.concatenate(part, axis=-1) for part in zip(*blocks, strict=True))
        ece_error, brier_error = standard_error(np.stack([np.abs(gaps).sum(axis=0), brier], axis=1)[None])[0]
        by_bin = standard_error(gaps.T[None])[0]  # (b,)
        _, whole = self._parts(np.ones((len(without), 1), dtype=np.float32))
        with np.errstate(invalid="ignore", divide="ignore"):
            folded = folded_variance(whole[:, 0], by_bin).sum() / (by_bin**2).sum()
        return np.array([ece_error * np.sqrt(folded), brier_error])

    def _parts(self, weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Brier score (B,), and each bin's gap (b, B) by its share of the films; their absolute values sum to ECE."""
        if self.one_class:
            return np.full(weights.shape[1], np.nan), np.full((len(self.bins), weights.shape[1]), np.nan)
        mine = weights[self.known].astype(np.float64)  # (n, B)
        total = np.maximum(mine.sum(axis=0), 1)
        return self.gap**2 @ mine / total, (self.bins * self.gap) @ mine / total


def folded_variance(mean: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of a normal number's absolute value (Leone, Nelson & Nottingham, Technometrics 1961)."""
    error = np.where(error > 0, error, np.nan)
    z = np.abs(mean) / error
    size = error * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + np.abs(mean) * (1 - 2 * ndtr(-z))
    return np.asarray(np.nan_to_num(mean**2 + error**2 - size**2))


def _bins(p: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """(n,) which bin of equal number each film is in; equal probabilities share one."""
    if not len(p):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    _, place = np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)
    return place


def _loss(y: NDArray[np.float64], z: NDArray[np.float64]) -> float:
    """Mean negative log-likelihood of targets given logits."""
    return float((np.logaddexp(0, z) - y * z).mean())
