"""The Grad-CAM page's panels: one film and label, every regime's map beside the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer import figures
from explorer.data.images import BadImage, read_film
from explorer.errors import UserError
from explorer.ui import cache, choose, derive, overlay
from explorer.ui.gallery import link

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from explorer.store.reader import Store
    from explorer.store.schema import RegimeRecord
    from explorer.ui.frame import View

FLAT = 0.05
"""A map whose lowest value is within this share of its highest singles nothing out."""


@dataclass(frozen=True)
class Question:
    """Which film, which label, and how the answer is drawn."""

    row: int
    label: str
    maps: bool
    block: int
    opacity: float
    outlines: bool


def ask(view: View) -> Question:
    """The page's controls. No model is loaded before maps are asked for."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=200):
            label = choose.label(view)
        row = choose.film(view, label)
        maps = st.toggle(
            "Grad-CAM", key="cam", bind="query-params", help="Loads the models: a few seconds the first time."
        )
        outlines = st.toggle("Annotations", value=True, key="outlines", bind="query-params")
        with st.container(width=150):
            percent = st.slider(
                "Opacity", 0, 100, 60, 5, format="%d%%", key="opacity", bind="query-params", disabled=not maps
            )
        names = {"1": "last", "2": "2nd last", "3": "3rd last", "4": "4th last"}
        back = choose.pick_one("Layer", list(names), "1", "layer", names)
    choose.sheet(view, label)
    return Question(row, label, maps, -int(back), percent / 100, outlines)


def describe(view: View, question: Question) -> None:
    """What is known of the film."""
    store = view.store
    sample = store.samples.iloc[question.row]
    value = derive.states(store, question.label)[question.row]
    marked = store.annotations[store.annotations["row"] == question.row]
    mine = int((marked["label"] == question.label).sum())
    st.markdown(
        f"**{sample['sample_id']}** · {sample['split']} · {question.label}: **{value}** · all labels: "
        f"{derive.findings(store, question.row)} · {mine} annotation{'' if mine == 1 else 's'} of {question.label}"
    )


def side_by_side(view: View, question: Question) -> None:
    """One column a regime: the film with its map, the score and the threshold."""
    store = view.store
    film = _film(store, question.row)
    marked = store.annotations
    marked = marked[(marked["row"] == question.row) & (marked["label"] == question.label)]
    for i, (column, regime) in enumerate(zip(st.columns(len(store.regimes)), store.regimes, strict=True)):
        with column:
            style = figures.regime_style(i)
            st.markdown(f":{style.badge}[**{regime.title}**]  \n{_score(store, regime, question)}")
            fit = cache.fit(store, regime.encoder)
            values, note = _map(store, regime, question, film) if question.maps else (None, "")
            shown = marked if question.outlines else marked.iloc[:0]
            picture = overlay.compose(film, values, fit.window(film.height, film.width), shown, question.opacity)
            st.image(picture, width="stretch", alt=f"{question.label} according to {regime.title}")
            if note:
                st.caption(note)
    _legend(question)
    sample_id = str(store.samples["sample_id"].iat[question.row])
    link("pages/neighbours.py", "Neighbours of this film", sample_id)
    link("pages/map.py", "Where it lies on the map", sample_id)


def _legend(question: Question) -> None:
    words = ["Cyan lines are annotations. Hatched parts are cropped away before the model sees the film."]
    if question.maps:
        words.append(
            "Colour shows where evidence raises this label's logit. Each map is scaled to its own maximum, so "
            "compare places between regimes, not brightness. A map shows what the model uses, not where disease is."
        )
    else:
        words.append("Switch Grad-CAM on to see what each regime looks at.")
    st.caption(" ".join(words))


def _film(store: Store, row: int) -> Image.Image:
    try:
        return read_film(store.film(row))
    except BadImage as error:
        raise UserError(
            f"The film {store.samples['sample_id'].iat[row]} cannot be read: {error}.", "Restore it."
        ) from error


def _score(store: Store, regime: RegimeRecord, question: Question) -> str:
    c = store.labels.index(question.label)
    logit = float(store.logits(regime.name)[question.row, c])
    threshold = float(store.threshold_array(regime.name)[c])
    if np.isnan(threshold):
        return f"logit {logit:.2f} · no threshold: val lacks positives or negatives"
    return (
        f"logit {logit:.2f} · threshold {threshold:.2f} · called **{'positive' if logit >= threshold else 'negative'}**"
    )


def _map(
    store: Store, regime: RegimeRecord, question: Question, film: Image.Image
) -> tuple[NDArray[np.float32] | None, str]:
    """The map on the film's pixels, and a remark where it says nothing."""
    grid, logit = cache.saliency(store, regime.name, question.row, question.label, question.block)
    stored = float(store.logits(regime.name)[question.row, store.labels.index(question.label)])
    # bf16 on another machine may move a logit a little; more than this means another film or other weights
    drift = f"The model gives logit {logit:.2f} now, the store says {stored:.2f}." if abs(logit - stored) > 0.1 else ""
    if grid.max() <= 0:
        return None, f"This map is zero: nothing at this layer raises the logit. {drift}"
    if grid.min() >= (1 - FLAT) * grid.max():
        return None, f"This map is flat: it singles nothing out, so none is drawn. {drift}"
    fit = cache.fit(store, regime.encoder)
    return fit.to_film(grid, film.height, film.width), drift
