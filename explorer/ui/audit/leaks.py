"""Leaks: patients and copies in two splits at once, and the figures without them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.leaks import crossing, leaking, without
from explorer.analysis.metrics import Scored
from explorer.data.text import in_markdown
from explorer.figures.style import difference_with_interval, number, with_interval
from explorer.tables.labels import findings_text
from explorer.tables.results import METRIC_TITLES
from explorer.ui.shared import choose
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.show import show_film, show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

PAGE = 6
KINDS = {
    "exact": "same pixels",
    "near": "near copy",
    "alike": "alike, no copy",
}
COUNTED = ["", "in two splits", "of"]
SOUGHT_BEFORE = "This run was made before mirrored, turned, stretched and negative copies were sought; run it again."
"""For a run that does not say what was sought."""


def leaks_view(view: View) -> None:
    """Counts, figures with and without, and the pairs side by side."""
    store, split = view.store, view.split
    splits = store.samples["split"].to_numpy(object)
    counts = _counts(store, splits)
    if not store.has_films:
        st.markdown(_answer(counts))
        raise store.left_out("pixels", "no pictures to seek copies among")
    pairs = store.audit.copies
    copies = pairs[pairs["kind"] != "alike"][["a", "b"]].to_numpy(dtype=np.int64)
    leaks = leaking(copies, splits, split)
    counts = pd.concat([counts, _copies(pairs, splits)], ignore_index=True)
    st.markdown(_answer(counts))
    if len(leaks):
        st.subheader(f"Figures on {split} with and without films copied in another split ({len(leaks):,})")
        _figures(view)
    _pairs(store, pairs, splits)
    choose.drawer("What was sought, and how", "sought", partial(_sought, store, counts))


@panel
def _figures(view: View) -> None:
    enough = view.store.manifest.macro_patients
    show_table(_with_and_without(view.store, view.split), hide_index=True, height="content")
    st.caption(
        f"Mean over the labels with {enough} positive and {enough} negative patients without the copies; over "
        "those with both classes if none has so many. Both means are over the same labels. 95% interval from "
        "leaving out patients in turn. Baseline last."
    )


def _counts(store: Store, splits: np.ndarray) -> pd.DataFrame:
    """Of patients and studies: how many lie in two splits, of how many."""
    patients, studies = (store.samples[column].to_numpy(object) for column in ("patient_id", "study_id"))
    views = store.samples.groupby("study_id")["view"].nunique()
    several, apart = set(views.index[views > 1]), crossing(studies, splits)
    lines: list[tuple[str, int, int]] = [
        ("patients", len(crossing(patients, splits)), len(set(patients))),
        ("studies", len(apart), len(set(studies))),
        ("studies with several views", len(several.intersection(apart)), len(several)),
    ]
    return pd.DataFrame(lines, columns=COUNTED)


def _copies(pairs: pd.DataFrame, splits: np.ndarray) -> pd.DataFrame:
    """Of pairs of copies: how many lie in two splits, of how many."""
    a, b = (splits[pairs[side].to_numpy(np.int64)] for side in "ab")
    lines = []
    for kind in ("exact", "near"):
        mine = (pairs["kind"] == kind).to_numpy()
        lines.append((f"{kind} copies", int((mine & (a != b)).sum()), int(mine.sum())))
    return pd.DataFrame(lines, columns=COUNTED)


def _answer(counts: pd.DataFrame) -> str:
    """One sentence of at most 25 words, as Markdown."""
    parts = [f"**{across:,}** of {of:,} {what}" for what, across, of in counts.itertuples(index=False)]
    return f"In two splits: {', '.join((*parts[:2], *parts[3:]))}."


@panel
def _sought(store: Store, counts: pd.DataFrame) -> None:
    rule = store.audit.copy_rule
    show_table(counts, hide_index=True)
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
                show_film(store, row, 148)
                st.caption(f"**{in_markdown(sample_id)}** · {splits[row]}  \n{findings_text(store, row)}")
                link("pages/case.py", "Case", sample_id)
    crosses = ", across splits" if splits[int(pair["a"])] != splits[int(pair["b"])] else ""
    likeness = (
        f"Detail {number(pair['correlation'])}, cosine {number(pair['similarity'], 3)}, "
        f"hash {int(pair['hash_bits'])} of 576 bits apart"
        if pair["kind"] != "exact"
        else None
    )
    st.markdown(f"**{KINDS[pair['kind']]}**{crosses}", help=likeness)


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
