"""How far each label separates from the rest in a space: in the full space, never on a map.

Every figure comes from the films of one split alone: neighbours, folds and distances are all within it. On the test
split these are films that no regime was fitted on. The probe and the fine-tune were fitted on train, so train films
would look separated whether or not new films are. Val chose penalties and the stopping epoch, and is a little
optimistic.

Each figure has a permutation null, a one-sided p against it, and a 95% interval from resampling patients. The null
shuffles labels by patient, so that labels keep their counts and co-occurrence. Neighbour lists and the readout's
held-out scores stay fixed in a resample: the interval is of the films measured, not of refitting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.centroid import CENTROID, centroid_distances, first_positive, resampled_distances
from explorer.analysis.chunks import chunks
from explorer.analysis.contrast import ComparedFilms, contrast
from explorer.analysis.jackknife import edge
from explorer.analysis.likeness import cka, shared_neighbours
from explorer.analysis.metrics import interval, patient_weights
from explorer.analysis.neighbour_purity import confusions, lift, neighbours_of_others
from explorer.analysis.patients import same_patient, shuffles
from explorer.analysis.ranking import rank, score
from explorer.analysis.readout import average_precisions, held_out_scores, make_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

MEASURES: tuple[str, ...] = ("lift", "average_precision", "silhouette", "fisher", "distance")
"""Of one label against its rest; larger is further apart."""
AP = ("average_precision",)
CLASSES = "first positive class"
"""The pseudo-label of the paper's figures over all classes at once."""
LOWER_IS_APART: frozenset[str] = frozenset({"intra", "davies_bouldin"})
NEIGHBOURS = 10
"""Nearest films of other patients that purity and overlap look at."""

SEPARABILITY_COLUMNS: tuple[str, ...] = (
    "space",
    "split",
    "label",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "baseline",
    "null_low",
    "null_high",
    "p",
    "p_adjusted",
    "n_pos",
    "n_neg",
    "n_unknown",
)
"""``baseline``, ``null_low`` and ``null_high``: mean and 95% range under shuffled labels; ``p_adjusted``: Benjamini &
Hochberg (1995) over the labels of a measure."""
CONFUSION_COLUMNS: tuple[str, ...] = (
    "space",
    "split",
    "label",
    "other",
    "value",
    "ci_low",
    "ci_high",
    "baseline",
    "p",
    "p_adjusted",
    "n_label",
    "n_other",
)
"""``n_label`` films have label and not other, ``n_other`` other and not label."""
LIKENESS_COLUMNS: tuple[str, ...] = (
    "space",
    "split",
    "other",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "baseline",
    "n",
)


@dataclass(frozen=True)
class Labelled:
    """Films of a split with what all spaces share: labels, shuffles and resamples, the same for each.

    Attributes
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN
    patients : (n,)
    same : (n, n) sparse
    orders : (S, n) shuffles of label rows
    weights : (B, n) how often each film counts in each resample
    """

    labels: tuple[str, ...]
    targets: NDArray[np.float32]
    patients: NDArray[np.int64]
    same: sparse.csr_array
    orders: NDArray[np.int64]
    weights: NDArray[np.float32]
    seed: int

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        targets: NDArray[np.float32],
        patients: NDArray[np.int64],
        *,
        permutations: int,
        resamples: int,
        seed: int,
    ) -> Labelled:
        """Draw the shuffles and resamples."""
        weights = patient_weights(patients, resamples, seed).astype(np.float32)
        orders = shuffles(patients, permutations, seed)
        return cls(tuple(labels), targets, patients, same_patient(patients), orders, weights, seed)


@dataclass(frozen=True)
class Space:
    """One space of those films.

    Attributes
    ----------
    vectors : (n, D) unit norm
    near : (n, n) sparse, each film's nearest among other patients'
    """

    vectors: NDArray[np.float32]
    near: sparse.csr_array

    @classmethod
    def of(cls, vectors: NDArray[np.float32], films: Labelled) -> Space:
        """Look up the neighbours."""
        vectors = np.ascontiguousarray(vectors)
        return cls(vectors, neighbours_of_others(vectors, films.patients, NEIGHBOURS))


def measure_separability(space: Space, films: Labelled) -> pd.DataFrame:
    """Every measure of every label, then the paper's figures over all classes.

    Returns
    -------
    DataFrame
        SEPARABILITY_COLUMNS without space and split. A label without positives of two patients, or without known
        negatives of two, has its counts and no figure.
    """
    positive, negative = (films.targets == 1).astype(np.float32), (films.targets == 0).astype(np.float32)
    counts = np.stack([positive.sum(0), negative.sum(0), np.isnan(films.targets).sum(0)]).astype(int)  # (3, C)
    units = np.minimum(_patients(positive, films), _patients(negative, films))  # (C,) what an interval rests on
    measured = units > 1
    folds = make_folds(space.vectors, films.patients, films.seed)
    scores = held_out_scores(space.vectors, folds, positive, negative)
    at32, at64 = (ComparedFilms.of(space.vectors.astype(kind), films.same) for kind in (np.float32, np.float64))

    def shuffled(orders: NDArray[np.int64]) -> NDArray[np.float64]:
        """(s, 5, C)"""
        up, down = (group[orders].transpose(1, 0, 2).reshape(len(group), -1) for group in (positive, negative))
        figures = (
            lift(space.near, films.same, up, up + down),
            average_precisions(held_out_scores(space.vectors, folds, up, down), up, up + down),
            *contrast(at32, up, down),
        )
        return np.stack([part.reshape(len(orders), -1) for part in figures], axis=1)

    def resampled(c: int) -> NDArray[np.float64]:
        """(B, 5)"""
        known = np.flatnonzero(positive[:, c] + negative[:, c])
        rows, up = np.flatnonzero(positive[known, c]), positive[known, c, None]
        near, part = space.near[known][:, known], at32.take(known)
        ranking, figures = rank(films.targets[known, c], scores[known, c]), []
        for weights in chunks(films.weights[:, known], len(known)):
            w = np.ascontiguousarray(weights.T)  # (m, b)
            apart = contrast(part, w * up, w * (1 - up), rows)
            figures.append(np.stack([lift(near, part.same, w * up, w, rows), score(ranking, w, AP)[:, 0], *apart]))
        return np.concatenate(figures, axis=1).T

    once = np.ones((len(positive), 1), np.float32)
    value = np.stack(
        [
            lift(space.near, films.same, positive, positive + negative),
            np.array([score(rank(films.targets[:, c], scores[:, c]), once, AP)[0, 0] for c in _range(films)]),
            *contrast(at64, positive.astype(np.float64), negative.astype(np.float64)),
        ]
    )  # (5, C)
    value[:, ~measured] = np.nan
    null = np.concatenate([shuffled(orders) for orders in chunks(films.orders, positive.size)])  # (S, 5, C)
    draws = np.stack([resampled(c) if measured[c] else np.full((len(films.weights), 5), np.nan) for c in _range(films)])
    low, high = interval(value.T, draws, units)  # (C, 5)
    ap = MEASURES.index("average_precision")
    for c in np.flatnonzero((value[ap] == 1) & measured):  # perfect in every resample too: an exact bound instead
        evidence = int(_patients(positive, films)[c]), int(_patients(negative, films)[c])
        prevalence = float(counts[0, c] / (counts[0, c] + counts[1, c]))
        low[c, ap], high[c, ap] = edge("average_precision", True, prevalence, *evidence, 0)
    board = pd.concat(
        [
            _rows(films.labels, measure, value[m], low[:, m], high[:, m], null[:, m]).assign(
                n_pos=counts[0], n_neg=counts[1], n_unknown=counts[2]
            )
            for m, measure in enumerate(MEASURES)
        ]
    )
    return pd.concat([board, _classes(space, films)], ignore_index=True)


def _classes(space: Space, films: Labelled) -> pd.DataFrame:
    """The paper's figures; n_pos are the films that have a class, n_unknown those that have none.

    A film drawn twice pulls its class together, so resamples show small classes tighter than the films are. The
    interval is therefore shifted so that its resamples centre on the figure.
    """
    classes = first_positive(films.targets)
    value = centroid_distances(space.vectors, classes)
    null = resampled_distances(space.vectors, classes[films.orders], np.ones((1, len(classes)), np.float32))
    draws = np.stack(list(resampled_distances(space.vectors, classes[None], films.weights).values()), axis=1)  # (B, 4)
    figures = np.array([[value[name] for name in CENTROID]])
    centred = draws + figures - (np.nanmedian(draws, axis=0) if np.isfinite(draws).all(axis=1).any() else 0)
    low, high = interval(figures, centred[None], np.array([len(np.unique(films.patients[classes >= 0]))]))  # (1, 4)
    rows = [
        _rows((CLASSES,), name, figures[:, m], low[:, m], high[:, m], null[name][:, None])
        for m, name in enumerate(CENTROID)
    ]
    has = int((classes >= 0).sum())
    return pd.concat(rows).assign(n_pos=has, n_neg=0, n_unknown=len(classes) - has)


def confusability(space: Space, films: Labelled) -> pd.DataFrame:
    """Every ordered pair of labels: see :func:`explorer.analysis.neighbour_purity.confusions`.

    Returns
    -------
    DataFrame
        CONFUSION_COLUMNS without space and split.
    """
    value, null, draws = confusions(space.near, films.targets, films.orders, films.weights)
    one, other = np.nonzero(~np.eye(len(films.labels), dtype=bool))
    positive, negative = (films.targets == 1).astype(np.float32), (films.targets == 0).astype(np.float32)
    alone = positive[:, one] * negative[:, other], positive[:, other] * negative[:, one]  # (n, pairs) one not the other
    units = np.minimum(*(_patients(group, films) for group in alone))
    low, high = interval(value[one, other][:, None], draws[:, one, other].T[:, :, None], units)
    frame = _rows([films.labels[a] for a in one], "", value[one, other], low[:, 0], high[:, 0], null[:, one, other])
    frame["other"] = pd.Series([films.labels[b] for b in other], dtype=str)
    frame["n_label"], frame["n_other"] = (group.sum(axis=0).astype(int) for group in alone)
    return frame[[column for column in CONFUSION_COLUMNS if column in frame]]


def likeness(one: Space, other: Space, films: Labelled) -> pd.DataFrame:
    """CKA and overlap of neighbours of two spaces.

    Returns
    -------
    DataFrame
        LIKENESS_COLUMNS without space, split and other. ``baseline`` is what unrelated spaces are expected to reach.
    """
    aligned = cka(one.vectors, other.vectors, films.patients, films.seed)
    shared = shared_neighbours(one.near, other.near)  # (n,)
    draws = films.weights @ shared / films.weights.sum(axis=1)  # (B,)
    units = np.array([len(np.unique(films.patients))])
    low, high = interval(np.array([[shared.mean()]]), draws[None, :, None], units)
    others = len(shared) - np.asarray(films.same.sum(axis=1))
    chance = float(np.mean(np.asarray(other.near.sum(axis=1)) / np.maximum(others, 1)))
    rows = [("cka", *aligned, 0.0), ("overlap", float(shared.mean()), low[0, 0], high[0, 0], chance)]
    return pd.DataFrame(rows, columns=["measure", "value", "ci_low", "ci_high", "baseline"]).assign(n=len(shared))


def _rows(
    labels: Sequence[str],
    measure: str,
    value: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    null: NDArray[np.float64],
) -> pd.DataFrame:
    """One row for each label, with its null: ``null`` is (S, C).

    Where all resamples agree, as on a lift of 0, they cannot say how sure the figure is: there is no interval.
    """
    exists = ~np.isnan(value)
    known = ~np.isnan(null)
    sign = -1 if measure in LOWER_IS_APART else 1
    as_far = (sign * null >= sign * value) & known
    p = np.where(exists, (1 + as_far.sum(axis=0)) / (1 + known.sum(axis=0)), np.nan)
    adjusted = p.copy()
    adjusted[exists] = false_discovery(p[exists])
    kept = np.where(known.any(axis=0) & exists, null, 0.0)  # else there is nothing to average
    low, high = (np.where(low < high, end, np.nan) for end in (low, high))
    columns = {"value": value, "ci_low": low, "ci_high": high, "baseline": np.nanmean(kept, axis=0)}
    ends = np.empty((2, kept.shape[1]))  # one label has no pairs
    for part, percentile in ((known.all(axis=0), np.percentile), (~known.all(axis=0), np.nanpercentile)):
        if part.any():  # nanpercentile takes one column after the other
            ends[:, part] = percentile(kept[:, part], [2.5, 97.5], axis=0)
    columns |= dict(zip(("null_low", "null_high"), ends, strict=True))
    columns |= {"p": p, "p_adjusted": adjusted}
    frame = pd.DataFrame({name: np.where(exists, values, np.nan) for name, values in columns.items()})
    frame.insert(0, "label", pd.Series(labels, dtype=str))
    frame.insert(1, "measure", measure)
    return frame


def false_discovery(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini & Hochberg's (1995) adjusted p; scipy.stats has it too, but takes long to import.

    Examples
    --------
    >>> false_discovery(np.array([0.04, 0.01, 0.03])).round(3).tolist()
    [0.04, 0.03, 0.04]
    """
    order = np.argsort(p)[::-1]  # the largest first
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1))
    return adjusted


def _patients(group: NDArray[np.float32], films: Labelled) -> NDArray[np.int64]:
    """Patients with a film in each column's group."""
    has = np.zeros((films.patients.max() + 1, group.shape[1]), dtype=bool)
    film, column = np.nonzero(group)
    has[films.patients[film], column] = True
    counts: NDArray[np.int64] = has.sum(axis=0)
    return counts


def _range(films: Labelled) -> range:
    return range(len(films.labels))
