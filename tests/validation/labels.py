"""One label's figures and differences

The demo's mix by chance on 375 films, as above; a label counts in the sets where it has 10 positive patients. Two
regimes share 60% of their scores' variance.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import difference_intervals, intervals
from explorer.analysis.metrics import METRICS, estimate
from explorer.analysis.ranking import BINARY_METRICS
from tests.validation import COVERAGE, SIZE, Row, share
from tests.validation.binormal import AUROC, DEMO, Films

SETS = 1000
LABELS = 6
"""The commonest, whose positives are 10 patients often enough."""


def coverage(rng: np.random.Generator, films: Films) -> list[Row]:
    """Coverage of each label's figures, and the size of its paired tests."""
    truth = films.truth()
    at = [METRICS.index(metric) for metric in truth]
    true = np.stack(list(truth.values()), axis=1)  # (C, 3)
    sets, inside, rejected = np.zeros((LABELS, 1)), np.zeros((LABELS, 3)), np.zeros((LABELS, 3))
    for _ in range(SETS):
        targets, patients, scored = films.draw(rng, (0.0, 0.0))
        one, other = estimate(films.labels, targets, scored, patients).values()
        enough = (one.units[:LABELS] >= ENOUGH)[:, None]
        low, high = (end[:LABELS, at] for end in intervals(one))
        sets += enough
        inside += enough & (low <= true) & (true <= high)
        rejected += enough & (difference_intervals(other - one)[2][:LABELS, at] < 0.05)
    rows = []
    for c in range(LABELS):
        name = f"about {films.shares[c] * films.films:.0f} positives"
        for m, metric in enumerate(truth):
            short = BINARY_METRICS[metric].short
            rows.append(share(f"{name}: {short}, coverage", inside[c, m], sets[c, 0], COVERAGE))
            rows.append(share(f"{name}: {short}, size of the paired test", rejected[c, m], sets[c, 0], SIZE))
    return rows


PARTS = [partial(coverage, films=Films(375, DEMO[:LABELS], AUROC[:LABELS]))]
