"""Which labels occur together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from explorer.data.text import in_html, on_axis
from explorer.figures.style import FILLS, compact, ink_on_fill

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
    places, names = list(range(len(labels))), [in_html(label) for label in labels]
    figure = go.Figure(
        go.Heatmap(
            z=np.where(np.nan_to_num(share) > 0, share, np.nan),
            x=places,
            y=places,
            customdata=np.dstack([percent, both, *np.meshgrid(names, names)]),
            colorscale=FILLS,
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="of films with %{customdata[3]}, %{customdata[0]}% also have %{customdata[2]}: "
            "%{customdata[1]}<extra></extra>",
        )
    )
    # The diagonal is 100 whatever the films, and on a phone its figures would run into the next.
    rows, columns = np.nonzero((percent != "") & ~np.eye(len(labels), dtype=bool))
    figure.add_scatter(
        x=columns,
        y=rows,
        text=percent[rows, columns],
        mode="text",
        textfont={"color": [ink_on_fill(part) for part in share[rows, columns].tolist()], "size": 11},
        hoverinfo="skip",
        showlegend=False,
    )
    ticks = {"tickvals": places, "ticktext": [on_axis(label) for label in labels], "showgrid": False, "zeroline": False}
    figure.update_yaxes(**ticks, range=[len(labels) - 0.5, -0.5])
    figure.update_xaxes(**ticks, tickangle=-45, range=[-0.5, len(labels) - 0.5])
    return compact(figure, height=120 + 25 * len(labels))
