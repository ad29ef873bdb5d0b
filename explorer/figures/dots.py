"""Values with whiskers: one row per label, one mark per series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html, on_axis
from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from explorer.figures.style import Style


def dots(
    frame: pd.DataFrame,
    styles: Mapping[str, Style],
    title: str,
    few: int,
    limits: tuple[float, float] = (-0.01, 1.02),
    counted: str = "positives",
) -> go.Figure:
    """Values with 95% whiskers: one row per label, one mark per series, the trivial baseline as a tick.

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
    limits : float, float
        Ends of the value axis.
    counted : str
        What ``n_pos`` counts.
    """
    labels = list(dict.fromkeys(frame["label"]))
    counts = frame.groupby("label")["n_pos"].max()
    place = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
    figure = go.Figure()
    shared = frame.drop_duplicates("label")
    step = 0.56 / max(len(styles), 1)
    for i, (series, style) in enumerate(styles.items()):
        part = frame[(frame["series"] == series) & frame["value"].notna()]
        y = part["label"].map(place).astype(float) + step * ((len(styles) - 1) / 2 - i)
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
        facts = np.column_stack(
            [part["label"].map(in_html), part["ci_low"], part["ci_high"], part["n_pos"], part["baseline"]]
        )
        figure.add_scatter(
            x=part["value"],
            y=y,
            mode="markers",
            name=series,
            marker={"color": np.where(rare, GREY, style.colour), "symbol": style.symbol, "size": 9},
            customdata=facts,
            hovertemplate="%{customdata[0]}: %{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
            f"{series}, {counted} %{{customdata[3]}}, baseline %{{customdata[4]:.3f}}<extra></extra>",
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
    if shared["baseline"].notna().any():
        figure.add_scatter(
            x=shared["baseline"],
            y=shared["label"].map(place).astype(float),
            mode="markers",
            name="baseline",
            marker={"symbol": "line-ns", "size": 20, "line": {"color": GREY, "width": 3}},
            hovertemplate="baseline %{x:.3f}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[f"{on_axis(label)} ({int(counts[label])})" for label in labels],
        range=[-0.6, len(labels) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title=title, range=list(limits), zeroline=False)
    return compact(figure, height=max(170, 90 + 34 * len(labels)))
