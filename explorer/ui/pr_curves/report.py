"""The report view: one table, and the same numbers as files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.text import in_markdown
from explorer.tables import curves as curve_tables
from explorer.tables import report as report_files
from explorer.tables.results import mean_of_labels, missing_results
from explorer.ui.pr_curves import curves
from explorer.ui.shared import download
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View


def report_view(view: View) -> None:
    """The table on the page, and its downloads."""
    store, split = view.store, view.split
    with view.controls:
        curves.choose_fewest()
    few = curves.fewest()
    if notice := missing_results(store, split):
        st.warning(notice, icon=":material/warning:")
    frame = curve_tables.report_table(store, split, few)
    show_table(frame, hide_index=True, height="content")
    n = f"{len(store.rows(split)):,} {split} films, {store.manifest.title}, run {store.manifest.run_id}"
    note = (
        f"{n}. AP, AUROC and F1 with 95% intervals from leaving out patients in turn. Lift: AP over its baseline. "
        "F1 at the threshold of largest F1 on val. Baselines: a random ranking for AP, 0.5 for AUROC, predicting every "
        f"film positive for F1. {mean_of_labels(store, split).note} Fewer than {few} positives: too few to say."
    )
    st.caption(in_markdown(note, None))
    forest = curve_tables.report_forest(store, split, few)
    download.files(
        f"pr-{split}-{store.manifest.run_id}",
        [
            ("CSV", "csv", "text/csv", partial(report_files.report_csv, frame)),
            ("LaTeX", "tex", "text/plain", partial(report_files.report_latex, frame, note)),
            ("PNG", "png", "image/png", partial(report_files.report_picture, forest, note, "png")),
            ("SVG", "svg", "image/svg+xml", partial(report_files.report_picture, forest, note, "svg")),
        ],
        key="report",
    )
    st.caption(
        "PNG and SVG draw AP, AUROC and F1 of every label and regime with intervals, baselines and the same numbers."
    )
