"""What flags of label errors find, where it is known which labels are wrong: planted ones, or a phantom's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIAL_SHARE = 0.05
"""Known labels that a trial inverts."""
TOP = 10
"""The first places of the queue, which a reviewer surely sees."""

ALL, POSITIVE, NEGATIVE = "any", "positive", "negative"
"""As which a label is given."""


def invert(targets: NDArray[np.float32], seed: int, share: float = TRIAL_SHARE) -> NDArray[np.bool_]:
    """(N, C) known cells to invert in a trial, each with the same chance."""
    chosen: NDArray[np.bool_] = np.random.default_rng(seed).random(targets.shape) < share
    return chosen & ~np.isnan(targets)


def flag_power(
    targets: NDArray[np.float32],
    wrong: NDArray[np.bool_],
    quality: NDArray[np.float32],
    flagged: NDArray[np.bool_],
) -> pd.DataFrame:
    """Wrong labels, flags and hits.

    Parameters
    ----------
    targets : (N, C)
        1, 0 or NaN, as they were judged.
    wrong : (N, C) bool
        Which of them are wrong.
    quality, flagged : (N, C)
        As :func:`precompute.audit.label_errors.label_quality` gives them; cells without a quality were not judged.

    Returns
    -------
    DataFrame
        given (any, positive, negative), n_judged, n_wrong, n_flagged, n_hits, n_top, n_top_hits: the first TOP flags
        by quality, as the queue has them, and the wrong ones of these.
    """
    judged = ~np.isnan(quality)
    order = np.argsort(quality, axis=None, kind="stable")
    rows = []
    for given, kept in ((ALL, judged), (POSITIVE, judged & (targets == 1)), (NEGATIVE, judged & (targets == 0))):
        mine, flags = wrong & kept, flagged & kept
        top = order[flags.ravel()[order]][:TOP]
        counts = (kept.sum(), mine.sum(), flags.sum(), (mine & flags).sum(), len(top), mine.flat[top].sum())
        rows.append((given, *map(int, counts)))
    columns = ["given", "n_judged", "n_wrong", "n_flagged", "n_hits", "n_top", "n_top_hits"]
    return pd.DataFrame(rows, columns=columns)
