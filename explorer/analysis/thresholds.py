"""Operating points, chosen on the validation split only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from explorer.analysis.curves import pr_curve
from explorer.data.samples import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Threshold(BaseModel):
    """One label's operating point, in logit units. ``value`` is None where the split had no positive or no negative."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    n_pos: int
    n_neg: int
    score: float | None = Field(description="the rule's score at the threshold, on the split it was chosen on")


class Thresholds(BaseModel):
    """Per-label operating points of a regime: logits >= value count as called positive."""

    model_config = ConfigDict(frozen=True)

    split: Split
    rule: str
    labels: dict[str, Threshold]

    def values(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """(C,) logit thresholds in the order of ``labels``, NaN where the split could not decide."""
        values = [self.labels[label].value for label in labels]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float32)


def choose_max_f1(labels: Sequence[str], targets: NDArray[np.float32], logits: NDArray[np.float32]) -> Thresholds:
    """Each label's threshold of largest F1 on validation rows.

    Parameters
    ----------
    labels : C names
    targets : (n_val, C) 1, 0 or NaN
    logits : (n_val, C)

    Returns
    -------
    Thresholds
        A threshold lies halfway between the last score called positive and the next one, so that it does not hang
        on one film's exact score. None where validation has no positive or no negative.
    """
    chosen = {}
    for c, label in enumerate(labels):
        known = ~np.isnan(targets[:, c])
        n_pos = int((targets[:, c] == 1).sum())
        n_neg = int(known.sum()) - n_pos
        if n_pos == 0 or n_neg == 0:
            chosen[label] = Threshold(value=None, n_pos=n_pos, n_neg=n_neg, score=None)
            continue
        curve = pr_curve(targets[:, c], logits[:, c])
        f1 = 2 * curve["precision"] * curve["recall"] / (curve["precision"] + curve["recall"]).replace(0, 1)
        best = int(f1.to_numpy().argmax())
        cuts = curve["threshold"].to_numpy(dtype=np.float64)
        value = np.float32((cuts[best] + cuts[best + 1]) / 2) if best + 1 < len(cuts) else cuts[best]
        if best + 1 < len(cuts) and value <= cuts[best + 1]:  # neighbours in float32: nothing lies between them
            value = cuts[best]
        chosen[label] = Threshold(value=float(value), n_pos=n_pos, n_neg=n_neg, score=float(f1[best]))
    return Thresholds(split="val", rule="max F1", labels=chosen)
