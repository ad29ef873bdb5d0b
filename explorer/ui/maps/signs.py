"""What is drawn on a map beside films: prompts, label centroids, names of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import streamlit as st

from explorer.analysis.metrics import patient_weights
from explorer.analysis.modality_gap import centroids, halves_gap, modality_gap, place
from explorer.data.text import AXIS, plain
from explorer.figures.maps import POSITIVE, Frame, MapSign
from explorer.figures.style import REGIME_STYLES, with_interval
from explorer.store.manifest import FROZEN
from explorer.tables.map_colours import cluster_marks
from explorer.ui.shared.cache import HASH_FUNCS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

Kind = Literal["prompts", "centroids", "clusters"]

KINDS: dict[Kind, str] = {"prompts": "Prompts", "centroids": "Label centroids", "clusters": "Cluster names"}
PROMPT_COLOUR = REGIME_STYLES[0].colour
"""Prompts are what zero-shot is made of."""
SIGNS = (
    ("▲", "positive prompt", PROMPT_COLOUR),
    ("▽", "negative prompt", PROMPT_COLOUR),
    ("✚", "mean of a label's films", POSITIVE),
)
"""Every sign, what it means, and its colour, for the legend."""
AMONG = 15
RESAMPLES = 500


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=HASH_FUNCS)
def signs(store: Store, space: str, kinds: tuple[Kind, ...]) -> tuple[MapSign, ...]:
    """The signs of a space's map."""
    makers = {"prompts": _prompts, "centroids": _centroids, "clusters": _clusters}
    return tuple(sign for kind in kinds for sign in makers[kind](store, space))


def _prompts(store: Store, space: str) -> list[MapSign]:
    if store.text_space != space:
        return []
    out = []
    for side, sign, word in (("positive", "▲", ""), ("negative", "▽", "not ")):
        vectors, labels = prompt_means(store, store.manifest.prompt_sets[0].name, side)
        names = [word + plain(label, AXIS) for label in labels]
        out += _placed(store, space, vectors, names, "prompt", sign, PROMPT_COLOUR)
    return out


def prompt_means(store: Store, prompt_set: str, side: str) -> tuple[NDArray[np.float32], list[str]]:
    """Mean direction of each label's positive or negative prompts in a set, unit norm, and the labels that have any."""
    vectors, place_of = store.text_vectors(), {text: i for i, text in enumerate(store.texts)}
    prompts = store.prompts(prompt_set)
    labels = [label for label in store.labels if prompts[label][side]]
    means = [vectors[[place_of[text] for text in prompts[label][side]]].mean(axis=0) for label in labels]
    stacked = np.stack(means) if means else np.zeros((0, vectors.shape[1]), np.float32)
    return stacked / np.linalg.norm(stacked, axis=1, keepdims=True), labels


def _centroids(store: Store, space: str) -> list[MapSign]:
    middle = centroids(np.asarray(store.vectors(space)), store.targets)
    has_centroid = np.flatnonzero(~np.isnan(middle[:, 0]))
    names = [plain(store.labels[c], AXIS) for c in has_centroid]
    return _placed(store, space, middle[has_centroid], names, "centroid", "✚", POSITIVE)


def _clusters(store: Store, space: str) -> list[MapSign]:
    codes, clusters = store.clusters(space)
    layout, marks = store.map(space), cluster_marks(store, space)
    frame = Frame.around(layout)
    out = []
    for i, one in enumerate(clusters):
        x, y = frame.units(np.median(layout[codes == i], axis=0)[None])[0].tolist()
        out.append(MapSign(x, y, f"{i + 1} {plain(one.name, AXIS)}", "cluster", colour=marks[i].colours[0]))
    return out


def _placed(
    store: Store,
    space: str,
    vectors: NDArray[np.float32],
    names: list[str],
    kind: Literal["centroid", "prompt"],
    sign: str,
    colour: str,
) -> list[MapSign]:
    layout = store.map(space)
    units = Frame.around(layout).units(place(vectors, np.asarray(store.vectors(space)), layout, AMONG))
    return [MapSign(x, y, name, kind, sign, colour) for (x, y), name in zip(units.tolist(), names, strict=True)]


def gap_sentence(store: Store, split: Split) -> str:
    """The modality gap of a split's films and the zero-shot regime's own prompts, in one sentence."""
    gap = gaps(store, split)[0]
    return (
        f"Modality gap: the mean of {gap.films:,} {split} films and that of {gap.prompts} positive prompts lie "
        f"{with_interval(*gap.apart)} apart. The scale is 0 to 2; two random halves of the films: {gap.halves:.2f}. "
        f"A prompt's cosine to its nearest film is {gap.nearest:.2f} on average. On the map it is drawn among "
        f"the {AMONG} films most like it; in the space it is not near them."
    )


class Gap(NamedTuple):
    """How far a set's positive prompts lie from the films.

    ``apart`` is the distance of the two means with its 95% interval, ``halves`` that of two random halves of the films.
    ``nearest`` is a prompt's cosine to its nearest film, on average. ``films`` and ``prompts`` are counts.
    """

    title: str
    apart: tuple[float, float, float]
    halves: float
    nearest: float
    films: int
    prompts: int


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def gaps(store: Store, split: Split) -> list[Gap]:
    """The modality gap of every prompt set, the zero-shot regime's own first, over the same resamples of patients."""
    rows = store.rows(split)
    images, patients = np.asarray(store.embeddings(FROZEN)[rows]), store.patients[rows]
    weights = np.vstack([np.ones((1, len(rows))), patient_weights(patients, RESAMPLES, store.manifest.seed)])
    halves = halves_gap(images, patients, store.manifest.seed)
    out = []
    for record in store.manifest.prompt_sets:
        positive, labels = prompt_means(store, record.name, "positive")
        values = modality_gap(images, positive, weights)
        low, high = np.percentile(values[1:], [2.5, 97.5]).tolist()
        nearest = float((positive @ images.T).max(axis=1).mean())
        out.append(Gap(record.title, (float(values[0]), low, high), halves, nearest, len(rows), len(labels)))
    return out
