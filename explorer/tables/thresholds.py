"""How a threshold is come by: rules on validation, the paper's presets, or by hand. No Streamlit here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.analysis.multilabel import min_max
from explorer.analysis.thresholds import RULES, Rule, choose
from explorer.errors import UserError
from explorer.tables.protocols import BARE, has_bare_names

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
    The paper's zero-shot is of bare class names. Its table stretches each film's scores to 0..1 in every regime; a
    cosine has no meaning for what is trained, which is then cut at probability 0.5.
    """
    logits, c = store.logits(regime), len(store.labels)
    if choice.rule in PRESETS:
        bare = regime == "zero_shot" and choice.rule != "half"
        if bare and not has_bare_names(store):
            raise UserError(
                "This run has no zero-shot by bare names, which the paper's preset needs.",
                "Run the same precompute command again, or choose another rule.",
            )
        scores, unit = (store.prompt_logits(BARE), "logit of bare names") if bare else (logits, "logit")
        if choice.rule == "min_max":
            stretched = min_max(np.asarray(scores))
            return Decided(stretched, np.full(c, 0.5, np.float32), "min-max of a film's logits", strict=True)
        return Decided(scores, np.zeros(c, np.float32), unit, strict=True)
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


def said(choice: Choice, regime: str) -> str:
    """The rule in words, for one regime."""
    if choice.rule in LEVELS:
        return f"{RULES[cast('Rule', choice.rule)]} {choice.level:g} on val"
    if choice.rule == "cosine" and regime != "zero_shot":
        return TITLES["half"]
    return TITLES[choice.rule]
