"""Figures of one film: its margins over the thresholds, and where it lies on a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html, on_axis
from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from explorer.figures.style import Style


def margins(frame: pd.DataFrame, styles: Mapping[str, Style]) -> go.Figure:
    """How far each label's score lies above or below its threshold: one row per label, one mark per regime.

    Parameters
    ----------
    frame : DataFrame
        label, state, series, margin, logit, threshold, rank. The margin counts standard deviations of the split's
        logits above the threshold; NaN without one. Labels are drawn top down in the order they first appear.
    styles : mapping
        Series name to style, in drawing order.
    """
    states = frame.drop_duplicates("label").set_index("label")["state"]
    place = {label: len(states) - 1 - i for i, label in enumerate(states.index)}
    figure = go.Figure()
    step = 0.5 / max(len(styles), 1)
    for i, (series, style) in enumerate(styles.items()):
        part = frame[(frame["series"] == series) & frame["margin"].notna()]
        figure.add_scatter(
            x=part["margin"],
            y=part["label"].map(place) + step * ((len(styles) - 1) / 2 - i),
            mode="markers",
            name=series,
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            customdata=np.column_stack([part["label"].map(in_html), part[["logit", "threshold", "rank"]]]),
            hovertemplate="%{customdata[0]}: logit %{customdata[1]:.2f}, threshold %{customdata[2]:.2f}<br>"
            f"{series}, rank %{{customdata[3]}}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    signs = {"positive": "<b>{} +</b>", "unknown": "{} ?", "negative": "{}"}
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[signs[state].format(on_axis(label)) for label, state in states.items()],
        range=[-0.6, len(states) - 0.4],
        showgrid=True,
        zeroline=False,
    )
    figure.update_xaxes(title="standard deviations above the threshold", zeroline=False)
    return figure.update_layout(
        height=100 + 27 * len(states),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )


@dataclass(frozen=True)
class PointGroup:
    """One legend entry of a map: which rows, and how they look. Later groups lie on top."""

    name: str
    rows: NDArray[np.int64]
    colour: str
    symbol: str = "circle"
    size: float = 5
    opacity: float = 0.8


def grouped_map(
    xy: NDArray[np.float32], groups: Sequence[PointGroup], hover: NDArray[np.str_], height: int
) -> go.Figure:
    """Points in groups. ``customdata`` of a point is its row, so that a selection survives any filter.

    Parameters
    ----------
    xy : (N, 2)
    groups : groups of rows, bottom first
    hover : (N,) text of each row
    height : int, pixels
    """
    figure = go.Figure()
    for group in groups:
        figure.add_scattergl(
            x=xy[group.rows, 0],
            y=xy[group.rows, 1],
            mode="markers",
            name=f"{group.name} ({len(group.rows):,})",
            customdata=group.rows,
            text=hover[group.rows],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": group.colour,
                "symbol": group.symbol,
                "size": group.size,
                "opacity": group.opacity,
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
    compact(figure, height)
    # below, since the toolbar has the top
    return figure.update_layout(legend={"y": 0, "yanchor": "top"})
