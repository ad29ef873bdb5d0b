"""Tables of data and titles of figures on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from explorer.data.text import in_markdown, plain, plain_table
from explorer.tables.glossary import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from explorer.store.reader import Store

FIGURES = Path(__file__).with_name("figure.css").read_text(encoding="utf-8")
"""What figures of HTML and SVG share; every page has it."""
SMALL_CURVES = Path(__file__).with_name("small_curves.css").read_text(encoding="utf-8")
"""What the classes of ``figures.curve_pictures`` look like."""


def show_table(frame: pd.DataFrame, **options: Any) -> None:
    """A table that shows its texts as they are written; ``options`` are those of ``st.dataframe``."""
    st.dataframe(plain_table(frame), **options)


def show_film(store: Store, row: int, width: int | Literal["stretch"]) -> None:
    """A film's thumbnail; nothing in a run that was imported without films."""
    if store.has_films:
        name = plain(store.samples["sample_id"].iat[row])
        st.image(store.thumbnail(row), width=width, alt=f"Film {name}")


def figure_title(*parts: str, terms: Sequence[str] = ()) -> None:
    """Above a figure: what it shows, then whose it is (label, regime, split, film), as they are written.

    Parameters
    ----------
    terms : of the glossary, explained beside it
    """
    st.markdown(f"**{' · '.join(map(in_markdown, parts))}**", help=hint(*terms) or None)
