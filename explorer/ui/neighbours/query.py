"""What is searched for: a film of the set, an uploaded film, words, or the middle of a selection."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.analysis.neighbours import comparable, decision_vectors
from explorer.data.text import in_markdown
from explorer.errors import UserError
from explorer.store.manifest import FROZEN
from explorer.tables.spaces import distinct_spaces
from explorer.ui.models import inference
from explorer.ui.shared import address, cache, choose, selection
from explorer.ui.shared.filter import conditions, narrowed
from explorer.ui.shared.frame import errors_shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.manifest import SpaceKind
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

LENGTHS = ("6", "12", "24")
OWN = ".own"
"""In place of a prompt set: a sentence of the visitor's."""
WAYS = {"film": "A film", "upload": "Upload", "words": "Words", "selection": "Selection"}
VIEWS = {"frontal": "frontal", "lateral": "lateral", "": "not known"}
UPLOAD = "upload-embedded"


@dataclass(frozen=True)
class Query:
    """A direction in each space, and the films that must not be shown.

    Attributes
    ----------
    name : str
    vectors : dict
        A space's name to the (dim,) unit-norm vector.
    kind : "embedding" or "decision"
    k : int
    barred : (N,) bool
        Films that are not shown.
    left_out : str
        The same in words.
    way : one of WAYS
    label : str
        Whose scores stand beside the neighbours.
    known : (C,) 1, 0 or NaN
        Labels that the neighbours' labels are compared with.
    row : int or None
        The film asked about, where it is one of the run.
    upload : Upload or None
    """

    name: str
    vectors: dict[str, NDArray[np.float32]]
    kind: SpaceKind
    k: int
    barred: NDArray[np.bool_]
    left_out: str
    way: str
    label: str
    known: NDArray[np.float32]
    row: int | None = None
    upload: inference.Upload | None = None


@dataclass(frozen=True)
class _Source:
    """A query as one kind of input gives it."""

    name: str
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    known: NDArray[np.float32] | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Films the query is made of: never shown, and their patients' other films only if asked for."""
    view: str = ""
    row: int | None = None
    upload: inference.Upload | None = None


def choose_query(view: View) -> Query | None:
    """The page's controls; None where there is nothing to search for yet, after saying so."""
    label = choose.label()
    with view.controls:
        way = choose.pick_one("Search by", list(WAYS), "by", WAYS)
        choose.options(partial(_options, way))
    kind: SpaceKind = "embedding" if way == "words" else address.value("space")
    k, same_patient, mixed = int(address.value("k")), bool(address.value("same_patient")), bool(address.value("mixed"))
    source = {"film": _film, "upload": _upload, "words": _words, "selection": _selection}[way](view, label, kind)
    if source is None:
        return None
    barred, left_out = _barred(view.store, source, same_patient=same_patient, mixed=mixed)
    known = np.full(len(view.store.labels), np.nan, np.float32) if source.known is None else source.known
    return Query(
        source.name, source.vectors, kind, k, barred, left_out, way, label, known, row=source.row, upload=source.upload
    )


def _options(way: str) -> None:
    if way != "words":
        choose.space_kind()
    choose.pick_one("Neighbours", LENGTHS, "k", named=True)
    st.toggle("Same patient too", **address.control("same_patient"))
    st.toggle("Mix frontal and lateral", **address.control("mixed"))


def _barred(store: Store, source: _Source, *, same_patient: bool, mixed: bool) -> tuple[NDArray[np.bool_], str]:
    barred = np.ones(store.n, dtype=bool)
    barred[narrowed(store, np.arange(store.n))] = False
    words = [f"{int(barred.sum()):,} outside the filter left out"] if conditions() else []
    barred[source.rows] = True
    if len(source.rows):
        patients = np.isin(store.patients, store.patients[source.rows])
        if not same_patient:
            barred |= patients
        if others := int(patients.sum()) - len(source.rows):
            words.append(f"{others:,} other{'s' if others > 1 else ''} of the same patient{_kept(same_patient)}")
        else:
            words.append("no other film of the same patient")
    if source.view:
        apart = ~comparable(store.views, source.view)
        if not mixed:
            barred |= apart
        words.append(f"{int(apart.sum()):,} not {source.view}{_kept(mixed)}")
    return barred, f"{int((~barred).sum()):,} films searched: {', '.join(words)}." if words else ""


def _kept(shown: bool) -> str:
    return " among them" if shown else " left out"


def _film(view: View, label: str, kind: SpaceKind) -> _Source:
    store = view.store
    with view.controls:
        row = choose.film(view, label)
    vectors = {}
    for space, _ in distinct_spaces(store, kind):
        with errors_shown():  # the other spaces can still be searched
            vectors[space.name] = np.asarray(store.vectors(space.name)[row])
    name = str(store.samples["sample_id"].iat[row])
    return _Source(name, vectors, store.targets[row], np.array([row]), str(store.views[row]), row=row)


def _selection(view: View, label: str, kind: SpaceKind) -> _Source | None:
    store, selected = view.store, selection.current(view)
    rows = selected.rows
    if not len(rows):
        st.info("Nothing is selected. Draw around films on the map, then come back.", icon=":material/lasso_select:")
        return None
    vectors = {}
    for space, _ in distinct_spaces(store, kind):
        with errors_shown():
            middle = np.asarray(store.vectors(space.name)[rows]).mean(axis=0)
            vectors[space.name] = middle / max(float(np.linalg.norm(middle)), 1e-12)
    views = np.unique(store.views[rows])
    name = f"the middle of {selected.name or 'the selection'}, {len(rows):,} films"
    return _Source(name, vectors, None, rows, str(views[0]) if len(views) == 1 else "")


def _upload(view: View, label: str, kind: SpaceKind) -> _Source | None:
    store = view.store
    store.weights(FROZEN)  # before a visitor brings a film that nothing could embed
    left, right = st.columns([3, 1], vertical_alignment="bottom", gap="medium")
    with left:
        file = st.file_uploader("A chest film: PNG, JPEG or DICOM", key="upload", max_upload_size=20)
    with right:
        projection = choose.pick_one("Its view", list(VIEWS), "upload_view", VIEWS)
    st.caption(
        "It is read in memory and forgotten with this session: nothing is written to disk, no other visitor sees it. "
        "The image towers are loaded: some seconds the first time."
    )
    if file is None:
        st.session_state.pop(UPLOAD, None)
        return None
    held = st.session_state.get(UPLOAD)
    key = (*cache.run_key(store), file.file_id)
    if held is None or held[0] != key:
        with st.spinner("Reading the film"):
            held = st.session_state[UPLOAD] = (key, inference.embed_upload(store, file.name, file.getvalue()))
    upload: inference.Upload = held[1]
    vectors = {}
    for space, _ in distinct_spaces(store, kind):
        for regime in store.regimes:
            if kind == "embedding" and regime.embedding_space == space.name:
                vectors[space.name] = upload.vector(regime.encoder)
            elif kind == "decision" and regime.decision_space == space.name:
                logits = upload.logits(store)[regime.name]
                vectors[space.name] = decision_vectors(logits[None], np.asarray(store.logits(regime.name)))[0]
    return _Source("your film", vectors, view=projection, upload=upload)


def _words(view: View, label: str, kind: SpaceKind) -> _Source | None:
    store = view.store
    if store.text_space is None:
        st.info(inference.why_no_prompts(store), icon=":material/text_fields:")
        return None
    sets = {record.name: in_markdown(record.title) for record in store.manifest.prompt_sets}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        chosen = choose.pick_one("Prompts", [*sets, OWN], "prompts", {**sets, OWN: "My own"})
        if chosen == OWN:
            st.text_input(
                "What a film should show",
                max_chars=inference.LONGEST,
                placeholder="enlarged heart",
                width=420,
                **address.control("text"),
            )
    if chosen == OWN:
        text = str(address.value("text"))
        if not text.strip():
            st.caption("Any sentence. The text tower is loaded: some seconds the first time.")
            return None
        return _sentence(view, text)
    prompts = store.prompts(chosen)[label]
    direction = mean_direction(inference.embed_texts(store, prompts["positive"]))
    words = "; ".join(prompts["positive"])
    if prompts["negative"]:
        direction = direction - mean_direction(inference.embed_texts(store, prompts["negative"]))
        words += " — against — " + "; ".join(prompts["negative"])
    known = np.where(np.array(store.labels) == label, 1, np.nan).astype(np.float32)
    return _Source(words, _in_every_space(store, direction), known)


def _sentence(view: View, text: str) -> _Source:
    sentence = inference.check_sentence(text)
    vector = inference.embed_texts(view.store, [sentence])[0]
    unread = [] if sentence in view.store.texts else inference.unread_words(view.store, sentence)
    if unread:
        st.warning(
            f"The text tower cannot read: {in_markdown(', '.join(unread), 200)}. The rest of the sentence is "
            "searched for."
        )
    return _Source(sentence, _in_every_space(view.store, vector))


def mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (D,) mean of (T, D) sentences, renormalised, as the zero-shot head takes it.

    Raises
    ------
    UserError
        Where the sentences cancel out.
    """
    mean = vectors.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm < 1e-6:
        raise UserError("These sentences cancel each other out.", "Leave one of them out.")
    unit: NDArray[np.float32] = mean / norm
    return unit


def _in_every_space(store: Store, direction: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    unit = direction / max(float(np.linalg.norm(direction)), 1e-12)
    return {space.name: unit for space, _ in distinct_spaces(store, "embedding")}
