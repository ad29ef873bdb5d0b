"""Runs scored by the paper's rules and by sound ones, and what each single change does to a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from explorer.analysis.baselines import trivial_baselines
from explorer.analysis.calibration import probabilities
from explorer.analysis.metrics import patient_weights
from explorer.analysis.multilabel import f1, outcome
from explorer.tables.results import resampled_interval
from explorer.tables.thresholds import (
    BARE_NAMES,
    PAPER_RULE,
    above,
    has_bare_names,
    max_f1_rule,
    paper_logits,
    paper_rule,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

RuleSet = Literal["paper", "sound"]
RULE_SETS: tuple[RuleSet, ...] = ("paper", "sound")
StepChange = Literal["", "Threshold", "Prompt", "Training"]

RESAMPLES = 1000


@dataclass(frozen=True)
class Prediction:
    """A rule set applied to one regime's logits, over m films.

    Attributes
    ----------
    predicted : (m, C)
        Which labels are predicted positive.
    scores : (m, C)
        What ranks a film's labels against each other.
    """

    predicted: NDArray[np.bool_]
    scores: NDArray[np.floating]


def predict(store: Store, regime: str, rows: NDArray[np.int64], rules: RuleSet) -> Prediction | None:
    """One regime's prediction by a set of rules; None where the run lacks the paper's bare names for zero-shot."""
    if rules == "sound":
        return predict_sound_protocol(store, np.asarray(store.logits(regime)), rows)
    if store.regime(regime).from_prompts and not has_bare_names(store):
        return None
    return predict_as_paper(np.asarray(paper_logits(store, regime)), rows)


def predict_as_paper(logits: NDArray[np.float32], rows: NDArray[np.int64]) -> Prediction:
    """The paper's rule for any logits (N, C) of the run; labels are ranked by the logits themselves."""
    return Prediction(paper_rule(logits).predicted(rows), logits[rows])


def predict_sound_protocol(store: Store, logits: NDArray[np.float32], rows: NDArray[np.int64]) -> Prediction:
    """Thresholds of largest F1 and Platt's probabilities, both from validation; of any logits (N, C) of the run."""
    val = store.rows("val")
    scores = probabilities("platt", store.targets[val], logits[val], logits[rows])
    return Prediction(max_f1_rule(store, logits).predicted(rows), scores)


def split_baselines(store: Store, split: Split) -> dict[str, dict[str, float]]:
    """The trivial baselines of a split, with prevalences from train."""
    return trivial_baselines(store.labels, store.targets[store.rows("train")], store.targets[store.rows(split)])


def film_weights(store: Store, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1 + B, n): every film once, then the resamples of patients."""
    resampled = patient_weights(store.patients[rows], RESAMPLES, store.manifest.seed)
    return np.vstack([np.ones((1, len(rows))), resampled])


# --- one change at a time --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One rule, and what it changes against the rule before it.

    Attributes
    ----------
    change : StepChange
        Empty for the first step.
    rule : str
    labels_per_film : float
        Labels predicted positive per film.
    macro_f1, difference : (value, low, high)
        With 95% intervals; the difference is paired, and NaN for the first step.
    exact_match : float
        Over films whose labels are all known.
    """

    change: StepChange
    rule: str
    labels_per_film: float
    macro_f1: tuple[float, float, float]
    difference: tuple[float, float, float]
    exact_match: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the difference's interval leaves out 0."""
        return bool(self.difference[1] > 0 or self.difference[2] < 0)


def regime_steps(store: Store, split: Split) -> list[Step]:
    """From the paper's table to the fine-tune, on one run's films; needs the bare names' logits."""
    rows = store.rows(split)
    bare = np.asarray(store.prompt_logits(BARE_NAMES))
    own_prompts = store.manifest.prompt_sets[0]
    rules: list[tuple[StepChange, str, NDArray[np.bool_]]] = [
        ("", f"Zero-shot, bare names, {PAPER_RULE}", paper_rule(bare).predicted(rows)),
        ("Threshold", "… cosine above 0", above(bare, 0).predicted(rows)),
        ("Threshold", "… thresholds from val", max_f1_rule(store, bare).predicted(rows)),
    ]
    if own_prompts.name != BARE_NAMES:
        own = np.asarray(store.prompt_logits(own_prompts.name))
        title = f"… {own_prompts.title[0].lower()}{own_prompts.title[1:]}"
        rules.append(("Prompt", title, max_f1_rule(store, own).predicted(rows)))
    for regime in store.regimes:
        if not regime.from_prompts:
            predicted = max_f1_rule(store, np.asarray(store.logits(regime.name))).predicted(rows)
            rules.append(("Training", f"{regime.title}, thresholds from val", predicted))
    return _steps(store, rows, rules)


def training_steps(paper_run: Store, sound_run: Store, split: Split, regime: str) -> tuple[list[Step], int]:
    """One regime under the paper's and the sound protocol, on the films neither run trained on or chose by.

    Parameters
    ----------
    paper_run, sound_run : Store
        Two runs of the same films in the same order.

    Returns
    -------
    list of Step
    int
        How many films.
    """
    rows = np.intersect1d(paper_run.rows(split), sound_run.rows(split))
    logits, sound_logits = (np.asarray(run.logits(regime)) for run in (paper_run, sound_run))
    title = paper_run.regime(regime).title
    rules: list[tuple[StepChange, str, NDArray[np.bool_]]] = [
        ("", f"{title} as the paper, {PAPER_RULE}", paper_rule(logits).predicted(rows)),
        ("Threshold", "… probability above 0.5", above(logits, 0).predicted(rows)),
        ("Threshold", "… thresholds from val", max_f1_rule(paper_run, logits).predicted(rows)),
        (
            "Training",
            f"{title}, sound protocol, thresholds from val",
            max_f1_rule(sound_run, sound_logits).predicted(rows),
        ),
    ]
    return _steps(paper_run, rows, rules), len(rows)


def _steps(store: Store, rows: NDArray[np.int64], rules: list[tuple[StepChange, str, NDArray[np.bool_]]]) -> list[Step]:
    targets, weights = store.targets[rows], film_weights(store, rows)
    patients = len(np.unique(store.patients[rows]))
    steps, before = [], None
    for change, rule, predicted in rules:
        macro_f1 = f1(targets, predicted, weights).mean(axis=1)  # first the point, then the resamples
        steps.append(
            Step(
                change,
                rule,
                float(predicted.sum(axis=1).mean()),
                _point(macro_f1, patients),
                (np.nan, np.nan, np.nan) if before is None else _point(macro_f1 - before, patients),
                float(outcome(targets, predicted, None, weights[:1]).exact_match[0]),
            )
        )
        before = macro_f1
    return steps


def _point(values: NDArray[np.float64], patients: int) -> tuple[float, float, float]:
    """A figure and its 95% interval, from its value, which comes first, and its resamples."""
    return float(values[0]), *resampled_interval(values, patients)
