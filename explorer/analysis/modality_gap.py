"""Things that are no films on a map of films: prompts and label centroids; and the gap between text and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def place(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], layout: NDArray[np.float32], k: int
) -> NDArray[np.float32]:
    """Where vectors of a space stand on its map: at the median of their k most similar films there.

    A text lies far from every film (the modality gap). Its place says which films it is most like, not that it is near
    them.

    Parameters
    ----------
    queries : (m, dim) unit norm
    vectors : (N, dim) unit norm
    layout : (N, 2)
    k : films to stand among

    Returns
    -------
    (m, 2) float32
    """
    k = min(k, len(vectors))
    similar = queries @ vectors.T
    nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    return np.asarray(np.median(layout[nearest], axis=1), dtype=np.float32)


def centroids(vectors: NDArray[np.float32], targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, dim) mean direction of each label's positive films, unit norm; NaN where a label has none."""
    out = np.full((targets.shape[1], vectors.shape[1]), np.nan, dtype=np.float32)
    for c in range(targets.shape[1]):
        positive = targets[:, c] == 1
        if positive.any():
            mean = vectors[positive].mean(axis=0)
            out[c] = mean / (np.linalg.norm(mean) or 1.0)
    return out


def modality_gap(
    images: NDArray[np.float32], texts: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance between the mean film and the mean text (Liang et al., NeurIPS 2022, section 2), with its resamples.

    Parameters
    ----------
    images : (n, D) unit norm
    texts : (m, D) unit norm
    weights : (1 + B, n)
        Every film once, then resamples of patients.

    Returns
    -------
    (1 + B,) between 0 and 2
    """
    share = weights / weights.sum(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(share @ images - texts.mean(axis=0), axis=1), dtype=np.float64)


def halves_gap(images: NDArray[np.float32], patients: NDArray[np.int64], seed: int, draws: int = 20) -> float:
    """The same distance between two random halves of the patients' films: what it would be without a gap."""
    rng = np.random.default_rng(seed)
    codes = np.unique(patients)
    gaps = []
    for _ in range(draws):
        one = np.isin(patients, rng.permutation(codes)[: len(codes) // 2])
        gaps.append(np.linalg.norm(images[one].mean(axis=0) - images[~one].mean(axis=0)))
    return float(np.mean(gaps))
