"""The view of another hospital: what a label's prevalence there makes of a regime's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis.evidence import FEW
from explorer.data.text import plain
from explorer.figures.bands import by_prevalence
from explorer.tables import prior_shift, styles
from explorer.tables.labels import label_counts
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

METHOD = """
**What is assumed.** Films with the label look there as here, and so do films without it (label shift). Then sensitivity
and specificity at a threshold stay, and PPV, NPV and F1 follow by Bayes' rule. Milder disease, another scanner or
another way of labelling breaks this; no figure here can show that.

**Probability.** Platt scaling on val gives the odds of a film at val's prevalence. Elsewhere they are multiplied by the
ratio of both prevalences' odds. The interval takes the fit as uncertain, by patient.

**Best threshold.** The threshold here implies how a missed finding weighs against a false alarm: the probability at it.
The best one there has the same probability, recalibrated. Net benefit uses these weights in every column.

**Intervals.** Patients are resampled, the same for every prevalence; the prevalence there is taken as known.
Sensitivity and specificity have Wilson's interval. Sources: Saerens et al. 2002; Godau et al. 2025;
Vickers & Elkin 2006.
"""


def another_hospital(view: View) -> None:
    """One label: figures by prevalence in every regime, and one regime's here and there."""
    label = choose.label()
    with view.controls:
        regime = choose.regime(view)
        figure = choose.pick_one("Figure", list(prior_shift.FIGURES), "shifted", prior_shift.FIGURES)
    positive, negative, _ = label_counts(view.store, view.split, label)
    if positive < FEW or negative == 0:
        figure_title("Another hospital", label, view.split)
        st.info("Too few positives to say.", icon=":material/hourglass_empty:")
        return
    with st.container(width=420):
        percent = st.select_slider(
            "Prevalence there, %", prior_shift.PREVALENCES, format_func=lambda p: f"{p:g}", **address.control("there")
        )
    there = float(percent) / 100
    shifted = prior_shift.shifted(view.store, view.split, label, regime.name, there)
    if shifted is not None:
        st.markdown(shifted.sentence)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        _by_prevalence(view, label, figure, there)
    with right:
        _here_and_there(view, shifted, label, regime)
    choose.drawer("What is assumed, and how it is computed", "how", lambda: st.markdown(METHOD))


@panel
def _by_prevalence(view: View, label: str, figure: str, there: float) -> None:
    store, title = view.store, prior_shift.FIGURES[figure]
    every = _curves(store, view.split, label)
    if not every:
        st.info("Validation gave no regime a threshold of this label.", icon=":material/info:")
        return
    curves = {name: frame[frame["figure"] == figure] for name, frame in every.items()}
    marks = {"here": prior_shift.prevalence_here(store, view.split, label), "there": there}
    download.figure(
        view,
        by_prevalence(curves, styles.by_title(store), title, prior_shift.BASELINES[figure], marks),
        download.About(
            (f"{title} by prevalence", label, view.split),
            download.label_films(view, label),
            "Each regime at its threshold from val, had the label another prevalence; 95% bands that resample "
            "patients. Assumes that films with the label, and films without it, look there as here.",
            ("prior shift", "ppv", "npv"),
        ),
        lambda: pd.concat([frame.assign(regime=name) for name, frame in curves.items()]),
        key="by-prevalence",
        zoom=True,
        alt=f"{title} of {plain(label)} by prevalence in every regime",
    )


@panel
def _here_and_there(view: View, shifted: prior_shift.Shifted | None, label: str, regime: RegimeRecord) -> None:
    figure_title("Here and there", label, regime.title, view.split)
    if shifted is None:
        st.info("Validation gave this regime no threshold of this label.", icon=":material/info:")
        return
    show_table(shifted.table, hide_index=True, height="content")
    st.caption(
        "Value [95% interval]. The best threshold weighs harms as the threshold here does. Research use: none of this "
        "is a clinical threshold."
    )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _curves(store: Store, split: Split, label: str) -> dict[str, pd.DataFrame]:
    return prior_shift.curves(store, split, label)
