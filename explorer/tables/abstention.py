"""When a regime should keep silent: risk and coverage of a label by several reasons to abstain, from a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.calibration import fit
from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import groups_of, mean_of_films
from explorer.analysis.outliers import DEFAULT, DISTANCES
from explorer.analysis.risk_coverage import (
    areas,
    fewer_patients,
    jackknife_interval,
    kept_films,
    random_areas,
    selective_risk,
)
from explorer.analysis.subgroups import FEWEST, attributes
from explorer.data.text import in_markdown
from explorer.figures.style import Style, difference_with_interval, number, with_interval
from explorer.tables.labels import by_prevalence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

WAYS = {
    "probability": "Calibrated probability",
    "distance": "Distance to the threshold",
    "agreement": "Agreement of regimes",
    "inlying": "Out-of-distribution percentile",
}
"""What tells how sure a prediction is."""
STYLES = {
    "probability": Style("#0F8B8D", "circle", "●", "solid", "green"),
    "distance": Style("#A16207", "square", "■", "dash", "orange"),
    "agreement": Style("#B54A4A", "diamond", "◆", "dot", "red"),
    "inlying": Style("#64748B", "triangle-up", "▲", "dashdot", "gray"),
}
"""No regime's colours: the ways are of one regime."""
GROUPED_BY = ("sex", "age", "view")
COVERAGES = np.linspace(0.05, 1, 39)


MANY, GROUPS = 1000, 200
"""With more patients than the first, so many groups of them are left out in turn: a page waits for these."""


def _without(patients: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, G) weights that leave out each patient in turn, or groups of them where there are many."""
    people, member = np.unique(patients, return_inverse=True)
    if len(people) <= MANY:
        return groups_of(patients)
    return groups_of((np.random.default_rng(0).permutation(len(people)) % GROUPS)[member])


@dataclass(frozen=True)
class Abstention:
    """One regime's predictions of a label on the films where it is known, at its threshold.

    Attributes
    ----------
    rows, patients, targets : (n,)
    loss : (n,)
        1 where the prediction is wrong.
    confidences : way to (n,)
    """

    rows: NDArray[np.int64]
    patients: NDArray[np.int64]
    targets: NDArray[np.float32]
    loss: NDArray[np.float64]
    confidences: dict[str, NDArray[np.float64]]

    @property
    def units(self) -> int:
        """Patients with an error or without one, whichever are fewer."""
        return fewer_patients(self.loss, self.patients)


def ways(store: Store) -> list[str]:
    """Those of WAYS that a run has: a single regime agrees with no other."""
    return [way for way in WAYS if way != "agreement" or len(store.all_regimes) > 1]


def abstention(store: Store, split: Split, label: str, regime: str) -> Abstention | None:
    """What a regime says of a label; None where val gave it no threshold or no film of the split is known."""
    c, val, rows = store.labels.index(label), store.rows("val"), store.rows(split)
    rows = rows[~np.isnan(store.targets[rows, c])]
    threshold = float(store.threshold_array(regime)[c])
    if np.isnan(threshold) or not len(rows):
        return None

    def probability(name: str) -> NDArray[np.float64]:
        logits = store.logits(name)
        return fit("platt", store.targets[val, c], logits[val, c])(np.asarray(logits[rows, c]))

    logits, targets = np.asarray(store.logits(regime)[rows, c], np.float64), store.targets[rows, c]
    confidences = {"probability": np.abs(probability(regime) - 0.5), "distance": np.abs(logits - threshold)}
    if "agreement" in ways(store):
        confidences["agreement"] = -np.std([probability(one.name) for one in store.all_regimes], axis=0)
    confidences["inlying"] = -store.audit.outlyingness[rows, DISTANCES.index(DEFAULT)].astype(np.float64)
    loss = ((logits >= threshold) != (targets == 1)).astype(np.float64)
    return Abstention(rows, store.patients[rows], targets, loss, confidences)


# --- one label -------------------------------------------------------------------------------------------------------


def curves(one: Abstention) -> dict[str, pd.DataFrame]:
    """Each way's selective risk by coverage: at, value, low, high."""
    once, without = np.ones((len(one.rows), 1), np.float32), _without(one.patients)
    out = {}
    for way, confidence in one.confidences.items():
        value = selective_risk(one.loss, confidence, once, COVERAGES)[0]
        left_out = selective_risk(one.loss, confidence, without, COVERAGES)
        low, high = jackknife_interval(value, left_out, one.units)
        ends = {"low": np.maximum(low, 0), "high": np.minimum(high, 1)}
        out[way] = pd.DataFrame({"at": COVERAGES, "value": value, **ends})
    return out


def compare(one: Abstention) -> pd.DataFrame:
    """Each way's areas, with their differences from random abstention and from the first way, paired by patient.

    Returns
    -------
    DataFrame
        way, aurc, augrc, chance (AUGRC of random abstention), optimum, and ``*_low``, ``*_high``; ``gain`` is AUGRC
        less chance, ``difference`` less the first way's: below 0 is better.
    """
    once, without = np.ones((len(one.rows), 1), np.float32), _without(one.patients)
    chance, chance_left = random_areas(one.loss, once)[0, 1], random_areas(one.loss, without)[:, 1]
    rows, first = [], None
    for way, confidence in one.confidences.items():
        value, left_out = areas(one.loss, confidence, once)[0], areas(one.loss, confidence, without)
        first = (value, left_out) if first is None else first
        figures = np.array([*value, value[1] - chance, value[1] - first[0][1]])
        left = np.column_stack([left_out, left_out[:, 1] - chance_left, left_out[:, 1] - first[1][:, 1]])
        low, high = jackknife_interval(figures, left, one.units)
        line: dict[str, object] = {"way": way, "chance": chance, "optimum": one.loss.mean() ** 2 / 2}
        for i, name in enumerate(("aurc", "augrc", "gain", "difference")):
            line |= {name: figures[i], f"{name}_low": low[i], f"{name}_high": high[i]}
        rows.append(line)
    return pd.DataFrame(rows)


def compare_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The same as texts."""

    def text(row: pd.Series[float], name: str, *, signed: bool = False) -> str:
        shown = difference_with_interval if signed else with_interval
        return shown(row[name], row[f"{name}_low"], row[f"{name}_high"], 4)

    first = WAYS[str(frame["way"].iloc[0])]
    lines = [
        {
            "Abstaining by": WAYS[str(row["way"])],
            "AUGRC": text(row, "augrc"),
            "less chance": text(row, "gain", signed=True),
            f"less {first.lower()}": "—" if i == 0 else text(row, "difference", signed=True),
            "AURC": text(row, "aurc"),
        }
        for i, (_, row) in enumerate(frame.iterrows())
    ]
    return pd.DataFrame(lines)


def sentence(one: Abstention, label: str, regime: str, way: str, coverage: float) -> str:
    """What abstaining on the least sure films does to the error, as Markdown; ``regime`` is its title."""
    once, without = np.ones((len(one.rows), 1), np.float32), _without(one.patients)
    confidence, at = one.confidences[way], np.array([coverage])
    value = selective_risk(one.loss, confidence, once, at)[0] - one.loss.mean()
    left_out = selective_risk(one.loss, confidence, without, at) - random_areas(one.loss, without)[:, :1]
    low, high = jackknife_interval(value, left_out, one.units)
    return (
        f"{in_markdown(regime)}, {in_markdown(label)}: silent on {1 - coverage:.0%} by {WAYS[way].lower()}, its error "
        f"of {number(one.loss.mean(), 3)} changes by **{difference_with_interval(value[0], low[0], high[0], 3)}**."
    )


# --- who is left to the reader ---------------------------------------------------------------------------------------


def kept_by_group(store: Store, split: Split, one: Abstention, way: str, coverage: float) -> pd.DataFrame:
    """The share of films kept at a coverage in groups of patients, and among the label's positives and negatives.

    Returns
    -------
    DataFrame
        As ``dots`` draws it: series, label (the group), value, ci_low, ci_high, baseline (the coverage), n_pos (films).
    """
    kept = kept_films(one.confidences[way], coverage)
    groups = {"label: positive": one.targets == 1, "label: negative": one.targets == 0}
    for attribute in attributes(store.samples, None, np.zeros(store.n, np.float32)):
        if attribute.name in GROUPED_BY:
            codes = attribute.codes[one.rows]
            groups |= {f"{attribute.name}: {title}": codes == i for i, title in enumerate(attribute.groups)}
    rows = []
    for title, members in groups.items():
        if members.sum() >= (1 if title.startswith("label: ") else FEWEST):
            value, low, high = mean_of_films(kept[members].astype(np.float64), one.patients[members])
            figures = (value, max(low, 0.0), min(high, 1.0), float(kept.mean()), int(members.sum()))
            rows.append((WAYS[way], title, *figures))
    return pd.DataFrame(rows, columns=["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"])


def group_sentence(frame: pd.DataFrame) -> str:
    """The group that abstention falls on most, as Markdown, if its interval leaves the coverage out."""
    surely = frame[frame["ci_high"] < frame["baseline"]]
    if surely.empty:
        return "Abstention falls on no group more than on all films, as far as the intervals tell."
    row = surely.iloc[int(surely["value"].argmin())]
    return (
        f"Abstention falls most on **{in_markdown(str(row['label']))}**: "
        f"{with_interval(row['value'], row['ci_low'], row['ci_high'])} of its films are kept, of all films "
        f"{number(row['baseline'])}."
    )


# --- all labels ------------------------------------------------------------------------------------------------------


def every_label(store: Store, split: Split, regime: str) -> pd.DataFrame:
    """Each label's AUGRC less chance by every way, and their mean over labels with enough patients, as texts.

    The mean and its interval leave out the same patients in all labels.
    """
    rows = store.rows(split)
    without = _without(store.patients[rows])
    lines, averaged = [], []
    for label in by_prevalence(store, split):
        one = abstention(store, split, label, regime)
        positives = 0 if one is None else int((one.targets == 1).sum())
        line: dict[str, object] = {"Label": label, "Positives": positives}
        if one is None or one.units < ENOUGH:
            lines.append(line | dict.fromkeys((WAYS[way] for way in ways(store)), "too few to say"))
            continue
        mine, once = without[np.isin(rows, one.rows)], np.ones((len(one.rows), 1), np.float32)
        chance, chance_left = random_areas(one.loss, once)[0, 1], random_areas(one.loss, mine)[:, 1]
        figures = {
            way: (areas(one.loss, sure, once)[0, 1] - chance, areas(one.loss, sure, mine)[:, 1] - chance_left)
            for way, sure in one.confidences.items()
        }
        averaged.append((one.units, figures))
        lines.append(line | {WAYS[way]: _gain_text(*figure, one.units) for way, figure in figures.items()})
    if averaged:
        line = {"Label": f"Mean over {len(averaged)} labels", "Positives": None}
        units = min(one for one, _ in averaged)
        for way in averaged[0][1]:
            value = float(np.mean([figures[way][0] for _, figures in averaged]))
            left_out = np.mean([figures[way][1] for _, figures in averaged], axis=0)
            line[WAYS[way]] = _gain_text(value, left_out, units)
        lines.insert(0, line)
    return pd.DataFrame(lines)


def _gain_text(value: float, left_out: NDArray[np.float64], units: int) -> str:
    low, high = jackknife_interval(np.array([value]), left_out[:, None], units)
    return difference_with_interval(value, float(low[0]), float(high[0]), 4)
