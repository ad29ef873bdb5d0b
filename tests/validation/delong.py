"""DeLong's test: its size by positives

Two equally good rankings that share 60% of their scores' variance, on 500 films of patients with one to four. The test
is given from 25 patients of the rarer class; the rows below are the reason, and have no band.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.analysis.differences import DELONG_FROM, delong
from tests.validation import NO_BAND, SIZE, Row, share
from tests.validation.binormal import Films

SETS = 2000
FILMS = 500
AUROCS = (0.7, 0.85, 0.96)


def size(rng: np.random.Generator, positives: int) -> list[Row]:
    """How often a true null hypothesis is rejected at each true AUROC."""
    films = Films(FILMS, np.full(len(AUROCS), positives / FILMS), np.array(AUROCS), fixed=True)
    rejected, sets = np.zeros(len(AUROCS)), np.zeros(len(AUROCS))
    given = positives >= DELONG_FROM
    for _ in range(SETS):
        targets, patients, scored = films.draw(rng, (0.0, 0.0))
        for c in range(len(AUROCS)):
            if given and len(np.unique(patients[targets[:, c] == 1])) < DELONG_FROM:
                continue
            pair = np.stack([one.logits[:, c] for one in scored.values()])
            rejected[c] += delong(targets[:, c], pair, patients)[1] < 0.05
            sets[c] += 1
    band = SIZE if given else NO_BAND
    name = f"{positives} positives" + ("" if given else ", not given")
    return [share(f"{name}, true AUROC {a}", k, n, band) for a, k, n in zip(AUROCS, rejected, sets, strict=True)]


PARTS = [partial(size, positives=n) for n in (5, 8, 15, 40, 80)]
