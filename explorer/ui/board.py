"""The board's panels: which encoder, which way, over the runs of one set in the open store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from explorer.analysis.metrics import MACRO
from explorer.data.text import in_markdown, plain
from explorer.environment import without_store_root
from explorer.errors import UserError
from explorer.figures.board import ranked_dots
from explorer.store.runs import list_runs, short_names
from explorer.tables import board as tables
from explorer.tables.board import COLUMNS
from explorer.tables.labels import by_prevalence
from explorer.tables.report import report_csv
from explorer.tables.results import METRIC_TITLES, mean_of_labels
from explorer.ui.shared import address, cache, choose, download
from explorer.ui.shared.cache import RUN_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from explorer.analysis.jackknife import Estimates
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.tables.board import Entry, Figures, Row
    from explorer.ui.shared.frame import View

ADDS = (
    "python -m precompute run --encoder hf-hub:ORGANISATION/MODEL --csv LABELS --images FILMS --out STORE",
    "python -m precompute import --vectors VECTORS --ids IDS --csv LABELS --out STORE",
)
DRAWN = {
    "ap": ("random ranking", "average precision"),
    "auroc": ("random ranking", "auroc"),
    "f1": ("every film positive", "threshold"),
}
"""By column: what its baseline is, and its term in the glossary."""
MEAN_LIFT = ", the mean of the labels' own, without an interval. Separate: labels that differ from shuffled ones. "
PINNED = {"Regime": st.column_config.Column(pinned=True)}


@dataclass(frozen=True)
class Choice:
    """What the board shows.

    Attributes
    ----------
    rows : the best first
    reference : what the others are compared to
    of : a label, or MACRO
    of_what : the same in words
    sort : one of COLUMNS
    left_out : reason by run
    """

    rows: list[Row]
    reference: Row
    of: str
    of_what: str
    sort: str
    left_out: dict[str, str]


# --- which runs ------------------------------------------------------------------------------------------------------


def _opened(store: Store) -> tuple[dict[str, Store], dict[str, str]]:
    """The runs of the open store, this one first, without the regimes that the bar hides; why others do not open."""
    hidden = {regime.name for regime in store.all_regimes} - {regime.name for regime in store.regimes}
    runs, damaged = {store.path.name: store}, {}
    for run in list_runs(store.path.parent):
        if run in runs:
            continue
        try:
            other = cache.store(store.path.parent, run)
        except UserError as error:
            damaged[run] = without_store_root(error.what)
            continue
        runs[run] = cache.showing(other, tuple(r.name for r in other.all_regimes if r.name not in hidden))
    return runs, damaged


def _compared(store: Store, split: Split) -> tuple[dict[str, Store], dict[str, str]]:
    """The runs that stand beside the open one, which is among them, and the others with the reason."""
    runs, left_out = _opened(store)
    compared = {store.path.name: store}
    for run, other in runs.items():
        if run in compared:
            continue
        try:
            reason = _why_apart(store, other, split)
            mean_of_labels(other, split)  # which a note compares with this run's
            for entry in () if reason else tables.entries({run: other}):
                _figures(store, split, entry, MACRO)
        except UserError as error:
            reason = without_store_root(error.what)
        if reason:
            left_out[run] = reason
        else:
            compared[run] = other
    return compared, left_out


def row_keys(store: Store) -> dict[str, str]:
    """Every row that the open store may have, as the address names it."""
    runs, _ = _opened(store)
    return {entry.key: entry.key for entry in tables.entries(runs)}


def on_board(store: Store, key: str, split: Split) -> bool:
    """Whether the board of a split has a row."""
    if key in {entry.key for entry in tables.entries({store.path.name: store})}:
        return True
    compared, _ = _compared(store, split)
    return key in {entry.key for entry in tables.entries(compared)}


def stands_alone(store: Store, _: object) -> bool:
    """Whether the store has no other run."""
    return len(list_runs(store.path.parent)) == 1


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=RUN_FUNCS)
def _why_apart(store: Store, other: Store, split: Split) -> str:
    return tables.why_apart(store, other, split)


def _estimates(store: Store, split: Split, entry: Entry) -> Estimates:
    return _estimates_of(store, split, entry.run, entry.store, entry.regime)


@st.cache_resource(max_entries=128, show_spinner="Comparing runs", hash_funcs=RUN_FUNCS)
def _estimates_of(store: Store, split: Split, run: str, other: Store, regime: str) -> Estimates:
    return tables.entry_estimates(store, split, tables.Entry(run, other, regime))


def _figures(store: Store, split: Split, entry: Entry, of: str) -> Figures:
    return _figures_of(store, split, entry.run, entry.store, entry.regime, of)


@st.cache_resource(max_entries=512, show_spinner="Comparing runs", hash_funcs=RUN_FUNCS)
def _figures_of(store: Store, split: Split, run: str, other: Store, regime: str, of: str) -> Figures:
    entry = tables.Entry(run, other, regime)
    return tables.entry_figures(store, split, entry, _estimates(store, split, entry), of)


# --- panels ----------------------------------------------------------------------------------------------------------


def choose_board(view: View) -> Choice:
    """What the figures are of, what the rows are sorted by, and the row that they are compared to."""
    store, split = view.store, view.split
    titles = {MACRO: "Mean over labels", **{label: plain(label, None) for label in by_prevalence(store, split)}}
    with view.controls:
        with st.container(width=200):
            st.selectbox(
                "Figures of",
                list(titles),
                format_func=titles.__getitem__,
                label_visibility="collapsed",
                **address.control("of"),
            )
        sort = choose.pick_one("Sort by", list(COLUMNS), "sort", {name: one.title for name, one in COLUMNS.items()})
    of = str(address.value("of"))
    compared, left_out = _compared(store, split)
    shown = [
        (entry, _estimates(store, split, entry), _figures(store, split, entry, of))
        for entry in tables.entries(compared)
    ]
    rows = tables.sort_rows(tables.board_rows(shown), sort)
    names = {row.key: plain(row.name, None) for row in rows}
    with view.controls, st.container(width=400):
        st.selectbox(
            "Compared to",
            list(names),
            format_func=lambda key: f"against {names[key]}",
            label_visibility="collapsed",
            **address.control("against"),
        )
    (reference,) = (row for row in rows if row.key == address.value("against"))
    of_what = mean_of_labels(store, split).title if of == MACRO else of
    return Choice(rows, reference, of, of_what, sort, left_out)


@panel
def answer(view: View, choice: Choice) -> None:
    """Which row is best, in one sentence."""
    keys = tuple((row.entry.run, row.entry.store, row.entry.regime) for row in choice.rows)
    st.markdown(_sentence(view.store, view.split, keys, choice.of, choice.of_what, choice.rows))


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=RUN_FUNCS)
def _sentence(
    store: Store, split: Split, keys: tuple[tuple[str, Store, str], ...], of: str, of_what: str, _rows: list[Row]
) -> str:
    """All pairs of rows are tested, which is done once."""
    return tables.best_sentence(_rows, of, of_what if of == MACRO else in_markdown(of_what))


@panel
def figure(view: View, choice: Choice) -> None:
    """The figure that the rows are sorted by, or average precision, of every row with its interval."""
    name = choice.sort if COLUMNS[choice.sort].metric else "ap"
    metric = METRIC_TITLES[COLUMNS[name].metric]
    baseline_is, term = DRAWN[name]
    download.figure(
        view,
        ranked_dots(
            tables.picture_frame(choice.rows, name),
            [row.names for row in choice.rows],
            [row.style for row in choice.rows],
            baseline_is,
        ),
        download.About(
            (f"{metric} by regime", choice.of_what, view.split),
            f"{download.films(view)}, the same for all rows",
            "Whiskers: 95% intervals from leaving out patients in turn."
            + (" Each run chose its thresholds on val." if name == "f1" else ""),
            (term,),
        ),
        partial(tables.board_frame, choice.rows, choice.reference, choice.of, view.split),
        key="board",
        alt=f"{metric} of every encoder and regime with 95% intervals",
    )


@panel
def table(view: View, choice: Choice) -> None:
    """Every figure of every row, and files of them."""
    figure_title("All figures", choice.of_what, view.split, terms=("brier score", "purity lift"))
    frame = tables.board_table(choice.rows, choice.of)
    show_table(frame, hide_index=True, height="content", column_config=PINNED)
    st.caption(
        "In brackets: 95% interval; after the dot: the trivial baseline. F1: at thresholds that each run chose on val. "
        "Brier: of probabilities as they are; lower is better. Purity lift: of the embedding"
        + (MEAN_LIFT if choice.of == MACRO else ". ")
        + "Training: of the head and of the encoder where it is trained, without embedding the films."
    )
    stem = f"board-{view.split}-{view.store.manifest.run_id}"
    numbers = partial(tables.board_frame, choice.rows, choice.reference, choice.of, view.split)
    note = (
        f"{choice.of_what}, {download.films(view)}. In brackets: 95% intervals from leaving out patients in turn. "
        f"After the dot: the trivial baseline. Differences: against {choice.reference.name}, "
        "with Holm's p over the rows."
    )
    latex = partial(tables.board_latex, choice.rows, choice.reference, choice.of, note)
    download.files(
        stem,
        [("CSV", "csv", "text/csv", lambda: report_csv(numbers())), ("LaTeX", "tex", "text/plain", latex)],
        key="board",
    )


@panel
def differences(view: View, choice: Choice) -> None:
    """Every row against the chosen one, on the same films."""
    if len(choice.rows) < 2:
        return
    title = ("Differences", f"against {choice.reference.name}", choice.of_what, view.split)
    figure_title(*title, terms=("paired difference", "holm's p"))
    frame = tables.change_table(choice.rows, choice.reference, choice.of)
    show_table(frame, hide_index=True, height="content", column_config=PINNED)
    st.caption(
        f"Paired by patient: the same {len(view.store.rows(view.split)):,} {view.split} films. Holm's p allows for all "
        "rows against one that is chosen beforehand. The sentence on top allows for all pairs, since its best row is "
        "chosen on these films."
    )


@panel
def other_runs(view: View, choice: Choice) -> None:
    """Runs that are left out with the reason, and how a run comes onto the board."""
    store = view.store
    compared, _ = _compared(store, view.split)
    short = short_names([store.path.name, *compared, *choice.left_out])
    for run in tables.unlike_means(store, view.split, compared):
        st.caption(
            f":material/info: The run {in_markdown(short[run])} has its own mean over other labels. Here all rows have "
            f"the {in_markdown(mean_of_labels(store, view.split).title)} of this run."
        )
    if choice.left_out:
        st.markdown("**Runs left out**")
        reasons = (f"- {in_markdown(short[run])}: {in_markdown(why, 300)}" for run, why in choice.left_out.items())
        st.markdown("\n".join(reasons))
    choose.drawer("Add an encoder", "add", _how_to_add, ":material/terminal:")


def _how_to_add() -> None:
    st.markdown("Another encoder, or its vectors, on the same films and into the same store adds its rows here:")
    st.code("\n".join(ADDS), language=None, wrap_lines=True)
