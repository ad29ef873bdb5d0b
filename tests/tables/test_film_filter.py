"""Conditions on films: by hand, against a plain loop over the rows, and on the tiny store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables.film import film_scores, verdicts
from explorer.tables.film_filter import (
    Condition,
    OfLabel,
    OfNumber,
    OfRegime,
    OfText,
    categories,
    columns,
    is_known,
    meets,
    rows_shown,
    sentence,
    subject,
    undecided,
    words,
)

NAN = math.nan
LABELS = ("Edema", "Fracture")


@dataclass
class Films:
    """What a store says of films, in memory."""

    samples: pd.DataFrame
    targets: np.ndarray
    scores: dict[str, np.ndarray]
    thresholds: dict[str, np.ndarray]
    labels: tuple[str, ...] = LABELS

    @property
    def n(self) -> int:
        return len(self.samples)

    @property
    def all_regimes(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.scores]

    def regime(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(title={"zero": "Zero-shot", "tuned": "Fine-tune"}[name])

    def logits(self, regime: str) -> np.ndarray:
        return self.scores[regime]

    def threshold_array(self, regime: str) -> np.ndarray:
        return self.thresholds[regime]

    def rows(self, split: str | None = None) -> np.ndarray:
        every = np.arange(self.n)
        return every if split is None else every[(self.samples["split"] == split).to_numpy()]


def as_store(films: Films) -> Store:
    return cast(Store, films)


#        film   0    1    2    3    4    5
KNOWN = [1, 1, 0, 0, NAN, 1]
ZERO = [-1.0, 0.5, 0.5, -1.0, 2.0, 0.0]  # at the threshold is predicted
TUNED = [1.0, 1.0, -1.0, 1.0, -1.0, -2.0]
SIX = Films(
    pd.DataFrame(
        {
            "sample_id": list("abcdef"),
            "study_id": list("abcdef"),
            "patient_id": ["p1", "p1", "p2", "p3", "p4", "p5"],
            "image": [f"{name}.png" for name in "abcdef"],
            "split": ["test", "test", "test", "val", "test", "train"],
            "view": ["AP", "PA", "AP", "AP", None, "AP"],
            "sex": ["F", "", "M", "M", "F", "F"],
            "age": [40.0, 60.0, NAN, 61.0, 40.0, 80.0],
            "height": [10, 20, 30, 40, 50, 60],
            "width": [9] * 6,
            "report": ["Mild EDEMA.", None, "No oedema", "", "edema (old)", "Fracture"],
        }
    ),
    np.array([KNOWN, [0, NAN, 1, 1, 0, 0]], dtype=np.float32).T,
    {"zero": np.array([ZERO, [0.0] * 6], np.float32).T, "tuned": np.array([TUNED, [1.0] * 6], np.float32).T},
    {"zero": np.array([0.0, NAN], np.float32), "tuned": np.array([0.0, 2.0], np.float32)},
)


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        ((), [0, 1, 2, 3, 4, 5]),
        ([OfRegime("tp", "zero")], [1, 5]),
        ([OfRegime("fn", "zero")], [0]),
        ([OfRegime("fp", "zero")], [2]),  # film 4 is predicted positive where nothing is known
        ([OfRegime("tn", "zero")], [3]),
        ([OfRegime("fn", "zero"), OfRegime("tp", "tuned")], [0]),
        ([OfRegime("fn", "tuned", "Fracture")], [2, 3]),
        *(([OfRegime(outcome, "zero", "Fracture")], []) for outcome in ("tp", "fp", "fn", "tn")),  # no threshold
        ([OfLabel("positive")], [0, 1, 5]),
        ([OfLabel("negative")], [2, 3]),
        ([OfLabel("unknown")], [4]),
        ([OfLabel("unknown", "Fracture")], [1]),
        ([OfText("view", "AP")], [0, 2, 3, 5]),
        ([OfText("view", "")], [4]),
        ([OfText("sex", "F"), OfText("split", "test")], [0, 4]),
        ([OfText("patient_id", "p1")], [0, 1]),
        ([OfText("report", "edema")], [0, 2, 4]),
        ([OfText("report", "EDEMA (")], [4]),  # no pattern, the text itself
        ([OfNumber("age", 40, 60)], [0, 1, 4]),
        ([OfNumber("age", 60)], [1, 3, 5]),
        ([OfNumber("age", high=60)], [0, 1, 4]),
        ([OfNumber("height", 30, 30)], [2]),
        ([OfText("view", "AP"), OfText("view", "PA")], []),
    ],
)
def test_conditions_by_hand(conditions: list[Condition], rows: list[int]) -> None:
    assert np.flatnonzero(meets(as_store(SIX), tuple(conditions), "Edema")).tolist() == rows


def test_the_split_holds_until_a_condition_names_its_own() -> None:
    store = as_store(SIX)
    assert rows_shown(store, "test", (OfText("view", "AP"),), "Edema").tolist() == [0, 2]
    assert rows_shown(store, "test", (OfText("split", "val"),), "Edema").tolist() == [3]
    assert rows_shown(store, "test", (OfText("split", "train"), OfText("view", "AP")), "Edema").tolist() == [5]
    assert rows_shown(store, None, (OfText("view", "AP"),), "Edema").tolist() == [0, 2, 3, 5]


def test_what_conditions_can_be_about_is_what_differs() -> None:
    store = as_store(SIX)
    assert "width" not in columns(store)
    assert {"view", "sex", "age", "height", "report", "patient_id", "split"} <= set(columns(store))
    assert categories(store, "view") == ["AP", "PA", ""]
    assert categories(store, "split") == ["train", "val", "test"]
    assert is_known(store, OfText("view", "PA"))
    assert not is_known(store, OfText("view", "LL"))
    assert not is_known(store, OfRegime("tp", "other"))
    assert not is_known(store, OfLabel("positive", "Hernia"))


def test_a_label_without_a_threshold_is_named() -> None:
    every = (OfRegime("fn", "zero", "Fracture"), OfRegime("tp", "zero"), OfLabel("positive"))
    assert undecided(as_store(SIX), every, "Edema") == [("Zero-shot", "Fracture")]
    assert undecided(as_store(SIX), every[1:], "Fracture") == [("Zero-shot", "Fracture")]


def test_conditions_in_words() -> None:
    store = as_store(SIX)
    for condition, text in {
        OfRegime("fn", "zero"): "Missed by Zero-shot",
        OfRegime("fp", "tuned", "Fracture"): "Fracture: false alarm by Fine-tune",
        OfLabel("unknown"): "Edema: unknown",
        OfText("view", ""): "View not recorded",
        OfText("report", "edema"): "Report says “edema”",
        OfNumber("age", 40, 60.5): "Age 40 to 60.50",
        OfNumber("age", high=60): "Age at most 60",
        OfNumber("height", 1024): "Height in pixels at least 1024",
    }.items():
        assert words(store, condition, "Edema") == text
    both = (OfRegime("fn", "zero"), OfText("view", "AP"))
    assert sentence(store, both, "Edema") == "Edema, Missed by Zero-shot, View AP"
    assert sentence(store, both[1:], "Edema") == "View AP"
    assert subject(OfRegime("fn", "zero")) == subject(OfRegime("tp", "zero")) != subject(OfRegime("tp", "tuned"))


# --- against a loop --------------------------------------------------------------------------------------------------


def loop_meets(films: Films, condition: Condition, row: int, label: str) -> bool:
    """The same for one film, as one would write it down."""
    if isinstance(condition, OfRegime | OfLabel):
        c = films.labels.index(condition.label or label)
        known = float(films.targets[row, c])
        if isinstance(condition, OfLabel):
            return condition.state == ("unknown" if math.isnan(known) else "positive" if known == 1 else "negative")
        threshold = float(films.thresholds[condition.regime][c])
        if math.isnan(known) or math.isnan(threshold):
            return False
        predicted = float(films.scores[condition.regime][row, c]) >= threshold
        return (
            condition.outcome
            == {(True, 1): "tp", (True, 0): "fp", (False, 1): "fn", (False, 0): "tn"}[predicted, int(known)]
        )
    cell = films.samples[condition.column].iloc[row]
    if isinstance(condition, OfNumber):
        return condition.low <= cell <= condition.high
    text = "" if cell is None or cell != cell else str(cell)
    return condition.text.lower() in text.lower() if condition.column == "report" else text == condition.text


TEXTS = {"view": ["AP", "PA", None], "sex": ["F", "M", ""], "split": ["train", "val", "test"], "patient_id": ["p", "q"]}
REPORTS = ["", None, "No edema.", "EDEMA and more", "a.*b"]


@st.composite
def some_films(draw: st.DrawFn) -> Films:
    n = draw(st.integers(1, 12))

    def several(one: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(one, min_size=n, max_size=n))

    def pairs(one: st.SearchStrategy[Any]) -> np.ndarray:
        return np.array(several(st.tuples(one, one)), dtype=np.float32)

    texts = {column: several(st.sampled_from(values)) for column, values in TEXTS.items()}
    samples = pd.DataFrame(
        {
            **texts,
            "report": several(st.sampled_from(REPORTS)),
            "age": np.array(several(st.sampled_from([NAN, 1, 2, 3])), dtype=np.float64),
            "height": several(st.integers(1, 4)),
        }
    )
    score = st.sampled_from([-1.0, 0.0, 1.0])
    thresholds = {
        name: np.array(draw(st.tuples(*[st.sampled_from([NAN, 0.0, 0.5])] * 2)), np.float32)
        for name in ("zero", "tuned")
    }
    return Films(
        samples, pairs(st.sampled_from([0.0, 1.0, NAN])), {name: pairs(score) for name in thresholds}, thresholds
    )


LABEL = st.sampled_from([None, *LABELS])
ENDS = st.sampled_from([-math.inf, 1, 2, 3, math.inf])
CONDITION = st.one_of(
    st.builds(OfRegime, st.sampled_from(["tp", "fp", "fn", "tn"]), st.sampled_from(["zero", "tuned"]), LABEL),
    st.builds(OfLabel, st.sampled_from(["positive", "negative", "unknown"]), LABEL),
    st.builds(OfNumber, st.sampled_from(["age", "height"]), ENDS, ENDS),
    *(
        st.builds(OfText, st.just(column), st.sampled_from([v or "" for v in values]))
        for column, values in TEXTS.items()
    ),
    st.builds(OfText, st.just("report"), st.sampled_from(["edema", "A", ".*", "x"])),
)


@given(some_films(), st.lists(CONDITION, max_size=4), st.sampled_from(LABELS))
def test_a_filter_is_a_loop_over_the_rows(films: Films, conditions: list[Condition], label: str) -> None:
    looped = [all(loop_meets(films, one, row, label) for one in conditions) for row in range(films.n)]
    assert meets(as_store(films), tuple(conditions), label).tolist() == looped


# --- on the tiny store -----------------------------------------------------------------------------------------------


def test_outcomes_are_the_verdicts_of_the_case_page(tiny_store: Path) -> None:
    tiny = open_store(tiny_store)
    of_verdict = {"tp": "found", "fn": "missed", "fp": "false"}
    rows = tiny.rows("test")[:25].tolist()
    of_row = {row: {verdict.regime: verdict for verdict in verdicts(film_scores(tiny, row))} for row in rows}
    for regime in tiny.regimes:
        for label in tiny.labels:
            for outcome, part in of_verdict.items():
                kept = meets(tiny, (OfRegime(outcome, regime.name),), label)  # type: ignore[arg-type]
                assert [row for row in rows if kept[row]] == [
                    row for row in rows if label in getattr(of_row[row][regime.title], part)
                ]
