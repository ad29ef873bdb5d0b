"""What is loaded once for all visitors. Resources are shared and never changed; derived frames are bounded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.geometry import Fit
from explorer.errors import UserError
from explorer.store.marks import all_annotations, marks_file
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables.labels import film_captions
from explorer.ui.shared.queue import Desk

if TYPE_CHECKING:
    import faiss
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from explorer.model.encoder import ImageTower


def store_root() -> Path:
    """The store's folder: ``EXPLORER_STORE``, or ``store`` in the working directory."""
    return Path(os.environ.get("EXPLORER_STORE", "store"))


@st.cache_resource(max_entries=4, show_spinner="Opening the store")
def _open(root: Path, run_id: str, made_ns: int) -> Store:
    """``made_ns`` is the manifest's time: a run that was made again under its old name is opened again."""
    return open_store(root, run_id)


def store(root: Path, run_id: str) -> Store:
    """The run, opened once."""
    return _open(root, run_id, (root / run_id / "manifest.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner="Reading the index")
def _index(path: Path, made: str, space: str) -> tuple[faiss.Index, str]:
    return Store(path).index(space)


def index(opened: Store, space: str) -> faiss.Index:
    """The FAISS index of a space; where its file could not be used, the page is told."""
    found, note = _index(opened.path, opened.manifest.created, space)
    if note:
        st.caption(f":material/info: {note}")
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _hover(path: Path, made: str, _opened: Store) -> NDArray[np.str_]:
    return film_captions(_opened)


def hover(opened: Store) -> NDArray[np.str_]:
    """(N,) the text a map shows for each film."""
    return _hover(opened.path, opened.manifest.created, opened)


def fit(opened: Store, encoder_id: str) -> Fit:
    """An encoder's preprocessing geometry, read without loading the encoder."""
    return opened.fit(encoder_id)


@st.cache_resource(max_entries=3, show_spinner="Loading the image tower")
def _tower(folder: Path, weights_sha256: str) -> ImageTower:
    from explorer.model.encoder import ImageTower

    return ImageTower.load(folder)


def tower(opened: Store, encoder_id: str) -> ImageTower:
    """The image tower of an encoder. Imports torch: call it only where a visitor asked for a model to run."""
    return _tower(opened.encoder_folder(encoder_id), opened.encoder(encoder_id).weights_sha256)


@st.cache_resource(max_entries=4, show_spinner=False)
def _readings(path: Path, made: str, marks: tuple[int, int], _opened: Store) -> pd.DataFrame:
    return all_annotations(_opened)


def readings(opened: Store) -> pd.DataFrame:
    """What readers said of the run's films, by ``marks.all_annotations``; read again once the file of marks is another.
    A page asks for it once a picture."""
    try:
        found = marks_file(opened).stat()
        marks = found.st_mtime_ns, found.st_size
    except FileNotFoundError:
        marks = 0, 0
    return _readings(opened.path, opened.manifest.created, marks, opened)


FILM_SIDE = 2048
"""Pixels of the long side of a film in the browser: enlarged to twice a column it still has pixels of its own."""


@st.cache_data(max_entries=32, show_spinner=False)
def _film_jpeg(path: Path, made: str, row: int, _opened: Store) -> bytes:
    from explorer.data.images import thumbnail

    return thumbnail(film(_opened, row), FILM_SIDE)


def film_jpeg(opened: Store, row: int) -> bytes:
    """A film of the store as the browser gets it; a UserError where it is not on this machine or cannot be read."""
    return _film_jpeg(opened.path, opened.manifest.created, row, opened)


@st.cache_resource(max_entries=8, show_spinner=False)
def _film(path: Path, made: str, row: int, _opened: Store) -> Image.Image:
    from explorer.data.images import read_film
    from explorer.data.limits import BadImage

    try:
        return read_film(_opened.film(row))
    except BadImage as error:
        name = _opened.samples["sample_id"].iat[row]
        raise UserError(f"The film {name} cannot be read: {error}.", "Restore it.") from error


def film(opened: Store, row: int) -> Image.Image:
    """A film of the store, grey, in its own pixels."""
    return _film(opened.path, opened.manifest.created, row, opened)


@st.cache_data(max_entries=16, show_spinner=False)
def _depth(folder: Path, weights_sha256: str) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "image_tower.safetensors", framework="np") as file:
            blocks = {name.split(".")[2] for name in file.keys() if name.startswith("trunk.blocks.")}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"The store holds no weights of the encoder {folder.name}: {error}.",
            f"Copy {folder.name}/image_tower.safetensors from the original run, or run precompute again: maps need it.",
        ) from error
    return max(1, len(blocks))


def depth(opened: Store, encoder_id: str) -> int:
    """How many transformer blocks an encoder has, read from the names of its weights."""
    return _depth(opened.encoder_folder(encoder_id), opened.encoder(encoder_id).weights_sha256)


@st.cache_resource
def desk() -> Desk:
    """The one place all visitors' questions to a model go through; it keeps 256 MB of tokens and maps."""
    return Desk(256 * 2**20)
