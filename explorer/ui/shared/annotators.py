"""Who marked a film, each in a colour of their own on all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.regions import with_shape
from explorer.data.text import in_html
from explorer.ui.shared import cache

if TYPE_CHECKING:
    import pandas as pd

    from explorer.store.reader import Store

COLOURS = ("#00e6ff", "#ffe600", "#78ff78", "#ff8cff")
"""The first for a film's first annotator by name; a fifth annotator gets the first colour again."""


def film_annotations(store: Store, row: int) -> pd.DataFrame:
    """What annotators said of a film: the columns of :func:`explorer.store.marks.all_annotations`, and ``colour``."""
    annotations = cache.run_annotations(store)
    annotations = annotations[annotations["row"] == row]
    colour_of = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(sorted(set(annotations["annotator"])))}
    return annotations.assign(colour=annotations["annotator"].map(colour_of).astype(object))


def legend(annotations: pd.DataFrame) -> None:
    """One line for each annotator: the colour, what they marked, and where they saw nothing to mark."""
    lines = []
    for annotator, mine in annotations.groupby("annotator"):
        counts = with_shape(mine)["label"].value_counts(sort=False)
        marked = ", ".join(in_html(label) if n == 1 else f"{in_html(label)} ({n})" for label, n in counts.items())
        nothing = ", ".join(map(in_html, mine.loc[mine["x"].isna(), "label"]))
        summary = "; ".join(part for part in (marked, nothing and f"nothing to mark: {nothing}") if part)
        swatch = (
            '<span style="display:inline-block;width:.8em;height:.8em;margin-right:.5em;border:1px solid #0006;'
            f'background:{mine["colour"].iat[0]}"></span>'
        )
        lines.append(f'<div title="{in_html(annotator, None)}">{swatch}{in_html(annotator)}: {summary}</div>')
    if lines:
        st.html(f'<div style="font-size:.875rem;line-height:1.6">{"".join(lines)}</div>')
