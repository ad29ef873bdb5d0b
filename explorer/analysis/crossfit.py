"""Predictions for films a model has not seen: cross-fitting by patient."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from explorer.data.samples import share_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
PENALTY = 0.1
"""scikit-learn's C, the inverse of the L2 strength."""


def cross_fit(
    features: NDArray[np.floating],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    seed: int = 0,
) -> NDArray[np.float32]:
    """Probability of each label for each film, from logistic regressions that saw none of its patient's films.

    Features are standardised within each fold's training films.

    Parameters
    ----------
    features : (N, F)
    targets : (N, C) 1, 0 or NaN; NaN cells train nothing, and are predicted like all others
    patients : (N,) int

    Returns
    -------
    (N, C) float32
        Where a fold's training films are of one class, or none is known, the known rate (Laplace).
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and pages only read what was fitted
    from sklearn.linear_model import LogisticRegression

    fold = share_out(patients, targets, (1 / FOLDS,) * FOLDS, seed)
    probabilities = np.empty(targets.shape, dtype=np.float32)
    for k in range(FOLDS):
        away = fold == k
        if not away.any():
            continue
        mean, spread = features[~away].mean(axis=0), features[~away].std(axis=0) + 1e-6
        scaled = (features - mean) / spread
        for c in range(targets.shape[1]):
            train = ~away & ~np.isnan(targets[:, c])
            y = targets[train, c]
            if len(np.unique(y)) < 2:
                probabilities[away, c] = (y.sum() + 1) / (len(y) + 2)
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error", ConvergenceWarning)
                model = LogisticRegression(C=PENALTY, max_iter=2000).fit(scaled[train], y)
            probabilities[away, c] = model.predict_proba(scaled[away])[:, 1]
    return probabilities
