"""Models of pure noise: is the baseline what chance reaches?

40 models of random scores on each of 25 film sets of the demo's mix. An interval lies wholly above a true baseline in
about 2.5 of 100. The baseline of average precision is the mean over random rankings; the interval is of the figure on
infinitely many films, which is lower.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.jackknife import intervals
from explorer.analysis.metrics import METRICS, Scored, estimate
from explorer.analysis.ranking import BINARY_METRICS
from tests.validation import Row, mean
from tests.validation.binormal import DEMO, Films

FEW = (0.0, 0.05)
EXACT = (-0.002, 0.002)
MEANS = [-2, -1]
"""The means over the labels with enough patients, and over all."""


def noise(rng: np.random.Generator, films: Films, sets: int = 25, models: int = 40) -> list[Row]:
    """How many intervals of the means lie above the baseline, and how far the figures lie from it."""
    metrics = ("average_precision", "auroc")
    at = [METRICS.index(metric) for metric in metrics]
    above, gap = [], []
    for _ in range(sets):
        targets, patients, _ = films.draw(rng, ())
        random = rng.normal(size=(models, *targets.shape)).astype(np.float32)
        scored = {str(i): Scored(scores, films.cut.astype(np.float32)) for i, scores in enumerate(random)}
        figures = estimate(films.labels, targets, scored, patients).values()
        lows = np.stack([intervals(one)[0] for one in figures])[:, MEANS][:, :, at]  # (models, 2, metrics)
        values = np.stack([one.value for one in figures])[:, MEANS][:, :, at]
        baselines = np.stack([one.baseline for one in figures])[:, MEANS][:, :, at]
        above.append((lows > baselines).mean(axis=0))
        gap.append((values - baselines).mean(axis=0))
    rows = []
    for m, metric in enumerate(metrics):
        short = BINARY_METRICS[metric].short
        for k, over in enumerate(("the mean's labels", "all labels")):
            high = np.array(above)[:, k, m]
            rows.append(mean(f"mean {short} over {over}: intervals above the baseline", high, FEW, percent=True))
            rows.append(mean(f"mean {short} over {over}: figure less its baseline", np.array(gap)[:, k, m], EXACT))
    return rows


PARTS = [partial(noise, films=Films(375, DEMO, np.full(len(DEMO), 0.5)))]
