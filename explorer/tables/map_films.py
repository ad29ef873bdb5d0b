"""What a map says of a film, and which films stand for a label on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.data.text import plain
from explorer.figures.maps import Frame
from explorer.figures.style import number
from explorer.tables import styles
from explorer.tables.labels import findings_text, rows_in_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

LONGEST_REPORT = 240
MOST_READ = 4000
"""Positive films whose vectors give a label's centroid: evenly spaced rows where there are more."""
TYPICAL = 4
CELLS = 20
"""Cells a side of the grid in which dense places are looked for."""

_WORDS = {
    (True, "positive"): "found",
    (False, "positive"): "missed",
    (True, "negative"): "false alarm",
    (False, "negative"): "rightly negative",
    (True, "unknown"): "predicted",
    (False, "unknown"): "not predicted",
}


@dataclass(frozen=True)
class Verdict:
    """What a regime makes of a film: words, its mark, and the figures behind it."""

    regime: str
    colour: str
    symbol: str
    words: str
    score: str


@dataclass(frozen=True)
class FilmCard:
    """What is shown of a film beside its thumbnail, as plain text."""

    row: int
    name: str
    where: str
    findings: str
    truth: str
    verdicts: tuple[Verdict, ...]
    report: str


def film_card(store: Store, label: str, row: int) -> FilmCard:
    """A film's name, what is known of it, and every regime's verdict on one label."""
    sample, c = store.samples.iloc[row], store.labels.index(label)
    report = " ".join(str(sample["report"] or "").split()) if pd.notna(sample["report"]) else ""
    state = str(_state(store.targets[row, c]))
    verdicts = []
    for regime in store.regimes:
        logit, threshold = float(store.logits(regime.name)[row, c]), float(store.threshold_array(regime.name)[c])
        style = styles.of_regime(store, regime.name)
        words = "no threshold" if np.isnan(threshold) else _WORDS[logit >= threshold, state]
        cut = "" if np.isnan(threshold) else f", threshold {number(threshold)}"
        verdicts.append(Verdict(regime.title, style.colour, style.symbol, words, f"logit {number(logit)}{cut}"))
    return FilmCard(
        row,
        str(sample["sample_id"]),
        " · ".join(str(part) for part in (sample["split"], sample["view"]) if pd.notna(part) and part),
        findings_text(store, row, plain),
        f"{plain(label)}: {state}",
        tuple(verdicts),
        f"{report[:LONGEST_REPORT]}…" if len(report) > LONGEST_REPORT else report,
    )


def _state(value: float) -> str:
    return "unknown" if np.isnan(value) else "positive" if value == 1 else "negative"


@dataclass(frozen=True)
class Landmark:
    """A film whose thumbnail stands on a map, and what the legend says of its kind."""

    row: int
    kind: Literal["centroid", "typical"]
    name: str


def landmarks(store: Store, space: str, split: Split, label: str) -> tuple[Landmark, ...]:
    """Films that stand for a label's positives on the map of a space; none where the split has no positive film.

    The first is the film nearest to the positives' mean direction in the full space. The others lie where positives are
    densest on the map, at least a fifth of its width apart.
    """
    rows = rows_in_state(store, split, label, "positive")
    if len(rows) == 0:
        return ()
    read = rows[:: -(-len(rows) // MOST_READ)]
    vectors = np.asarray(store.vectors(space)[read])
    centroid = int(read[np.argmax(vectors @ vectors.mean(axis=0))])
    places = Frame.around(store.map(space)).share(store.map(space)[rows])  # (m, 2)
    typical = [int(rows[i]) for i in dense_places(places, TYPICAL) if rows[i] != centroid]
    name = plain(label)
    return (
        Landmark(centroid, "centroid", f"film nearest to the mean of {name}"),
        *(Landmark(row, "typical", f"films where {name} is densest") for row in typical),
    )


def dense_places(places: NDArray[np.float64], most: int) -> list[int]:
    """Points in the middle of the densest places, the densest first, at least a fifth of the square apart.

    Parameters
    ----------
    places : (m, 2) from 0 to 1
    most : how many at most

    Examples
    --------
    >>> dense_places(np.array([[0.1, 0.1], [0.12, 0.1], [0.11, 0.1], [0.9, 0.9]]), 4)
    [2, 3]
    """
    cells = np.minimum((places * CELLS).astype(np.int64), CELLS - 1)
    counts = np.zeros((CELLS + 2, CELLS + 2))
    np.add.at(counts, (cells[:, 0] + 1, cells[:, 1] + 1), 1)
    around = sum(counts[i : i + CELLS, j : j + CELLS] for i in range(3) for j in range(3))
    density = np.asarray(around)[cells[:, 0], cells[:, 1]]  # (m,) points in and beside a point's cell
    free, out = np.ones(len(places), dtype=bool), list[int]()
    while free.any() and len(out) < most:
        densest = np.where(free, density, -1).argmax()
        near = free & (np.abs(cells - cells[densest]).max(axis=1) <= 1)
        middle = places[near].mean(axis=0)
        chosen = int(np.where(near, np.linalg.norm(places - middle, axis=1), np.inf).argmin())
        out.append(chosen)
        free &= np.linalg.norm(places - places[chosen], axis=1) > 0.2
    return out
