"""Why a result stands near what was asked for: query and result side by side, each with a map of what is asked about.

Of two films the natural question is their likeness: each film's map shows where it agrees with the other's vector. A
label's logit can be asked about in place of it. Words and the middle of a selection have no film of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.analysis.neighbours import decision_row
from explorer.data.saliency_map import METHODS
from explorer.figures.style import regime_style
from explorer.tables.labels import by_prevalence
from explorer.tables.spaces import distinct_spaces
from explorer.ui.grad_cam import controls as saliency
from explorer.ui.grad_cam.marking import saw_map
from explorer.ui.models import heatmaps
from explorer.ui.models.inference import Upload
from explorer.ui.shared.annotators import film_annotations
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.gallery import link

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.saliency_map import MethodName
    from explorer.figures.overlay import Look
    from explorer.store.manifest import RegimeRecord, SpaceRecord
    from explorer.store.reader import Store
    from explorer.ui.neighbours.query import Query
    from explorer.ui.shared.frame import View

PARAMETER = "explain"
OWN = "*"
"""In the link in place of a result: the uploaded film alone."""
LIKENESS = "Their likeness"
SIDE = 640
"""Pixels of a picture's long side."""


@dataclass(frozen=True)
class Shown:
    """The films shown with their titles, and how their maps are made and drawn."""

    films: tuple[tuple[str, int | Upload], ...]
    method: MethodName
    block: int
    look: Look
    outlines: bool


def ask(which: str) -> None:
    """Put a result, or OWN, into the address: the page then explains it."""
    st.query_params[PARAMETER] = which


def _close() -> None:
    st.query_params.pop(PARAMETER, None)


def show(view: View, query: Query) -> None:
    """Explain what the address asks for, if anything."""
    which = st.query_params.get(PARAMETER, "")
    row = view.store.row_of(which)
    if row is not None:
        _dialog(view, query, row)
    elif which == OWN and query.upload:
        _dialog(view, query, None)
    elif which and which != OWN:
        st.warning(f"This run has no film {which!r} to explain.")


@st.dialog("What the regimes look at", width="large", on_dismiss=_close)
def _dialog(view: View, query: Query, row: int | None) -> None:
    with errors_shown():
        asked = query.upload if query.upload else query.row
        films: list[tuple[str, int | Upload]] = []
        if asked is not None and asked != row:
            films.append((query.name, asked))
        if row is not None:
            films.append((str(view.store.samples["sample_id"].iat[row]), row))
        labels = by_prevalence(view.store, view.split)
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            with st.container(width=230):
                about = (
                    st.selectbox("Explain", labels, labels.index(query.label), key="why_own", bind="query-params")
                    if row is None
                    else st.selectbox("Explain", [LIKENESS, *labels], key="why", bind="query-params")
                )
            shown = Shown(tuple(films), *saliency.making(view))
        for _, film in films:
            if isinstance(film, int):
                saw_map(film)
        if row is not None and about == LIKENESS:
            _likeness(view, query, row, shown)
        else:
            _label(view.store, about, query.upload, shown)
        _legend(shown, about)
        if row is not None:
            sample_id = str(view.store.samples["sample_id"].iat[row])
            with st.container(horizontal=True, gap="small"):
                link("pages/case.py", "Case", sample_id)
                link("pages/grad_cam.py", "Grad-CAM", sample_id)


def _likeness(view: View, query: Query, row: int, shown: Shown) -> None:
    """A column a space: where each film agrees with the other's vector, or the result with the words."""
    store = view.store
    spaces = distinct_spaces(store, query.kind)
    for column, (space, titles) in zip(st.columns(len(spaces), gap="medium"), spaces, strict=True):
        own, other = query.vectors[space.name], np.asarray(store.vectors(space.name)[row])
        regime = next(r for r in store.regimes if space.name in (r.embedding_space, r.decision_space))
        towards = (other, own)[-len(shown.films) :]  # each film is held against the other
        with column:
            st.markdown(f"**{' and '.join(titles)}**  \ncosine {float(own @ other):.3f}")
            parts = st.columns(len(shown.films), gap="small")
            for part, (title, film), vector in zip(parts, shown.films, towards, strict=True):
                with part:
                    found = heatmaps.maps(
                        store,
                        regime.encoder,
                        ("likeness", space.name, vector.tobytes()),
                        partial(_towards, store, space, regime, vector),
                        film,
                        shown.method,
                        (shown.block,),
                        against=shown.look.against,
                        unit=space.kind == "embedding" or regime.unit,
                        shelf=query.upload.shelf if query.upload else None,
                    )
                    _draw(store, regime, title, film, found.maps[0, 0], "", shown)


def _towards(store: Store, space: SpaceRecord, regime: RegimeRecord, vector: NDArray[np.float32]) -> heatmaps.Rows:
    """The head row that scores a film by its likeness to a vector of the space."""
    if space.kind == "embedding":
        return vector[None], np.zeros(1, np.float32)
    return decision_row(vector, *store.head(regime.name), np.asarray(store.logits(regime.name)))


def _label(store: Store, label: str, upload: Upload | None, shown: Shown) -> None:
    """A column a regime: the label's logit in each film."""
    c = store.labels.index(label)
    logits = upload.logits(store) if upload else {}
    for i, (column, regime) in enumerate(zip(st.columns(len(store.regimes), gap="medium"), store.regimes, strict=True)):
        with column:
            st.markdown(f":{regime_style(i).badge}[**{regime.title}**]")
            for part, (title, film) in zip(st.columns(len(shown.films), gap="small"), shown.films, strict=True):
                with part:
                    found = heatmaps.maps(
                        store,
                        regime.encoder,
                        (regime.name, (label,)),
                        partial(heatmaps.regime_rows, store, regime.name, (label,)),
                        film,
                        shown.method,
                        (shown.block,),
                        against=shown.look.against,
                        unit=regime.unit,
                    )
                    mine = logits[regime.name] if isinstance(film, Upload) else store.logits(regime.name)[film]
                    told = heatmaps.score(store, regime.name, label, float(mine[c]))
                    _draw(store, regime, title, film, found.maps[0, 0], label, shown, told)


def _draw(
    store: Store,
    regime: RegimeRecord,
    title: str,
    film: int | Upload,
    grid: NDArray[np.float32],
    label: str,
    shown: Shown,
    told: str = "",
) -> None:
    """One film with its map and, where a label is asked about, that label's annotations."""
    marked = film_annotations(store, film if isinstance(film, int) else -1)  # nobody marked an upload
    marked = marked[(marked["label"] == label) & shown.outlines]
    canvas = heatmaps.canvas(store, film, SIDE)
    picture = heatmaps.picture(store, regime.encoder, film, canvas, grid, marked, shown.look)
    st.image(picture, width="stretch", alt=f"{title} according to {regime.title}")
    st.caption("  \n".join(part for part in (title, told, heatmaps.remark(grid, shown.look)) if part))


def _legend(shown: Shown, about: str) -> None:
    method = METHODS[shown.method]
    way = "lowers" if shown.look.against else "raises"
    if not method.by_label:
        what = "the model looks, whatever is asked about"
    elif about != LIKENESS:
        what = f"evidence {way} the logit of {about}"
    elif len(shown.films) == 2:
        what = f"each film {way} its likeness to the other"
    else:
        what = f"the film {way} its likeness to what was asked for"
    shared = "Chest films are alike in much: what marks them as chest films counts, too. " if about == LIKENESS else ""
    st.caption(
        f"{method.title} ({method.source}) {method.layer.format(shown.block + 1)}. Colour shows where {what}; each map "
        f"is scaled to its own maximum. {shared}Hatched parts are cropped away before the model sees the film."
    )
