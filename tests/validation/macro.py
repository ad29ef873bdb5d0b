"""The mean over labels: intervals, paired differences and tests

Each label's scores are binormal with an AUROC between 0.70 and 0.95. Patients have one to four films, whose labels and
scores are correlated. The mean is over labels with 10 positive and 10 negative patients in this set and in a second
one, as in val and test. Its truth is over the same labels.

Two regimes share 60% of their scores' variance: equally good ones for the size of the test, ones apart for the coverage
of a true difference. "By chance" lets the number of positives vary, as in films that come as they come. "Fixed" gives
each set the same number.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.jackknife import difference_intervals, intervals
from explorer.analysis.metrics import MACRO, METRICS, estimate, well_known
from explorer.analysis.ranking import BINARY_METRICS
from tests.validation import COVERAGE, SIZE, Row, share
from tests.validation.binormal import AUROC, DEMO, PAPER, Films

BETTER = 0.25
"""A true difference of about 0.04 in AUROC."""


def coverage(rng: np.random.Generator, name: str, films: Films, sets: int) -> list[Row]:
    """Coverage of the mean's figure and of its true difference, and the size of the paired test."""
    truths = [films.truth(), films.truth(BETTER)]
    metrics = list(truths[0])
    at = [METRICS.index(metric) for metric in metrics]
    inside, rejected, apart = np.zeros((3, len(metrics)))
    for _ in range(sets):
        on_val, of_val, _ = films.draw(rng, ())
        targets, patients, scored = films.draw(rng, (0.0, 0.0, BETTER))
        averaged = well_known(on_val, of_val) & well_known(targets, patients)
        one, equal, better = estimate(films.labels, targets, scored, patients, averaged).values()
        mean = one.names.index(MACRO)
        true, far = (np.array([t[metric][one.members[mean]].mean() for metric in metrics]) for t in truths)
        low, high = intervals(one)
        inside += (low[mean, at] <= true) & (true <= high[mean, at])
        rejected += difference_intervals(equal - one)[2][mean, at] < 0.05
        low, high, _ = difference_intervals(better - one)
        apart += (low[mean, at] <= far - true) & (far - true <= high[mean, at])
    kinds = (
        ("coverage", inside, COVERAGE),
        ("coverage of a true difference", apart, COVERAGE),
        ("size of the paired test", rejected, SIZE),
    )
    return [
        share(f"{name}: {BINARY_METRICS[metric].short}, {kind}", hits[m], sets, band)
        for kind, hits, band in kinds
        for m, metric in enumerate(metrics)
    ]


PARTS = [
    partial(coverage, name="3,818 films, the demo's mix by chance", films=Films(3818, DEMO, AUROC), sets=100),
    partial(coverage, name="375 films, the demo's mix by chance", films=Films(375, DEMO, AUROC), sets=1000),
    partial(coverage, name="375 films, the demo's mix fixed", films=Films(375, DEMO, AUROC, fixed=True), sets=500),
    partial(coverage, name="750 films, the demo's mix by chance", films=Films(750, DEMO, AUROC), sets=500),
    partial(coverage, name="572 films, the paper's mix by chance", films=Films(572, PAPER, AUROC), sets=500),
]
