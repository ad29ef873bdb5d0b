"""What other prompts for a label change: figures, thresholds and ranks of the same films under two zero-shot heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.differences import differences
from explorer.analysis.metrics import Scored, estimate, summarise
from explorer.analysis.thresholds import choose_max_f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORED, EDITED = "stored", "edited"


@dataclass(frozen=True)
class RewordingEffect:
    """Two scorings of the same n films.

    Attributes
    ----------
    figures : DataFrame
        version, metric, value, ci_low, ci_high, baseline of METRICS; the last three at each version's own threshold.
    differences : DataFrame
        metric, difference, ci_low, ci_high, p: edited minus stored, paired by patient.
    thresholds : dict
        Version to the logit of highest F1, NaN without one.
    flips : tuple of int
        Films newly predicted positive and films no longer so.
    spearman : float
        Of the two rankings.
    rises : (n,) int64
        Places each film rises; negative where it falls.
    """

    figures: pd.DataFrame
    differences: pd.DataFrame
    thresholds: dict[str, float]
    flips: tuple[int, int]
    spearman: float
    rises: NDArray[np.int64]


def compare(
    label: str,
    targets: NDArray[np.float32],
    stored: NDArray[np.float32],
    edited: NDArray[np.float32],
    patients: NDArray[np.int64],
) -> RewordingEffect:
    """Hold edited prompts against stored ones.

    Parameters
    ----------
    targets : (n,) 1, 0 or NaN
        Of validation films: a choice of prompts may not use the films that judge it.
    stored, edited : (n,) logits
    patients : (n,)
    """
    column = targets[:, None]
    scored = {}
    for version, logits in ((STORED, stored), (EDITED, edited)):
        chosen = choose_max_f1((label,), column, logits[:, None]).values((label,))
        scored[version] = Scored(logits[:, None], chosen)
    estimates = estimate((label,), column, scored, patients)
    parts = [summarise(estimated).assign(version=version) for version, estimated in estimates.items()]
    figures = pd.concat(parts, ignore_index=True)
    changed = differences((label,), column, scored, patients, estimates)
    figures, changed = (frame[frame["label"] == label].reset_index(drop=True) for frame in (figures, changed))
    thresholds = {version: float(one.thresholds[0]) for version, one in scored.items()}
    calls = {version: one.logits[:, 0] >= one.thresholds[0] for version, one in scored.items()}
    falling = pd.DataFrame({version: -one.logits[:, 0] for version, one in scored.items()})
    places = falling.rank(method="first")
    return RewordingEffect(
        figures,
        changed,
        thresholds,
        (int((calls[EDITED] & ~calls[STORED]).sum()), int((calls[STORED] & ~calls[EDITED]).sum())),
        float(falling.rank()[STORED].corr(falling.rank()[EDITED])),
        (places[STORED] - places[EDITED]).to_numpy(dtype=np.int64),
    )
