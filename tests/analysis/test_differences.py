"""Differences between regimes: paired, allowed for in number, and checked by DeLong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from explorer.analysis.differences import DIFFERENCE_COLUMNS, delong, differences, holm
from explorer.analysis.metrics import MACRO, MACRO_ALL, Scored, estimate
from explorer.analysis.pooled import MICRO

LABELS = ("Enlarged Cardiomediastinum", "Cardiomegaly", "Fracture")


def two_regimes(n: int = 300, better: float = 1.5, seed: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 3)) < [0.1, 0.3, 0.2]).astype(np.float32)
    noise = rng.normal(size=(n, 3))
    cuts = np.zeros(3, np.float32)
    regimes = {
        "one": Scored((targets + noise).astype(np.float32), cuts),
        "two": Scored((better * targets + 0.8 * noise + 0.2 * rng.normal(size=(n, 3))).astype(np.float32), cuts),
    }
    return {"labels": LABELS, "targets": targets, "regimes": regimes, "patients": rng.integers(0, n, n)}


def compared(given: dict[str, object]) -> object:
    return differences(**given, estimates=estimate(**given))


def test_a_difference_is_the_later_regimes_gain() -> None:
    given = two_regimes()
    frame = compared(given)
    assert set(frame.columns) == set(DIFFERENCE_COLUMNS) - {"split"}
    assert set(frame["label"]) == {*LABELS, "Cardiovascular", "Skeletal", MICRO, MACRO, MACRO_ALL}
    one, two = (given["regimes"][name].logits for name in ("one", "two"))
    found = frame.set_index(["label", "metric"])["difference"]
    for c, label in enumerate(LABELS):
        y = given["targets"][:, c]
        for metric, measure in (("average_precision", average_precision_score), ("auroc", roc_auc_score)):
            assert found[label, metric] == pytest.approx(measure(y, two[:, c]) - measure(y, one[:, c]))
    micro = [average_precision_score(given["targets"].ravel(), scores.ravel()) for scores in (one, two)]
    assert found[MICRO, "average_precision"] == pytest.approx(micro[1] - micro[0])


def test_pairing_makes_the_interval_narrower_than_the_regimes_own() -> None:
    given = two_regimes(better=1.2)
    frame = compared(given)
    alone = np.mean([figures.error[:3, 0] for figures in estimate(**given).values()])
    mine = frame[(frame["metric"] == "average_precision") & frame["label"].isin(LABELS)]
    assert ((mine["ci_high"] - mine["ci_low"]) / 3.92).mean() < alone


def test_interval_and_p_say_the_same() -> None:
    for seed in range(5):
        frame = compared(two_regimes(120, 1.2, seed))
        apart = (frame["ci_low"] > 0) | (frame["ci_high"] < 0)
        assert ((frame["p"] < 0.05) == apart).all()


def test_a_regime_against_itself_differs_in_nothing() -> None:
    given = two_regimes()
    given["regimes"] = {"one": given["regimes"]["one"], "same": given["regimes"]["one"]}
    frame = compared(given)
    assert (frame["difference"] == 0).all()
    assert frame[["ci_low", "ci_high", "p", "p_delong"]].isna().all(axis=None), "no spread, no interval"


def test_delong_agrees_with_the_jackknife() -> None:
    frame = compared(two_regimes(500))
    mine = frame[(frame["metric"] == "auroc") & frame["label"].isin(LABELS)]
    assert mine["p_delong"].to_numpy() == pytest.approx(mine["p"].to_numpy(), abs=0.02)


def by_definition(y: np.ndarray, scores: np.ndarray) -> float:
    """DeLong's p from its definition, pair by pair."""
    from scipy.stats import norm

    wins = []
    for row in scores:
        gap = row[y == 1][:, None] - row[y == 0][None]
        wins.append((gap > 0) + 0.5 * (gap == 0))
    of_positives, of_negatives = (np.stack([w.mean(axis=axis) for w in wins]) for axis in (1, 0))
    s = np.cov(of_positives) / of_positives.shape[1] + np.cov(of_negatives) / of_negatives.shape[1]
    difference = wins[1].mean() - wins[0].mean()
    return float(2 * norm.sf(abs(difference) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])))


@given(st.integers(0, 2**31))
def test_delong_is_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [7, 12]).astype(np.float32)
    scores = rng.integers(0, 6, (2, 19)) + y
    auroc, p = delong(np.append(y, np.nan), np.append(scores, [[9], [-9]], axis=1), np.arange(20))
    assert auroc == pytest.approx([roc_auc_score(y, row) for row in scores])
    if np.isfinite(p):
        assert p == pytest.approx(by_definition(y, scores))


def test_delong_counts_patients_not_films() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(200) < 0.3).astype(np.float32)
    scores = rng.normal(size=(2, 200)) + y * [[0.4], [0.9]]
    _, p = delong(y, scores, np.arange(200))
    copied = (np.tile(y, 3), np.tile(scores, 3))
    assert delong(*copied, np.tile(np.arange(200), 3))[1] == pytest.approx(p, rel=0.05), "copies of a film add nothing"
    assert delong(*copied, np.arange(600))[1] < p / 5


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.02, 0.03, 0.04])) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()


@given(arrays.arrays(float, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_only_ever_raises_and_keeps_the_order(p: np.ndarray) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert (adjusted <= p * len(p) + 1e-12).all(), "never more than Bonferroni"
