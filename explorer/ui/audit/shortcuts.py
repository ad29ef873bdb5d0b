"""Shortcuts: what can be told of a label without the disease, and what the embeddings hold of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis.shortcuts import mostly_acquisition
from explorer.figures.audit import association
from explorer.figures.common import with_interval
from explorer.tables import derive

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View


def show(view: View) -> None:
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
            association(frame, derive.by_prevalence(store, view.split), names),
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
        st.dataframe(_from_embeddings(store), hide_index=True, height="content")
        st.caption(
            "AUROC of a logistic regression on the embedding, cross-fitted by patient; chance is 0.5. Several values "
            "are asked as above the median or not. An embedding that tells an attribute need not use it for a label."
        )
    lacking = "; ".join(f"**{name}** ({why})" for name, why in facts["lacking"].items())
    st.caption(
        (f"The set lacks {lacking}. " if lacking else "")
        + "Border, collimation, white in the margin (markers, print) and brightness are measured on the thumbnails. "
        "Brightness is exposure, but body and disease too, so it never counts as acquisition."
    )


def _warnings(view: View) -> None:
    store, split = view.store, view.split
    st.subheader("Is a label's separability mostly acquisition?")
    table, flagged = _warning_table(store, view)
    st.dataframe(table, hide_index=True, height="content")
    chosen = [name for name, kind in store.audit.attribute_facts["kinds"].items() if kind == "acquisition"]
    if flagged:
        st.warning(
            f"In {split}, {', '.join(flagged)}: acquisition alone reaches at least half of what a regime gains over "
            "chance. Such figures may not carry over to another hospital.",
            icon=":material/warning:",
        )
    st.caption(
        f"AUROC in {split} with 95% interval, chance 0.5. Acquisition alone: a logistic regression on "
        f"{', '.join(chosen) or 'nothing the set has'}, cross-fitted by patient. A regime is named where both "
        "intervals lie above 0.5 and acquisition's gain over chance is at least half of the regime's; with fewer than "
        f"{derive.FEW} positives nothing is said."
    )


def _warning_table(store: Store, view: View) -> tuple[pd.DataFrame, list[str]]:
    alone = store.audit.shortcuts("acquisition")
    alone = alone[alone["split"] == view.split]
    acquisition = {
        str(label): (derive.Merit(*figures), int(n_pos), int(n_neg))
        for label, n_pos, n_neg, *figures in alone[
            ["label", "n_pos", "n_neg", "value", "ci_low", "ci_high", "baseline"]
        ].itertuples(index=False)
    }
    found = derive.merits(store, view.split)
    lines, flagged = [], []
    for label in derive.by_prevalence(store, view.split):
        mine, n_pos, n_neg = acquisition[label]
        line = {"Label": label, "Positive / negative": f"{n_pos:,} / {n_neg:,}", "Acquisition alone": str(mine)}
        few, marked = n_pos < derive.FEW, []
        for regime in store.regimes:
            merit = found[regime.name, label, "auroc"]
            line[regime.title] = str(merit)
            if not few and merit.low > 0.5 and mostly_acquisition(merit.value, mine.value, mine.low):
                marked.append(regime.title)
        whose = "all regimes" if len(marked) == len(store.regimes) else ", ".join(marked)
        line["Mostly acquisition"] = "too few to say" if few else whose
        if marked:
            flagged.append(label)
        lines.append(line)
    return pd.DataFrame(lines), flagged


def _from_embeddings(store: Store) -> pd.DataFrame:
    frame = store.audit.shortcuts("embeddings")
    titles = {}
    for space, regimes in derive.spaces(store, "embedding"):
        encoder = next(r.encoder for r in store.regimes if r.embedding_space == space.name)
        titles[encoder] = " and ".join(regimes)
    lines = []
    for name in dict.fromkeys(frame["attribute"]):
        mine = frame[frame["attribute"] == name].set_index("encoder")
        first = mine.iloc[0]
        line = {"Attribute": str(name), "Yes / no": f"{int(first['n_pos']):,} / {int(first['n_neg']):,}"}
        for encoder, title in titles.items():
            line[title] = with_interval(*(mine.at[encoder, c] for c in ("value", "ci_low", "ci_high")))
        lines.append(line)
    return pd.DataFrame(lines)
