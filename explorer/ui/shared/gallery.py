"""Thumbnails with what is known of each film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.text import in_markdown
from explorer.figures.style import number
from explorer.tables.labels import findings_text
from explorer.ui.shared import address
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_film

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store

PAGE = 24


@panel
def gallery(
    store: Store,
    rows: Sequence[int],
    label: str,
    regime: RegimeRecord,
    key: str,
    describe: Callable[[int], str] | None = None,
) -> None:
    """A paged sheet of films: id, split, findings, one more line, and links to the film's own pages.

    Parameters
    ----------
    describe : callable, optional
        Gives the last line of a film; by default it is the regime's logit for the label.
    """
    pages = -(-len(rows) // PAGE)
    sheet = st.pagination(pages, key=f"{key}-{len(rows)}") if pages > 1 else 1
    logits = store.logits(regime.name)[:, store.labels.index(label)]
    with st.container(horizontal=True, gap="small"):
        for row in rows[(sheet - 1) * PAGE : sheet * PAGE]:
            sample_id = str(store.samples["sample_id"].iat[row])
            with st.container(width=150, gap="xxsmall"):
                show_film(store, row, 150)
                st.caption(
                    f"**{in_markdown(sample_id)}** · {store.samples['split'].iat[row]}  "
                    f"\n{findings_text(store, row)}  \n"
                    + (describe(row) if describe else f"{regime.title} logit {number(logits[row])}")
                )
                links(sample_id)


def links(sample_id: str) -> None:
    """To a film's own page, its neighbours and its Grad-CAM."""
    with st.container(horizontal=True, gap="small"):
        link("pages/case.py", "Case", sample_id)
        link("pages/neighbours.py", "Neighbours", sample_id)
        link("pages/grad_cam.py", "Grad-CAM", sample_id)


def link(file: str, title: str, sample_id: str) -> None:
    """To another page about a film, under a title that may be its id."""
    st.page_link(file, label=in_markdown(title), query_params=address.link(film=sample_id))
