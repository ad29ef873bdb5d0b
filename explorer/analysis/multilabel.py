"""Image-wise multi-label metrics, the paper's embedding distances, and the trivial baselines of each.

The paper is Sadman et al., "Interpreting Biomedical VLMs on High-Imbalance Out-of-Distributions" (BIOKDD 2025,
arXiv 2506.14136). Its figures are means over films, so one vector of values a film serves every bootstrap resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.chunks import chunks
from explorer.analysis.pooled import any_of
from explorer.data.labels import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HIGHER_IS_BETTER = {"macro_f1": True, "exact_match": True, "lrap": True, "coverage_error": False}
"""The columns of the paper's table, and which way is better."""
MULTILABEL: tuple[str, ...] = tuple(HIGHER_IS_BETTER)

CENTROID: tuple[str, ...] = ("inter", "intra", "ratio", "davies_bouldin")
"""The paper's embedding figures, in the order of :func:`resampled_distances`."""


@dataclass(frozen=True)
class Outcome:
    """One prediction's figures, for each resample.

    Attributes
    ----------
    macro_f1, exact_match, lrap, coverage_error : (B,)
        NaN where the prediction has no calls or no ranking.
    """

    macro_f1: NDArray[np.float64]
    exact_match: NDArray[np.float64]
    lrap: NDArray[np.float64]
    coverage_error: NDArray[np.float64]


def complete(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) films whose every label is known: image-wise metrics have no meaning on the others."""
    return np.asarray(~np.isnan(targets).any(axis=1))


def min_max(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each film's scores to 0..1 over its labels, as the paper's zero-shot table does; 0 where all are equal.

    Every film then has a label at 1, so at threshold 0.5 at least one label is always called.
    """
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    return np.where(high > low, (scores - low) / np.where(high > low, high - low, 1), 0).astype(np.float32)


def f1(targets: NDArray[np.float32], calls: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of each label in each resample, over its known films.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    calls : (n, C)
    weights : (B, n)

    Returns
    -------
    (B, C)
        0 where there is neither a positive nor a call, as scikit-learn with ``zero_division=0`` and the paper have it.
    """
    known = ~np.isnan(targets)
    positive = targets == 1
    hit = weights @ (positive & calls)
    either = weights @ (positive.astype(np.float64) + (calls & known))
    return np.where(either > 0, 2 * hit / np.where(either > 0, either, 1), 0.0)


def exact_match(targets: NDArray[np.float32], calls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) 1 where every label of a complete film is called right."""
    right: NDArray[np.float64] = ((targets == 1) == calls).all(axis=1).astype(np.float64)
    return right


def lrap(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Label ranking average precision of each complete film (Schapire & Singer, Machine Learning 2000).

    The mean over a film's true labels of the share of true ones among the labels ranked as high or higher; 1 for a film
    with no true label.

    Examples
    --------
    >>> import numpy as np
    >>> lrap(np.array([[1, 0, 0], [0, 0, 1]]), np.array([[0.75, 0.5, 1], [1, 0.2, 0.1]])).round(3).tolist()
    [0.5, 0.333]
    """
    positive = targets == 1
    above = scores[:, :, None] <= scores[:, None, :]  # (n, j, k): label k ranks as high as j or higher
    share = (above & positive[:, None, :]).sum(axis=2) / above.sum(axis=2)
    count = positive.sum(axis=1)
    return np.where(count > 0, (share * positive).sum(axis=1) / np.maximum(count, 1), 1.0)


def coverage_error(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far down each complete film's ranking one must go to meet all its true labels; 0 where it has none."""
    positive = targets == 1
    above = (scores[:, :, None] <= scores[:, None, :]).sum(axis=2)
    depth: NDArray[np.float64] = (above * positive).max(axis=1).astype(np.float64)
    return depth


def outcome(
    targets: NDArray[np.float32],
    calls: NDArray[np.bool_] | None,
    scores: NDArray[np.floating] | None,
    weights: NDArray[np.float64],
) -> Outcome:
    """All figures of one prediction.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    calls : (n, C), optional
        Which labels are called positive.
    scores : (n, C), optional
        What ranks a film's labels against each other.
    weights : (B, n)
        How often each film counts in each resample; ones for the point estimate.
    """
    whole = complete(targets)
    none = np.full(len(weights), np.nan)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        w = weights[:, whole]
        total = w.sum(axis=1)
        return np.where(total > 0, w @ values / np.where(total > 0, total, 1), np.nan)

    return Outcome(
        macro_f1=none if calls is None else f1(targets, calls, weights).mean(axis=1),
        exact_match=none if calls is None else mean(exact_match(targets[whole], calls[whole])),
        lrap=none if scores is None else mean(lrap(targets[whole], scores[whole])),
        coverage_error=none if scores is None else mean(coverage_error(targets[whole], scores[whole])),
    )


def trivial_baselines(
    labels: Sequence[str], train: NDArray[np.float32], targets: NDArray[np.float32]
) -> dict[str, dict[str, float]]:
    """What predictions that never look at a film reach on ``targets``: exact expectations, nothing drawn.

    Parameters
    ----------
    labels : C names
    train : (m, C) 1, 0 or NaN
        Where prevalences are taken from.
    targets : (n, C) 1, 0 or NaN

    Returns
    -------
    dict
        Name to its MULTILABEL figures, those it has.

    Notes
    -----
    Random ranking: a true label's place r is uniform in 1..C, and (r - 1)(k - 1)/(C - 1) of the k - 1 others lie above
    it, so LRAP is the mean over r of (1 + (r - 1)(k - 1)/(C - 1))/r; the deepest of k lies at k(C + 1)/(k + 1).
    Prevalence-matched random calls label c with probability p_c; its F1 is the ratio of expectations, 2pq/(p + q).
    """
    whole = complete(targets)
    rows = targets[whole] == 1  # (n, C)
    n_labels = targets.shape[1]
    ones = np.ones((1, len(targets)))
    rate, prevalence = _prevalence(train), _prevalence(targets)
    places = np.arange(1, n_labels + 1)
    expected = np.array(
        [np.mean((1 + (places - 1) * (k - 1) / max(n_labels - 1, 1)) / places) for k in range(1, n_labels + 1)]
    )
    k = rows.sum(axis=1)
    random_lrap = np.where(k > 0, expected[np.maximum(k, 1) - 1], 1.0)
    both = prevalence + rate
    matched_f1 = np.where(both > 0, 2 * prevalence * rate / np.where(both > 0, both, 1), 0.0)
    baselines: dict[str, dict[str, float]] = {
        "random ranking": {
            "lrap": _mean(random_lrap),
            "coverage_error": _mean(k * (n_labels + 1) / (k + 1)),
        },
        "prevalence ranking": _point(outcome(targets, None, np.tile(rate, (len(targets), 1)), ones)),
        "all positive": _point(outcome(targets, np.ones(targets.shape, dtype=bool), None, ones)),
        "prevalence-matched random": {
            "macro_f1": float(matched_f1.mean()),
            "exact_match": _mean(np.where(rows, rate, 1 - rate).prod(axis=1)),
        },
    }
    if "No Finding" in labels:
        calls = np.zeros(targets.shape, dtype=bool)
        calls[:, list(labels).index("No Finding")] = True
        baselines["always No Finding"] = _point(outcome(targets, calls, None, ones))
    return baselines


def by_domain(
    labels: Sequence[str], targets: NDArray[np.float32], calls: NDArray[np.bool_]
) -> tuple[list[str], NDArray[np.float32], NDArray[np.bool_]]:
    """The paper's four domains as labels: a film has a domain, or is called for it, if it is for any of its labels.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    calls : (n, C)

    Returns
    -------
    names : K domains with a label here
    targets : (n, K)
        NaN where no label is positive and some are unknown.
    calls : (n, K)
    """
    places = {name: [labels.index(one) for one in members if one in labels] for name, members in DOMAINS.items()}
    places = {name: columns for name, columns in places.items() if columns}
    grouped = [any_of(targets[:, columns]) for columns in places.values()]
    called = [calls[:, columns].any(axis=1) for columns in places.values()]
    n = len(targets)
    return (
        list(places),
        np.stack(grouped, axis=1) if grouped else np.zeros((n, 0), np.float32),
        np.stack(called, axis=1) if called else np.zeros((n, 0), bool),
    )


def first_positive(targets: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n,) each film's first positive label in label order, -1 where it has none: the paper's single class."""
    positive = targets == 1
    return np.where(positive.any(axis=1), positive.argmax(axis=1), -1)


def centroid_distances(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, float]:
    """The paper's embedding figures, Euclidean.

    Parameters
    ----------
    vectors : (n, D)
    classes : (n,)
        Films of class -1 are left out.

    Returns
    -------
    dict
        ``inter``: mean distance between two classes' centroids; ``intra``: mean over classes of the mean distance of a
        film to its centroid; ``ratio`` inter / intra; ``davies_bouldin`` (1979): mean over classes of the worst ratio,
        over other classes, of both films' mean distances to their centroids to the distance between these. NaN with
        fewer than two classes.
    """
    figures = resampled_distances(np.asarray(vectors, np.float64), classes[None], np.ones((1, len(classes))))
    return {name: float(values[0]) for name, values in figures.items()}


def resampled_distances(
    vectors: NDArray[np.floating], classes: NDArray[np.int64], weights: NDArray[np.floating]
) -> dict[str, NDArray[np.float64]]:
    """:func:`centroid_distances` many times over, (B,) each.

    Parameters
    ----------
    vectors : (n, D)
    classes : (B, n) or (1, n)
        Each time's classes, or the same every time.
    weights : (B, n) or (1, n)
        How often each film counts. A class that loses all its films is left out of the means.
    """
    present = np.unique(classes[classes >= 0])
    times = max(len(classes), len(weights))
    if len(present) < 2:
        return {name: np.full(times, np.nan) for name in CENTROID}
    x = vectors - vectors.mean(axis=0)
    squares, other = (x**2).sum(axis=1), ~np.eye(len(present), dtype=bool)
    parts = []
    for rows in chunks(np.arange(times), len(x) * len(present)):
        c = classes[rows] if len(classes) > 1 else classes
        w = (weights[rows] if len(weights) > 1 else weights).astype(x.dtype)
        size, centroids, spread = (_fixed if len(classes) == 1 else _moving)(x, squares, c, w, present)
        kept = size > 0
        lengths = (centroids**2).sum(axis=2)[:, :, None]
        gaps = lengths + lengths.transpose(0, 2, 1) - 2 * centroids @ centroids.transpose(0, 2, 1)
        pairs = kept[:, :, None] & kept[:, None] & other
        apart = np.where(pairs, np.sqrt(np.maximum(gaps, 0)), 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            inter = apart.sum(axis=(1, 2)) / pairs.sum(axis=(1, 2))
            intra = (spread * kept).sum(axis=1) / kept.sum(axis=1)
            worst = np.where(pairs, (spread[:, :, None] + spread[:, None]) / apart, 0).max(axis=2)
            parts.append(np.stack([inter, intra, inter / intra, worst.sum(axis=1) / kept.sum(axis=1)]))
    figures = np.concatenate(parts, axis=1).astype(np.float64)
    return dict(zip(CENTROID, np.where(np.isfinite(figures), figures, np.nan), strict=True))


def _fixed(
    x: NDArray[np.floating],
    squares: NDArray[np.floating],
    classes: NDArray[np.int64],
    weights: NDArray[np.floating],
    present: NDArray[np.int64],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Films (b, K), centroid (b, K, D) and mean distance to it (b, K) of classes that stay, weights moving."""
    sizes, centroids, spreads = [], [], []
    for k in present:
        own = np.flatnonzero(classes[0] == k)
        w, films = weights[:, own], x[own]
        size = w.sum(axis=1)
        count = np.maximum(size, 1)
        centroid = w @ films / count[:, None]
        apart = squares[own] + (centroid**2).sum(axis=1)[:, None] - 2 * centroid @ films.T  # (b, films)
        sizes.append(size)
        centroids.append(centroid)
        spreads.append((w * np.sqrt(np.maximum(apart, 0))).sum(axis=1) / count)
    return np.stack(sizes, axis=1), np.stack(centroids, axis=1), np.stack(spreads, axis=1)


def _moving(
    x: NDArray[np.floating],
    squares: NDArray[np.floating],
    classes: NDArray[np.int64],
    weights: NDArray[np.floating],
    present: NDArray[np.int64],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """The same where the classes move."""
    of = (classes[:, None] == present[:, None]) * weights[:, None]  # (b, K, n)
    size = of.sum(axis=2)
    count = np.maximum(size, 1)
    centroids = of @ x / count[:, :, None]
    apart = squares + (centroids**2).sum(axis=2)[:, :, None] - 2 * centroids @ x.T
    return size, centroids, (of * np.sqrt(np.maximum(apart, 0))).sum(axis=2) / count


def _prevalence(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,) share of positives among known films; 0 where nothing is known."""
    known = (~np.isnan(targets)).sum(axis=0)
    return np.where(known > 0, (targets == 1).sum(axis=0) / np.maximum(known, 1), 0.0)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _point(result: Outcome) -> dict[str, float]:
    figures = {name: float(getattr(result, name)[0]) for name in MULTILABEL}
    return {name: value for name, value in figures.items() if not np.isnan(value)}
