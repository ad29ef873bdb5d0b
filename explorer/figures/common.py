"""Frames and arrays to Plotly figures. Pure: no store, no Streamlit, and the same input gives the same bytes.

Colours are from Okabe & Ito's palette and keep a contrast of at least 3:1 on both the light and the dark page. Every
regime has its own colour, marker and dash, so that no reading hangs on colour alone. Backgrounds and fonts are left to
the page's theme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

GREY = "#8a8f98"
"""Context: baselines, negatives, what is too few to say. Reads on light and dark alike."""


@dataclass(frozen=True)
class Style:
    """How one regime is drawn on every page."""

    colour: str
    symbol: str
    dash: str
    badge: str
    """The nearest of Streamlit's named text colours."""


_STYLES = (
    Style("#D55E00", "circle", "dot", "orange"),
    Style("#1F83C6", "square", "dash", "blue"),
    Style("#009E73", "diamond", "solid", "green"),
    Style("#CC79A7", "triangle-up", "dashdot", "violet"),
)


def regime_style(place: int) -> Style:
    """The style of a run's regime by its place in the manifest; more regimes than styles begin again."""
    return _STYLES[place % len(_STYLES)]


def translucent(colour: str, opacity: float) -> str:
    """A hex colour that lets what lies beneath shine through."""
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def with_interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its 95% interval; a dash where there is none.

    Examples
    --------
    >>> with_interval(0.3126, 0.22, 0.409), with_interval(-0.001, -0.02, 0.01), with_interval(float("nan"), 0.0, 1.0)
    ('0.31 [0.22, 0.41]', '0.00 [-0.02, 0.01]', '—')
    """
    if np.isnan(value):
        return "—"
    said = f"{value:z.{digits}f}"  # z: no minus before a zero
    return f"{said} [{low:z.{digits}f}, {high:z.{digits}f}]" if not np.isnan(low) else f"{said} [no interval]"


# --- dots and whiskers -----------------------------------------------------------------------------------------------


def dots(frame: pd.DataFrame, styles: Mapping[str, Style], title: str, few: int) -> go.Figure:
    """Values from 0 to 1 with 95% whiskers: a row a label, a mark a series, the trivial baseline as a tick.

    Parameters
    ----------
    frame : DataFrame
        series, label, value, ci_low, ci_high, baseline, n_pos; drawn in the order labels first appear, top down.
    styles : mapping
        Series name to style, in drawing order.
    title : str
        The value axis' title.
    few : int
        Labels with fewer positives than this are drawn in grey.
    """
    labels = list(dict.fromkeys(frame["label"]))
    counts = frame.groupby("label")["n_pos"].max()
    place = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
    figure = go.Figure()
    shared = frame.drop_duplicates("label")
    step = 0.56 / max(len(styles), 1)
    for i, (series, style) in enumerate(styles.items()):
        part = frame[(frame["series"] == series) & frame["value"].notna()]
        y = part["label"].map(place) + step * ((len(styles) - 1) / 2 - i)
        rare = (part["n_pos"] < few).to_numpy()
        # whiskers are one line with gaps, one for each colour, beneath the marks
        ends = np.column_stack([part["ci_low"], part["ci_high"], np.full(len(part), np.nan)])
        for colour, chosen in ((style.colour, ~rare), (GREY, rare)):
            figure.add_scatter(
                x=ends[chosen].ravel(),
                y=np.repeat(y.to_numpy(dtype=float)[chosen], 3),
                mode="lines",
                line={"color": colour, "width": 2},
                opacity=0.7,
                hoverinfo="skip",
                showlegend=False,
            )
        facts = np.column_stack([part["label"], part["ci_low"], part["ci_high"], part["n_pos"], part["baseline"]])
        figure.add_scatter(
            x=part["value"],
            y=y,
            mode="markers",
            name=series,
            marker={"color": np.where(rare, GREY, style.colour), "symbol": style.symbol, "size": 9},
            customdata=facts,
            hovertemplate="%{customdata[0]}: %{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
            f"{series}, positives %{{customdata[3]}}, baseline %{{customdata[4]:.3f}}<extra></extra>",
            showlegend=False,
        )
        # the legend's entry on its own: a trace's entry takes its first mark's colour, which may be grey
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=series,
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
        )
    figure.add_scatter(
        x=shared["baseline"],
        y=shared["label"].map(place),
        mode="markers",
        name="baseline",
        marker={"symbol": "line-ns", "size": 20, "line": {"color": GREY, "width": 3}},
        hovertemplate="baseline %{x:.3f}<extra></extra>",
    )
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[f"{label} ({int(counts[label])})" for label in labels],
        range=[-0.6, len(labels) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title=title, range=[-0.01, 1.02], zeroline=False)
    return _compact(figure, height=max(170, 90 + 34 * len(labels)))


# --- labels together -------------------------------------------------------------------------------------------------


def cooccurrence(share: NDArray[np.float64], together: NDArray[np.int64], labels: Sequence[str]) -> go.Figure:
    """Heat map of how often a film with the row's label also has the column's.

    Parameters
    ----------
    share : (C, C)
        P(column positive | row positive) over films where both are known; NaN where the row has none.
    together : (C, C)
        Films with both, for the hover text.
    """
    percent = np.where(np.nan_to_num(share) > 0, np.char.mod("%.0f", np.nan_to_num(share) * 100), "")
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=list(labels),
            y=list(labels),
            customdata=np.dstack([percent, together]),
            colorscale=[[0, "rgba(122,92,196,0.04)"], [1, "rgba(122,92,196,1)"]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="of films with %{y}, %{customdata[0]}% also have %{x}: %{customdata[1]}<extra></extra>",
        )
    )
    # Written by hand: the heat map's own text takes a colour for an opaque ground and vanishes on the dark page. The
    # diagonal is 100 whatever the films, and on a phone its figures would run into the next.
    rows, columns = np.nonzero((percent != "") & ~np.eye(len(labels), dtype=bool))
    dark = share[rows, columns] > 0.5
    for colour, chosen in ((GREY, ~dark), ("#ffffff", dark)):
        figure.add_scatter(
            x=[labels[c] for c in columns[chosen]],
            y=[labels[r] for r in rows[chosen]],
            text=percent[rows[chosen], columns[chosen]],
            mode="text",
            textfont={"color": colour, "size": 11},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(tickangle=-45, showgrid=False)
    return _compact(figure, height=120 + 25 * len(labels))


# --- maps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """One legend entry of a map: which rows, and how they look. Later layers lie on top."""

    name: str
    rows: NDArray[np.int64]
    colour: str
    symbol: str = "circle"
    size: float = 5
    opacity: float = 0.8


def layered_map(xy: NDArray[np.float32], layers: Sequence[Layer], hover: NDArray[np.str_], height: int) -> go.Figure:
    """Points in groups. ``customdata`` of a point is its row, so that a selection survives any filter.

    Parameters
    ----------
    xy : (N, 2)
    layers : groups of rows, bottom first
    hover : (N,) text of each row
    height : int, pixels
    """
    figure = go.Figure()
    for layer in layers:
        figure.add_scattergl(
            x=xy[layer.rows, 0],
            y=xy[layer.rows, 1],
            mode="markers",
            name=f"{layer.name} ({len(layer.rows):,})",
            customdata=layer.rows,
            text=hover[layer.rows],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": layer.colour,
                "symbol": layer.symbol,
                "size": layer.size,
                "opacity": layer.opacity,
                "line": {"width": 0},
            },
        )
    return _as_map(figure, height)


def add_ring(figure: go.Figure, xy: NDArray[np.float32], row: int, hover: NDArray[np.str_]) -> None:
    """Ring one film on a map, whatever its colour and split."""
    figure.add_scattergl(
        x=xy[[row], 0],
        y=xy[[row], 1],
        mode="markers",
        name="this film",
        customdata=[row],
        text=hover[[row]],
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "circle-open", "size": 18, "color": "#e0457b", "line": {"width": 3}},
    )


def _as_map(figure: go.Figure, height: int) -> go.Figure:
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden, scaleanchor="x")
    # Streamlit lets a click select only while dragging pans or zooms; lasso and box are one click away in the toolbar
    figure.update_layout(dragmode="pan", hovermode="closest", uirevision="map")
    figure.update_layout(modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": "#3a9bdc"})
    _compact(figure, height)
    # below, since the toolbar has the top
    return figure.update_layout(legend={"y": 0, "yanchor": "top"})


def _compact(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
