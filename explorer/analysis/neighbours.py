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
    index: faiss.Index, query: NDArray[np.float32], k: int, exclude: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows most similar to one query, leaving some out.

    Parameters
    ----------
    index : faiss.Index
        Inner product over unit-norm vectors.
    query : (dim,) unit norm
    k : int
    exclude : (m,) rows never returned, for example the query's own patient

    Returns
    -------
    rows, similarities : (<= k,) each, most similar first
    """
    exclude = np.zeros(0, np.int64) if exclude is None else exclude
    wanted = min(k + len(exclude), index.ntotal)
    similarities, rows = index.search(np.ascontiguousarray(query[None]), wanted)
    keep = ~np.isin(rows[0], exclude)
    return rows[0][keep][:k], similarities[0][keep][:k]


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
