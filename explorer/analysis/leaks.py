"""What crosses the splits: patients, studies, and films that are in the set twice; and what it does to the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import difference_intervals, intervals
from explorer.analysis.metrics import MACRO, METRICS, estimate, well_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from explorer.analysis.metrics import Scored

SHOWN = ("average_precision", "auroc")


def crossing(groups: NDArray[np.object_], splits: NDArray[np.object_]) -> list[str]:
    """Names of the patients or studies that have films in more than one split.

    Examples
    --------
    >>> crossing(np.array(["a", "a", "b"], object), np.array(["train", "test", "val"], object))
    ['a']
    """
    counts = pd.Series(splits).groupby(pd.Series(groups)).nunique()
    return [str(name) for name in counts.index[counts > 1]]


def leaking(pairs: NDArray[np.int64], splits: NDArray[np.object_], split: str) -> NDArray[np.int64]:
    """Rows of a split that have a copy in another split, ascending.

    Parameters
    ----------
    pairs : (p, 2) rows that are one film
    """
    crosses = pairs[splits[pairs[:, 0]] != splits[pairs[:, 1]]].ravel()
    return np.unique(crosses[splits[crosses] == split])


def without(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    left_out: NDArray[np.bool_],
    enough: int = ENOUGH,
) -> pd.DataFrame:
    """Each regime's mean figures with and without some films, and their difference, paired by patient.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    left_out : (n,)
        Films left out; their label cells are masked, so that both figures have the same patients. Both means are over
        the labels that are well known without them, or where none is, over those with both classes.
    enough : int
        Patients that a label needs to be well known.

    Returns
    -------
    DataFrame
        regime, metric, which ("with", "without", "difference"), value, ci_low, ci_high, baseline, n, n_labels; the
        baseline is the trivial one on the films scored, and 0 for the difference.
    """
    masked = np.where(left_out[:, None], np.float32(np.nan), targets)
    averaged = well_known(masked, patients, enough)
    averaged = averaged if averaged.any() else well_known(masked, patients, enough=1)
    both = [estimate(labels, cells, regimes, patients, averaged) for cells in (targets, masked)]
    rows = []
    for name in regimes:
        whole, rest = both[0][name], both[1][name]
        change = rest - whole
        at = whole.names.index(MACRO)
        for which, figures, (low, high), n in (
            ("with", whole, intervals(whole), len(targets)),
            ("without", rest, intervals(rest), int((~left_out).sum())),
            ("difference", change, difference_intervals(change)[:2], len(targets)),
        ):
            for metric in SHOWN:
                c = METRICS.index(metric)
                ends = (figures.value[at, c], low[at, c], high[at, c], figures.baseline[at, c])
                rows.append((name, metric, which, *map(float, ends), n, int(averaged.sum())))
    columns = ["regime", "metric", "which", "value", "ci_low", "ci_high", "baseline", "n", "n_labels"]
    return pd.DataFrame(rows, columns=columns)
