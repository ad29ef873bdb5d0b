"""The linear probe finds what was planted, and only there."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from explorer.analysis.metrics import Scored
from explorer.model.head import Head
from precompute.settings import LossName
from precompute.training.data import TrainingData
from precompute.training.probe import Tried, _plainest, macro_ap
from precompute.training.probe import fit_probe as fit

N, D = 900, 24
TRAIN, VAL, TEST = np.arange(500), np.arange(500, 700), np.arange(700, 900)
PENALTIES = (0.001, 0.01, 0.1, 1.0)


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors off centre, as CLIP's are, and two labels that follow a direction each; the directions."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(N, D)) + 3 * np.eye(D)[0]
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    directions = rng.normal(size=(2, D))
    directions[:, 0] = 0
    along = embeddings @ directions.T
    chance = 1 / (1 + np.exp(-6 * (along - along.mean(0)) / along.std(0)))
    return embeddings, (rng.random((N, 2)) < chance).astype(np.float32), directions


def fit_probe(
    embeddings: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    val: np.ndarray,
    penalties: tuple[float, ...],
    report: Callable[[int, int], None],
    losses: tuple[LossName, ...] = ("plain",),
) -> tuple[Head, list[Tried]]:
    data = TrainingData(embeddings, targets, train, val)
    head, _, tried = fit(data, np.arange(len(targets)), penalties, losses, report)
    return head, tried


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def test_a_planted_direction_is_found() -> None:
    embeddings, targets, directions = planted()
    head, tried = fit_probe(embeddings, targets, TRAIN, VAL, PENALTIES, quiet)
    assert head.weight.shape == (2, D)
    assert head.weight.dtype == head.bias.dtype == np.float32
    for c in range(2):
        weight = head.weight[c, 1:]
        cosine = weight @ directions[c, 1:] / np.linalg.norm(weight) / np.linalg.norm(directions[c, 1:])
        assert cosine > 0.9
        assert roc_auc_score(targets[TEST, c], head.logits(embeddings[TEST])[:, c]) > 0.95
    assert [point.C for point in tried] == list(PENALTIES)[: len(tried)]


def test_the_head_reads_the_embedding_itself_and_the_losses_are_right() -> None:
    embeddings, targets, _ = planted()
    targets[::7, 0] = np.nan
    head, tried = fit_probe(embeddings, targets, TRAIN, VAL, PENALTIES, quiet)
    chance = 1 / (1 + np.exp(-head.logits(embeddings[VAL]).astype(np.float64)))
    y = targets[VAL]
    nats = -np.where(y == 1, np.log(chance), np.log(1 - chance))[~np.isnan(y)].mean()
    assert min(point.val_loss for point in tried) == pytest.approx(nats, rel=1e-3)


def test_unknown_and_held_out_rows_have_no_say() -> None:
    embeddings, targets, _ = planted()
    targets[TRAIN[:100], 0] = np.nan
    head, _ = fit_probe(embeddings, targets, TRAIN, VAL, (0.1,), quiet)
    changed = embeddings.copy()
    other = targets.copy()
    changed[TEST], other[TEST] = -changed[TEST], 1 - other[TEST]
    again, _ = fit_probe(changed, other, TRAIN, VAL, (0.1,), quiet)
    np.testing.assert_array_equal(head.weight, again.weight)
    # as unknown they say nothing; as negatives they would
    negative = targets.copy()
    negative[TRAIN[:100], 0] = 0
    counted, _ = fit_probe(embeddings, negative, TRAIN, VAL, (0.1,), quiet)
    assert np.abs(head.weight[0] - counted.weight[0]).max() > 0.01
    np.testing.assert_allclose(head.weight[1], counted.weight[1], atol=1e-3)  # labels are fitted side by side


@pytest.mark.parametrize("known", [[0.0] * 8, [1.0] * 8, []])
def test_one_class_gives_a_constant_logit(known: list[float]) -> None:
    embeddings, targets, _ = planted()
    targets[:, 0] = np.nan
    targets[TRAIN[: len(known)], 0] = known
    head, _ = fit_probe(embeddings, targets, TRAIN, VAL, PENALTIES, quiet)
    logits = head.logits(embeddings)[:, 0]
    positive = sum(known)
    rate = np.log((positive + 1) / (len(known) - positive + 1))  # Laplace's rule
    np.testing.assert_allclose(logits, rate, atol=1e-6)
    assert (head.weight[0] == 0).all()


def test_hard_features_fit_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(300, 200)).astype(np.float32)
    embeddings[:, 1:60] = embeddings[:, :1] + 1e-4 * embeddings[:, 1:60]  # nearly the same feature, over and over
    embeddings[:, 100] = 0.25  # no spread at all
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    targets = (embeddings[:, [0, 70]] > 0).astype(np.float32)  # separable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head, _ = fit_probe(embeddings, targets, np.arange(200), np.arange(200, 300), (0.001, 1.0, 100.0), quiet)
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()


def test_nothing_known_in_validation_is_no_nan() -> None:
    embeddings, targets, _ = planted()
    targets[VAL] = np.nan
    head, tried = fit_probe(embeddings, targets, TRAIN, VAL, PENALTIES, quiet)
    assert np.isfinite([point.val_loss for point in tried]).all()
    assert np.isfinite(head.weight).all()


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_plain_is_scikit_learns_logistic_regression_and_weighted_its_balanced_one(penalty: float) -> None:
    embeddings, targets, _ = planted()
    targets[::5, 1] = np.nan
    targets[targets[:, 0] == 1, 0] = np.arange((targets[:, 0] == 1).sum()) % 4 == 0  # rarer
    mean, spread = embeddings[TRAIN].mean(axis=0), embeddings[TRAIN].std(axis=0) + 1e-6
    features = (embeddings[TRAIN] - mean) / spread
    for name in ("plain", "weighted"):
        head, _ = fit_probe(embeddings, targets, TRAIN, VAL, (penalty,), quiet, (name,))
        for c in range(2):
            y = targets[TRAIN, c]
            known = ~np.isnan(y)
            ratio = (y == 0).sum() / (y == 1).sum()
            weights = np.where(y[known] == 1, ratio if name == "weighted" else 1, 1)
            oracle = LogisticRegression(C=penalty, max_iter=5000, tol=1e-8)
            oracle.fit(features[known].astype(np.float64), y[known], sample_weight=weights)
            expected = oracle.decision_function(((embeddings - mean) / spread).astype(np.float64))
            np.testing.assert_allclose(head.logits(embeddings)[:, c], expected, atol=0.02)


def test_every_loss_is_judged_at_its_own_penalty_and_the_head_is_the_chosen_one() -> None:
    embeddings, targets, _ = planted()
    losses = ("plain", "weighted", "focal", "asymmetric")
    data = TrainingData(embeddings, targets, TRAIN, VAL)
    head, chosen, tried = fit(data, np.arange(N), PENALTIES, losses, quiet)
    own = {name: min((p for p in tried if p.loss == name), key=lambda p: p.val_loss) for name in losses}
    assert chosen == own[chosen.loss]
    assert chosen.val_macro_ap == pytest.approx(macro_ap(targets[VAL], head.logits(embeddings[VAL])), abs=1e-6)
    for name in losses:  # each path ends one step after its best
        path = [p.val_loss for p in tried if p.loss == name]
        assert path[:-1] == sorted(path[:-1], reverse=True)


def test_the_plainest_loss_that_validation_cannot_tell_from_the_best_is_taken() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.2).astype(np.float32)
    good = (targets + rng.normal(0, 0.6, targets.shape)).astype(np.float32)
    alike = (good + rng.normal(0, 0.05, targets.shape)).astype(np.float32)
    noise = rng.normal(size=targets.shape).astype(np.float32)

    def taken(**scores: np.ndarray) -> LossName:
        points = [Tried(name, 1.0, 0.0, macro_ap(targets, logits)) for name, logits in scores.items()]  # type: ignore[arg-type]
        nowhere = np.full(3, np.nan, np.float32)
        scored = {name: Scored(logits, nowhere) for name, logits in scores.items()}
        return _plainest(points, scored, targets, np.arange(200))

    assert taken(plain=noise, weighted=good, focal=alike) == "weighted"
    assert taken(plain=good, weighted=alike) == taken(plain=alike, weighted=good) == "plain"


def test_macro_ap_masks_what_is_unknown() -> None:
    targets = np.float32([[1, 0, np.nan], [0, 0, 1], [np.nan, 0, 0], [1, 0, 1]])
    scores = np.float32([[0.9, 1, 9], [0.95, 2, 1], [5, 3, 2], [0.1, 4, 0]])
    expected = (
        average_precision_score([1, 0, 1], [0.9, 0.95, 0.1]) + average_precision_score([1, 0, 1], [1, 2, 0])
    ) / 2
    assert macro_ap(targets, scores) == pytest.approx(expected)
    assert macro_ap(np.zeros((3, 2), np.float32), scores[:3, :2]) == 0
