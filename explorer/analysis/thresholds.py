"""Operating points, chosen on the validation split only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from explorer.analysis.curves import pr_curve
from explorer.data.samples import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray


Rule = Literal["max_f1", "mcc", "youden", "recall", "precision"]
RULES: dict[Rule, str] = {
    "max_f1": "max F1",
    "mcc": "max MCC",
    "youden": "max Youden's J",
    "recall": "recall at least",
    "precision": "precision at least",
}


class Threshold(BaseModel):
    """One label's operating point, in logit units. ``value`` is None where the split had no positive or no negative."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    n_pos: int
    n_neg: int
    score: float | None = Field(description="the rule's score at the threshold, on the split it was chosen on")


class Thresholds(BaseModel):
    """Per-label operating points of a regime: logits >= value are predicted positive."""

    model_config = ConfigDict(frozen=True)

    split: Split
    rule: str
    labels: dict[str, Threshold]

    def values(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """(C,) logit thresholds in the order of ``labels``, NaN where the split could not decide."""
        values = [self.labels[label].value for label in labels]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float32)


def choose(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    logits: NDArray[np.float32],
    rule: Rule = "max_f1",
    level: float = math.nan,
    *,
    pooled: bool = False,
) -> Thresholds:
    """Each label's threshold by a rule, on validation rows.

    Parameters
    ----------
    labels : C names
    targets : (n_val, C) 1, 0 or NaN
    logits : (n_val, C)
    rule : Rule
        Largest F1, Matthews correlation or Youden's J. Or, with a ``level``: the fewest positives that reach that
        recall, or the most positives that keep that precision.
    pooled : bool
        One threshold for all labels, chosen on their film-label pairs pooled.

    Returns
    -------
    Thresholds
        A threshold lies halfway between the last score predicted positive and the next one. So no film's exact score
        decides it. None where validation lacks a class or cannot reach the level.

    Examples
    --------
    >>> import numpy as np
    >>> targets, logits = np.float32([[1], [0], [1], [0]]), np.float32([[4], [3], [2], [1]])
    >>> [choose(["a"], targets, logits, rule, 0.9).labels["a"].value for rule in ("recall", "precision")]
    [1.5, 3.5]
    """
    if pooled:
        chosen = _best(targets.ravel(), np.ravel(logits), rule, level)
        cuts = dict.fromkeys(labels, chosen)
    else:
        cuts = {label: _best(targets[:, c], logits[:, c], rule, level) for c, label in enumerate(labels)}
    rule_text = RULES[rule] if math.isnan(level) else f"{RULES[rule]} {level:g}"
    return Thresholds(split="val", rule=rule_text, labels=cuts)


def choose_max_f1(labels: Sequence[str], targets: NDArray[np.float32], logits: NDArray[np.float32]) -> Thresholds:
    """Each label's threshold of largest F1: every regime's stored operating point."""
    return choose(labels, targets, logits)


def _best(targets: NDArray[np.float32], scores: NDArray[np.float32], rule: Rule, level: float) -> Threshold:
    n_pos, n_neg = int((targets == 1).sum()), int((targets == 0).sum())
    none = Threshold(value=None, n_pos=n_pos, n_neg=n_neg, score=None)
    if n_pos == 0 or n_neg == 0:
        return none
    curve = pr_curve(targets, scores)
    recall, precision, false = (curve[name].to_numpy() for name in ("recall", "precision", "fpr"))
    tp, fp = recall * n_pos, false * n_neg
    fn, tn = n_pos - tp, n_neg - fp
    if rule in ("recall", "precision"):
        merit = recall if rule == "recall" else precision
        reached = np.flatnonzero(merit >= level - 1e-9)
        if not len(reached):
            return none
        best = int(reached[0 if rule == "recall" else -1])
    elif rule == "mcc":
        area = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        merit = np.where(area > 0, (tp * tn - fp * fn) / np.sqrt(np.where(area > 0, area, 1)), 0)
        best = int(merit.argmax())
    else:
        merit = recall - false if rule == "youden" else 2 * tp / (tp + fp + n_pos)
        best = int(merit.argmax())
    cuts = curve["threshold"].to_numpy(dtype=np.float64)
    value = np.float32((cuts[best] + cuts[best + 1]) / 2) if best + 1 < len(cuts) else cuts[best]
    if best + 1 < len(cuts) and value <= cuts[best + 1]:  # neighbours in float32: nothing lies between them
        value = cuts[best]
    return Threshold(value=float(value), n_pos=n_pos, n_neg=n_neg, score=float(merit[best]))
