"""Which films pages show: conditions on what regimes predict, on labels and on the samples table, joined by "and".

A condition without a label is about the label that the page shows. Predictions are at each regime's own threshold,
chosen on validation. What is unknown meets no condition but "unknown": it is never negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

import numpy as np

from explorer.analysis.operating import CELLS, outcome_cells
from explorer.data.samples import SPLITS
from explorer.figures.style import number
from explorer.tables.labels import State, label_states

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

Outcome = Literal["tp", "fp", "fn", "tn"]

OUTCOMES: dict[Outcome, str] = {"fn": "Missed", "tp": "Found", "fp": "False alarm", "tn": "Rightly negative"}
STATES: tuple[State, ...] = ("positive", "negative", "unknown")
CATEGORIES = {"view": "View", "split": "Split", "sex": "Sex"}
IDS = {"patient_id": "Patient", "study_id": "Study", "sample_id": "Film", "image": "File"}
NUMBERS = {"age": "Age", "height": "Height in pixels", "width": "Width in pixels"}
COLUMNS = {**CATEGORIES, **NUMBERS, **IDS, "report": "Report"}
"""Title of every column of the samples table that a condition can be about; labels have conditions of their own."""

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class OfRegime:
    """What a regime predicts of a label at its threshold, against what is known."""

    outcome: Outcome
    regime: str
    label: str | None = None


@dataclass(frozen=True)
class OfLabel:
    """What is known of a label."""

    state: State
    label: str | None = None


@dataclass(frozen=True)
class OfText:
    """A column's text: the same, or in a report any part of it in either case; empty where nothing is recorded."""

    column: str
    text: str


@dataclass(frozen=True)
class OfNumber:
    """A column's number, between two ends that are included."""

    column: str
    low: float = -inf
    high: float = inf


Condition = OfRegime | OfLabel | OfText | OfNumber
Conditions = tuple[Condition, ...]


# --- the films -------------------------------------------------------------------------------------------------------


def meets(store: Store, conditions: Conditions, label: str) -> NDArray[np.bool_]:
    """(N,) whether a film meets all conditions.

    Parameters
    ----------
    label : str
        What conditions without a label are about.
    """
    kept = np.ones(store.n, dtype=bool)
    for condition in conditions:
        kept &= _meets(store, condition, label)
    return kept


def rows_shown(store: Store, split: Split | None, conditions: Conditions, label: str) -> NDArray[np.int64]:
    """Rows that meet all conditions, ascending: of the split, or of all splits where a condition names its own."""
    rows = base_rows(store, split, conditions)
    return rows[meets(store, conditions, label)[rows]]


def base_rows(store: Store, split: Split | None, conditions: Conditions) -> NDArray[np.int64]:
    """Rows among which conditions choose: the split's, or all where a condition names a split of its own."""
    return store.rows(None if names_split(conditions) else split)


def names_split(conditions: Conditions) -> bool:
    """Whether a condition names a split of its own, in place of the one that the page shows."""
    return any(isinstance(one, OfText) and one.column == "split" for one in conditions)


def _meets(store: Store, condition: Condition, label: str) -> NDArray[np.bool_]:
    match condition:
        case OfRegime(outcome, regime, other):
            c = store.labels.index(other or label)
            threshold = store.threshold_array(regime)[c]
            if np.isnan(threshold):  # validation could not decide: nothing is predicted, neither positive nor negative
                return np.zeros(store.n, dtype=bool)
            predicted = np.asarray(store.logits(regime)[:, c] >= threshold)
            return outcome_cells(store.targets[:, c], predicted)[:, CELLS.index(outcome)]
        case OfLabel(state, other):
            return np.asarray(label_states(store, other or label) == state)
        case OfNumber(column, low, high):
            values = store.samples[column].to_numpy(dtype=np.float64)
            return np.asarray((values >= low) & (values <= high))
        case OfText("report", text):
            reports = texts(store, "report").str.casefold()
            return reports.str.contains(text.casefold(), regex=False).to_numpy(dtype=bool)
        case OfText(column, text):
            return (texts(store, column) == text).to_numpy(dtype=bool)


# --- what conditions can be about ------------------------------------------------------------------------------------


def texts(store: Store, column: str) -> pd.Series[str]:
    """(N,) a column's texts, empty where nothing is recorded."""
    return store.samples[column].fillna("").astype(str).str.strip()


def categories(store: Store, column: str) -> list[str]:
    """Every text of a column, the most frequent first; of splits, their order."""
    there = [str(text) for text in texts(store, column).value_counts().index]
    return [split for split in SPLITS if split in there] if column == "split" else there


def columns(store: Store) -> list[str]:
    """Columns in which films differ."""
    return [column for column in COLUMNS if store.samples[column].nunique() > 1]


def is_known(store: Store, condition: Condition) -> bool:
    """Whether the run has what a condition names."""
    match condition:
        case OfRegime(_, regime, label):
            return regime in (one.name for one in store.all_regimes) and (label is None or label in store.labels)
        case OfLabel(_, label):
            return label is None or label in store.labels
        case OfText("report", _) | OfNumber():
            return True
        case OfText(column, text):
            return bool((texts(store, column) == text).any())


def subject(condition: Condition) -> Hashable:
    """What a condition is about: a second one about the same takes its place when a visitor chooses it."""
    match condition:
        case OfRegime(_, regime, label):
            return "regime", regime, label
        case OfLabel(_, label):
            return "label", label
        case OfText(column, _) | OfNumber(column):
            return "column", column


def tells_label(condition: Condition) -> bool:
    """Whether a condition tells what is known of a film's label."""
    return isinstance(condition, OfRegime | OfLabel)


def undecided(store: Store, conditions: Conditions, label: str) -> list[tuple[str, str]]:
    """Regime's title and label of conditions that no film can meet: validation gave that label no threshold."""
    asked = [(one.regime, one.label or label) for one in conditions if isinstance(one, OfRegime)]
    return [
        (store.regime(regime).title, name)
        for regime, name in dict.fromkeys(asked)
        if np.isnan(store.threshold_array(regime)[store.labels.index(name)])
    ]


# --- in words --------------------------------------------------------------------------------------------------------


def words(store: Store, condition: Condition, label: str) -> str:
    """A condition in a few words, as plain text."""
    match condition:
        case OfRegime(outcome, regime, other):
            by = f"by {store.regime(regime).title}"
            return f"{OUTCOMES[outcome]} {by}" if other is None else f"{other}: {OUTCOMES[outcome].lower()} {by}"
        case OfLabel(state, other):
            return f"{other or label}: {state}"
        case OfNumber(column, low, high):
            return f"{COLUMNS[column]} {_range(low, high)}"
        case OfText("report", text):
            return f"Report says “{text}”"
        case OfText(column, text):
            return f"{COLUMNS[column]} {text or NOT_RECORDED}"


def sentence(store: Store, conditions: Sequence[Condition], label: str) -> str:
    """All conditions in one line, as plain text; the page's label comes first where predictions are about it."""
    parts = [words(store, condition, label) for condition in conditions]
    about = any(isinstance(one, OfRegime) and one.label is None for one in conditions)
    return ", ".join([label, *parts] if about else parts)


def _range(low: float, high: float) -> str:
    if low == -inf:
        return f"at most {_shown(high)}"
    return f"at least {_shown(low)}" if high == inf else f"{_shown(low)} to {_shown(high)}"


def _shown(value: float) -> str:
    return number(value, 0 if value == int(value) else 2)
