"""Shortcuts: how well attributes alone predict a label, and what embeddings encode of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.evidence import FEW
from explorer.analysis.shortcuts import KINDS, reaches_half, strongest
from explorer.data.text import in_markdown, listed
from explorer.figures.audit import association
from explorer.figures.style import with_interval
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.results import NO_FIGURE, Merit, merits
from explorer.tables.spaces import distinct_spaces
from explorer.ui.shared import download
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View


MEASURED = "Border, collimation, markers, brightness, noise and sharpness are measured on the thumbnails."


def shortcuts_view(view: View) -> None:
    """The warning table, attributes against labels, and attributes from embeddings."""
    facts = view.store.audit.attribute_facts
    if facts["kinds"]:
        _warnings(view)
        left, right = st.columns(2, gap="medium")
        with left:
            _by_label(view, list(facts["kinds"]))
        with right:
            st.subheader("Attribute from the embedding")
            _by_embedding(view.store)
    else:
        st.info(
            "Nothing is known of these films besides their labels, so no shortcut can be looked for. Give the labels' "
            "table columns such as view, sex and age, or the films themselves.",
            icon=":material/info:",
        )
    lacking = "; ".join(f"**{in_markdown(name)}** ({in_markdown(why, 200)})" for name, why in facts["lacking"].items())
    st.caption((f"The set lacks {lacking}. " if lacking else "") + (MEASURED if view.store.has_films else ""))


@panel
def _by_label(view: View, attributes: list[str]) -> None:
    store = view.store
    frame = store.audit.shortcuts("labels")
    download.figure(
        view,
        association(frame, by_prevalence(store, view.split), attributes),
        download.About(
            ("Attribute alone, label by label", "every split"),
            f"n = {store.n:,} films",
            f"AUROC over all {store.n:,} films, nothing fitted: above 0.5 (orange) the attribute goes with the label, "
            "below (blue) against it; chance is 0.5. A number stands where the 95% interval excludes 0.5. After ∪ "
            "stands the AUROC of the label's rate in each fifth of the attribute, cross-fitted by patient: an effect "
            "that neither rises nor falls.",
        ),
        lambda: frame,
        key="association",
        zoom=True,
        alt="AUROC of each attribute for each label",
    )


@panel
def _by_embedding(store: Store) -> None:
    show_table(_from_embeddings(store), hide_index=True, height="content")
    st.caption(
        "AUROC of a logistic regression on the embedding, cross-fitted by patient; chance is 0.5. Numbers "
        "are split at their median. An embedding that encodes an attribute may not use it for a label."
    )


@panel
def _warnings(view: View) -> None:
    store, split = view.store, view.split
    st.subheader("Is a label's separability mostly a shortcut?")
    table, reached = _warning_table(store, view)
    show_table(table, hide_index=True, height="content")
    if reached:
        st.warning(
            f"In {split}, attributes alone reach at least half of what a regime gains over chance: "
            f"{'; '.join(reached)}. Such figures may not carry over to another hospital.",
            icon=":material/warning:",
        )
    kinds = store.audit.attribute_facts["kinds"]
    members = [
        f"{title}: {listed(name for name, kind in kinds.items() if kind == key)}"
        for key, title in KINDS.items()
        if key in kinds.values()
    ]
    st.caption(
        f"AUROC in {split} with 95% interval, chance 0.5. Each kind alone: a logistic regression on its attributes and "
        f"their fifths, cross-fitted by patient. {'. '.join(members)}. A kind is named where both intervals lie above "
        "0.5 and its gain over chance is at least half of the regime's; in brackets, its strongest attribute. "
        "Age, sex and brightness change with disease, too: a named kind is a question, not a proof. No verdict with "
        f"fewer than {FEW} positives."
    )


def _warning_table(store: Store, view: View) -> tuple[pd.DataFrame, list[str]]:
    frame = store.audit.shortcuts("kinds")
    frame = frame[frame["split"] == view.split]
    kinds = [kind for kind in KINDS if (frame["kind"] == kind).any()]
    columns = frame[["kind", "label", "value", "ci_low", "ci_high", "baseline"]].itertuples(index=False)
    alone = {(str(kind), str(label)): Merit(*figures) for kind, label, *figures in columns}
    by_attribute = store.audit.shortcuts("labels")
    by_key = merits(store, view.split)
    lines, reached = [], []
    for label in by_prevalence(store, view.split):
        n_pos, n_neg, _ = label_counts(store, view.split, label)
        line = {"Label": label, "Positive / negative": f"{n_pos:,} / {n_neg:,}"}
        own = {regime.title: by_key[regime.name, label, "auroc"] for regime in store.regimes}
        named = []
        for kind in kinds:
            merit = alone.get((kind, label), NO_FIGURE)
            line[f"{KINDS[kind]} alone"] = str(merit)
            titles = [
                title
                for title, figure in own.items()
                if n_pos >= FEW and figure.low > 0.5 and reaches_half(figure.value, merit.value, merit.low)
            ]
            if titles:
                whose = "all regimes" if len(titles) == len(own) else ", ".join(titles)
                named.append(f"{KINDS[kind]} ({strongest(by_attribute, kind, label)}): {whose}")
        line |= {title: str(figure) for title, figure in own.items()}
        line["Mostly"] = "too few to say" if n_pos < FEW else "; ".join(named)
        reached += [f"{in_markdown(label)} by {in_markdown(one, 200)}" for one in named]
        lines.append(line)
    return pd.DataFrame(lines), reached


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
