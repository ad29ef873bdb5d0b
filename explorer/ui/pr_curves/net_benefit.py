"""Net benefit of acting on a regime's predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from explorer.analysis.calibration import fit
from explorer.analysis.evidence import FEW
from explorer.analysis.operating import net_benefit
from explorer.data.text import plain
from explorer.figures import thresholds as threshold_figures
from explorer.tables import styles
from explorer.tables.labels import label_counts
from explorer.ui.shared import download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.show import figure_title

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View


@st.fragment
def decision_curves(view: View, label: str) -> None:
    """Net benefit of acting on each regime."""
    with errors_shown():
        store = view.store
        positive, negative, _ = label_counts(store, view.split, label)
        if positive < FEW or negative == 0:
            figure_title("Net benefit", label, view.split)
            st.info("Too few positives to say.", icon=":material/hourglass_empty:")
            return
        curves, figure = _decision(store, view.split, label)
        download.figure(
            view,
            figure,
            download.About(
                ("Net benefit", label, view.split),
                download.label_films(view, label),
                "Net benefit (Vickers & Elkin 2006): true positives less false ones, these weighted by p / (1 − p) at "
                f"threshold probability p, per film; 95% bands. {positive:,} positive, {negative:,} negative. A regime "
                "has a benefit where it lies above both grey lines: all and no films predicted positive. "
                "Probabilities by Platt scaling on val.",
                ("net benefit",),
            ),
            lambda: pd.concat([frame.assign(regime=regime) for regime, frame in curves.items()]),
            key="decision",
            zoom=True,
            alt=f"Net benefit of every regime for {plain(label)}",
        )


@st.cache_resource(max_entries=64, show_spinner="Measuring net benefit", hash_funcs=HASH_FUNCS)
def _decision(store: Store, split: Split, label: str) -> tuple[dict[str, pd.DataFrame], go.Figure]:
    """Each regime's net benefit, and their figure."""
    c = store.labels.index(label)
    rows, val = store.rows(split), store.rows("val")
    targets = store.targets[rows, c]
    prevalence = float(np.nanmean(targets))
    at = np.linspace(0.01, min(0.95, max(0.3, 3 * prevalence)), 40)
    curves = {}
    for regime in store.regimes:
        logits = store.logits(regime.name)
        p = fit("platt", store.targets[val, c], logits[val, c])(np.asarray(logits[rows, c]))
        curves[regime.title] = net_benefit(targets, p, store.patients[rows], at, seed=store.manifest.seed)
    return curves, threshold_figures.decision_curve(curves, styles.of_regimes(store))
