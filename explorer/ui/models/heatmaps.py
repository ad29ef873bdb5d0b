"""Saliency maps for the pages: a film's tokens and every question about them go through the one model queue.

A film is one of the run, by its row, or one that a visitor uploaded. What is made of an upload stays with the upload.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import streamlit as st
from PIL import Image

from explorer.analysis.neighbours import decision_row
from explorer.data.saliency_map import MethodName, Saliency, silence
from explorer.figures import overlay
from explorer.figures.style import number
from explorer.store.saliency import SaliencySet, list_saliency
from explorer.store.scores import check_scores, stored_embedding
from explorer.ui.models.inference import Upload
from explorer.ui.shared import cache

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.model.saliency.tokens import Tokens
    from explorer.store.reader import Store
    from explorer.ui.shared.queue import AnswerCache

_SEEN = "maps_seen"


# --- what is asked ---------------------------------------------------------------------------------------------------


class HeadRows(NamedTuple):
    """Rows of a linear head: weight (K, D), bias (K,), the encoder they read, and whether at unit norm."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    encoder: str
    unit: bool


@dataclass(frozen=True)
class LabelLogits:
    """The logits of labels in a regime."""

    regime: str
    labels: tuple[str, ...]

    def head_rows(self, store: Store) -> HeadRows:
        regime = store.regime(self.regime)
        weight, bias = store.head(self.regime)
        chosen = [store.labels.index(label) for label in self.labels]
        return HeadRows(weight[chosen], bias[chosen], regime.encoder, regime.unit)

    def stored(self, store: Store, row: int) -> NDArray[np.float32]:
        """(K,) what the run scored."""
        chosen = [store.labels.index(label) for label in self.labels]
        return np.asarray(store.logits(self.regime)[row])[chosen]


@dataclass(frozen=True)
class Likeness:
    """The likeness to a unit vector of a space: the logit under the head row that is that vector.

    In a decision space the row is that of the standardised logits in the vector's direction.

    Attributes
    ----------
    vector : bytes
        Of a (dim,) float32 array: unlike an array, bytes can stand in a key.
    """

    space: str
    vector: bytes

    @classmethod
    def to(cls, space: str, vector: NDArray[np.float32]) -> Likeness:
        """The likeness to a (dim,) unit vector."""
        return cls(space, vector.astype(np.float32).tobytes())

    def head_rows(self, store: Store) -> HeadRows:
        vector = np.frombuffer(self.vector, dtype=np.float32)
        regime = next(r for r in store.all_regimes if self.space in (r.embedding_space, r.decision_space))
        if store.space(self.space).kind == "embedding":
            return HeadRows(vector[None], np.zeros(1, np.float32), regime.encoder, unit=True)
        logits = np.asarray(store.logits(regime.name))
        return HeadRows(*decision_row(vector, *store.head(regime.name), logits), regime.encoder, regime.unit)

    def stored(self, store: Store, row: int) -> NDArray[np.float32]:
        """(1,) what the head row gives for the stored embedding."""
        rows = self.head_rows(store)
        return np.asarray(rows.weight @ stored_embedding(store, rows.encoder, row, rows.unit) + rows.bias)


@dataclass(frozen=True)
class MapRequest:
    """All that decides a film's maps. The request itself is the key they are kept under, so no part can be left out.

    Attributes
    ----------
    run : as :func:`explorer.ui.shared.cache.run_key` gives it
    film : int or Upload
    target : LabelLogits or Likeness
        What the maps explain: one map for each head row.
    blocks : tuple of int
        Ascending, counted from 0: one map for each.
    against : bool
        Evidence against the target, in place of evidence for it: the head rows are negated.
    """

    run: tuple[str, str]
    film: int | Upload
    target: LabelLogits | Likeness
    method: MethodName
    blocks: tuple[int, ...]
    against: bool = False


@dataclass(frozen=True)
class _TokensRequest:
    """What decides a film's tokens: every label, regime, method and block shares them."""

    run: tuple[str, str]
    film: int | Upload
    encoder: str


# --- the answer ------------------------------------------------------------------------------------------------------


def saliency_maps(store: Store, request: MapRequest, answers: AnswerCache | None = None) -> Saliency:
    """Maps of one film; while the queue serves others, the visitor's place in it is shown.

    Maps that the batch job has made are read; others are computed. From now on this visitor has seen a map of the film.

    Parameters
    ----------
    answers : AnswerCache, optional
        Where the maps of one of the run's films are kept that must not be kept for all visitors.
    """
    if isinstance(request.film, Upload):
        answers = request.film.answers
    else:
        note_seen([request.film])
        if stored := stored_maps(store, request):
            return stored
    place = st.empty()

    def show_place(ahead: int) -> None:
        place.caption(f":material/hourglass_top: {ahead} ahead of you in the queue for the model")

    saliency = cache.model_queue().ask(request, lambda: _explain(store, request), show_place, answers)
    place.empty()
    return saliency


def stored_set(
    store: Store, row: int, regimes: Collection[str], labels: Collection[str], method: str, block: int
) -> SaliencySet | None:
    """The set in which the batch job keeps maps of a film for these labels, regimes and block (from 1), if any."""
    for one in list_saliency(store):
        same = (one.record.method, one.record.block) == (method, block)
        if same and set(labels) <= set(one.record.labels) and one.holds(store, row, regimes):
            return one
    return None


def stored_maps(store: Store, request: MapRequest) -> Saliency | None:
    """The maps asked for, where the batch job has made them."""
    row, target = request.film, request.target
    if not isinstance(row, int) or not isinstance(target, LabelLogits) or request.against or len(request.blocks) != 1:
        return None
    kept = stored_set(store, row, (target.regime,), target.labels, request.method, request.blocks[0] + 1)
    if kept is None:
        return None
    split = cast("Split", store.samples["split"].iat[row])
    place = int(np.searchsorted(kept.rows(store, split), row))
    maps = cache.stored_maps(kept, split, target.regime)[place]
    chosen = [kept.record.labels.index(label) for label in target.labels]
    return Saliency(np.asarray(maps)[chosen, None], target.stored(store, row))


def note_seen(rows: Iterable[int]) -> None:
    """This visitor sees a map of these films of the run."""
    st.session_state.setdefault(_SEEN, set()).update(rows)


def has_seen_map(row: int) -> bool:
    """Whether this visitor has seen a map of a film of the run: what they mark on it is then not blind."""
    return row in st.session_state.get(_SEEN, set())


def _explain(store: Store, request: MapRequest) -> Saliency:
    from explorer.model.saliency.grad_cam import explain

    rows = request.target.head_rows(store)
    sign = np.float32(-1 if request.against else 1)
    tower = cache.tower(store, rows.encoder)
    tokens = _tokens(store, _TokensRequest(request.run, request.film, rows.encoder))
    saliency = explain(
        tower if rows.unit else tower.unnormalised(),
        tokens,
        sign * rows.weight,
        sign * rows.bias,
        request.method,
        request.blocks,
    )
    if isinstance(request.film, int):
        embedding = stored_embedding(store, rows.encoder, request.film, rows.unit)
        stored = request.target.stored(store, request.film)
        check_scores(store, rows.encoder, rows.weight, embedding, sign * saliency.logits, stored)
    return Saliency(saliency.maps, sign * saliency.logits)


def _tokens(store: Store, request: _TokensRequest) -> Tokens:
    from explorer.model.saliency.tokens import Tokens, read_tokens

    film, encoder = request.film, request.encoder
    answers = film.answers if isinstance(film, Upload) else cache.model_queue().answers
    kept = answers.get(request)
    if isinstance(kept, Tokens):
        return kept
    tower = cache.tower(store, encoder)
    pixels = film.pixels[encoder] if isinstance(film, Upload) else cache.film_pixels(store, film, tower.fit)
    tokens = read_tokens(tower, pixels)
    answers.put(request, tokens)
    return tokens


# --- the picture -----------------------------------------------------------------------------------------------------


def film_canvas(store: Store, film: int | Upload, side: int) -> overlay.Canvas:
    """The film to draw on; an uploaded one is kept small, but its canvas still counts in the film's own pixels."""
    if not isinstance(film, Upload):
        return overlay.to_canvas(cache.film_image(store, film), side)
    kept = Image.open(io.BytesIO(film.jpeg))
    canvas = overlay.to_canvas(kept, side)
    return overlay.Canvas(canvas.grey, canvas.scale * kept.width / film.size[0], film.size)


def film_layers(
    store: Store, row: int, encoder: str, grid: NDArray[np.float32] | None, look: overlay.MapStyle
) -> overlay.MapLayers:
    """A map of a film of the run as layers for the browser; one that singles nothing out is left out."""
    size = store.film_size(row)
    seen = store.fit(encoder).window(size[1], size[0])
    return overlay.map_layers(None if grid is None or silence(grid) else grid, seen, size, look)


def silence_remark(grid: NDArray[np.float32], look: overlay.MapStyle) -> str:
    """Why no map is drawn, where none is."""
    what = silence(grid)
    if what == "zero":
        return f"This map is zero: nothing here {'lowers' if look.against else 'raises'} the score."
    return "This map is flat: it singles nothing out, so none is drawn." if what == "flat" else ""


def score_text(store: Store, regime: str, label: str, logit: float) -> str:
    """A film's logit for a label against the threshold."""
    threshold = float(store.threshold_array(regime)[store.labels.index(label)])
    if np.isnan(threshold):
        return f"logit {number(logit)} · no threshold: val lacks positives or negatives"
    prediction = "positive" if logit >= threshold else "negative"
    return f"logit {number(logit)} · threshold {number(threshold)} · predicted **{prediction}**"
