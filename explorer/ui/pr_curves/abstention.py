"""The abstention view: what is gained where a regime keeps silent on the films it is least sure of, and on whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis.evidence import ENOUGH, FEW
from explorer.data.text import in_markdown, plain
from explorer.figures.bands import risk_coverage
from explorer.figures.dots import dots
from explorer.tables import abstention
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

METHOD = """
**Error.** A film whose prediction, at the threshold from val, is not its label. Unknown labels are left out.

**Abstaining by.** *Calibrated probability*: Platt scaling on val; nearest to 0.5 first. *Distance to the threshold*: in
logits. *Agreement of regimes*: the standard deviation of calibrated probabilities over the run's regimes, largest
first. *Out-of-distribution percentile*: the audit's, farthest from the training films first.

**Areas.** AURC: mean over coverages of the errors among films kept. AUGRC: the same as a share of all films, so that a
few sure films do not count as much as all. Random abstention has half the error, a perfect one half its square.

**Intervals.** Patients are left out in turn, the same for every way, so that differences are paired. Sources: Geifman &
El-Yaniv 2017; Traub et al. 2024.
"""


def abstention_view(view: View) -> None:
    """One label in one regime: risk by coverage, the ways compared, and who is left to the reader."""
    label = choose.label()
    with view.controls:
        regime = choose.regime(view)
    one = _abstention(view.store, view.split, label, regime.name)
    if one is None or one.units < FEW:
        st.info(
            f"{in_markdown(regime.title)}, {in_markdown(label)}: fewer than {FEW} patients with an error, or "
            "without one. Too few to say.",
            icon=":material/hourglass_empty:",
        )
    else:
        _of_one_label(view, one, label, regime)
    choose.drawer("Every label", "table", lambda: _every_label(view, regime))
    choose.drawer("How it is computed", "how", lambda: st.markdown(METHOD))


def _of_one_label(view: View, one: abstention.Abstention, label: str, regime: RegimeRecord) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=320):
            ways = {way: abstention.WAYS[way] for way in one.confidences}
            st.selectbox("Abstain by", list(ways), format_func=ways.__getitem__, **address.control("way"))
        with st.container(width=320):
            percent = st.slider("Films kept, %", 10, 99, step=1, **address.control("coverage"))
    way, coverage = str(address.value("way")), percent / 100
    st.markdown(abstention.sentence(one, label, regime.title, way, coverage))
    left, right = st.columns([6, 5], gap="medium")
    with left:
        _curve(view, one, label, regime, way, coverage)
    with right:
        _groups(view, one, label, regime, way, coverage)
    _compared(view, label, regime)


@panel
def _curve(view: View, one: abstention.Abstention, label: str, regime: RegimeRecord, way: str, coverage: float) -> None:
    curves = _curves(view.store, view.split, label, regime.name)
    titled = {abstention.WAYS[way]: frame for way, frame in curves.items()}
    styles = {abstention.WAYS[way]: style for way, style in abstention.STYLES.items()}
    download.figure(
        view,
        risk_coverage(titled, styles, abstention.WAYS[way], float(one.loss.mean()), coverage),
        download.About(
            ("Risk and coverage", label, regime.title, view.split),
            download.label_films(view, label),
            "Errors among the films kept as the least sure are left to a reader; the chosen way's 95% band leaves out "
            "patients in turn. Random abstention stays on the dashed line.",
            ("coverage", "augrc"),
        ),
        lambda: pd.concat([frame.assign(abstaining_by=title) for title, frame in titled.items()]),
        key="risk-coverage",
        zoom=True,
        alt=f"Errors of {plain(regime.title)} on {plain(label)} by coverage",
    )


@panel
def _groups(
    view: View, one: abstention.Abstention, label: str, regime: RegimeRecord, way: str, coverage: float
) -> None:
    frame = abstention.kept_by_group(view.store, view.split, one, way, coverage)
    title = abstention.WAYS[way]
    st.markdown(abstention.group_sentence(frame))
    download.figure(
        view,
        dots(frame, {title: abstention.STYLES[way]}, "share of films kept", 1),
        download.About(
            ("Films kept by group", label, regime.title, view.split),
            f"n = {len(one.rows):,} {view.split} films with a known label",
            "95% intervals that leave out patients in turn; in brackets, films. The tick is the share of all films.",
        ),
        lambda: frame.rename(columns={"n_pos": "films"}),
        key="kept",
        alt=f"Share of films kept by group, abstaining by {title.lower()}",
    )


@panel
def _compared(view: View, label: str, regime: RegimeRecord) -> None:
    frame = _compare(view.store, view.split, label, regime.name)
    show_table(abstention.compare_table(frame), hide_index=True, height="content")
    chance, optimum = frame[["chance", "optimum"]].iloc[0]
    st.caption(
        f"Lower is better. AUGRC at chance {chance:.4f}, at best {optimum:.4f}. Value [95% interval]; differences are "
        "paired by patient. Research use: no coverage here is a clinical rule."
    )


@panel
def _every_label(view: View, regime: RegimeRecord) -> None:
    show_table(_every(view.store, view.split, regime.name), hide_index=True, height="content")
    st.caption(
        f"AUGRC less that of random abstention, {in_markdown(regime.title)}, {view.split}: below 0 is better than "
        f"chance. Labels with fewer than {ENOUGH} patients with an error, or without one: too few to say."
    )


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _abstention(store: Store, split: Split, label: str, regime: str) -> abstention.Abstention | None:
    return abstention.abstention(store, split, label, regime)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _curves(store: Store, split: Split, label: str, regime: str) -> dict[str, pd.DataFrame]:
    one = _abstention(store, split, label, regime)
    return {} if one is None else abstention.curves(one)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _compare(store: Store, split: Split, label: str, regime: str) -> pd.DataFrame:
    one = _abstention(store, split, label, regime)
    return pd.DataFrame() if one is None else abstention.compare(one)


@st.cache_data(max_entries=16, show_spinner="Measuring every label", hash_funcs=HASH_FUNCS)
def _every(store: Store, split: Split, regime: str) -> pd.DataFrame:
    return abstention.every_label(store, split, regime)
