"""Whether what lies near shares labels: retrieval figures, and a kNN classifier.

A query is a film of a split that has a label. Its gallery is the split's films of other patients, of a comparable view
and with that label known. So no list crosses splits, and a film an encoder was trained on is never found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.metrics import MACRO, MACRO_ALL, evaluate, interval, mean_defined, patient_weights
from explorer.analysis.neighbours import build_index, comparable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

K = 10
"""Length of the lists looked at."""
MAX_QUERIES = 2000
"""More films than this in a split are sampled: a mean over 2,000 queries is as exact as its interval needs."""
KNN_CHOICES = (5, 10, 20, 50, 100)
TEMPERATURE = 0.07
"""Of the vote's weights exp(similarity / T) (Wu et al., CVPR 2018, eq. 4)."""

RETRIEVAL_METRICS = ("precision@10", "map", "ndcg@10")
RETRIEVAL_COLUMNS = (
    "space",
    "other",
    "label",
    "split",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "baseline",
    "n_pos",
    "n",
    "k",
)


# --- retrieval -------------------------------------------------------------------------------------------------------


def expected_ap(relevant: Array, n: Array) -> Array:
    """Average precision that a random order of n films with R relevant ones reaches, in expectation.

    With H the harmonic number of n: (H + (n - H)(R - 1) / (n - 1)) / n.

    Examples
    --------
    >>> import numpy as np
    >>> expected_ap(np.array([1.0]), np.array([2.0])).tolist()  # first or second: (1 + 1/2) / 2
    [0.75]
    """
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, int(n.max(initial=1)) + 1)))[n.astype(np.int64)]
    value: Array = (harmonic + (n - harmonic) * (relevant - 1) / np.maximum(n - 1, 1)) / n
    return value


def query_figures(relevance: NDArray[np.float32], k: int = K) -> tuple[Array, Array]:
    """Precision at k, average precision and NDCG at k of ranked lists, and what a random order would reach.

    Parameters
    ----------
    relevance : (q, n) 1, 0 or NaN
        Best first; NaN is no part of the list.

    Returns
    -------
    values, baselines : (q, 3) each
        NaN for a list without anything relevant.
    """
    known = ~np.isnan(relevance)
    hit = relevance == 1
    place = np.cumsum(known, axis=1)  # 1 for the first known film
    hits_so_far = np.cumsum(hit, axis=1)
    relevant, n = hits_so_far[:, -1].astype(float), place[:, -1].astype(float)
    first = known & (place <= k)
    discount = 1 / np.log2(np.maximum(place, 1) + 1)
    ideal = np.append(0.0, np.cumsum(1 / np.log2(np.arange(1, k + 1) + 1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.minimum(n, k)
        precision = (hit & first).sum(axis=1) / length
        average = (hit * hits_so_far / np.maximum(place, 1)).sum(axis=1) / relevant
        best = ideal[np.minimum(relevant, k).astype(np.int64)]
        ndcg = (discount * (hit & first)).sum(axis=1) / best
        share = relevant / n
        baseline = np.stack(
            [share, expected_ap(relevant, n), share * ideal[length.astype(np.int64)] / best],
            axis=1,
        )
    values = np.stack([precision, average, ndcg], axis=1)
    empty = relevant == 0
    values[empty] = np.nan
    baseline[empty] = np.nan
    return values, baseline


def retrieval_figures(
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    views: NDArray[np.str_],
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """RETRIEVAL_METRICS of every label and their mean over labels, for one split's films in one space.

    Parameters
    ----------
    vectors : (n, dim) unit norm
    labels : C names
    targets : (n, C) 1, 0 or NaN
    patients : (n,)
    views : (n,) "frontal", "lateral" or ""

    Returns
    -------
    DataFrame
        label, metric, value (mean over queries), ci_low, ci_high, baseline, n_pos (queries with a relevant film), n
        (films). The 95% interval resamples the queries' patients and keeps the gallery. The baseline is a random order,
        in expectation.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(vectors))[:MAX_QUERIES])
    values = np.full((len(labels), len(chosen), len(RETRIEVAL_METRICS)), np.nan)  # (C, q, 3)
    baselines = np.full_like(values, np.nan)
    for start in range(0, len(chosen), 256):
        part = chosen[start : start + 256]
        similarity = vectors[part] @ vectors.T
        barred = patients[part][:, None] == patients[None]
        for view in np.unique(views[part]):
            barred[views[part] == view] |= ~comparable(views, str(view))
        similarity[barred] = -np.inf
        order = np.argsort(-similarity, axis=1, kind="stable")
        out = np.take_along_axis(barred, order, axis=1)
        for c in range(len(labels)):
            asked = np.flatnonzero(targets[part, c] == 1)
            if not len(asked):
                continue
            relevance = np.where(out[asked], np.nan, targets[order[asked], c]).astype(np.float32)
            values[c, start + asked], baselines[c, start + asked] = query_figures(relevance)
    weights = patient_weights(patients[chosen], resamples, seed)
    return _means(labels, values, baselines, patients[chosen], weights, len(vectors))


def _means(
    labels: Sequence[str],
    values: Array,
    baselines: Array,
    patients: NDArray[np.int64],
    weights: Array,
    n: int,
) -> pd.DataFrame:
    """Means over queries, and over labels, with intervals from the weighted means."""
    known = ~np.isnan(values)  # (C, q, 3)
    resampled, counts, units = [], [], []
    for c in range(len(labels)):
        with np.errstate(invalid="ignore"):
            resampled.append((weights @ np.where(known[c], values[c], 0.0)) / (weights @ known[c]))  # (B, 3)
        counts.append(int(known[c, :, 0].sum()))
        units.append(len(np.unique(patients[known[c, :, 0]])))
    each, base = (mean_defined(np.moveaxis(array, 1, 0)) for array in (values, baselines))  # (C, 3)
    figures, chance = np.vstack([each, mean_defined(each)]), np.vstack([base, mean_defined(base)])
    draws = np.concatenate([np.stack(resampled), mean_defined(np.stack(resampled))[None]])  # (C + 1, B, 3)
    low, high = interval(figures, draws, np.array([*units, len(np.unique(patients))]))
    names = np.repeat([*labels, MACRO], len(RETRIEVAL_METRICS))
    return pd.DataFrame(
        {
            "label": names,
            "metric": np.tile(RETRIEVAL_METRICS, len(labels) + 1),
            "value": figures.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
            "baseline": chance.ravel(),
            "n_pos": np.repeat([*counts, sum(counts)], len(RETRIEVAL_METRICS)),
            "n": n,
        }
    )


# --- a classifier without training -----------------------------------------------------------------------------------


def knn_scores(
    train: NDArray[np.float32],
    train_targets: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
) -> NDArray[np.float32]:
    """Share of the k nearest training films that have each label, weighted by exp(similarity / T).

    Parameters
    ----------
    train : (m, dim) unit norm
    train_targets : (m, C) 1, 0 or NaN; unknown ones do not vote
    queries : (n, dim) unit norm

    Returns
    -------
    (n, C) float32 in 0..1; where none of the k is known, the label's share in training, or 0
    """
    similarities, rows = build_index(train).search(np.ascontiguousarray(queries), min(k, len(train)))
    weight = np.exp((similarities - similarities[:, :1]) / TEMPERATURE)[..., None]  # (n, k, 1)
    votes = train_targets[rows]  # (n, k, C)
    known = ~np.isnan(votes)
    total = (weight * known).sum(axis=1)
    n_known = (~np.isnan(train_targets)).sum(axis=0)
    prior = np.nansum(train_targets, axis=0) / np.maximum(n_known, 1)
    share = (weight * np.where(known, votes, 0)).sum(axis=1) / np.where(total > 0, total, 1)
    scores: NDArray[np.float32] = np.where(total > 0, share, prior).astype(np.float32)
    return scores


def knn_classifier(
    labels: Sequence[str],
    vectors: NDArray[np.float32],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    splits: dict[str, NDArray[np.int64]],
    *,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, int]:
    """Average precision and AUROC of the kNN vote on val and test; k is the one best on validation by mean AP.

    Parameters
    ----------
    vectors : (N, dim) unit norm
    targets : (N, C)
    patients : (N,)
    splits : train, val and test rows

    Returns
    -------
    frame, k
        As :func:`explorer.analysis.metrics.evaluate`, with split and n, the metrics named ``knn_average_precision`` and
        ``knn_auroc``.
    """
    train, val = splits["train"], splits["val"]
    none = np.full(len(labels), np.nan, np.float32)

    def scores(rows: NDArray[np.int64], k: int) -> NDArray[np.float32]:
        return knn_scores(vectors[train], targets[train], vectors[rows], k)

    def on_val(k: int) -> float:
        frame = evaluate(labels, targets[val], scores(val, k), none, patients[val])
        mean = frame.loc[(frame["label"] == MACRO_ALL) & (frame["metric"] == "average_precision"), "value"].item()
        return -1.0 if np.isnan(mean) else float(mean)

    k = max((choice for choice in KNN_CHOICES if choice <= len(train)), key=on_val, default=len(train))
    parts = []
    for split in ("val", "test"):
        rows = splits[split]
        part = evaluate(labels, targets[rows], scores(rows, k), none, patients[rows])
        part = part[part["metric"].isin(["average_precision", "auroc"]) & part["label"].isin([*labels, MACRO_ALL])]
        part = part.replace({"label": {MACRO_ALL: MACRO}})  # as the other means of this table, over all labels
        parts.append(part.assign(split=split, metric="knn_" + part["metric"], n=len(rows)))
    return pd.concat(parts, ignore_index=True), k
