"""Which labels occur together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.figures.style import GREY, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def cooccurrence_heatmap(share: NDArray[np.float64], both: NDArray[np.int64], labels: Sequence[str]) -> go.Figure:
    """Heat map of how often a film with the row's label also has the column's.

    Parameters
    ----------
    share : (C, C)
        P(column positive | row positive) over films where both are known; NaN where the row has none.
    both : (C, C)
        Films with both, for the hover text.
    """
    percent = np.where(np.nan_to_num(share) > 0, np.char.mod("%.0f", np.nan_to_num(share) * 100), "")
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=list(labels),
            y=list(labels),
            customdata=np.dstack([percent, both]),
            colorscale=[[0, "rgba(122,92,196,0.04)"], [1, "rgba(122,92,196,1)"]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="of films with %{y}, %{customdata[0]}% also have %{x}: %{customdata[1]}<extra></extra>",
        )
    )
    # Written by hand: the heat map's own text takes a colour for an opaque ground and vanishes on the dark page. The
    # diagonal is 100 whatever the films, and on a phone its figures would run into the next.
    rows, columns = np.nonzero((percent != "") & ~np.eye(len(labels), dtype=bool))
    dark = share[rows, columns] > 0.5
    for colour, chosen in ((GREY, ~dark), ("#ffffff", dark)):
        figure.add_scatter(
            x=[labels[c] for c in columns[chosen]],
            y=[labels[r] for r in rows[chosen]],
            text=percent[rows[chosen], columns[chosen]],
            mode="text",
            textfont={"color": colour, "size": 11},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(tickangle=-45, showgrid=False)
    return compact(figure, height=120 + 25 * len(labels))
