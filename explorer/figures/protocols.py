"""Figures of the protocols page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.figures.style import GREY, Style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

ROW, HEAD = 1.0, 1.3
"""Heights of a regime's row and of a group's heading, in rows."""


def protocol_dots(
    groups: Sequence[tuple[str, pd.DataFrame]], styles: Mapping[str, Style], limits: tuple[float, float]
) -> go.Figure:
    """One figure of every group and regime: a mark with its 95% whiskers, trivial baselines as lines across the group.

    Parameters
    ----------
    groups : heading and frame, top down
        Frame: regime, value, ci_low, ci_high (NaN where there is none), random, constant, printed (another's figure,
        drawn open).
    styles : mapping
        Regime to style.
    limits : ends of the value axis
    """
    figure = go.Figure()
    y, places, names = 0.0, [], []
    for heading, frame in groups:
        y -= HEAD
        figure.add_annotation(
            x=0, xref="paper", y=y + 0.1, text=f"<b>{heading}</b>", showarrow=False, xanchor="left", yanchor="middle"
        )
        top = y - 0.4
        columns = ["regime", "value", "ci_low", "ci_high", "printed"]
        for regime, value, low, high, printed in zip(*(frame[column].tolist() for column in columns), strict=True):
            y -= ROW
            style = styles[regime]
            places.append(y)
            names.append(regime)
            bare = np.isnan(low)  # no interval
            if not bare:
                figure.add_scatter(
                    x=[low, high],
                    y=[y, y],
                    mode="lines",
                    line={"color": style.colour, "width": 2},
                    opacity=0.7,
                    hoverinfo="skip",
                )
            figure.add_scatter(
                x=[value],
                y=[y],
                mode="markers",
                marker={"color": style.colour, "symbol": style.symbol + ("-open" if printed else ""), "size": 10},
                customdata=[[low, high]],
                hovertemplate=f"{regime}: %{{x:.3f}}"
                + ("" if bare else " [%{customdata[0]:.3f}, %{customdata[1]:.3f}]")
                + "<extra></extra>",
            )
        for kind, dash in (("random", "dot"), ("constant", "solid")):
            at = float(frame[kind].iloc[0])
            if not np.isnan(at):
                figure.add_scatter(
                    x=[at, at],
                    y=[top, y - 0.4],
                    mode="lines",
                    line={"color": GREY, "width": 2, "dash": dash},
                    name=kind,
                    hovertemplate=f"{kind}: %{{x:.3f}}<extra></extra>",
                )
    figure.update_yaxes(tickvals=places, ticktext=names, range=[y - 0.7, -0.8], showgrid=False, zeroline=False)
    figure.update_yaxes(automargin=True)
    figure.update_xaxes(range=limits, zeroline=False, automargin=True)
    figure.update_layout(
        height=int(24 * -y) + 50,
        margin={"l": 8, "r": 8, "t": 6, "b": 8},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def learning_curves(frame: pd.DataFrame, styles: Mapping[str, Style]) -> go.Figure:
    """Loss by epoch: on validation a line, on train a dotted one; the epoch that was kept has a ring.

    Parameters
    ----------
    frame : one row for each epoch
        regime, epoch, train_loss (NaN at epoch 0), val_loss, kept.
    styles : mapping
        Regime to style.
    """
    figure = go.Figure()
    for regime, points in frame.groupby("regime", sort=False):
        style = styles[str(regime)]
        figure.add_scatter(
            x=points["epoch"],
            y=points["val_loss"],
            mode="lines+markers",
            line={"color": style.colour, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            name=f"{regime}, val",
            hovertemplate="%{y:.4f}",
        )
        figure.add_scatter(
            x=points["epoch"],
            y=points["train_loss"],
            mode="lines+markers",
            marker={"size": 4},
            line={"color": style.colour, "width": 2, "dash": "dot"},
            name=f"{regime}, train",
            hovertemplate="%{y:.4f}",
        )
        kept = points[points["kept"]]
        figure.add_scatter(
            x=kept["epoch"],
            y=kept["val_loss"],
            mode="markers",
            marker={"symbol": "circle-open", "size": 18, "color": style.colour, "line": {"width": 2}},
            name=f"{regime}, kept",
            hoverinfo="skip",
        )
    figure.update_xaxes(title="epoch", dtick=1, zeroline=False, automargin=True)
    figure.update_yaxes(title="loss a known cell", zeroline=False, automargin=True)
    figure.update_layout(
        height=280,
        hovermode="x",
        margin={"l": 8, "r": 8, "t": 6, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure
