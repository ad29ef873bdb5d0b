"""Draws are nested and hold the positives they promise; figures are scikit-learn's, means over draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from explorer.analysis.few_shot import ALL_SHOTS, MACRO, few_shot_frame, nested_draws, patients_with

N = 240


def films(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """240 films of 160 patients, three labels of falling frequency, some unknown."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((N, 3)) < [0.4, 0.15, 0.05]).astype(np.float32)
    targets[rng.random((N, 3)) < 0.1] = np.nan
    return targets, rng.integers(0, 160, N)


@given(seed=st.integers(0, 1000), shots=st.sets(st.integers(1, 30), min_size=1, max_size=5))
def test_draws_are_nested_and_hold_what_they_promise(seed: int, shots: set[int]) -> None:
    targets, patients = films(seed)
    numbers = sorted(shots)
    drawn = nested_draws(targets, patients, numbers, seed)
    before: set[int] = set()
    for k in numbers:
        rows = drawn[k]
        assert before <= set(rows.tolist())
        before = set(rows.tolist())
        assert set(np.flatnonzero(np.isin(patients, patients[rows]))) == before, "patients come whole"
        for state in (0, 1):
            has = np.where(targets == state, 1, 0)
            there, all_there = patients_with(has[rows], patients[rows]), patients_with(has, patients)
            assert (there >= np.minimum(k, all_there)).all()
    again = nested_draws(targets, patients, numbers, seed)
    assert all(np.array_equal(again[k], drawn[k]) for k in numbers)


def test_a_draw_takes_no_more_patients_than_it_needs() -> None:
    targets = np.repeat(np.eye(2, dtype=np.float32), 50, axis=0)  # each patient has one of two labels
    drawn = nested_draws(targets, np.arange(100), [1, 3], seed=1)
    assert [len(drawn[k]) for k in (1, 3)] == [2, 6]
    assert not np.array_equal(drawn[3], nested_draws(targets, np.arange(100), [1, 3], seed=2)[3])


def scored(seed: int, strength: float) -> np.ndarray:
    targets, _ = films(0)
    rng = np.random.default_rng(seed)
    return (np.nan_to_num(targets) * strength + rng.normal(size=targets.shape)).astype(np.float32)


def test_figures_are_scikit_learns_means_over_draws() -> None:
    targets, patients = films(0)
    by_shots = {2: [scored(1, 0.5), scored(2, 0.5)], ALL_SHOTS: [scored(3, 2.0)]}
    enough = {2: np.array([True, True, False]), ALL_SHOTS: np.ones(3, bool)}
    reference = scored(4, 0.2)
    frame = few_shot_frame(
        ["A", "B", "C"], targets, patients, by_shots, enough, enough[2], reference, resamples=200, seed=0
    )
    assert set(frame.loc[frame["shots"] == 2, "label"]) == {"A", "B", MACRO}, "train has too few of C"
    for c, label in enumerate("AB"):
        known = ~np.isnan(targets[:, c])
        for metric, oracle in (("average_precision", average_precision_score), ("auroc", roc_auc_score)):
            values = [oracle(targets[known, c], draw[known, c]) for draw in by_shots[2]]
            base = oracle(targets[known, c], reference[known, c])
            row = frame[(frame["shots"] == 2) & (frame["label"] == label) & (frame["metric"] == metric)].iloc[0]
            assert row["value"] == pytest.approx(np.mean(values))
            assert row["difference"] == pytest.approx(np.mean(values) - base)
            assert row["ci_low"] < row["value"] < row["ci_high"]
            assert (row["n_pos"], row["n_draws"]) == ((targets[:, c] == 1).sum(), 2)
    of_macro = frame[(frame["label"] == MACRO) & (frame["metric"] == "average_precision")].set_index("shots")["value"]
    aps = frame[(frame["metric"] == "average_precision") & frame["label"].isin(["A", "B"])]
    for shots in (2, ALL_SHOTS):
        assert of_macro[shots] == pytest.approx(aps.loc[aps["shots"] == shots, "value"].mean()), "the same labels"


def test_draws_that_differ_widen_the_interval_and_a_head_against_itself_gains_nothing() -> None:
    targets, patients = films(0)
    enough = {2: np.ones(3, bool)}

    def width(draws: list[np.ndarray]) -> float:
        frame = few_shot_frame(
            ["A", "B", "C"], targets, patients, {2: draws}, enough, enough[2], None, resamples=300, seed=0
        )
        row = frame[(frame["label"] == "A") & (frame["metric"] == "average_precision")].iloc[0]
        assert np.isnan(row["difference"])
        return float(row["ci_high"] - row["ci_low"])

    assert width([scored(1, 0.0), scored(2, 4.0)]) > 1.5 * width([scored(1, 1.0), scored(1, 1.0)])
    by_shots, itself = {2: [scored(1, 1.0)] * 2}, scored(1, 1.0)
    same = few_shot_frame(["A", "B", "C"], targets, patients, by_shots, enough, enough[2], itself, resamples=50, seed=0)
    assert (same["difference"] == 0).all()
    assert not (same["p"] < 0.05).any()
