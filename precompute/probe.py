"""The linear probe: L2-penalised logistic regression on the frozen embedding, penalty chosen on validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from explorer.model.head import Head

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fit_probe(
    embeddings: NDArray[np.float32],
    targets: NDArray[np.float32],
    train: NDArray[np.int64],
    val: NDArray[np.int64],
    penalties: Sequence[float],
    report: Callable[[int, int], None],
) -> tuple[Head, list[dict[str, float]]]:
    """Fit one logistic regression a label on its known training rows.

    Features are standardised on training rows, and the scaling folded back into the head, so that the head still reads
    the unit-norm embedding. One penalty serves all labels: the one of least mean log loss over all known validation
    cells, since a rare label's own few positives could not choose.

    Parameters
    ----------
    embeddings : (N, D)
    targets : (N, C) 1, 0 or NaN
    train, val : row numbers
    penalties : scikit-learn's C, the inverse of the L2 strength

    Returns
    -------
    Head
    list of dict
        For each penalty: C and val_loss (nats a cell).
    """
    mean = embeddings[train].mean(axis=0)
    spread = embeddings[train].std(axis=0) + 1e-6
    features = (embeddings - mean) / spread
    known = ~np.isnan(targets[val])
    best: tuple[float, Head] | None = None
    tried = []
    for i, penalty in enumerate(penalties):
        weight, bias = _fit_labels(features[train], targets[train], penalty)
        logits = features[val] @ weight.T + bias
        loss = np.logaddexp(0, logits) - np.nan_to_num(targets[val]) * logits
        val_loss = float(loss[known].mean()) if known.any() else 0.0
        tried.append({"C": penalty, "val_loss": val_loss})
        if best is None or val_loss < best[0]:
            folded = weight / spread
            best = val_loss, Head(folded.astype(np.float32), (bias - folded @ mean).astype(np.float32))
        report(i + 1, len(penalties))
    assert best is not None
    return best[1], tried


def _fit_labels(
    features: NDArray[np.float32], targets: NDArray[np.float32], penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_labels = targets.shape[1]
    weight, bias = np.zeros((n_labels, features.shape[1])), np.zeros(n_labels)
    for c in range(n_labels):
        known = ~np.isnan(targets[:, c])
        y = targets[known, c]
        if len(np.unique(y)) < 2:  # one class or nothing known: no direction, the rate alone (Laplace)
            bias[c] = np.log((y.sum() + 1) / (len(y) - y.sum() + 1))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model = LogisticRegression(C=penalty, max_iter=2000).fit(features[known], y)
        weight[c], bias[c] = model.coef_[0], model.intercept_[0]
    return weight, bias
