"""The films to look at first: where regimes disagree most, and where one is most sure and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray


def disagreement(logits: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far apart regimes place each film in one label's ranking.

    Logits of different regimes have no common scale, their ranks have.

    Parameters
    ----------
    logits : (R, n) one label's, of each regime

    Returns
    -------
    spread : (n,)
        Highest less lowest rank, as shares of the films: 0 to 1.
    ranks : (R, n)
        Share of the films ranked below, ties at one half.

    Examples
    --------
    >>> disagreement(np.array([[0.1, 0.2, 0.3], [5.0, 2.0, 9.0]]))[0].round(2).tolist()
    [0.33, 0.33, 0.0]
    """
    ranks = (pd.DataFrame(logits).rank(axis=1).to_numpy() - 0.5) / logits.shape[1]
    return np.ptp(ranks, axis=0), ranks


def confident_errors(
    targets: NDArray[np.float32], logits: NDArray[np.floating], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Wrong calls of one label, the most confident first.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
    logits : (n,)
    threshold : float
        NaN where the label has none: then nothing is predicted positive, and nothing is an error.

    Returns
    -------
    false_positive, false_negative : places among the n
        By falling distance from the threshold.
    """
    false_positive = np.flatnonzero((targets == 0) & (logits >= threshold))
    false_negative = np.flatnonzero((targets == 1) & (logits < threshold))
    return (
        false_positive[np.argsort(-logits[false_positive], kind="stable")],
        false_negative[np.argsort(logits[false_negative], kind="stable")],
    )
