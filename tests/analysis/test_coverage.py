"""Do 95% intervals hold the truth 95 times in 100? Many sets drawn from a model whose figures are known."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from explorer.analysis.jackknife import difference_intervals, intervals
from explorer.analysis.metrics import METRICS, Scored, estimate

SETS, FILMS = 200, 375
POSITIVE = np.array([230, 55, 38, 21, 16, 13]) / 375
AUROC = np.array([0.80, 0.72, 0.88, 0.93, 0.77, 0.95])
APART = np.sqrt(2) * ndtri(AUROC)
CUT = APART / 2 + 0.3


def truth() -> dict[str, np.ndarray]:
    """(C,) each label's figures for binormal scores."""
    x = np.linspace(-8, 12, 8001)
    hit, alarm = ndtr(APART[:, None] - x), ndtr(-x)
    p = POSITIVE[:, None]
    precision = p * hit / (p * hit + (1 - p) * alarm + 1e-300)
    ap = np.trapezoid(precision * np.exp(-((x - APART[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi), x)
    recall, called = ndtr(APART - CUT), POSITIVE * ndtr(APART - CUT) + (1 - POSITIVE) * ndtr(-CUT)
    return {"average_precision": ap, "auroc": AUROC, "f1": 2 * POSITIVE * recall / (POSITIVE + called)}


def test_macro_intervals_and_paired_tests_keep_their_level() -> None:
    """Two regimes equally good, patients of several films with effects of their own."""
    rng, known = np.random.default_rng(5), truth()
    at = [METRICS.index(name) for name in known]
    inside, rejected = np.zeros(3), np.zeros(3)
    for _ in range(SETS):
        patients = np.repeat(np.arange(FILMS), rng.integers(1, 4, FILMS))[:FILMS]

        def noise(shared: float, patients: np.ndarray = patients) -> np.ndarray:
            own, effect = rng.normal(size=(2, FILMS, len(POSITIVE)))
            return np.sqrt(shared) * effect[patients] + np.sqrt(1 - shared) * own

        targets = (noise(0.5) > -ndtri(POSITIVE)).astype(np.float32)
        common = noise(0.3)
        both = [np.sqrt(0.6) * common + np.sqrt(0.4) * noise(0.3) + APART * targets for _ in range(2)]
        scored = {str(i): Scored(scores.astype(np.float32), CUT.astype(np.float32)) for i, scores in enumerate(both)}
        one, two = estimate([f"label {c}" for c in range(len(POSITIVE))], targets, scored, patients).values()
        low, high = intervals(one)
        macro = np.array([values[one.members[-2]].mean() for values in known.values()])
        inside += (low[-2, at] <= macro) & (macro <= high[-2, at])
        rejected += difference_intervals(two - one)[2][-2, at] < 0.05
    # 95 and 5 in 100, three standard errors of 200 sets and the 2 points that are allowed
    assert (np.abs(inside / SETS - 0.95) < 0.05).all(), inside / SETS
    assert (rejected / SETS < 0.10).all(), rejected / SETS
