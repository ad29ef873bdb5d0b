"""Curves, differences, thresholds and calibration as Plotly figures. Pure, as ``explorer.figures`` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb
from plotly.subplots import make_subplots

from explorer.analysis.curves import least_precision
from explorer.figures import GREY, Style, _compact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

Shown = Literal["pr", "roc", "gain"]
AXES: dict[Shown, tuple[str, str]] = {
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


def one(curves: Sequence[Curve], styles: Sequence[Style], shown: Shown, prevalence: float) -> go.Figure:
    """One label large: a line a regime with its band and operating point, the baseline, and what cannot be reached."""
    figure = go.Figure(_traces(curves, styles, shown, prevalence, large=True))
    figure.update_xaxes(title=AXES[shown][0], range=[-0.02, 1.02], zeroline=False)
    figure.update_yaxes(title=AXES[shown][1], range=[-0.02, 1.04], zeroline=False)
    return _compact(figure.update_layout(hovermode="closest"), height=440)


def small(curves: Sequence[Curve], styles: Sequence[Style], shown: Shown, prevalence: float) -> go.Figure:
    """The same small, without a legend of its own; without curves it says that there are too few positives."""
    axes = [
        {
            "title": {"text": title, "font": {"size": 10}, "standoff": 2},
            "range": [-0.03, 1.05],
            "zeroline": False,
            "tickvals": [0, 0.5, 1],
            "tickfont": {"size": 10},
            "fixedrange": True,
            "automargin": True,
        }
        for title in AXES[shown]
    ]
    few = {"x": 0.5, "y": 0.5, "text": "too few to say", "showarrow": False, "font": {"size": 12, "color": GREY}}
    # one layout at once: a page draws some twenty of these
    layout = {
        "xaxis": axes[0],
        "yaxis": axes[1],
        "annotations": [] if curves else [few],
        "height": 190,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
    }
    return go.Figure(_traces(curves, styles, shown, prevalence, large=False) if curves else [], layout)


def _traces(
    curves: Sequence[Curve],
    styles: Sequence[Style],
    shown: Shown,
    prevalence: float,
    *,
    large: bool,
) -> list[go.Scatter]:
    """Foot, baseline, bands, then lines with their marks: bottom first."""
    traces = []
    if shown == "pr":
        recall = np.linspace(0, 1, 41)
        traces.append(
            go.Scatter(
                x=recall,
                y=least_precision(recall, prevalence),
                mode="lines",
                name=FLOOR,
                line={"color": GREY, "width": 0},
                fill="tozeroy",
                fillcolor=_clear(GREY, 0.16),
                hoverinfo="skip",
            )
        )
    said = f"prevalence {prevalence:.3f}" if large else "prevalence"
    name, y = {
        "pr": (f"baseline: {said}", [prevalence] * 2),
        "roc": ("baseline: random ranking", [0, 1]),
        "gain": ("baseline: all called positive", [1, 0]),
    }[shown]
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
                    fillcolor=_clear(style.colour, 0.13),
                    legendgroup=curve.name,
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    axes = AXES[shown]
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
                    "shape": "linear" if shown == "roc" else "vh",
                },
                hovertemplate=f"{axes[0]} %{{x:.2f}}, {axes[1]} %{{y:.2f}}<extra></extra>",
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
                    hovertemplate=f"threshold: {axes[0]} %{{x:.2f}}, {axes[1]} %{{y:.2f}}<extra></extra>",
                    showlegend=False,
                )
            )
    return traces


def difference_dots(frame: pd.DataFrame, colour: str, title: str) -> go.Figure:
    """Differences with 95% whiskers about a line at 0: a row a label; filled where Holm's p is below 0.05.

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
        customdata=frame[["label", "ci_low", "ci_high", "p_holm", "n_pos"]].to_numpy(),
        hovertemplate="%{customdata[0]}: %{x:+.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
        "Holm's p %{customdata[3]:.3f}, positives %{customdata[4]}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[f"{label} ({n:,})" for label, n in zip(frame["label"], frame["n_pos"], strict=True)],
        range=[-0.6, len(frame) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title=title, zeroline=False)
    return _compact(figure, height=90 + 26 * len(frame))


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
    return _compact(figure, height=230)


def label_counts(
    true: NDArray[np.int64], called: Mapping[str, NDArray[np.int64]], styles: Sequence[Style]
) -> go.Figure:
    """How many labels a film has, and how many each regime calls: films by number of labels.

    Parameters
    ----------
    true : (n,)
    called : regime title to (n,)
    """
    most = max(int(counts.max(initial=0)) for counts in (true, *called.values()))
    x = np.arange(most + 1)
    figure = go.Figure()
    figure.add_bar(
        x=x,
        y=np.bincount(true, minlength=most + 1),
        name=f"true (mean {true.mean():.1f})",
        marker={"color": _clear(GREY, 0.55), "line": {"width": 0}},
        hovertemplate="%{y} films have %{x} labels<extra></extra>",
    )
    for (title, counts), style in zip(called.items(), styles, strict=True):
        figure.add_scatter(
            x=x,
            y=np.bincount(counts, minlength=most + 1),
            mode="lines+markers",
            name=f"{title} (mean {counts.mean():.1f})",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            hovertemplate=f"{title} calls %{{x}} labels on %{{y}} films<extra></extra>",
        )
    figure.update_xaxes(title="labels a film", dtick=1, zeroline=False)
    figure.update_yaxes(title="films", zeroline=False)
    return _compact(figure, height=300)


def decision(curves: Mapping[str, pd.DataFrame], styles: Sequence[Style]) -> go.Figure:
    """Net benefit by threshold probability (``operating.net_benefit``), with calling all and calling none."""
    figure = go.Figure()
    first = next(iter(curves.values()))
    for (title, frame), style in zip(curves.items(), styles, strict=True):
        figure.add_scatter(
            x=np.concatenate([frame["at"], frame["at"][::-1]]),
            y=np.concatenate([frame["high"], frame["low"][::-1]]),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=_clear(style.colour, 0.12),
            legendgroup=title,
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=frame["at"],
            y=frame["value"],
            mode="lines",
            name=title,
            legendgroup=title,
            line={"color": style.colour, "dash": style.dash, "width": 2},
            hovertemplate=f"{title} at %{{x:.2f}}: %{{y:.4f}}<extra></extra>",
        )
    for name, y, dash in (("call all", first["all"], "longdash"), ("call none", np.zeros(len(first)), "solid")):
        figure.add_scatter(
            x=first["at"],
            y=y,
            mode="lines",
            name=name,
            line={"color": GREY, "width": 1.5, "dash": dash},
            hoverinfo="skip",
        )
    top = max(float(frame["high"].max()) for frame in curves.values())
    figure.update_yaxes(title="net benefit a film", range=[-0.25 * top, 1.1 * top], zeroline=False)
    figure.update_xaxes(title="threshold probability", zeroline=False)
    return _compact(figure, height=330)


def reliability(curves: Mapping[str, pd.DataFrame], styles: Sequence[Style]) -> go.Figure:
    """Share found positive against the probability said (``calibration.reliability``), and films a bin beneath."""
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
            hovertemplate=f"{title}: said %{{x:.3f}}, %{{customdata[0]}} of %{{customdata[1]}} were<extra></extra>",
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
    figure.update_xaxes(title="probability said", row=2, col=1)
    return _compact(figure, height=470)


def _clear(colour: str, opacity: float) -> str:
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red},{green},{blue},{opacity})"
