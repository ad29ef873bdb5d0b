"""The PR page's panels: one label large, every label small, and the figures in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from explorer import figures
from explorer.analysis.metrics import MACRO
from explorer.ui import derive

if TYPE_CHECKING:
    from pathlib import Path

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.frame import View

COLUMNS = 4


def one_label(view: View, label: str) -> None:
    """A label's counts, its curves and its figures; counts alone where there are too few positives."""
    store, split = view.store, view.split
    positive, negative, unknown = derive.counts(store, split, label)
    st.markdown(f"**{label}** in {split}: {positive:,} positive, {negative:,} negative, {unknown:,} unknown.")
    if positive < derive.FEW:
        st.info(
            f"Fewer than {derive.FEW} positives: too few to say. No curve is drawn.",
            icon=":material/hourglass_empty:",
        )
        return
    st.plotly_chart(
        _large(store.path, store.manifest.created, split, label, store),
        key="curve",
        alt=f"Precision-recall curves of every regime for {label}",
    )
    st.caption(
        "In brackets, average precision with its 95% interval. Marks are operating points at the threshold chosen on "
        "val; the dashed grey line is what a random ranking reaches."
    )


def table(view: View, label: str) -> None:
    """The label's figures, then the mean over labels."""
    parts = [derive.regime_table(view.store, view.split, name) for name in (label, MACRO)]
    st.dataframe(pd.concat(parts), hide_index=True)
    st.caption(
        "Value [95% interval from resampling patients] · trivial baseline. Precision, recall and F1 at the threshold "
        "chosen on val."
    )


def all_labels(view: View) -> None:
    """Every label's curves on shared axes, the most frequent first; a click on a mark opens its label."""
    store = view.store
    st.subheader("All labels")
    st.plotly_chart(
        _small(store.path, store.manifest.created, view.split, store),
        key="small",
        on_select=lambda: _open_label(view),
        selection_mode="points",
        config={"displayModeBar": False},
        alt="Precision-recall curves of every label",
    )
    st.caption(
        "By falling prevalence. Click an operating point to open its label. "
        f"Labels with fewer than {derive.FEW} positives show no curve."
    )


def _open_label(view: View) -> None:
    points = st.session_state["small"]["selection"]["points"]
    named = [str(np.ravel(point["customdata"])[0]) for point in points if "customdata" in point]
    if named and named[0] in view.store.labels:
        st.session_state["label"] = named[0]


@st.cache_data(max_entries=64, show_spinner=False)
def _large(path: Path, made: str, split: Split, label: str, _store: Store) -> go.Figure:
    found = derive.merits(_store, split)
    curves, styles = [], []
    for i, regime in enumerate(_store.regimes):
        name = f"{regime.title} ({found[regime.name, label, 'average_precision']})"
        curves.append(derive.curve(_store, split, regime, label, name, points=400))
        styles.append(figures.regime_style(i))
    positive, negative, _ = derive.counts(_store, split, label)
    return figures.pr_curves(curves, styles, positive / (positive + negative))


@st.cache_data(max_entries=8, show_spinner="Drawing every label")
def _small(path: Path, made: str, split: Split, _store: Store) -> go.Figure:
    panels = []
    for label in derive.by_prevalence(_store, split):
        positive, negative, unknown = derive.counts(_store, split, label)
        note = f"+ {positive:,}  − {negative:,}" + (f"  ? {unknown:,}" if unknown else "")
        enough = positive >= derive.FEW
        drawn = [derive.curve(_store, split, r, label, r.title, points=80) for r in _store.regimes] if enough else []
        panels.append(figures.Panel(label, note, tuple(drawn), positive / max(positive + negative, 1)))
    styles = [figures.regime_style(i) for i in range(len(_store.regimes))]
    return figures.pr_multiples(panels, styles, COLUMNS)
