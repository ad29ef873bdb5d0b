"""Slices: groups of films that nobody named, on which a regime errs more than elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.analysis.evidence import ENOUGH
from explorer.data.text import in_markdown, plain
from explorer.figures.dots import dots
from explorer.store import layout
from explorer.tables import slices, styles
from explorer.ui.shared import address, download, selection
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import gallery
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View

SHOWN = 8
"""Films of a slice in its gallery."""


def slices_view(view: View) -> None:
    """Whether any slice surely errs more, each slice's errors, one slice's films, and all slices."""
    view.store.file(layout.SLICES)  # a run of an earlier version has none of it: one notice, not one for each panel
    st.markdown(slices.answer(view.store))
    if not slices.titles(view.store):
        return
    left, right = st.columns([5, 7], gap="medium")
    with left:
        _beyond(view)
    with right:
        _films(view)
    _all(view)


@panel
def _beyond(view: View) -> None:
    store = view.store
    frame = slices.figure_frame(store)
    reach = float(frame[["value", "ci_low", "ci_high"]].abs().max().max()) * 1.05
    title = "Share with the answer less its probability"
    download.figure(
        view,
        dots(frame, styles.by_title(store), title, 0, (-reach, reach), counted="films that look like it"),
        download.About(
            ("Errors beyond probabilities",),
            f"n = {len(store.rows('test')):,} films of test",
            "Test films like a slice: how much more often they have its answer than their probabilities say, "
            "against other films. 95% intervals by patient; in brackets, films of the largest slice.",
        ),
        lambda: frame,
        key="slices",
        alt="Errors beyond probabilities of each label's slice in every regime",
    )
    st.caption("For each label, answer and regime, the slice that errs most surely in val. Right of 0: in test, too.")


@panel
def _films(view: View) -> None:
    """One slice's films, to look at or to take along."""
    store = view.store
    titles = slices.titles(store)
    with st.container(width=420):
        st.selectbox("Films of", list(titles), format_func=lambda name: plain(name, None), **address.control("slice"))
    title = str(address.value("slice"))
    record = store.tables.slices.set_index("slice").loc[titles[title]]
    rows = slices.rows_of(store, view.split, titles[title])
    st.markdown(f"Has more of: {in_markdown(slices.named_by(store, titles[title]), None)}")
    selection.actions(view, rows, f"{title} in {view.split}", "slice")
    first = rows[:SHOWN]
    st.caption(f"{len(first):,} of {len(rows):,} films in {view.split}, the largest error first.")
    gallery(store, first.tolist(), str(record["label"]), store.regime(str(record["regime"])), "slice")


@panel
def _all(view: View) -> None:
    st.subheader("Slices, the surest first")
    show_table(slices.slice_table(view.store), hide_index=True)
    st.caption(
        "A mixture over embedding and score is fitted to val films with one answer. Test films join by embedding "
        "alone, so their own errors do not choose them. Unknown labels take no part. Films near the other answer err "
        "more everywhere, and their probabilities say so. A slice therefore has to err beyond its probabilities, too: "
        "the share with this answer, of all films like the slice, less its mean probability, against other films. "
        "\\* both surely "
        f"above 0: p adjusted by Holm over all slices of the run, below {slices.LEVEL}. Slices have {ENOUGH} patients "
        "in val and in test, and as many outside. Wrong: on the wrong side of val's threshold. Named by what its "
        "patients in train and val have more of: how many, and how many times the share of all with that answer."
    )
