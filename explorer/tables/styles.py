"""How a store's regimes and spaces are drawn, on every page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.figures.style import SHARED_STYLE, Style, regime_style

if TYPE_CHECKING:
    from explorer.store.manifest import SpaceRecord
    from explorer.store.reader import Store


def of_regime(store: Store, regime: str) -> Style:
    """A regime's style, the same whichever others are shown."""
    return regime_style(store.place(regime))


def of_regimes(store: Store) -> list[Style]:
    """The styles of the regimes shown, in their order."""
    return [of_regime(store, regime.name) for regime in store.regimes]


def by_title(store: Store) -> dict[str, Style]:
    """The styles of the regimes shown, by title."""
    return {regime.title: of_regime(store, regime.name) for regime in store.regimes}


def of_space(store: Store, space: SpaceRecord) -> Style:
    """The style of the regime that a space belongs to; one neutral style for a space of several."""
    owners = [r.name for r in store.all_regimes if space.name in (r.embedding_space, r.decision_space)]
    return of_regime(store, owners[0]) if len(owners) == 1 else SHARED_STYLE
