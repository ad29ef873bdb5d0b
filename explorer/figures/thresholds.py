"""Thresholds, net benefit and calibration as Plotly figures. Pure, as ``explorer.figures.style`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.figures.bands import add_baseline, add_line
from explorer.figures.style import GREY, Style, compact, translucent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray


def score_histogram(
    scores: NDArray[np.floating], targets: NDArray[np.float32], cut: float, title: str, colours: tuple[str, str]
) -> go.Figure:
    """Scores of positive films above, of negative ones below, each as a share of its own; the threshold as a line."""
    known = ~np.isnan(targets)
    edges = np.histogram_bin_edges(scores[known], bins=40) if known.any() else np.linspace(0, 1, 2)
    middles, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    figure = go.Figure()
    for name, side, colour in (("positive", 1, colours[0]), ("negative", 0, colours[1])):
        mine = scores[targets == side]
        counts, _ = np.histogram(mine, bins=edges)
        share = counts / max(len(mine), 1) * (1 if side else -1)
        figure.add_bar(
            x=middles,
            y=share,
            width=width,
            name=f"{name} ({len(mine):,})",
            marker={"color": colour, "line": {"width": 0}},
            customdata=counts,
            hovertemplate=f"%{{customdata}} {name} films at %{{x:.2f}}<extra></extra>",
        )
    if not np.isnan(cut):
        figure.add_vline(x=cut, line={"color": "#e0457b", "width": 2.5})
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title=title, zeroline=False)
    figure.update_yaxes(title="share of films", showticklabels=False, zeroline=True, zerolinecolor=GREY)
    return compact(figure, height=230)


def labels_per_film(
    true: NDArray[np.int64], predicted: Mapping[str, NDArray[np.int64]], styles: Sequence[Style]
) -> go.Figure:
    """How many labels a film has, and how many each regime predicts: films by number of labels.

    Parameters
    ----------
    true : (n,)
    predicted : regime title to (n,)
    """
    most = max(int(counts.max(initial=0)) for counts in (true, *predicted.values()))
    x = np.arange(most + 1)
    figure = go.Figure()
    figure.add_bar(
        x=x,
        y=np.bincount(true, minlength=most + 1),
        name=f"true (mean {true.mean():.1f})",
        marker={"color": translucent(GREY, 0.55), "line": {"width": 0}},
        hovertemplate="%{y} films have %{x} labels<extra></extra>",
    )
    for (title, counts), style in zip(predicted.items(), styles, strict=True):
        figure.add_scatter(
            x=x,
            y=np.bincount(counts, minlength=most + 1),
            mode="lines+markers",
            name=f"{title} (mean {counts.mean():.1f})",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            hovertemplate=f"{title} predicts %{{x}} labels on %{{y}} films<extra></extra>",
        )
    figure.update_xaxes(title="labels per film", dtick=1, zeroline=False)
    figure.update_yaxes(title="films", zeroline=False)
    return compact(figure, height=300)


def decision_curve(curves: Mapping[str, pd.DataFrame], styles: Sequence[Style]) -> go.Figure:
    """Net benefit by threshold probability (``operating.net_benefit``), beside all and no films predicted positive."""
    figure = go.Figure()
    first = next(iter(curves.values()))
    for (title, frame), style in zip(curves.items(), styles, strict=True):
        add_line(figure, title, frame, style)
    at = first["at"].to_numpy()
    add_baseline(figure, "all positive", at, first["all"].to_numpy(), "longdash")
    add_baseline(figure, "none positive", at, np.zeros(len(at)), "solid")
    top = max(float(frame["high"].max()) for frame in curves.values())
    figure.update_yaxes(title="net benefit per film", range=[-0.25 * top, 1.1 * top], zeroline=False)
    figure.update_xaxes(title="threshold probability", zeroline=False)
    return compact(figure, height=330)


def reliability_diagram(curves: Mapping[str, pd.DataFrame], styles: Sequence[Style]) -> go.Figure:
    """Share positive against the predicted probability (``calibration.reliability``); below it, films per bin."""
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.04)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfectly calibrated",
        line={"color": GREY, "width": 1.5, "dash": "longdash"},
        hoverinfo="skip",
        row=1,
        col=1,
    )
    for (title, frame), style in zip(curves.items(), styles, strict=True):
        figure.add_scatter(
            x=frame["said"],
            y=frame["seen"],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": frame["high"] - frame["seen"],
                "arrayminus": frame["seen"] - frame["low"],
                "width": 0,
                "thickness": 1.5,
            },
            mode="lines+markers",
            name=title,
            legendgroup=title,
            line={"color": style.colour, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol, "size": 8},
            customdata=frame[["positives", "n"]].to_numpy(),
            hovertemplate=f"{title}: %{{x:.3f}}, %{{customdata[0]}} of %{{customdata[1]}} positive<extra></extra>",
            row=1,
            col=1,
        )
        figure.add_scatter(
            x=frame["said"],
            y=frame["n"],
            mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 6},
            legendgroup=title,
            showlegend=False,
            hovertemplate=f"{title}: %{{y}} films<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_yaxes(title="share positive", range=[-0.03, 1.03], zeroline=False, row=1, col=1)
    figure.update_yaxes(title="films", rangemode="tozero", zeroline=False, row=2, col=1)
    figure.update_xaxes(range=[-0.03, 1.03], zeroline=False)
    figure.update_xaxes(title="predicted probability", row=2, col=1)
    return compact(figure, height=470)
