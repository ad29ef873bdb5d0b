"""Which encoder, which way: the regimes of several runs of one set, side by side on the same films. No Streamlit here.

All figures are of the open run's films and labels. A film is matched by its id, whatever a run's order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.calibration import mean_brier
from explorer.analysis.differences import holm
from explorer.analysis.evidence import FEW
from explorer.analysis.jackknife import difference_intervals, intervals
from explorer.analysis.metrics import MACRO, Scored, estimate
from explorer.data.text import in_latex, in_markdown
from explorer.figures.style import difference_with_interval, number, regime_style
from explorer.store import layout
from explorer.store.runs import short_names
from explorer.tables.curves import p_text
from explorer.tables.report import booktabs
from explorer.tables.results import NO_FIGURE, Merit, mean_of_labels
from explorer.tables.separability import figures as separability_figures
from explorer.tables.separability import separates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from explorer.analysis.jackknife import Estimates
    from explorer.data.samples import Split
    from explorer.figures.style import Style
    from explorer.store.reader import Store

LEVEL = 0.05
"""Holm's p that a difference called sure lies below."""


class Column(NamedTuple):
    """A column of the board: its title, its metric where it is one of a ranking, and whether more is better."""

    title: str
    metric: str = ""
    rising: bool = True


COLUMNS: dict[str, Column] = {
    "ap": Column("AP", "average_precision"),
    "auroc": Column("AUROC", "auroc"),
    "f1": Column("F1", "f1"),
    "brier": Column("Brier", rising=False),
    "lift": Column("Purity lift"),
    "seconds": Column("Training (s)", rising=False),
}
"""By the name that the address holds; the board can be sorted by each."""
COMPARED = ("ap", "auroc")
"""Columns whose differences are shown."""


CHANGE_COLUMNS = ("difference", "difference_low", "difference_high", "p", "p_holm")


class Entry(NamedTuple):
    """A regime of a run, as it is listed: ``run`` is the name of the run's folder."""

    run: str
    store: Store
    regime: str

    @property
    def key(self) -> str:
        """What names it in the address."""
        return f"{self.run}.{self.regime}"

    @property
    def encoder_title(self) -> str:
        """Of the encoder as the run got it, which a regime may have trained further."""
        return self.store.manifest.encoders[0].title

    @property
    def regime_title(self) -> str:
        return self.store.regime(self.regime).title


@dataclass(frozen=True)
class Figures:
    """What the board shows of one entry.

    Attributes
    ----------
    merits : by column; seconds have neither an interval nor a baseline
    labels_apart : int, int
        How many labels of the mean differ from shuffled ones in the embedding, and of how many.
    """

    merits: Mapping[str, Merit]
    labels_apart: tuple[int, int]


@dataclass(frozen=True)
class Row:
    """An entry on the board with its name among the others, its style and its figures.

    ``names`` are the parts of its name. ``run`` is its run's short name; empty where no two rows have the same titles.
    """

    entry: Entry
    names: tuple[str, ...]
    run: str
    style: Style
    estimates: Estimates
    figures: Figures

    @property
    def key(self) -> str:
        return self.entry.key

    @property
    def name(self) -> str:
        return " · ".join(self.names)


class Change(NamedTuple):
    """One row's difference from another in one figure; ``p_holm`` allows for all that were tested with it."""

    value: float
    low: float
    high: float
    p: float
    p_holm: float


# --- the same films --------------------------------------------------------------------------------------------------


def entries(runs: Mapping[str, Store]) -> list[Entry]:
    """Every regime shown of every run, in the runs' order."""
    return [Entry(run, store, regime.name) for run, store in runs.items() for regime in store.regimes]


def why_apart(store: Store, other: Store, split: Split) -> str:
    """Why another run's figures of a split cannot stand beside this one's; empty where they can."""
    if set(store.labels) != set(other.labels):
        return f"It has other labels: {len(set(store.labels) & set(other.labels))} of {len(store.labels)} are the same."
    mine, theirs = store.rows(split), other.rows(split)
    ids, other_ids = (set(one.samples["sample_id"].iloc[rows]) for one, rows in ((store, mine), (other, theirs)))
    if ids != other_ids:
        return f"It has other {split} films: {len(ids & other_ids):,} of {len(ids):,} are the same."
    matched = matched_rows(store, other, split)
    pairs = len(set(zip(store.patients[mine].tolist(), other.patients[matched].tolist(), strict=True)))
    if not pairs == len(np.unique(store.patients[mine])) == len(np.unique(other.patients[matched])):
        return "It has the same films of other patients."
    truth, other_truth = store.targets[mine], other.targets[matched][:, _columns(store, other)]
    unlike = ~((truth == other_truth) | (np.isnan(truth) & np.isnan(other_truth))).all(axis=1)
    if unlike.any():
        return f"It has other labels of {unlike.sum():,} of {len(mine):,} {split} films."
    if layout.FILM_FILES in store.artefacts and layout.FILM_FILES in other.artefacts:
        hashes, other_hashes = (
            one.film_files["sha256"].to_numpy()[rows] for one, rows in ((store, mine), (other, matched))
        )
        if (hashes != other_hashes).any():
            return f"It has other pictures of {(hashes != other_hashes).sum():,} of {len(mine):,} {split} films."
    return ""


def matched_rows(store: Store, other: Store, split: Split) -> NDArray[np.int64]:
    """(n,) the other run's rows of this run's films of a split, in this run's order."""
    ids = store.samples["sample_id"].iloc[store.rows(split)]
    return np.asarray(pd.Index(other.samples["sample_id"]).get_indexer(pd.Index(ids)), dtype=np.int64)


def _columns(store: Store, other: Store) -> list[int]:
    """Where the other run has this run's labels."""
    return [other.labels.index(label) for label in store.labels]


# --- figures ---------------------------------------------------------------------------------------------------------


def entry_estimates(store: Store, split: Split, entry: Entry) -> Estimates:
    """An entry's metrics of every label and their mean, on this run's films and without each patient in turn.

    The mean is over this run's labels for all entries.
    """
    other, rows = entry.store, store.rows(split)
    matched, columns = matched_rows(store, other, split), _columns(store, other)
    scored = Scored(
        np.asarray(other.logits(entry.regime)[matched])[:, columns], other.threshold_array(entry.regime)[columns]
    )
    averaged = np.isin(store.labels, mean_of_labels(store, split).labels)
    name, patients = entry.regime, store.patients[rows]
    return estimate(store.labels, store.targets[rows], {name: scored}, patients, averaged, pooled=False)[name]


def entry_figures(store: Store, split: Split, entry: Entry, estimates: Estimates, of: str) -> Figures:
    """An entry's figures of a label or of MACRO, by column."""
    place = estimates.names.index(of)
    low, high = (ends[place] for ends in intervals(estimates))
    merits = {}
    for name, column in COLUMNS.items():
        if column.metric:
            m = estimates.metrics.index(column.metric)
            merits[name] = Merit(estimates.value[place, m], low[m], high[m], estimates.baseline[place, m])
    labels = mean_of_labels(store, split).labels if of == MACRO else (of,)
    merits["brier"] = _brier(store, split, entry, labels)
    merits["lift"], labels_apart = _lift(entry, split, labels)
    merits["seconds"] = Merit(_seconds(entry), np.nan, np.nan, np.nan)
    return Figures(merits, labels_apart)


def _brier(store: Store, split: Split, entry: Entry, labels: Sequence[str]) -> Merit:
    other, rows = entry.store, store.rows(split)
    columns = [other.labels.index(label) for label in labels]
    logits = np.asarray(other.logits(entry.regime)[matched_rows(store, other, split)])[:, columns]
    targets = store.targets[rows][:, [store.labels.index(label) for label in labels]]
    return Merit(*mean_brier(other.targets[other.rows("val")][:, columns], targets, logits, store.patients[rows]))


def _lift(entry: Entry, split: Split, labels: Sequence[str]) -> tuple[Merit, tuple[int, int]]:
    """The purity lift of the entry's embedding, and how many labels differ from shuffled ones."""
    space = entry.store.space_of(entry.regime, "embedding").name
    by_key = separability_figures(entry.store, split, "lift")
    rows = [by_key[label, space] for label in labels]
    judged = [row for row in rows if not np.isnan(row["value"])]
    apart = sum(map(separates, judged)), len(judged)
    if not judged:
        return NO_FIGURE, apart
    value, baseline = (float(np.mean([row[part] for row in judged])) for part in ("value", "baseline"))
    low, high = (judged[0]["ci_low"], judged[0]["ci_high"]) if len(labels) == 1 else (np.nan, np.nan)
    return Merit(value, low, high, baseline), apart


def _seconds(entry: Entry) -> float:
    """Seconds of the stage that fitted the regime's head; NaN where nothing was fitted in the run."""
    manifest, record = entry.store.manifest, entry.store.regime(entry.regime)
    head = manifest.artefacts.get(layout.regime_files(entry.regime).head)
    return manifest.seconds.get(head.stage, np.nan) if head is not None and record.fitted_on else np.nan


def board_rows(shown: Sequence[tuple[Entry, Estimates, Figures]]) -> list[Row]:
    """The rows of some entries: each with a name of its own and its regime's style, the same in every run."""
    short = short_names(list(dict.fromkeys(entry.run for entry, _, _ in shown)))
    titles = [(entry.encoder_title, entry.regime_title) for entry, _, _ in shown]
    encoders, regimes = {encoder for encoder, _ in titles}, list(dict.fromkeys(entry.regime for entry, _, _ in shown))
    rows = []
    for (entry, estimates, figures), (encoder, regime) in zip(shown, titles, strict=True):
        run = short[entry.run] if len(set(titles)) < len(titles) else ""
        named = (regime, encoder if len(encoders) > 1 else "", run if titles.count((encoder, regime)) > 1 else "")
        style = regime_style(regimes.index(entry.regime))
        rows.append(Row(entry, tuple(filter(None, named)), run, style, estimates, figures))
    return rows


def sort_rows(rows: Sequence[Row], by: str) -> list[Row]:
    """The best first; what has no such figure last."""
    sign = -1 if COLUMNS[by].rising else 1
    values = np.array([sign * row.figures.merits[by].value for row in rows])
    return [rows[i] for i in np.argsort(values, kind="stable")]  # NaN last


# --- differences -----------------------------------------------------------------------------------------------------


def changes(rows: Sequence[Row], reference: Row, of: str, column: str) -> dict[str, Change]:
    """Every other row minus the reference in one figure, by key; Holm's p allows for all of these rows."""
    others = [row for row in rows if row.key != reference.key]
    tested = _tested([(row, reference) for row in others], of, column)
    return {row.key: change for row, change in zip(others, tested, strict=True)}


def _tested(pairs: Sequence[tuple[Row, Row]], of: str, column: str) -> list[Change]:
    """The first of each pair minus the second, with Holm's p over all of the pairs."""
    figures = []
    for row, against in pairs:
        change = row.estimates - against.estimates
        place = change.names.index(of), change.metrics.index(COLUMNS[column].metric)
        low, high, p = (float(part[place]) for part in difference_intervals(change))
        figures.append((float(change.value[place]), low, high, p))
    adjusted = holm(np.array([p for *_, p in figures]))
    return [Change(*figure, p_holm) for figure, p_holm in zip(figures, adjusted.tolist(), strict=True)]


def best_sentence(rows: Sequence[Row], of: str, of_what: str) -> str:
    """Which row has the largest average precision, and how many of the others it surely beats.

    The best row is chosen on these films, so Holm's p allows for all pairs of rows.

    Parameters
    ----------
    of : a label or MACRO
    of_what : the same in words, as Markdown
    """
    ranked = [row for row in sort_rows(rows, "ap") if not np.isnan(row.figures.merits["ap"].value)]
    positives = int(rows[0].estimates.counts[rows[0].estimates.names.index(of), 0])
    if not ranked or positives < FEW:
        return f"{of_what}: {positives:,} positives are too few to say which is best."
    best = ranked[0]
    value = number(best.figures.merits["ap"].value)
    if len(ranked) == 1:
        return f"One regime, **{in_markdown(best.name, None)}**: AP {value} ({of_what})."
    pairs = list(combinations(ranked, 2))  # the better one first
    tested = zip(pairs, _tested(pairs, of, "ap"), strict=True)
    sure = sum(pair[0].key == best.key and change.p_holm < LEVEL and change.low > 0 for pair, change in tested)
    n = len(ranked) - 1
    beaten = f"surely better than {sure} of {n} other{'s' if n > 1 else ''}" if sure else "surely better than no other"
    return f"**{in_markdown(best.name, None)}** ranks best: AP {value} ({of_what}); {beaten}."


# --- tables ----------------------------------------------------------------------------------------------------------


def board_table(rows: Sequence[Row], of: str) -> pd.DataFrame:
    """The rows as text: each figure with its interval, and after a dot its trivial baseline."""
    cells = []
    for row in rows:
        cells.append(_named(row) | {column.title: _cell(row, name, of) for name, column in COLUMNS.items()})
    return pd.DataFrame(cells)


def _named(row: Row) -> dict[str, str]:
    named = {"Regime": row.entry.regime_title, "Encoder": row.entry.encoder_title}
    return named | ({"Run": row.run} if row.run else {})


def _cell(row: Row, column: str, of: str) -> str:
    merit = row.figures.merits[column]
    if np.isnan(merit.value):
        return "—"
    if column == "seconds":
        return f"{merit.value:,.1f}"
    if column == "lift" and of == MACRO:
        apart, judged = row.figures.labels_apart
        return f"{number(merit.value)} · {number(merit.baseline)}; {apart} of {judged} separate"
    return f"{merit} · {number(merit.baseline)}"


def change_table(rows: Sequence[Row], reference: Row, of: str) -> pd.DataFrame:
    """Every row's differences from the reference as text, with Holm's p."""
    by_column = {column: changes(rows, reference, of, column) for column in COMPARED}
    cells = []
    for row in rows:
        line = _named(row)
        for column, tested in by_column.items():
            title, change = COLUMNS[column].title, tested.get(row.key)
            line[f"Δ{title}"] = "reference" if change is None else difference_with_interval(*change[:3])
            line[f"Holm's p, {title}"] = "—" if change is None else p_text(change.p_holm)
        cells.append(line)
    return pd.DataFrame(cells)


def board_frame(rows: Sequence[Row], reference: Row, of: str, split: Split) -> pd.DataFrame:
    """The board as numbers: one row for each entry and figure, with its difference from the reference."""
    by_column: dict[str, dict[str, Change]] = {column: changes(rows, reference, of, column) for column in COMPARED}
    records = []
    for row in rows:
        place = row.estimates.names.index(of)
        n_pos, n_neg, n_unknown = row.estimates.counts[place].tolist()
        for name, column in COLUMNS.items():
            change = by_column.get(name, {}).get(row.key, Change(*[np.nan] * 5))
            records.append(
                {
                    "run": row.entry.run,
                    "encoder": row.entry.encoder_title,
                    "regime": row.entry.regime_title,
                    "label": of,
                    "split": split,
                    "figure": column.title,
                    **dict(zip(("value", "ci_low", "ci_high", "baseline"), row.figures.merits[name], strict=True)),
                    "n_pos": n_pos,
                    "n_neg": n_neg,
                    "n_unknown": n_unknown,
                    "against": reference.key,
                    **dict(zip(CHANGE_COLUMNS, change, strict=True)),
                }
            )
    return pd.DataFrame(records)


def board_latex(rows: Sequence[Row], reference: Row, of: str, note: str) -> bytes:
    r"""Figures and differences as one booktabs table; needs ``\usepackage{booktabs}``."""
    figures, differences = board_table(rows, of), change_table(rows, reference, of)
    frame = pd.concat([figures, differences.drop(columns=[name for name in differences if name in figures])], axis=1)
    head = " & ".join(in_latex(name).replace("Δ", r"$\Delta$") for name in frame) + r" \\"
    return booktabs(frame, [head], "l" * frame.shape[1], note)


def picture_frame(rows: Sequence[Row], column: str) -> pd.DataFrame:
    """One figure of every row, as ``ranked_dots`` draws it."""
    merits = [row.figures.merits[column] for row in rows]
    return pd.DataFrame(merits, columns=["value", "ci_low", "ci_high", "baseline"])


def unlike_means(store: Store, split: Split, others: Mapping[str, Store]) -> list[str]:
    """The runs whose own mean is over other labels than this run's."""
    own = set(mean_of_labels(store, split).labels)
    return [run for run, other in others.items() if set(mean_of_labels(other, split).labels) != own]
