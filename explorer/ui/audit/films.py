"""The films to look at: those unlike the training films, and those the regimes find hard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.hard_cases import confident_errors, disagreement
from explorer.analysis.operating import wilson
from explorer.analysis.outliers import DISTANCES, OUTLYING
from explorer.data.samples import SPLITS
from explorer.data.text import in_markdown
from explorer.figures.audit import percentile_histogram
from explorer.figures.style import number
from explorer.tables.labels import label_states
from explorer.ui.shared import choose, download, selection
from explorer.ui.shared.filter import narrowed
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import gallery
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

SHOWN = 12
DISTANCE_TITLES = {"knn": "10th neighbour", "mahalanobis": "Mahalanobis"}


def outliers_view(view: View) -> None:
    """How far out each split's films lie, and the most outlying ones."""
    store, split = view.store, view.split
    percentiles = store.audit.outlyingness
    name = choose.pick_one("Distance", list(DISTANCES), "distance", DISTANCE_TITLES)
    column = np.asarray(percentiles[:, DISTANCES.index(name)])
    left, right = st.columns([7, 5], gap="medium")
    with left:
        about = download.About(
            ("How far out films lie", f"{DISTANCE_TITLES[name]} distance"),
            f"n = {store.n:,} films of {len(SPLITS)} splits",
            f"Share of each split's films by percentile among held-out training films; the line is percentile "
            f"{OUTLYING:.0f}. Films like the training films would lie on the dotted line.",
        )
        download.heading(
            view,
            about,
            lambda: [download.panel(_histogram(store, column))],
            lambda: store.samples[["sample_id", "split"]].assign(percentile=column),
            key="percentiles",
        )
        download.draw_to_zoom(_histogram(store, column), key="percentiles", alt="Films of each split by percentile")
    with right:
        show_table(_outlying_table(store), hide_index=True, height="content")
        st.caption(
            f"Films from percentile {OUTLYING:.0f} on, with a 95% Wilson interval; 1% is what films like the training "
            "films would give."
        )
    st.caption(
        "Cosine distance to the 10th nearest training film, or Mahalanobis distance (Ledoit-Wolf covariance), in the "
        "frozen encoder; as the percentile among training films held out with their patient. It says that a film is "
        "unlike them, not why, nor that it is misread. Nor is a film below the line surely like them. Of 300 real "
        "films held against the phantom demo, percentile 99 catches 27% by Mahalanobis, 14% by the 10th neighbour."
    )
    rows = store.rows(split)
    far = rows[np.argsort(-column[rows], kind="stable")][:SHOWN]
    st.subheader(f"Most outlying films in {split}")
    selection.actions(view, far, f"outlying in {split}", "outlying")
    _sheet(view, far, "outliers", lambda row: f"percentile {column[row]:.1f}")


def _histogram(store: Store, percentiles: NDArray[np.floating]) -> go.Figure:
    return percentile_histogram({part: percentiles[store.rows(part)] for part in SPLITS}, OUTLYING)


def _outlying_table(store: Store) -> pd.DataFrame:
    lines = []
    for part in SPLITS:
        rows = store.rows(part)
        line = {"Split": part, "Films": f"{len(rows):,}"}
        for i, name in enumerate(DISTANCES):
            far = int((store.audit.outlyingness[rows, i] >= OUTLYING).sum())
            low, high = (100 * end for end in wilson(far, len(rows)))
            share = f"{far:,} · {100 * far / len(rows):.1f}% [{low:.1f}, {high:.1f}]" if len(rows) else "—"
            line[DISTANCE_TITLES[name]] = share
        lines.append(line)
    return pd.DataFrame(lines)


def hard_cases_view(view: View) -> None:
    """Where regimes disagree most on a label, and where one is most sure and wrong."""
    label, regime = choose.label(), choose.regime(view)
    _disagreement(view, label)
    _confident_errors(view, label, regime)


@panel
def _disagreement(view: View, label: str) -> None:
    """Films that the regimes rank most differently."""
    store, split = view.store, view.split
    rows, c = store.rows(split), store.labels.index(label)
    logits = np.stack([np.asarray(store.logits(r.name)[rows, c]) for r in store.regimes])
    spread, ranks = disagreement(logits)
    most = narrowed(store, rows[np.argsort(-spread, kind="stable")])[:SHOWN]
    st.subheader(f"Regimes disagree most on {in_markdown(label)}")
    st.caption(
        f"By how far apart the regimes rank the film among the {len(rows):,} of {split}, 100 being the highest score. "
        f"{len(logits)} independent rankings would lie "
        f"{100 * (len(logits) - 1) / (len(logits) + 1):.0f} apart on average."
    )
    place = {int(row): i for i, row in enumerate(rows)}
    states = label_states(store, label)

    def ranked(row: int) -> str:
        each = " · ".join(f"{r.title} {100 * ranks[i, place[row]]:.0f}" for i, r in enumerate(store.regimes))
        return f"{in_markdown(label)}: {states[row]}  \n{each}"

    if len(most):
        selection.actions(view, most, f"regimes disagree on {label}", "disagree")
        _sheet(view, most, "disagreement", ranked)


@panel
def _confident_errors(view: View, label: str, regime: RegimeRecord) -> None:
    """Films on which one regime is most sure and wrong."""
    store = view.store
    rows, c, states = store.rows(view.split), store.labels.index(label), label_states(store, label)
    threshold = float(store.threshold_array(regime.name)[c])
    if np.isnan(threshold):
        st.info(
            f"{regime.title} has no threshold for {in_markdown(label)}: val could not decide, so no film is "
            "predicted positive."
        )
        return
    mine = np.asarray(store.logits(regime.name)[:, c])
    wrong, missed = confident_errors(store.targets[rows, c], mine[rows], threshold)
    known = {state: int((states[rows] == state).sum()) for state in ("negative", "positive")}
    for errors, state, title in (
        (wrong, "negative", "Predicted positive, labelled negative"),
        (missed, "positive", "Missed"),
    ):
        st.subheader(f"{title}: {len(errors):,} of {known[state]:,} {state} films")
        chosen = narrowed(store, rows[errors])
        left_out = f" The filter leaves {len(chosen):,} of {len(errors):,}." if len(chosen) < len(errors) else ""
        st.caption(
            f"{regime.title}, the most confident first: logit above the threshold from val, or below it.{left_out}"
        )
        if len(chosen):
            chosen = chosen[:SHOWN]
            selection.actions(view, chosen, f"{regime.title} {title} {label}", f"errors-{state}")
            _sheet(
                view,
                chosen,
                f"errors-{state}",
                lambda row: f"{in_markdown(label)}: {number(mine[row] - threshold, signed=True)}",
            )


def _sheet(view: View, rows: NDArray[np.int64], key: str, caption: Callable[[int], str]) -> None:
    store = view.store
    gallery(store, rows.tolist(), store.labels[0], store.regimes[0], key, caption)
