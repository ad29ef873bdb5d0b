"""Previous and Next: the one way to step through films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.ui.shared import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store


@dataclass(frozen=True)
class FilmOrder:
    """The films that Previous and Next step through: their rows, ascending, and what they are called, as Markdown."""

    rows: NDArray[np.int64]
    name: str

    def beside(self, row: int, by: int) -> int | None:
        """The film before (by -1) or after (by 1) a film, which need not be one of them; None past the ends.

        Examples
        --------
        >>> order = FilmOrder(np.array([2, 5, 9]), "three films")
        >>> [order.beside(row, 1) for row in (0, 2, 3, 9)], [order.beside(row, -1) for row in (2, 3, 5)]
        ([2, 5, 5, None], [None, 2, 2])
        """
        place = int(np.searchsorted(self.rows, row)) - 1 if by < 0 else int(np.searchsorted(self.rows, row, "right"))
        return int(self.rows[place]) if 0 <= place < len(self.rows) else None


def step(store: Store, order: FilmOrder, row: int, by: int) -> None:
    """Open the film before or after this one, if there is one."""
    other = order.beside(row, by)
    if other is not None:
        choose.open_film(str(store.samples["sample_id"].iat[other]))


def stepper(store: Store, order: FilmOrder, row: int, help: str | None = None) -> None:
    """The two buttons, and where the film stands among the others."""
    for title, icon, by in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
        st.button(
            title,
            icon=f":material/{icon}:",
            key=f"step-{title.lower()}",
            disabled=order.beside(row, by) is None,
            on_click=step,
            args=(store, order, row, by),
        )
    place = int(np.searchsorted(order.rows, row))
    here = place < len(order.rows) and order.rows[place] == row
    st.markdown(
        f"{place + 1:,} of {len(order.rows):,} in {order.name}" if here else f"{len(order.rows):,} in {order.name}",
        width="content",
        help=help,
    )
