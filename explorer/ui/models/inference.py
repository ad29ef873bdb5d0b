"""Models run on demand: a film somebody uploads, a sentence somebody types. Only what is asked for imports torch.

An upload lives in its own session's state and nowhere else: no cache that sessions share, no file.
"""

from __future__ import annotations

import io
import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.analysis.outliers import outlyingness
from explorer.data.images import decode_for, thumbnail
from explorer.data.limits import BadImage
from explorer.data.uploads import read_upload
from explorer.environment import APP
from explorer.errors import UserError
from explorer.store.files import sha256_file
from explorer.store.manifest import FROZEN
from explorer.ui.shared import cache
from explorer.ui.shared.queue import AnswerCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from explorer.model.encoder import Clip, Precision
    from explorer.store.reader import Store

ENCODER = "EXPLORER_ENCODER"
SHIPPED = APP / "encoders"
SHOWN_SIDE = 900
KEPT = 32 * 2**20
"""Bytes of an upload's tokens and maps: a ViT-B's tokens take 7 MB."""
LONGEST = 1000
"""Characters of a sentence; a text tower reads some 250 tokens and drops the rest."""
NO_PROMPTS = (
    "This run has no prompts: none of its regimes reads text. Run precompute again with zero-shot among --regimes."
)
NO_TEXT_TOWER = "This run has no prompts: its encoder sees images alone and reads no text."
NEVER_HAD_TEXT_TOWER = (
    "This run has no prompts: its embeddings were made elsewhere, and no text tower is at hand. Make a run with the "
    "encoder itself: python -m precompute run."
)


def why_no_prompts(store: Store) -> str:
    """Why a run without prompts has none."""
    if "weights" in store.manifest.never_had:
        return NEVER_HAD_TEXT_TOWER
    return NO_PROMPTS if store.encoder(FROZEN).reads_text else NO_TEXT_TOWER


@dataclass(frozen=True, eq=False)
class Upload:
    """What is kept of an uploaded film. Each upload equals itself alone, so that it can stand in a key.

    Attributes
    ----------
    name : str
    jpeg : bytes
        Grey, at most SHOWN_SIDE pixels, without metadata.
    projections : dict
        Encoder id to its (D,) embedding before it is brought to unit norm, which some heads read.
    outlying : (2,) float64 or None
        Percentiles by ``outliers.DISTANCES``; None for a run without them.
    size : width, height
        Of the film itself.
    pixels : dict
        Encoder id to the (S, S) uint8 it sees.
    answers : AnswerCache
        Its tokens and maps: they go with the session, too.
    """

    name: str
    jpeg: bytes
    projections: dict[str, NDArray[np.float32]]
    outlying: NDArray[np.float64] | None
    size: tuple[int, int]
    pixels: dict[str, NDArray[np.uint8]]
    answers: AnswerCache = field(default_factory=lambda: AnswerCache(KEPT), repr=False)

    def vector(self, encoder: str) -> NDArray[np.float32]:
        """(D,) unit norm."""
        projection = self.projections[encoder]
        unit: NDArray[np.float32] = projection / np.linalg.norm(projection)
        return unit

    def logits(self, store: Store) -> dict[str, NDArray[np.float32]]:
        """A regime's name to the film's (C,) logits."""
        out = {}
        for regime in store.regimes:
            weight, bias = store.head(regime.name)
            read = self.vector(regime.encoder) if regime.unit else self.projections[regime.encoder]
            out[regime.name] = weight @ read + bias
        return out


@st.cache_resource
def _turn() -> threading.Lock:
    """One upload is decoded and embedded at a time, whoever brings it: that bounds the memory."""
    return threading.Lock()


def embed_upload(store: Store, name: str, data: bytes) -> Upload:
    """Decode an uploaded film and embed it with every encoder of the run.

    Raises
    ------
    UserError
        Where it is not a film that can be read.
    """
    with _turn():
        try:
            film = read_upload(data)
        except BadImage as error:
            raise UserError(
                f"{name[:80]} cannot be used: {error}.", "Upload a chest film as PNG, JPEG or DICOM."
            ) from error
        projections, pixels = {}, {}
        for encoder in dict.fromkeys(regime.encoder for regime in store.regimes):
            tower = cache.tower(store, encoder)
            exact = tower.fit.decode == "exact"
            pixels[encoder] = (
                tower.fit.apply(film) if exact else decode_for(tower.fit, io.BytesIO(data)).fitted(tower.fit)
            )
            projections[encoder] = tower.unnormalised().embed(pixels[encoder][None], 1)[0]
        upload = Upload(name, thumbnail(film, SHOWN_SIDE), projections, None, film.size, pixels)
        if not store.audit.has_cloud:
            return upload
        frozen = upload.vector(FROZEN)
        return replace(upload, outlying=outlyingness(store.audit.cloud, frozen[None])[0])


@st.cache_resource(max_entries=1, show_spinner="Loading the text tower")
def _clip(spec: str, weights_sha256: str, precision: Precision) -> Clip:
    import torch

    from explorer.model.encoder import load_clip
    from explorer.model.hub import find_weights, locate

    if sha256_file(find_weights(locate(spec, fetch=False).folder)) != weights_sha256:
        raise UserError(
            f"The encoder {spec} is not the one that made this run: its weights differ.",
            f"Point {ENCODER} at the folder whose weights have SHA-256 {weights_sha256[:12]}….",
        )
    return load_clip(spec, torch.device("cpu"), fetch=False).at(precision)


def text_encoder(store: Store) -> Clip:
    """The run's frozen encoder with its text tower.

    It is looked for where ``EXPLORER_ENCODER`` says (``local-dir:DIR`` or ``hf-hub:NAME``), else among the encoders
    that come with the project, else in the hub's cache. Nothing is fetched: a stranger's manifest may name any model.

    Raises
    ------
    UserError
        Where it is not on this machine: a store holds image towers only.
    """
    record = store.encoder(FROZEN)
    spec = os.environ.get(ENCODER) or record.source
    if ENCODER not in os.environ and spec.startswith("local-dir:"):
        folder = SHIPPED / Path(spec.removeprefix("local-dir:")).name
        if not folder.is_dir():
            raise UserError(
                f"A sentence of your own needs the text tower of {record.title}; this store holds image towers only.",
                f"Start the app with {ENCODER}=local-dir:DIR, the folder the store was made with. The label prompts "
                "need nothing.",
            )
        spec = f"local-dir:{folder}"
    return _clip(spec, record.weights_sha256, record.precision)


@st.cache_data(max_entries=256, show_spinner="Reading the sentence")
def _sentences(spec: str, texts: tuple[str, ...], _clip: Clip) -> NDArray[np.float32]:
    from explorer.model.text import embed_sentences

    vectors: NDArray[np.float32] = embed_sentences(_clip, texts)
    return vectors


def embed_texts(store: Store, texts: Sequence[str]) -> NDArray[np.float32]:
    """(T, D) unit norm; sentences that the store holds need no text tower."""
    known = {text: place for place, text in enumerate(store.texts)}
    missing = tuple(text for text in dict.fromkeys(texts) if text not in known)
    vectors = dict(zip(missing, _embed(store, missing), strict=True)) if missing else {}
    held = store.text_vectors()
    return np.stack([vectors[text] if text in vectors else held[known[text]] for text in texts])


def _embed(store: Store, texts: tuple[str, ...]) -> NDArray[np.float32]:
    clip = text_encoder(store)
    return _sentences(f"{clip.source} {clip.weights} {clip.tower.config.precision}", texts, clip)


def check_sentence(text: str) -> str:
    """The sentence without needless blanks.

    Raises
    ------
    UserError
        Empty, or longer than LONGEST.
    """
    words = " ".join(text.split())
    if not words:
        raise UserError("The sentence is empty.", "Write what a film should show, for example: enlarged heart.")
    if len(words) > LONGEST:
        raise UserError(
            f"The sentence has {len(words):,} characters; a text tower reads the first few hundred only.",
            f"Write at most {LONGEST:,} characters.",
        )
    return words


def unread_words(store: Store, text: str) -> list[str]:
    """Words of a sentence that the text tower cannot tell from any other unknown word."""
    from explorer.model.text import unknown_words

    return unknown_words(text_encoder(store), text)
