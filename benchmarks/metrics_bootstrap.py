"""The metrics pass with its intervals, beside a scikit-learn loop that leaves out the same patients."""

from __future__ import annotations

import time

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from benchmarks import Measurement
from explorer.analysis.jackknife import Estimates, groups_of
from explorer.analysis.metrics import METRICS, Scored, estimate, summarise
from explorer.data.labels import CHEXPERT_LABELS

FILMS, LOOPED = 600, 20
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
        estimates = estimate(CHEXPERT_LABELS, targets, regimes, patients)
        for figures in estimates.values():
            summarise(figures)
        ours.append((time.perf_counter() - start) / FILMS)
        weights = groups_of(patients).T[:LOOPED]
        start = time.perf_counter()
        looped = {name: np.array([_loop(targets, scored, w) for w in weights]) for name, scored in regimes.items()}
        baseline.append((time.perf_counter() - start) / LOOPED)
        _same(estimates, looped)
    size = (
        f"{FILMS} films, {LABELS} labels, 3 regimes, AP, AUROC and F1 (ours: precision, recall, domains, micro, macro "
        f"and intervals too); seconds for each patient left out, ours over {FILMS}, the loop over {LOOPED}; "
        "values equal to 1e-9"
    )
    return [Measurement("metrics_bootstrap", "one weighted pass", "scikit-learn loop", ours, baseline, size)]


def _loop(targets: np.ndarray, scored: Scored, weight: np.ndarray) -> np.ndarray:
    """(C, 3) by scikit-learn without one patient's rows."""
    rows = np.flatnonzero(weight)
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


def _same(estimates: dict[str, Estimates], looped: dict[str, np.ndarray]) -> None:
    """A ratio means something only between equal results."""
    for name, expected in looped.items():
        found = estimates[name].left_out[:LABELS, :LOOPED][:, :, COMPARED]
        np.testing.assert_allclose(found.transpose(1, 0, 2), expected, rtol=0, atol=1e-9)
