"""The selection's chip in the bar, and behind it a list of selections kept for the session, to combine and save."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.text import in_markdown
from explorer.ui.shared import address, selection
from explorer.ui.shared.selection import LONGEST_NAME, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.shared.selection import Selection

CHIP = "selections"
"""Key of the fragment: whoever changes the selection within another fragment draws this one anew, too."""
COMBINED: dict[str, Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]] = {
    "and": np.intersect1d,
    "or": np.union1d,
    "without": np.setdiff1d,
}
"""Films of both selections, of either one, of the first alone; the word stands in the result's name."""
_KEPT = "selections-kept"


@st.fragment(key=CHIP)
def choose_selection(store: Store) -> None:
    """How many films are selected, and a tap that takes the selection away; nothing where there is no selection."""
    selected: Selection | None = address.value("sel")
    kept = _kept(store)
    if selected is None and not kept:
        return
    with st.container(key="context-selection", horizontal=True, vertical_alignment="center", gap="small"):
        opened = st.popover(
            counted(len(selected.rows)) if selected else "Selections",
            icon=":material/select_all:",
            help=f"Selected: {in_markdown(selected.name)}" if selected else None,
            key="selections-open",
            on_change="rerun",
        )
        if selected:
            st.button("Clear selection", icon=":material/close:", key="selection-clear", on_click=_select, args=(None,))
    if opened.open:
        with opened:
            if selected:
                _current(store, selected, kept)
            for place, one in enumerate(kept):
                _line(store, one, place)
            _combine(store, [*([selected] if selected else []), *kept])


def _current(store: Store, selected: Selection, kept: list[Selection]) -> None:
    key = address.show("selection-name", selected.name)
    st.text_input(
        "Name of the selection",
        max_chars=LONGEST_NAME,
        key=key,
        on_change=lambda: _select(_renamed(store, selected, st.session_state[key])),
    )
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Keep in the list",
            icon=":material/playlist_add:",
            help="For this session; a link holds the current selection alone.",
            disabled=any(one.token == selected.token and np.array_equal(one.rows, selected.rows) for one in kept),
            on_click=lambda: st.session_state[_KEPT].append(selected),
        )
        selection.offer_files(store, selected, "current")


def _line(store: Store, one: Selection, place: int) -> None:
    """One of the list: its name, to be edited, and what can be done with it."""
    key = address.show(f"kept-{place}", one.name)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.text_input(
            f"Kept: {counted(len(one.rows))}",
            max_chars=LONGEST_NAME,
            width=220,
            key=key,
            on_change=lambda: _replace(one, _renamed(store, one, st.session_state[key])),
        )
        st.button("Select", key=f"kept-select-{place}", on_click=_select, args=(one,))
        selection.offer_files(store, one, f"kept-{place}")
        st.button("Remove", icon=":material/delete:", key=f"kept-remove-{place}", on_click=_replace, args=(one, None))


def _combine(store: Store, given: list[Selection]) -> None:
    """Two selections to a new one."""
    if len(given) < 2:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        one = given[_place("Films of", given, 0)]
        word = st.selectbox("How", list(COMBINED), key="combine-how", width=110)
        two = given[_place("Films of the other", given, 1)]
        rows = COMBINED[word](one.rows, two.rows)
        st.button(
            f"Select {counted(len(rows))}" if len(rows) else "No film",
            disabled=not len(rows),
            key="combine",
            on_click=lambda: _select(selection.make(store, rows, f"{one.name} {word} {two.name}")),
        )


def _place(title: str, given: list[Selection], default: int) -> int:
    """The place of one of several selections."""
    return st.selectbox(
        title, range(len(given)), default, lambda place: given[place].name, key=f"combine-{default}", width=180
    )


def _kept(store: Store) -> list[Selection]:
    """The list, of this run alone."""
    every: list[Selection] = st.session_state.setdefault(_KEPT, [])
    return [one for one in every if one.run_id == store.manifest.run_id]


def _renamed(store: Store, one: Selection, name: str) -> Selection:
    """The same films under a name of which something is left as plain text, else under their former one."""
    renamed = selection.make(store, one.rows, name)
    return renamed if renamed.name else one


def _replace(one: Selection, other: Selection | None) -> None:
    every: list[Selection] = st.session_state[_KEPT]
    place = next(place for place, held in enumerate(every) if held is one)
    every[place : place + 1] = [] if other is None else [other]


def _select(one: Selection | None) -> None:
    address.choose(sel=one)
    st.rerun()  # a widget of a fragment would draw that fragment alone
