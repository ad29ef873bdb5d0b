"""The metrics pass with its intervals, beside the straightforward scikit-learn loop over the same resamples."""

from __future__ import annotations

import time

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from benchmarks import Measurement
from explorer.analysis.metrics import evaluate, patient_weights

FILMS, LABELS, RESAMPLES, LOOPED = 600, 14, 1000, 20


def run(repeats: int) -> list[Measurement]:
    rng = np.random.default_rng(0)
    targets = (rng.random((FILMS, LABELS)) < 0.1).astype(np.float32)
    logits = (rng.normal(size=targets.shape) + targets).astype(np.float32)
    patients = np.arange(FILMS)
    names = [str(c) for c in range(LABELS)]
    thresholds = np.zeros(LABELS, np.float32)
    ours, baseline = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        evaluate(names, targets, logits, thresholds, patients, resamples=RESAMPLES)
        ours.append((time.perf_counter() - start) / RESAMPLES)
        weights = patient_weights(patients, LOOPED, 0)
        start = time.perf_counter()
        for weight in weights:
            rows = np.repeat(np.arange(FILMS), weight.astype(int))
            for c in range(LABELS):
                average_precision_score(targets[rows, c], logits[rows, c])
                roc_auc_score(targets[rows, c], logits[rows, c])
                f1_score(targets[rows, c], logits[rows, c] >= 0)
        baseline.append((time.perf_counter() - start) / LOOPED)
    size = f"{FILMS} films, {LABELS} labels; seconds a resample, ours over {RESAMPLES}, the loop over {LOOPED}"
    return [Measurement("metrics_bootstrap", "one weighted pass", "scikit-learn loop", ours, baseline, size)]
