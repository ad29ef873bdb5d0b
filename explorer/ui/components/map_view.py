"""The maps in the browser: one small adapter around the modules in ``map_view/``.

Four parts of it are mounted. Geometry and paint carry bytes and draw nothing; Streamlit sends a part again only where
it changed, so a new colour sends one byte a film and a selection sends neither. A hover asks, in a fragment of its own,
for the thumbnails it needs. docs/decisions/interface.md says why this and not a chart library.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from explorer.figures.maps import geometry_bytes
from explorer.ui.components.modules import joined
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.links import BadLink, rows_from_text, rows_to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from explorer.figures.maps import MapSign
    from explorer.store.reader import Store

MOST_TIPS = 16
"""Films a hover may ask for at once."""

_HERE = Path(__file__)

# The parts that change often carry this little; the modules come with the geometry, which hardly ever changes.
_PART = """
export default (component) => {
  const hub = (globalThis.cxrMaps ??= new EventTarget());
  if (hub.parts) return hub.parts.PART(component);
  const late = () => (end = hub.parts.PART(component));
  let end;
  hub.addEventListener("parts", late, { once: true });
  return () => (hub.removeEventListener("parts", late), end?.());
};
"""

_geometry = st.components.v2.component("map_geometry", js=joined(_HERE.with_suffix("") / "maps.js"))
_paint = st.components.v2.component("map_paint", js=_PART.replace("PART", "paint"))
_maps = st.components.v2.component(
    "linked_maps", css=_HERE.with_suffix(".css").read_text(encoding="utf-8"), js=_PART.replace("PART", "maps")
)
_tips = st.components.v2.component("map_tips", js=_PART.replace("PART", "tips"))


@dataclass(frozen=True)
class Panel:
    """One map: its own name, the layout it draws, what stands above it, and what is drawn on it beside films."""

    name: str
    layout: str
    title: str
    note: str
    alt: str
    signs: tuple[MapSign, ...] = ()


@dataclass(frozen=True)
class Tip:
    """What a hover shows of a film: its thumbnail (JPEG) and lines of text, the first two the most important."""

    row: int
    jpeg: bytes
    lines: tuple[str, ...]


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def _geometry_of(store: Store, layouts: tuple[str, ...]) -> bytes:
    return geometry_bytes(_geometry_id(store, layouts), {name: store.map(name) for name in layouts})


def _geometry_id(store: Store, layouts: tuple[str, ...]) -> str:
    return f"{store.path.name} {store.manifest.created} {','.join(layouts)}"


def linked_maps(
    store: Store,
    panels: Sequence[Panel],
    painted: tuple[str, bytes],
    tips_id: str,
    *,
    height: int,
    selected: NDArray[np.int64],
    ringed: int | None,
    on_click: Callable[[int], None],
    on_pick: Callable[[NDArray[np.int64]], None],
    on_open: Callable[[int], None],
) -> None:
    """Draw maps of the same films beside one another; pointing, selecting and moving in one happens in all.

    Parameters
    ----------
    painted : its id, which differs wherever the bytes differ, and the bytes that ``figures.maps.paint_bytes`` makes
    tips_id : str
        Names what hovers show, as in :func:`tips`: the browser keeps it until it is named otherwise.
    height : int
        Pixels of each map.
    selected : (m,) rows lit up; the other films stay as context
    ringed : row of the film in the address
    on_click : told the row of a film clicked
    on_pick : told the rows (ascending) of a box or lasso; none where the selection was cleared
    on_open : told the row of a film clicked twice
    """
    layouts = tuple(dict.fromkeys(panel.layout for panel in panels))

    def picked() -> None:
        try:
            rows = rows_from_text(str(st.session_state["map"].picked), store.n)
        except BadLink:
            return  # our own modules send nothing of the kind
        on_pick(rows)

    def clicked(event: str, callback: Callable[[int], None]) -> None:
        row = st.session_state["map"][event]
        if isinstance(row, int) and 0 <= row < store.n:
            callback(row)

    _maps(
        key="map",
        data={
            "geometry": _geometry_id(store, layouts),
            "paint": painted[0],
            "films": tips_id,
            "panels": [
                {
                    "name": panel.name,
                    "map": panel.layout,
                    "title": panel.title,
                    "note": panel.note,
                    "alt": panel.alt,
                    "marks": [sign.plain() for sign in panel.signs],
                }
                for panel in panels
            ],
            "height": height,
            "selected": rows_to_text(selected, store.n),
            "ring": -1 if ringed is None else ringed,
        },
        on_picked_change=picked,
        on_clicked_change=lambda: clicked("clicked", on_click),
        on_opened_change=lambda: clicked("opened", on_open),
    )
    with st.container(gap=None):  # they draw nothing, and must not leave gaps
        _geometry(key="map-geometry", data=_geometry_of(store, layouts), height=1)
        _paint(key="map-paint", data=painted[1], height=1)


@st.fragment
@panel
def tips(store: Store, tips_id: str, tip: Callable[[int], Tip]) -> None:
    """Answer hovers: the thumbnails and words of the films asked for, and of no others. Draws nothing itself."""
    state = st.session_state.get("map-tips")
    wanted = state.wanted if state is not None else None
    rows = wanted if isinstance(wanted, list) else []
    films = [tip(row) for row in rows[:MOST_TIPS] if isinstance(row, int) and 0 <= row < store.n]
    _tips(
        key="map-tips",
        data={
            "id": tips_id,
            "films": [
                {
                    "row": film.row,
                    "src": "data:image/jpeg;base64," + base64.b64encode(film.jpeg).decode(),
                    "lines": film.lines,
                }
                for film in films
            ],
        },
        height=1,
        on_wanted_change=lambda: None,
    )
