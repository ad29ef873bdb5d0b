"""Logistic regression on a few columns, and each patient's influence on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 50
_NEAR = 1e-10
_FAR = 1e4
"""Coefficients beyond this have no end: the classes part."""


def fit_logistic(
    y: NDArray[np.float64], design: NDArray[np.float64], offset: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """Coefficients of largest likelihood, by Newton's method.

    Parameters
    ----------
    y : (n,) 1 or 0
    design : (n, k)
    offset : (n,), optional
        Added to the log odds as it is.

    Returns
    -------
    (k,)
        NaN where there is no such fit: one class, classes that part, or columns that say the same.
    """
    none, coefficients = np.full(design.shape[1], np.nan), np.zeros(design.shape[1])
    if len(np.unique(y)) < 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        return none

    def loss(at: NDArray[np.float64]) -> float:
        z = design @ at + offset
        return float((np.logaddexp(0, z) - y * z).sum())

    for _ in range(_STEPS):
        p = expit(design @ coefficients + offset)
        information = (design * (p * (1 - p))[:, None]).T @ design
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1 / _NEAR:
            return none
        step = np.linalg.solve(information, design.T @ (y - p))
        while loss(coefficients + step) > loss(coefficients) + _NEAR and np.abs(step).max() > _NEAR:
            step = step / 2
        coefficients = coefficients + step
        if np.abs(coefficients).max() > _FAR:
            return none
        if np.abs(step).max() < _NEAR * (1 + np.abs(coefficients).max()):
            return coefficients
    return none


def influence_by_patient(
    y: NDArray[np.float64], p: NDArray[np.float64], design: NDArray[np.float64], patients: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each patient's influence on the coefficients of a fit.

    Parameters
    ----------
    y : (n,) 1 or 0
    p : (n,)
        The fitted probabilities.
    design : (n, k)
    patients : (n,) int

    Returns
    -------
    (P, k)
        The sum of a patient's scores through the inverse of the information: the squares sum to the sandwich variance
        for clusters (Liang & Zeger, Biometrika 1986).
    """
    information = (design * (p * (1 - p))[:, None]).T @ design
    by_film = np.linalg.solve(information, (design * (y - p)[:, None]).T).T
    return sum_by_patient(by_film.astype(np.float64), patients)


def sum_by_patient(by_film: NDArray[np.float64], patients: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, k) sums of (n, k) over each patient's films."""
    _, member = np.unique(patients, return_inverse=True)
    return np.stack([np.bincount(member, weights=column).astype(np.float64) for column in by_film.T], axis=1)


def error_of(influence: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) standard errors from influences (P, k), raised by P/(P - 1) for few patients; NaN from a single one."""
    n = len(influence)
    if n < 2:
        return np.full(influence.shape[1], np.nan)
    return np.asarray(np.sqrt((influence**2).sum(axis=0) * n / (n - 1)))
