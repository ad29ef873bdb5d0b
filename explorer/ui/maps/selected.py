"""Beside the maps: the film last pointed at, or what a selection holds and where it can be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from explorer.analysis.composition import lifts
from explorer.analysis.evidence import FEW
from explorer.data.text import AXIS, plain
from explorer.tables.map_films import FilmCard, film_card
from explorer.ui.components.map_view import MOST_CARDS, Composition, side_panel
from explorer.ui.shared import address, selection
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.filter import narrowed
from explorer.ui.shared.frame import panel
from explorer.ui.shared.selection import counted
from explorer.ui.shared.selections import CHIP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.tables.map_colours import Asked
    from explorer.ui.shared.frame import View
    from explorer.ui.shared.selection import Selection

MAPS = "maps"
"""Key of the fragment that maps and side panel are."""
PAGES = {"Case": "pages/case.py", "Neighbours": "pages/neighbours.py", "Grad-CAM": "pages/grad_cam.py"}
"""Where a film can be opened, by the link's title."""
HINT = (
    "Point at a film to see it here; click to keep it, twice to open its case. Box and lasso select many. "
    "On the keyboard, arrows step, Enter opens, Space selects."
)
NOTE = (
    "In brackets: positives of those known in the selection. Lift (×): the share here over the share among all {n} "
    "films compared; the middle line is no difference. Bars are 95% intervals that count patients. The selection was "
    "made by eye: a lift is a lead, not a finding."
)


def films_id(store: Store, label: str) -> str:
    """Names what is shown of a film."""
    return f"{store.path.name} {store.manifest.created} {label}"


@panel
def beside_maps(view: View, asked: Asked, picked: Selection, film: int | None) -> None:
    """The side panel, with the selection's actions above it."""
    store, rows = view.store, narrowed(view.store, picked.rows)
    if len(picked.rows):
        _actions(view, picked)
    if len(rows) < len(picked.rows):
        st.caption(f"The filter leaves {len(rows):,} of them.")
    side_panel(
        store,
        films_id(store, asked.label),
        film=film,
        links={title: f"{file.removeprefix('pages/').removesuffix('.py')}?{_query()}" for title, file in PAGES.items()},
        hint=HINT,
        selected=rows,
        composition=_composition(store, asked, rows) if len(rows) else None,
        cards=_first_cards(store, asked.label, rows),
    )


def _query() -> str:
    return urlencode(address.link())


def _first_cards(store: Store, label: str, rows: NDArray[np.int64]) -> list[FilmCard]:
    return [film_card(store, label, row) for row in rows[: MOST_CARDS // 2].tolist()]


def _actions(view: View, picked: Selection) -> None:
    films = counted(len(picked.rows))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{films} selected**", width="stretch")
        st.button("Clear", icon=":material/close:", on_click=_clear)
    send = st.popover(f"Send {films} to …", width="stretch", key="map-send", on_change="rerun")
    if not send.open:
        return
    with send:
        selection.actions(view, picked.rows, picked.name, key="selected")


def _clear() -> None:
    selection.clear()
    st.rerun([MAPS, CHIP])


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _composition(store: Store, asked: Asked, picked: NDArray[np.int64]) -> Composition:
    chosen = np.zeros(store.n, dtype=bool)
    chosen[picked] = True
    compared = store.rows(asked.part)
    outside = len(picked) - int(chosen[compared].sum())
    if outside:
        compared = np.arange(store.n)
    frame = lifts(store.targets[compared], chosen[compared], store.patients[compared], store.labels)
    frame = frame[frame["lift"] > 0].assign(more=(frame["low"] > 1) & (frame["n_pos"] >= FEW))
    frame = frame.sort_values(["more", "lift"], ascending=False, kind="stable")
    patients = len(np.unique(store.patients[picked]))
    sentence = f"{patients:,} patient{'s' if patients > 1 else ''}. "
    sentence += f"{outside:,} of these films are not in {asked.part}, so not drawn. " if outside else ""
    if frame.empty:
        return Composition(f"{sentence}No film here has a positive label.", (), "")
    more = [plain(label, AXIS) for label in frame.loc[frame["more"], "label"]]
    sentence += f"More than elsewhere: {', '.join(more[:3])}." if more else "No label is over-represented (95%)."
    shown = tuple(
        {
            "label": plain(row["label"], AXIS),
            "count": f"{row['n_pos']:,} of {row['n']:,}",
            "apart": bool(row["more"] or row["high"] < 1),
            **{key: float(row[key]) for key in ("lift", "low", "high")},
        }
        for row in frame.to_dict("records")
    )
    return Composition(sentence, shown, NOTE.format(n=f"{len(compared):,}"))
