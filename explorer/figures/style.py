"""What all figures share: colours, how each regime is drawn, how numbers are written, and the layout.

Figures are pure: no store, no Streamlit, and the same input gives the same bytes. The first four colours are from Okabe
& Ito; all keep a contrast of at least 3:1 on both the light and the dark page. Every regime has its own colour,
marker and dash, so that no reading depends on colour alone. Backgrounds and fonts are left to the page's theme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from plotly.colors import hex_to_rgb

if TYPE_CHECKING:
    import plotly.graph_objects as go


GREY = "#8a8f98"
"""Context: baselines, negatives, what is too few to say. Reads on light and dark alike."""


@dataclass(frozen=True)
class Style:
    """How one regime is drawn on every page."""

    colour: str
    symbol: str
    glyph: str
    """The symbol as a letter."""
    dash: str
    badge: str
    """The nearest of Streamlit's named text colours."""


REGIME_STYLES = (
    Style("#D55E00", "circle", "●", "dot", "orange"),
    Style("#1F83C6", "square", "■", "dash", "blue"),
    Style("#009E73", "diamond", "◆", "solid", "green"),
    Style("#CC79A7", "triangle-up", "▲", "dashdot", "violet"),
    Style("#E60045", "triangle-down", "▼", "9px,3px,2px,3px,2px,3px", "red"),
    Style("#8E4DE6", "star", "★", "2px,3px,2px,9px", "violet"),
)

SHARED_STYLE = Style("#64748B", "hexagon", "⬢", "longdashdot", "gray")
"""Of a space that several regimes share: no regime's colour or mark."""


def regime_style(place: int) -> Style:
    """The style of a run's regime by its place in the manifest; more regimes than styles begin again."""
    return REGIME_STYLES[place % len(REGIME_STYLES)]


FILLS = [[0, "#d9d0f2"], [0.5, "#9a82d6"], [1, "#4f2fa8"]]
"""Squares of a heat map from 0 to 1. Opaque, so that what is written on them reads on the light and the dark page."""


def ink_on_fill(strength: float) -> str:
    """The colour of a text on a square of this strength: the one of black and white that has 4.5:1 on it."""
    return "#000000" if strength < 0.68 else "#ffffff"


def translucent(colour: str, opacity: float) -> str:
    """A hex colour that lets what lies beneath shine through."""
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A number as text, with a true minus sign (U+2212); ``signed`` writes a plus too.

    Examples
    --------
    >>> number(-0.204), number(-0.001), number(0.204, 1, signed=True)
    ('−0.20', '0.00', '+0.2')
    """
    text = f"{value:+z.{digits}f}" if signed else f"{value:z.{digits}f}"  # z: no minus before a zero
    return text.replace("-", "−")


def with_interval(value: float, low: float, high: float, digits: int = 2, *, signed: bool = False) -> str:
    """A number and its 95% interval; a dash where there is none.

    Examples
    --------
    >>> with_interval(0.3126, 0.22, 0.409), with_interval(-0.001, -0.02, 0.01), with_interval(float("nan"), 0.0, 1.0)
    ('0.31 [0.22, 0.41]', '0.00 [−0.02, 0.01]', '—')
    """
    if np.isnan(value):
        return "—"
    value_text, low_text, high_text = (number(part, digits, signed=signed) for part in (value, low, high))
    return f"{value_text} [no interval]" if np.isnan(low) else f"{value_text} [{low_text}, {high_text}]"


def difference_with_interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference and its 95% interval, all with their signs.

    Examples
    --------
    >>> difference_with_interval(0.05, 0.01, 0.09), difference_with_interval(-0.2, -0.3, -0.1)
    ('+0.05 [+0.01, +0.09]', '−0.20 [−0.30, −0.10]')
    """
    return with_interval(value, low, high, digits, signed=True)


def compact(figure: go.Figure, height: int) -> go.Figure:
    """A figure without a ground of its own, with narrow margins and its legend above; height in pixels."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
