"""How a map's points look: marks, what they mean, and the bytes a browser draws them from. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np

from explorer.figures.style import GREY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HIDDEN = 255
"""The code of a film that is not drawn. Codes below it are places in the list of marks, bottom first."""

SPAN = 65535
"""Coordinates go to the browser as 16-bit numbers: finer than any screen."""

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#F0E442")
"""Told apart by readers of every colour vision (Okabe & Ito 2008); black and grey are left to the context."""

SEQUENTIAL = ("#5b5bd6", "#b0529a", "#e0703f", "#E69F00")
"""Low to high, by hue and lightness as plasma has it, cut to what reads on the light and the dark page."""

DIVERGING = ("#2f7fc1", GREY, "#E69F00")
"""Below, at and above a middle: blue and orange are told apart by readers of every colour vision."""

POSITIVE = "#8B5CF6"
"""Films that have a label: no regime's colour, and 4:1 or more on the light and the dark page."""

STEPS = 42

Shape = Literal["disc", "ring", "cross", "triangle", "diamond"]


@dataclass(frozen=True)
class Mark:
    """A point's look; several colours make a pie, one slice each.

    A radius of 4 is 8.5 pixels across while films are few; the more films, the smaller they all are.
    """

    colours: tuple[str, ...]
    shape: Shape = "disc"
    radius: float = 3.7
    opacity: float = 0.9
    ground: bool = False
    """Whether films of this look only show where the map lies: neither pointer, keys nor lasso reach them."""

    def plain(self) -> dict[str, object]:
        ground: dict[str, object] = {"ground": True} if self.ground else {}
        return {"c": self.colours, "s": self.shape, "r": self.radius, "a": self.opacity, **ground}


OUTSIDE = Mark((GREY,), radius=2.2, opacity=0.25, ground=True)
CONTEXT = Mark((GREY,), radius=3.3, opacity=0.45)
UNKNOWN = Mark((GREY,), "ring", 3.3, 0.55)


@dataclass(frozen=True)
class Points:
    """Films that look alike: one layer of a map."""

    name: str
    rows: NDArray[np.int64]
    mark: Mark


@dataclass(frozen=True)
class Legend:
    """One entry: a mark with its name, or a ramp of colours between two ends."""

    name: str = ""
    mark: Mark | None = None
    ramp: tuple[str, ...] = ()
    low: str = ""
    high: str = ""

    def plain(self) -> dict[str, object]:
        if self.mark is not None:
            return {"name": self.name, "style": self.mark.plain()}
        return {"ramp": self.ramp, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Paint:
    """What one map's points look like.

    Attributes
    ----------
    marks : bottom first
    codes : (N,) uint8, places in ``marks``, or HIDDEN
    legend : what the marks mean
    """

    marks: tuple[Mark, ...]
    codes: NDArray[np.uint8]
    legend: tuple[Legend, ...]


def layered(n: int, layers: Sequence[Points], legend: Sequence[Legend] | None = None) -> Paint:
    """Groups of films, bottom first; those in no group are not drawn.

    Parameters
    ----------
    n : films of the run
    layers : at most 255
    legend : by default every layer with its number of films, empty ones left out
    """
    codes = np.full(n, HIDDEN, dtype=np.uint8)
    for i, layer in enumerate(layers):
        codes[layer.rows] = i
    if legend is None:
        shown = [layer for layer in reversed(layers) if len(layer.rows)]
        legend = [Legend(f"{layer.name} ({len(layer.rows):,})", layer.mark) for layer in shown]
    return Paint(tuple(layer.mark for layer in layers), codes, tuple(legend))


def on_ground(paint: Paint, rows: NDArray[np.int64], name: str) -> Paint:
    """The same with further films as a pale ground beneath all others.

    Parameters
    ----------
    rows : (m,) films that the paint leaves undrawn
    name : what the legend calls them
    """
    codes = np.where(paint.codes == HIDDEN, HIDDEN, paint.codes + 1)
    codes[rows] = 0
    return Paint(
        (OUTSIDE, *paint.marks), codes.astype(np.uint8), (*paint.legend, Legend(f"{name} ({len(rows):,})", OUTSIDE))
    )


def graded(
    n: int,
    rows: NDArray[np.int64],
    values: NDArray[np.floating],
    ends: tuple[float, float],
    colours: Sequence[str],
    words: tuple[str, str],
) -> Paint:
    """Films coloured by a number; the highest lie on top, unknown ones (NaN) beneath as rings.

    Parameters
    ----------
    rows : (m,) the films drawn
    values : (N,)
    ends : float, float
        The values that get the first and the last colour; values beyond look like them.
    colours : low to high
    words : what stands at the legend's ends
    """
    low, high = ends
    share = np.clip((values[rows] - low) / ((high - low) or 1.0), 0, 1)
    known = ~np.isnan(share)
    codes = np.full(n, HIDDEN, dtype=np.uint8)
    codes[rows[~known]] = 0
    codes[rows[known]] = 1 + np.minimum((share[known] * STEPS).astype(np.uint8), STEPS - 1)
    marks = (UNKNOWN, *(Mark((colour,)) for colour in ramp(colours, STEPS)))
    legend = [Legend(ramp=tuple(colours), low=words[0], high=words[1])]
    if not known.all():
        legend.append(Legend(f"unknown ({int((~known).sum()):,})", UNKNOWN))
    return Paint(marks, codes, tuple(legend))


def ramp(colours: Sequence[str], steps: int) -> list[str]:
    """Colours in even steps between the given ones.

    Examples
    --------
    >>> ramp(["#000000", "#ffffff"], 3)
    ['#000000', '#808080', '#ffffff']
    """
    channels = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
    at = np.linspace(0, len(colours) - 1, steps)
    mixed = np.stack([np.interp(at, np.arange(len(colours)), channels[:, c]) for c in range(3)], axis=1)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.floor(mixed + 0.5).astype(int).tolist()]


def pies(
    n: int,
    rows: NDArray[np.int64],
    has: NDArray[np.bool_],
    names: Sequence[str],
    colours: Sequence[str],
    beneath: Sequence[Points],
    several: str,
) -> Paint:
    """Films as pies of all they have; what fewer films have lies further up.

    Parameters
    ----------
    rows : (m,) the films that may be drawn as pies
    has : (N, L) which of L <= 7 things a film has
    names, colours : of the L things
    beneath : layers of the other films
    several : what the legend calls a pie of more than one
    """
    combos = [c for size in range(1, len(names) + 1) for c in combinations(range(len(names)), size)]
    pattern = has[rows] @ (1 << np.arange(len(names)))
    layers = []
    for combo in combos:
        mark = Mark(tuple(colours[i] for i in combo), radius=4 if len(combo) == 1 else 4.6, opacity=0.95)
        layers.append(Points("", rows[pattern == sum(1 << i for i in combo)], mark))
    filled = sorted((layer for layer in layers if len(layer.rows)), key=lambda layer: -len(layer.rows))
    legend = [
        Legend(f"{name} ({int(has[rows, i].sum()):,})", Mark((colours[i],), radius=4)) for i, name in enumerate(names)
    ]
    many = int((has[rows].sum(axis=1) > 1).sum())
    if len(names) > 1:
        legend.append(Legend(f"{several} ({many:,})", Mark(tuple(colours[: min(len(names), 3)]), radius=5)))
    legend += [Legend(f"{layer.name} ({len(layer.rows):,})", layer.mark) for layer in beneath if len(layer.rows)]
    return layered(n, [*beneath, *filled], legend)


# --- bytes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """How a map's own coordinates become 0..SPAN: one scale for both axes, the map in the middle."""

    centre: tuple[float, float]
    width: float

    @classmethod
    def around(cls, xy: NDArray[np.float32]) -> Frame:
        """The smallest square around (N, 2) points."""
        low, high = xy.min(axis=0), xy.max(axis=0)
        x, y = ((low + high) / 2).tolist()
        return cls((x, y), float((high - low).max()) or 1.0)

    def share(self, xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """(m, 2) from 0 to 1 inside the square."""
        return (np.asarray(xy, dtype=np.float64) - self.centre) / self.width + 0.5

    def units(self, xy: NDArray[np.floating]) -> NDArray[np.uint16]:
        """(m, 2) whole numbers from 0 to SPAN."""
        return np.round(np.clip(self.share(xy), 0, 1) * SPAN).astype(np.uint16)


def geometry_bytes(geometry_id: str, maps: dict[str, NDArray[np.float32]]) -> bytes:
    """Every film's place on some maps, for the browser.

    Parameters
    ----------
    geometry_id : str
        What the maps ask for it by.
    maps : name to (N, 2), of one run
    """
    n = len(next(iter(maps.values())))
    arrays = [Frame.around(xy).units(xy).tobytes() for xy in maps.values()]
    return _packed({"id": geometry_id, "n": n, "maps": list(maps)}, arrays)


def paint_bytes(paint_id: str, paints: dict[str, Paint], flags: dict[str, NDArray[np.uint8]]) -> bytes:
    """How the points of some panels look, for the browser.

    Parameters
    ----------
    paints : panel to its paint
    flags : panel to (N,) 0, or 1 torn, 2 faked, 3 both; empty where nothing is to be flagged
    """
    arrays = [paint.codes.tobytes() for paint in paints.values()] + [flags[name].tobytes() for name in flags]
    header = {
        "id": paint_id,
        "maps": list(paints),
        "styles": [[mark.plain() for mark in paint.marks] for paint in paints.values()],
        "legends": [[entry.plain() for entry in paint.legend] for paint in paints.values()],
        "flags": bool(flags),
    }
    return _packed(header, arrays)


def _packed(header: dict[str, object], arrays: list[bytes]) -> bytes:
    """The header's length (uint32), the header as JSON padded to 4 bytes, the arrays each padded to 4 bytes."""
    text = json.dumps({**header, "arrays": [len(array) for array in arrays]}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *(array + bytes(-len(array) % 4) for array in arrays)])


@dataclass(frozen=True)
class MapSign:
    """Something that is no film, drawn on a map: a prompt, a centroid, a cluster's name."""

    x: int
    y: int
    text: str
    kind: Literal["centroid", "prompt", "cluster"]
    sign: str = ""
    colour: str = ""

    def plain(self) -> dict[str, object]:
        return asdict(self)
