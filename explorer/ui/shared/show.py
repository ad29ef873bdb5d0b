"""Tables of data and titles of figures on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from explorer.data.text import in_markdown, plain_table

if TYPE_CHECKING:
    import pandas as pd

SMALL_CURVES = Path(__file__).with_name("small_curves.css").read_text(encoding="utf-8")
"""What the classes of ``figures.curve_pictures`` look like."""


def show_table(frame: pd.DataFrame, **options: Any) -> None:
    """A table that shows its texts as they are written; ``options`` are those of ``st.dataframe``."""
    st.dataframe(plain_table(frame), **options)


def figure_title(*parts: str) -> None:
    """Above a figure: what it shows, then whose it is (label, regime, split, film), as they are written."""
    st.markdown(f"**{' · '.join(map(in_markdown, parts))}**")
