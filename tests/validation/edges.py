"""Perfect labels: the exact one-sided bounds

A label whose positives all rank above its negatives has no spread between resamples. Its lower bound is exact: over all
sets it lies above the truth at most 5% of the time. The true AUROC is high enough for a perfect ranking to be common.
"Above the baseline" counts perfect rankings of at least 5 positive patients whose whole interval lies above what a
random ranking reaches. One or two patients cannot show that, however they rank.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.evidence import FEW
from explorer.analysis.jackknife import intervals
from explorer.analysis.metrics import METRICS, estimate
from explorer.analysis.ranking import BINARY_METRICS
from tests.validation import Row, share
from tests.validation.binormal import Films

FILMS = 375
AUROCS = (0.98, 0.995, 0.999)
AT_MOST = (0.0, 0.05)
ALL = (1.0, 1.0)


def bounds(rng: np.random.Generator, positives: int, sets: int = 1000) -> list[Row]:
    """How often the bound of a perfect figure lies above the truth, and above the baseline."""
    films = Films(FILMS, np.full(len(AUROCS), positives / FILMS), np.array(AUROCS), fixed=True)
    truth, rows = films.truth(), []
    too_high = {metric: np.zeros(len(AUROCS)) for metric in ("average_precision", "auroc")}
    perfect, above = np.zeros(2)
    for _ in range(sets):
        targets, patients, scored = films.draw(rng, (0.0,))
        one = estimate(films.labels, targets, scored, patients)["0"]
        low, _ = intervals(one)
        for metric, count in too_high.items():
            m = METRICS.index(metric)
            at_edge = one.value[: len(AUROCS), m] == 1
            count += at_edge & (low[: len(AUROCS), m] > truth[metric])
            if metric == "average_precision":
                known_enough = at_edge & (one.units[: len(AUROCS)] >= FEW)
                perfect += known_enough.sum()
                above += (known_enough & (low[: len(AUROCS), m] > one.baseline[: len(AUROCS), m])).sum()
    for metric, count in too_high.items():
        for a, k in zip(AUROCS, count, strict=True):
            what = f"{positives} positives, true AUROC {a}: bound of perfect {BINARY_METRICS[metric].short} too high"
            rows.append(share(what, k, sets, AT_MOST))
    what = f"{positives} positives: perfect labels above the baseline, of {perfect:.0f}"
    return [*rows, share(what, above, perfect, ALL)]


PARTS = [partial(bounds, positives=n) for n in (5, 8, 12, 20)]
