"""The probe of all labels at once, beside scikit-learn's logistic regressions label by label, to the same optimum.

scikit-learn has two of the four losses: plain, and weighted by class. Both sides fit those, at the penalties that ours
follows before validation gets worse. A further figure is ours with all four.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks import Measurement, Seconds, timed
from precompute.settings import LossName, Settings
from precompute.training.data import TrainingData
from precompute.training.probe import PenaltyPath, Tried

TRAIN, VAL, DIM, LABELS = 2000, 500, 512, 14
SHARED: tuple[LossName, ...] = ("plain", "weighted")
SAME = 1e-4
"""How far the objectives at the optimum may lie apart, as a share."""


def run(repeats: int) -> list[Measurement]:
    data, settings = _films(), Settings()
    both = np.ones(LABELS, bool)
    paths: dict[LossName, tuple[PenaltyPath, list[Tried]]] = {}
    ours: list[Seconds] = []
    theirs: list[Seconds] = []
    whole: list[Seconds] = []

    def follow(names: tuple[LossName, ...]) -> None:
        for name in names:
            path = PenaltyPath(data, both, name)
            paths[name] = path, path.follow(settings.penalties)

    for _ in range(repeats):
        ours.append(timed(lambda: follow(SHARED)))
        with threadpool_limits(1):
            theirs.append(timed(lambda: [_one_by_one(data, name, paths[name][1]) for name in SHARED]))
        whole.append(timed(lambda: follow(settings.losses)))
    for name in SHARED:
        _same(data, name, paths[name][0])
    fits = sum(len(tried) for name, (_, tried) in paths.items() if name in SHARED) * LABELS
    size = f"{TRAIN:,} films, {DIM} dimensions, {LABELS} labels; {fits} fits; objectives equal to {SAME:g}"
    against = "scikit-learn, one label at a time"
    return [
        Measurement("probe: losses of both", "all labels at once", against, ours, theirs, size, goal=5.0),
        Measurement("probe: four losses", "all labels at once", f"{against}, two losses", whole, theirs, size),
    ]


def _films() -> TrainingData:
    """Labels of many prevalences, each a direction of its own."""
    rng = np.random.default_rng(0)
    n = TRAIN + VAL
    x = rng.normal(size=(n, DIM)) * np.exp(-np.arange(DIM) / 100)
    logits = x @ rng.normal(size=(DIM, LABELS)) / 4 + np.linspace(-3.5, 0, LABELS)
    targets = (rng.random((n, LABELS)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    return TrainingData(unit, targets, np.arange(TRAIN), np.arange(TRAIN, n))


def _features(data: TrainingData) -> np.ndarray:
    x = data.inputs[data.train]
    scaled: np.ndarray = (data.inputs - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    return scaled.astype(np.float64)


def _fit(x: np.ndarray, y: np.ndarray, name: LossName, penalty: float) -> LogisticRegression:
    ratio = (y == 0).sum() / (y == 1).sum()
    weights = np.where(y == 1, ratio if name == "weighted" else 1.0, 1.0)
    return LogisticRegression(C=penalty, max_iter=5000, tol=1e-5).fit(x, y, sample_weight=weights)


def _one_by_one(data: TrainingData, name: LossName, tried: list[Tried]) -> None:
    x = _features(data)[data.train]
    for point in tried:
        for y in data.targets[data.train].T:
            _fit(x, y, name, point.C)


def _same(data: TrainingData, name: LossName, path: PenaltyPath) -> None:
    """A ratio means something only between equal optima."""
    x, targets = _features(data)[data.train], data.targets[data.train]
    weight, bias = path.head()
    spread = data.inputs[data.train].std(axis=0) + 1e-6
    for c, y in enumerate(targets.T):
        theirs = _fit(x, y, name, path.best.C)
        ratio = (y == 0).sum() / (y == 1).sum() if name == "weighted" else 1.0
        values = []
        for w, logits in (
            (weight[c] * spread, data.inputs[data.train] @ weight[c] + bias[c]),
            (theirs.coef_[0], theirs.decision_function(x)),
        ):
            nats = np.logaddexp(0, np.where(y == 1, -logits, logits)) * np.where(y == 1, ratio, 1.0)
            values.append(path.best.C * nats.sum() + (w**2).sum() / 2)
        np.testing.assert_allclose(values[0], values[1], rtol=SAME)
