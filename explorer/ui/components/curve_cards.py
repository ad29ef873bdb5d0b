"""Small curves of many labels, side by side; a click opens one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from explorer.ui.shared.show import FIGURES, SMALL_CURVES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class CurveCard:
    """One label: its name and counts as they are written, and its curves as ``figures.curve_pictures`` draws them."""

    title: str
    note: str
    html: str


_CSS = """
.cards {
  --curves-height: 170px;
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(210px, 100%), 1fr)); gap: 14px 20px;
}
button {
  min-width: 0; padding: 4px; text-align: start; font: inherit; font-size: 14px; color: inherit; cursor: pointer;
  background: none; border: 1px solid transparent; border-radius: var(--st-base-radius);
}
button:hover, button:focus-visible { border-color: var(--st-primary-color); outline: none; }
button:hover strong { text-decoration: underline; }
small { display: block; font-size: 12px; color: color-mix(in srgb, currentColor 78%, transparent); }
.cards .mark { width: 10px; height: 10px; }
.cards .small-curves b { translate: -5px -5px; }
@media (max-width: 640px) { .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; } }
"""

_cards = st.components.v2.component(
    "curve_cards",
    html='<div class="cards"></div>',
    css=FIGURES + SMALL_CURVES + _CSS,
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def curve_cards(cards: Sequence[CurveCard], key: str, on_open: Callable[[int], None]) -> None:
    """Draw the cards.

    Parameters
    ----------
    on_open : callable
        Given the place of a card that was clicked.
    """

    def opened() -> None:
        place = st.session_state[key].opened
        if isinstance(place, int) and 0 <= place < len(cards):
            on_open(place)

    _cards(key=key, data={"cards": [asdict(card) for card in cards]}, on_opened_change=opened)
