"""Maps for the pages: a film's tokens and every question about them go through the one desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.saliency import MethodName, Saliency
from explorer.ui import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from explorer.model.tokens import Tokens
    from explorer.store.reader import Store

Rows = tuple["NDArray[np.float32]", "NDArray[np.float32]"]
"""Head rows: weight (K, D) and bias (K,)."""


def regime_rows(store: Store, regime: str, labels: Sequence[str]) -> Rows:
    """The head rows of some labels."""
    weight, bias = store.head(regime)
    chosen = [store.labels.index(label) for label in labels]
    return weight[chosen], bias[chosen]


def maps(
    store: Store,
    encoder: str,
    name: Hashable,
    rows: Callable[[], Rows],
    row: int,
    method: MethodName,
    blocks: tuple[int, ...],
    *,
    against: bool,
    unit: bool = True,
) -> Saliency:
    """Maps of one film, from the desk; while others are served, the visitor's place in the line is shown.

    Parameters
    ----------
    name : hashable
        What tells these head rows from others of the run.
    rows : callable
        Gives the head rows, when they are needed.
    blocks : ascending, counted from 0
    against : bool
        Evidence against, in place of for: the rows are negated.
    unit : bool
        Whether the rows read the embedding at unit norm.
    """
    run = store.path, store.manifest.created

    def make() -> Saliency:
        from explorer.model.saliency import explain

        weight, bias = rows()
        sign = np.float32(-1 if against else 1)
        tower = cache.tower(store, encoder)
        tower = tower if unit else tower.unnormalised()
        found = explain(tower, _tokens(store, encoder, row), sign * weight, sign * bias, method, blocks)
        return Saliency(found.maps, sign * found.logits)

    place = st.empty()

    def tell(ahead: int) -> None:
        place.caption(f":material/hourglass_top: {ahead} ahead of you in the line for the model")

    found = cache.desk().ask((*run, encoder, name, row, method, blocks, against), make, tell)
    place.empty()
    return found


def _tokens(store: Store, encoder: str, row: int) -> Tokens:
    """A film's tokens, made once an encoder: every label, regime, method and block shares them."""
    from explorer.model.tokens import Tokens, read_tokens

    key = store.path, store.manifest.created, encoder, row
    kept = cache.desk().kept(key)
    if isinstance(kept, Tokens):
        return kept
    tower = cache.tower(store, encoder)
    made = read_tokens(tower, tower.fit.apply(cache.film(store, row)))
    cache.desk().keep(key, made)
    return made
