"""A film to draw boxes on in the browser."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.text import plain
from explorer.figures.overlay import Box
from explorer.ui.components.modules import joined
from explorer.ui.components.viewer import shapes_to_draw

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_pencil = st.components.v2.component(
    "film_pencil",
    html='<svg role="img" aria-label="The film"><image preserveAspectRatio="none" /><g></g><rect /></svg>',
    css="""
    :host { display: block; }
    svg { display: block; width: 100%; max-height: 78vh; background: #000; border-radius: var(--st-base-radius);
          cursor: crosshair; touch-action: none; }
    polygon, rect { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
    rect { stroke: #ffffff; stroke-dasharray: 5 4; }
    """,
    js=joined(Path(__file__).with_suffix(".js")),
)


def pencil(name: str, jpeg: bytes, size: tuple[int, int], shapes: pd.DataFrame, on_box: Callable[[Box], None]) -> None:
    """Draw a film that boxes can be drawn on.

    Parameters
    ----------
    name : str
        The film's id.
    size : width, height
        Of the film in its own pixels, the units of all boxes.
    shapes : DataFrame
        Annotations to show, with ``colour``.
    on_box : callable
        Told x, y, w, h of a box when it is finished.
    """

    def finished() -> None:
        box = st.session_state["pencil"].box
        if isinstance(box, (list, tuple)) and len(box) == 4:
            x, y, w, h = (float(side) for side in box)
            on_box((x, y, w, h))

    _pencil(
        key="pencil",
        data={
            "film": name,
            "source": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
            "width": size[0],
            "height": size[1],
            "marks": shapes_to_draw(shapes),
            "alt": f"Film {plain(name)}: draw a box around the finding",
        },
        on_box_change=finished,
    )
