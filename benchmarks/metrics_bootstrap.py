"""The metrics pass with its intervals, beside the straightforward scikit-learn loop over the same resamples."""

from __future__ import annotations

import time

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from benchmarks import Measurement
from explorer.analysis.metrics import METRICS, Draws, Scored, patient_weights, resample, summarise
from explorer.data.labels import CHEXPERT_LABELS

FILMS, RESAMPLES, LOOPED = 600, 1000, 20
LABELS = len(CHEXPERT_LABELS)
COMPARED = [METRICS.index(metric) for metric in ("average_precision", "auroc", "f1")]


def run(repeats: int) -> list[Measurement]:
    rng = np.random.default_rng(0)
    targets = (rng.random((FILMS, LABELS)) < 0.1).astype(np.float32)
    regimes = {
        name: Scored(
            (rng.normal(size=targets.shape) + apart * targets).astype(np.float32), np.zeros(LABELS, np.float32)
        )
        for name, apart in (("zero-shot", 0.5), ("probe", 1.0), ("fine-tune", 1.5))
    }
    patients = np.arange(FILMS)
    ours, baseline = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        draws = resample(CHEXPERT_LABELS, targets, regimes, patients, resamples=RESAMPLES)
        for drawn in draws.values():
            summarise(drawn)
        ours.append((time.perf_counter() - start) / RESAMPLES)
        weights = patient_weights(patients, LOOPED, 0)
        start = time.perf_counter()
        looped = {name: np.array([_loop(targets, scored, w) for w in weights]) for name, scored in regimes.items()}
        baseline.append((time.perf_counter() - start) / LOOPED)
        _same(draws, looped)
    size = (
        f"{FILMS} films, {LABELS} labels, 3 regimes, AP, AUROC and F1 (ours: precision, recall, domains, micro, macro "
        f"and intervals too); seconds a resample, ours over {RESAMPLES}, the loop over {LOOPED}; values equal to 1e-9"
    )
    return [Measurement("metrics_bootstrap", "one weighted pass", "scikit-learn loop", ours, baseline, size)]


def _loop(targets: np.ndarray, scored: Scored, weight: np.ndarray) -> np.ndarray:
    """(C, 3) by scikit-learn on one resample's rows."""
    rows = np.repeat(np.arange(FILMS), weight.astype(int))
    return np.array(
        [
            (
                average_precision_score(targets[rows, c], scored.logits[rows, c]),
                roc_auc_score(targets[rows, c], scored.logits[rows, c]),
                f1_score(targets[rows, c], scored.logits[rows, c] >= scored.thresholds[c]),
            )
            for c in range(LABELS)
        ]
    )


def _same(draws: dict[str, Draws], looped: dict[str, np.ndarray]) -> None:
    """A ratio means something only between equal results."""
    for name, expected in looped.items():
        found = draws[name].drawn[:LABELS, :LOOPED][:, :, COMPARED]
        np.testing.assert_allclose(found.transpose(1, 0, 2), expected, rtol=0, atol=1e-9)
