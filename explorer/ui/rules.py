"""How a threshold is come by: rules on validation, the paper's presets, or by hand. No Streamlit here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.analysis.multilabel import min_max
from explorer.analysis.thresholds import RULES, Rule, choose
from explorer.errors import UserError
from explorer.ui.protocol_tables import BARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store

TITLES: dict[str, str] = {
    "max_f1": "Max F1 on val",
    "mcc": "Max MCC on val",
    "youden": "Max Youden's J on val",
    "recall": "Recall on val at least …",
    "precision": "Precision on val at least …",
    "cosine": "Paper: cosine above 0",
    "min_max": "Paper: min-max above 0.5",
    "half": "Paper: probability above 0.5",
    "typed": "By hand: a logit",
    "share": "By hand: a share of films",
}
PRESETS = ("cosine", "min_max", "half")
HAND = ("typed", "share")
LEVELS = ("recall", "precision")


@dataclass(frozen=True)
class Choice:
    """A rule and what it needs.

    Attributes
    ----------
    rule : str
        One of TITLES.
    level : float
        Recall or precision to reach, the typed logit, or the share of films to call; else NaN.
    together : bool
        One threshold for all labels, where the rule is one on validation.
    label : str
        The label set by hand; the others then keep their largest F1.
    """

    rule: str
    level: float = math.nan
    together: bool = False
    label: str = ""


@dataclass(frozen=True)
class Decided:
    """A regime's scores, and the threshold of each label in their units.

    Attributes
    ----------
    scores : (N, C)
    cuts : (C,)
        NaN where validation could not decide: nothing is called.
    unit : str
        What the scores are.
    strict : bool
        Whether a score must lie above the threshold, as the paper's do, or may equal it.
    """

    scores: NDArray[np.float32]
    cuts: NDArray[np.float32]
    unit: str
    strict: bool = False

    def calls(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(m, C) which labels of these rows are called."""
        scores = self.scores[rows]
        return np.asarray(scores > self.cuts if self.strict else scores >= self.cuts)


def decide(store: Store, regime: str, choice: Choice, rows: NDArray[np.int64]) -> Decided:
    """What a rule makes of a regime.

    Parameters
    ----------
    rows : (m,)
        The films shown: a share by hand is a share of them.

    Raises
    ------
    UserError
        Where the paper's zero-shot needs bare names and the run has none.

    Notes
    -----
    The paper's presets are of bare class names for zero-shot; its trained regimes were cut at probability 0.5
    throughout.
    """
    logits, c = store.logits(regime), len(store.labels)
    if choice.rule in PRESETS:
        if regime != "zero_shot" or choice.rule == "half":
            return Decided(logits, np.zeros(c, np.float32), "logit", strict=True)
        if all(record.name != BARE for record in store.manifest.prompt_sets):
            raise UserError(
                "This run has no zero-shot by bare names, which the paper's preset needs.",
                "Run the same precompute command again, or choose another rule.",
            )
        bare = store.prompt_logits(BARE)
        if choice.rule == "cosine":
            return Decided(bare, np.zeros(c, np.float32), "logit of bare names", strict=True)
        return Decided(
            min_max(np.asarray(bare)), np.full(c, 0.5, np.float32), "min-max of a film's logits", strict=True
        )
    if choice.rule in HAND:
        cuts, place = store.threshold_array(regime).copy(), store.labels.index(choice.label)
        if choice.rule == "typed":
            cuts[place] = choice.level
        else:
            falling = np.sort(logits[rows, place])[::-1]
            called = round(choice.level * len(falling))
            cuts[place] = falling[called - 1] if called else np.inf
        return Decided(logits, cuts, "logit")
    if choice.rule == "max_f1" and not choice.together:
        return Decided(logits, store.threshold_array(regime), "logit")
    val = store.rows("val")
    level = choice.level if choice.rule in LEVELS else math.nan
    rule = cast("Rule", choice.rule)
    chosen = choose(store.labels, store.targets[val], logits[val], rule, level, together=choice.together)
    return Decided(logits, chosen.values(store.labels), "logit")


def said(choice: Choice, title: str) -> str:
    """The rule in words, for one regime."""
    if choice.rule in LEVELS:
        return f"{RULES[cast('Rule', choice.rule)]} {choice.level:g} on val"
    if choice.rule in ("cosine", "min_max") and title != "zero_shot":
        return "probability above 0.5, as the paper cuts what is trained"
    return TITLES[choice.rule]
