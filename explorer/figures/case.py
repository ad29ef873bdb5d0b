"""Figures of one film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from explorer.figures.common import GREY, Style

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def margins(frame: pd.DataFrame, styles: Mapping[str, Style]) -> go.Figure:
    """How far each label's score lies above or below its threshold: a row a label, a mark a regime.

    Parameters
    ----------
    frame : DataFrame
        label, state, series, margin (standard deviations of the split's logits above the threshold, NaN without one),
        logit, threshold, rank; drawn in the order labels first appear, top down.
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
            customdata=part[["label", "logit", "threshold", "rank"]].to_numpy(),
            hovertemplate="%{customdata[0]}: logit %{customdata[1]:.2f}, threshold %{customdata[2]:.2f}<br>"
            f"{series}, rank %{{customdata[3]}}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    signs = {"positive": "<b>{} +</b>", "unknown": "{} ?", "negative": "{}"}
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[signs[state].format(label) for label, state in states.items()],
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
