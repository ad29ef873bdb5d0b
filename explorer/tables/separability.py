"""What the separability page says and lists, from the store alone. No Streamlit here, so it is tested on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.centroid import CENTROID
from explorer.analysis.evidence import FEW
from explorer.analysis.separability import CLASSES, NEIGHBOURS
from explorer.data.text import in_html, in_markdown
from explorer.figures.separability import Cell
from explorer.figures.style import number, with_interval
from explorer.tables import styles
from explorer.tables.labels import ONE_LABEL, by_prevalence, label_counts
from explorer.tables.spaces import distinct_spaces, space_title

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.figures.style import Style
    from explorer.store.manifest import SpaceKind
    from explorer.store.reader import Store

Row = dict[str, Any]
"""One row of a stored table."""

FIGURE_COLUMNS = ("value", "ci_low", "ci_high", "baseline", "null_low", "null_high", "p", "p_adjusted")
COUNT_COLUMNS = ("n_pos", "n_neg", "n_unknown", "n_label", "n_other")

LEVEL = 0.05
"""Adjusted p that a figure told from shuffled labels lies below."""


@dataclass(frozen=True)
class Measure:
    """``short`` stands in a sentence, ``meaning`` says what it is and whose, ``ratio`` where 1 is chance."""

    title: str
    short: str
    meaning: str
    ratio: bool = False


MEASURES = {
    "lift": Measure(
        "Purity lift",
        "lift",
        f"Neighbourhood purity over prevalence: how many times more of a positive film's {NEIGHBOURS} nearest films "
        "have the label than random films would. Other patients' films only; cosine. 1 is chance.",
        ratio=True,
    ),
    "average_precision": Measure(
        "Linear AP",
        "linear AP",
        "Average precision of a linear readout fitted on other patients' films: Fisher's discriminant, covariance "
        "shrunk as by Ledoit & Wolf (2004), five folds by patient. It never scores a film it was fitted on. "
        "Chance is about the prevalence.",
    ),
    "silhouette": Measure(
        "Silhouette",
        "silhouette",
        "How much nearer films with the label lie to each other than to films known not to have it. From −1 to 1 "
        "(Rousseeuw 1987; cosine). Each label is taken against its own rest, so a film may have several. 0 is "
        "chance.",
    ),
    "fisher": Measure(
        "Fisher ratio",
        "Fisher ratio",
        "Squared distance between the mean of films with the label and of those without, over the sum of their "
        "variances (Fisher 1936). The estimate is unbiased: few films do not raise it. 0 is chance.",
    ),
    "distance": Measure(
        "Between / within",
        "between/within",
        "Mean cosine distance from films with the label to films without it, over that among films with it. 1 is "
        "chance.",
        ratio=True,
    ),
}


class Column(NamedTuple):
    """One space: its name in a sentence, its name in a narrow square's lines, and its style."""

    space: str
    kind: SpaceKind
    title: str
    lines: str
    style: Style


def columns(store: Store, kind: SpaceKind | None = None) -> list[Column]:
    """The distinct spaces, embeddings first. Regimes that share a space share its column."""
    kinds: tuple[SpaceKind, ...] = ("embedding", "decision")
    return [
        Column(
            space.name,
            which,
            space_title(store, space),
            space_title(store, space).replace(" ", " <br>").replace("-", "-<br>"),
            styles.of_space(store, space),
        )
        for which in kinds
        if kind in (None, which)
        for space, _ in distinct_spaces(store, which)
    ]


def figures(store: Store, split: Split, measure: str) -> SeparabilityRows:
    """One measure's rows of the store by label and space."""
    frame = store.tables.separability
    return _by(frame[(frame["split"] == split) & (frame["measure"] == measure)], "label", "space")


class SeparabilityRows(dict[tuple[str, ...], Row]):
    """Rows of a stored table by key; one that the store lacks has NaN figures and counts of 0, and prints a dash."""

    def __missing__(self, key: tuple[str, ...]) -> Row:
        return {**dict.fromkeys(FIGURE_COLUMNS, np.nan), **dict.fromkeys(COUNT_COLUMNS, 0)}


def _by(frame: pd.DataFrame, *keys: str) -> SeparabilityRows:
    names = zip(*(frame[key] for key in keys), strict=True)
    rows = ({str(key): value for key, value in row.items()} for row in frame.to_dict("records"))
    return SeparabilityRows(zip(names, rows, strict=True))


def separates(row: Row) -> bool:
    """Whether a figure differs from that of shuffled labels.

    Enough positives, an adjusted p below LEVEL, and the whole interval above the shuffles' mean. The p says that the
    labels do better than shuffled ones, the interval that other patients' labels would as well.
    """
    return bool(row["n_pos"] >= FEW and row["p_adjusted"] < LEVEL and row["ci_low"] > row["baseline"])


def strength(measure: str, row: Row) -> float:
    """0 at chance to 1 at perfect, for shading alone."""
    value, chance = float(row["value"]), float(row["baseline"])
    if measure == "lift":
        part = np.log2(max(value, 1)) / 4  # 16 times chance is full
    elif measure == "distance":
        part = 1 - 1 / max(value, 1)
    elif measure == "fisher":
        part = value / (1 + value)
    else:
        part = (value - chance) / (1 - chance)
    return float(np.clip(part, 0, 1))


def heatmap_cells(store: Store, split: Split, measure: str) -> list[list[Cell]]:
    """The board's squares: labels by falling prevalence, spaces in order."""
    rows = figures(store, split, measure)
    return [
        [_cell(measure, label, column, rows[label, column.space]) for column in columns(store)]
        for label in by_prevalence(store, split)
    ]


def _cell(measure: str, label: str, column: Column, row: Row) -> Cell:
    hint = f"{in_html(label)}, {column.title} {'embedding' if column.kind == 'embedding' else 'logits'}<br>"
    counts = f"{row['n_pos']:,} positive, {row['n_neg']:,} negative, {row['n_unknown']:,} unknown"
    if "space" not in row:
        return Cell("—", None, f"{hint}not in this store: run the same precompute command again")
    if np.isnan(row["value"]):
        return Cell("—", None, f"{hint}no figure: positives or negatives of fewer than two patients<br>{counts}")
    hint += (
        f"{MEASURES[measure].title} {_figure(row)}<br>shuffled labels {_null(row)}, adjusted p {_p(row)}<br>{counts}"
    )
    text = number(row["value"], 1 if row["value"] >= 10 else 2)
    if row["n_pos"] < FEW:
        return Cell(f"<i>({text})</i>", None, f"{hint}<br>too few positives to say")
    return Cell(text, strength(measure, row), hint) if separates(row) else Cell(text, None, hint)


def measure_sentence(store: Store, split: Split, kind: SpaceKind, measure: str) -> str:
    """Which labels one measure tells from shuffled ones in any space of a kind, in one sentence."""
    by_key, spaces = figures(store, split, measure), columns(store, kind)
    enough = [label for label in by_prevalence(store, split) if label_counts(store, split, label)[0] >= FEW]
    rows = {label: [by_key[label, column.space] for column in spaces] for label in enough}
    judged = {label: [row for row in own if "space" in row] for label, own in rows.items()}
    apart = [in_markdown(label) for label, own in judged.items() if any(map(separates, own))]
    n = sum(map(bool, judged.values()))
    if n == 0:
        return f"No label has {FEW} positives: too few to say."
    if not apart:
        return f"No label of {n} with enough positives differs from shuffled labels."
    return f"{len(apart)} of {n} labels with enough positives separate: **{_and(apart)}**."


def measure_sentences(store: Store, split: Split, kind: SpaceKind, measure: str) -> list[str]:
    """What one measure says of every label in the spaces of a kind, those told apart first."""
    by_key, spaces = figures(store, split, measure), columns(store, kind)
    apart: list[str] = []
    never: list[str] = []
    few: list[str] = []
    missing: list[str] = []
    for label in by_prevalence(store, split):
        rows = {column.title: by_key[label, column.space] for column in spaces}
        n_pos = label_counts(store, split, label)[0]
        if n_pos < FEW:
            few.append(f"{in_markdown(label)} ({n_pos})")
            continue
        rows = {title: row for title, row in rows.items() if "space" in row}
        if not rows:
            missing.append(in_markdown(label))
            continue
        yes = [f"{_lower(title)} ({_short(measure, row)})" for title, row in rows.items() if separates(row)]
        no = [f"{_lower(title)} ({_short(measure, row)})" for title, row in rows.items() if not separates(row)]
        if yes:
            apart.append(f"**{in_markdown(label)}** separates in {_and(yes)}{', not in ' + _or(no) if no else ''}.")
        else:
            never.append(in_markdown(label))
    if missing:
        apart.append(f"No figure in this store: {_and(missing)}. Run the same precompute command again.")
    if never:
        apart.append(f"Not told from shuffled labels in any: {_and(never)}.")
    if few:
        apart.append(f"Fewer than {FEW} positives, too few to say: {_and(few)}.")
    return apart


def whisker_frame(store: Store, split: Split, kind: SpaceKind, measure: str) -> pd.DataFrame:
    """Rows for ``figures.separability.whiskers``, labels by falling prevalence."""
    titles = {column.space: column.title for column in columns(store, kind)}
    frame = store.tables.separability
    frame = frame[(frame["split"] == split) & (frame["measure"] == measure) & frame["space"].isin(list(titles))]
    order = {label: i for i, label in enumerate(by_prevalence(store, split))}
    frame = frame.assign(series=frame["space"].map(titles))
    return frame.sort_values("label", key=lambda names: names.map(order), kind="stable")


def measure_table(store: Store, split: Split, measure: str) -> pd.DataFrame:
    """Every label and space: the figure with all that is needed to judge it."""
    by_key = figures(store, split, measure)
    lines = []
    for label in by_prevalence(store, split):
        for column in columns(store):
            row = by_key[label, column.space]
            lines.append(
                {
                    "Label": label,
                    "Space": column.title,
                    "Kind": "embedding" if column.kind == "embedding" else "logits",
                    f"{MEASURES[measure].title} [95% interval]": _figure(row),
                    "Shuffled labels [95%]": _null(row),
                    "p": row["p"],
                    "p adjusted": row["p_adjusted"],
                    "Positive": row["n_pos"],
                    "Negative": row["n_neg"],
                    "Unknown": row["n_unknown"],
                }
            )
    return pd.DataFrame(lines)


def confusion_frame(store: Store, split: Split, space: str) -> pd.DataFrame:
    """The run's figures of every ordered pair of labels in a space."""
    frame = store.tables.confusability
    return frame[(frame["split"] == split) & (frame["space"] == space)]


def confusion_cells(store: Store, split: Split, space: str) -> tuple[list[str], list[list[Cell]], int, int]:
    """Labels with enough positives against each other in a space; how many pairs have p below LEVEL, of how many."""
    labels = [label for label in by_prevalence(store, split) if label_counts(store, split, label)[0] >= FEW]
    frame = confusion_frame(store, split, space)
    by_pair = _by(frame, "label", "other")
    grid = [[_confusion(by_pair, one, other) for other in labels] for one in labels]
    enough = frame[(frame[["n_label", "n_other"]] >= FEW).all(axis=1) & frame["p"].notna()]
    return labels, grid, int((enough["p"] < LEVEL).sum()), len(enough)


def _confusion(by_pair: SeparabilityRows, one: str, other: str) -> Cell:
    one_name, other_name = in_html(one), in_html(other)
    if one == other:
        return Cell("", None, one_name)
    row = by_pair[one, other]
    if "space" not in row:
        return Cell("—", None, f"{one_name}, {other_name}<br>not in this store: run the same precompute command again")
    hint = (
        f"{one_name} without {other_name} ({row['n_label']:,} films)<br>"
        f"around them, {other_name} without {one_name} ({row['n_other']:,})"
    )
    if np.isnan(row["value"]):
        return Cell("", None, f"{hint}<br>no figure: there are no such films")
    hint += f"<br>{_figure(row)} times chance, p {_p(row, 'p')}, adjusted {_p(row)}"
    if min(row["n_label"], row["n_other"]) < FEW:
        return Cell("", None, f"{hint}<br>too few to say")
    star = "*" if row["p_adjusted"] < LEVEL else ""
    if row["p"] >= LEVEL:
        return Cell("·", None, hint)
    return Cell(f"{row['value']:.1f}{star}", float(np.clip(np.log2(row["value"]) / 2, 0, 1)), hint)


def confused_with(store: Store, split: Split, space: str, label: str) -> str:
    """The labels most over-represented around one label's films that lack them."""
    if len(store.labels) == 1:
        return ONE_LABEL
    frame = confusion_frame(store, split, space)
    frame = frame[frame["label"] == label]
    frame = frame[(frame[["n_label", "n_other"]] >= FEW).all(axis=1) & frame["value"].notna()]
    if frame.empty:
        return f"Too few films to say which labels {in_markdown(label)} is confused with."
    top = frame[frame["value"] > 1].sort_values("value", ascending=False, kind="stable").head(3)
    if top.empty:
        return f"Around films with **{in_markdown(label)}** no other label is over-represented."
    labels = [f"{in_markdown(other)} {_figure(row)} (p {_p(row, 'p')})" for (other,), row in _by(top, "other").items()]
    return f"Around films with **{in_markdown(label)}**, most over-represented: {'; '.join(labels)}."


def likeness_table(store: Store, split: Split) -> pd.DataFrame:
    """Pairs of spaces: CKA and shared neighbours with intervals, and what chance gives."""
    names = {c.space: f"{c.title} {'embedding' if c.kind == 'embedding' else 'logits'}" for c in columns(store)}
    frame = store.tables.likeness
    by_pair = _by(frame[frame["split"] == split], "space", "other", "measure")
    lines = []
    for one, other in dict.fromkeys((one, other) for one, other, _ in by_pair):
        if one not in names or other not in names:
            continue  # of a regime that is not shown
        alike, shared = by_pair[one, other, "cka"], by_pair[one, other, "overlap"]
        lines.append(
            {
                "Space": names[one],
                "Against": names[other],
                "CKA [95% interval]": _figure(alike),
                "Neighbours shared [95% interval]": _figure(shared),
                "by chance": "—" if np.isnan(shared["baseline"]) else number(shared["baseline"]),
            }
        )
    return pd.DataFrame(lines)


def class_table(store: Store, split: Split) -> tuple[pd.DataFrame, int]:
    """The paper's distances in every space, and how many films have a class."""
    frame = store.tables.separability
    frame = frame[(frame["split"] == split) & (frame["label"] == CLASSES)]
    by_space = _by(frame, "space", "measure")
    titles = dict(zip(CENTROID, ("Inter ↑", "Intra ↓", "Ratio ↑", "Davies–Bouldin ↓"), strict=True))
    lines = []
    for column in columns(store):
        line = {"Space": f"{column.title} {'embedding' if column.kind == 'embedding' else 'logits'}"}
        for name, title in titles.items():
            row = by_space[column.space, name]
            line[title] = f"{_figure(row)} · {number(row['baseline'])}" if not np.isnan(row["value"]) else "—"
        lines.append(line)
    return pd.DataFrame(lines), 0 if frame.empty else int(frame["n_pos"].max())


def _figure(row: Row) -> str:
    return with_interval(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))


def _null(row: Row) -> str:
    return with_interval(float(row["baseline"]), float(row["null_low"]), float(row["null_high"]))


def _p(row: Row, which: str = "p_adjusted") -> str:
    return "—" if np.isnan(row[which]) else f"{row[which]:.3f}"


def _short(measure: str, row: Row) -> str:
    digits = 1 if measure == "lift" and row["value"] >= 2 else 2
    value, low, high = float(row["value"]), float(row["ci_low"]), float(row["ci_high"])
    text = number(value, digits) if np.isnan(low) else with_interval(value, low, high, digits)
    return f"{MEASURES[measure].short} {text}"


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _or(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
