"""Lines with a band about each, and figures of them. Pure, as ``explorer.figures.style`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.figures.style import GREY, Style, compact, number, translucent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

PREVALENCE_TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9)


def add_line(figure: go.Figure, title: str, frame: pd.DataFrame, style: Style, *, band: bool = True) -> None:
    """A line and its band: ``at``, ``value``, ``low`` and ``high``; where an end is missing there is no band."""
    if band:
        known = frame[frame["low"].notna() & frame["high"].notna()]
        figure.add_scatter(
            x=np.concatenate([known["at"], known["at"][::-1]]),
            y=np.concatenate([known["high"], known["low"][::-1]]),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=translucent(style.colour, 0.12),
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
        hovertemplate=f"{title} at %{{x:.3f}}: %{{y:.4f}}<extra></extra>",
    )


def add_baseline(figure: go.Figure, name: str, x: NDArray[np.float64], y: NDArray[np.float64], dash: str) -> None:
    """What a trivial answer reaches, as a grey line."""
    figure.add_scatter(
        x=x, y=y, mode="lines", name=name, line={"color": GREY, "width": 1.5, "dash": dash}, hoverinfo="skip"
    )


def by_prevalence(
    curves: Mapping[str, pd.DataFrame],
    styles: Mapping[str, Style],
    title: str,
    baseline: str,
    marks: Mapping[str, float],
) -> go.Figure:
    """A figure of each regime by the prevalence of a label, on a logarithmic axis.

    Parameters
    ----------
    curves : regime title to DataFrame
        ``prior_shift.at_prevalence`` of one figure.
    styles : regime title to style
    title, baseline : str
        Of the value axis, and of the first regime's baseline.
    marks : name to prevalence
        Drawn as upright lines.
    """
    figure = go.Figure()
    first = next(iter(curves.values()))
    add_baseline(figure, baseline, first["at"].to_numpy(), first["baseline"].to_numpy(), "longdash")
    for name, frame in curves.items():
        add_line(figure, name, frame, styles[name])
    ends = np.array([frame[["low", "high", "value", "baseline"]] for frame in curves.values()])
    bottom, top = min(0.0, float(np.nanmin(ends))), float(np.nanmax(ends))
    for (name, prevalence), dash in zip(marks.items(), ("dot", "solid"), strict=True):
        add_baseline(
            figure, f"{name} ({number(100 * prevalence, 1)}%)", np.full(2, prevalence), np.array([bottom, top]), dash
        )
    figure.update_xaxes(
        title="prevalence",
        type="log",
        range=[np.log10(first["at"].min()), np.log10(first["at"].max())],
        tickvals=list(PREVALENCE_TICKS),
        ticktext=[f"{100 * tick:g}%" for tick in PREVALENCE_TICKS],
        zeroline=False,
    )
    figure.update_yaxes(title=title, range=[bottom - 0.03 * top, 1.04 * top], zeroline=False)
    return compact(figure, height=360)


def promises(
    curves: Mapping[str, pd.DataFrame], styles: Mapping[str, Style], title: str, level: float, trivial: float
) -> go.Figure:
    """What validation promises by the share of patients that is ruled out or in.

    Parameters
    ----------
    curves : regime title to DataFrame
        ``triage.promised``.
    styles : regime title to style
    title : str
        Of the figure that is promised.
    level : float
        What is asked for.
    trivial : float
        The figure of a random choice of patients.
    """
    figure = go.Figure()
    ends = np.array([0.0, max(float(frame["share"].max()) for frame in curves.values())])
    add_baseline(figure, f"asked for ({level:g})", ends, np.full(2, level), "solid")
    add_baseline(figure, f"random patients ({number(trivial, 3)})", ends, np.full(2, trivial), "longdash")
    for name, frame in curves.items():
        style = styles[name]
        figure.add_scatter(
            x=frame["share"],
            y=frame["bound"],
            mode="lines+markers",
            name=name,
            line={"color": style.colour, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol, "size": 8},
            customdata=frame[["errors", "films"]].to_numpy(),
            hovertemplate=f"{name}: at least %{{y:.3f}}, %{{customdata[0]}} of %{{customdata[1]}} wrong<extra></extra>",
        )
    values = np.concatenate([frame["bound"].to_numpy() for frame in curves.values()])
    bottom = min(level, trivial, float(values.min()))
    figure.update_xaxes(title="share of val's patients", range=[0, ends[1] * 1.02], zeroline=False)
    figure.update_yaxes(title=f"promised {title}", range=[bottom - 0.03 * (1 - bottom), 1.01], zeroline=False)
    return compact(figure, height=340)


def risk_coverage(
    curves: Mapping[str, pd.DataFrame], styles: Mapping[str, Style], chosen: str, risk: float, coverage: float
) -> go.Figure:
    """The share of errors among the films kept by the share of films kept, for each way to abstain.

    Parameters
    ----------
    curves : title of the way to DataFrame
        at, value, low, high.
    styles : title to style
    chosen : str
        The title of the way whose band is drawn.
    risk : float
        Of all films: what random abstention keeps.
    coverage : float
        The one that is looked at, drawn as an upright line.
    """
    figure = go.Figure()
    add_baseline(figure, f"random abstention ({number(risk, 3)})", np.array([0.0, 1.0]), np.full(2, risk), "longdash")
    for name, frame in curves.items():
        add_line(figure, name, frame, styles[name], band=name == chosen)
    top = max(
        risk, float(np.nanmax(curves[chosen]["high"].fillna(0))), *(frame["value"].max() for frame in curves.values())
    )
    add_baseline(figure, f"coverage {coverage:.0%}", np.full(2, coverage), np.array([0.0, top]), "dot")
    figure.update_xaxes(title="coverage: share of films kept", range=[0, 1.02], zeroline=False)
    figure.update_yaxes(title="errors among them", range=[-0.03 * top, 1.04 * top], zeroline=False)
    return compact(figure, height=440)
