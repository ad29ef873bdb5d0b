"""Maps for the pages: a film's tokens and every question about them go through the one desk.

A film is one of the run, by its row, or one that a visitor brought: what is made of that stays on its own shelf.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from explorer.data.saliency_map import MethodName, Saliency, silence
from explorer.figures import overlay
from explorer.ui.models.inference import Upload
from explorer.ui.shared import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from explorer.model.saliency.tokens import Tokens
    from explorer.store.reader import Store
    from explorer.ui.shared.queue import Shelf

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
    film: int | Upload,
    method: MethodName,
    blocks: tuple[int, ...],
    *,
    against: bool,
    unit: bool = True,
    shelf: Shelf | None = None,
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
    shelf : Shelf, optional
        Where a map of one of the run's films is kept that must not be kept for all visitors.
    """
    run = store.path, store.manifest.created

    def make() -> Saliency:
        from explorer.model.saliency.grad_cam import explain

        weight, bias = rows()
        sign = np.float32(-1 if against else 1)
        tower = cache.tower(store, encoder)
        tower = tower if unit else tower.unnormalised()
        found = explain(tower, _tokens(store, encoder, film), sign * weight, sign * bias, method, blocks)
        return Saliency(found.maps, sign * found.logits)

    place = st.empty()

    def tell(ahead: int) -> None:
        place.caption(f":material/hourglass_top: {ahead} ahead of you in the line for the model")

    which, shelf = ("upload", film.shelf) if isinstance(film, Upload) else (film, shelf)
    found = cache.desk().ask((*run, encoder, name, which, method, blocks, against), make, tell, shelf)
    place.empty()
    return found


def _tokens(store: Store, encoder: str, film: int | Upload) -> Tokens:
    """A film's tokens, made once an encoder: every label, regime, method and block shares them."""
    from explorer.model.saliency.tokens import Tokens, read_tokens

    which, shelf = ("upload", film.shelf) if isinstance(film, Upload) else (film, cache.desk().shelf)
    key = store.path, store.manifest.created, encoder, which
    kept = shelf.get(key)
    if isinstance(kept, Tokens):
        return kept
    tower = cache.tower(store, encoder)
    pixels = film.pixels[encoder] if isinstance(film, Upload) else tower.fit.apply(cache.film(store, film))
    made = read_tokens(tower, pixels)
    shelf.put(key, made)
    return made


def canvas(store: Store, film: int | Upload, side: int) -> overlay.Canvas:
    """The film to draw on; an uploaded one is kept small, but its canvas still counts in the film's own pixels."""
    if not isinstance(film, Upload):
        return overlay.canvas(cache.film(store, film), side)
    kept = Image.open(io.BytesIO(film.jpeg))
    drawn = overlay.canvas(kept, side)
    return overlay.Canvas(drawn.grey, drawn.scale * kept.width / film.size[0])


def picture(
    store: Store,
    encoder: str,
    film: int | Upload,
    drawn_on: overlay.Canvas,
    grid: NDArray[np.float32] | None,
    annotations: pd.DataFrame,
    look: overlay.Look,
) -> Image.Image:
    """The film with a map, unless that says nothing, and annotations."""
    if isinstance(film, Upload):
        width, height = film.size
    else:
        width, height = store.samples[["width", "height"]].iloc[film].astype(int)
    seen = cache.fit(store, encoder).window(height, width)
    drawn = None if grid is None or silence(grid) else grid
    return overlay.compose(drawn_on, drawn, seen, annotations, look)


def remark(grid: NDArray[np.float32], look: overlay.Look) -> str:
    """Why no map is drawn, where none is."""
    what = silence(grid)
    if what == "zero":
        return f"This map is zero: nothing here {'lowers' if look.against else 'raises'} the score."
    return "This map is flat: it singles nothing out, so none is drawn." if what == "flat" else ""


def score(store: Store, regime: str, label: str, logit: float) -> str:
    """A film's logit for a label against the threshold."""
    threshold = float(store.threshold_array(regime)[store.labels.index(label)])
    if np.isnan(threshold):
        return f"logit {logit:.2f} · no threshold: val lacks positives or negatives"
    called = "positive" if logit >= threshold else "negative"
    return f"logit {logit:.2f} · threshold {threshold:.2f} · called **{called}**"
