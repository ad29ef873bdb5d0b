"""One label's AUROC: coverage at few positives

Binormal scores, patients of one to four films. Every set has the same number of positive films. From 8 positives the
prevalence is 5%; at 5 it is also 1% and 20%.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.jackknife import intervals
from explorer.analysis.metrics import METRICS, estimate
from tests.validation import COVERAGE, Row, share
from tests.validation.binormal import Films

SETS = 1000
AUROCS = (0.7, 0.85, 0.96)


def coverage(rng: np.random.Generator, positives: int, prevalence: float) -> list[Row]:
    """Coverage at each true AUROC."""
    n = round(positives / prevalence)
    films = Films(n, np.full(len(AUROCS), positives / n), np.array(AUROCS), fixed=True)
    at, inside = METRICS.index("auroc"), np.zeros(len(AUROCS))
    for _ in range(SETS):
        targets, patients, scored = films.draw(rng, (0.0,))
        low, high = intervals(estimate(films.labels, targets, scored, patients)["0"])
        for c, true in enumerate(AUROCS):
            inside[c] += low[c, at] <= true <= high[c, at]
    name = f"{positives} positives of {n} films"
    return [share(f"{name}, true AUROC {a}", k, SETS, COVERAGE) for a, k in zip(AUROCS, inside, strict=True)]


PARTS = [
    partial(coverage, positives=n, prevalence=share)
    for n, share in ((40, 0.05), (15, 0.05), (8, 0.05), (5, 0.01), (5, 0.05), (5, 0.2))
]
