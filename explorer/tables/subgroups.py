"""For whom a regime is worse: what the page of groups says, from a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.outliers import DEFAULT, DISTANCES
from explorer.analysis.shortcuts import DEVICE
from explorer.analysis.subgroups import EXCESS, attributes
from explorer.data.text import in_markdown
from explorer.figures.style import difference_with_interval, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

LEVEL = 0.05
RANKED = "auroc"
"""The figure that is compared first: it depends neither on a threshold nor on prevalence."""
FIGURES = {
    RANKED: "AUROC",
    "recall": "Sensitivity",
    "specificity": "Specificity",
    EXCESS: "Calibration in the large",
}
"""Figures that have gaps, as the page names them."""
NOTES = {
    RANKED: "How often a positive film of the group is ranked above a negative one of it; chance is 0.5.",
    "recall": "Share of the group's positives that are predicted positive: what is missing is under-diagnosed. At the "
    "threshold chosen on val, the same for all groups.",
    "specificity": "Share of the group's negatives that are not predicted positive: what is missing is over-diagnosed. "
    "For No Finding it is the reverse: a false positive hides disease.",
    EXCESS: "Mean calibrated probability less the share that is positive: above 0 the group's risk is overstated. "
    "Probabilities are fitted on val (Platt).",
}


def groups(store: Store, split: Split) -> dict[str, tuple[str, str]]:
    """Title to (attribute, group), of every group that a split's figures have."""
    frame = store.tables.subgroups
    frame = frame[frame["split"] == split].drop_duplicates(["attribute", "group"])
    return {
        f"{attribute}: {group}": (attribute, group)
        for attribute, group in zip(frame["attribute"], frame["group"], strict=True)
    }


def rows_of(store: Store, split: Split, attribute: str, group: str) -> NDArray[np.int64]:
    """The rows of a group's films in a split; none where this version no longer knows the group."""
    device = store.targets[:, store.labels.index(DEVICE)] if DEVICE in store.labels else None
    percentiles = store.audit.outlyingness[:, DISTANCES.index(DEFAULT)]
    rows = store.rows(split)
    for way in attributes(store.samples, device, percentiles, store.manifest.age_cuts):
        if way.name == attribute and group in way.groups:
            return np.asarray(rows[way.codes[rows] == way.groups.index(group)])
    return rows[:0]


def figure_frame(store: Store, split: Split, label: str, figure: str) -> pd.DataFrame:
    """One label's figure in every group and regime, as ``dots`` draws it: ``label`` is the group."""
    frame = store.tables.subgroups
    shown = (frame["split"] == split) & (frame["label"] == label) & (frame["metric"] == figure)
    titles = {regime.name: regime.title for regime in store.regimes}
    frame = frame[shown & frame["regime"].isin(list(titles))].copy()
    frame["series"] = frame["regime"].map(titles)
    frame["label"] = frame["attribute"] + ": " + frame["group"]
    if figure not in ("auroc", EXCESS):
        frame["baseline"] = np.nan  # of each regime its own: how often it predicts positive
    return frame.sort_values("attribute", kind="stable").reset_index(drop=True)


def gap_frame(store: Store, split: Split, figure: str) -> pd.DataFrame:
    """Every gap of a figure that rests on enough patients, the surest first; ``subgroups.GAP_COLUMNS``."""
    frame = store.tables.subgroup_gaps
    names = [regime.name for regime in store.regimes]
    shown = (frame["split"] == split) & (frame["metric"] == figure) & frame["regime"].isin(names) & frame["gap"].notna()
    return frame[shown].sort_values("p", kind="stable").reset_index(drop=True)


def gap_table(store: Store, split: Split, figure: str) -> pd.DataFrame:
    """One row for each label and group: every regime's gap, and how far it differs from the first regime's."""
    frame = gap_frame(store, split, figure)
    titles = {regime.name: regime.title for regime in store.regimes}
    lines = []
    for (label, attribute, group), part in frame.groupby(["label", "attribute", "group"], sort=False):
        line: dict[str, object] = {
            "Label": label,
            "Group": f"{attribute}: {group}",
            "Patients + / −": f"{part['patients_pos'].iloc[0]:,} / {part['patients_neg'].iloc[0]:,}",
        }
        by_regime = {str(row["regime"]): row for row in part.to_dict("records")}
        for name, title in titles.items():
            if (row := by_regime.get(name)) is None:
                continue
            sure = " *" if row["p_adjusted"] < LEVEL else ""
            line[title] = difference_with_interval(row["gap"], row["ci_low"], row["ci_high"]) + sure
            if np.isfinite(row["change"]):
                change = (row["change"], row["change_low"], row["change_high"])
                line[f"Change, {title}"] = difference_with_interval(*change)
        lines.append(line)
    return pd.DataFrame(lines)


def gap_sentence(store: Store, split: Split, figure: str) -> str:
    """The largest gap that is beyond chance, or that none is; with how many were compared."""
    frame = gap_frame(store, split, figure)
    title = FIGURES[figure]
    title = title if title.isupper() else title.lower()
    if frame.empty:
        return (
            f"No group has {ENOUGH} positive and {ENOUGH} negative patients on both sides: {title} has no gap to show."
        )
    sure = frame[frame["p_adjusted"] < LEVEL]
    counted = f"{len(sure):,} of {len(frame):,} gaps are beyond chance."
    if sure.empty:
        return f"No gap of {title} between groups is beyond chance, of {len(frame):,} compared."
    row = sure.iloc[int(sure["gap"].abs().argmax())]
    regime = store.regime(str(row["regime"])).title
    return (
        f"Largest gap of {title}: **{in_markdown(row['label'])}**, {in_markdown(row['attribute'])}: "
        f"{in_markdown(row['group'])}, **{difference_with_interval(row['gap'], row['ci_low'], row['ci_high'])}** "
        f"against other films ({in_markdown(regime)}, adjusted p {number(row['p_adjusted'], 3)}). {counted}"
    )
