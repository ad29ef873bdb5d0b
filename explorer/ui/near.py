"""The neighbours page's panels: a film, and what lies nearest to it in each regime's space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer import figures
from explorer.ui import cache, choose, derive
from explorer.ui.gallery import link

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.store.schema import SpaceKind
    from explorer.ui.frame import View


Found = dict[str, tuple["NDArray[np.int64]", "NDArray[np.float32]"]]
"""Regimes' titles to the rows found and their similarities."""

REPORT = 400
"""Characters of a report shown beside its film."""


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
        row = choose.film(view, label)
        same_patient = st.toggle("Same patient too", key="same_patient", bind="query-params")
    choose.sheet(view, label)
    return Query(row, label, kind, k, same_patient)


def search(view: View, query: Query) -> Found:
    """The nearest films in each distinct space."""
    store = view.store
    found = {}
    for space, titles in derive.spaces(store, query.kind):
        index = cache.index(store, space.name)
        found[" and ".join(titles)] = derive.neighbours(
            store, index, space.name, query.row, query.k, same_patient=query.same_patient
        )
    return found


def summary(view: View, query: Query, found: Found) -> None:
    """The film asked about, and whether its neighbours share its labels."""
    store = view.store
    sample = store.samples.iloc[query.row]
    picture, words, chart = st.columns([4, 5, 11], gap="medium")
    with picture:
        st.image(store.thumbnail(query.row), width="stretch", alt=f"Film {sample['sample_id']}")
    with words:
        st.markdown(f"**{sample['sample_id']}**  \n{sample['split']} · patient {sample['patient_id']}")
        st.markdown(_badges(derive.positives(store, query.row)) or derive.findings(store, query.row))
        if sample["report"]:
            st.caption(str(sample["report"])[:REPORT])
        link("pages/grad_cam.py", "Grad-CAM of this film", str(sample["sample_id"]))
        link("pages/map.py", "Where it lies on the map", str(sample["sample_id"]))
    with chart:
        _agreement(store, query, {title: rows for title, (rows, _) in found.items()})


def side_by_side(view: View, query: Query, found: Found) -> None:
    """One column a distinct space; regimes that share a space share its column."""
    shared = [
        f"{title} share one frozen encoder, so their neighbours are the same. " for title in found if " and " in title
    ]
    st.caption(
        f"{''.join(shared)}By falling cosine similarity. ✓ shared label, − the film has it and the neighbour does not, "
        "+ the neighbour's own, ? unknown there."
    )
    for column, (title, (rows, similarities)) in zip(st.columns(len(found), gap="medium"), found.items(), strict=True):
        with column:
            st.subheader(title)
            with st.container(horizontal=True, gap="small"):
                for row, similarity in zip(rows, similarities, strict=True):
                    _neighbour(view.store, query, int(row), float(similarity), title)


def _neighbour(store: Store, query: Query, row: int, similarity: float, column: str) -> None:
    sample_id = str(store.samples["sample_id"].iat[row])
    same = " · same patient" if store.patients[row] == store.patients[query.row] else ""
    with st.container(width=150, gap="xxsmall"):
        st.image(store.thumbnail(row), width=150, alt=f"Film {sample_id}")
        st.markdown(f"**{similarity:.3f}** · {store.samples['split'].iat[row]}{same}  \n{sample_id}")
        st.markdown(_compared(store, query.row, row))
        # a page link to the page it stands on is drawn as the current one
        key = f"near-{column}-{row}"
        st.button("Neighbours", key=key, type="tertiary", on_click=choose.open_film, args=(sample_id,))
        link("pages/grad_cam.py", "Grad-CAM", sample_id)


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


def _agreement(store: Store, query: Query, found: dict[str, NDArray[np.int64]]) -> None:
    frame = pd.concat([derive.agreement(store, query.row, rows, title) for title, rows in found.items()])
    if frame.empty:
        st.caption("This film has no positive label, so there is no agreement to measure.")
        return
    st.markdown("**Do neighbours share the film's labels?**")
    places = {
        title: i for i, regime in enumerate(store.regimes) for title in found if regime.title in title.split(" and ")
    }
    styles = {title: figures.regime_style(places[title]) for title in found}
    st.plotly_chart(
        figures.dots(frame, styles, f"share of the {query.k} neighbours", few=1),
        key="agreement",
        alt="Share of neighbours that have each of the film's labels, against prevalence",
    )
    st.caption(
        "Share of the neighbours known to have each of the film's labels, with a 95% Wilson interval. The tick is the "
        "prevalence among other patients' films, their positives in brackets."
    )
