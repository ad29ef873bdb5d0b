"""Weak calibration: are probabilities right on average, and neither too extreme nor too timid?

The first three steps of Van Calster et al. (BMC Medicine 2019): calibration in the large, intercept and slope. Perfect
are 0, 0 and 1. A slope below 1 means too extreme probabilities, above 1 too timid ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.jackknife import mean_of_films
from explorer.analysis.logistic import error_of, fit_logistic, influence_by_patient

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERFECT = {"in_the_large": 0.0, "intercept": 0.0, "slope": 1.0}


class Interval(NamedTuple):
    """A figure with its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float


def weak_calibration(
    targets: NDArray[np.float32], p: NDArray[np.float64], patients: NDArray[np.int64]
) -> dict[str, Interval]:
    """One label's figures of PERFECT.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    p : (n,)
        Probabilities.
    patients : (n,) int

    Returns
    -------
    dict
        ``in_the_large``: mean probability less the share positive. ``intercept``: what is to be added to all log odds,
        above 0 where risk is understated. ``slope``: of the true log odds on the predicted ones, fitted with an
        intercept of its own. All NaN without both classes. The last two are NaN where a probability is 0 or 1, and the
        slope where predicted log odds are all alike or part the classes. Intervals are by patient, with t quantiles.
    """
    known = ~np.isnan(targets)
    y, p, who = targets[known].astype(np.float64), p[known], patients[known]
    none = Interval(np.nan, np.nan, np.nan)
    if len(np.unique(y)) < 2:
        return dict.fromkeys(PERFECT, none)
    figures = {"in_the_large": Interval(*mean_of_films(p - y, who)), "intercept": none, "slope": none}
    odds = logit(p)
    if not np.isfinite(odds).all():
        return figures
    degrees = max(min(len(np.unique(who[y == side])) for side in (0, 1)) - 1, 1)
    ones = np.ones((len(y), 1))
    line = np.column_stack([ones, odds])
    for name, design, offset in (("intercept", ones, odds), ("slope", line, np.zeros_like(odds))):
        coefficients = fit_logistic(y, design, offset)
        if np.isnan(coefficients).any():
            continue
        value = float(coefficients[-1])
        fitted = expit(design @ coefficients + offset)
        reach = float(stdtrit(degrees, 0.975) * error_of(influence_by_patient(y, fitted, design, who))[-1])
        figures[name] = Interval(value, value - reach, value + reach)
    return figures
