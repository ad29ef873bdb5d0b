"""The first page's numbers and sentences: on a store made by hand, against figures worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from explorer.analysis.curves import BAND_COLUMNS
from explorer.analysis.differences import DIFFERENCE_COLUMNS
from explorer.analysis.jackknife import mean_of_films
from explorer.analysis.metrics import MACRO, METRIC_COLUMNS
from explorer.analysis.separability import CONFUSION_COLUMNS, SEPARABILITY_COLUMNS
from explorer.store.manifest import RegimeKind, RegimeRecord, SpaceRecord
from explorer.store.reader import Store
from explorer.tables import story
from explorer.tables.thresholds import BARE_NAMES

NAN = float("nan")
HOSTILE = ("**bold** [x](//evil)", "<img src=x>", "a|b `c`")


def regime(name: str, title: str, kind: RegimeKind, encoder: str) -> RegimeRecord:
    spaces = {"embedding_space": encoder, "decision_space": f"{name}-d"}
    return RegimeRecord(name=name, title=title, kind=kind, encoder=encoder, **spaces)


PROMPTS = regime("words", "Words", "zero-shot", "e")
FITTED = regime("fitted", "Fitted head", "probe", "e")
TRAINED = regime("trained", "Trained", "trained", "t")
SPACES = {
    name: SpaceRecord(name=name, title=title, kind="embedding", dim=2)
    for name, title in (("e", "First encoder"), ("t", "Trained encoder"))
}


class FakeTables(SimpleNamespace):
    """A run's tables can be keys of a dictionary; so can these."""

    __hash__ = object.__hash__


@dataclass
class MadeStore:
    """What the story reads of a store. Every film is in the split."""

    targets: np.ndarray
    labels: tuple[str, ...] = ("A", "B", "C")
    regimes: tuple[RegimeRecord, ...] = (PROMPTS, FITTED, TRAINED)
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    bare: np.ndarray | None = None
    patients: np.ndarray = field(default_factory=lambda: np.arange(0))
    separability: Sequence[Mapping[str, Any]] = ()
    confusability: Sequence[Mapping[str, Any]] = ()
    metrics: Sequence[Mapping[str, Any]] = ()
    differences: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        self.all_regimes = self.regimes
        self.targets = np.asarray(self.targets, np.float32)
        self.patients = np.arange(len(self.targets)) if not len(self.patients) else self.patients
        names = ["own", *([BARE_NAMES] if self.bare is not None else [])]
        sets = tuple(SimpleNamespace(name=name) for name in names)
        self.manifest = SimpleNamespace(prompt_sets=sets, macro_patients=1, seed=0)
        self.tables = FakeTables(
            separability=frame(self.separability, SEPARABILITY_COLUMNS),
            confusability=frame(self.confusability, CONFUSION_COLUMNS),
            metrics=frame(self.metrics, METRIC_COLUMNS),
            differences=frame(self.differences, DIFFERENCE_COLUMNS),
            bands=frame((), BAND_COLUMNS),
        )

    def rows(self, _: str) -> np.ndarray:
        return np.arange(len(self.targets))

    def logits(self, regime: str) -> np.ndarray:
        return np.asarray(self.scores.get(regime, np.zeros_like(self.targets)), np.float32)

    def threshold_array(self, _: str) -> np.ndarray:
        return np.full(len(self.labels), 1, np.float32)

    def prompt_logits(self, _: str) -> np.ndarray:
        assert self.bare is not None
        return np.asarray(self.bare, np.float32)

    def space(self, name: str) -> SpaceRecord:
        return SPACES[name]

    def space_of(self, regime: str, _: str) -> SpaceRecord:
        return SPACES[next(one.embedding_space for one in self.regimes if one.name == regime)]


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A stored table of the split test; cells left out are NaN."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table["split"] = "test"
    return table


def made(targets: Any, **parts: Any) -> Store:
    return cast("Store", MadeStore(np.asarray(targets), **parts))


def positives(*counts: int, n: int = 40) -> np.ndarray:
    """(n, C) the first films of each label are positive."""
    return np.stack([(np.arange(n) < count) for count in counts], axis=1).astype(np.float32)


def lift(label: str, space: str, value: float, low: float, high: float, p: float = 0.01) -> dict[str, Any]:
    figures = {"value": value, "ci_low": low, "ci_high": high, "baseline": 1.0, "p": p, "p_adjusted": p}
    return {"label": label, "space": space, "measure": "lift", "n_pos": 10, **figures}


def ap(regime: str, label: str, value: float, baseline: float = 0.25) -> dict[str, Any]:
    counts = {"n_pos": 10, "n_neg": 30, "n_unknown": 0, "in_macro": label != MACRO}
    figures = {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "baseline": baseline}
    return {"regime": regime, "label": label, "metric": "average_precision", **figures, **counts}


def gain(label: str, value: float, low: float, high: float, p: float) -> dict[str, Any]:
    names = {"regime": "fitted", "against": "words", "label": label, "metric": "average_precision"}
    return {**names, "difference": value, "ci_low": low, "ci_high": high, "p": p, "n_pos": 10, "n_neg": 30}


# --- the mean of films -----------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_the_t_interval_where_each_patient_has_one_film() -> None:
    values = np.array([1.0, 4, 2, 2, 7])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert mean_of_films(values, np.array([3, 1, 0, 9, 4])) == pytest.approx((values.mean(), low, high))
    assert mean_of_films(values, np.zeros(5, np.int64))[0] == values.mean()
    assert np.isnan(mean_of_films(values, np.zeros(5, np.int64))[1:]).all(), "one patient shows no spread"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14)), min_size=2, max_size=30), st.integers(2, 4))
def test_the_same_films_again_make_no_mean_surer(films: list[tuple[int, int]], times: int) -> None:
    patients, values = np.array(films).T
    once = mean_of_films(values.astype(float), patients)
    again = mean_of_films(np.tile(values.astype(float), times), np.tile(patients, times))
    np.testing.assert_allclose(again, once, atol=1e-9)


# --- the regimes -----------------------------------------------------------------------------------------------------


def test_regimes_are_known_by_their_records_and_heads() -> None:
    targets = positives(10, 10, 10)
    assert story.from_prompts(made(targets)) == PROMPTS
    assert story.from_prompts(made(targets, regimes=(FITTED, TRAINED))) is None
    assert story.sharing(made(targets)) == (PROMPTS, FITTED)
    assert story.sharing(made(targets, regimes=(TRAINED, FITTED, PROMPTS))) == (PROMPTS, FITTED)
    assert story.sharing(made(targets, regimes=(PROMPTS, TRAINED))) is None


# --- what zero-shot does ---------------------------------------------------------------------------------------------

TARGETS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, NAN], [1, 0, 0]])
BARE = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [-1, 1, 1]])  # above 0: 3, 3, 3, 2
OWN = np.array([[2, 0, 0], [0, 2, 2], [0, 0, 0], [0, 0, 0]])  # 1 or more: 1, 2, 0, 0


def test_predicted_labels_are_counted_by_regime_and_rule_beside_the_true_ones() -> None:
    answer = story.predicted_labels(
        made(TARGETS, bare=BARE, scores={"words": OWN, "fitted": OWN, "trained": OWN}), "test"
    )
    assert answer.prompted == PROMPTS
    assert answer.by_cosine
    means = {(one.regime.name, one.paper): one.per_film[0] for one in answer.predicted}
    assert means["words", True] == 11 / 4, "the paper's rule reads the bare names"
    assert means["words", False] == 3 / 4
    assert means["trained", True] == 3 / 4, "a trained regime at probability 0.5"
    assert answer.true[0] == 3 / 4
    assert answer.unknown == 1 / 4
    assert answer.title == "What words does"
    assert answer.sentence == (
        "By the paper's rule, **Words** predicts 2.75 of 3 labels per film, where 0.75 are true; by thresholds from "
        "validation, 0.75."
    )


def test_the_film_shown_has_the_median_number_of_false_predictions_and_a_label() -> None:
    film = story.predicted_labels(made(TARGETS, bare=BARE), "test").film
    assert film
    assert film.row == 0, "2 of the films' 2, 2, 2 and 2 false predictions; an unknown label is none"
    assert (film.true, film.missed, film.false) == (("A",), (), ("B", "C"))
    assert film.sentence == "On this film 2 of 3 predicted labels are false; the median is 2."


def test_without_prompts_or_bare_names_only_rules_that_the_run_has_are_counted() -> None:
    answer = story.predicted_labels(made(TARGETS, scores={"words": OWN}), "test")
    assert [one.paper for one in answer.predicted if one.regime == PROMPTS] == [False]
    assert not answer.by_cosine
    assert answer.sentence.startswith("By thresholds from validation, **Words** predicts 0.75 of 3 labels per film")
    answer = story.predicted_labels(made(TARGETS[:, :1], labels=("A",), regimes=(TRAINED,)), "test")
    assert answer.prompted is None
    assert answer.title == "How many labels are predicted"
    assert "0.00 of 1 label per film, where 0.50 are true" in answer.sentence
    assert answer.film is None, "nothing is predicted"


# --- what training pulls apart ---------------------------------------------------------------------------------------


def test_the_label_shown_has_the_largest_lift_of_those_that_surely_gather() -> None:
    rows = [
        lift("A", "e", 2, 1.5, 3),
        lift("A", "t", 4, 3.5, 5),
        lift("B", "e", 3, 2, 4),
        lift("B", "t", 3, 2, 4),
        lift("C", "t", 9, 0.5, 20),  # its interval holds chance
    ]
    answer = story.pulled_apart(made(positives(10, 12, 14), separability=rows), "test")
    assert answer.label == "A"
    assert answer.title == "What training pulls apart"
    assert [answer.space.name for answer in answer.spaces] == ["e", "t"]
    assert [answer.lift.value for answer in answer.spaces] == [2, 4]
    assert answer.spaces[1].sentence == "**Trained**: 4.00 times as often as chance."
    assert answer.counts == (10, 30)
    assert answer.doubt == "", "the intervals lie apart"


def test_what_two_lifts_do_not_show_is_said() -> None:
    rows = [lift("A", "e", 3, 2, 4, p=0.2), lift("A", "t", 4, 3.5, 5)]
    answer = story.pulled_apart(made(positives(10, 10, 10), separability=rows), "test")
    assert "the intervals overlap" in answer.doubt
    assert answer.spaces[0].sentence.endswith("not surely more than shuffled labels.")
    answer = story.pulled_apart(made(positives(10, 10, 10), separability=rows[1:]), "test")
    assert "an interval is missing" in answer.doubt
    assert "this store has no figure for A" in answer.spaces[0].sentence


def test_a_run_without_a_sure_label_or_a_second_encoder_says_so() -> None:
    rows = [lift(label, "e", 2, 0.5, 3) for label in "AB"]
    answer = story.pulled_apart(made(positives(10, 12, 2), separability=rows), "test")
    assert (answer.label, answer.spaces) == (None, ())
    assert (
        answer.sentence == "None of 2 labels with 5 or more positive films gathers its films surely, after correction."
    )
    assert "none can be judged" in story.pulled_apart(made(positives(1, 2, 3)), "test").sentence
    alone = made(positives(10, 12, 2), regimes=(PROMPTS, FITTED), separability=[lift("A", "e", 2, 1.5, 3)])
    answer = story.pulled_apart(alone, "test")
    assert answer.title == "What lies together"
    assert (len(answer.spaces), answer.doubt) == (1, "")


@given(st.integers(1, 40), st.integers(0, 99))
def test_core_films_are_different_films_of_those_asked_for(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(100, n, replace=False))
    chosen = story.core_films(rng.normal(size=(100, 2)), rows)
    assert len(set(chosen)) == len(chosen) == min(n, story.SHOWN_FILMS)
    assert set(chosen) <= set(rows.tolist())


def test_core_films_lie_in_the_cluster_and_not_among_strays() -> None:
    xy = np.concatenate([np.linspace([0, 0], [1, 1], 10), [[50, 50], [-40, 3]]])
    assert max(story.core_films(xy, np.arange(12))) < 10


# --- what the probe gets ---------------------------------------------------------------------------------------------


def test_the_curves_are_of_the_label_whose_gain_is_sure_and_largest() -> None:
    rows = [gain("A", 0.3, -0.1, 0.6, 0.2), gain("B", 0.1, 0.05, 0.2, 0.001), gain("C", 0.2, 0.1, 0.3, 0.004)]
    scores = [ap(regime, label, 0.6, 0.3) for regime in ("words", "fitted", "trained") for label in "ABC"]
    answer = story.same_embedding(made(positives(10, 10, 10), differences=rows, metrics=scores), "test")
    assert answer
    assert answer.label == "C"
    assert answer.title == "What the fitted head gets from the same embedding"
    assert answer.gain == "Gain +0.20 [+0.10, +0.30], Holm's p 0.008."  # the second of three tests: twice its p
    assert (
        answer.sentence == "For C, **Fitted head** has average precision 0.60, **Words** 0.60; random ranking has 0.30."
    )
    assert answer.prevalence == 0.25
    assert answer.doubt == ""


def test_without_a_sure_gain_the_most_frequent_finding_is_shown_and_the_doubt_said() -> None:
    rows = [gain(label, 0.1, -0.1, 0.3, 0.3) for label in "ABC"]
    targets = positives(20, 8, 10)
    answer = story.same_embedding(made(targets, labels=("No Finding", "B", "C"), differences=rows), "test")
    assert answer
    assert (answer.label, answer.gain) == ("C", "")
    assert answer.doubt == "Whether Fitted head gains over Words on any one label: none is sure"
    assert answer.sentence == "This store has no average precision for C."
    answer = story.same_embedding(made(targets), "test")
    assert answer
    assert "this store has no difference" in answer.doubt
    answer = story.same_embedding(made(targets, regimes=(PROMPTS, TRAINED)), "test")
    assert answer
    assert (answer.fitted, answer.title, answer.doubt) == (None, "How well a label is ranked", "")
    assert story.same_embedding(made(positives(1, 2, 40)), "test") is None, "none has positives and negatives enough"


PAIRED = np.array([[1, 1, 0]] * 6 + [[1, 0, 0]] * 4 + [[0, 1, 1]] * 2 + [[0, 0, 0]] * 7 + [[NAN, 1, 0]])


def test_the_pair_that_overlaps_most_is_named_with_what_chance_gives() -> None:
    store = made(PAIRED, scores={"fitted": np.nan_to_num(PAIRED[:, ::-1]) * 2})
    pair = story.label_pair(store, "test", FITTED)
    assert pair
    assert (pair.one, pair.other, pair.confused) == ("A", "B", False)
    assert (pair.n, pair.true) == (19, (4, 6, 2)), "the film with an unknown label counts for nothing"
    assert pair.predicted == (0, 2, 6)
    assert pair.by_chance == pytest.approx(10 * 8 / 19)
    assert "truly overlap most: 6 films, 4.21 by chance" in pair.sentence
    assert pair.evidence.startswith("6 [3, 10] of 19 films"), "Wilson's interval of 6 in 19, 0.154 to 0.540"


def test_a_pair_that_is_surely_confused_goes_before_one_that_overlaps() -> None:
    row = {"space": "fitted-d", "label": "C", "other": "A", "value": 3.0, "ci_low": 2.0, "ci_high": 5.0}
    row |= {"baseline": 1.0, "p": 0.001, "p_adjusted": 0.01, "n_label": 9, "n_other": 9}
    pair = story.label_pair(made(PAIRED, confusability=[row, {**row, "value": 9.0, "n_label": 4}]), "test", FITTED)
    assert pair
    assert (pair.one, pair.other, pair.confused) == ("C", "A", True)
    assert pair.evidence == "3.00 [2.00, 5.00] times · shuffled 1.00"
    for change in ({"p_adjusted": 0.06}, {"ci_low": 0.9}, {"space": "words-d"}):
        other = story.label_pair(made(PAIRED, confusability=[{**row, **change}]), "test", FITTED)
        assert other
        assert not other.confused


def test_there_is_no_pair_of_one_label_nor_of_labels_that_never_meet() -> None:
    assert story.label_pair(made(positives(5), labels=("A",)), "test", FITTED) is None
    assert story.label_pair(made(np.eye(3)), "test", FITTED) is None


# --- the headline and the limits -------------------------------------------------------------------------------------


def test_the_headline_gives_the_highest_mean_and_the_limits_what_is_not_known() -> None:
    scores = [
        ap(regime, label, value) for regime, value in (("words", 0.4), ("trained", 0.7)) for label in (MACRO, "A")
    ]
    store = made(positives(10, 4, 3), metrics=scores)
    answer = story.headline(store, "test")
    assert answer.sentence == "**Trained** has the highest average precision: 0.70, mean over 1 of 1 labels."
    assert [regime.name for regime, _ in answer.means] == ["words", "trained"], "one without a figure is left out"
    assert story.not_concluded(store, "test", answer, "", "A doubt") == [
        "2 of 3 labels: under 5 positives",
        "Whether Trained ranks better than Words: it may be chance",
        "A doubt",
        "How films from elsewhere would fare",
    ]
    pair = {"regime": "trained", "against": "words", "label": MACRO, "metric": "average_precision"}
    surely = made(positives(10, 9, 8), metrics=scores, differences=[{**pair, "ci_low": 0.1, "ci_high": 0.4}])
    assert story.not_concluded(surely, "test", answer) == ["How films from elsewhere would fare"]


def test_a_store_without_figures_says_so() -> None:
    store = made(positives(10, 10, 10))
    answer = story.headline(store, "test")
    assert answer.sentence == "This store has no mean average precision for test."
    assert story.not_concluded(store, "test", answer) == ["How films from elsewhere would fare"]


def test_names_in_sentences_are_text_and_sentences_are_short() -> None:
    rows = [lift(label, space, 4, 3, 5) for label in HOSTILE for space in "et"]
    scores = [ap(regime, label, 0.6) for regime in ("words", "fitted") for label in (*HOSTILE, MACRO)]
    tables = {"separability": rows, "metrics": scores, "differences": [gain(HOSTILE[0], 0.2, 0.1, 0.3, 0.001)]}
    store = made(PAIRED, labels=HOSTILE, bare=np.ones_like(PAIRED), **tables)
    apart, same = story.pulled_apart(store, "test"), story.same_embedding(store, "test")
    pair, labels = story.label_pair(store, "test", FITTED), story.predicted_labels(store, "test")
    assert same
    assert pair
    assert labels.film
    sentences = [answer.sentence for answer in apart.spaces]
    sentences += [story.headline(store, "test").sentence, labels.sentence, labels.film.sentence, same.sentence]
    for sentence in (*sentences, *re.split(r"(?<=\w)\. ", pair.sentence), apart.doubt, same.doubt):
        assert not re.search(r"(?<!\\)[\[<`]|(?<!\\)\*\*bold", sentence), sentence
        for name, short in zip(HOSTILE, "ABC", strict=True):
            sentence = sentence.replace(story.in_markdown(name), short)
        assert len(sentence.split()) <= 25, sentence
