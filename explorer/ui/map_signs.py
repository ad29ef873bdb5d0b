"""What is drawn on a map beside films: prompts, label centroids, names of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st

from explorer.analysis.metrics import patient_weights
from explorer.analysis.placing import centroids, halves_gap, modality_gap, place
from explorer.figures import with_interval
from explorer.figures_maps import Frame, Sign
from explorer.ui.map_colours import cluster_mark

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

Kind = Literal["prompts", "centroids", "clusters"]

KINDS: dict[Kind, str] = {"prompts": "Prompts", "centroids": "Label centroids", "clusters": "Cluster names"}
AMONG = 15
RESAMPLES = 500


@st.cache_data(max_entries=48, show_spinner=False)
def signs(path: Path, made: str, space: str, kinds: tuple[Kind, ...], _store: Store) -> tuple[Sign, ...]:
    """The signs of a space's map."""
    makers = {"prompts": _prompts, "centroids": _centroids, "clusters": _clusters}
    return tuple(sign for kind in kinds for sign in makers[kind](_store, space))


def has_text(store: Store, space: str) -> bool:
    """Whether prompts live in a space: only where the encoder still is the one that embedded them."""
    return store.regimes[0].embedding_space == space


def _prompts(store: Store, space: str) -> list[Sign]:
    if not has_text(store, space):
        return []
    out = []
    for side, sign, word in (("positive", "▲", ""), ("negative", "▽", "not ")):
        vectors, labels = _prompt_means(store, side)
        names = [word + label for label in labels]
        out += _placed(store, space, vectors, names, "prompt", sign, "#D55E00")
    return out


def _prompt_means(store: Store, side: str) -> tuple[NDArray[np.float32], list[str]]:
    """Mean direction of each label's positive or negative prompts in the zero-shot regime's set, unit norm."""
    vectors, place_of = store.text_vectors(), {text: i for i, text in enumerate(store.texts)}
    prompts = store.prompts(store.manifest.prompt_sets[0].name)
    labels = [label for label in store.labels if prompts[label][side]]
    means = [vectors[[place_of[text] for text in prompts[label][side]]].mean(axis=0) for label in labels]
    stacked = np.stack(means) if means else np.zeros((0, vectors.shape[1]), np.float32)
    return stacked / np.linalg.norm(stacked, axis=1, keepdims=True), labels


def _centroids(store: Store, space: str) -> list[Sign]:
    middle = centroids(np.asarray(store.vectors(space)), store.targets)
    given = np.flatnonzero(~np.isnan(middle[:, 0]))
    return _placed(store, space, middle[given], [store.labels[c] for c in given], "centroid", "✚", "#1F83C6")


def _clusters(store: Store, space: str) -> list[Sign]:
    codes, found = store.clusters(space)
    layout = store.map(space)
    frame = Frame.around(layout)
    out = []
    for i, one in enumerate(found):
        x, y = frame.units(np.median(layout[codes == i], axis=0)[None])[0].tolist()
        out.append(Sign(x, y, f"{i + 1} {one.name}", "cluster", colour=cluster_mark(i).colours[0]))
    return out


def _placed(
    store: Store,
    space: str,
    vectors: NDArray[np.float32],
    names: list[str],
    kind: Literal["centroid", "prompt"],
    sign: str,
    colour: str,
) -> list[Sign]:
    layout = store.map(space)
    units = Frame.around(layout).units(place(vectors, np.asarray(store.vectors(space)), layout, AMONG))
    return [Sign(x, y, name, kind, sign, colour) for (x, y), name in zip(units.tolist(), names, strict=True)]


@st.cache_data(max_entries=16, show_spinner=False)
def gap(path: Path, made: str, split: Split, _store: Store) -> str:
    """The modality gap of a split's films and the prompts, in one sentence."""
    store, space = _store, _store.regimes[0].embedding_space
    rows = store.rows(split)
    positive, _ = _prompt_means(store, "positive")
    images, patients = np.asarray(store.vectors(space)[rows]), store.patients[rows]
    weights = np.vstack([np.ones((1, len(rows))), patient_weights(patients, RESAMPLES, store.manifest.seed)])
    drawn = modality_gap(images, positive, weights)
    low, high = np.percentile(drawn[1:], [2.5, 97.5])
    nearest = float((positive @ images.T).max(axis=1).mean())
    return (
        f"Modality gap: the {len(rows):,} {split} films' mean and the {len(positive)} positive prompts' mean lie "
        f"{with_interval(float(drawn[0]), float(low), float(high))} apart (0 to 2; two random halves of the films "
        f"{halves_gap(images, patients, store.manifest.seed):.2f}). A prompt's cosine to its nearest film is "
        f"{nearest:.2f} on average: it stands where the {AMONG} films most like it stand, not near them."
    )
