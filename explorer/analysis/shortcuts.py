"""How well a label can be predicted without the disease: from view, patient, device and the film's border.

A model may earn its figures from how a film was taken (Zech et al., PLoS Medicine 2018; DeGrave et al., Nature Machine
Intelligence 2021). Three questions. How well does each attribute alone rank each label? How well does an
embedding predict the attribute? How much of a regime's AUROC would acquisition alone reach?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis.acquisition import MEASURES
from explorer.analysis.crossfit import cross_fit
from explorer.analysis.metrics import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

AttributeKind = Literal["acquisition", "patient", "device", "exposure"]

FEWEST = 20
"""Films that must have, and that must lack, a category for it to be an attribute."""
DEVICE = "Support Devices"

FIGURES = ["value", "ci_low", "ci_high", "n_pos", "n_neg", "baseline"]
_EXPOSURE = MEASURES[-1]


@dataclass(frozen=True)
class Attributes:
    """What is known of the films besides their findings.

    Attributes
    ----------
    values : DataFrame
        One float column an attribute, NaN where unknown.
    kinds : dict
        Attribute to kind. "exposure" is the brightness, which disease changes too: it is shown, and never counted as
        acquisition.
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
    measures : (N, 4) of :func:`explorer.analysis.acquisition.measure`
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
        found = {name: (words == name).sum() for name in sorted({*words} - {""})}
        often = [name for name, count in found.items() if count >= FEWEST and (words != "").sum() - count >= FEWEST]
        if len(found) == 2:
            often = often[:1]  # the other category says the same
        for name in often:
            add(f"{column} {name}", np.where(words == "", np.nan, words == name), kind, "")
        if not found:
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
        add(name, measures[:, i].astype(np.float64), "exposure" if name == _EXPOSURE else "acquisition", "not measured")
    return Attributes(pd.DataFrame(values, index=samples.index), kinds, lacking)


def of_labels(
    found: Attributes, labels: Sequence[str], targets: NDArray[np.float32], patients: NDArray[np.int64]
) -> pd.DataFrame:
    """How well each attribute alone, unfitted, ranks each label: AUROC, below 0.5 where it speaks against it.

    Returns
    -------
    DataFrame
        attribute, kind, label, FIGURES; without the device attribute for the device label.
    """
    parts = []
    for name in map(str, found.values):
        value = found.values[name]
        known = np.flatnonzero(value.notna().to_numpy())
        asked = [label for label in labels if not (name == "device" and label == DEVICE)]
        scores = np.repeat(value.to_numpy(np.float32)[known, None], len(asked), axis=1)
        columns = [list(labels).index(label) for label in asked]
        part = _auroc(asked, targets[known][:, columns], scores, patients[known])
        parts.append(part.assign(attribute=name, kind=found.kinds[name]))
    return pd.concat(parts, ignore_index=True)[["attribute", "kind", "label", *FIGURES]]


def from_embedding(
    found: Attributes, vectors: NDArray[np.float32], patients: NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """How well an embedding tells each attribute: AUROC of a logistic regression cross-fitted by patient.

    An attribute of more than two values is asked as above its median or not.

    Returns
    -------
    DataFrame
        attribute, kind, FIGURES
    """
    asked = np.column_stack([_halves(value.to_numpy(np.float64)) for _, value in found.values.items()])
    names = [str(name) for name in found.values]
    told = cross_fit(vectors, asked, patients, seed)
    frame = _auroc(names, asked, told, patients).rename(columns={"label": "attribute"})
    return frame.assign(kind=frame["attribute"].map(found.kinds))[["attribute", "kind", *FIGURES]]


def acquisition_scores(
    found: Attributes, targets: NDArray[np.float32], patients: NDArray[np.int64], seed: int
) -> NDArray[np.float32]:
    """(N, C) each label's probability from all acquisition attributes together, cross-fitted by patient."""
    chosen = [name for name, kind in found.kinds.items() if kind == "acquisition"]
    if not chosen:
        return np.broadcast_to(np.nanmean(targets, axis=0), targets.shape).astype(np.float32)
    values = found.values[chosen]
    missing = values.isna()
    filled = values.fillna(values.mean())
    features = np.column_stack([filled, missing.loc[:, missing.any()]]).astype(np.float64)
    return cross_fit(features, targets, patients, seed)


def of_acquisition(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    patients: NDArray[np.int64],
) -> pd.DataFrame:
    """AUROC of :func:`acquisition_scores` on some films: label, FIGURES."""
    return _auroc(labels, targets, scores, patients)


def mostly_acquisition(auroc: float, acquisition: float, acquisition_low: float) -> bool:
    """Whether acquisition alone is surely above chance and reaches half or more of what a regime gains over chance.

    Examples
    --------
    >>> mostly_acquisition(0.8, 0.7, 0.62), mostly_acquisition(0.8, 0.6, 0.52), mostly_acquisition(0.8, 0.7, 0.49)
    (True, False, False)
    """
    return acquisition_low > 0.5 and acquisition - 0.5 >= (auroc - 0.5) / 2


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
