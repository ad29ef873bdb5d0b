"""The map page: what its maps show, and what pointing at them does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import pandas as pd
import streamlit as st

from explorer.analysis.map_trust import doubts
from explorer.data.text import in_markdown, plain
from explorer.figures.maps import paint_bytes
from explorer.figures.style import number
from explorer.tables import map_colours
from explorer.tables.labels import by_prevalence, findings_text
from explorer.tables.map_colours import COLOURS, MATCHES, MOST_LABELS, Asked
from explorer.tables.spaces import distinct_spaces
from explorer.ui.components.map_view import Panel, Tip, linked_maps, tips
from explorer.ui.maps import signs
from explorer.ui.maps.selected import selected
from explorer.ui.maps.trust import cluster_table, trust_table, trust_verdict
from explorer.ui.shared import address, cache, choose, selection
from explorer.ui.shared.frame import errors_shown, panel

if TYPE_CHECKING:
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.tables.map_colours import Colour, Match
    from explorer.ui.maps.signs import Kind
    from explorer.ui.shared.frame import View
    from explorer.ui.shared.selection import Selection

OF_LABEL = ("label", "score", "outcome", "right")
"""Colours that are about one label."""
OF_REGIME = ("score", "outcome")
"""Colours that differ between regimes of one space."""
LAYOUTS = {"all": "All regimes", "one": "One map"}


@dataclass(frozen=True)
class MapChoice:
    """What the maps show."""

    regimes: tuple[RegimeRecord, ...]
    asked: Asked
    signs: tuple[Kind, ...]
    doubtful: bool


def choose_maps(view: View) -> MapChoice:
    """The page's controls, in rows that wrap."""
    store = view.store
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        layout = choose.pick_one("Show", list(LAYOUTS), "layout", LAYOUTS)
        regimes = store.regimes if layout == "all" else (choose.regime(view),)
        kind = choose.space_kind()
        with st.container(width=200):
            st.selectbox("Colour by", list(COLOURS), format_func=COLOURS.__getitem__, **address.control("colour"))
            colour: Colour = address.value("colour")
        label = choose.label()
    labels: tuple[str, ...] = ()
    match: Match = "any"
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        if colour == "labels":
            match = cast(
                "Match",
                choose.pick_one("Films that have", list(MATCHES), "match", MATCHES),
            )
            by_count = by_prevalence(store, view.split)
            with st.container(width=420):
                st.multiselect(
                    "Labels",
                    by_count,
                    max_selections=MOST_LABELS,
                    format_func=lambda name: plain(name, None),
                    **address.control("labels"),
                )
            labels = tuple(name for name in by_count if name in address.value("labels")) or (label,)
        kinds = list(signs.KINDS)
        st.pills(
            "Draw on the maps",
            kinds,
            selection_mode="multi",
            format_func=signs.KINDS.__getitem__,
            **address.control("signs"),
        )
        doubtful = st.toggle(
            "Mark doubtful points",
            help="Films whose neighbourhood the map tears apart (line), fakes (ring), or both (cross).",
            **address.control("doubtful"),
        )
    asked = Asked(view.split, kind, colour, label, labels, match)
    return MapChoice(regimes, asked, tuple(kind for kind in kinds if kind in address.value("signs")), doubtful)


@panel
def describe_maps(view: View, choice: MapChoice) -> None:
    """One paragraph: what a point is, what its colour means, which regimes share the space."""
    store, asked = view.store, choice.asked
    words = ["Each point is a film; films the model sees as alike lie close together.", _meaning(store, choice)]
    if asked.kind == "embedding":
        for _, titles in distinct_spaces(store, "embedding"):
            if len(titles) > 1 and any(regime.title in titles for regime in choice.regimes):
                words.append(f"{' and '.join(titles)} share one frozen encoder, so they share this map.")
    st.markdown(" ".join(word for word in words if word))


def _meaning(store: Store, choice: MapChoice) -> str:
    asked, label = choice.asked, choice.asked.label
    if asked.colour in ("outcome", "right", "score"):
        cuts = [(r.title, store.thresholds(r.name).labels[label].value) for r in choice.regimes]
        words = ", ".join(f"{title} {'has none' if cut is None else f'logit {number(cut)}'}" for title, cut in cuts)
        return f"Thresholds for {in_markdown(label)}, chosen on val by max F1: {words}."
    return {
        "labels": f"Coloured: films with {MATCHES[asked.match]}; a film with several is a pie.",
        "count": "Known positive labels other than No Finding.",
        "split": "All films are shown.",
        "cluster": "k-means in the full space; names are findings over-represented on train, see below.",
        "density": "Mean cosine to the nearest films in the full space, not on the map.",
        "moved": "The farthest a film lies from itself on two of the maps, laid over one another (Procrustes).",
    }.get(asked.colour, "")


@st.fragment
def explore(view: View, choice: MapChoice) -> None:
    """The maps, how far to trust them and, once films are selected, what was selected."""
    with errors_shown():
        _go_to_case()
        shown = []
        for regime in choice.regimes:
            with errors_shown():
                shown += [regime] if _can_draw(view.store, choice.asked, regime) else []
        picked = selection.current(view)
        if shown:
            _maps(view, choice, shown, picked)
            trust_table(view.store, shown, choice.asked.kind)
        if choice.asked.colour == "cluster" or "clusters" in choice.signs:
            cluster_table(view, choice.asked, choice.regimes)
        selected(view, choice.asked, choice.regimes[0], picked)


def answer_hovers(view: View, choice: MapChoice) -> None:
    """The thumbnails and words of the films that the maps' pointer asks for."""
    store, label = view.store, choice.asked.label
    tips(store, _tips_id(store, label), lambda row: _tip(store, label, row))


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


@panel
def _maps(view: View, choice: MapChoice, regimes: list[RegimeRecord], picked: Selection) -> None:
    store, asked = view.store, choice.asked
    panels = []
    for same in _alike(store, asked, regimes):
        with errors_shown():  # the other maps can still be drawn
            panels.append(_panel(store, choice, same))
    if not panels:
        return
    names = tuple(one.name for one in panels)
    linked_maps(
        store,
        panels,
        _painted(store, asked, names, choice.doubtful),
        _tips_id(store, asked.label),
        height={1: 560, 2: 460}.get(len(panels), 380),
        selected=picked.rows,
        ringed=_row_shown(store),
        on_click=lambda row: choose.open_film(str(store.samples["sample_id"].iat[row])),
        on_pick=partial(selection.put_from_map, view),
        on_open=lambda row: _open_case(store, row),
    )
    if "prompts" in choice.signs:
        with_text = [r.title for r in regimes if asked.kind == "embedding" and signs.has_text(store, r.embedding_space)]
        if with_text:
            st.caption(signs.gap_sentence(store, asked.split))
        if len(with_text) < len(regimes):
            st.caption("Prompts are drawn in the frozen encoder's embedding space only: no other space holds text.")


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
    regime, titles = regimes[0], " and ".join(regime.title for regime in regimes)
    space = store.space_of(regime.name, choice.asked.kind)
    store.map(space.name)  # read first on its own: one that is damaged leaves the other maps
    kinds = tuple(kind for kind in choice.signs if kind != "prompts" or choice.asked.kind == "embedding")
    on_map = signs.signs(store, space.name, kinds)
    colour = COLOURS[choice.asked.colour].lower()
    alt = f"Map of the {choice.asked.kind} space of {titles}, coloured by {colour}"
    about = [plain(choice.asked.label)] if choice.asked.colour in OF_LABEL else []
    title = " · ".join([titles, *about, "every split" if choice.asked.colour == "split" else choice.asked.split])
    return Panel(regime.name, space.name, title, trust_verdict(store.trust(space.name))[1], alt, on_map)


@st.cache_data(max_entries=24, show_spinner=False, hash_funcs=cache.HASH_FUNCS)
def _painted(store: Store, asked: Asked, regimes: tuple[str, ...], doubtful: bool) -> tuple[str, bytes]:
    paint_id = repr((store.path.name, store.manifest.created, asked, regimes, doubtful))
    flags = {}
    if doubtful:
        flags = {name: doubts(store.points(store.space_of(name, asked.kind).name)) for name in regimes}
    return paint_id, paint_bytes(paint_id, {name: map_colours.paint(store, asked, name) for name in regimes}, flags)


def _open_case(store: Store, row: int) -> None:
    st.session_state["case-to-open"] = str(store.samples["sample_id"].iat[row])


def _tips_id(store: Store, label: str) -> str:
    return f"{store.path.name} {store.manifest.created} {label}"


def _tip(store: Store, label: str, row: int) -> Tip:
    sample, c = store.samples.iloc[row], store.labels.index(label)
    scores = " · ".join(f"{r.title} {number(store.logits(r.name)[row, c])}" for r in store.regimes)
    report = " ".join(str(sample["report"] or "").split()) if pd.notna(sample["report"]) else ""
    where = " · ".join(str(part) for part in (sample["sample_id"], sample["split"], sample["view"]) if pd.notna(part))
    lines = [where, findings_text(store, row, plain), f"{plain(label)}, logits: {scores}"]
    return Tip(row, store.thumbnail(row), (*lines, f"{report[:140]}…") if len(report) > 140 else (*lines, report))


def _go_to_case() -> None:
    """Open the case of a film clicked twice; a callback cannot switch pages."""
    sample_id = st.session_state.pop("case-to-open", None)
    if sample_id:
        choose.open_film(sample_id)
        st.switch_page("pages/case.py", query_params=address.link(film=sample_id))
