"""The board's figure: one row for each encoder and regime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html
from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from explorer.figures.style import Style

LINE, BETWEEN = 14, 12
"""Pixels of a line of a row's name, and between two rows."""
NARROW = 20
"""Characters of a line: a name's parts stand beneath each other, so that a phone has room for the picture."""


def ranked_dots(
    frame: pd.DataFrame, names: Sequence[tuple[str, ...]], styles: Sequence[Style], baseline_is: str
) -> go.Figure:
    """A mark with its 95% whiskers and its trivial baseline in each row, top down.

    Parameters
    ----------
    frame : DataFrame
        value, ci_low, ci_high, baseline.
    names : the parts of each row's name
    styles : one for each row
    baseline_is : the baseline's name in the legend
    """
    figure = go.Figure()
    places = np.arange(len(frame))[::-1]
    for place, name, style, row in zip(places.tolist(), names, styles, frame.to_dict("records"), strict=True):
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
            customdata=[[in_html(" · ".join(name)), row["ci_low"], row["ci_high"], row["baseline"]]],
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
    figure.update_yaxes(
        tickvals=places,
        ticktext=["<br>".join(in_html(part, NARROW) for part in name) for name in names],
        range=[-0.6, len(frame) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(range=[-0.01, 1.02], zeroline=False)
    return compact(figure, height=70 + (LINE * max(map(len, names)) + BETWEEN) * len(names))
