"""Neighbour lists (n, k) themselves: how far two spaces agree on them, and which films fill them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.metrics import interval, patient_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PERSISTENCE = 0.9
"""RBO's p: the first ten places carry 86% of the weight (Webber et al., TOIS 2010, section 4.3)."""
HUB = 2.0
"""Standard deviations above the mean k-occurrence that make a hub (Radovanović et al., JMLR 2010, section 4)."""


def jaccard(a: NDArray[np.int64], b: NDArray[np.int64]) -> Array:
    """(n,) shared rows over all rows of two sets of lists (n, k); -1 is no row."""
    shared = ((a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)).any(axis=2).sum(axis=1)
    either = (a >= 0).sum(axis=1) + (b >= 0).sum(axis=1) - shared
    value: Array = shared / np.maximum(either, 1)
    return value


def rank_biased_overlap(a: NDArray[np.int64], b: NDArray[np.int64], p: float = PERSISTENCE) -> Array:
    """(n,) rank-biased overlap of lists (n, k), extrapolated from their k places.

    RBO_ext of Webber et al. (TOIS 2010, eq. 32) for lists of one length: 1 for equal lists, 0 for disjoint ones.
    """
    k = a.shape[1]
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)  # (n, k, k)
    agreement = np.stack([same[:, : d + 1, : d + 1].sum(axis=(1, 2)) / (d + 1) for d in range(k)], axis=1)
    weights = (1 - p) * p ** np.arange(k)
    value: Array = agreement @ weights + agreement[:, -1] * p**k
    return value


def neighbour_agreement(
    a: NDArray[np.int64], b: NDArray[np.int64], patients: NDArray[np.int64], gallery: int, *, resamples: int, seed: int
) -> pd.DataFrame:
    """How far two spaces agree on the neighbours of the same films: mean Jaccard index and RBO.

    Parameters
    ----------
    a, b : (n, k) rows
    patients : (n,)
    gallery : int
        Films a list is drawn from; decides what lists drawn at random would share.
    """
    from scipy import stats  # takes a page's first second, and only precompute measures

    k = a.shape[1]
    shared = np.arange(k + 1)
    chance = stats.hypergeom.pmf(shared, max(gallery, k), k, k)
    # at every depth d, random lists share d * d / gallery rows, which is an agreement of d / gallery
    depth = np.minimum(np.arange(1, k + 1) / max(gallery, k), 1)
    weights = (1 - PERSISTENCE) * PERSISTENCE ** np.arange(k)
    baselines = {
        "jaccard": float((chance * shared / (2 * k - shared)).sum()),
        "rbo": float(depth @ weights + depth[-1] * PERSISTENCE**k),
    }
    draws = patient_weights(patients, resamples, seed)
    out = []
    for metric, values in (("jaccard", jaccard(a, b)), ("rbo", rank_biased_overlap(a, b))):
        ends = _ends(float(values.mean()), (draws @ values) / draws.sum(axis=1), patients)
        out.append((metric, float(values.mean()), *ends, baselines[metric], len(values), len(values)))
    return pd.DataFrame(out, columns=["metric", "value", "ci_low", "ci_high", "baseline", "n_pos", "n"])


def occurrences(lists: NDArray[np.int64]) -> NDArray[np.int32]:
    """(N,) in how many films' lists (N, k) each film stands: its k-occurrence."""
    return np.bincount(lists[lists >= 0], minlength=len(lists)).astype(np.int32)


def hubs(counts: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) films whose k-occurrence lies HUB standard deviations above the mean."""
    many: NDArray[np.bool_] = counts > counts.mean() + HUB * counts.std()
    return many


def hubness(
    counts: NDArray[np.int32], patients: NDArray[np.int64], k: int, *, resamples: int, seed: int
) -> pd.DataFrame:
    """Skewness of the k-occurrence with its interval and that of random lists.

    Radovanović, Nanopoulos & Ivanović (JMLR 2010, eq. 1). In random lists k-occurrence is binomial.
    """
    from scipy import stats

    n = len(counts)
    draws = patient_weights(patients, resamples, seed)
    total = draws.sum(axis=1)
    mean = draws @ counts / total
    second, third = (draws @ counts.astype(float) ** power / total for power in (2, 3))
    spread = np.sqrt(np.maximum(second - mean**2, 1e-12))
    skews = (third - 3 * mean * spread**2 - mean**3) / spread**3
    p = min(k / max(n - 1, 1), 1.0)
    random = (1 - 2 * p) / np.sqrt(max((n - 1) * p * (1 - p), 1e-12))
    value = float(stats.skew(counts)) if counts.std() > 0 else 0.0
    return pd.DataFrame(
        [("hubness_skew", value, *_ends(value, skews, patients), float(random), int(hubs(counts).sum()), n)],
        columns=["metric", "value", "ci_low", "ci_high", "baseline", "n_pos", "n"],
    )


def _ends(value: float, resampled: Array, patients: NDArray[np.int64]) -> tuple[float, float]:
    """The interval of one figure."""
    units = np.array([len(np.unique(patients))])
    low, high = interval(np.array([[value]]), resampled[None, :, None], units)
    return float(low[0, 0]), float(high[0, 0])
