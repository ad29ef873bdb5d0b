"""Rules that turn scores into predicted labels: chosen on validation, the paper's, or set by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.analysis.multilabel import min_max
from explorer.analysis.thresholds import RULES, Rule, choose, choose_max_f1
from explorer.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store

RULE_TITLES: dict[str, str] = {
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
BY_HAND = ("typed", "share")
WITH_LEVEL = ("recall", "precision")
BARE_NAMES = "names"
"""The prompt set of the paper's zero-shot."""
PAPER_RULE = "each film's scores stretched to 0..1, predicted positive above 0.5"


@dataclass(frozen=True)
class RuleChoice:
    """A rule and what it needs.

    Attributes
    ----------
    rule : str
        One of RULE_TITLES.
    level : float
        Recall or precision to reach, the typed logit, or the share of films to predict positive; else NaN.
    one_for_all : bool
        One threshold for all labels, where the rule is one on validation.
    label : str
        The label set by hand; the others then keep their largest F1.
    """

    rule: str
    level: float = math.nan
    one_for_all: bool = False
    label: str = ""


@dataclass(frozen=True)
class OperatingPoint:
    """A regime's scores, and the threshold of each label in their units.

    Attributes
    ----------
    scores : (N, C)
    thresholds : (C,)
        NaN where validation could not decide: no film is predicted positive.
    unit : str
        What the scores are.
    strict : bool
        Whether a score must lie above the threshold, as the paper's do, or may equal it.
    """

    scores: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    unit: str = "logit"
    strict: bool = False

    def predicted(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(m, C) which labels of these rows are predicted positive."""
        scores = self.scores[rows]
        return np.asarray(scores > self.thresholds if self.strict else scores >= self.thresholds)


# --- the paper's rule, and the explorer's own ------------------------------------------------------------------------


def has_bare_names(store: Store) -> bool:
    """Whether the run has zero-shot from bare class names; runs of early versions lack it."""
    return any(record.name == BARE_NAMES for record in store.manifest.prompt_sets)


def paper_logits(store: Store, regime: str) -> NDArray[np.float32]:
    """(N, C) the logits that the paper's rules read: for zero-shot those from bare class names.

    Raises
    ------
    UserError
        Where zero-shot is asked for and the run has no bare names.
    """
    if not store.regime(regime).from_prompts:
        return store.logits(regime)
    if not has_bare_names(store):
        raise UserError(
            "This run has no zero-shot by bare names, which the paper's preset needs.",
            "Run the same precompute command again, or choose another rule.",
        )
    return store.prompt_logits(BARE_NAMES)


def above(scores: NDArray[np.float32], threshold: float, unit: str = "logit") -> OperatingPoint:
    """Every label predicted positive above the same threshold; ``scores`` (N, C)."""
    return OperatingPoint(scores, np.full(scores.shape[1], threshold, np.float32), unit, strict=True)


def paper_rule(logits: NDArray[np.float32]) -> OperatingPoint:
    """The paper's table, from its notebook: PAPER_RULE, in every regime; ``logits`` (N, C)."""
    return above(min_max(np.asarray(logits)), 0.5, "min-max of a film's logits")


def max_f1_rule(store: Store, logits: NDArray[np.float32]) -> OperatingPoint:
    """Thresholds of largest F1 on validation, for any logits (N, C) of the run."""
    val = store.rows("val")
    chosen = choose_max_f1(store.labels, store.targets[val], logits[val])
    return OperatingPoint(logits, chosen.values(store.labels))


# --- the rule chosen on the page -------------------------------------------------------------------------------------


def operating_point(store: Store, regime: str, choice: RuleChoice, rows: NDArray[np.int64]) -> OperatingPoint:
    """A regime's scores and thresholds under a rule.

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
    The paper's zero-shot uses bare class names. A cosine has no meaning for a trained regime, which is then cut at
    probability 0.5.
    """
    logits = store.logits(regime)
    if choice.rule == "min_max":
        return paper_rule(paper_logits(store, regime))
    if choice.rule == "cosine" and store.regime(regime).from_prompts:
        return above(paper_logits(store, regime), 0, "logit of bare names")
    if choice.rule in PRESETS:
        return above(logits, 0)
    if choice.rule in BY_HAND:
        thresholds, place = store.threshold_array(regime).copy(), store.labels.index(choice.label)
        if choice.rule == "typed":
            thresholds[place] = choice.level
        else:
            falling = np.sort(logits[rows, place])[::-1]
            n_predicted = round(choice.level * len(falling))
            thresholds[place] = falling[n_predicted - 1] if n_predicted else np.inf
        return OperatingPoint(logits, thresholds)
    if choice.rule == "max_f1" and not choice.one_for_all:
        return OperatingPoint(logits, store.threshold_array(regime))
    val = store.rows("val")
    level = choice.level if choice.rule in WITH_LEVEL else math.nan
    rule = cast("Rule", choice.rule)
    chosen = choose(store.labels, store.targets[val], logits[val], rule, level, pooled=choice.one_for_all)
    return OperatingPoint(logits, chosen.values(store.labels))


def rule_text(choice: RuleChoice, regime: RegimeRecord) -> str:
    """The rule in words, for one regime."""
    if choice.rule in WITH_LEVEL:
        return f"{RULES[cast('Rule', choice.rule)]} {choice.level:g} on val"
    if choice.rule == "cosine" and not regime.from_prompts:
        return RULE_TITLES["half"]
    return RULE_TITLES[choice.rule]
