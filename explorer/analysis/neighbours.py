"""Nearest neighbours by cosine similarity in a FAISS index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import faiss
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def build_index(vectors: NDArray[np.float32]) -> faiss.IndexFlatIP:
    """An exact inner-product index over (N, dim) unit-norm vectors."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def search(
    index: faiss.Index,
    query: NDArray[np.float32],
    k: int,
    exclude: NDArray[np.int64] | NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows most similar to one query, leaving some out.

    Parameters
    ----------
    index : faiss.Index
        Inner product over unit-norm vectors.
    query : (dim,) unit norm
    k : int
    exclude : (m,) rows, or (N,) True for rows, never returned; for example the query's own patient

    Returns
    -------
    rows, similarities : (<= k,) each, most similar first
    """
    allowed = np.ones(index.ntotal, dtype=bool)
    if exclude is not None:
        allowed[exclude] = False
    wanted = min(k, int(allowed.sum()))
    if wanted == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    bits = np.packbits(allowed, bitorder="little")
    # faiss's types know the wrapped C++ only, not the keywords its Python side adds
    some = None if allowed.all() else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg,arg-type]
    similarities, rows = index.search(np.ascontiguousarray(query[None], dtype=np.float32), wanted, params=some)
    return rows[0], similarities[0]


def knn(vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Exact k nearest neighbours of every row, itself first.

    Returns
    -------
    rows : (N, k) int64
    distances : (N, k) float32
        Cosine distance, 1 - similarity, never negative.
    """
    similarities, rows = build_index(vectors).search(np.ascontiguousarray(vectors), k)
    # Duplicated films tie with the row itself; UMAP needs the row to come first.
    for_self = np.arange(len(vectors))
    place = np.where((rows == for_self[:, None]).any(1), (rows == for_self[:, None]).argmax(1), k - 1)
    rows[for_self, place] = rows[:, 0]
    similarities[for_self, place] = similarities[:, 0]
    rows[:, 0] = for_self
    similarities[:, 0] = 1.0
    return rows, np.maximum(1 - similarities, 0).astype(np.float32)


def comparable(views: NDArray[np.str_], view: str) -> NDArray[np.bool_]:
    """(N,) which films may stand beside one of a view: frontal and lateral stay apart, an unknown one goes with both.

    Parameters
    ----------
    views : (N,) "frontal", "lateral" or ""
    view : str
        The query's.
    """
    allowed: NDArray[np.bool_] = (views == view) | (views == "") if view else np.ones(len(views), dtype=bool)
    return allowed


def neighbour_lists(
    vectors: NDArray[np.float32], patients: NDArray[np.int64], views: NDArray[np.str_], k: int
) -> NDArray[np.int64]:
    """Every film's k nearest among other patients' films of a comparable view.

    Parameters
    ----------
    vectors : (N, dim) unit norm
    patients : (N,)
    views : (N,) "frontal", "lateral" or ""

    Returns
    -------
    (N, k) rows, nearest first; -1 where there are fewer
    """
    out = np.full((len(vectors), k), -1, dtype=np.int64)
    for view in np.unique(views):
        queries, gallery = np.flatnonzero(views == view), np.flatnonzero(comparable(views, str(view)))
        own = int(np.unique(patients[gallery], return_counts=True)[1].max())
        wanted = min(k + own, len(gallery))
        _, places = build_index(vectors[gallery]).search(np.ascontiguousarray(vectors[queries]), wanted)
        rows = gallery[places]  # (q, wanted)
        same = patients[rows] == patients[queries][:, None]
        order = np.argsort(same, axis=1, kind="stable")[:, :k]  # other patients' first, each still nearest first
        kept = np.where(np.take_along_axis(same, order, 1), -1, np.take_along_axis(rows, order, 1))
        out[queries, : kept.shape[1]] = kept
    return out


def decision_vectors(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits as unit-norm vectors, standardised by label first: else one label's scale would be the distance.

    Parameters
    ----------
    logits : (n, C)
    reference : (N, C)
        The run's logits, whose means and deviations standardise.

    Returns
    -------
    (n, C) float32, unit norm
    """
    spread = reference.std(axis=0)
    scaled = (logits - reference.mean(axis=0)) / np.where(spread > 0, spread, 1)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    # a film at the very mean of every logit has no direction; give it the first axis rather than a NaN
    scaled[norms[:, 0] == 0, 0] = 1.0
    unit: NDArray[np.float32] = (scaled / np.where(norms > 0, norms, 1)).astype(np.float32)
    return unit


def decision_row(
    direction: NDArray[np.float32],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    reference: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The head row that scores an embedding by how far its standardised logits go in a direction.

    Divided by their norm, that is the cosine of its :func:`decision_vectors` with the direction.

    Parameters
    ----------
    direction : (C,) unit norm
    weight, bias : (C, D), (C,)
        The regime's head.
    reference : (N, C)
        The run's logits.

    Returns
    -------
    weight, bias : (1, D), (1,) float32
    """
    spread = reference.std(axis=0)
    scaled = direction / np.where(spread > 0, spread, 1)
    row, shift = scaled @ weight, scaled @ (bias - reference.mean(axis=0))
    return row[None].astype(np.float32), np.array([shift], dtype=np.float32)
