"""A plotly figure on matplotlib's axes: the same marks, lines, fills and texts, at the sizes of print.

All that our figures use is drawn. What a plotly figure holds beyond that raises :class:`NotDrawn` instead of missing
from the page that is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from explorer.figures.print_text import INK, LEADING, PX, SIZE, SMALL, SOFT, NotDrawn, from_html, widest, wrapped
from explorer.figures.style import GREY

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation, Text
    from numpy.typing import NDArray

DASHES: dict[str, Any] = {
    "solid": "-",
    "dot": (0, (1, 1.5)),
    "dash": (0, (4, 2)),
    "longdash": (0, (7, 3)),
    "dashdot": (0, (4, 1.6, 1, 1.6)),
    "longdashdot": (0, (7, 2, 1, 2)),
    "9px,3px,2px,3px,2px,3px": (0, (4, 1.6, 1, 1.6, 1, 1.6)),
    "2px,3px,2px,9px": (0, (1, 1.5, 1, 4.5)),
}
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "star": "*",
    "hexagon": "h",
    "line-ns": "|",
}
_OF_SIZE = {"D": 0.75}
"""A marker's side over plotly's size where they differ."""
_STEPS = {None: "default", "linear": "default", "hv": "steps-post", "vh": "steps-pre"}
_LABELS = 0.4
"""The widest that labels of rows get, as a share of the panel."""
_LINE_PX, _MARK_PX = 0.5, 0.55
"""Points for a pixel of a line's and a mark's width: on paper they are finer than on a screen."""
_ROOM = 2.0
"""Points between two tick labels."""

_SCREEN = ("hovertemplate", "hoverinfo", "customdata", "type")
_LINE = ("line.color", "line.width", "line.dash")
_ERROR = ("type", "symmetric", "array", "arrayminus", "color", "thickness", "width")
_POINTS = (
    *("x", "y", "xaxis", "yaxis", "mode", "name", "text", "fill", "fillcolor", "opacity", "showlegend", "legendgroup"),
    *(*_LINE, "line.shape", "marker.color", "marker.symbol", "marker.size", "marker.opacity"),
    *("marker.line.color", "marker.line.width", "textfont.size", "textfont.color"),
    *(f"error_{axis}.{key}" for axis in "xy" for key in _ERROR),
    *_SCREEN,
)
_DRAWN = {
    "scatter": _POINTS,
    "scattergl": _POINTS,
    "bar": ("x", "y", "width", "name", "marker.color", "marker.line.width", *_SCREEN),
    "heatmap": ("z", "x", "y", "colorscale", "zmin", "zmax", "xgap", "ygap", "showscale", *_SCREEN),
    "axis": (
        *("title.text", "title.font.size", "title.standoff", "range", "tickvals", "ticktext", "tickangle", "side"),
        *("tickfont.size", "type", "showgrid", "zeroline", "zerolinecolor", "visible", "showticklabels", "dtick"),
        *("rangemode", "domain", "anchor", "matches", "scaleanchor", "automargin", "fixedrange"),
    ),
    "annotation": (
        *("x", "y", "xref", "yref", "text", "showarrow", "xanchor", "yanchor", "yshift", "font.size", "font.color"),
    ),
    "shape": ("type", "x0", "x1", "y0", "y1", "xref", "yref", *_LINE, "fillcolor", "opacity", "layer"),
    "layout": (
        *("height", "barmode", "bargap", "showlegend", "hovermode", "dragmode", "uirevision", "template"),
        *("paper_bgcolor", "plot_bgcolor"),
    ),
}
_LAYOUT_PARTS = re.compile(r"(margin|legend|modebar)\.|(xaxis|yaxis)\d*\.|annotations$|shapes$")


def _check(kind: str, properties: Mapping[str, Any]) -> None:
    """Raise where a part of a figure has a property that is not drawn."""
    if kind not in _DRAWN:
        raise NotDrawn(f"a trace of kind {kind}")
    for path in _paths(properties):
        if path not in _DRAWN[kind] and not (kind == "layout" and _LAYOUT_PARTS.match(path)):
            raise NotDrawn(f"{path} of a {kind}")


def _paths(properties: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in properties.items():
        if isinstance(value, Mapping) and name != "template":
            yield from _paths(value, f"{above}{name}.")
        elif value is not None:
            yield above + name


@dataclass(frozen=True)
class Key:
    """What stands before a name in the legend: a filled patch, a line, a marker, or several of them."""

    fill: Any = None
    line: dict[str, Any] | None = None
    marker: dict[str, Any] | None = None

    @property
    def width(self) -> float:
        """Points that it takes up."""
        return 18 if self.line or self.fill is not None else 8

    def artists(self, x: float, y: float) -> list[Artist]:
        """What is drawn, from x on and about y."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        ends, middle = (x, x + self.width), x + self.width / 2
        out: list[Artist] = []
        if self.fill is not None:
            out.append(Rectangle((x, y - 3), self.width, 6, facecolor=self.fill, linewidth=0))
        if self.line:
            out.append(Line2D(ends, (y, y), solid_capstyle="butt", **self.line))
        if self.marker:
            out.append(
                Line2D(
                    [middle], [y], linestyle="none", **{**self.marker, "markersize": min(self.marker["markersize"], 7)}
                )
            )
        return out


@dataclass
class Plot:
    """One pair of axes of a figure, with the texts that are fitted to its size.

    Attributes
    ----------
    domain : left, bottom, width and height as shares of the figure
    """

    x: dict[str, Any]
    y: dict[str, Any]
    domain: tuple[float, float, float, float]
    traces: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    cells: list[Text] = field(default_factory=list)
    headings: list[tuple[Annotation, str]] = field(default_factory=list)
    """Notes above the labels of columns, and their words."""
    written: list[tuple[Annotation, str]] = field(default_factory=list)
    """Notes among the marks."""
    labels: dict[str, dict[float, str]] = field(default_factory=lambda: {"x": {}, "y": {}})
    """Tick labels by axis and place, as their lines are broken."""
    labelled: dict[str, bool] = field(default_factory=dict)
    angle: float = 0
    """Of the labels of columns, in degrees."""


class PlotlyPanel:
    """A plotly figure as a panel of a printed one.

    Raises
    ------
    NotDrawn
        Where the figure holds what is not drawn.
    """

    def __init__(self, figure: go.Figure) -> None:
        layout = figure.layout.to_plotly_json()
        _check("layout", layout)
        self._layout = layout
        plots: dict[tuple[str, str], Plot] = {}
        for trace in figure.data:
            properties = trace.to_plotly_json()
            _check(properties["type"], properties)
            if properties.get("showscale"):
                raise NotDrawn("a colour bar")
            names = properties.get("xaxis") or "x", properties.get("yaxis") or "y"
            self._plot(plots, names).traces.append(properties)
        for kind, part in (("annotation", "annotations"), ("shape", "shapes")):
            for properties in layout.get(part) or ():
                _check(kind, properties)
                names = _axis_of(properties, "x"), _axis_of(properties, "y")
                plot = self._plot(plots, names)
                (plot.notes if kind == "annotation" else plot.shapes).append(properties)
        self._plot(plots, next(iter(plots), ("x", "y")))
        self.plots = list(plots.values())

    def _plot(self, plots: dict[tuple[str, str], Plot], names: tuple[str, str]) -> Plot:
        if names not in plots:
            x, y = (self._axis(name) for name in names)
            (left, right), (bottom, top) = (tuple(axis.get("domain") or (0, 1)) for axis in (x, y))
            plots[names] = Plot(x, y, (left, bottom, right - left, top - bottom))
        return plots[names]

    def _axis(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self._layout.get(f"{name[0]}axis{name[1:]}") or {}
        _check("axis", properties)
        return properties

    own_legend = False

    @property
    def domains(self) -> list[tuple[float, float, float, float]]:
        return [plot.domain for plot in self.plots]

    @property
    def least_width(self) -> float:
        """Points below which its labels leave no room for the rest."""
        return 200 if any(plot.y.get("ticktext") is not None for plot in self.plots) else 110

    def axis_signature(self, axis: str) -> object:
        """What is equal where panels side by side need an axis' labels but once."""
        keys = ("title", "range", "tickvals", "ticktext", "type")
        return [[repr(getattr(plot, axis).get(key)) for key in keys] for plot in self.plots]

    def legend_keys(self) -> list[tuple[str, Key]]:
        """Every named trace as the legend has it: what belongs to one name stands before it together."""
        out = []
        for trace in (trace for plot in self.plots for trace in plot.traces):
            if not trace.get("name") or trace.get("showlegend") is False or trace["type"] == "heatmap":
                continue
            group = trace.get("legendgroup")
            same = [t for plot in self.plots for t in plot.traces if group and t.get("legendgroup") == group] or [trace]
            fills = [_fill(one) for one in same if _fill(one) is not None]
            lines = [_line(one.get("line") or {}, one) for one in same if has(one, "lines")]
            markers = [_marker_look(one, -1) for one in same if has(one, "markers")]
            shown = next((line for line in lines if line["linewidth"] > 0), None)
            out.append((from_html(trace["name"]).text, Key(next(iter(fills), None), shown, next(iter(markers), None))))
        return out

    def draw(self, axes: Sequence[Axes], panel_width: float, labelled: tuple[bool, bool]) -> None:
        """Draw once; :meth:`fit` then follows the size.

        Parameters
        ----------
        labelled : whether the x and the y axis are labelled here, and not by a panel beside it
        """
        for ax, plot in zip(axes, self.plots, strict=True):
            _scale(ax, plot)
            for place, trace in enumerate(plot.traces):
                _draw_trace(ax, plot, trace, place, self._layout)
            for shape in plot.shapes:
                _draw_shape(ax, shape)
            _limits(ax, plot)
            plot.labelled = {"x": labelled[0], "y": labelled[1]}
            _dress(ax, plot, panel_width)
            for note in plot.notes:
                _draw_note(ax, plot, note)

    def height(self, width: float) -> float:
        """Height of the axes in points, given their width; never so low that labels of rows meet."""
        margins = self._layout.get("margin") or {}
        given = self._layout.get("height") or 450
        inner = PX * (given - (margins.get("t") or 0) - (margins.get("b") or 0) - 40)
        for plot in self.plots:
            if plot.x.get("scaleanchor") or plot.y.get("scaleanchor"):
                return width
        needed = [_row_height(plot, width) for plot in self.plots]
        if not any(needed):
            return min(inner, 0.85 * width) if width > 100 else width
        return max(inner, *needed)

    def fit(self, axes: Sequence[Axes], width: float, height: float) -> None:
        """Ticks, tick labels, axis titles and texts in cells for axes of this size in points."""
        for ax, plot in zip(axes, self.plots, strict=True):
            _fit_ticks(ax, plot, width * plot.domain[2], height * plot.domain[3])


# --- traces ----------------------------------------------------------------------------------------------------------


def colour(text: str) -> tuple[float, float, float, float]:
    """A colour of plotly's as red, green, blue and opacity, 0 to 1."""
    from matplotlib.colors import to_rgba

    if text.startswith("rgb"):
        channels = [float(part) for part in re.findall(r"[\d.]+", text)]
        red, green, blue = (value / 255 for value in channels[:3])
        return red, green, blue, channels[3] if len(channels) > 3 else 1.0
    return to_rgba(text)


def _ink(text: str) -> Any:
    """The colour of a text: the grey of marks is too light for small type."""
    return colour(SOFT if text == GREY else text)


def _meant(known: Mapping[Any, Any], name: str | None, what: str) -> Any:
    """What a name of plotly's is in matplotlib."""
    if name not in known:
        raise NotDrawn(f"{what} of kind {name}")
    return known[name]


def numbers(values: Any) -> NDArray[np.float64]:
    """Values with NaN for None."""
    return np.array([np.nan if value is None else value for value in np.asarray(values).tolist()], dtype=np.float64)


def has(trace: Mapping[str, Any], part: str) -> bool:
    return trace["type"].startswith("scatter") and part in (trace.get("mode") or "lines").split("+")


def _line(line: Mapping[str, Any], trace: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "color": colour(line.get("color") or INK),
        "linewidth": _LINE_PX * (2 if line.get("width") is None else line["width"]),
        "linestyle": _meant(DASHES, line.get("dash") or "solid", "a line"),
        "alpha": trace.get("opacity"),
    }


def _fill(trace: Mapping[str, Any]) -> Any:
    if trace["type"] == "bar":
        return colour(trace["marker"]["color"])
    return colour(trace["fillcolor"]) if trace.get("fill") else None


def each(values: Any, n: int) -> list[Any]:
    """One value for each of n marks."""
    return list(values) if isinstance(values, (list, tuple, np.ndarray)) else [values] * n


def _marker_look(trace: Mapping[str, Any], place: int) -> dict[str, Any]:
    """How one mark of a trace is drawn, in matplotlib's words for a line's marker."""
    marker = trace.get("marker") or {}
    line = marker.get("line") or {}
    symbol, face = (each(marker.get(key), 1)[place] for key in ("symbol", "color"))
    symbol, face = symbol or "circle", face or (trace.get("line") or {}).get("color") or INK
    is_open = symbol.endswith("-open")
    shape = _meant(MARKERS, symbol.removesuffix("-open"), "a mark")
    opacity = [part for part in (trace.get("opacity"), marker.get("opacity")) if part is not None]
    return {
        "marker": shape,
        "markersize": _MARK_PX * (marker.get("size") or 6) * _OF_SIZE.get(shape, 1),
        "markerfacecolor": "none" if is_open or shape == "|" else colour(face),
        "markeredgecolor": colour(face if is_open else line.get("color") or face),
        "markeredgewidth": _LINE_PX * (line.get("width") or (2 if is_open else 0)),
        "alpha": float(np.prod(opacity)) if opacity else None,
    }


def _draw_trace(ax: Axes, plot: Plot, trace: dict[str, Any], place: int, layout: Mapping[str, Any]) -> None:
    if trace["type"] == "heatmap":
        _draw_heatmap(ax, trace)
        return
    x, y, order = numbers(trace["x"]), numbers(trace["y"]), 2 + place / 100
    if trace["type"] == "bar":
        wide = trace.get("width") or 1 - (0.2 if layout.get("bargap") is None else layout["bargap"])
        ax.bar(x, y, width=wide, color=[_fill(trace)], linewidth=0, zorder=order)
        return
    fill = trace.get("fill")
    if fill == "toself":
        ax.fill(x, y, facecolor=_fill(trace), linewidth=0, zorder=order)
    elif fill == "tozeroy":
        ax.fill_between(x, y, 0, facecolor=_fill(trace), linewidth=0, zorder=order)
    elif fill:
        raise NotDrawn(f"a fill {fill}")
    line = trace.get("line") or {}
    if has(trace, "lines") and line.get("width") != 0:
        stroke = _line(line, trace)
        steps = _meant(_STEPS, line.get("shape"), "a line")
        ax.plot(x, y, drawstyle=steps, solid_capstyle="butt", zorder=order, **stroke)
    _draw_errors(ax, trace, x, y, order)
    if has(trace, "markers"):
        _draw_marks(ax, trace, x, y, order)
    if has(trace, "text"):
        font = trace.get("textfont") or {}
        colours = each(font.get("color") or INK, len(x))
        size = max(SMALL, PX * (font.get("size") or 12))
        for at_x, at_y, text, ink in zip(x, y, each(trace["text"], len(x)), colours, strict=True):
            styled = from_html(str(text))
            if styled.text:
                look: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4, **styled.look}
                plot.cells.append(ax.text(at_x, at_y, styled.text, color=_ink(ink), fontsize=size, **look))


def _draw_marks(ax: Axes, trace: dict[str, Any], x: NDArray[np.float64], y: NDArray[np.float64], order: float) -> None:
    """Marks that look alike at once."""
    marker = trace.get("marker") or {}
    looks = list(zip(each(marker.get("symbol"), len(x)), each(marker.get("color"), len(x)), strict=True))
    for look in dict.fromkeys(looks):
        mine = np.array([one == look for one in looks], dtype=bool) & ~np.isnan(x) & ~np.isnan(y)
        if mine.any():
            drawn = {**trace, "marker": {**marker, "symbol": look[0], "color": look[1]}}
            # thousands of marks would make a file that no program opens
            ax.plot(
                x[mine], y[mine], linestyle="none", zorder=order, rasterized=mine.sum() > 3000, **_marker_look(drawn, 0)
            )


def _draw_errors(ax: Axes, trace: dict[str, Any], x: NDArray[np.float64], y: NDArray[np.float64], order: float) -> None:
    for key, axis in (("xerr", "error_x"), ("yerr", "error_y")):
        error = trace.get(axis)
        if not error:
            continue
        ends: Any = np.stack([numbers(error.get("arrayminus", error["array"])), numbers(error["array"])])
        ink = error.get("color") or (trace.get("line") or {}).get("color") or INK
        reach: dict[str, Any] = {key: np.where(np.isnan(ends), 0, np.maximum(ends, 0))}
        ax.errorbar(
            x,
            y,
            **reach,
            fmt="none",
            ecolor=colour(ink),
            elinewidth=_LINE_PX * error.get("thickness", 2),
            capsize=_LINE_PX * error.get("width", 4) / 2,
            zorder=order,
        )


def _draw_heatmap(ax: Axes, trace: dict[str, Any]) -> None:
    """Every cell is a rectangle with the page's own gap about it; one without a number stays blank."""
    from matplotlib.collections import PolyCollection

    z = np.array([[np.nan if cell is None else cell for cell in row] for row in np.asarray(trace["z"]).tolist()], float)
    at, shades = zip(*[(float(stop), colour(shade)) for stop, shade in trace["colorscale"]], strict=True)
    rows, columns = np.nonzero(~np.isnan(z))
    share = np.clip((z[rows, columns] - trace["zmin"]) / (trace["zmax"] - trace["zmin"]), 0, 1)
    faces = np.stack([np.interp(share, at, channel) for channel in np.array(shades).T], axis=1)
    x = numbers(trace["x"])[columns] if "x" in trace else columns
    y = numbers(trace["y"])[rows] if "y" in trace else rows
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    squares = np.stack([x, y], axis=1)[:, None] + corners
    gap = PX * (trace.get("xgap") or 0)
    ax.add_collection(PolyCollection(squares, facecolors=faces, edgecolors="white", linewidths=gap, zorder=1.5))


# --- shapes and notes ------------------------------------------------------------------------------------------------


def _axis_of(properties: Mapping[str, Any], axis: str) -> str:
    """The axis that a shape or a note lies on; what spans the paper lies on the first one."""
    ref = (properties.get(f"{axis}ref") or axis).removesuffix(" domain")
    return axis if ref == "paper" else ref


def spans(properties: Mapping[str, Any], axis: str) -> bool:
    ref = properties.get(f"{axis}ref") or axis
    return bool(ref == "paper" or ref.endswith(" domain"))


def _transform(ax: Axes, properties: Mapping[str, Any]) -> Any:
    from matplotlib.transforms import blended_transform_factory

    x, y = (ax.transAxes if spans(properties, axis) else ax.transData for axis in "xy")
    return blended_transform_factory(x, y)


def _draw_shape(ax: Axes, shape: dict[str, Any]) -> None:
    x0, x1, y0, y1 = (float(shape[key]) for key in ("x0", "x1", "y0", "y1"))
    order = 1.0 if shape.get("layer") == "below" else 1.8
    look = _line(shape.get("line") or {}, shape)
    if shape["type"] == "line":
        ax.plot([x0, x1], [y0, y1], transform=_transform(ax, shape), zorder=order, scalex=False, scaley=False, **look)
    elif shape["type"] == "rect":
        from matplotlib.patches import Rectangle

        face = colour(shape["fillcolor"]) if shape.get("fillcolor") else "none"
        look["facecolor"], look["edgecolor"] = face, look.pop("color")
        order = 3 if face == "none" else order
        ax.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, transform=_transform(ax, shape), zorder=order, clip_on=False, **look)
        )
    else:
        raise NotDrawn(f"a shape {shape['type']}")


def _draw_note(ax: Axes, plot: Plot, note: dict[str, Any]) -> None:
    if note.get("showarrow") is not False or "log" in (plot.x.get("type"), plot.y.get("type")):
        raise NotDrawn("a note with an arrow or on a logarithmic axis")
    styled = from_html(note["text"])
    font = note.get("font") or {}
    anchors = {None: "center", "middle": "center"}
    x, y = (note.get(key) for key in ("xanchor", "yanchor"))
    text = ax.annotate(
        styled.text,
        (note["x"], note["y"]),
        xycoords=_transform(ax, note),
        xytext=(0, PX * (note.get("yshift") or 0)),
        textcoords="offset points",
        ha=anchors.get(x, x),
        va=anchors.get(y, y),
        fontsize=max(SMALL, min(SIZE, PX * (font.get("size") or 12))),
        color=_ink(font.get("color") or INK),
        annotation_clip=False,
        **styled.look,
    )
    (plot.headings if note.get("yshift") else plot.written).append((text, styled.text))


# --- axes ------------------------------------------------------------------------------------------------------------


def _scale(ax: Axes, plot: Plot) -> None:
    for axis, properties in (("x", plot.x), ("y", plot.y)):
        if properties.get("type") == "log":
            ax.set(**{f"{axis}scale": "log"})
        elif properties.get("type") not in (None, "linear"):
            raise NotDrawn(f"an axis of type {properties['type']}")


def _limits(ax: Axes, plot: Plot) -> None:
    ax.margins(0.04)
    ax.autoscale_view()
    for axis, properties in (("x", plot.x), ("y", plot.y)):
        given = properties.get("range")
        if given is not None:
            ends = [float(end) for end in given]
            ax.set(**{f"{axis}lim": [10**end for end in ends] if properties.get("type") == "log" else ends})
        elif properties.get("rangemode") == "tozero":
            low, high = getattr(ax.dataLim, f"interval{axis}")
            ax.set(**{f"{axis}lim": (min(0, low), high + 0.08 * (high - min(0, low)))})
    if plot.y.get("scaleanchor"):
        ax.set_aspect("equal", adjustable="datalim")


def _dress(ax: Axes, plot: Plot, panel_width: float) -> None:
    """Spines, grid, ticks and axis titles."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=2.5, width=0.5, pad=2)
    filled = any(trace["type"] == "heatmap" for trace in plot.traces)
    hidden = plot.x.get("visible") is False
    if filled or hidden:
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(hidden)
    sides: tuple[tuple[Literal["x", "y"], Any, dict[str, Any]], ...] = (
        ("x", ax.xaxis, plot.x),
        ("y", ax.yaxis, plot.y),
    )
    for name, axis, properties in sides:
        axis.grid(properties.get("showgrid") is not False and not filled and not hidden)
        axis.set_minor_locator(NullLocator())
        if properties.get("side") == "top":
            axis.tick_top()
        if hidden:
            axis.set_major_locator(NullLocator())
        elif properties.get("tickvals") is not None:
            places = numbers(properties["tickvals"])
            texts = properties.get("ticktext")
            axis.set_major_locator(FixedLocator(places.tolist()))
            if texts is not None:
                labels = [from_html(str(text)) for text in texts]
                room = _LABELS * panel_width if name == "y" else np.inf
                drawn = [wrapped(one.text, room, SMALL, one.bold) if name == "y" else one.text for one in labels]
                axis.set_major_formatter(FixedFormatter(drawn))
                plot.labels[name] = dict(zip(places.tolist(), drawn, strict=True))
                for tick, one in zip(axis.get_major_ticks(len(places)), labels, strict=True):
                    for label in (tick.label1, tick.label2):
                        label.set(**one.look)
        if properties.get("zeroline") and properties.get("zerolinecolor"):
            line = ax.axhline if name == "y" else ax.axvline
            line(0, color=colour(properties["zerolinecolor"]), linewidth=0.75, zorder=1.7)
        if properties.get("showticklabels") is False or not plot.labelled[name]:
            ax.tick_params(axis=name, labelleft=False, labelbottom=False, labeltop=False)


def _fit_ticks(ax: Axes, plot: Plot, width: float, height: float) -> None:
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    for axis, properties, size, least in ((ax.xaxis, plot.x, width, 30.0), (ax.yaxis, plot.y, height, 18.0)):
        if properties.get("tickvals") is None and properties.get("visible") is not False:
            low, high = sorted(axis.get_view_interval())
            step = properties.get("dtick")
            if step and (high - low) / step * 14 <= size:
                axis.set_major_locator(MultipleLocator(step))
            elif properties.get("type") != "log":
                most = max(2, int(size / least))
                axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=bool(step)))
        title = from_html((properties.get("title") or {}).get("text") or "").text
        axis.set_label_text(wrapped(title, max(size, 60), SIZE) if title and plot.labelled[axis.axis_name] else "")
    _turn_labels(ax, plot, width)
    over = 0.0
    if plot.x.get("side") == "top":
        over = max((_label_height(text, plot.angle) for text in plot.labels["x"].values()), default=0)
    for heading, _ in plot.headings:
        heading.xyann = (0, over + 6)
    for note, words in plot.written:
        bold = note.get_fontweight() == "bold"
        note.set_text(wrapped(words, max(width - 4, 40), float(note.get_fontsize()), bold))
    _turn_cells(ax, plot, width)


def _turn_labels(ax: Axes, plot: Plot, width: float) -> None:
    """Labels of columns: as given where they have room, else broken between words, else turned."""
    from matplotlib.ticker import FixedFormatter

    if not plot.labels["x"]:
        return
    properties, places = plot.x, sorted(plot.labels["x"])
    ends = ax.transLimits.transform(
        [(place, 0) if ax.get_xscale() == "linear" else (np.log10(place), 0) for place in places]
    )
    step = float(np.abs(np.diff(ends[:, 0])).min()) * width if len(places) > 1 else width
    given = {
        place: from_html(str(text)).text
        for place, text in zip(numbers(properties["tickvals"]).tolist(), properties["ticktext"], strict=True)
    }
    angle = -float(properties.get("tickangle") or 0)
    drawn = given
    if angle == 0:
        broken = {place: "\n".join(text.split()) for place, text in given.items()}
        drawn = next((one for one in (given, broken) if _have_room(one, places, step)), given)
        angle = 0 if _have_room(drawn, places, step) else 45
    if angle == 45 and step < (1 + max(text.count("\n") for text in drawn.values())) * SMALL * LEADING * 1.42:
        angle = 90
    plot.labels["x"], plot.angle = drawn, angle
    ax.xaxis.set_major_formatter(FixedFormatter([drawn[place] for place in numbers(properties["tickvals"]).tolist()]))
    top = properties.get("side") == "top"
    ax.tick_params(axis="x", labelrotation=angle)
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("center" if angle != 45 else "left" if top else "right")
        label.set_rotation_mode("anchor" if angle == 45 else "default")


def _have_room(texts: Mapping[float, str], places: Sequence[float], step: float) -> bool:
    wide = [widest(texts[place], SMALL) for place in places]
    return all((one + other) / 2 + _ROOM <= step for one, other in pairwise(wide))


def _label_height(text: str, angle: float) -> float:
    lines = (1 + text.count("\n")) * SMALL * LEADING
    return (
        lines
        if angle == 0
        else widest(text, SMALL) * float(np.sin(np.radians(angle))) + lines * float(np.cos(np.radians(angle)))
    )


def _turn_cells(ax: Axes, plot: Plot, width: float) -> None:
    """Texts in cells stand upright where they have room in a column."""
    if not plot.cells:
        return
    step = width / abs(float(np.diff(ax.get_xlim())[0]))
    turned = max(widest(cell.get_text(), float(cell.get_fontsize())) for cell in plot.cells) > step - 0.5
    for cell in plot.cells:
        cell.set_rotation(90 if turned else 0)


def _row_height(plot: Plot, width: float) -> float:
    """Points that the axes need for their rows' labels and cells; 0 without labels of rows."""
    labels = plot.labels["y"]
    if not labels or plot.y.get("range") is None:
        return 0.0
    span = abs(float(plot.y["range"][1]) - float(plot.y["range"][0]))
    places = sorted(labels)
    needed = [
        ((2 + labels[a].count("\n") + labels[b].count("\n")) / 2 * SMALL * 1.2 + 1) / (b - a)
        for a, b in pairwise(places)
    ]
    if plot.cells and plot.x.get("range") is not None:
        step = width / abs(float(plot.x["range"][1]) - float(plot.x["range"][0]))
        widths = [widest(cell.get_text(), float(cell.get_fontsize())) for cell in plot.cells]
        if max(widths) > step - 0.5:
            needed.append(max(widths) + 2)
    return span * max(needed, default=SMALL * LEADING)
