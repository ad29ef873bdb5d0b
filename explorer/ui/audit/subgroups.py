"""Subgroups: for whom a regime is worse, by what is known of the patient and of the film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.analysis.evidence import ENOUGH, FEW
from explorer.analysis.subgroups import EXCESS, FEWEST, OUTLYING
from explorer.data.text import in_markdown, plain
from explorer.figures.dots import dots
from explorer.store import layout
from explorer.tables import styles, subgroups
from explorer.ui.shared import address, choose, download, selection
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View


def subgroups_view(view: View) -> None:
    """One figure: the surest gap, one label in every group, all gaps, and a group's films."""
    view.store.file(layout.SUBGROUPS)  # a run of an earlier version has none of it: one notice, not one for each panel
    figure = choose.pick_one("Figure", list(subgroups.FIGURES), "figure", subgroups.FIGURES)
    _answer(view, figure)
    left, right = st.columns([5, 7], gap="medium")
    with left:
        _by_group(view, choose.label(), figure)
    with right:
        _gaps(view, figure)
    _films(view)


@panel
def _answer(view: View, figure: str) -> None:
    st.markdown(subgroups.gap_sentence(view.store, view.split, figure))


@panel
def _by_group(view: View, label: str, figure: str) -> None:
    store, title = view.store, subgroups.FIGURES[figure]
    frame = subgroups.figure_frame(store, view.split, label, figure)
    if frame["value"].isna().all():
        st.info(f"No group has a {title} of {in_markdown(label)} in {view.split}.")
        return
    limits = (-0.55, 0.55) if figure == EXCESS else (-0.01, 1.02)
    download.figure(
        view,
        dots(frame, styles.by_title(store), title, FEW, limits),
        download.About(
            (f"{title} by group", label, view.split),
            download.label_films(view, label),
            f"95% intervals that leave out patients in turn; in brackets, positive films. Groups have {FEWEST} films "
            "or more.",
        ),
        lambda: frame,
        key="subgroups",
        alt=f"{title} of {label} in every group",
    )
    st.caption(subgroups.NOTES[figure])


@panel
def _gaps(view: View, figure: str) -> None:
    table = subgroups.gap_table(view.store, view.split, figure)
    st.subheader("Gaps, the surest first")
    if len(table):
        show_table(table, hide_index=True)
    first = view.store.all_regimes[0].title
    st.caption(
        "A group's figure less that of the attribute's other films; of two groups the larger one is the other. 95% "
        "intervals, paired where a patient has films in both. \\* beyond chance, p adjusted by Holm over all gaps "
        f"of the regime. Change: less the gap of {in_markdown(first)}. Shown where both sides have {ENOUGH} patients "
        "of the kinds that the figure needs. A gap may come from how ill or how common the groups are, too."
    )


@panel
def _films(view: View) -> None:
    """One group's films, to look at or to take along."""
    store = view.store
    titles = subgroups.groups(store, view.split)
    if not titles:
        return
    with st.container(width=320):
        st.selectbox("Films of", list(titles), format_func=lambda name: plain(name, None), **address.control("group"))
    title = str(address.value("group"))
    attribute, group = titles[title]
    rows = subgroups.rows_of(store, view.split, attribute, group)
    if len(rows) == 0:
        st.caption("This run was made by another version, which parted films otherwise: run precompute again.")
        return
    selection.actions(view, rows, f"{title} in {view.split}", "subgroup")
    st.caption(_WAYS.format(percentile=OUTLYING))


_WAYS = (
    "Outlying: farther from the training films than {percentile:.0f}% of held-out ones. Report: up to the median "
    "number of words, or longer. Device: the label. `run --age-cuts` chooses the bands of age."
)
