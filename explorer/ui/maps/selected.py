"""What a selection on the maps holds: its labels against all films, and its films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.analysis.composition import lifts
from explorer.data.text import in_markdown
from explorer.figures.maps import lift_figure
from explorer.tables import map_colours
from explorer.ui.shared import address, selection
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.manifest import RegimeRecord
    from explorer.tables.map_colours import Asked
    from explorer.ui.shared.frame import View
    from explorer.ui.shared.selection import Selection


@panel
def selected(view: View, asked: Asked, regime: RegimeRecord, picked: Selection) -> None:
    """The film in the address and the films selected: what they hold, what can be done with them, their gallery."""
    store = view.store
    sample_id = address.value("film")
    film = None if sample_id is None else store.row_of(sample_id)
    if film is None and len(picked.rows) == 0:
        st.caption(
            "Click a point to see its film, twice to open its case. For many, choose box or lasso and draw around "
            "them; Shift and click adds or takes away one, Esc clears."
        )
    if film is not None:
        st.subheader(f"Film {in_markdown(store.samples['sample_id'].iat[film])}")
        gallery(store, [film], asked.label, regime, key="film")
    if len(picked.rows):
        _films(view, asked, regime, picked)


def _films(view: View, asked: Asked, regime: RegimeRecord, picked: Selection) -> None:
    store, rows = view.store, picked.rows
    st.subheader(f"{len(rows):,} film{'s' if len(rows) > 1 else ''} selected")
    outside = len(np.setdiff1d(rows, map_colours.rows_on_map(store, asked)))
    if outside:
        st.caption(f"{outside:,} of them are not in {view.split}, so they are not drawn.")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        with st.container(width=320):
            name = st.text_input("Name", picked.name, max_chars=selection.LONGEST_NAME, key=f"name-{picked.name}")
        if name.strip() and name != picked.name:
            selection.put(view, rows, name)
            picked = selection.current(view)
        st.button("Clear", icon=":material/close:", on_click=selection.clear)
    selection.actions(view, rows, picked.name, key="selected")
    if len(rows) > 1:
        _composition(view, asked, rows)
    gallery(store, rows.tolist(), asked.label, regime, key="selected")


@panel
def _composition(view: View, asked: Asked, picked: NDArray[np.int64]) -> None:
    store = view.store
    shown = map_colours.rows_on_map(store, asked)
    if len(np.setdiff1d(picked, shown)):
        shown = np.arange(store.n)
    frame = lifts(store.targets[shown], np.isin(shown, picked), store.patients[shown], store.labels)
    if not (frame["lift"] > 0).any():
        st.caption("No film of the selection has a positive label.")
        return
    more = frame[frame["low"] > 1].sort_values("lift", ascending=False, kind="stable")
    labels = ", ".join(f"{in_markdown(r.label)} {r.lift:.1f} [{r.low:.1f}, {r.high:.1f}]" for r in more.itertuples())
    st.markdown(
        f"More than among the {len(shown):,} films compared: **{labels}** (lift, 95%)."
        if labels
        else f"No label is over-represented against the {len(shown):,} films compared (95%)."
    )
    st.plotly_chart(lift_figure(frame), key="composition", alt="Lift of each label in the selection over all films")
    st.caption(
        "In brackets: positives of those known in the selection. Lift: share in the selection over the share among all "
        "films compared; 1 is no difference. 95% intervals count patients, not films. The selection was made by eye: "
        "a lift here is a lead, not a finding."
    )
