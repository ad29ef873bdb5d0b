"""What a regime's predictions are worth where a label is rarer or more common than here.

Prior shift, or label shift: films with a label look there as they look here, and so do films without it. Only how many
have it differs. Sensitivity and specificity then stay, whichever the prevalence; all else follows from them by Bayes'
rule (Saerens et al., Neural Computation 2002; Godau et al., Medical Image Analysis 2025). It fails where disease is
milder, the scanner is another, or the label is given otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.calibration import fit
from explorer.analysis.logistic import error_of, influence_by_patient, sum_by_patient
from explorer.analysis.metrics import interval
from explorer.analysis.operating import count_draws, outcome_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIGURES: tuple[str, ...] = ("precision", "npv", "f1", "net_benefit")
"""What changes with the prevalence."""


class LogitLine(NamedTuple):
    """A label's log odds, ``slope * logit + offset``, at the prevalence of validation, by Platt scaling.

    Attributes
    ----------
    slope, offset : float
        Both NaN where validation lacks a class.
    prevalence : float
        Of validation.
    influence : (P, 3)
        Of each patient on slope, offset and the log odds of the prevalence (``influence_by_patient``).
    """

    slope: float
    offset: float
    prevalence: float
    influence: NDArray[np.float64]

    def probability(self, threshold: float, there: float | None = None) -> tuple[float, float, float]:
        """The probability of a film at a threshold, and its 95% interval.

        Parameters
        ----------
        threshold : float
            A logit of the regime.
        there : float, optional
            The prevalence elsewhere; by default that of validation.

        Returns
        -------
        value, low, high : float
            The interval takes the fitted line as uncertain, by patient, and the prevalence elsewhere as known.
        """
        weights = np.array([threshold, 1.0, 0.0 if there is None else -1.0])
        shift = 0.0 if there is None else logit(there) - logit(self.prevalence)
        centre, n = self.slope * threshold + self.offset + shift, len(self.influence)
        error = float(error_of(self.influence @ weights[:, None])[0])
        reach = stdtrit(max(n - 1, 1), 0.975) * error
        return float(expit(centre)), float(expit(centre - reach)), float(expit(centre + reach))

    def moved(self, threshold: float, there: float) -> float:
        """The threshold that weighs harms elsewhere as ``threshold`` does here: the probability at it is the same.

        NaN where a larger logit does not mean the label.
        """
        if not self.slope > 0:
            return np.nan
        return float(threshold - (logit(there) - logit(self.prevalence)) / self.slope)


def logit_line(targets: NDArray[np.float32], logits: NDArray[np.floating], patients: NDArray[np.int64]) -> LogitLine:
    """Fit one label's log odds on validation.

    Parameters
    ----------
    targets : (m,) 1, 0 or NaN
    logits : (m,)
    patients : (m,) int
    """
    known = ~np.isnan(targets)
    y, x, who = targets[known].astype(np.float64), logits[known].astype(np.float64), patients[known]
    prevalence = float(y.mean()) if len(y) else np.nan
    if len(np.unique(y)) < 2 or np.ptp(x) == 0:
        return LogitLine(np.nan, np.nan, prevalence, np.zeros((0, 3)))
    at = x.mean() + x.std() * np.array([-0.5, 0.5])
    low, high = logit(fit("platt", targets, logits)(at))
    slope = float((high - low) / (at[1] - at[0]))
    offset = float(low - slope * at[0])
    p = expit(slope * x + offset)
    design = np.stack([x, np.ones_like(x)], axis=1)
    on_prevalence = (y - prevalence) / (len(y) * prevalence * (1 - prevalence))
    influence = [influence_by_patient(y, p, design, who), sum_by_patient(on_prevalence[:, None], who)]
    return LogitLine(slope, offset, prevalence, np.hstack(influence))


def at_prevalence(
    targets: NDArray[np.float32],
    calls: NDArray[np.bool_],
    patients: NDArray[np.int64],
    prevalences: NDArray[np.float64],
    harm: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """One label's figures at one threshold, had the label these prevalences.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    calls : (n,)
        What is predicted positive.
    patients : (n,) int
    prevalences : (T,) in (0, 1)
    harm : float
        Threshold probability of net benefit: a missed finding weighs (1 - harm)/harm times as heavily as a false alarm.

    Returns
    -------
    DataFrame
        at, figure, value, low, high, baseline: T rows for each of FIGURES. The interval resamples patients, the same
        for all prevalences; these are taken as known. Baselines: random predictions at the rate of here; for net
        benefit the better of all and none predicted positive. NaN without a positive or a negative.
    """
    members = outcome_cells(targets, calls)
    counts = members.sum(axis=0)[None].astype(np.float64)
    value = _figures(counts, prevalences, harm)[:, 0]  # (T, 4)
    resampled = _figures(count_draws(members, patients, resamples, seed), prevalences, harm)
    evidence = min(len(np.unique(patients[targets == side])) for side in (0, 1))
    low, high = interval(value, resampled, np.full(len(prevalences), evidence))
    rate = float((counts[0, 0] + counts[0, 1]) / max(counts.sum(), 1))
    price = harm / (1 - harm)
    baselines = np.stack(
        [
            prevalences,
            1 - prevalences,
            2 * rate * prevalences / (rate + prevalences),
            np.maximum(prevalences - (1 - prevalences) * price, 0),
        ],
        axis=1,
    )
    parts = [
        pd.DataFrame(
            {
                "at": prevalences,
                "figure": figure,
                "value": value[:, f],
                "low": low[:, f],
                "high": high[:, f],
                "baseline": np.where(np.isnan(value[:, f]), np.nan, baselines[:, f]),
            }
        )
        for f, figure in enumerate(FIGURES)
    ]
    return pd.concat(parts, ignore_index=True)


def _figures(cells: NDArray[np.float64], prevalences: NDArray[np.float64], harm: float) -> NDArray[np.float64]:
    """(T, B, 4) figures by prevalence from cells (B, 4); NaN where they do not define one."""
    tp, fp, fn, tn = cells.T
    share = prevalences[:, None]  # (T, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, false_alarm = tp / (tp + fn), fp / (fp + tn)
        hit, alarm = sensitivity * share, false_alarm * (1 - share)
        missed, passed = (1 - sensitivity) * share, (1 - false_alarm) * (1 - share)
        figures = [hit / (hit + alarm), passed / (passed + missed), 2 * hit / (hit + alarm + share)]
    return np.stack([*figures, hit - alarm * harm / (1 - harm)], axis=-1)
