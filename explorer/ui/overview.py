"""Panels of the overview page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis.evidence import FEW
from explorer.data.samples import SPLITS
from explorer.data.text import in_markdown
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.figures.dots import dots
from explorer.figures.style import regime_style
from explorer.tables.labels import ONE_LABEL, cooccurrence_in_split, label_table
from explorer.tables.results import (
    METRIC_TITLES,
    mean_of_labels,
    metric_frame,
    metric_summary,
    missing_results,
    regime_table,
)
from explorer.tables.spaces import distinct_spaces
from explorer.tables.training import fine_tune_start
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View


@panel
def introduction(view: View) -> None:
    """What this is, and what the set holds."""
    store = view.store
    regimes = ", ".join(regime.title for regime in store.regimes)
    labels = "1 label" if len(store.labels) == 1 else f"{len(store.labels)} labels"
    st.markdown(
        f"A vision-language model reads {store.n:,} chest films for {labels} in "
        f"{len(store.regimes)} regimes: {regimes}. These pages show where its embeddings separate the labels, where "
        "they do not, and how sure one can be."
    )
    with st.container(horizontal=True):
        patients = store.samples.groupby("split")["patient_id"].nunique()
        for split in SPLITS:
            n = len(store.rows(split))
            st.metric(
                f"{split} films",
                f"{n:,}",
                f"{patients.get(split, 0):,} patients",
                delta_color="off",
                delta_arrow="off",
            )
        st.metric(
            "films left out",
            f"{store.manifest.dataset.n_skipped:,}",
            f"of {store.manifest.dataset.n_read:,} read",
            delta_color="off",
            delta_arrow="off",
        )


@panel
def results(view: View) -> None:
    """Every regime's macro figures, one metric label by label, and what they say."""
    store, split = view.store, view.split
    st.subheader(f"Results on {split}")
    if notice := missing_results(store, split):
        st.warning(notice, icon=":material/warning:")
    mean = mean_of_labels(store, split)
    show_table(regime_table(store, split, mean.name), hide_index=True)
    st.caption(
        f"{mean.note} Each with its 95% interval from leaving out patients in turn, then its trivial baseline. "
        f"{len(store.rows(split)):,} films. Precision, recall and F1 at thresholds chosen on val."
    )
    for regime in store.regimes:
        if store.training(regime.name).get("best_epoch") == 0:
            st.warning(
                f"No epoch of {regime.title} had a lower loss on val than its start, {fine_tune_start(store)}, "
                "which was kept in its place: it learnt nothing. Try more epochs, or another learning rate.",
                icon=":material/warning:",
            )


@panel
def metric_by_label(view: View, metric: str) -> None:
    """One metric of every label and regime, and one paragraph of what it says."""
    store, split = view.store, view.split
    styles = {regime.title: regime_style(i) for i, regime in enumerate(store.regimes)}
    frame = metric_frame(store, split, metric)
    st.markdown(metric_summary(store, split, metric))
    figure_title(METRIC_TITLES[metric], split)
    st.plotly_chart(
        dots(frame, styles, METRIC_TITLES[metric], FEW),
        key="dots",
        alt=f"{METRIC_TITLES[metric]} of each label and regime with 95% intervals and baselines",
    )
    st.caption(
        f"In brackets the positives in {split}. Whiskers are 95% intervals, the grey tick is the trivial baseline; "
        f"grey marks have fewer than {FEW} positives."
    )


@panel
def labels(view: View) -> None:
    """How often each label occurs, and which occur together."""
    store, split = view.store, view.split
    st.subheader(f"Labels in {split}")
    frame = label_table(store, split)
    bar = st.column_config.ProgressColumn(
        "Prevalence", min_value=0, max_value=float(frame["Prevalence"].max()), format="%.1f%%", width=110
    )
    show_table(frame, hide_index=True, column_config={"Prevalence": bar}, height="content")
    st.caption(
        f"Prevalence in {split}, over films where the label is known. Counts are positive / negative / unknown; "
        "unknown never counts as negative."
    )
    st.subheader(f"Labels together in {split}")
    if len(store.labels) == 1:
        st.markdown(ONE_LABEL)
        return
    share, together, order = cooccurrence_in_split(store, split)
    st.plotly_chart(cooccurrence_heatmap(share, together, order), key="together", alt="How often labels occur together")
    st.caption(f"Of the {split} films with the row's label, the percentage that also has the column's; blank is none.")


@panel
def provenance(view: View) -> None:
    """The run's origin: films, labels, weights and settings."""
    store = view.store
    manifest = store.manifest
    shared = [(s, titles) for s, titles in distinct_spaces(store, "embedding") if len(titles) > 1]
    for _, titles in shared:
        st.info(
            f"{' and '.join(titles)} use one frozen encoder. Their embeddings, maps and neighbours in the embedding "
            "space are the same by construction; only their decision spaces differ.",
            icon=":material/info:",
        )
    st.subheader("Where it came from")
    sources = [("Films", manifest.dataset.name, manifest.dataset.source, manifest.dataset.licence)]
    sources += [(f"Encoder {e.id}", e.title, e.source, e.licence) for e in manifest.encoders]
    show_table(pd.DataFrame(sources, columns=["", "Name", "Source", "Licence"]), hide_index=True)
    st.caption(
        f"Labels: {in_markdown(manifest.dataset.label_origin, 200)}. "
        f"Split: {in_markdown(manifest.dataset.split_origin, 200)}. The model sees {store.fit('frozen').words}. "
        f"Run {in_markdown(manifest.run_id)}, made {in_markdown(manifest.created)}, seed {manifest.seed}."
    )
    if len(store.tables.skipped):
        with st.expander(f"Films left out, and why ({len(store.tables.skipped):,})"):
            show_table(store.tables.skipped, hide_index=True)
