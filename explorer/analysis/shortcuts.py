"""How well a label can be predicted without the disease: from view, patient, device and the film's border.

A model may earn its figures from how a film was taken (Zech et al., PLoS Medicine 2018; DeGrave et al., Nature Machine
Intelligence 2021). Three questions. How well does each attribute alone rank each label? How well does an
embedding predict the attribute? How much of a regime's AUROC would the attributes of one kind alone reach?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis.acquisition import MEASURES, PICTURE_MEASURES
from explorer.analysis.crossfit import cross_fit
from explorer.analysis.metrics import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

AttributeKind = Literal["acquisition", "patient", "device", "picture"]
KINDS: dict[AttributeKind, str] = {
    "acquisition": "Acquisition",
    "patient": "Patient",
    "device": "Device",
    "picture": "Picture",
}

BINS = 5
"""Bins of an attribute with more than two values: a label may be common at both ends, or in the middle."""
FEWEST = 20
"""Films that must have, and that must lack, a category for it to be an attribute."""
DEVICE = "Support Devices"

FIGURES = ["value", "ci_low", "ci_high", "n_pos", "n_neg", "baseline"]
_BINNED = ["binned", "binned_low", "binned_high"]


@dataclass(frozen=True)
class Attributes:
    """What is known of the films besides their findings.

    Attributes
    ----------
    values : DataFrame
        One float column an attribute, NaN where unknown.
    kinds : dict
        Attribute to kind. "picture" is brightness, noise and sharpness, which body and disease change, too.
    lacking : dict
        What the set does not tell, and why.
    """

    values: pd.DataFrame
    kinds: dict[str, AttributeKind]
    lacking: dict[str, str]


def attributes(samples: pd.DataFrame, labels: Sequence[str], measures: NDArray[np.float32]) -> Attributes:
    """Gather the attributes a set has.

    Parameters
    ----------
    samples : DataFrame
        view, sex, age, height, width, and the labels' columns.
    measures : (N, 6) of :func:`explorer.analysis.acquisition.measure`
    """
    values: dict[str, NDArray[np.float64]] = {}
    kinds: dict[str, AttributeKind] = {}
    lacking: dict[str, str] = {}

    def add(name: str, value: NDArray[np.float64], kind: AttributeKind, absent: str) -> None:
        known = value[~np.isnan(value)]
        if len(known) == 0:
            lacking[name] = absent
        elif np.ptp(known) == 0:
            lacking[name] = "the same for all films"
        else:
            values[name], kinds[name] = value, kind

    grouped: tuple[tuple[str, AttributeKind], ...] = (("view", "acquisition"), ("sex", "patient"))
    for column, kind in grouped:
        words = samples[column].fillna("").astype(str).to_numpy(object)
        counts = {name: (words == name).sum() for name in sorted({*words} - {""})}
        often = [name for name, count in counts.items() if count >= FEWEST and (words != "").sum() - count >= FEWEST]
        if len(counts) == 2:
            often = often[:1]  # the other category says the same
        for name in often:
            add(f"{column} {name}", np.where(words == "", np.nan, words == name), kind, "")
        if not counts:
            lacking[column] = "not given"
        elif not often:
            lacking[column] = f"fewer than {FEWEST} films differ"
    add("age", samples["age"].to_numpy(np.float64, na_value=np.nan), "patient", "not given")
    device = (
        samples[DEVICE].to_numpy(np.float64, na_value=np.nan) if DEVICE in labels else np.full(len(samples), np.nan)
    )
    add("device", device, "device", f"no label {DEVICE}")
    height, width = (samples[side].to_numpy(np.float64) for side in ("height", "width"))
    add("film size", height * width, "acquisition", "not given")
    add("film shape", height / width, "acquisition", "not given")
    for i, name in enumerate(MEASURES):
        measured: AttributeKind = "picture" if name in PICTURE_MEASURES else "acquisition"
        add(name, measures[:, i].astype(np.float64), measured, "not measured")
    return Attributes(pd.DataFrame(values, index=samples.index), kinds, lacking)


def of_labels(
    given: Attributes, labels: Sequence[str], targets: NDArray[np.float32], patients: NDArray[np.int64], seed: int = 0
) -> pd.DataFrame:
    """How well each attribute alone ranks each label.

    Returns
    -------
    DataFrame
        attribute, kind, label, FIGURES (AUROC of the unfitted value, below 0.5 where it speaks against the label), and
        binned, binned_low, binned_high: AUROC of the label's rate in the value's bin, cross-fitted by patient; NaN for
        two values. Without the device attribute for the device label.
    """
    parts = []
    for name, kind in given.kinds.items():
        value = given.values[name].to_numpy(np.float64)
        known = np.flatnonzero(~np.isnan(value))
        asked = [label for label in labels if not (name == "device" and label == DEVICE)]
        columns = [list(labels).index(label) for label in asked]
        mine, people = targets[known][:, columns], patients[known]
        scores = np.repeat(value[known, None].astype(np.float32), len(asked), axis=1)
        part = _auroc(asked, mine, scores, people).assign(attribute=name, kind=kind)
        bins = _bins(value[known])
        if bins.shape[1]:
            binned = _auroc(asked, mine, cross_fit(bins, mine, people, seed), people)
            part[_BINNED] = binned[["value", "ci_low", "ci_high"]].to_numpy()
        parts.append(part.reindex(columns=["attribute", "kind", "label", *FIGURES, *_BINNED]))
    return pd.concat(parts, ignore_index=True)


def from_embedding(
    given: Attributes, vectors: NDArray[np.float32], patients: NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """How well an embedding tells each attribute: AUROC of a logistic regression cross-fitted by patient.

    An attribute of more than two values is asked as above its median or not.

    Returns
    -------
    DataFrame
        attribute, kind, FIGURES
    """
    asked = np.column_stack([_halves(value.to_numpy(np.float64)) for _, value in given.values.items()])
    names = [str(name) for name in given.values]
    scores = cross_fit(vectors, asked, patients, seed)
    frame = _auroc(names, asked, scores, patients).rename(columns={"label": "attribute"})
    return frame.assign(kind=frame["attribute"].map(given.kinds))[["attribute", "kind", *FIGURES]]


def kind_scores(
    given: Attributes,
    kind: AttributeKind,
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float32] | None:
    """(N, C) each label's probability from all attributes of a kind together, cross-fitted by patient.

    An attribute enters by its value, whether it is missing, and its bins. None where the set has none of the kind.
    """
    values = given.values[[name for name, of in given.kinds.items() if of == kind]]
    if values.empty:
        return None
    missing = values.isna()
    filled = values.fillna(values.mean())
    bins = [_bins(column.to_numpy(np.float64)) for _, column in values.items()]
    features = np.column_stack([filled, missing.loc[:, missing.any()], *bins]).astype(np.float64)
    return cross_fit(features, targets, patients, seed)


def of_kind(
    kind: AttributeKind,
    labels: Sequence[str],
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    patients: NDArray[np.int64],
) -> pd.DataFrame:
    """AUROC of :func:`kind_scores` on some films: kind, label, FIGURES; without devices for the device label."""
    frame = _auroc(labels, targets, scores, patients).assign(kind=kind)
    return frame[~((frame["kind"] == "device") & (frame["label"] == DEVICE))]


def reaches_half(auroc: float, alone: float, alone_low: float) -> bool:
    """Whether attributes alone are surely above chance and reach half or more of what a regime gains over chance.

    Examples
    --------
    >>> reaches_half(0.8, 0.7, 0.62), reaches_half(0.8, 0.6, 0.52), reaches_half(0.8, 0.7, 0.49)
    (True, False, False)
    """
    return alone_low > 0.5 and alone - 0.5 >= (auroc - 0.5) / 2


def strongest(of_labels: pd.DataFrame, kind: str, label: str) -> str:
    """The attribute of a kind that alone tells most of a label, rising, falling or by bins.

    Parameters
    ----------
    of_labels : DataFrame
        As :func:`of_labels` gives it.
    """
    mine = of_labels[(of_labels["kind"] == kind) & (of_labels["label"] == label)].set_index("attribute")
    gains = pd.concat([(mine["value"] - 0.5).abs(), mine["binned"] - 0.5], axis=1).max(axis=1)
    return str(gains.idxmax())


def _auroc(
    names: Sequence[str],
    targets: NDArray[np.float32],
    scores: NDArray[np.floating],
    patients: NDArray[np.int64],
) -> pd.DataFrame:
    none = np.full(len(names), np.nan, dtype=np.float32)
    frame = evaluate(names, targets, scores.astype(np.float32), none, patients)
    frame = frame[(frame["metric"] == "auroc") & frame["label"].isin(names)]
    return frame[["label", *FIGURES]].reset_index(drop=True)


def _halves(value: NDArray[np.float64]) -> NDArray[np.float32]:
    """1, 0 or NaN: as it is where it has two values, else above the median."""
    known = value[~np.isnan(value)]
    split = known.min() if len(np.unique(known)) == 2 else np.median(known)
    if not (known > split).any():  # the median is the maximum
        split = known[known < split].max()
    return np.where(np.isnan(value), np.nan, value > split).astype(np.float32)


def _bins(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, b) 1 in the one of BINS equally full bins that a value lies in, if known; no columns for two values."""
    known = value[~np.isnan(value)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    if len(np.unique(known)) < 3:
        return np.empty((len(value), 0))
    place = np.where(np.isnan(value), -1, np.searchsorted(edges, value, side="right"))
    return np.asarray(place[:, None] == np.arange(len(edges) + 1), dtype=np.float64)
