"""Films to zoom, turn, window and measure in the browser, each with its annotations and a map on it.

A film travels with its own bits (``explorer.data.viewer_film``). As for any picture of Streamlit's, its file lies in
memory for the sessions that show it, at an address that only they are told.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from streamlit import runtime

from explorer.data.regions import with_shape
from explorer.data.text import in_markdown, plain
from explorer.data.viewer_film import for_viewer
from explorer.environment import without_store_root
from explorer.errors import UserError
from explorer.store.folder import LeftOut
from explorer.ui.components.modules import joined
from explorer.ui.shared import cache
from explorer.ui.shared.frame import LONGEST_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from explorer.figures.overlay import MapLayers
    from explorer.store.reader import Store

_HERE = Path(__file__)
_FILM = _HERE.with_name("film_view") / "film.html"


def film_html(tools: str = "", over: str = "") -> str:
    """Films and the bar of their tools, to which ``tools`` are added; ``over`` lies on the films."""
    return Template(_FILM.read_text(encoding="utf-8")).substitute(tools=tools, over=over)


FILM_CSS = _FILM.with_suffix(".css").read_text(encoding="utf-8")
_view = st.components.v2.component("film_viewer", html=film_html(), css=FILM_CSS, js=joined(_HERE.with_suffix(".js")))


@dataclass(frozen=True)
class Film:
    """A film as ``film.js`` gets it.

    Attributes
    ----------
    row : int
    facts : dict
        Name, size, and what window, level and measures need.
    packed : bytes
        Its own values (``ViewerFilm.packed``); empty where the thumbnail is all there is.
    """

    row: int
    facts: dict[str, object]
    packed: bytes = b""


@dataclass(frozen=True)
class Pane:
    """A film in the viewer.

    Attributes
    ----------
    alt : str
        What it is called where it is not seen; by default the film's name.
    title, text, remark : str
        Above the film, and below it.
    colour : str
        Of the title; empty for the page's own.
    opens : bool
        Whether a press on the title opens the film.
    marks : list
        As :func:`shapes_to_draw` gives them.
    map : MapLayers or None
    """

    film: Film
    alt: str = ""
    title: str = ""
    text: str = ""
    remark: str = ""
    colour: str = ""
    opens: bool = False
    marks: list[dict[str, object]] = field(default_factory=list)
    map: MapLayers | None = None


_PICTURE: dict[str, object] = {
    "n": 256,
    "slope": 1.0,
    "intercept": 0.0,
    "padded": False,
    "inverted": False,
    "windows": {"default": (0, 255), "lung": (0, 170), "bone": (85, 255)},
    "spacing": None,
}
"""What window, level and measures need of a film that comes as a picture of 8 bits."""


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=cache.RUN_FUNCS)
def own_film(store: Store, row: int) -> Film:
    """A film with its own values; a UserError where it is not on this machine or cannot be read."""
    film = for_viewer(cache.stored_film(store, row))
    facts = {
        **_about(store, row),
        "about": film.words(),
        **film.facts(),
        "spacing": film.spacing and asdict(film.spacing),
    }
    return Film(row, facts, film.packed())


def film_or_thumbnail(store: Store, row: int) -> tuple[Film, str]:
    """A film with its own values; where it is not on this machine, its thumbnail, and a note as Markdown.

    A copy that was published without films needs no note.
    """
    thumbnail = Film(row, {**_about(store, row), **_PICTURE, "about": "thumbnail of 8 grey bits"})
    try:
        return own_film(store, row), ""
    except LeftOut:
        return thumbnail, ""
    except UserError as error:
        what = in_markdown(without_store_root(error.what), LONGEST_ERROR)
        return thumbnail, f"{what} Its thumbnail is shown."


def uploaded_film(name: str, jpeg: bytes, size: tuple[int, int]) -> Film:
    """A film that a visitor uploaded, of which a small picture is kept; ``size`` is its own width and height."""
    return Film(-1, {**_named(name, size, jpeg), **_PICTURE, "about": "reduced, 8 grey bits"})


def _about(store: Store, row: int) -> dict[str, object]:
    return _named(str(store.samples["sample_id"].iat[row]), store.film_size(row), store.thumbnail(row))


def _named(name: str, size: tuple[int, int], poster: bytes) -> dict[str, object]:
    return {"name": name, "width": size[0], "height": size[1], "poster": _data_url("image/jpeg", poster)}


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def shapes_to_draw(annotations: pd.DataFrame) -> list[dict[str, object]]:
    """Annotations as the viewer draws them: corners in film pixels, label, reader and the reader's colour."""
    out: list[dict[str, object]] = []
    shapes = with_shape(annotations)
    boxes = shapes[["x", "y", "w", "h"]].to_numpy(dtype=float).tolist()
    about = shapes[["label", "annotator", "colour"]].rename(columns={"annotator": "reader"}).to_dict("records")
    for (x, y, w, h), polygon, what in zip(boxes, shapes["polygon"], about, strict=True):
        points = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
        if polygon is not None:
            points = np.asarray(polygon, dtype=float).reshape(-1, 2).tolist()
        out.append({"points": points, **{str(key): str(value) for key, value in what.items()}})
    return out


def films_data(panes: Sequence[Pane]) -> dict[str, object]:
    """What ``film.js`` shows: each film once, and the panes."""
    return {
        "films": {str(pane.film.facts["name"]): {**pane.film.facts, "url": _url(pane.film)} for pane in panes},
        "panes": [
            {
                "film": pane.film.facts["name"],
                "alt": pane.alt or f"Film {plain(pane.film.facts['name'])}",
                "title": pane.title,
                "text": pane.text,
                "remark": pane.remark,
                "colour": pane.colour,
                "opens": pane.opens,
                "marks": pane.marks,
                "map": pane.map and _map_data(pane.map),
            }
            for pane in panes
        ],
    }


def _url(film: Film) -> str:
    """Where the browser finds a film's values; empty where it has none, and without a server."""
    if not film.packed or not runtime.exists():
        return ""
    files = runtime.get_instance().media_file_mgr
    return files.add(film.packed, "application/octet-stream", f"film-{film.row}")


def _map_data(layers: MapLayers) -> dict[str, object]:
    return {
        "source": _data_url("image/png", layers.png) if layers.png else "",
        "blend": layers.blend,
        "contours": layers.contours,
        "colour": layers.colour,
        "seen": layers.seen,
    }


def viewer(
    panes: Sequence[Pane],
    on_step: Callable[[int], None] | None = None,
    on_open: Callable[[str], None] = lambda _: None,
    *,
    compact: bool = False,
) -> None:
    """Draw films side by side, at least one.

    Parameters
    ----------
    panes : list
        Panes of one film share zoom, turn, window and measures. They are kept for each film while the tab is open.
    on_step : callable, optional
        Called with -1 or 1 when an arrow key is pressed.
    on_open : callable, optional
        Called with the id of a film whose title is pressed.
    compact : bool
        Whether the bar holds the most needed tools alone; keys and gestures stay.
    """

    def stepped() -> None:
        step = st.session_state["viewer"].step
        if on_step and step in (-1, 1):
            on_step(step)

    def opened() -> None:
        on_open(str(st.session_state["viewer"].opened))

    data = {**films_data(panes), "steps": on_step is not None, "compact": compact}
    _view(key="viewer", data=data, on_step_change=stepped, on_opened_change=opened)
