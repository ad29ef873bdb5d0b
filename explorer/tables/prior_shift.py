"""Another hospital: a label's figures at another prevalence, from a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.operating import at_threshold
from explorer.analysis.prior_shift import LogitLine, at_prevalence, logit_line
from explorer.data.text import in_markdown
from explorer.figures.style import number, with_interval
from explorer.tables.labels import label_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

FIGURES = {"precision": "PPV", "npv": "NPV", "f1": "F1", "net_benefit": "Net benefit"}
"""Figures that change with the prevalence, as the page names them."""
BASELINES = {
    "precision": "random predictions",
    "npv": "random predictions",
    "f1": "random predictions, first regime's rate",
    "net_benefit": "all or none positive, first regime's harms",
}
UNCHANGED = {"recall": "Sensitivity", "specificity": "Specificity"}
PREVALENCES: tuple[float, ...] = tuple(
    float(percent)
    for percent in np.unique(
        np.round(np.r_[np.arange(0.1, 1, 0.1), np.arange(1, 10, 0.5), np.arange(10, 30), np.arange(30, 91, 5)], 1)
    )
)
"""Per cent, to choose from."""
_DRAWN = np.geomspace(0.001, 0.9, 60)


@dataclass(frozen=True)
class Shifted:
    """One regime's figures of a label here and elsewhere.

    Attributes
    ----------
    table : DataFrame
        Figure, Here, There, With the best threshold, Baseline there: as texts.
    frame : DataFrame
        figure, value, low, high, baseline, threshold, prevalence, place: the same as numbers.
    sentence : str
        What changes and what does not, as Markdown.
    """

    table: pd.DataFrame
    frame: pd.DataFrame
    sentence: str


def prevalence_here(store: Store, split: Split, label: str) -> float:
    """The share of films that have the label, among those where it is known; NaN where none is."""
    positive, negative, _ = label_counts(store, split, label)
    return positive / (positive + negative) if positive + negative else np.nan


def first_prevalence(store: Store, split: Split, label: str) -> float:
    """What is shown first, in per cent: of PREVALENCES the nearest to a third of the prevalence here."""
    here = prevalence_here(store, split, label)
    third = 0.0 if np.isnan(here) else 100 * here / 3
    return min(PREVALENCES, key=lambda percent: abs(percent - third))


def curves(store: Store, split: Split, label: str) -> dict[str, pd.DataFrame]:
    """Each regime's ``prior_shift.at_prevalence`` over the whole range, by title; regimes without a threshold lack."""
    out = {}
    for regime in store.regimes:
        line, threshold = _fitted(store, regime.name, label)
        if not np.isnan(line.slope + threshold):
            harm = line.probability(threshold)[0]
            out[regime.title] = _at(store, split, label, regime.name, threshold, _DRAWN, harm)
    return out


def shifted(store: Store, split: Split, label: str, regime: str, there: float) -> Shifted | None:
    """One regime's figures at its threshold here, at the prevalence ``there``, and at the best threshold there.

    None where validation gave no threshold or could not be fitted.
    """
    line, threshold = _fitted(store, regime, label)
    if np.isnan(line.slope + threshold):
        return None
    here, harm = prevalence_here(store, split, label), line.probability(threshold)[0]
    moved = line.moved(threshold, there)
    columns = {
        "Here": (threshold, here, line.probability(threshold)),
        "There": (threshold, there, line.probability(threshold, there)),
    }
    if not np.isnan(moved):
        columns["There, best threshold"] = (moved, there, line.probability(moved, there))
    parts = [
        _with_unchanged(store, split, label, regime, cut, prevalence, harm, probability).assign(place=place)
        for place, (cut, prevalence, probability) in columns.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    cuts = {place: number(cut) for place, (cut, _, _) in columns.items()}
    titles = {**UNCHANGED, **FIGURES, "probability": "… as a probability"}
    lines = []
    for figure, title in titles.items():
        if figure == "probability":
            lines.append({"Figure": "Threshold (logit)", **cuts, "Baseline there": "—"})
        mine = frame[frame["figure"] == figure]
        ends = mine[["value", "low", "high"]].to_numpy(dtype=float).tolist()
        cells = {
            str(place): with_interval(value, low, high, 3)
            for place, (value, low, high) in zip(mine["place"], ends, strict=True)
        }
        base = float(mine.loc[mine["place"] == "There", "baseline"].iloc[0])
        lines.append({"Figure": title, **cells, "Baseline there": "—" if np.isnan(base) else number(base, 3)})
    return Shifted(pd.DataFrame(lines), frame, _sentence(store, label, regime, frame, here, there))


def _fitted(store: Store, regime: str, label: str) -> tuple[LogitLine, float]:
    """A regime's line on val, and its stored threshold."""
    val, c = store.rows("val"), store.labels.index(label)
    line = logit_line(store.targets[val, c], np.asarray(store.logits(regime)[val, c]), store.patients[val])
    return line, float(store.threshold_array(regime)[c])


def _at(
    store: Store,
    split: Split,
    label: str,
    regime: str,
    threshold: float,
    prevalences: NDArray[np.float64],
    harm: float,
) -> pd.DataFrame:
    rows, calls = store.rows(split), _calls(store, split, label, regime, threshold)
    targets = store.targets[rows, store.labels.index(label)]
    return at_prevalence(targets, calls, store.patients[rows], prevalences, harm, seed=store.manifest.seed)


def _calls(store: Store, split: Split, label: str, regime: str, threshold: float) -> NDArray[np.bool_]:
    logits = store.logits(regime)[store.rows(split), store.labels.index(label)]
    return np.asarray(logits >= np.float32(threshold))


def _with_unchanged(
    store: Store,
    split: Split,
    label: str,
    regime: str,
    threshold: float,
    prevalence: float,
    harm: float,
    probability: tuple[float, float, float],
) -> pd.DataFrame:
    """Figures at a threshold and a prevalence: sensitivity and specificity first, the probability at it last."""
    rows, calls = store.rows(split), _calls(store, split, label, regime, threshold)
    estimates = at_threshold(store.targets[rows, store.labels.index(label)], calls, store.patients[rows], resamples=2)
    first = [(name, *estimates[name][:3], estimates[name].baseline) for name in UNCHANGED]
    columns = ["figure", "value", "low", "high", "baseline"]
    changed = _at(store, split, label, regime, threshold, np.array([prevalence]), harm)[columns]
    last = [("probability", *probability, np.nan)]
    parts = [pd.DataFrame(first, columns=columns), changed, pd.DataFrame(last, columns=columns)]
    return pd.concat(parts, ignore_index=True).assign(threshold=threshold, prevalence=prevalence)


def _sentence(store: Store, label: str, regime: str, frame: pd.DataFrame, here: float, there: float) -> str:
    of_precision = frame[frame["figure"] == "precision"].set_index("place")[["value", "low", "high"]]
    old, new = (with_interval(*of_precision.loc[place].to_numpy(dtype=float)) for place in ("Here", "There"))
    return (
        f"{in_markdown(store.regime(regime).title)}, {in_markdown(label)}: where {number(100 * there, 1)}% have it, "
        f"not {number(100 * here, 1)}%, PPV is **{new}**, not {old}. Sensitivity and specificity stay."
    )
