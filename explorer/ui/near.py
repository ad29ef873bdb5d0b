"""The neighbours page's panels: a film, and what lies nearest to it in each regime's space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer import figures
from explorer.ui import cache, choose, derive
from explorer.ui.gallery import links

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.store.schema import SpaceKind
    from explorer.ui.frame import View


@dataclass(frozen=True)
class Query:
    """What is searched for, and where."""

    row: int
    label: str
    kind: SpaceKind
    k: int
    same_patient: bool


def ask(view: View) -> Query:
    """The page's controls."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=240):
            label = choose.label(view)
        kind = choose.space_kind()
        k = int(choose.pick_one("Neighbours", ["6", "12", "24"], "6", "k"))
        same_patient = st.toggle("Same patient too", key="same_patient", bind="query-params")
    return Query(choose.film(view, label), label, kind, k, same_patient)


def film_card(view: View, query: Query) -> None:
    """The film asked about."""
    store = view.store
    sample = store.samples.iloc[query.row]
    picture, words = st.columns([1, 3], gap="medium", wrap=False)
    with picture:
        st.image(store.thumbnail(query.row), width="stretch", alt=f"Film {sample['sample_id']}")
    with words:
        st.markdown(f"**{sample['sample_id']}** · {sample['split']} · patient {sample['patient_id']}")
        st.markdown(_badges(derive.positives(store, query.row)) or derive.findings(store, query.row))
        if sample["report"]:
            st.caption(str(sample["report"])[:600])
        links(str(sample["sample_id"]), query.label)


def side_by_side(view: View, query: Query) -> None:
    """One column a distinct space; regimes that share a space share its column."""
    store = view.store
    spaces = derive.spaces(store, query.kind)
    shared = [titles for _, titles in spaces if len(titles) > 1]
    for titles in shared:
        st.markdown(
            f"{' and '.join(titles)} share one frozen encoder here, so their neighbours are the same."
        )
    found = {}
    for space, titles in spaces:
        index = cache.index(store, space.name)
        found[" and ".join(titles)] = derive.neighbours(
            store, index, space.name, query.row, query.k, same_patient=query.same_patient
        )
    for column, (title, (rows, similarities)) in zip(
        st.columns(len(found), gap="medium"), found.items(), strict=True
    ):
        with column:
            st.subheader(title)
            for row, similarity in zip(rows, similarities, strict=True):
                _neighbour(store, query, int(row), float(similarity))
    st.caption(
        "✓ shared label, − the film has it and the neighbour does not, + the neighbour's own, ? unknown there."
    )
    _agreement(store, query, {title: rows for title, (rows, _) in found.items()})


def _neighbour(store: Store, query: Query, row: int, similarity: float) -> None:
    sample = store.samples.iloc[row]
    sample_id = str(sample["sample_id"])
    with st.container(border=True):
        picture, words = st.columns([2, 3], gap="small", wrap=False)
        with picture:
            st.image(store.thumbnail(row), width="stretch", alt=f"Film {sample_id}")
        with words:
            same = " · same patient" if store.patients[row] == store.patients[query.row] else ""
            st.markdown(f"**{sample_id}**  \nsimilarity {similarity:.3f} · {sample['split']}{same}")
            st.markdown(_compared(store, query.row, row))
            links(sample_id, query.label)


def _badges(labels: list[str]) -> str:
    return " ".join(f":blue-badge[{label}]" for label in labels)


def _compared(store: Store, row: int, other: int) -> str:
    """Both films' labels as badges: shared, missing, unknown, extra."""
    out = []
    for label, mine, theirs in zip(store.labels, store.targets[row], store.targets[other], strict=True):
        if mine == 1 and theirs == 1:
            out.append(f":green-badge[✓ {label}]")
        elif mine == 1 and np.isnan(theirs):
            out.append(f":gray-badge[? {label}]")
        elif mine == 1:
            out.append(f":gray-badge[− {label}]")
        elif theirs == 1:
            out.append(f":orange-badge[+ {label}]")
    return " ".join(out) or "no positive label"


def _agreement(store: Store, query: Query, found: dict[str, np.ndarray]) -> None:
    frame = pd.concat([derive.agreement(store, query.row, rows, title) for title, rows in found.items()])
    if frame.empty:
        st.caption("This film has no positive label, so there is no agreement to measure.")
        return
    st.subheader("Do neighbours share the film's labels?")
    places = {
        title: i
        for i, regime in enumerate(store.regimes)
        for title in found
        if regime.title in title.split(" and ")
    }
    styles = {title: figures.regime_style(places[title]) for title in found}
    st.plotly_chart(
        figures.dots(frame, styles, f"share of the {query.k} neighbours", few=1),
        key="agreement",
        alt="Share of neighbours that have each of the film's labels, against prevalence",
    )
    st.caption(
        "Each label of this film: the share of its neighbours known to have it too, with a 95% Wilson interval. The tick is "
        "the label's prevalence among all other patients' films, their positives in brackets. One film's neighbours say "
        "little: read the intervals."
    )
