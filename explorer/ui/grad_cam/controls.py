"""The Grad-CAM page's controls: which film, which label, how the maps are made and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
import streamlit as st

from explorer.data.regions import drawn
from explorer.data.saliency_map import METHODS, MethodName
from explorer.figures.overlay import Colours, Look
from explorer.tables.labels import findings_text, label_states, rows_in_state
from explorer.ui.shared import cache, choose, selection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.ui.shared.frame import View

Shown = Literal["regimes", "layers", "labels", "agreement", "proof", "mark"]
TITLES = {
    "regimes": "Regimes",
    "layers": "Every block",
    "labels": "Every label",
    "agreement": "Agreement",
    "proof": "Proof",
    "mark": "Mark",
}


@dataclass(frozen=True)
class Question:
    """Which film, which label, and how the answer is made and drawn. ``block`` counts from 0."""

    shown: Shown
    row: int
    label: str
    maps: bool
    method: MethodName
    block: int
    look: Look
    outlines: bool
    words: str = ""


def shown() -> Shown:
    """Which of the page's views is open; the others are not computed."""
    return cast("Shown", choose.pick_one("Show", list(TITLES), "regimes", "show", TITLES))


def ask(view: View, shown: Shown) -> Question:
    """The controls of a view of maps. No model is loaded before maps are asked for."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=230):
            label = choose.label(view)
        row = choose.film(view, label)
        stepper(view, label, row)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        maps = st.toggle("Maps", key="cam", bind="query-params", help="Loads the models: a few seconds the first time.")
        method, block, look, outlines = making(view, every_block=shown == "layers")
        words = _words() if shown == "regimes" else ""
    choose.sheet(view, label)
    return Question(shown, row, label, maps, method, block, look, outlines, words)


def making(view: View, *, every_block: bool = False) -> tuple[MethodName, int, Look, bool]:
    """How maps are made and drawn: the method, the block (from 0), the look, and whether annotations are drawn."""
    with st.container(width=250):
        method = _method()
    depth = cache.depth(view.store, view.store.regimes[0].encoder)
    with st.container(width=190):
        block = st.slider(
            "Block",
            1,
            depth,
            depth,
            key="block",
            bind="query-params",
            disabled=every_block,
            help=METHODS[method].layer.format("this").capitalize() + ".",
        )
    look, outlines = _look()
    return method, block - 1, look, outlines


def _method() -> MethodName:
    names = list(METHODS)
    chosen = st.selectbox(
        "Method",
        names,
        format_func=lambda name: METHODS[name].title,
        key="method",
        bind="query-params",
        help="ScoreCAM runs the whole model once for each channel: seconds for the demo's encoder, minutes for a "
        "ViT-B. EigenCAM and attention rollout do not ask about a label.",
    )
    return chosen if chosen in names else names[0]


def _words() -> str:
    with st.container(width=230):
        return st.text_input(
            "Own words",
            key="words",
            bind="query-params",
            placeholder="for example: enlarged heart",
            help="A further map, for a sentence of your own, by the frozen encoder. Needs its text tower.",
        ).strip()


def _look() -> tuple[Look, bool]:
    with st.popover("Look", icon=":material/tune:"):
        titles = {"tint": "Tint", "heat": "Heat", "none": "None"}
        colours = choose.pick_one("Colour map", get_args(Colours), "tint", "colours", titles)
        st.caption("A tint changes hue alone: the film's greys stay readable.")
        opacity = st.slider("Opacity", 0, 100, 60, 5, format="%d%%", key="opacity", bind="query-params")
        contour = st.slider(
            "Contour at", 0, 95, 50, 5, format="%d%% of the maximum", key="contour", bind="query-params", help="0: none"
        )
        outlines = st.toggle("Annotations", value=True, key="outlines", bind="query-params")
        against = st.toggle(
            "Evidence against",
            key="against",
            bind="query-params",
            help="What lowers the label's logit, in blue, in place of what raises it.",
        )
    return Look(cast("Colours", colours), opacity / 100, contour / 100, against), outlines


def stepper(view: View, label: str, row: int) -> None:
    """Previous and next in the selection, or without one among the split's films that have the label."""
    order, name = _order(view, label)
    after = int(np.searchsorted(order, row))
    here = after < len(order) and order[after] == row
    before, following = after - 1, after + 1 if here else after
    for title, icon, place in (("Previous", "chevron_left", before), ("Next", "chevron_right", following)):
        inside = 0 <= place < len(order)
        st.button(
            title,
            icon=f":material/{icon}:",
            disabled=not inside,
            on_click=choose.open_film,
            args=(str(view.store.samples["sample_id"].iat[order[place]]) if inside else "",),
        )
    st.markdown(f"{after + 1:,} of {len(order):,} in {name}" if here else f"{len(order):,} in {name}")


def _order(view: View, label: str) -> tuple[NDArray[np.int64], str]:
    chosen = selection.current(view)
    if len(chosen):
        return chosen, f"the selection {selection.name(view)}"
    return rows_in_state(view.store, view.split, label, "positive"), f"{view.split} with {label}"


def describe(view: View, question: Question) -> None:
    """What is known of the film; and, before maps are asked for, the way to them."""
    store = view.store
    sample = store.samples.iloc[question.row]
    value = label_states(store, question.label)[question.row]
    marked = cache.readings(store)
    mine = len(drawn(marked[(marked["row"] == question.row) & (marked["label"] == question.label)]))
    st.markdown(
        f"**{sample['sample_id']}** · {sample['split']} · {question.label}: **{value}** · all labels: "
        f"{findings_text(store, question.row)} · {mine} annotation{'' if mine == 1 else 's'} of {question.label}"
    )
    if not question.maps:
        st.button(
            "Show what the regimes look at",
            icon=":material/center_focus_strong:",
            type="primary",
            on_click=lambda: st.session_state.update(cam=True),
        )
