"""A film to zoom, pan and window in the browser, with its annotations on it."""

from __future__ import annotations

import base64
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.regions import with_shape
from explorer.data.text import plain
from explorer.ui.components.modules import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_HERE = Path(__file__)
_FILM = _HERE.with_name("film.html")


def film_html(tools: str = "", over: str = "") -> str:
    """A film and the bar of its tools, to which ``tools`` are added; ``over`` lies on the film."""
    return Template(_FILM.read_text(encoding="utf-8")).substitute(tools=tools, over=over)


FILM_CSS = _FILM.with_suffix(".css").read_text(encoding="utf-8")
_view = st.components.v2.component("film_viewer", html=film_html(), css=FILM_CSS, js=joined(_HERE.with_suffix(".js")))


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


def film_data(name: str, jpeg: bytes, size: tuple[int, int], shapes: list[dict[str, object]]) -> dict[str, object]:
    """What ``film.js`` shows: the parameters of :func:`viewer`."""
    return {
        "film": name,
        "source": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        "width": size[0],
        "height": size[1],
        "marks": shapes,
        "alt": f"Film {plain(name)}",
    }


def viewer(
    name: str, jpeg: bytes, size: tuple[int, int], shapes: list[dict[str, object]], on_step: Callable[[int], None]
) -> None:
    """Draw a film.

    Parameters
    ----------
    name : str
        The film's id: another id resets zoom and window.
    jpeg : bytes
        The picture, at any size.
    size : width, height
        Of the film in its own pixels, the units of ``shapes``.
    shapes : list
        As :func:`shapes_to_draw` gives them.
    on_step : callable
        Called with -1 or 1 when an arrow key is pressed.
    """

    def stepped() -> None:
        step = st.session_state["viewer"].step
        if step in (-1, 1):
            on_step(step)

    _view(key="viewer", data=film_data(name, jpeg, size, shapes), on_step_change=stepped)
