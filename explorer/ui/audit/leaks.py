"""Leaks: patients and copies in two splits at once, and the figures without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.leaks import crossing, leaking, without
from explorer.analysis.metrics import Scored
from explorer.data.text import in_markdown, plain
from explorer.figures.style import difference_with_interval, number, with_interval
from explorer.tables.labels import findings_text
from explorer.tables.results import METRIC_TITLES
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

PAGE = 6
KINDS = {
    "exact": "same pixels",
    "near": "near copy",
    "alike": "no copy: among the most alike",
}
SOUGHT_BEFORE = "This run was made before mirrored, turned, stretched and negative copies were sought; run it again."
"""For a run that does not say what was sought."""


def leaks_view(view: View) -> None:
    """Counts, figures with and without, and the pairs side by side."""
    store, split = view.store, view.split
    splits = store.samples["split"].to_numpy(object)
    pairs = store.audit.copies
    copies = pairs[pairs["kind"] != "alike"][["a", "b"]].to_numpy(dtype=np.int64)
    leaks = leaking(copies, splits, split)
    _counts(store, splits, pairs)
    _rule(store)
    if len(leaks):
        st.subheader(f"Figures on {split} with and without films copied in another split ({len(leaks):,})")
        _figures(view)
    else:
        st.success(f"Of the kinds of copies sought, no film of {split} has one in another split.")
    st.subheader("Pairs")
    _pairs(store, pairs, splits)


@panel
def _figures(view: View) -> None:
    enough = view.store.manifest.macro_patients
    show_table(_with_and_without(view.store, view.split), hide_index=True, height="content")
    st.caption(
        f"Mean over the labels with {enough} positive and {enough} negative patients without the copies; over "
        "those with both classes if none has so many. Both means are over the same labels. 95% interval from "
        "leaving out patients in turn. Baseline last."
    )


@panel
def _counts(store: Store, splits: np.ndarray, pairs: pd.DataFrame) -> None:
    a, b = (splits[pairs[side].to_numpy(np.int64)] for side in "ab")
    with st.container(horizontal=True):
        for what, column in (("patients", "patient_id"), ("studies", "study_id")):
            groups = store.samples[column].to_numpy(object)
            _count(f"{what} in two splits", len(crossing(groups, splits)), f"of {len(set(groups)):,}")
        views = store.samples.groupby("study_id")["view"].nunique()
        apart = crossing(store.samples["study_id"].to_numpy(object), splits)
        several = views.index[views > 1]
        _count("studies split by view", len(set(apart) & set(several)), f"of {len(several):,} with several views")
        for kind, title in (("exact", "exact copies"), ("near", "near copies")):
            mine = (pairs["kind"] == kind).to_numpy()
            _count(f"{title} across splits", int((mine & (a != b)).sum()), f"of {int(mine.sum()):,} found")


def _count(title: str, value: int, of: str) -> None:
    st.metric(title, f"{value:,}", of, delta_color="off", delta_arrow="off")


@panel
def _rule(store: Store) -> None:
    rule = store.audit.copy_rule
    st.caption(
        "Same pixels: SHA-256 of the decoded film. Near copies: pairs proposed by a perceptual hash of the film's "
        f"variants, then registered and compared in coarse and fine detail ({rule['n_pairs']:,} pairs). A copy from "
        f"correlation {rule['threshold']:.2f}, {rule['rule']}. Only pairs of different patients. "
        + rule.get("limits", SOUGHT_BEFORE)
    )


@panel
def _pairs(store: Store, pairs: pd.DataFrame, splits: np.ndarray) -> None:
    if pairs.empty:
        st.caption("No two patients' films agree even in coarse detail.")
        return
    order = {"exact": 0, "near": 1, "alike": 2}
    pairs = pairs.assign(place=pairs["kind"].map(order)).sort_values(
        ["place", "correlation"], ascending=[True, False], kind="stable"
    )
    pages = -(-len(pairs) // PAGE)
    number = st.pagination(pages, key="pairs-page") if pages > 1 else 1
    shown = pairs.iloc[(number - 1) * PAGE : number * PAGE]
    with st.container(horizontal=True, gap="medium"):
        for pair in shown.to_dict("records"):
            with st.container(width=306, gap="small"):
                _pair(store, {str(key): value for key, value in pair.items()}, splits)


def _pair(store: Store, pair: dict[str, Any], splits: np.ndarray) -> None:
    """Two films side by side, and how alike they are."""
    with st.container(horizontal=True, gap="xxsmall"):
        for row in (int(pair["a"]), int(pair["b"])):
            with st.container(width=148, gap="xxsmall"):
                sample_id = str(store.samples["sample_id"].iat[row])
                st.image(store.thumbnail(row), width=148, alt=f"Film {plain(sample_id)}")
                st.caption(f"**{in_markdown(sample_id)}** · {splits[row]}  \n{findings_text(store, row)}")
                link("pages/case.py", "Case", sample_id)
    crosses = ", across splits" if splits[int(pair["a"])] != splits[int(pair["b"])] else ""
    text = f"**{KINDS[pair['kind']]}**{crosses}"
    if pair["kind"] != "exact":
        text += (
            f"  \ndetail {number(pair['correlation'])} · cosine {number(pair['similarity'], 3)} · "
            f"hash {int(pair['hash_bits'])} of 576 bits apart"
        )
    st.markdown(text)


@st.cache_data(max_entries=8, show_spinner="Scoring with and without the copies", hash_funcs=HASH_FUNCS)
def _with_and_without(store: Store, split: Split) -> pd.DataFrame:
    rows = store.rows(split)
    pairs = store.audit.copies
    copies = pairs[pairs["kind"] != "alike"][["a", "b"]].to_numpy(dtype=np.int64)
    leaks = leaking(copies, store.samples["split"].to_numpy(object), split)
    scored = {
        r.name: Scored(np.asarray(store.logits(r.name)[rows]), store.threshold_array(r.name)) for r in store.regimes
    }
    frame = without(
        store.labels,
        store.targets[rows],
        scored,
        store.patients[rows],
        np.isin(rows, leaks),
        store.manifest.macro_patients,
    )
    lines = []
    for regime in store.regimes:
        for metric in ("average_precision", "auroc"):
            mine = frame[(frame["regime"] == regime.name) & (frame["metric"] == metric)].set_index("which")
            labels = f"{mine['n_labels'].iloc[0]} of {len(store.labels)}"
            line = {"Regime": regime.title, "Metric": METRIC_TITLES[metric], "Labels": labels}
            for which, cells in mine.to_dict("index").items():
                value, low, high = cells["value"], cells["ci_low"], cells["ci_high"]
                if which == "difference":
                    line["Difference"] = difference_with_interval(value, low, high, 3)
                else:
                    text = with_interval(value, low, high)
                    line[f"{str(which).capitalize()} (n = {cells['n']:,})"] = f"{text} · {cells['baseline']:.2f}"
            lines.append(line)
    return pd.DataFrame(lines)
