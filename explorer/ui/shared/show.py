"""Tables of data on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from explorer.data.text import plain_table

if TYPE_CHECKING:
    import pandas as pd


def show_table(frame: pd.DataFrame, **options: Any) -> None:
    """A table that shows its texts as they are written; ``options`` are those of ``st.dataframe``."""
    st.dataframe(plain_table(frame), **options)
