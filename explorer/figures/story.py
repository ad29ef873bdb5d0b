"""The first page's small figures, as HTML with SVG pictures in it: no script, a few kilobytes each. Pure.

``explorer/ui/overview.css`` holds what the classes look like. Colours read on the light and the dark page.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html, plain
from explorer.figures.curve_pictures import mark, picture, svg
from explorer.figures.maps import POSITIVE
from explorer.figures.style import GREY, compact, number, translucent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from explorer.figures.style import Style

MOST_CHIPS = 8
"""Labels of one kind shown beside a film; the others are counted."""
WIDE, HIGH = 160, 100
"""The small map's own units. Films keep to the part that the thumbnails leave."""
THUMBNAIL, MARGIN = 24, 4
MOST_CONTEXT = 3000
"""Films without the label that a small map draws at most, evenly thinned: more would lie on top of each other."""


@dataclass(frozen=True)
class Row:
    """One line of :func:`rows`: a figure with its interval, as text and as a mark on the scale.

    Attributes
    ----------
    name : str
        What the figure is of; empty where the line above says it.
    text : str
    value, low, high : float
        NaN where there is none.
    filled : bool
    """

    name: str
    style: Style
    text: str
    value: float
    low: float
    high: float
    filled: bool = True


def rows(lines: Sequence[Row], most: float, baseline: float, alt: str) -> str:
    """Figures one below the other on one scale from 0 to ``most``, each with its whisker; the baseline runs through.

    Parameters
    ----------
    baseline : float
        NaN for none.
    alt : str
        What the picture shows, for readers who do not see it.
    """

    def share(value: float) -> str:
        return f"{100 * float(np.clip(value / most, 0, 1)):.2f}%"

    cells = []
    for line in lines:
        track = '<i class="story-rail"></i>'
        if not np.isnan(baseline):
            track += f'<i class="story-baseline" style="left:{share(baseline)}"></i>'
        if not np.isnan(line.low):
            width = f"calc({share(line.high)} - {share(line.low)})"
            track += f'<i class="story-whisker" style="left:{share(line.low)};width:{width};'
            track += f'background:{line.style.colour}"></i>'
        if not np.isnan(line.value):
            track += f'<b style="left:{share(line.value)}">{mark(line.style, line.filled)}</b>'
        name = f"{mark(line.style)} {in_html(line.name)}" if line.name else ""
        cells.append(f"<span>{name}</span><span>{in_html(line.text)}</span><span>{track}</span>")
    grid = f'<div class="story-rows" {picture(alt)}>{"".join(cells)}</div>'
    return f'<div class="story-room">{grid}</div>'


def dot(colour: str) -> str:
    """The point of a map, in its key."""
    return f'<i class="key-dot" style="background:{colour}"></i>'


def tick() -> str:
    """The baseline, in a key."""
    return '<i class="key-tick"></i>'


# --- the small map ---------------------------------------------------------------------------------------------------


def small_map(xy: NDArray[np.floating], has: NDArray[np.bool_], shown: Sequence[tuple[int, bytes]], alt: str) -> str:
    """Films as points, those with a label on top; a line leads from each thumbnail to its film.

    Parameters
    ----------
    xy : (n, 2)
    has : (n,) bool
    shown : film and JPEG of each thumbnail, at most four
    """
    left = bool(shown) and float(xy[has, 0].mean()) < float(xy[:, 0].min() + xy[:, 0].max()) / 2
    room = WIDE - 2 * MARGIN - (THUMBNAIL + 8 if shown else 0)
    low, span = xy.min(axis=0), np.ptp(xy, axis=0)
    scale = min(room / (span[0] or 1), (HIGH - 2 * MARGIN) / (span[1] or 1))
    start = np.array([MARGIN + (THUMBNAIL + 8 if left else 0), MARGIN])
    spare = np.array([room, HIGH - 2 * MARGIN]) - span * scale
    places = (xy - low) * scale + start + spare / 2
    places[:, 1] = HIGH - places[:, 1]
    beneath = np.flatnonzero(~has)
    beneath = beneath[:: max(1, -(-len(beneath) // MOST_CONTEXT))]
    pictures, lines = [], []
    gap = (HIGH - 2 * MARGIN - THUMBNAIL * len(shown)) / max(len(shown) - 1, 1)
    for i, (film, jpeg) in enumerate(sorted(shown, key=lambda one: places[one[0], 1])):
        top, x = MARGIN + i * (THUMBNAIL + gap), MARGIN if left else WIDE - MARGIN - THUMBNAIL
        if len(shown) == 1:
            top = (HIGH - THUMBNAIL) / 2
        edge = x + THUMBNAIL if left else x
        lines.append(f"M{edge} {top + THUMBNAIL / 2:.1f}L{places[film, 0]:.1f} {places[film, 1]:.1f}")
        pictures.append(
            f'<img alt="" src="{data_url(jpeg)}" style="left:{100 * x / WIDE:.2f}%;top:{top:.2f}%;'
            f'width:{100 * THUMBNAIL / WIDE:.2f}%;height:{THUMBNAIL}%">'
        )
    drawn = (
        f'<path d="{_points(places[beneath])}" stroke="{GREY}" stroke-width="4.5" opacity="0.45"/>'
        f'<path d="{"".join(lines)}" stroke="{POSITIVE}" stroke-width="1" opacity="0.8"/>'
        f'<path d="{_points(places[has])}" stroke="{POSITIVE}" stroke-width="7"/>'
        f'<path d="{_points(places[[film for film, _ in shown]])}" stroke="#fff" stroke-width="3"/>'
    ).replace("<path", '<path vector-effect="non-scaling-stroke"')
    cloud = svg(f'viewBox="0 0 {WIDE} {HIGH}" fill="none" stroke-linecap="round"', drawn)
    content = cloud + "".join(pictures)
    return f'<div class="story-map" style="--positive:{POSITIVE}" {picture(alt)}>{content}</div>'


def _points(places: NDArray[np.floating]) -> str:
    """A path of lines without length: round ends make them discs, of one size at any scale."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places.tolist())


def data_url(jpeg: bytes) -> str:
    """A picture that travels within the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


# --- curves, pairs, one film -----------------------------------------------------------------------------------------


def overlap(bars: Sequence[tuple[str, int, int, int]], alt: str) -> str:
    """Films with one label alone, with both, and with the other alone: a bar for each of ``bars``, on one scale.

    Parameters
    ----------
    bars : name, and the three numbers of films
    """
    most = max(1, *(sum(counts) for _, *counts in bars))
    lines = []
    for name, *counts in bars:
        parts = "".join(
            f'<b style="width:{100 * n / most:.2f}%;background:{colour}">{number(n, 0) if n else ""}</b>'
            for n, colour in zip(counts, (translucent(GREY, 0.45), POSITIVE, translucent(GREY, 0.25)), strict=True)
        )
        lines.append(f"<span>{in_html(name)}</span><div>{parts}</div>")
    return f'<div class="story-overlap" {picture(alt)}>{"".join(lines)}</div>'


def overlap_bars(bars: Sequence[tuple[str, int, int, int]], one: str, other: str) -> go.Figure:
    """What :func:`overlap` shows, for print: a column for each of ``bars``, its parts one above the other.

    Parameters
    ----------
    one, other : the two labels
    """
    figure, tops = go.Figure(), np.cumsum([counts for _, *counts in bars], axis=1)
    parts = (
        (2, f"{plain(other)} alone", translucent(GREY, 0.35)),
        (1, "both", POSITIVE),
        (0, f"{plain(one)} alone", GREY),
    )
    for part, name, colour in parts:  # the highest first: the next one covers all but its top
        x, marker = np.arange(len(bars)), {"color": colour, "line": {"width": 0}}
        figure.add_bar(x=x, y=tops[:, part], name=name, marker=marker)
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(tickvals=list(range(len(bars))), ticktext=[name for name, *_ in bars], zeroline=False)
    figure.update_yaxes(title="films", zeroline=False)
    return compact(figure, height=260)


def film(jpeg: bytes | None, true: Sequence[str], false: Sequence[str], missed: Sequence[str], colour: str) -> str:
    """A film beside its labels as chips: those it has, predicted or missed, and those predicted wrongly."""
    groups = (
        ("true, predicted", true, POSITIVE, "✓"),
        ("true, missed", missed, POSITIVE, "−"),
        ("predicted, false", false, colour, "✕"),
    )
    lists = []
    for name, labels, shade, sign in groups:
        sign = f'<i style="color:{shade}">{sign}</i>'
        chips = "".join(f'<b style="border-color:{shade}">{sign} {in_html(label)}</b>' for label in labels[:MOST_CHIPS])
        if len(labels) > MOST_CHIPS:
            chips += f'<b style="border-color:{shade}">+{len(labels) - MOST_CHIPS}</b>'
        lists += [f"<div><span>{name}</span>{chips}</div>"] if chips else []
    picture = f'<img alt="" src="{data_url(jpeg)}">' if jpeg else ""
    return f'<div class="story-film">{picture}<div>{"".join(lists)}</div></div>'
