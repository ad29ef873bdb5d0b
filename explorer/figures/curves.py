"""Curves and differences between them as Plotly figures. Pure, as ``explorer.figures.style`` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from explorer.analysis.curves import least_precision
from explorer.data.text import in_html, on_axis
from explorer.figures.style import GREY, Style, compact, translucent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

CurveAxes = Literal["pr", "roc", "gain"]
AXES: dict[CurveAxes, tuple[str, str]] = {
    "pr": ("recall", "precision"),
    "roc": ("false positive rate", "recall"),
    "gain": ("recall gain", "precision gain"),
}
FLOOR = "cannot be reached"


@dataclass(frozen=True)
class Curve:
    """One regime's curve of one label.

    Attributes
    ----------
    name : str
        The regime, and what the legend says of it.
    x, y : (p,)
    band : (3, q), optional
        x, low and high of its pointwise 95% band.
    at : x and y of the operating point, NaN where there is none
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    band: NDArray[np.float64] | None
    at: tuple[float, float]


def large_curves(curves: Sequence[Curve], styles: Sequence[Style], axes: CurveAxes, prevalence: float) -> go.Figure:
    """One label large: each regime's line, band and operating point, the baseline, and what cannot be reached."""
    figure = go.Figure(_traces(curves, styles, axes, prevalence, large=True))
    figure.update_xaxes(title=AXES[axes][0], range=[-0.02, 1.02], zeroline=False)
    figure.update_yaxes(title=AXES[axes][1], range=[-0.02, 1.04], zeroline=False)
    return compact(figure.update_layout(hovermode="closest"), height=440)


def small_curves(curves: Sequence[Curve], styles: Sequence[Style], axes: CurveAxes, prevalence: float) -> go.Figure:
    """The same small, without a legend of its own; without curves it says that there are too few positives."""
    axis_layouts = [
        {
            "title": {"text": title, "font": {"size": 10}, "standoff": 2},
            "range": [-0.03, 1.05],
            "zeroline": False,
            "tickvals": [0, 0.5, 1],
            "tickfont": {"size": 10},
            "fixedrange": True,
            "automargin": True,
        }
        for title in AXES[axes]
    ]
    few = {"x": 0.5, "y": 0.5, "text": "too few to say", "showarrow": False, "font": {"size": 12, "color": GREY}}
    # one layout at once: a page draws some twenty of these
    layout = {
        "xaxis": axis_layouts[0],
        "yaxis": axis_layouts[1],
        "annotations": [] if curves else [few],
        "height": 190,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
    }
    return go.Figure(_traces(curves, styles, axes, prevalence, large=False) if curves else [], layout)


def _traces(
    curves: Sequence[Curve],
    styles: Sequence[Style],
    axes: CurveAxes,
    prevalence: float,
    *,
    large: bool,
) -> list[go.Scatter]:
    """Foot, baseline, bands, then lines with their marks: bottom first."""
    traces = []
    if axes == "pr":
        recall = np.linspace(0, 1, 41)
        traces.append(
            go.Scatter(
                x=recall,
                y=least_precision(recall, prevalence),
                mode="lines",
                name=FLOOR,
                line={"color": GREY, "width": 0},
                fill="tozeroy",
                fillcolor=translucent(GREY, 0.16),
                hoverinfo="skip",
            )
        )
    prevalence_text = f"prevalence {prevalence:.3f}" if large else "prevalence"
    name, y = {
        "pr": (f"baseline: {prevalence_text}", [prevalence] * 2),
        "roc": ("baseline: random ranking", [0, 1]),
        "gain": ("baseline: all predicted positive", [1, 0]),
    }[axes]
    traces.append(
        go.Scatter(
            x=[0, 1],
            y=y,
            mode="lines",
            name=name,
            line={"color": GREY, "width": 1.5, "dash": "longdash"},
            hoverinfo="skip",
        )
    )
    for curve, style in zip(curves, styles, strict=True):
        if curve.band is not None:
            x, low, high = curve.band[:, ~np.isnan(curve.band).any(axis=0)]
            traces.append(
                go.Scatter(
                    x=np.concatenate([x, x[::-1]]),
                    y=np.concatenate([high, low[::-1]]),
                    mode="lines",
                    line={"width": 0},
                    fill="toself",
                    fillcolor=translucent(style.colour, 0.13),
                    legendgroup=curve.name,
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    x_title, y_title = AXES[axes]
    for curve, style in zip(curves, styles, strict=True):
        traces.append(
            go.Scatter(
                x=curve.x,
                y=curve.y,
                mode="lines",
                name=curve.name,
                legendgroup=curve.name,
                line={
                    "color": style.colour,
                    "width": 2,
                    "dash": style.dash,
                    "shape": "linear" if axes == "roc" else "vh",
                },
                hovertemplate=f"{x_title} %{{x:.2f}}, {y_title} %{{y:.2f}}<extra></extra>",
            )
        )
        if not np.isnan(curve.at).any():
            traces.append(
                go.Scatter(
                    x=[curve.at[0]],
                    y=[curve.at[1]],
                    mode="markers",
                    legendgroup=curve.name,
                    marker={
                        "color": style.colour,
                        "symbol": style.symbol,
                        "size": 12 if large else 8,
                        "line": {"color": "white", "width": 1.5 if large else 1},
                    },
                    hovertemplate=f"threshold: {x_title} %{{x:.2f}}, {y_title} %{{y:.2f}}<extra></extra>",
                    showlegend=False,
                )
            )
    return traces


def difference_dots(frame: pd.DataFrame, colour: str, title: str) -> go.Figure:
    """Differences with 95% whiskers about a line at 0: one row per label; filled where Holm's p is below 0.05.

    Parameters
    ----------
    frame : DataFrame
        label, difference, ci_low, ci_high, p_holm, n_pos, few; drawn top down.
    """
    places = np.arange(len(frame))[::-1]
    few = frame["few"].to_numpy(dtype=bool)
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5, "dash": "longdash"})
    colours = np.where(few, GREY, colour)
    for shade in dict.fromkeys(colours):
        mine = colours == shade
        ends = np.column_stack([frame["ci_low"], frame["ci_high"], np.full(len(frame), np.nan)])[mine]
        figure.add_scatter(
            x=ends.ravel(),
            y=np.repeat(places[mine].astype(float), 3),
            mode="lines",
            line={"color": shade, "width": 2},
            opacity=0.7,
            hoverinfo="skip",
            showlegend=False,
        )
    sure = (frame["p_holm"] < 0.05).to_numpy()
    figure.add_scatter(
        x=frame["difference"],
        y=places,
        mode="markers",
        marker={"color": colours, "size": 10, "symbol": np.where(sure, "circle", "circle-open"), "line": {"width": 2}},
        customdata=np.column_stack([frame["label"].map(in_html), frame[["ci_low", "ci_high", "p_holm", "n_pos"]]]),
        hovertemplate="%{customdata[0]}: %{x:+.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
        "Holm's p %{customdata[3]:.3f}, positives %{customdata[4]}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[f"{on_axis(label)} ({n:,})" for label, n in zip(frame["label"], frame["n_pos"], strict=True)],
        range=[-0.6, len(frame) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title=title, zeroline=False)
    return compact(figure, height=90 + 26 * len(frame))
