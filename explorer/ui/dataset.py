"""Panels of the page about the set: its films, its labels and where it came from."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.data.samples import SPLITS
from explorer.data.text import in_markdown
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.store.manifest import FROZEN
from explorer.tables.glossary import hint
from explorer.tables.labels import ONE_LABEL, cooccurrence_frame, cooccurrence_in_split, label_table
from explorer.tables.spaces import distinct_spaces
from explorer.ui.shared import download
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View


@panel
def films(view: View) -> None:
    """How many films and patients each split has, and how many films were left out."""
    store, dataset = view.store, view.store.manifest.dataset
    patients = store.samples.groupby("split")["patient_id"].nunique()
    splits = ", ".join(
        f"**{len(store.rows(split)):,} {split}** ({patients.get(split, 0):,} patients)" for split in SPLITS
    )
    st.markdown(f"{store.n:,} films: {splits}. Left out: {dataset.n_skipped:,} of {dataset.n_read:,} read.")


@panel
def labels(view: View) -> None:
    """How often each label occurs, and which occur together."""
    store, split = view.store, view.split
    st.subheader(f"Labels in {split}", help=hint("prevalence"))
    frame = label_table(store, split)
    bar = st.column_config.ProgressColumn(
        "Prevalence", min_value=0, max_value=float(frame["Prevalence"].max()), format="%.1f%%", width=110
    )
    show_table(frame, hide_index=True, column_config={"Prevalence": bar}, height="content")
    st.caption(
        f"Prevalence in {split}, over films where the label is known. Counts are positive / negative / unknown; "
        "unknown never counts as negative."
    )
    if len(store.labels) == 1:
        st.markdown(ONE_LABEL)
        return
    share, together, order = cooccurrence_in_split(store, split)
    download.figure(
        view,
        cooccurrence_heatmap(share, together, order),
        download.About(
            ("Labels together", split),
            download.films(view),
            f"Of the {split} films with the row's label, the percentage that also has the column's; blank is none.",
        ),
        lambda: cooccurrence_frame(share, together, order),
        key="together",
        alt="How often labels occur together",
    )


@panel
def provenance(view: View) -> None:
    """The run's origin: films, labels, weights and settings."""
    store = view.store
    manifest = store.manifest
    shared = [(s, titles) for s, titles in distinct_spaces(store, "embedding") if len(titles) > 1]
    st.subheader("Where it came from")
    sources = [("Films", manifest.dataset.name, manifest.dataset.source, manifest.dataset.licence)]
    sources += [(f"Encoder {e.id}", e.title, _without_folder(e.source), e.licence) for e in manifest.encoders]
    show_table(pd.DataFrame(sources, columns=["", "Name", "Source", "Licence"]), hide_index=True)
    same = "".join(
        f"{' and '.join(titles)} use one frozen encoder: only their decision spaces differ. " for _, titles in shared
    )
    frozen = store.encoder("frozen")
    origin = in_markdown(frozen.precision_origin, 200)
    lower = "" if frozen.precision == "float32" else f"Embedded in {frozen.precision}: {origin}. "
    st.caption(
        f"{same}Labels: {in_markdown(manifest.dataset.label_origin, 200)}. "
        f"Split: {in_markdown(manifest.dataset.split_origin, 200)}. {_seen(store)} "
        f"{lower}Run {in_markdown(manifest.run_id)}, made {in_markdown(manifest.created)}, seed {manifest.seed}."
    )
    if len(store.tables.skipped):
        with st.expander(f"Films left out, and why ({len(store.tables.skipped):,})"):
            show_table(store.tables.skipped, hide_index=True)


def _seen(store: Store) -> str:
    """What of a film became its embedding."""
    if "weights" in store.manifest.never_had:
        return "The embeddings were made elsewhere: how films were brought to the model is not known here."
    return f"The model sees {store.fit(FROZEN).words}."


def _without_folder(source: str) -> str:
    """An encoder's source; of a folder on the machine that made the run, its name alone."""
    kind, _, path = source.partition(":")
    return f"{kind}:{PurePath(path).name}" if kind == "local-dir" else source
