"""Operating points: the best F1 there is, from validation alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score

from explorer.analysis.thresholds import Thresholds, choose, choose_max_f1

finite = st.floats(-50, 50, width=32)


@given(
    arrays.arrays(np.float32, 12, elements=st.sampled_from([0.0, 1.0, np.nan])),
    arrays.arrays(np.float32, 12, elements=st.one_of(finite, st.sampled_from([0.0, 1.0, 2.0]))),
)
def test_no_threshold_does_better_and_the_stored_one_does_as_it_says(targets: np.ndarray, logits: np.ndarray) -> None:
    assume((targets == 1).any() and (targets == 0).any())
    chosen = choose_max_f1(["a"], targets[:, None], logits[:, None])
    known = ~np.isnan(targets)
    y, x = targets[known], logits[known]
    best = max(f1_score(y, x >= cut) for cut in x)
    cut = chosen.values(["a"])[0]  # float32, as every reader applies it
    assert chosen.labels["a"].score == pytest.approx(best)
    assert f1_score(y, x >= cut) == pytest.approx(best)
    assert (chosen.split, chosen.rule) == ("val", "max F1")
    assert (chosen.labels["a"].n_pos, chosen.labels["a"].n_neg) == ((y == 1).sum(), (y == 0).sum())


def test_neighbouring_floats_stay_on_their_sides() -> None:
    for low in np.float32([1.0, np.nextafter(np.float32(1), np.float32(2)), 3e-40]):
        high = np.nextafter(low, np.float32(np.inf))
        cut = choose_max_f1(["a"], np.float32([[1], [0]]), np.array([[high], [low]])).values(["a"])[0]
        assert high >= cut > low


def test_a_threshold_lies_between_the_films_it_parts() -> None:
    chosen = choose_max_f1(["a"], np.float32([[1], [1], [0]]), np.float32([[5], [3], [1]]))
    assert chosen.labels["a"].value == 2.0
    everything = choose_max_f1(["a"], np.float32([[0], [1]]), np.float32([[5], [3]]))
    assert everything.labels["a"].value == 3.0  # the best is to call both: there is no film below


@pytest.mark.parametrize("column", [[0, 0, np.nan], [1, 1, np.nan], [np.nan] * 3])
def test_one_class_gives_none_and_travels_as_nan(column: list[float]) -> None:
    targets = np.stack([np.float32(column), np.float32([1, 0, 1])], axis=1)
    chosen = choose_max_f1(["rare", "usual"], targets, np.float32([[3, 3], [2, 2], [1, 1]]))
    assert chosen.labels["rare"].value is None
    read = Thresholds.model_validate_json(chosen.model_dump_json())
    assert read == chosen
    values = read.values(["usual", "rare"])
    assert values.dtype == np.float32
    assert np.isfinite(values[0])
    assert np.isnan(values[1])


# --- other rules -----------------------------------------------------------------------------------------------------


@given(
    arrays.arrays(np.float32, 12, elements=st.sampled_from([0.0, 1.0, np.nan])),
    arrays.arrays(np.float32, 12, elements=st.sampled_from([-1.0, 0.0, 1.0, 2.0, 5.0])),
)
def test_every_rule_finds_its_best(targets: np.ndarray, logits: np.ndarray) -> None:
    assume((targets == 1).any() and (targets == 0).any())
    known = ~np.isnan(targets)
    y, x = targets[known], logits[known]

    def chosen(rule: str, level: float = np.nan) -> tuple[float | None, float | None]:
        thresholds = choose(["a"], targets[:, None], logits[:, None], rule, level)
        return thresholds.values(["a"])[0], thresholds.labels["a"].score

    cuts = np.unique(x)
    for rule, measure in (
        ("mcc", matthews_corrcoef),
        ("youden", lambda y, c: recall_score(y, c) + recall_score(1 - y, ~c) - 1),
    ):
        cut, merit = chosen(rule)
        assert merit == pytest.approx(max(measure(y, x >= c) for c in cuts))
        assert measure(y, x >= cut) == pytest.approx(merit)
    cut, _ = chosen("recall", 0.8)
    assert recall_score(y, x >= cut) >= 0.8
    higher = cuts[cuts > cut]
    if len(higher[1:]):
        assert all(recall_score(y, x >= c) < 0.8 for c in higher[1:]), "no threshold that calls fewer reaches it"
    cut, merit = chosen("precision", 0.8)
    reached = [c for c in cuts if precision_score(y, x >= c) >= 0.8]
    assert (merit is None) == (not reached)
    if reached:
        assert precision_score(y, x >= cut) >= 0.8
        assert (x >= cut).sum() == max((x >= c).sum() for c in reached), "and none that calls more keeps it"


def test_one_threshold_for_all_labels_is_chosen_on_their_pairs() -> None:
    targets, logits = np.float32([[1, 0], [0, 1]]), np.float32([[5, 1], [2, 4]])
    thresholds = choose(["a", "b"], targets, logits, pooled=True)
    assert thresholds.values(["a", "b"]).tolist() == [3, 3]
    assert (thresholds.labels["a"].n_pos, thresholds.labels["a"].n_neg) == (2, 2)
    assert choose(["a"], targets[:, :1], logits[:, :1], "recall", 0.9).rule == "recall at least 0.9"
