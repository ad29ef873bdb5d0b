"""A linear readout of each label, cross-validated by patient: how well a hyperplane tells a label in a space.

The readout is Fisher's linear discriminant with the covariance shrunk as Ledoit and Wolf (2004) do. It was chosen over
logistic regression because its matrix depends on the films alone. One inverse for each fold serves every label and
every shuffle of labels. Its direction is ridge regression's on targets centred over known films. A label's films that
are unknown count for the covariance, never as negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One fifth held out, and what the rest says of the space.

    Attributes
    ----------
    held : rows held out
    mean : (D,) of the other films
    inverse : (D, D) of their shrunk covariance
    """

    held: NDArray[np.int64]
    mean: NDArray[np.float32]
    inverse: NDArray[np.float32]


def make_folds(vectors: NDArray[np.float32], patients: NDArray[np.int64], seed: int) -> list[Fold]:
    """Share patients out among FOLDS folds, or as many as there are patients, and take each one's covariance.

    Returns
    -------
    list of Fold
        Empty with fewer than two patients.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage
    from sklearn.model_selection import GroupKFold

    n_folds = min(FOLDS, len(np.unique(patients)))
    if n_folds < 2:
        return []
    folds = []
    for train, held in GroupKFold(n_folds, shuffle=True, random_state=seed).split(vectors, groups=patients):
        x = vectors[train].astype(np.float64)
        mean = x.mean(axis=0)
        x -= mean
        covariance = x.T @ x / len(x)
        scale = np.trace(covariance) / len(covariance) or 1.0  # films all alike: any covariance will do
        share = max(ledoit_wolf_shrinkage(x, assume_centered=True), 1e-3) if len(x) > 1 else 1.0
        shrunk = (1 - share) * covariance + share * scale * np.eye(len(covariance))
        folds.append(Fold(held, mean.astype(np.float32), np.linalg.inv(shrunk).astype(np.float32)))
    return folds


def held_out_scores(
    vectors: NDArray[np.float32],
    folds: list[Fold],
    positive: NDArray[np.float32],
    negative: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Every film's score by the readout that has not seen its patient.

    Parameters
    ----------
    vectors : (n, D)
    folds : of :func:`make_folds`
    positive, negative : (n, R) 1 or 0
        Labels, or shuffles of them.

    Returns
    -------
    (n, R)
        Distance from the mean score of the films fitted on, in standard deviations of theirs: folds can be pooled.
        0 in a fold that leaves no positive or no negative to fit on.
    """
    sums = [(vectors[f.held].T @ positive[f.held], vectors[f.held].T @ negative[f.held]) for f in folds]
    counts = [(positive[f.held].sum(axis=0), negative[f.held].sum(axis=0)) for f in folds]
    all_sums = [sum(parts) for parts in zip(*sums, strict=True)]
    all_counts = [sum(parts) for parts in zip(*counts, strict=True)]
    scores = np.zeros(positive.shape, np.float32)
    for fold, sum_, count in zip(folds, sums, counts, strict=True):
        (up, down), (n_up, n_down) = (
            [whole - part for whole, part in zip(wholes, parts, strict=True)]
            for wholes, parts in ((all_sums, sum_), (all_counts, count))
        )
        fitted = (n_up > 0) & (n_down > 0)
        apart = np.where(fitted, up / np.maximum(n_up, 1) - down / np.maximum(n_down, 1), 0)  # (D, R)
        weight = fold.inverse @ apart
        spread = np.sqrt(np.maximum((weight * apart).sum(axis=0), 0))
        weight /= np.where(spread > 0, spread, 1)
        scores[fold.held] = (vectors[fold.held] - fold.mean) @ weight
    return scores


def average_precisions(
    scores: NDArray[np.float32], positive: NDArray[np.float32], known: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(R,) average precision of each column of (n, R) scores, labels being shuffled apart; ties in any order."""
    behind = np.where(known > 0, -scores, np.inf).T  # unknown films rank behind all others
    hit = np.take_along_axis(positive.T, np.argsort(behind, axis=1), axis=1).astype(np.float64)
    hits_so_far = np.cumsum(hit, axis=1)
    total = hits_so_far[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        values: NDArray[np.float64] = (hit * hits_so_far / np.arange(1, hit.shape[1] + 1)).sum(axis=1) / total
    return values
