"""What is loaded once for all visitors. Resources are shared and never changed; derived frames are bounded.

Figures are resources: a copy of one is built and checked part by part, which costs more than drawing it.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

from explorer.data.text import in_markdown
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.marks import all_annotations, marks_file
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.store.saliency import SaliencySet
from explorer.tables.labels import film_captions
from explorer.ui.shared import telemetry
from explorer.ui.shared.file_check import FileCheck
from explorer.ui.shared.queue import ModelQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    import faiss
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from explorer.data.geometry import Fit
    from explorer.data.stored_film import StoredFilm
    from explorer.model.encoder import ImageTower

_Film = TypeVar("_Film")


def run_key(store: Store) -> tuple[str, str]:
    """What tells a run from all others, and from itself made again under its old name."""
    return str(store.path), store.manifest.created


def _shown_key(store: Store) -> tuple[str, ...]:
    return (*run_key(store), *(regime.name for regime in store.regimes))


def _saliency_key(saliency: SaliencySet) -> tuple[str, str]:
    """The record holds the hash of every file of the set."""
    return str(saliency.path), saliency.record.model_dump_json()


HASH_FUNCS: dict[str | type[Any], Callable[[Any], Any]] = {Store: _shown_key, SaliencySet: _saliency_key}
"""How cache decorators tell stores apart: ``st.cache_data(hash_funcs=HASH_FUNCS)``."""
RUN_FUNCS: dict[str | type[Any], Callable[[Any], Any]] = {Store: run_key}
"""The same for what does not depend on the regimes shown."""


@st.cache_resource(max_entries=32, show_spinner="Opening the store")  # Board opens every run of a store
def _open(root: Path, run_id: str, made_ns: int) -> Store:
    """``made_ns`` is the manifest's time: a run that was made again under its old name is opened again."""
    return open_store(root, run_id)


def store(root: Path, run_id: str) -> Store:
    """The run, opened once."""
    manifest = root / run_id / layout.MANIFEST
    return _open(root, run_id, manifest.stat().st_mtime_ns if manifest.is_file() else 0)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=RUN_FUNCS)
def showing(store: Store, regimes: tuple[str, ...]) -> Store:
    """The run with these of its regimes alone."""
    return store.showing(regimes)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=RUN_FUNCS)
def file_check(store: Store) -> FileCheck:
    """The check of the run's files, begun when the first visitor opens it."""
    return FileCheck(store)


@st.cache_resource(max_entries=16, show_spinner="Reading the index", hash_funcs=RUN_FUNCS)
def _index(store: Store, space: str) -> tuple[faiss.Index, str]:
    return store.index(space)


def index(store: Store, space: str) -> faiss.Index:
    """The FAISS index of a space; where its file could not be used, the page says so."""
    opened, note = _index(store, space)
    if note:
        st.caption(f":material/info: {in_markdown(note, 1000)}")
    return opened


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=RUN_FUNCS)
def hover_text(store: Store) -> NDArray[np.str_]:
    """(N,) the text a map shows for each film."""
    return film_captions(store)


@st.cache_resource(max_entries=3, show_spinner="Loading the image tower", hash_funcs=RUN_FUNCS)
def tower(store: Store, encoder_id: str) -> ImageTower:
    """The image tower of an encoder. Imports torch: call it only where a visitor asked for a model to run."""
    from explorer.model.encoder import ImageTower

    tower = ImageTower.load(store.encoder_folder(encoder_id))
    if tower.dim != store.dim(encoder_id):
        raise store.damaged(layout.encoder_files(encoder_id).config, f"its tower makes {tower.dim} numbers of a film")
    return tower


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=RUN_FUNCS)
def _run_annotations(store: Store, marks_version: tuple[int, int]) -> pd.DataFrame:
    return all_annotations(store)


def run_annotations(store: Store) -> pd.DataFrame:
    """What annotators said of the run's films, by ``marks.all_annotations``.

    It is read again once the file of marks has changed: a page asks for it once a picture.
    """
    try:
        file = marks_file(store).stat()
        marks_version = file.st_mtime_ns, file.st_size
    except FileNotFoundError:
        marks_version = 0, 0
    return _run_annotations(store, marks_version)


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def stored_maps(saliency: SaliencySet, split: str, regime: str) -> NDArray[np.float32]:
    """The maps that a set has of a split, checked once and memory-mapped (``SaliencySet.maps``)."""
    return saliency.maps(split, regime)


FILM_SIDE = 2048
"""Pixels of the long side of a film with a map, as it is exported."""


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=RUN_FUNCS)
def film_image(store: Store, row: int) -> Image.Image:
    """A film of the store, grey, in its own pixels."""
    return stored_film(store, row).picture()


def film_pixels(store: Store, row: int, fit: Fit) -> NDArray[np.uint8]:
    """(S, S) what a model sees of a film of the store, decoded as its run decoded it; raises as :func:`stored_film`."""
    from explorer.data.images import read_for

    if fit.decode == "exact":
        return fit.apply(film_image(store, row))
    return _read(store, row, partial(read_for, fit)).fitted(fit)


def stored_film(store: Store, row: int) -> StoredFilm:
    """A film of the store with its own values; a UserError where it is not on this machine or cannot be read."""
    from explorer.data.images import read_stored

    return _read(store, row, read_stored)


def _read(store: Store, row: int, read: Callable[[Path], _Film]) -> _Film:
    from explorer.data.limits import BadImage

    try:
        return read(store.film(row))
    except BadImage as error:
        name = store.samples["sample_id"].iat[row]
        raise UserError(f"The film {name} cannot be read: {error}.", "Restore it.") from error


_BLOCK = re.compile(r"trunk\.blocks\.\d+\.norm1\.")
"""A weight that each block of a transformer has once."""


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=RUN_FUNCS)
def depth(store: Store, encoder_id: str) -> int:
    """How many transformer blocks an encoder has, read from the names of its weights; 1 for any other network."""
    from safetensors import SafetensorError, safe_open

    weights = store.weights(encoder_id)
    try:
        with safe_open(weights, framework="np") as file:
            blocks = {name.split(".")[2] for name in file.keys() if _BLOCK.match(name)}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        file_name = layout.encoder_files(encoder_id).weights
        raise store.damaged(file_name, f"{error}; saliency maps need it") from error
    return max(1, len(blocks))


@st.cache_resource
def model_queue() -> ModelQueue:
    """The one queue for all visitors' questions to a model; it keeps 256 MB of tokens and maps."""
    queue = ModelQueue(256 * 2**20)
    telemetry.QUEUE.set_function(lambda: queue.length)
    return queue
