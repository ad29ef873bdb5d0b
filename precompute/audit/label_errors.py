"""Which label cells look wrong: confident learning on probabilities of models that did not see the film.

Northcutt et al., "Confident Learning", JAIR 2021; cleanlab's multi-label routines treat each label one against the
rest. Each label goes in with its known films alone, so an unknown cell is never taken for a negative, nor flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_quality(
    targets: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How far each cell's label agrees with what the model expects, and whether confident learning calls it wrong.

    Parameters
    ----------
    targets : (N, C) 1, 0 or NaN
    probabilities : (N, C) out of sample; NaN where there is none

    Returns
    -------
    quality : (N, C) float32
        Self-confidence: the probability of the given label; lowest is most suspicious. NaN where the cell is unknown
        or has no probability.
    flagged : (N, C) bool
        Labels of which only one class is known flag nothing.
    """
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class

    quality = np.full(targets.shape, np.nan, dtype=np.float32)
    flagged = np.zeros(targets.shape, dtype=bool)
    for c in range(targets.shape[1]):
        rows = np.flatnonzero(~np.isnan(targets[:, c]) & ~np.isnan(probabilities[:, c]))
        if len(np.unique(targets[rows, c])) < 2:
            continue
        given = [[0] if value == 1 else [] for value in targets[rows, c]]  # each film's list of classes, of one class
        chance = probabilities[rows, c : c + 1].astype(np.float64)
        quality[rows, c] = get_label_quality_scores_per_class(given, chance)[:, 0]
        flagged[rows, c] = find_multilabel_issues_per_class(given, chance, n_jobs=1)[:, 0]
    return quality, flagged
