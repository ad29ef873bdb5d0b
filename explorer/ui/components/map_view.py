"""The maps in the browser: one small adapter around the modules in ``map_view/``.

Five parts of it are mounted. Geometry and paint carry bytes and draw nothing; Streamlit sends a part again only where
it changed, so a new colour sends one byte a film and a selection sends neither. The side panel tells of a film or of a
selection. What maps and side panel show of a film they ask for in a fragment of its own.
docs/decisions/interface.md says why this and not a chart library.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from explorer.figures.maps import geometry_bytes
from explorer.ui.components.modules import joined
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.links import BadLink, rows_from_text, rows_to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from explorer.figures.maps import MapSign
    from explorer.store.reader import Store
    from explorer.tables.map_films import FilmCard, Landmark

MOST_CARDS = 24
"""Films that the browser may ask for at once."""
MOST_IN_GALLERY = 480
"""Films of a selection whose thumbnails the side panel offers."""

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
_CSS = _HERE.with_suffix(".css").read_text(encoding="utf-8")

_geometry = st.components.v2.component("map_geometry", js=joined(_HERE.with_suffix("") / "maps.js"))
_paint = st.components.v2.component("map_paint", js=_PART.replace("PART", "paint"))
_maps = st.components.v2.component("linked_maps", css=_CSS, js=_PART.replace("PART", "maps"))
_side = st.components.v2.component("map_side", css=_CSS, js=_PART.replace("PART", "side"))
_films = st.components.v2.component("map_films", js=_PART.replace("PART", "films"))


@dataclass(frozen=True)
class Panel:
    """One map: its own name, the layout it draws, what stands above it, and what is drawn on it beside films."""

    name: str
    layout: str
    title: str
    note: str
    alt: str
    signs: tuple[MapSign, ...] = ()
    thumbs: tuple[Landmark, ...] = ()


@dataclass(frozen=True)
class Composition:
    """What the side panel says of a selection.

    Attributes
    ----------
    sentence, note : what stands out, and how to read it
    lifts : one mapping per label, as ``side.js`` draws it: label, count, lift, low, high, apart
    """

    sentence: str
    lifts: tuple[Mapping[str, Any], ...]
    note: str


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def _geometry_of(store: Store, layouts: tuple[str, ...]) -> bytes:
    return geometry_bytes(_geometry_id(store, layouts), {name: store.map(name) for name in layouts})


def _geometry_id(store: Store, layouts: tuple[str, ...]) -> str:
    return f"{store.path.name} {store.manifest.created} {','.join(layouts)}"


def _layouts(panels: Sequence[Panel]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(panel.layout for panel in panels))


def send_points(store: Store, panels: Sequence[Panel], paint: bytes) -> None:
    """Send where the films of some maps lie and how they look; draws nothing.

    Parameters
    ----------
    paint : as ``figures.maps.paint_bytes`` makes it
    """
    with st.container(gap=None):  # they draw nothing, and must not leave gaps
        _geometry(key="map-geometry", data=_geometry_of(store, _layouts(panels)), height=1)
        _paint(key="map-paint", data=paint, height=1)


def linked_maps(
    store: Store,
    panels: Sequence[Panel],
    paint_id: str,
    films_id: str,
    *,
    sign_names: Sequence[tuple[str, str, str]],
    selected: NDArray[np.int64],
    ringed: int | None,
    on_click: Callable[[int], None],
    on_pick: Callable[[NDArray[np.int64]], None],
    on_open: Callable[[int, str], None],
) -> None:
    """Draw maps of the same films beside one another; pointing, selecting and moving in one happens in all.

    Parameters
    ----------
    paint_id : str
        Names the paint that :func:`send_points` sent; it differs wherever the bytes differ.
    films_id : str
        Names what is shown of a film, as in :func:`film_cards`: the browser keeps it until it is named otherwise.
    sign_names : sign, meaning and colour of every sign that a panel may have, for the legend
    selected : (m,) rows lit up; the other films stay as context
    ringed : row of the film in the address
    on_click : given the row of a film clicked
    on_pick : given the rows (ascending) of a box or lasso; none where the selection was cleared
    on_open : given a film's row and the title of the page to open it on
    """

    def picked() -> None:
        try:
            rows = rows_from_text(str(st.session_state["map"].picked), store.n)
        except BadLink:
            return  # our own modules send nothing of the kind
        on_pick(rows)

    def clicked() -> None:
        row = st.session_state["map"].clicked
        if isinstance(row, int) and 0 <= row < store.n:
            on_click(row)

    def opened() -> None:
        row, title = st.session_state["map"].opened
        if isinstance(row, int) and 0 <= row < store.n:
            on_open(row, str(title))

    _maps(
        key="map",
        data={
            "geometry": _geometry_id(store, _layouts(panels)),
            "paint": paint_id,
            "films": films_id,
            "panels": [
                {
                    "name": panel.name,
                    "map": panel.layout,
                    "title": panel.title,
                    "note": panel.note,
                    "alt": panel.alt,
                    "marks": [sign.plain() for sign in panel.signs],
                    "thumbs": [asdict(landmark) for landmark in panel.thumbs],
                }
                for panel in panels
            ],
            "words": list(sign_names),
            "selected": rows_to_text(selected, store.n),
            "ring": -1 if ringed is None else ringed,
        },
        on_picked_change=picked,
        on_clicked_change=clicked,
        on_opened_change=opened,
    )


def side_panel(
    store: Store,
    films_id: str,
    *,
    film: int | None,
    links: Mapping[str, str],
    hint: str,
    selected: NDArray[np.int64],
    composition: Composition | None,
    cards: Sequence[FilmCard],
) -> None:
    """What stands beside the maps: the film last pointed at, or the selection's composition and gallery.

    Parameters
    ----------
    film : row of the film in the address
    links : title of a page to its address, to which the film is added
    hint : what stands there while there is neither film nor selection
    selected : (m,) rows, ascending
    composition : of the selection; None where nothing is selected
    cards : films sent along, so that the gallery begins without a question
    """
    beyond = len(selected) - MOST_IN_GALLERY
    selection = composition and {
        **asdict(composition),
        "rows": rows_to_text(selected[:MOST_IN_GALLERY], store.n),
        "more": f"and {beyond:,} more" if beyond > 0 else "",
    }
    _side(
        key="map-side",
        data={
            "id": films_id,
            "film": -1 if film is None else film,
            "links": dict(links),
            "hint": hint,
            "selection": selection,
            "cards": [_plain(store, card) for card in cards],
        },
    )


@st.fragment
@panel
def film_cards(store: Store, films_id: str, card: Callable[[int], FilmCard]) -> None:
    """Answer what maps and side panel ask: the cards of the films asked for, and of no others. Draws nothing itself."""
    state = st.session_state.get("map-films")
    wanted = state.wanted if state is not None else None
    rows = wanted if isinstance(wanted, list) else []
    cards = [card(row) for row in rows[:MOST_CARDS] if isinstance(row, int) and 0 <= row < store.n]
    _films(
        key="map-films",
        data={"id": films_id, "films": [_plain(store, one) for one in cards]},
        height=1,
        on_wanted_change=lambda: None,
    )


def _plain(store: Store, card: FilmCard) -> dict[str, Any]:
    thumbnail = base64.b64encode(store.thumbnail(card.row)).decode()
    return {**asdict(card), "src": f"data:image/jpeg;base64,{thumbnail}"}
