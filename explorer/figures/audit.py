"""Figures of the audit page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html, on_axis
from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

SPLIT_LOOKS = {"train": (GREY, "dot"), "val": ("#3a9bdc", "dash"), "test": ("#E69F00", "solid")}
BINS = 20


def percentile_histogram(percentiles: Mapping[str, NDArray[np.floating]], outlying: float) -> go.Figure:
    """Share of each split's films at each percentile, in steps; like training films, all bins would hold the same.

    Parameters
    ----------
    percentiles : split to (n,), 0 to 100
    outlying : float
        The percentile from which films are outlying; marked.
    """
    edges = np.linspace(0, 100, BINS + 1)
    figure = go.Figure()
    for split, values in percentiles.items():
        counts, _ = np.histogram(values, edges)
        colour, dash = SPLIT_LOOKS[split]
        figure.add_scatter(
            x=edges,
            y=100 * np.append(counts, counts[-1]) / max(len(values), 1),
            mode="lines",
            name=f"{split} ({len(values):,})",
            line={"color": colour, "dash": dash, "shape": "hv", "width": 2},
            hovertemplate=f"{split}: %{{y:.1f}}% of films from percentile %{{x:.0f}}<extra></extra>",
        )
    figure.add_hline(y=100 / BINS, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_vline(x=outlying, line={"color": GREY, "width": 1})
    figure.update_xaxes(title="percentile among held-out training films", range=[0, 100])
    figure.update_yaxes(title="films, %", rangemode="tozero")
    return compact(figure, 280).update_layout(dragmode=False)


def association(frame: pd.DataFrame, labels: Sequence[str], attributes: Sequence[str]) -> go.Figure:
    """AUROC of each attribute for each label: blue speaks against the label, orange for it, from 0.5.

    Parameters
    ----------
    frame : DataFrame
        attribute, label, value, ci_low, ci_high, n_pos, n_neg, binned, binned_low; a number is written where the
        interval excludes 0.5, and that of the bins after ∪ where only theirs does.
    labels, attributes : in drawing order, top down and left to right
    """
    cells = frame.set_index(["label", "attribute"]).reindex([(b, a) for b in labels for a in attributes])
    shape = (len(labels), len(attributes))
    columns_of = ("value", "ci_low", "ci_high", "n_pos", "n_neg", "binned", "binned_low")
    value, low, high, n_pos, n_neg, binned, binned_low = (
        cells[column].to_numpy(float).reshape(shape) for column in columns_of
    )
    label_names, attribute_names = (
        np.array([in_html(name) for name in names], dtype=object) for names in (labels, attributes)
    )
    figure = go.Figure(
        go.Heatmap(
            z=value,
            x=list(range(shape[1])),
            y=list(range(shape[0])),
            customdata=np.dstack([low, high, n_pos, n_neg, *np.meshgrid(attribute_names, label_names)]),
            colorscale=[[0, "#2f7fc1"], [0.5, "rgba(138,143,152,0.06)"], [1, "#E69F00"]],
            zmin=0.2,
            zmax=0.8,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="%{customdata[4]} for %{customdata[5]}: AUROC %{z:.3f} "
            "[%{customdata[0]:.3f}, %{customdata[1]:.3f}], "
            "%{customdata[2]:.0f} positive, %{customdata[3]:.0f} negative<extra></extra>",
        )
    )
    excludes = (low > 0.5) | (high < 0.5)
    rows, columns = np.nonzero(excludes | (binned_low > 0.5))
    figure.add_scatter(
        x=columns,
        y=rows,
        text=[
            f"{value[r, c]:.2f}".lstrip("0") if excludes[r, c] else f"∪{binned[r, c]:.2f}".replace("0.", ".")
            for r, c in zip(rows, columns, strict=True)
        ],
        mode="text",
        textfont={"size": 11},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.update_yaxes(**_ticks(labels), range=[shape[0] - 0.5, -0.5])
    figure.update_xaxes(**_ticks(attributes), range=[-0.5, shape[1] - 0.5], side="top", tickangle=-90)
    return compact(figure, 170 + 25 * len(labels)).update_layout(dragmode=False)


def _ticks(names: Sequence[str]) -> dict[str, object]:
    """One tick for each name, at 0, 1, …"""
    ticktext = [on_axis(name) for name in names]
    return {"tickvals": list(range(len(names))), "ticktext": ticktext, "showgrid": False, "zeroline": False}
