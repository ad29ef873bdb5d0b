"""The board's figure: one row for each encoder and regime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import on_axis
from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from explorer.figures.style import Style

ROW = 38
"""Pixels of a row: its name has two lines."""


def ranked_dots(frame: pd.DataFrame, styles: Sequence[Style], baseline_is: str) -> go.Figure:
    """A mark with its 95% whiskers and its trivial baseline in each row, top down.

    Parameters
    ----------
    frame : DataFrame
        regime, of (what tells it from others of its name), value, ci_low, ci_high, baseline.
    styles : one for each row
    baseline_is : the baseline's name in the legend
    """
    figure = go.Figure()
    places = np.arange(len(frame))[::-1]
    for place, style, row in zip(places.tolist(), styles, frame.to_dict("records"), strict=True):
        figure.add_scatter(
            x=[row["ci_low"], row["ci_high"]],
            y=[place, place],
            mode="lines",
            line={"color": style.colour, "width": 2},
            opacity=0.7,
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=[row["value"]],
            y=[place],
            mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 10},
            customdata=[[on_axis(row["regime"]), row["ci_low"], row["ci_high"], row["baseline"]]],
            hovertemplate="%{customdata[0]}: %{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
            f"{baseline_is} %{{customdata[3]:.3f}}<extra></extra>",
            showlegend=False,
        )
    figure.add_scatter(
        x=frame["baseline"],
        y=places,
        mode="markers",
        name=baseline_is,
        marker={"symbol": "line-ns", "size": 20, "line": {"color": GREY, "width": 3}},
        hovertemplate=f"{baseline_is} %{{x:.3f}}<extra></extra>",
    )
    names = zip(frame["regime"], frame["of"], strict=True)
    figure.update_yaxes(
        tickvals=places,
        ticktext=["<br>".join(map(on_axis, filter(None, name))) for name in names],
        range=[-0.6, len(frame) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(range=[-0.01, 1.02], zeroline=False)
    return compact(figure, height=70 + ROW * len(frame))
