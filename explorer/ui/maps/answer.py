"""The sentence above the maps: how much closer a label's films lie together than chance would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.evidence import FEW
from explorer.data.text import in_markdown
from explorer.figures.style import with_interval
from explorer.tables.map_colours import MATCHES
from explorer.tables.separability import figures, separates
from explorer.tables.spaces import distinct_spaces, space_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.tables.map_colours import Asked

OF_FILMS = {
    "count": "Colour counts a film's known positive labels other than No Finding.",
    "view": "Colour is the projection: where views lie apart, a map shows more than findings.",
    "split": "Every film is shown; splits should lie through one another.",
    "cluster": "k-means in the full space; clusters that share films have one colour on all maps.",
    "density": "Mean cosine to a film's nearest films in the full space: how crowded its place is.",
    "moved": "The farthest a film lies from itself on two of the maps, laid over one another (Procrustes).",
}
"""What the colours that are about no label say."""


def answer_text(store: Store, asked: Asked, regimes: Sequence[RegimeRecord]) -> str:
    """One sentence of at most 25 words, as Markdown."""
    if asked.colour == "labels":
        return f"Coloured: films with {MATCHES[asked.match]}; a film with several is a pie."
    if asked.colour in OF_FILMS:
        return OF_FILMS[asked.colour]
    rows, shown = figures(store, asked.split, "lift"), {regime.title for regime in regimes}
    parts: list[str] = []
    for space, titles in distinct_spaces(store, asked.kind):
        row = rows[asked.label, space.name]
        if not shown.isdisjoint(titles) and not np.isnan(row["value"]):
            value = with_interval(row["value"], row["ci_low"], row["ci_high"])
            parts.append(f"{space_title(store, space)} **{value}**{'' if separates(row) else '?'}")
    n = int((store.targets[store.rows(asked.split), store.labels.index(asked.label)] == 1).sum())
    label = in_markdown(asked.label)
    if not parts or n < FEW:
        return f"{label}: {n} positive films in {asked.split} are too few to say whether they lie together."
    return f"Neighbours that share {label}, times chance ({n} films; ? may be chance): {', '.join(parts)}."
