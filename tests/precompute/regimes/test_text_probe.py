"""The text-informed probe is zero-shot without positives, the probe with many, and between them in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from explorer.model.head import Head
from precompute.regimes.text_probe import fit_text_probe, log_odds_scale
from precompute.training.data import TrainingData
from precompute.training.probe import fit_probe

N, D = 900, 24
TRAIN, VAL, TEST = np.arange(500), np.arange(500, 700), np.arange(700, 900)
PENALTIES = (0.001, 0.01, 0.1, 1.0)


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Head]:
    """Unit vectors, two rare labels that follow a direction each, and a text head that roughly knows the directions."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(N, D)) + 3 * np.eye(D)[0]
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    directions = rng.normal(size=(2, D))
    directions[:, 0] = 0
    along = embeddings @ directions.T
    chance = 1 / (1 + np.exp(2 - 3 * (along - along.mean(0)) / along.std(0)))
    targets = (rng.random((N, 2)) < chance).astype(np.float32)
    text = directions + rng.normal(size=directions.shape) * [[0.0], [1.0]]
    return embeddings, targets, Head((40 * text).astype(np.float32), np.zeros(2, np.float32))


def only(targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Targets with every other training film unknown."""
    few = targets.copy()
    few[np.setdiff1d(TRAIN, rows)] = np.nan
    return few


@given(seed=st.integers(0, 50), unknown=st.floats(0, 1), negative=st.booleans())
def test_without_both_classes_it_is_zero_shot_bit_for_bit(seed: int, unknown: float, negative: bool) -> None:
    embeddings, targets, text = planted(seed)
    one_class = np.where(np.random.default_rng(seed).random((500, 2)) < unknown, np.nan, float(not negative))
    targets[TRAIN] = one_class
    head, record = fit_text_probe(TrainingData(embeddings, targets, TRAIN, VAL), text, PENALTIES)
    np.testing.assert_array_equal(head.weight, text.weight)
    np.testing.assert_array_equal(head.bias, text.bias)
    assert record["scale"] > 0


def test_a_label_without_positives_keeps_its_head_beside_one_that_moves() -> None:
    embeddings, targets, text = planted()
    targets[TRAIN, 1] = 0
    head, _ = fit_text_probe(TrainingData(embeddings, targets, TRAIN, VAL), text, PENALTIES)
    np.testing.assert_array_equal(head.weight[1], text.weight[1])
    assert not np.allclose(head.weight[0], text.weight[0])


def test_the_strongest_penalty_ranks_as_the_text_does() -> None:
    embeddings, targets, text = planted()
    head, record = fit_text_probe(TrainingData(embeddings, targets, TRAIN, VAL), text, (1e-9,))
    np.testing.assert_allclose(head.weight, record["scale"] * text.weight, rtol=1e-4)


def test_a_text_that_says_nothing_leaves_the_probe() -> None:
    embeddings, targets, _ = planted()
    data = TrainingData(embeddings, targets, TRAIN, VAL)
    nothing = Head(np.zeros((2, D), np.float32), np.zeros(2, np.float32))
    head, record = fit_text_probe(data, nothing, PENALTIES)
    probe, chosen, _ = fit_probe(data, np.arange(N), PENALTIES, ("plain",), lambda done, total: None)
    np.testing.assert_array_equal(head.weight, probe.weight)
    np.testing.assert_array_equal(head.bias, probe.bias)
    assert (record["C"], record["val_loss"]) == (chosen.C, chosen.val_loss)


def test_few_positives_gain_more_with_the_text_and_many_are_no_worse() -> None:
    gains = []
    for positives in (2, 60):
        pairs = []
        for seed in range(5):
            embeddings, targets, text = planted(seed)
            rows = [np.flatnonzero(targets[TRAIN, c] == 1)[:positives] for c in range(2)]
            few = only(targets, np.concatenate([*rows, np.flatnonzero((targets[TRAIN] == 0).all(1))[: 5 * positives]]))
            data = TrainingData(embeddings, few, TRAIN, VAL)
            informed, _ = fit_text_probe(data, text, PENALTIES)
            probe, _, _ = fit_probe(data, np.arange(N), PENALTIES, ("plain",), lambda done, total: None)
            scores = [head.logits(embeddings[TEST])[:, 1] for head in (informed, probe)]
            pairs.append([average_precision_score(targets[TEST, 1], one) for one in scores])
        gains.append(np.diff(np.array(pairs)[:, ::-1], axis=1).mean())
    assert gains[0] > 0.1, "the text carries two positives"
    assert gains[1] > -0.02


def test_only_validation_chooses_and_test_is_never_read() -> None:
    embeddings, targets, text = planted()
    hidden = targets.copy()
    hidden[TEST] = np.nan
    one, two = (fit_text_probe(TrainingData(embeddings, t, TRAIN, VAL), text, PENALTIES) for t in (targets, hidden))
    np.testing.assert_array_equal(one[0].weight, two[0].weight)
    losses = {point["C"]: point["val_loss"] for point in one[1]["tried"]}
    assert one[1]["C"] == min(losses, key=losses.__getitem__)


def test_the_factor_is_the_slope_of_a_logistic_regression() -> None:
    _, targets, _ = planted()
    rng = np.random.default_rng(3)
    logits = (4 * targets[:, :1] + rng.normal(size=(N, 1)) * 5).astype(np.float32)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logits, targets[:, 0])
    assert log_odds_scale(logits, targets[:, :1]) == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert log_odds_scale(-logits, targets[:, :1]) == 0, "a text that ranks the wrong way round has no part"
    assert log_odds_scale(logits, np.zeros((N, 1), np.float32)) == 1
