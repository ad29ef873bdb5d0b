"""Shortcuts: how well acquisition alone predicts a label, and what embeddings encode of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.evidence import FEW
from explorer.analysis.shortcuts import mostly_acquisition
from explorer.data.text import in_markdown, listed
from explorer.figures.audit import association
from explorer.figures.style import with_interval
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.results import NO_FIGURE, Merit, merits
from explorer.tables.spaces import distinct_spaces
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View


def shortcuts_view(view: View) -> None:
    """The warning table, attributes against labels, and attributes from embeddings."""
    store = view.store
    facts = store.audit.attribute_facts
    _warnings(view)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Attribute alone, label by label")
        frame = store.audit.shortcuts("labels")
        names = list(facts["kinds"])
        st.plotly_chart(
            association(frame, by_prevalence(store, view.split), names),
            key="association",
            config={"displayModeBar": False},
            alt="AUROC of each attribute for each label",
        )
        st.caption(
            f"AUROC over all {store.n:,} films, nothing fitted: above 0.5 (orange) the attribute goes with the label, "
            "below (blue) against it; chance is 0.5. A number stands where the 95% interval excludes 0.5. Only rising "
            "or falling effects are seen."
        )
    with right:
        st.subheader("Attribute from the embedding")
        show_table(_from_embeddings(store), hide_index=True, height="content")
        st.caption(
            "AUROC of a logistic regression on the embedding, cross-fitted by patient; chance is 0.5. Numbers "
            "are split at their median. An embedding that encodes an attribute may not use it for a label."
        )
    lacking = "; ".join(f"**{in_markdown(name)}** ({in_markdown(why, 200)})" for name, why in facts["lacking"].items())
    st.caption(
        (f"The set lacks {lacking}. " if lacking else "")
        + "Border, collimation, white in the margin (markers, print) and brightness are measured on the thumbnails. "
        "Brightness is exposure, but body and disease too, so it never counts as acquisition."
    )


def _warnings(view: View) -> None:
    store, split = view.store, view.split
    st.subheader("Is a label's separability mostly acquisition?")
    table, flagged = _warning_table(store, view)
    show_table(table, hide_index=True, height="content")
    chosen = [name for name, kind in store.audit.attribute_facts["kinds"].items() if kind == "acquisition"]
    if flagged:
        st.warning(
            f"In {split}, {listed(flagged)}: acquisition alone reaches at least half of what a regime gains over "
            "chance. Such figures may not carry over to another hospital.",
            icon=":material/warning:",
        )
    st.caption(
        f"AUROC in {split} with 95% interval, chance 0.5. Acquisition alone: a logistic regression on "
        f"{listed(chosen) or 'nothing the set has'}, cross-fitted by patient. A regime is named where both "
        "intervals lie above 0.5 and acquisition's gain over chance is at least half of the regime's. No verdict with "
        f"fewer than {FEW} positives. A dash: the run has no such figure; run the same precompute command again."
    )


def _warning_table(store: Store, view: View) -> tuple[pd.DataFrame, list[str]]:
    alone = store.audit.shortcuts("acquisition")
    alone = alone[alone["split"] == view.split]
    acquisition = {
        str(label): Merit(*figures)
        for label, *figures in alone[["label", "value", "ci_low", "ci_high", "baseline"]].itertuples(index=False)
    }
    by_key = merits(store, view.split)
    lines, flagged = [], []
    for label in by_prevalence(store, view.split):
        n_pos, n_neg, _ = label_counts(store, view.split, label)
        alone_merit = acquisition.get(label, NO_FIGURE)
        line = {"Label": label, "Positive / negative": f"{n_pos:,} / {n_neg:,}", "Acquisition alone": str(alone_merit)}
        few, marked = n_pos < FEW, []
        for regime in store.regimes:
            merit = by_key[regime.name, label, "auroc"]
            line[regime.title] = str(merit)
            if not few and merit.low > 0.5 and mostly_acquisition(merit.value, alone_merit.value, alone_merit.low):
                marked.append(regime.title)
        whose = "all regimes" if len(marked) == len(store.regimes) else ", ".join(marked)
        known = not np.isnan(alone_merit.value)
        line["Mostly acquisition"] = "too few to say" if few else whose if known else "—"
        if marked:
            flagged.append(label)
        lines.append(line)
    return pd.DataFrame(lines), flagged


def _from_embeddings(store: Store) -> pd.DataFrame:
    frame = store.audit.shortcuts("embeddings")
    titles = {}
    for space, regimes in distinct_spaces(store, "embedding"):
        encoder = next(r.encoder for r in store.regimes if r.embedding_space == space.name)
        titles[encoder] = " and ".join(regimes)
    lines = []
    for name in dict.fromkeys(frame["attribute"]):
        mine = frame[frame["attribute"] == name].set_index("encoder")
        first = mine.iloc[0]
        line = {"Attribute": str(name), "Yes / no": f"{int(first['n_pos']):,} / {int(first['n_neg']):,}"}
        for encoder, title in titles.items():
            value, low, high = (
                float(mine.at[encoder, c]) if encoder in mine.index else np.nan for c in ("value", "ci_low", "ci_high")
            )
            line[title] = with_interval(value, low, high)
        lines.append(line)
    return pd.DataFrame(lines)
