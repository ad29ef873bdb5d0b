"""What a group of films holds more of than the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLUMNS = ["label", "n_pos", "n", "share", "base", "lift", "low", "high"]


def lifts(
    targets: NDArray[np.float32],
    chosen: NDArray[np.bool_],
    patients: NDArray[np.int64],
    labels: Sequence[str],
) -> pd.DataFrame:
    """Each label's share in a group over its share among all films, with a 95% interval; unknown count in neither.

    The interval is of the log lift, by linearisation summed over patients (Särndal, Swensson & Wretman 1992, section
    5.5). So films of one patient do not count as independent, and the group's own films count in the base. Where the
    group has no positive film the lift is 0. The log has no interval there, so the upper end is that of one positive
    film. Where it has all of them the log has none either: the lower end is the exact binomial one of their patients.

    Parameters
    ----------
    targets : (N, C) 1, 0 or NaN, of all films compared
    chosen : (N,) the group
    patients : (N,) integer codes
    labels : C names

    Returns
    -------
    DataFrame
        COLUMNS, one row per label, in the order of ``labels``; NaN where nothing is known or no film has the label.
    """
    groups = np.unique(patients, return_inverse=True)[1]
    rows = []
    for c, label in enumerate(labels):
        known = ~np.isnan(targets[:, c])
        y = np.where(known, targets[:, c], 0.0)
        here = known & chosen
        n_pos, n, total = int((y == 1)[here].sum()), int(here.sum()), int(known.sum())
        base = float(y.sum()) / total if total else np.nan
        share = n_pos / n if n else np.nan
        if not n or not base:
            rows.append((label, n_pos, n, share, base, np.nan, np.nan, np.nan))
            continue
        at_least = max(n_pos, 1) / n
        pull = here * (y - share) / (n * at_least) - known * (y - base) / (total * base)  # (N,) of the log lift
        if n_pos == 0:
            pull = pull + here * np.sqrt(1 / n)  # one film's worth of doubt
        error = float(np.sqrt((np.bincount(groups, weights=pull) ** 2).sum()))
        low = 0.0 if n_pos == 0 else share / base * np.exp(-1.96 * error)
        if n_pos == y.sum() and n < total:
            low = min(low, share / base * 0.025 ** (1 / len(np.unique(groups[y == 1]))))
        rows.append((label, n_pos, n, share, base, share / base, low, at_least / base * np.exp(1.96 * error)))
    return pd.DataFrame(rows, columns=COLUMNS)
