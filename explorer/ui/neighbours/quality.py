"""How good neighbour lists are: do they share labels, do regimes agree on them, do hubs fill them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import hubness_agreement
from explorer.analysis.evidence import FEW
from explorer.analysis.hubness_agreement import HUB
from explorer.analysis.metrics import MACRO, MACRO_ALL
from explorer.analysis.retrieval import K
from explorer.figures.dots import dots
from explorer.tables import styles
from explorer.tables.labels import findings_text
from explorer.tables.results import Merit, merits
from explorer.tables.spaces import all_spaces, distinct_spaces, space_title
from explorer.ui.shared import choose, download
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.show import show_film, show_table

if TYPE_CHECKING:
    from explorer.store.manifest import SpaceKind, SpaceRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

TITLES = {
    "precision@10": "Precision at 10",
    "map": "Mean average precision",
    "ndcg@10": "NDCG at 10",
    "knn_average_precision": "kNN vote, AP",
    "knn_auroc": "kNN vote, AUROC",
}
SHOWN_HUBS = 6


def quality_view(view: View) -> None:
    """Every figure of the retrieval stage, for the split."""
    with view.controls:
        kind = choose.space_kind()
        metric = choose.pick_one("Figure", list(TITLES), "figure", TITLES)
    retrieval_by_label(view, kind, metric)
    retrieval_means(view)
    list_agreement(view)
    hub_films(view, kind)


def _merits(frame: pd.DataFrame) -> list[Merit]:
    numbers = frame[["value", "ci_low", "ci_high", "baseline"]].to_numpy(dtype=float)
    return [Merit(*row) for row in numbers.tolist()]


def _titled(store: Store, space: str) -> str:
    record = store.space(space)
    return f"{space_title(store, record)}, {record.kind}"


@panel
def retrieval_by_label(view: View, kind: SpaceKind, metric: str) -> None:
    """One figure of every label, one mark for each space."""
    store = view.store
    spaces = distinct_spaces(store, kind)
    names = {space.name: space_title(store, space) for space, _ in spaces}
    frame = store.tables.retrieval
    frame = frame[(frame["metric"] == metric) & (frame["split"] == view.split) & frame["space"].isin(list(names))]
    frame = frame[frame["label"] != MACRO].assign(series=frame["space"].map(names))
    best = frame.groupby("label")["value"].max().sort_values(ascending=False, na_position="last", kind="stable")
    frame = frame.sort_values("label", key=lambda labels: labels.map(list(best.index).index), kind="stable")
    marks = {names[space.name]: styles.of_space(store, space) for space, _ in spaces}
    by_vote = (
        "A film's score is the share of its nearest training films that have the label, weighted by likeness. "
        "Nothing is trained; k is chosen on val. Tick: a random ranking. In "
        "brackets, positives; grey: fewer than 5."
    )
    by_query = (
        f"Each {view.split} film that has the label asks for others of the split: other patients', of a comparable "
        "view, with the label known. Mean over these queries, with a 95% interval from resampling their patients. "
        "Tick: a random order. In brackets, queries; grey: fewer than 5."
    )
    download.figure(
        view,
        dots(frame, marks, TITLES[metric].lower(), few=FEW),
        download.About(
            (TITLES[metric], choose.SPACES[kind], view.split),
            download.films(view),
            by_vote if metric.startswith("knn") else by_query,
        ),
        lambda: frame,
        key="retrieval",
        alt=f"{TITLES[metric]} of every label, by space, against chance",
    )


@panel
def retrieval_means(view: View) -> None:
    """Means over all labels, every space, beside chance."""
    store = view.store
    frame = store.tables.retrieval
    mean = frame[(frame["label"] == MACRO) & (frame["split"] == view.split)]
    rows = []
    for space in all_spaces(store):
        cells = {"Space": _titled(store, space.name)}
        for metric, title in TITLES.items():
            one = mean[(mean["space"] == space.name) & (mean["metric"] == metric)]
            cells[title] = " · ".join(f"{m} · {m.baseline:.2f}" for m in _merits(one))
            if metric == "knn_average_precision":
                cells["k of the vote"] = ", ".join(one["k"].astype(str))
        rows.append(cells)
    st.subheader("Mean over all labels")
    show_table(pd.DataFrame(rows), hide_index=True)
    own = ", ".join(
        f"{regime.title} {merits(store, view.split)[regime.name, MACRO_ALL, 'average_precision']}"
        for regime in store.regimes
    )
    st.caption(
        f"Value [95% interval] · chance; each mean is over every label that has a figure, "
        f"over {len(store.rows(view.split)):,} films of {view.split}. "
        f"The heads' own mean AP, to compare with the kNN vote: {own}."
    )


@panel
def list_agreement(view: View) -> None:
    """How far two spaces name the same neighbours."""
    store = view.store
    frame = store.tables.retrieval
    frame = frame[(frame["other"] != "") & (frame["split"] == view.split)]
    shown = [space.name for space in all_spaces(store)]
    frame = frame[frame["space"].isin(shown) & frame["other"].isin(shown)]
    rows = []
    for (space, other), part in frame.groupby(["space", "other"], sort=False):
        cells = {"Space": _titled(store, str(space)), "and": _titled(store, str(other))}
        for metric, m in zip(part["metric"], _merits(part), strict=True):
            cells["Jaccard" if metric == "jaccard" else "Rank-biased overlap"] = f"{m} · {m.baseline:.3f}"
        rows.append(cells)
    st.subheader("Do the spaces agree?")
    show_table(pd.DataFrame(rows), hide_index=True)
    st.caption(
        f"Of the {K} nearest among all films: the share both lists hold (Jaccard), and the same with the first places "
        f"counting most (RBO, p = 0.9). Mean over the films of {view.split} [95% interval] · random lists. "
        "Regimes of one encoder share its embedding: there the agreement is whole by construction."
    )


def hub_films(view: View, kind: SpaceKind) -> None:
    """Films that are in unusually many neighbour lists."""
    st.subheader("Hubs")
    spaces = distinct_spaces(view.store, kind)
    for column, (space, _) in zip(st.columns(len(spaces), gap="medium"), spaces, strict=True):
        with column:
            st.markdown(f"**{space_title(view.store, space)}**")
            _skew(view.store, space)
            _top_hubs(view.store, space)
    st.caption(
        f"In how many films' {K} nearest a film stands (its k-occurrence; {K} on average). A hub stands {HUB:.0f} "
        "standard deviations above the mean: it comes up whatever is asked for, so its likeness says little."
    )


@panel
def _skew(store: Store, space: SpaceRecord) -> None:
    frame = store.tables.retrieval
    for m in _merits(frame[(frame["metric"] == "hubness_skew") & (frame["space"] == space.name)]):
        n = int(hubness_agreement.hubs(store.occurrences(space.name)).sum())
        st.markdown(f"Skew {m}, random lists {m.baseline:.2f}; {n:,} hubs among {store.n:,} films.")


@panel
def _top_hubs(store: Store, space: SpaceRecord) -> None:
    counts = store.occurrences(space.name)
    with st.container(horizontal=True, gap="small"):
        for row in np.argsort(-counts, kind="stable")[:SHOWN_HUBS].tolist():
            sample_id = str(store.samples["sample_id"].iat[row])
            with st.container(width=110, gap="xxsmall"):
                show_film(store, row, 110)
                st.caption(f"{counts[row]:,} lists · {findings_text(store, row)}")
                link("pages/case.py", sample_id, sample_id)
