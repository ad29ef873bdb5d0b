"""Figures of groups, and gaps between them, against scikit-learn, by hand, and on planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, stdtrit
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import groups_of
from explorer.analysis.subgroups import (
    EXCESS,
    FEWEST,
    GAP_COLUMNS,
    GAP_METRICS,
    GROUP_COLUMNS,
    Attribute,
    Scores,
    attributes,
    measure,
)


def scores(logits: NDArray[np.float64], threshold: float = 0.0) -> Scores:
    logits = logits.astype(np.float32)
    return Scores(logits, np.full(logits.shape[1], threshold, np.float32), expit(logits).astype(np.float32))


def a_set(seed: int, n: int = 600, noise: float = 0.0) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Targets and logits (n, 2) of patients with one to three films; group 1's scores are noisier by ``noise``."""
    rng = np.random.default_rng(seed)
    patients = np.sort(rng.integers(0, n // 2, n))
    group = rng.integers(0, 2, n // 2)[patients]
    targets = (rng.random((n, 2)) < (0.3, 0.15)).astype(np.float32)
    logits = targets * 2 - 1 + rng.normal(size=(n, 2)) + noise * group[:, None] * rng.normal(size=(n, 2))
    return targets, logits, patients, group


def test_a_group_s_figures_are_those_of_its_films() -> None:
    targets, logits, patients, group = a_set(0)
    targets[:7, 1] = np.nan
    way = Attribute("sex", ("F", "M"), group)
    groups, gaps = measure(["a", "b"], targets, {"one": scores(logits)}, patients, [way])
    assert set(groups.columns) == {*GROUP_COLUMNS} - {"split"}
    assert set(gaps.columns) == {*GAP_COLUMNS} - {"split"}
    by_key = groups.set_index(["group", "label", "metric"])["value"]
    for code, title in enumerate(way.groups):
        for c, label in enumerate("ab"):
            rows = (group == code) & ~np.isnan(targets[:, c])
            truth, logit = targets[rows, c], logits[rows, c].astype(np.float32)
            expected = {
                "average_precision": average_precision_score(truth, logit),
                "auroc": roc_auc_score(truth, logit),
                "recall": recall_score(truth, logit >= 0),
                "specificity": recall_score(1 - truth, logit < 0),
                EXCESS: expit(logit).mean() - truth.mean(),
            }
            for metric, value in expected.items():
                assert by_key[title, label, metric] == pytest.approx(value, abs=1e-6)
    held = "F" if (group == 0).sum() < (group == 1).sum() else "M"
    assert set(gaps["group"]) == {held}
    for row in gaps.itertuples():
        other = "M" if held == "F" else "F"
        assert row.gap == pytest.approx(by_key[held, row.label, row.metric] - by_key[other, row.label, row.metric])


def test_a_gap_s_interval_is_the_jackknife_s_by_hand() -> None:
    targets, logits, patients, group = a_set(1, n=240)
    way = Attribute("sex", ("F", "M"), group)
    _, gaps = measure(["a", "b"], targets, {"one": scores(logits)}, patients, [way])
    row = gaps[(gaps["label"] == "a") & (gaps["metric"] == "specificity")].iloc[0]
    held = way.groups.index(row["group"])

    def gap(kept: NDArray[np.bool_]) -> float:
        negative = (targets[:, 0] == 0) & kept
        right = logits[:, 0] < 0
        return float(right[negative & (group == held)].mean() - right[negative & (group != held)].mean())

    everyone = np.ones(len(group), bool)
    without = [gap(patients != patient) for patient in np.unique(patients)]
    n = len(without)
    assert groups_of(patients).shape[1] == n
    bias = (n - 1) * (np.mean(without) - gap(everyone))
    people = [
        min(len(np.unique(patients[(targets[:, 0] == value) & (group == code)])) for code in (0, 1)) for value in (0, 1)
    ]
    reach = stdtrit(min(people) - 1, 0.975) * np.sqrt((n - 1) * np.var(without))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        (gap(everyone) - bias - reach, gap(everyone) - bias + reach)
    )
    assert (row["patients_pos"], row["patients_neg"]) == (people[1], people[0])


def test_a_change_of_a_gap_is_paired_and_the_first_regime_has_none() -> None:
    targets, logits, patients, group = a_set(2)
    way = Attribute("sex", ("F", "M"), group)
    regimes = {"first": scores(logits), "same": scores(logits), "other": scores(logits[::-1])}
    _, gaps = measure(["a", "b"], targets, regimes, patients, [way])
    by_regime = {name: part.set_index(["label", "metric"]) for name, part in gaps.groupby("regime")}
    assert by_regime["first"]["change"].isna().all()
    assert (by_regime["same"]["change"] == 0).all()
    assert by_regime["same"]["change_p"].isna().all()  # nothing differs, whoever is left out
    change = by_regime["other"]["gap"] - by_regime["first"]["gap"]
    np.testing.assert_allclose(by_regime["other"]["change"], change)


def test_few_patients_say_nothing_and_small_groups_are_none() -> None:
    targets, logits, patients, group = a_set(3)
    targets[:, 1] = 0
    few = np.flatnonzero(group == 1)[: ENOUGH - 1]
    targets[few, 1] = targets[np.flatnonzero(group == 0)[:50], 1] = 1
    small = np.full(len(group), -1)
    small[: FEWEST - 1] = 1
    small[FEWEST:] = 0
    ways = [Attribute("sex", ("F", "M"), group), Attribute("view", ("AP", "PA"), small)]
    _, gaps = measure(["a", "b"], targets, {"one": scores(logits)}, patients, ways)
    assert set(gaps["attribute"]) == {"sex"}
    told = gaps[gaps["label"] == "b"].set_index("metric")["gap"].notna()
    assert told.to_dict() == {"auroc": False, "recall": False, "specificity": True, EXCESS: False}


@pytest.mark.parametrize("groups", [2, 3])
def test_noisier_films_of_one_group_are_found_and_nothing_planted_is_not(groups: int) -> None:
    found, false = 0, 0
    for seed in range(20):
        for noise in (2.0, 0.0):
            targets, logits, patients, group = a_set(seed, noise=noise)
            if groups == 3:
                group = np.where(group == 0, np.random.default_rng(seed).integers(0, 2, len(group)) * 2, group)
            way = Attribute("sex", tuple("FMX"[:groups]), group)
            _, gaps = measure(["a", "b"], targets, {"one": scores(logits)}, patients, [way])
            sure = gaps[(gaps["p_adjusted"] < 0.05) & (gaps["metric"] == "auroc")]
            if noise:
                found += len(sure) > 0
                assert ((sure["gap"] < 0) == (sure["group"] == "M")).all(), "the noisier films are those ranked worse"
            else:
                false += bool(len(sure))
    assert found >= 18
    assert false <= 3  # 5% of 20, and chance


def test_the_ways_to_part_a_set_are_those_that_it_knows() -> None:
    samples = pd.DataFrame(
        {
            "sex": ["F", "M", "", "M"],
            "age": [39.0, 40.0, 64.0, np.nan],
            "view": ["PA"] * 4,
            "study_id": ["s1", "s1", "s2", ""],
            "report": ["one two three", "", "one", "one"],
        }
    )
    ways = {way.name: way for way in attributes(samples, np.float32([1, 0, np.nan, 0]), np.float32([1, 99, 90, 89]))}
    assert {name: way.codes.tolist() for name, way in ways.items()} == {
        "sex": [0, 1, -1, 1],
        "age": [0, 1, 1, -1],
        "films of the study": [1, 1, 0, -1],
        "outlying": [0, 1, 1, 0],
        "report": [1, -1, 0, 0],
        "device": [1, 0, -1, 0],
    }
    assert ways["age"].groups == ("under 40", "40 to 64", "65 or more")
    others = attributes(samples, None, np.zeros(4, np.float32), age_cuts=(40, 41))
    (age,) = (way for way in others if way.name == "age")
    assert age.groups == ("under 40", "40", "41 or more")
    assert age.codes.tolist() == [0, 1, 2, -1]
    assert GAP_METRICS[0] == "auroc"
