"""Figures for print: SVG, PDF and PNG at the width of one or two columns of a journal.

The page shows plotly figures, and maps on a canvas. Here matplotlib draws the same figures from the same objects: it
needs no browser, embeds its typeface and knows how large every text is. Type is 8 pt, ticks and captions 7 pt; nothing
overlaps, and nothing is cut off. Colours are the page's, on white. Texts are drawn as they are written: neither TeX nor
HTML is read in them.

In SVG a text stays text, so that an editor can change it (``svg.fonttype: none``); PDF embeds TrueType fonts
(``pdf.fonttype: 42``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from explorer.figures.print_text import INK, LEADING, SIZE, SMALL, SOFT, families, height, width, wrapped

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Kind = Literal["svg", "pdf", "png"]
Width = Literal[85, 174]
WIDTHS: tuple[Width, ...] = (85, 174)
"""One and two columns of a journal's page, in millimetres."""
MIME: dict[Kind, str] = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
DPI = 600
"""Dots per inch of a PNG, and of what holds too many marks for a vector file."""
MM = 72 / 25.4
"""Points in a millimetre."""
_GAP, _PAD = 7.0, 3.5
_MANY = 7
"""From so many panels on they are small multiples: as many in a row as stay legible."""
_SMALLEST = 66.0

_STYLE: dict[str, Any] = {
    "text.parse_math": False,
    "text.hinting": "no_hinting",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.5,
    "axes.labelsize": SIZE,
    "axes.labelpad": 3,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.5,
    "font.size": SIZE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "svg.fonttype": "none",
    "svg.hashsalt": "cxr",
    "pdf.fonttype": 42,
    "image.composite_image": False,
}
_DRAWING = Lock()
"""matplotlib's settings are the process's: two pictures at once would change each other's."""


@dataclass(frozen=True)
class Words:
    """What a printed figure says beside its data, as plain text.

    Attributes
    ----------
    title : what it shows, of which label, regime and split
    n : what it counts
    caption : how to read it, and what its intervals are
    run : the run's id and hash
    link : the address of the view
    """

    title: str
    n: str
    caption: str
    run: str
    link: str


class LegendKey(Protocol):
    """What stands before a name in the legend."""

    @property
    def width(self) -> float:
        """Points that it takes up."""

    def artists(self, x: float, y: float) -> list[Artist]:
        """What is drawn, from x on and about y, in points."""


Legend = list[tuple[float, list[tuple[float, str, LegendKey]]]]
"""Rows: the height of each, and its entries with where they begin."""


class Drawing(Protocol):
    """What a panel draws; lengths in points."""

    @property
    def domains(self) -> Sequence[tuple[float, float, float, float]]:
        """Left, bottom, width and height of its axes as shares of the panel."""

    @property
    def least_width(self) -> float:
        """What it needs to be legible."""

    @property
    def own_legend(self) -> bool:
        """Whether a legend that differs from other panels' stands at this panel."""

    def axis_signature(self, axis: str) -> object:
        """Equal where two panels' axes have the same labels."""

    def legend_keys(self) -> Sequence[tuple[str, LegendKey]]:
        """Names for the legend, each with what stands before it."""

    def draw(self, axes: Sequence[Axes], panel_width: float, labelled: tuple[bool, bool]) -> None:
        """Draw once, at any size."""

    def height(self, width: float) -> float:
        """The height of the axes that fits this width of theirs."""

    def fit(self, axes: Sequence[Axes], width: float, height: float) -> None:
        """Adjust ticks and texts to a size."""


@dataclass(frozen=True)
class Panel:
    """One part of a printed figure, with the title and the note (its n) that it needs where there are several."""

    drawing: Drawing
    title: str = ""
    note: str = ""


def picture(panels: Sequence[Panel], words: Words, kind: Kind, wide: Width) -> bytes:
    """A figure as a file.

    Parameters
    ----------
    panels : at least one
    wide : its width in millimetres

    Raises
    ------
    NotDrawn
        Where a figure holds what has no counterpart on paper.
    """
    from matplotlib import rc_context

    with _DRAWING, rc_context(settings()):
        figure = draw(panels, words, wide)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=DPI, metadata=_metadata(words, kind))
    return file.getvalue()


def settings() -> Any:
    """Matplotlib's settings for :func:`draw`."""
    return {**_STYLE, "font.family": list(families())}


def _metadata(words: Words, kind: Kind) -> dict[str, Any]:
    creator = "CXR Embedding Explorer"
    about = f"{words.n}. {words.run}"
    if kind == "svg":
        return {"Title": words.title, "Creator": creator, "Date": None, "Description": about, "Source": words.link}
    if kind == "pdf":
        return {
            "Title": words.title,
            "Creator": creator,
            "Subject": about,
            "Keywords": words.link,
            "CreationDate": None,
        }
    return {"Title": words.title, "Software": creator, "Description": about, "Source": words.link}


@dataclass
class _Placed:
    """A panel in the grid: its axes, and how far their texts reach beyond them on each side."""

    panel: Panel
    row: int
    column: int
    axes: list[Axes]
    title: str = ""
    note: str = ""
    legend: Legend = field(default_factory=list)
    left: float = 24
    right: float = 4
    bottom: float = 20
    top: float = 2
    height: float = 100
    x: float = 0
    y: float = 0

    @property
    def head(self) -> float:
        """Height of what stands above it."""
        title, note = (height(text, size) if text else 0 for text, size in ((self.title, SIZE), (self.note, SMALL)))
        return title + note + _tall(self.legend)

    def write(self, many: bool, room: float) -> None:
        """Break its title, note and legend into lines of this width."""
        self.title = wrapped(self.panel.title, room, SMALL if many else SIZE, bold=not many)
        self.note = wrapped(self.panel.note, room, SMALL)
        if self.legend:
            self.legend = _legend([self.panel], room)


def draw(panels: Sequence[Panel], words: Words, wide: Width) -> Figure:
    """The figure, in matplotlib's current settings: title, n, legend, panels, caption and run, from the top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    full = wide * MM
    figure = Figure(figsize=(full / 72, full / 72), dpi=DPI / 2, facecolor="white")
    FigureCanvasAgg(figure)
    columns = _columns(panels, full)
    cell = (full - 2 * _PAD - _GAP * (columns - 1)) / columns
    shared = [len({repr(panel.drawing.axis_signature(axis)) for panel in panels}) == 1 for axis in "xy"]
    legend, own = _legends(panels, full - 2 * _PAD, cell)
    placed = []
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        axes = [figure.add_axes((0.2, 0.2, 0.6, 0.6), label=f"{place} {i}") for i in range(len(panel.drawing.domains))]
        last, first = place + columns >= len(panels), column == 0
        panel.drawing.draw(axes, cell, (last or not shared[0], first or not shared[1]))
        placed.append(_Placed(panel, row, column, axes, legend=own[place]))

    top = wrapped(words.title.replace(" · ", "\u00a0· "), full - 2 * _PAD, SIZE, bold=True)
    under = wrapped(words.n, full - 2 * _PAD, SIZE)
    caption = wrapped(words.caption, full - 2 * _PAD, SMALL)
    run = wrapped(words.run, full - 2 * _PAD, SMALL)
    head = _PAD + height(top) + height(under) + 3 + _tall(legend) + 5
    foot = 8 + height(caption, SMALL) + 3 + height(run, SMALL) + _PAD

    for _ in range(4):  # ticks follow the size, and the size what the ticks leave
        total = _place(figure, placed, full, head, foot)
        if not _measure(figure, placed):
            break

    paper = _Paper(figure, total)
    paper.text(top, _PAD, _PAD, SIZE, bold=True)
    paper.text(under, _PAD, _PAD + height(top), SIZE)
    paper.legend(legend, _PAD, _PAD + height(top) + height(under) + 3)
    many = len(panels) >= _MANY
    for one in placed:
        y = one.y
        for text, size, ink in ((one.title, SMALL if many else SIZE, INK), (one.note, SMALL, SOFT)):
            if text:
                paper.text(text, one.x, y, size, ink, bold=ink == INK and not many)
                y += height(text, size)
        paper.legend(one.legend, one.x, y)
    y = total - foot + 8
    paper.text(caption, _PAD, y, SMALL)
    paper.text(run, _PAD, y + height(caption, SMALL) + 3, SMALL, SOFT)
    return figure


def _columns(panels: Sequence[Panel], full: float) -> int:
    least = _SMALLEST if len(panels) >= _MANY else max(panel.drawing.least_width for panel in panels)
    return max(1, min(len(panels), int((full - 2 * _PAD + _GAP) / (least + _GAP))))


def _place(figure: Figure, placed: list[_Placed], full: float, head: float, foot: float) -> float:
    """Give every axes its place, all columns' of one width; the height of the figure in points."""
    rows, columns = max(one.row for one in placed) + 1, max(one.column for one in placed) + 1
    left, right = (
        [max(getattr(one, side) for one in placed if one.column == column) for column in range(columns)]
        for side in ("left", "right")
    )
    inner = (full - 2 * _PAD - _GAP * (columns - 1) - sum(left) - sum(right)) / columns
    starts = [_PAD + sum(left[:c]) + sum(right[:c]) + c * (inner + _GAP) for c in range(columns)]
    for one in placed:
        one.height = one.panel.drawing.height(inner)
        beside = _PAD - 0.5 if one.column == columns - 1 else _GAP - 3
        one.write(len(placed) >= _MANY, left[one.column] + inner + right[one.column] + beside)
    tops, y = {}, head
    for row in range(rows):
        mine = [one for one in placed if one.row == row]
        y += max(one.top + one.head for one in mine)
        tops[row] = y
        y += max(one.height + one.bottom for one in mine) + (_GAP if row < rows - 1 else 0)
    total = y + foot
    figure.set_size_inches(full / 72, total / 72)
    for one in placed:
        x = starts[one.column] + left[one.column]
        one.x, one.y = starts[one.column], tops[one.row] - one.top - one.head
        for ax, (dx, dy, dw, dh) in zip(one.axes, one.panel.drawing.domains, strict=True):
            bottom = total - tops[one.row] - one.height + dy * one.height
            ax.set_position(((x + dx * inner) / full, bottom / total, dw * inner / full, dh * one.height / total))
        one.panel.drawing.fit(one.axes, inner, one.height)
    return total


def _measure(figure: Figure, placed: list[_Placed]) -> bool:
    """Measure how far each panel's texts reach beyond its axes; whether that has changed."""
    points, changed = 72 / figure.dpi, False
    for one in placed:
        frames = [ax.get_window_extent() for ax in one.axes]
        boxes = [box for ax in one.axes if (box := ax.get_tightbbox()) is not None]
        for side, reach in (
            ("left", min(f.x0 for f in frames) - min(b.x0 for b in boxes)),
            ("right", max(b.x1 for b in boxes) - max(f.x1 for f in frames)),
            ("bottom", min(f.y0 for f in frames) - min(b.y0 for b in boxes)),
            ("top", max(b.y1 for b in boxes) - max(f.y1 for f in frames)),
        ):
            beyond = max(0.0, reach * points) + 1
            changed |= abs(beyond - getattr(one, side)) > 0.25
            setattr(one, side, beyond)
    return changed


# --- legend and texts ------------------------------------------------------------------------------------------------


def _legends(panels: Sequence[Panel], full: float, cell: float) -> tuple[Legend, list[Legend]]:
    """The legend of all panels, and each panel's own: one of the two is empty."""
    different = len({tuple(name for name, _ in panel.drawing.legend_keys()) for panel in panels}) > 1
    if different and any(panel.drawing.own_legend for panel in panels):
        return [], [_legend([panel], cell) for panel in panels]
    return _legend(panels, full), [[] for _ in panels]


def _legend(panels: Sequence[Panel], full: float) -> Legend:
    """Every name once, in rows of this width: each row's height, and what lies where from the left."""
    keys: dict[str, LegendKey] = {}
    for panel in panels:
        for name, key in panel.drawing.legend_keys():
            keys.setdefault(name, key)
    rows: list[list[tuple[float, str, LegendKey]]] = []
    x = full + 1
    for name, key in keys.items():
        handle = key.width + 4
        text = wrapped(name, full - handle, SIZE)
        needed = handle + max(width(line) for line in text.split("\n"))
        if x + needed > full:
            rows.append([])
            x = 0
        rows[-1].append((x, text, key))
        x += needed + 10
    return [(max(height(text) for _, text, _ in row) + 1, row) for row in rows]


def _tall(legend: Legend) -> float:
    return sum(tall for tall, _ in legend)


class _Paper:
    """Texts and legend entries, placed in points from the upper left corner."""

    def __init__(self, figure: Figure, total: float) -> None:
        from matplotlib.transforms import Affine2D

        self._figure, self._total = figure, total
        self._points = Affine2D().scale(1 / 72) + figure.dpi_scale_trans

    def text(self, text: str, x: float, y: float, size: float, ink: str = INK, *, bold: bool = False) -> None:
        """Lines of text below y."""
        for line in text.split("\n"):
            self._figure.text(
                *(x, self._total - y - size),
                line,
                transform=self._points,
                fontsize=size,
                color=ink,
                weight="bold" if bold else "normal",
                va="baseline",
            )
            y += size * LEADING

    def legend(self, legend: Legend, left: float, y: float) -> None:
        """Names with what stands before them."""
        for tall, entries in legend:
            for x, name, key in entries:
                for artist in key.artists(left + x, self._total - y - 0.68 * SIZE):
                    artist.set_transform(self._points)
                    self._figure.add_artist(artist)
                self.text(name, left + x + key.width + 4, y, SIZE)
            y += tall
