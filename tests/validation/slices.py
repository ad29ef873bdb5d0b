"""Error slices: false claims, and power

Patients have one or two films, as many in val as in test, four labels with a prevalence of 30%, and embeddings of 64
dimensions that show labels and a marker of 15% of the patients. Scores are binormal. "Nothing planted" means that no
film's score depends on anything but its label. "By the embedding" means that scores are the best direction of the
embedding: films near the other answer err more, as their probabilities say. Planted: the marker takes a number off one
label's logits. Found means that a slice of that label's positives is sure, and at least half of it has the marker.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from explorer.analysis.calibration import probabilities
from explorer.analysis.slices import Slices, Traits, find_slices, reduce
from explorer.analysis.subgroups import Scores
from tests.validation import Row, share

LABELS = ("a", "b", "c", "d")
DIMENSIONS = 64


class Planted(NamedTuple):
    """A simulated set: its slices, and which films have the marker."""

    slices: Slices
    marked: NDArray[np.bool_]


def a_set(rng: np.random.Generator, patients: int, off: float = 0.0, *, by_embedding: bool = False) -> Planted:
    """Slices of one regime on a set with a marker that takes ``off`` from label a's logits."""
    every = 2 * patients  # of val, then of test
    people = np.repeat(np.arange(every), rng.integers(1, 3, every))
    n, splits = len(people), np.where(people < patients, "val", "test").astype(object)
    targets = (rng.random((every, 4)) < 0.3)[people].astype(np.float32)
    marked = (rng.random(every) < 0.15)[people]
    spread = 1.0 if by_embedding else 1 / np.sqrt(1 + np.arange(DIMENSIONS) / 4)  # one alone makes the probe right
    axes = np.linalg.qr(rng.normal(size=(DIMENSIONS, 5)))[0].T
    own = 0.8 * rng.normal(size=(every, DIMENSIONS))[people] + 0.6 * rng.normal(size=(n, DIMENSIONS))
    vectors = (own * spread + 1.2 * targets @ axes[:4] + 1.8 * marked[:, None] * axes[4]).astype(np.float32)
    if by_embedding:
        logits = 4 * (vectors @ axes[:4].T - 0.6)
    else:
        logits = 2 * targets - 1 + rng.normal(size=(n, 4)) + 0.5 * rng.normal(size=(every, 4))[people]
    logits[marked, 0] -= off
    val = np.flatnonzero(splits == "val")
    fitted = probabilities("platt", targets[val], logits[val], logits)
    scores = Scores(logits.astype(np.float32), np.zeros(4, np.float32), fitted)
    traits = Traits([("finding", "marker")], marked[:, None], np.ones((n, 1), bool))
    reduced = {"probe": reduce(vectors, val, 0)}
    return Planted(find_slices(LABELS, targets, {"probe": scores}, reduced, people, splits, traits, 0), marked)


def sure(slices: Slices) -> NDArray[np.int64]:
    """The numbers of the slices that surely err more."""
    frame = slices.slices
    return frame.loc[frame["p_adjusted"] < 0.05, "slice"].to_numpy(np.int64)


def found(planted: Planted) -> bool:
    """Whether a sure slice of label a's positives is mostly marked films."""
    table, films = planted.slices.slices.set_index("slice"), planted.slices.films
    return any(
        tuple(table.loc[number, ["label", "state"]]) == ("a", "positive")
        and planted.marked[films.loc[films["slice"] == number, "row"]].mean() >= 0.5
        for number in sure(planted.slices)
    )


def claims(rng: np.random.Generator, what: str, sets: int, patients: int, *, by_embedding: bool) -> list[Row]:
    """How often any slice is called sure."""
    hits = sum(len(sure(a_set(rng, patients, by_embedding=by_embedding).slices)) > 0 for _ in range(sets))
    return [share(f"{what}, {patients} patients: any claimed", hits, sets, (0.0, 0.05))]


def power(rng: np.random.Generator, sets: int, patients: int, off: float) -> list[Row]:
    """How often the planted slice is found."""
    hits = sum(found(a_set(rng, patients, off)) for _ in range(sets))
    return [share(f"{off:g} off the logits, {patients} patients: found", hits, sets)]


PARTS = (
    partial(claims, what="Nothing planted", sets=80, patients=400, by_embedding=False),
    partial(claims, what="By the embedding", sets=80, patients=400, by_embedding=True),
    *(partial(power, sets=20, patients=patients, off=off) for patients, off in ((800, 2.5), (400, 3.5), (400, 2.5))),
)
