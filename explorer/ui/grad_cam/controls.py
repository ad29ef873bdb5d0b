"""The Grad-CAM page's controls: which film, which label, how the maps are made and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import streamlit as st

from explorer.data.regions import with_shape
from explorer.data.saliency_map import METHODS, MethodName
from explorer.data.text import in_markdown, whole
from explorer.figures.overlay import Colours, MapStyle
from explorer.tables.glossary import hint
from explorer.tables.labels import findings_text, label_states, rows_in_state
from explorer.ui.models.inference import LONGEST
from explorer.ui.shared import address, cache, choose, selection
from explorer.ui.shared.filter import conditions, films, filtered, narrowed
from explorer.ui.shared.frame import panel
from explorer.ui.shared.stepper import FilmOrder, stepper

if TYPE_CHECKING:
    from explorer.store.saliency import SaliencySet
    from explorer.ui.shared.frame import View

ViewName = Literal["regimes", "layers", "labels", "agreement", "sanity", "mark"]
TITLES = {
    "regimes": "Regimes",
    "layers": "Every block",
    "labels": "Every label",
    "agreement": "Agreement",
    "sanity": "Sanity checks",
    "mark": "Mark",
}
COLOUR_TITLES: dict[str, str] = {"tint": "Tint", "heat": "Heat", "none": "None"}


@dataclass(frozen=True)
class MapSettings:
    """How maps are made and drawn.

    Attributes
    ----------
    block : int
        Counted from 0.
    outlines : bool
        Whether annotations are drawn.
    """

    method: MethodName
    block: int
    look: MapStyle
    outlines: bool


@dataclass(frozen=True)
class Question:
    """Which film and label are shown in which view, whether with maps, and with which sentence of the visitor's own."""

    view_name: ViewName
    row: int
    label: str
    maps: bool
    settings: MapSettings
    sentence: str = ""


def choose_view(view: View) -> ViewName:
    """One of ``TITLES``."""
    return cast("ViewName", choose.part(view, "Show", "show", TITLES))


def set_key(saliency: SaliencySet) -> str:
    """The machine name of one of a run's sets of maps."""
    return f"{saliency.record.method}-{saliency.record.block}"


def choose_question(view: View, view_name: ViewName) -> Question:
    """The controls of a view of maps. No model is loaded before maps are asked for."""
    label = choose.label()
    with view.controls:
        row = choose.film(view, label)
        stepper(view.store, film_order(view, label), row)
        maps = st.toggle("Show maps", help="Loads the models: a few seconds the first time.", **address.control("cam"))
        choose.options(partial(_options, view, view_name))
    sentence = str(address.value("words")).strip() if view_name == "regimes" and view.store.text_space else ""
    return Question(view_name, row, label, maps, map_settings(), sentence)


def map_settings() -> MapSettings:
    """How maps are made and drawn."""
    colours = cast("Colours", address.value("colours"))
    opacity, contour, against = (address.value(name) for name in ("opacity", "contour", "against"))
    look = MapStyle(colours, opacity / 100, contour / 100, against)
    return MapSettings(address.value("method"), address.value("block") - 1, look, address.value("outlines"))


def _options(view: View, view_name: ViewName) -> None:
    choose_map_settings(view, every_block=view_name == "layers")
    if view_name == "regimes" and view.store.text_space:
        _choose_sentence()


def choose_map_settings(view: View, *, every_block: bool = False) -> None:
    """The controls of how maps are made and drawn."""
    depth = cache.depth(view.store, view.store.regimes[0].encoder)
    _choose_method()
    if depth == 1:
        st.caption("Maps of this encoder are made at its last feature map.")
    else:
        st.slider(
            "Block",
            1,
            depth,
            disabled=every_block,
            help=f"{hint('block')}  \n{METHODS[address.value('method')].layer.format('this').capitalize()}.",
            **address.control("block"),
        )
    _choose_look()


def _choose_method() -> None:
    st.selectbox(
        "Method",
        list(METHODS),
        format_func=lambda name: METHODS[name].title,
        help="ScoreCAM runs the whole model once for each channel: seconds for the demo's encoder, minutes for a "
        "ViT-B. EigenCAM and attention rollout do not ask about a label.",
        **address.control("method"),
    )


def _choose_sentence() -> None:
    st.text_input(
        "Own words",
        max_chars=LONGEST,
        placeholder="for example: enlarged heart",
        help="A further map, for a sentence of your own, by the frozen encoder. Needs its text tower.",
        **address.control("words"),
    )


def _choose_look() -> None:
    choose.pick_one("Colour map", list(COLOUR_TITLES), "colours", COLOUR_TITLES, named=True)
    st.caption("A tint changes hue alone: the film's greys stay readable.")
    st.slider("Opacity", 0, 100, step=5, format="%d%%", **address.control("opacity"))
    st.slider("Contour at", 0, 95, step=5, format="%d%% of the maximum", help="0: none", **address.control("contour"))
    st.toggle("Annotations", **address.control("outlines"))
    st.toggle(
        "Evidence against",
        help="What lowers the label's logit, in blue, in place of what raises it.",
        **address.control("against"),
    )


def film_order(view: View, label: str) -> FilmOrder:
    """What Previous and Next step through: the selection, or without one the split's films that have the label.

    A filter takes films out of the selection; without a selection it says which films of the split there are.
    """
    store, selected = view.store, selection.current(view)
    if len(selected.rows):
        return FilmOrder(narrowed(store, selected.rows), filtered(f"the selection {in_markdown(selected.name)}"))
    if conditions():
        return FilmOrder(films(store, view.split), filtered(view.split))
    return FilmOrder(rows_in_state(store, view.split, label, "positive"), f"{view.split} with {in_markdown(label)}")


@panel
def film_summary(view: View, question: Question) -> None:
    """What is known of the film; and, before maps are asked for, the way to them."""
    store = view.store
    sample = store.samples.iloc[question.row]
    state = label_states(store, question.label)[question.row]
    annotations = cache.run_annotations(store)
    of_label = annotations[(annotations["row"] == question.row) & (annotations["label"] == question.label)]
    n, label = len(with_shape(of_label)), in_markdown(question.label)
    st.markdown(
        f"**{in_markdown(sample['sample_id'])}** · {sample['split']} · {label}: **{state}** · all labels: "
        f"{findings_text(store, question.row)} · {n} annotation{'' if n == 1 else 's'} of {label}",
        help=whole(sample["sample_id"]),
    )
    if not question.maps and "weights" not in view.store.manifest.never_had:
        st.caption("Switch on **Show maps** to see what each regime looks at.")
