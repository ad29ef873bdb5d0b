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
    ends = [-0.3, len(ticks) - 0.4]
    chance = float(frame["baseline"].iloc[0])
    figure.add_scatter(
        x=ends,
        y=[chance, chance],
        mode="lines",
        line={"color": GREY, "width": 2, "dash": "longdash"},
        name="random ranking",
        hovertemplate="%{y:.3f}",
    )
    for i, (regime, points) in enumerate(frame.groupby("regime", sort=False)):
        style, shift = styles[str(regime)], APART * i
        across = bool((points["shots"] == 0).all())
        for place, low, high in points[["place", "ci_low", "ci_high"]].dropna().itertuples(index=False):
            figure.add_scatter(
                x=[place + shift, place + shift],
                y=[low, high],
                mode="lines",
                line={"color": style.colour, "width": 2},
                opacity=0.6,
                showlegend=False,
                hoverinfo="skip",
            )
        if across:
            value = float(points["value"].iloc[0])
            figure.add_scatter(
                x=ends,
                y=[value, value],
                mode="lines",
                line={"color": style.colour, "width": 2, "dash": style.dash},
                showlegend=False,
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=points["place"] + shift,
            y=points["value"],
            mode="markers" if across else "lines+markers",
            line={"color": style.colour, "width": 2, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            name=str(regime),
            customdata=points[["ci_low", "ci_high"]],
            hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    figure.update_xaxes(
        title="positive patients of each label",
        tickvals=list(range(len(ticks))),
        ticktext=list(ticks),
        range=ends,
        zeroline=False,
        showgrid=False,
    )
    figure.update_yaxes(title=title, zeroline=False)
    return compact(figure, 360)
