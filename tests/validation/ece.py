"""Calibration: what an ECE interval is of

A perfectly calibrated model on 375 films: each film's outcome has the probability that the model gives. On finitely
many films its ECE is never 0, and neither is its interval; the chance baseline is what it should be compared with. The
overconfident model's logits are twice as large. With patients of one to four films, outcomes within a patient are
independent given the probabilities, or correlated by one half.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import expit, ndtr

from explorer.analysis.calibration import calibration
from tests.validation import COVERAGE, Row, mean, share
from tests.validation.binormal import SAME_PATIENT

SETS, FILMS = 1000, 375
AT_MOST = (0.0, 0.05)
RATIO = (0.95, 1.05)


def ece(rng: np.random.Generator, rate: float, same_patient: float) -> list[Row]:
    """ECE and Brier score of probabilities that are right, and ECE of overconfident ones."""
    offset = np.log(rate / (1 - rate))
    grid = np.linspace(-8, 8, 4001)
    p = expit(grid + offset)
    true_brier = float(np.trapezoid(p * (1 - p) * np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), grid))
    value, low, high, baseline = np.zeros((4, SETS, 3))  # of each set: ECE, Brier, ECE of the overconfident model
    for i in range(SETS):
        patients = np.repeat(np.arange(FILMS), rng.integers(1, 5, FILMS))[:FILMS]
        right = rng.normal(size=(FILMS, 1)) + offset
        own, effect = rng.normal(size=(2, FILMS, 1))
        uniform = ndtr(np.sqrt(same_patient) * effect[patients] + np.sqrt(1 - same_patient) * own)
        targets = (uniform < expit(right)).astype(np.float32)
        logits = {"right": right, "overconfident": 2 * right}
        frame = calibration(("label",), (targets, logits), targets, logits, patients)
        rows = frame[frame["method"] == "none"].iloc[:3]
        value[i], low[i], high[i], baseline[i] = rows[["value", "ci_low", "ci_high", "baseline"]].to_numpy(float).T
    expected = value.mean(axis=0)
    inside = ((low <= expected) & (expected <= high)).sum(axis=0)
    name = f"rate about {rate:.0%}, {'correlated' if same_patient else 'independent'} within patients"
    return [
        share(f"{name}: ECE intervals that hold 0", (low[:, 0] <= 0).sum(), SETS),
        mean(f"{name}: ECE over its chance baseline", value[:, 0] / baseline[:, 0].mean(), RATIO),
        share(f"{name}: ECE intervals above the chance baseline", (low > baseline)[:, 0].sum(), SETS, AT_MOST),
        share(f"{name}: ECE intervals that hold the mean ECE of so many films", inside[0], SETS, COVERAGE),
        share(f"{name}: overconfident, ECE intervals above the chance baseline", (low > baseline)[:, 2].sum(), SETS),
        share(f"{name}: overconfident, ECE intervals that hold that mean", inside[2], SETS, COVERAGE),
        share(
            f"{name}: Brier score, coverage",
            ((low[:, 1] <= true_brier) & (true_brier <= high[:, 1])).sum(),
            SETS,
            COVERAGE,
        ),
    ]


PARTS = [partial(ece, rate=rate, same_patient=correlated) for rate in (0.5, 0.1) for correlated in (0.0, SAME_PATIENT)]
