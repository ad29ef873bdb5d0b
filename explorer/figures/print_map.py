"""A map of films as a panel of a printed figure: the page's marks, legend, signs and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.figures.maps import HIDDEN, SPAN, Frame, Legend, MapSign, Mark, Paint
from explorer.figures.print_text import INK, PX, SIZE, SMALL, height, width

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from numpy.typing import NDArray

DOUBTS = ("slash", "ring", "cross")
"""Torn, faked, both: as map_view/draw.js has them."""
DOUBT_COLOUR, RING_COLOUR = "#d62f6b", "#e0457b"
_FADED = 0.22
_FEW = 3000
"""Films of a map whose marks have their full size; more would be a file that no program opens, and become pixels."""
_EDGE = 0.03


@dataclass(frozen=True)
class MapKey:
    """A mark of the map's legend, or its ramp of colours between two words."""

    entry: Legend

    @property
    def width(self) -> float:
        """Points that it takes up."""
        return 8 if self.entry.mark else 48 + width(self.entry.low) + 4

    def artists(self, x: float, y: float) -> list[Artist]:
        """What is drawn, from x on and about y."""
        if self.entry.mark:
            mark = self.entry.mark
            opacity = mark.opacity if mark.ground else 1.0
            return _marks(np.array([x + 4]), np.array([y]), mark, max(2 * PX * mark.radius, 4.5), opacity)
        from matplotlib.patches import Rectangle
        from matplotlib.text import Text as TextArtist

        from explorer.figures.maps import ramp

        start = x + width(self.entry.low) + 4
        colours = ramp(self.entry.ramp, 24)
        low = TextArtist(x, y - 0.35 * SIZE, self.entry.low, fontsize=SIZE, color=INK, va="baseline")
        # each a little wider than its place: no hairline between two
        return [
            low,
            *(Rectangle((start + 2 * i, y - 3), 2.2, 6, facecolor=c, linewidth=0) for i, c in enumerate(colours)),
        ]


class MapPanel:
    """A map as a panel.

    Parameters
    ----------
    xy : (N, 2) where the films lie
    paint : how they look, and the legend
    signs : what is drawn beside films
    flags : (N,) 0, or 1 torn, 2 faked, 3 both; None where nothing is flagged
    selected : rows before which the others fade; empty for no selection
    ringed : the row that is ringed, if any
    """

    domains = ((0.0, 0.0, 1.0, 1.0),)
    least_width = 150.0
    own_legend = True

    def __init__(
        self,
        xy: NDArray[np.float32],
        paint: Paint,
        signs: Sequence[MapSign] = (),
        flags: NDArray[np.uint8] | None = None,
        selected: NDArray[np.int64] | None = None,
        ringed: int | None = None,
    ) -> None:
        self._at = Frame.around(xy).share(xy)
        self._paint, self._signs, self._flags, self._ringed = paint, signs, flags, ringed
        self._chosen = np.zeros(len(xy), dtype=bool)
        if selected is not None:
            self._chosen[selected] = True
        self._names: list[Text] = []

    def axis_signature(self, axis: str) -> object:
        """No map has labels on its axes."""
        return axis

    def legend_keys(self) -> list[tuple[str, MapKey]]:
        """The legend of the paint."""
        entries = [(entry.name or entry.high, MapKey(entry)) for entry in self._paint.legend]
        if self._flags is not None:
            names = ("torn apart by the map", "faked by the map", "both")
            shown = self._flags[self._paint.codes != HIDDEN]
            entries += [
                (f"{name} ({int((shown == code).sum()):,})", MapKey(Legend(name, _doubt(code - 1))))
                for code, name in enumerate(names, start=1)
                if (shown == code).any()
            ]
        return entries

    def draw(self, axes: Sequence[Axes], panel_width: float, labelled: tuple[bool, bool]) -> None:
        """Films bottom first, the selected ones above all others, then doubts, the ring and the signs."""
        (ax,) = axes
        ax.set(xlim=(-_EDGE, 1 + _EDGE), ylim=(-_EDGE, 1 + _EDGE), xticks=[], yticks=[], aspect="equal")
        for spine in ax.spines.values():
            spine.set_color("#c4c9d0")
        codes = self._paint.codes
        n = int((codes != HIDDEN).sum())
        scale = min(1.0, (_FEW / max(n, 1)) ** 0.5) * min(1.0, 0.45 + panel_width / 600)
        passes = ((False, _FADED), (True, 1.0)) if self._chosen.any() else ((False, 1.0),)
        for chosen, fade in passes:
            for code, mark in enumerate(self._paint.marks):
                rows = np.flatnonzero((codes == code) & (self._chosen == chosen))
                self._add(ax, rows, mark, scale, fade, pixels=n > _FEW)
        if self._flags is not None:
            for code in (1, 2, 3):
                rows = np.flatnonzero((self._flags == code) & (codes != HIDDEN))
                self._add(ax, rows, _doubt(code - 1), scale, 1.0, pixels=n > _FEW)
        if self._ringed is not None:
            ax.plot(*self._at[[self._ringed]].T, marker="o", ms=12 * PX, mfc="none", mec=RING_COLOUR, mew=1.5, zorder=5)
        for sign in self._signs:
            x, y = sign.x / SPAN, sign.y / SPAN
            if sign.sign:
                ax.text(x, y, sign.sign, color=sign.colour, fontsize=SIZE, ha="center", va="center", zorder=6)

    def _add(self, ax: Axes, rows: NDArray[np.int64], mark: Mark, scale: float, fade: float, *, pixels: bool) -> None:
        if len(rows) == 0:
            return
        x, y = self._at[rows].T
        for artist in _marks(x, y, mark, max(2 * PX * mark.radius * scale, 0.8), mark.opacity * fade):
            artist.set_rasterized(pixels)
            ax.add_artist(artist)

    def height(self, width: float) -> float:
        """A square."""
        return width

    def fit(self, axes: Sequence[Axes], width: float, height: float) -> None:
        """The names of the signs that have room, at this size."""
        (ax,) = axes
        for name in self._names:
            name.remove()
        self._names = []
        per_unit = width / (1 + 2 * _EDGE)
        taken = [_box(s.x / SPAN * per_unit, s.y / SPAN * per_unit, 8, 8) for s in self._signs if s.sign]
        signs = len(taken)
        for sign in self._signs:
            x, y = sign.x / SPAN * per_unit, sign.y / SPAN * per_unit
            wide, tall = _size(sign.text)
            to_left = sign.kind != "cluster" and sign.x > 0.6 * SPAN
            shift = 0.0 if sign.kind == "cluster" else (-1 if to_left else 1) * (wide / 2 + 6)
            box = _box(x + shift, y, wide, tall)
            inside = box[0] >= -_EDGE * per_unit and box[1] <= (1 + _EDGE) * per_unit
            own = _box(x, y, 8, 8) if sign.sign else None
            if not inside or any(_meet(box, other) for other in taken[signs:] + [o for o in taken[:signs] if o != own]):
                continue
            taken.append(box)
            bold = "bold" if sign.kind == "cluster" else "normal"
            self._names.append(
                ax.annotate(
                    sign.text,
                    (sign.x / SPAN, sign.y / SPAN),
                    (shift, 0),
                    textcoords="offset points",
                    fontsize=SMALL,
                    ha="center",
                    va="center",
                    weight=bold,
                    zorder=7,
                    path_effects=_halo(),
                )
            )


def _size(text: str) -> tuple[float, float]:
    return width(text, SMALL, bold=True), height(text, SMALL)


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.5, foreground="white")]


def _box(x: float, y: float, wide: float, tall: float) -> tuple[float, float, float, float]:
    return x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


@dataclass(frozen=True)
class _Doubt:
    """How a doubtful film is marked."""

    shape: str
    colours: tuple[str, ...] = (DOUBT_COLOUR,)
    radius: float = 5.0
    opacity: float = 0.75
    ground: bool = False


def _doubt(place: int) -> Any:
    return _Doubt(DOUBTS[place])


def _marks(x: NDArray[Any], y: NDArray[Any], mark: Any, size: float, opacity: float) -> list[Artist]:
    """Marks that look alike; one artist for each slice of a pie."""
    from matplotlib.lines import Line2D
    from matplotlib.path import Path

    look: dict[str, Any] = {"linestyle": "none", "alpha": opacity, "markersize": size}
    first = mark.colours[0]
    if mark.shape == "ring":
        thin = max(0.5, size / 6)
        open_look = {"mfc": "none", "mec": first, "mew": thin, "markersize": size - thin}
        return [Line2D(x, y, marker="o", **{**look, **open_look})]
    if mark.shape in ("cross", "slash"):
        marker: Any = "x" if mark.shape == "cross" else Path([(-0.5, -0.5), (0.5, 0.5)])
        return [Line2D(x, y, marker=marker, mec=first, mew=max(0.6, size / 4.4), **look)]
    if mark.shape in ("triangle", "diamond"):
        marker = "^" if mark.shape == "triangle" else "d"
        return [Line2D(x, y, marker=marker, mfc=first, mew=0, **look)]
    if len(mark.colours) == 1:
        return [Line2D(x, y, marker="o", mfc=first, mew=0, **look)]
    step = 360 / len(mark.colours)  # clockwise from the top
    return [
        Line2D(x, y, marker=Path.wedge(90 - (i + 1) * step, 90 - i * step), mfc=shade, mew=0, **look)
        for i, shade in enumerate(mark.colours)
    ]
