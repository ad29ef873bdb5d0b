"""Separability figures: labels against spaces, intervals beside the null, labels confused with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import on_axis
from explorer.figures.dots import dots
from explorer.figures.style import FILLS, GREY, Style, compact, ink_on_fill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

ROW = 30


@dataclass(frozen=True)
class Cell:
    """One square: its text, how strongly it is filled, and the hint a pointer shows.

    ``strength`` is 0 to 1, and None where the figure does not differ from chance.
    """

    text: str
    strength: float | None
    hint: str


def board(
    rows: Sequence[str],
    columns: Sequence[str],
    headings: Sequence[tuple[str, int]],
    cells: Sequence[Sequence[Cell]],
    marked: int,
) -> go.Figure:
    """Labels down, spaces across; filled squares differ from chance, the others are grey figures on the bare page.

    Parameters
    ----------
    rows : label with its n
    columns : spaces, in lines that fit a narrow square
    headings : what stands over how many columns, from the left
    cells : by row and column
    marked : the row that is framed
    """
    figure = go.Figure([_fill(cells), _written(cells, ROW, size=12)])
    start = 0
    for title, width in headings:
        figure.add_annotation(
            x=start + (width - 1) / 2,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=64,
            text=f"<b>{title}</b>",
            showarrow=False,
        )
        if start:
            figure.add_vline(x=start - 0.5, line={"color": GREY, "width": 1})
        start += width
    figure.add_shape(
        type="rect",
        x0=-0.5,
        x1=len(columns) - 0.5,
        y0=marked - 0.5,
        y1=marked + 0.5,
        line={"color": "#0B8FCF", "width": 2},
    )
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=list(columns),
        side="top",
        tickangle=0,
        tickfont_size=10,
        showgrid=False,
        zeroline=False,
        range=[-0.5, len(columns) - 0.5],
    )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=list(rows),
        showgrid=False,
        zeroline=False,
        range=[len(rows) - 0.5, -0.5],
    )
    compact(figure, height=116 + ROW * len(rows))
    return figure.update_layout(margin_t=102, hovermode="closest", dragmode=False)


def whiskers(frame: pd.DataFrame, styles: Mapping[str, Style], title: str, few: int, *, log: bool) -> go.Figure:
    """Every label's figures with 95% whiskers; a grey bar spans what shuffled labels reach.

    Parameters
    ----------
    frame : DataFrame
        As for :func:`explorer.figures.dots.dots`, with null_low and null_high.
    log : bool
        For ratios: twice and half lie as far from 1. What lies under a quarter is drawn at the edge.
    """
    floor, columns = 0.25, ["value", "ci_low", "ci_high", "baseline", "null_low", "null_high"]
    clipped = frame.copy()
    if log:
        clipped[columns] = clipped[columns].clip(lower=floor)
    figure = dots(clipped, styles, title, few)
    labels = list(dict.fromkeys(clipped["label"]))
    for i, label in enumerate(labels):
        null = clipped[clipped["label"] == label]
        if null["null_low"].notna().any():
            place = len(labels) - 1 - i
            figure.add_shape(
                type="rect",
                x0=null["null_low"].min(),
                x1=null["null_high"].max(),
                y0=place - 0.4,
                y1=place + 0.4,
                fillcolor=GREY,
                opacity=0.22,
                line_width=0,
                layer="below",
            )
    ends = clipped[columns].to_numpy(dtype=float)
    low, high = np.nanmin(ends, initial=1 if log else 0), np.nanmax(ends, initial=1 if log else 0)
    pad = 0.03 * (high - low)
    if log:
        ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256) if tick <= high * 1.1]
        figure.update_xaxes(type="log", range=np.log10([floor * 0.95, high * 1.1]), tickvals=ticks, ticktext=ticks)
    else:
        figure.update_xaxes(range=[low - pad, high + pad])
    return figure


def confusion_heatmap(labels: Sequence[str], cells: Sequence[Sequence[Cell]]) -> go.Figure:
    """Labels against labels; filled as on the board."""
    figure = go.Figure([_fill(cells), _written(cells, 18, size=10)])
    ticks = {
        "tickvals": list(range(len(labels))),
        "ticktext": [on_axis(label) for label in labels],
        "showgrid": False,
        "zeroline": False,
    }
    figure.update_xaxes(**ticks, tickangle=-45, range=[-0.5, len(labels) - 0.5])
    figure.update_yaxes(**ticks, range=[len(labels) - 0.5, -0.5])
    return compact(figure, height=140 + 27 * len(labels)).update_layout(hovermode="closest", dragmode=False)


def _fill(cells: Sequence[Sequence[Cell]]) -> go.Heatmap:
    return go.Heatmap(
        z=[[cell.strength for cell in row] for row in cells],
        colorscale=FILLS,
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=False,
        hoverinfo="skip",
    )


def _written(cells: Sequence[Sequence[Cell]], square: int, size: int) -> go.Scatter:
    """Each square's text, and the hint a pointer shows there.

    One trace, since plotly checks every annotation of a figure again whenever one is added. Its marks are invisible:
    squares without a fill take no hover.
    """
    y, x = np.divmod(np.arange(len(cells) * len(cells[0])), len(cells[0]))
    flat = [cell for row in cells for cell in row]
    return go.Scatter(
        x=x,
        y=y,
        mode="markers+text",
        marker={"symbol": "square", "size": square, "color": "rgba(0,0,0,0)"},
        text=[cell.text for cell in flat],
        textfont={"size": size, "color": [_colour(cell) for cell in flat]},
        customdata=[cell.hint for cell in flat],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def _colour(cell: Cell) -> str:
    """Black or white on a fill, grey without one."""
    return GREY if cell.strength is None else ink_on_fill(cell.strength)
