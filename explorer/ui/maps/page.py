"""The map page: what its maps show, and what pointing at them does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.analysis.map_trust import doubts
from explorer.data.text import in_markdown, plain
from explorer.figures.maps import paint_bytes
from explorer.tables import map_colours
from explorer.tables.glossary import hint
from explorer.tables.labels import by_prevalence
from explorer.tables.map_colours import COLOURS, MATCHES, MOST_LABELS, Asked
from explorer.tables.map_films import Landmark, film_card, landmarks
from explorer.tables.spaces import space_title
from explorer.ui.components.map_view import Panel, film_cards, linked_maps, send_points
from explorer.ui.maps import signs
from explorer.ui.maps.answer import answer_text
from explorer.ui.maps.download_map import download_map
from explorer.ui.maps.selected import MAPS, PAGES, beside_maps, films_id
from explorer.ui.maps.trust import cluster_table, method_text, trust_table, trust_verdict
from explorer.ui.models.inference import why_no_prompts
from explorer.ui.shared import address, cache, choose, selection
from explorer.ui.shared.filter import conditions, narrowed
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.selection import counted
from explorer.ui.shared.selections import CHIP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.tables.map_colours import Colour, Match
    from explorer.ui.maps.signs import Kind
    from explorer.ui.shared.frame import View

OF_LABEL = ("label", "score", "outcome", "right")
"""Colours that are about one label."""
OF_REGIME = ("score", "outcome")
"""Colours that differ between regimes of one space."""
LAYOUTS = {"all": "All regimes", "one": "One map"}
SIDE = 320
"""Pixels of the panel beside the maps."""

STYLE = """<style>
@media (max-width: 1200px) { :has(> .st-key-map-beside) { flex-basis: 250px !important; } }
@media (max-width: 640px) {
  :has(> .st-key-map-beside) { flex-basis: 100% !important; }
}
</style>"""
"""On a phone the side panel stands below the maps."""


@dataclass(frozen=True)
class MapChoice:
    """What the maps show."""

    regimes: tuple[RegimeRecord, ...]
    asked: Asked
    signs: tuple[Kind, ...]
    doubtful: bool
    thumbs: bool


def choose_maps(view: View) -> MapChoice:
    """The page's controls: one row, and what is needed less often behind *Options*."""
    st.html(STYLE)
    label = choose.label()
    with view.controls:
        kind = choose.space_kind()
        with st.container(width=200):
            st.selectbox(
                "Colour by",
                list(COLOURS),
                format_func=lambda colour: f"Colour: {COLOURS[colour].lower()}",
                label_visibility="collapsed",
                **address.control("colour"),
            )
        choose.options(partial(_options, view))
    colour: Colour = address.value("colour")
    several = colour == "labels"
    labels = tuple(
        name for name in by_prevalence(view.store, view.split) if several and name in address.value("labels")
    )
    match: Match = address.value("match") if several else "any"
    return MapChoice(
        view.store.regimes if address.value("layout") == "all" else (view.store.regime(address.value("regime")),),
        Asked(view.split, kind, colour, label, labels or (label,) if several else (), match, conditions()),
        tuple(kind for kind in signs.KINDS if kind in address.value("signs")),
        address.value("doubtful"),
        address.value("thumbs"),
    )


def _options(view: View) -> None:
    if choose.pick_one("Show", list(LAYOUTS), "layout", LAYOUTS) == "one":
        choose.regime(view)
    if address.value("colour") == "labels":
        choose.pick_one("Films that have", list(MATCHES), "match", MATCHES)
        st.multiselect(
            "Labels",
            by_prevalence(view.store, view.split),
            max_selections=MOST_LABELS,
            format_func=lambda name: plain(name, None),
            **address.control("labels"),
        )
    st.pills(
        "Draw on the maps",
        list(signs.KINDS),
        selection_mode="multi",
        format_func=signs.KINDS.__getitem__,
        **address.control("signs"),
    )
    st.toggle("Thumbnails of typical films", **address.control("thumbs"))
    st.toggle(
        "Mark doubtful points",
        help="Films whose neighbourhood the map tears apart (line), fakes (ring), or both (cross).",
        **address.control("doubtful"),
    )


@panel
def answer(view: View, choice: MapChoice) -> None:
    """One sentence: what the maps show, in figures of the full space."""
    st.markdown(answer_text(view.store, choice.asked, choice.regimes), help=hint("purity lift", "embedding"))


def explore(view: View, choice: MapChoice) -> None:
    """The maps with their side panel; none where the filter leaves no film, as the bar says."""
    store, asked = view.store, choice.asked
    if not len(map_colours.rows_on_map(store, asked)):
        return
    regimes = []
    for regime in choice.regimes:
        with errors_shown():
            regimes += [regime] if _can_draw(store, asked, regime) else []
    panels = []
    for same in _alike(store, asked, regimes):
        with errors_shown():  # the other maps can still be drawn
            panels.append(_panel(store, choice, same))
    with errors_shown():
        if panels:
            paint_id, paint = _painted(store, asked, tuple(one.name for one in panels), choice.doubtful)
            _linked(view, asked, panels, paint_id)
            send_points(store, panels, paint)
            film_cards(store, films_id(store, asked.label), partial(film_card, store, asked.label))


@st.fragment(key=MAPS)
def _linked(view: View, asked: Asked, panels: list[Panel], paint_id: str) -> None:
    """Maps and side panel. A click or a selection draws these anew and nothing else of the page."""
    with errors_shown():
        _open_film()
        store, picked, film = view.store, selection.current(view), _row_shown(view.store)
        with st.container(horizontal=True, gap="small"):
            with st.container(width="stretch"):
                linked_maps(
                    store,
                    panels,
                    paint_id,
                    films_id(store, asked.label),
                    sign_names=signs.SIGNS,
                    selected=picked.rows,
                    ringed=film,
                    on_click=lambda row: choose.open_film(str(store.samples["sample_id"].iat[row])),
                    on_pick=partial(_pick, store),
                    on_open=partial(_ask_to_open, store),
                )
            with st.container(width=SIDE, key="map-beside"):
                beside_maps(view, asked, picked, film)
        download_map(view, asked, panels)


def _pick(store: Store, rows: NDArray[np.int64]) -> None:
    """Select the films of a box or lasso; where it holds none, nothing is selected any more."""
    selection.put(store, rows, f"{counted(len(rows))} from the map")
    st.rerun([MAPS, CHIP])


def method(view: View, choice: MapChoice) -> None:
    """What colours and maps are made of, and how far the maps may be believed: drawn only while open."""
    choose.drawer("How the maps are made, and how far to trust them", "trust", partial(_method, view, choice))


def _method(view: View, choice: MapChoice) -> None:
    store, asked = view.store, choice.asked
    st.markdown(method_text(store, asked, choice.regimes))
    trust_table(store, choice.regimes, asked.kind)
    if "prompts" in choice.signs:
        _about_prompts(view, choice)
    if asked.colour == "cluster" or "clusters" in choice.signs:
        cluster_table(view, asked, choice.regimes)


@panel
def _about_prompts(view: View, choice: MapChoice) -> None:
    store, asked = view.store, choice.asked
    with_text = [
        regime.title
        for regime in choice.regimes
        if asked.kind == "embedding" and regime.embedding_space == store.text_space
    ]
    if store.text_space is None:
        st.caption(why_no_prompts(store))
    elif with_text:
        st.caption(signs.gap_sentence(store, asked.split))
    if store.text_space and len(with_text) < len(choice.regimes):
        st.caption("Prompts are drawn in the frozen encoder's embedding space only: no other space holds text.")


def _can_draw(store: Store, asked: Asked, regime: RegimeRecord) -> bool:
    if asked.colour == "outcome" and store.thresholds(regime.name).labels[asked.label].value is None:
        st.info(
            f"val has no positive or no negative for {in_markdown(asked.label)}, so {regime.title} has no "
            "threshold for it."
        )
        return False
    if asked.colour == "right" and all(
        store.thresholds(r.name).labels[asked.label].value is None for r in store.regimes
    ):
        st.info(
            f"val has no positive or no negative for {in_markdown(asked.label)}, so no regime can be right or wrong."
        )
        return False
    return True


def _alike(store: Store, asked: Asked, regimes: list[RegimeRecord]) -> list[list[RegimeRecord]]:
    """Regimes of which one map tells all: those of one space, where each film has one colour for all of them."""
    groups: dict[str, list[RegimeRecord]] = {}
    for regime in regimes:
        key = regime.name if asked.colour in OF_REGIME else store.space_of(regime.name, asked.kind).name
        groups.setdefault(key, []).append(regime)
    return list(groups.values())


def _row_shown(store: Store) -> int | None:
    sample_id = address.value("film")
    return None if sample_id is None else store.row_of(sample_id)


def _panel(store: Store, choice: MapChoice, regimes: list[RegimeRecord]) -> Panel:
    """The map of regimes that share it."""
    regime, asked = regimes[0], choice.asked
    space = store.space_of(regime.name, asked.kind)
    whose = regime.title if asked.colour in OF_REGIME else space_title(store, space)
    store.map(space.name)  # read first on its own: one that is damaged leaves the other maps
    kinds = tuple(kind for kind in choice.signs if kind != "prompts" or asked.kind == "embedding")
    colour, films = COLOURS[asked.colour].lower(), len(map_colours.rows_on_map(store, asked))
    alt = (
        f"Map of {films:,} films in the {asked.kind} space of {whose}, coloured by {colour}. "
        "Arrow keys step from film to film, Enter opens one, Space selects it."
    )
    about = [plain(asked.label)] if asked.colour in OF_LABEL else []
    marks = _landmarks(store, space.name, asked.split, asked.label) if choice.thumbs else ()
    title = " · ".join([whose, *about, asked.part or "every split"])
    return Panel(
        regime.name,
        space.name,
        title,
        trust_verdict(store.trust(space.name))[1],
        alt,
        signs.signs(store, space.name, kinds),
        tuple(one for one in marks if len(narrowed(store, np.array([one.row])))),
    )


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=cache.HASH_FUNCS)
def _landmarks(store: Store, space: str, split: Split, label: str) -> tuple[Landmark, ...]:
    return landmarks(store, space, split, label)


@st.cache_data(max_entries=24, show_spinner=False, hash_funcs=cache.HASH_FUNCS)
def _painted(store: Store, asked: Asked, regimes: tuple[str, ...], doubtful: bool) -> tuple[str, bytes]:
    paint_id = repr((store.path.name, store.manifest.created, asked, regimes, doubtful))
    flags = {}
    if doubtful:
        flags = {name: doubts(store.points(store.space_of(name, asked.kind).name)) for name in regimes}
    return paint_id, paint_bytes(paint_id, {name: map_colours.paint(store, asked, name) for name in regimes}, flags)


def _ask_to_open(store: Store, row: int, title: str) -> None:
    if title in PAGES:
        st.session_state["film-to-open"] = str(store.samples["sample_id"].iat[row]), PAGES[title]


def _open_film() -> None:
    """Open the page asked for about a film; a callback cannot switch pages."""
    sample_id, file = st.session_state.pop("film-to-open", (None, None))
    if sample_id and file:
        choose.open_film(sample_id)
        st.switch_page(file, query_params=address.link(film=sample_id))
