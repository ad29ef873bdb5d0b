"""The few-shot curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from explorer.figures.style import GREY, Style, compact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

APART = 0.07
"""Between two regimes at one number of positives, in steps of the axis."""


def few_shot_curves(frame: pd.DataFrame, ticks: Sequence[str], styles: Mapping[str, Style], title: str) -> go.Figure:
    """A figure against the number of positives: a line with 95% whiskers for each regime, the reference across.

    Parameters
    ----------
    frame : DataFrame
        regime, shots (0: the reference), place, value, ci_low, ci_high, baseline.
    ticks : sequence of str
        What stands at each place of the axis.
    styles : mapping
        Regime to style.
    title : str
        Of the value axis.
    """
    figure = go.Figure()
    for i, (regime, points) in enumerate(frame.groupby("regime", sort=False)):
        style, shift = styles[str(regime)], APART * i
        across = (points["shots"] == 0).all()
        if across:
            figure.add_hline(y=float(points["value"].iloc[0]), line={"color": style.colour, "width": 2, "dash": "dot"})
        figure.add_scatter(
            x=points["place"] + shift,
            y=points["value"],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (points["ci_high"] - points["value"]).fillna(0),
                "arrayminus": (points["value"] - points["ci_low"]).fillna(0),
                "width": 0,
                "color": style.colour,
                "thickness": 1.5,
            },
            mode="markers" if across else "lines+markers",
            line={"color": style.colour, "width": 2, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            name=str(regime),
            customdata=points[["ci_low", "ci_high"]],
            hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    figure.add_hline(y=float(frame["baseline"].iloc[0]), line={"color": GREY, "width": 2, "dash": "longdash"})
    figure.update_xaxes(
        title="positive patients of each label",
        tickvals=list(range(len(ticks))),
        ticktext=list(ticks),
        range=[-0.3, len(ticks) - 0.4],
        zeroline=False,
        showgrid=False,
    )
    figure.update_yaxes(title=title, zeroline=False)
    return compact(figure, 360)
