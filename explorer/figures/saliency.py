"""Figures of the maps' sanity checks. Pure, as explorer.figures.style says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.figures.style import GREY, Style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


def randomisation_curve(
    summary: pd.DataFrame, steps: Sequence[str], styles: Mapping[str, tuple[str, Style]], alike: float
) -> go.Figure:
    """How alike a map stays while ever more of the model is random, with 95% whiskers.

    Parameters
    ----------
    summary : DataFrame
        regime, check, step, value, ci_low, ci_high.
    steps : names, from nothing to everything
    styles : mapping
        A regime's name to its title and style.
    alike : float
        From here up two maps are alike: a line.
    """
    figure = go.Figure()
    curve = summary[summary["check"] == "randomisation"]
    for i, (regime, (title, style)) in enumerate(styles.items()):
        mine = curve[curve["regime"] == regime].set_index("step").reindex(list(steps))
        value, low, high = (mine[column].to_numpy(dtype=float) for column in ("value", "ci_low", "ci_high"))
        figure.add_scatter(
            x=np.arange(len(steps)) + 0.06 * (i - 1),  # side by side, so that whiskers do not cover one another
            y=value,
            mode="lines+markers",
            name=title,
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 9},
            error_y={"type": "data", "symmetric": False, "array": high - value, "arrayminus": value - low, "width": 4},
            customdata=np.column_stack([np.asarray(steps, dtype=object), low, high]),
            hovertemplate="%{customdata[0]} random: %{y:.2f} [%{customdata[1]:.2f}, %{customdata[2]:.2f}]<extra>"
            f"{title}</extra>",
        )
    figure.add_hline(y=alike, line={"color": GREY, "width": 1.5, "dash": "longdash"})
    wrapped = ["<br>".join(step.rsplit(" ", 1)) for step in steps]  # a phone has room for six short names
    figure.update_xaxes(
        title="what is random", tickvals=list(range(len(steps))), ticktext=wrapped, tickangle=0, zeroline=False
    )
    figure.update_yaxes(title="similarity, Spearman's ρ", range=[-0.55, 1.06], zeroline=False)
    return figure.update_layout(
        height=380,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
