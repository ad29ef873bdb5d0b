"""A plotly figure as HTML with SVG pictures in it: the same marks, lines, cells and texts, without a script. Pure.

Plotly's own script weighs 6 MB and takes a browser seconds: the first view of a page does without it. What stretches
with the page lies in a square stretched to its box, with strokes that do not scale; marks and texts keep their size.
A figure that holds what is not drawn raises :class:`NotDrawn`. ``explorer/ui/shared/figure.css`` has the classes' look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from plotly.colors import hex_to_rgb

from explorer.figures.curve_pictures import DASHES, SHAPES, key, picture, svg
from explorer.figures.print_plotly import PlotlyPanel, each, has, numbers, spans
from explorer.figures.print_text import NotDrawn, from_html
from explorer.figures.style import GREY, number, translucent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from explorer.figures.print_plotly import Plot

MAP_ASPECT = 16 / 9
"""Width over height of a map, whose two axes have one scale."""
MANY = 150
"""Marks of one trace from which on they are one path, without hints."""
MARK = 1.4
"""A mark's picture over plotly's size of it."""
LETTER, LINE = 6.4, 15.0
"""Pixels of a letter and of a line of the page's small type."""
GRID = translucent(GREY, 0.22)
_FIELD = re.compile(r"%\{(\w+)(?:\[(\d+)\])?(?::([^}]+))?\}")


@dataclass(frozen=True)
class _Axis:
    """One axis: its ends, in powers of ten where it is logarithmic, and its ticks with their texts."""

    low: float
    high: float
    log: bool
    ticks: tuple[tuple[float, str], ...]
    grid: bool

    def share(self, values: Any) -> NDArray[np.float64]:
        """Where values lie from the low to the high end, 0 to 1."""
        places = numbers(np.atleast_1d(values))
        return (self._scaled(places) - self.low) / (self.high - self.low)

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log10(values) if self.log else values


def still(figure: go.Figure, alt: str) -> str:
    """A figure of one pair of axes as HTML.

    Parameters
    ----------
    alt : str
        What it shows, for readers who do not see it.

    Raises
    ------
    NotDrawn
        Where the figure holds what is not drawn.
    """
    plots = PlotlyPanel(figure).plots
    if len(plots) != 1:
        raise NotDrawn("several pairs of axes")
    plot, layout = plots[0], figure.layout.to_plotly_json()
    for trace in plot.traces:
        if trace["type"] == "bar" or any(trace.get(part) for part in ("fill", "error_x", "error_y")):
            raise NotDrawn("a bar, a fill or an error bar")
        if (trace.get("line") or {}).get("shape") not in (None, "linear"):
            raise NotDrawn("a step")
    is_map = bool(plot.y.get("scaleanchor"))
    x, y = _axes_of_map(plot) if is_map else (_axis(plot, "x"), _axis(plot, "y"))
    columns, room = _columns(plot, x)
    title = from_html((plot.x.get("title") or {}).get("text") or "").text
    margin = layout.get("margin") or {}
    least = 18 * abs(y.high - y.low) if plot.y.get("ticktext") is not None else 120
    height = max(
        least, layout.get("height", 450) - margin.get("t", 0) - margin.get("b", 0) - room - (18 if title else 0)
    )
    if plot.x.get("side") == "top":
        height += room  # plotly's margin holds these labels already
    size = f"aspect-ratio:{MAP_ASPECT:.4f}" if is_map else f"height:{height:.0f}px"
    content = "".join(
        (_square(plot, x, y), *_frames(plot, x, y), *_cells(plot, x, y), *_marks(plot, x, y), *_notes(plot, x, y))
    )
    ground = f'<div class="still-plot{" still-map" if is_map else ""}" style="{size}">{content}</div>'
    rows = "" if is_map else f'<div class="still-rows" style="height:{height:.0f}px">{_rows(plot, y)}</div>'
    on_top = plot.x.get("side") == "top"
    look = "still-columns still-above" if on_top else "still-columns"
    columns = columns and f'<div class="{look}" style="height:{room:.0f}px">{columns}</div>'
    parts = [columns, rows, ground] if on_top else [rows, ground, columns]
    over = max((note.get("yshift") or 0 for note in plot.notes), default=0)
    above = f' style="padding-top:{over + LINE - room:.0f}px"' if over else ""
    if title:
        parts.append(f'<div class="still-title">{escape(title)}</div>')
    grid = f'<div class="still-grid"{above}>{"".join(parts)}</div>'
    return f'<div class="still" {picture(alt)}>{_key(plot, layout)}{grid}</div>'


# --- axes ------------------------------------------------------------------------------------------------------------


def _axis(plot: Plot, name: str) -> _Axis:
    properties = plot.x if name == "x" else plot.y
    log = properties.get("type") == "log"
    if properties.get("range") is not None:
        low, high = (float(end) for end in properties["range"])
    else:
        low, high = _extent(plot, name)
        air = 0.05 * (high - low or 1)
        low, high = low - air, high + air
    filled = any(trace["type"] == "heatmap" for trace in plot.traces)
    if properties.get("tickvals") is not None:
        places = numbers(properties["tickvals"])
        texts = [from_html(str(text)) for text in properties.get("ticktext", properties["tickvals"])]
        labels = [f"<strong>{_lines(one.text)}</strong>" if one.bold else _lines(one.text) for one in texts]
    else:
        places = _round_ticks(low, high)
        digits = max(0, -int(np.floor(np.log10(places[1] - places[0] + 1e-12)))) if len(places) > 1 else 0
        labels = [number(place, digits) for place in places.tolist()]
    ticks = tuple(zip(places.tolist(), labels, strict=True))
    return _Axis(low, high, log, ticks, properties.get("showgrid") is not False and not filled)


def _axes_of_map(plot: Plot) -> tuple[_Axis, _Axis]:
    """Axes of one scale that hold every point, with some air."""
    ends = [_extent(plot, name) for name in "xy"]
    middle = [(low + high) / 2 for low, high in ends]
    wide, tall = (high - low for low, high in ends)
    span = 1.06 * max(wide, MAP_ASPECT * tall, 1e-9)
    halves = span / 2, span / 2 / MAP_ASPECT
    one, other = (
        _Axis(float(at - half), float(at + half), False, (), False) for at, half in zip(middle, halves, strict=True)
    )
    return one, other


def _extent(plot: Plot, name: str) -> tuple[float, float]:
    """The least and the greatest value that the figure shows along an axis; 0 and 1 where it shows none."""
    values = np.concatenate([np.zeros(0), *(numbers(trace[name]) for trace in plot.traces if name in trace)])
    values = values[~np.isnan(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _round_ticks(low: float, high: float) -> NDArray[np.float64]:
    """Some five round numbers between two ends."""
    rough = (high - low) / 5
    power = 10 ** np.floor(np.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda one: abs(one * power - rough))
    ticks: NDArray[np.float64] = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return ticks


def _rows(plot: Plot, y: _Axis) -> str:
    """Labels beside the plot, each at the height of its row."""
    return "".join(f'<span style="top:{_percent(1 - at)}">{text}</span>' for at, text in _placed(y))


def _columns(plot: Plot, x: _Axis) -> tuple[str, float]:
    """Labels of columns, and the pixels they take up."""
    if plot.x.get("visible") is False or not x.ticks:
        return "", 0.0
    slanted = (plot.x.get("tickangle") or 0) == -45
    style = "still-slanted" if slanted else ""
    labels = "".join(f'<span class="{style}" style="left:{_percent(at)}">{text}</span>' for at, text in _placed(x))
    plain = [re.sub(r"</?strong>", "", text) for _, text in x.ticks]
    if slanted:
        return labels, LETTER * 0.75 * max(map(len, plain)) + LINE
    return labels, LINE * (1 + max(text.count("<br>") for text in plain)) + 5


def _placed(axis: _Axis) -> Iterator[tuple[float, str]]:
    for place, text in axis.ticks:
        at = float(axis.share(place)[0])
        if -0.001 <= at <= 1.001:
            yield at, text


# --- what stretches --------------------------------------------------------------------------------------------------


def _square(plot: Plot, x: _Axis, y: _Axis) -> str:
    """Grid, shapes, lines and clouds of points in one picture."""
    parts = []
    for axis, way in ((x, "M{0:.4f} 0V1"), (y, "M0 {0:.4f}H1")):
        places = [at if axis is x else 1 - at for at, _ in _placed(axis)]
        if axis.grid and places:
            parts.append(f'<path d="{"".join(way.format(at) for at in places)}" stroke="{GRID}"/>')
    for shape in plot.shapes:
        (left, right), (top, bottom) = _ends(shape, x, y)
        line = shape.get("line") or {}
        if shape["type"] == "line":
            parts.append(_path(f"M{left:.4f} {top:.4f}L{right:.4f} {bottom:.4f}", line, shape))
        elif shape.get("fillcolor"):
            parts.append(
                f'<path d="M{left:.4f} {top:.4f}H{right:.4f}V{bottom:.4f}H{left:.4f}z" fill="{shape["fillcolor"]}" '
                f'opacity="{shape.get("opacity", 1)}"/>'
            )
    for trace in plot.traces:
        if has(trace, "lines"):
            parts.append(_path(_through(trace, x, y), trace.get("line") or {}, trace))
    for trace in plot.traces:
        if has(trace, "markers") and _is_cloud(trace):
            marker = trace["marker"]
            points = "".join(f"M{a:.4f} {b:.4f}h0" for a, b in _points(trace, x, y) if not np.isnan(a + b))
            parts.append(
                f'<path d="{points}" stroke="{marker["color"]}" stroke-width="{marker.get("size", 6)}" '
                f'stroke-linecap="round" opacity="{marker.get("opacity", 1)}"/>'
            )
    drawn = "".join(parts).replace("<path", '<path vector-effect="non-scaling-stroke"')
    return svg('viewBox="0 0 1 1" preserveAspectRatio="none" fill="none"', drawn, "still-square")


def _path(way: str, line: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    dash = DASHES.get(line.get("dash") or "solid", "10 6")
    return (
        f'<path d="{way}" stroke="{line.get("color", GREY)}" stroke-width="{line.get("width", 2)}" '
        f'stroke-dasharray="{dash}" opacity="{properties.get("opacity", 1)}"/>'
    )


def _through(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    """A line through a trace's points, with its gaps."""
    parts, pen = [], "M"
    for a, b in _points(trace, x, y):
        if np.isnan(a + b):
            pen = "M"
        else:
            parts.append(f"{pen}{a:.4f} {b:.4f}")
            pen = "L"
    return "".join(parts)


def _points(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> list[tuple[float, float]]:
    return list(zip(x.share(trace["x"]).tolist(), (1 - y.share(trace["y"])).tolist(), strict=True))


def _is_cloud(trace: Mapping[str, Any]) -> bool:
    plain = isinstance((trace.get("marker") or {}).get("color"), str) and not has(trace, "text")
    return plain and len(trace["x"]) >= MANY


def _ends(shape: Mapping[str, Any], x: _Axis, y: _Axis) -> tuple[tuple[float, float], tuple[float, float]]:
    """Left and right, top and bottom of a shape in the square."""
    out = []
    for name, axis in (("x", x), ("y", y)):
        ends = [float(shape[f"{name}{i}"]) for i in (0, 1)]
        places = ends if spans(shape, name) else axis.share(ends).tolist()
        out.append(sorted(places if name == "x" else [1 - place for place in places]))
    (left, right), (top, bottom) = out
    return (left, right), (top, bottom)


# --- what keeps its size ---------------------------------------------------------------------------------------------


def _frames(plot: Plot, x: _Axis, y: _Axis) -> Iterator[str]:
    """Rectangles without a fill."""
    for shape in plot.shapes:
        if shape["type"] == "rect" and not shape.get("fillcolor"):
            (left, right), (top, bottom) = _ends(shape, x, y)
            line = shape["line"]
            yield (
                f'<i class="still-frame" style="{_box(left, top, right - left, bottom - top)};'
                f'border:{line["width"]}px solid {line["color"]}"></i>'
            )


def _cells(plot: Plot, x: _Axis, y: _Axis) -> Iterator[str]:
    """The squares of heat maps; one without a number stays blank."""
    wide, high = 1 / abs(x.high - x.low), 1 / abs(y.high - y.low)
    for trace in plot.traces:
        if trace["type"] != "heatmap":
            continue
        z = np.array([numbers(row) for row in trace["z"]])
        columns = numbers(trace.get("x", np.arange(z.shape[1])))
        rows = numbers(trace.get("y", np.arange(z.shape[0])))
        custom = trace.get("customdata")
        for i, j in np.argwhere(~np.isnan(z)).tolist():
            at_x, at_y = float(x.share(columns[j])[0]), 1 - float(y.share(rows[i])[0])
            hint = _hint(trace, {"z": z[i, j], "customdata": None if custom is None else custom[i][j]})
            shade = _shade(trace, z[i, j])
            box = _box(at_x - wide / 2, at_y - high / 2, wide, high)
            yield f'<i class="still-cell" style="{box};background-color:{shade}"{hint}></i>'


def _shade(trace: Mapping[str, Any], value: float) -> str:
    at, colours = zip(*trace["colorscale"], strict=True)
    share = float(np.clip((value - trace["zmin"]) / (trace["zmax"] - trace["zmin"]), 0, 1))
    channels = np.array([_rgba(colour) for colour in colours])
    red, green, blue, opacity = (np.interp(share, at, channel) for channel in channels.T)
    return f"rgba({red:.0f},{green:.0f},{blue:.0f},{opacity:.2f})"


def _rgba(colour: str) -> tuple[float, ...]:
    if colour.startswith("#"):
        return (*hex_to_rgb(colour), 1.0)
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)]
    return (*parts[:3], parts[3] if len(parts) > 3 else 1.0)


def _marks(plot: Plot, x: _Axis, y: _Axis) -> Iterator[str]:
    """Marks and texts, each with its hint."""
    wide, high = 1 / abs(x.high - x.low), 1 / abs(y.high - y.low)
    over_cells = any(trace["type"] == "heatmap" for trace in plot.traces)
    for trace in plot.traces:
        if not (has(trace, "markers") or has(trace, "text")) or (has(trace, "markers") and _is_cloud(trace)):
            continue
        n = len(trace["x"])
        marker, font = trace.get("marker") or {}, trace.get("textfont") or {}
        looks = zip(*(each(marker.get(part), n) for part in ("symbol", "color", "size")), strict=True)
        texts, inks = each(trace.get("text"), n), each(font.get("color"), n)
        custom = trace.get("customdata")
        for k, ((a, b), (symbol, colour, size)) in enumerate(zip(_points(trace, x, y), looks, strict=True)):
            if np.isnan(a + b) or not (-0.01 <= a <= 1.01 and -0.01 <= b <= 1.01):
                continue
            values = {"x": trace["x"][k], "y": trace["y"][k], "text": texts[k]}
            hint = _hint(trace, {**values, "customdata": None if custom is None else custom[k]})
            if has(trace, "text"):
                box = (
                    _box(a - wide / 2, b - high / 2, wide, high)
                    if over_cells
                    else f"left:{_percent(a)};top:{_percent(b)}"
                )
                ink = f";color:{inks[k]}" if inks[k] else ""
                yield f'<span style="{box}{ink}"{hint}>{_styled(str(texts[k]))}</span>'
            else:
                sign = _sign(symbol, colour, size or 6, marker.get("line") or {})
                yield f'<b style="left:{_percent(a)};top:{_percent(b)}"{hint}>{sign}</b>'


def _sign(symbol: str | None, colour: str | None, size: float, line: Mapping[str, Any]) -> str:
    """A mark as a picture of plotly's size."""
    if symbol == "line-ns":
        return f'<i class="key-tick" style="height:{size:.0f}px;width:{line.get("width", 2)}px"></i>'
    name, is_open = (symbol or "circle").removesuffix("-open"), (symbol or "").endswith("-open")
    if name not in SHAPES:
        raise NotDrawn(f"a mark {symbol}")
    side = MARK * size
    paint = f'fill="{"none" if is_open else colour}" stroke="{colour}"'
    if is_open:
        paint += f' stroke-width="{max(1, line.get("width") or 0) * 12 / side:.2f}"'
    return svg(f'viewBox="0 0 12 12" width="{side:.0f}" height="{side:.0f}" {paint}', SHAPES[name])


def _notes(plot: Plot, x: _Axis, y: _Axis) -> Iterator[str]:
    """Texts among the marks and above the columns."""
    shift: dict[str | None, str] = {"left": "0", "bottom": "-100%", "right": "-100%", "top": "0"}
    for note in plot.notes:
        left = float(note["x"]) if spans(note, "x") else float(x.share(note["x"])[0])
        top = 1 - (float(note["y"]) if spans(note, "y") else float(y.share(note["y"])[0]))
        move = f"translate({shift.get(note.get('xanchor'), '-50%')},{shift.get(note.get('yanchor'), '-50%')})"
        up = f";margin-top:{-note['yshift']:.0f}px" if note.get("yshift") else ""
        yield (
            f'<span class="still-note" style="left:{_percent(left)};top:{_percent(top)};transform:{move}{up}">'
            f"{_styled(note['text'])}</span>"
        )


def _key(plot: Plot, layout: Mapping[str, Any]) -> str:
    entries = []
    for trace in plot.traces if layout.get("showlegend") is not False else ():
        if not trace.get("name") or trace.get("showlegend") is False or trace["type"] == "heatmap":
            continue
        marker = trace.get("marker") or {}
        sign = _sign(marker.get("symbol"), marker.get("color"), 9, marker.get("line") or {})
        entries.append((sign, from_html(trace["name"]).text))
    return key(entries) if entries else ""


# --- texts -----------------------------------------------------------------------------------------------------------


def _hint(trace: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """What a pointer shows at a mark, as an attribute; empty where there is nothing to show."""
    template = trace.get("hovertemplate")
    if not template or trace.get("hoverinfo") == "skip":
        return ""

    def field(match: re.Match[str]) -> str:
        name, place, form = match.groups()
        value = values[name] if place is None else values[name][int(place)]
        return str(value) if form is None else format(float(value), form).replace("-", "−")

    text = _FIELD.sub(field, re.sub(r"<extra>.*?</extra>", "", template))
    return f' title="{escape(from_html(text).text)}"'


def _styled(text: str) -> str:
    one = from_html(text)
    lines = _lines(one.text)
    return f"<strong>{lines}</strong>" if one.bold else f"<em>{lines}</em>" if one.italic else lines


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _box(left: float, top: float, wide: float, high: float) -> str:
    sizes = {"left": left, "top": top, "width": wide, "height": high}
    return ";".join(f"{name}:{_percent(size)}" for name, size in sizes.items())


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"
