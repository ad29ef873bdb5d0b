"""The map page's panels: maps, how far to trust them, and what a selection holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from explorer import figures
from explorer.ui import cache, choose, derive, selection
from explorer.ui.frame import errors_shown
from explorer.ui.gallery import gallery

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.store.schema import RegimeRecord, SpaceKind
    from explorer.ui.frame import View

Colour = Literal["label", "score", "outcome", "split"]

COLOURS = {"label": "Label", "score": "Score", "outcome": "Outcome", "split": "Split"}
UNUSED = ["toImage", "zoomIn2d", "zoomOut2d", "autoScale2d"]
FAR = "Distances between far clusters mean nothing. Neither do a cluster's size and density."
LAYOUTS = {"one": "One map", "all": "All regimes"}


@dataclass(frozen=True)
class Choice:
    """What the maps show."""

    regimes: tuple[RegimeRecord, ...]
    kind: SpaceKind
    colour: Colour
    label: str
    ringed: int | None
    """The row of the film a link led to."""


def choose_maps(view: View) -> Choice:
    """The page's controls, in one row that wraps."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        layout = choose.pick_one("Show", list(LAYOUTS), "one", "layout", LAYOUTS)
        regimes = view.store.regimes if layout == "all" else (choose.regime(view),)
        kind = choose.space_kind()
        colour = cast("Colour", choose.pick_one("Colour by", list(COLOURS), "label", "colour", COLOURS))
        with st.container(width=240):
            label = choose.label(view)
    return Choice(regimes, kind, colour, label, _ringed(view.store))


def _ringed(store: Store) -> int | None:
    """The film a link led to; a click on the map rings nothing, since a new ring would draw the map anew."""
    film = st.query_params.get("film", "")
    if film and film != st.session_state.get("clicked"):
        st.session_state["ringed"] = film
    return store.row_of(st.session_state.get("ringed", ""))


@st.fragment
def explore(view: View, choice: Choice) -> None:
    """The maps and, once films are selected, what was selected."""
    with errors_shown():
        store = view.store
        if len(choice.regimes) == 1:
            chart, beside = st.columns([3, 1], gap="medium")
            with chart:
                _map(view, choice, choice.regimes[0], height=560)
            with beside:
                _trust(store, choice.regimes[0], choice.kind)
        else:
            for column, regime in zip(st.columns(len(choice.regimes)), choice.regimes, strict=True):
                with column:
                    st.markdown(f"**{regime.title}**")
                    _map(view, choice, regime, height=400)
                    _trust_line(store, regime, choice.kind)
            st.caption(FAR)
        _selection(view, choice)


def explain(view: View, choice: Choice) -> None:
    """One paragraph: what a point is, what its colour means, which regimes share the space."""
    store = view.store
    words = ["Each point is a film; films the model sees as alike lie close together."]
    if choice.colour == "outcome":
        cuts = [(regime, store.thresholds(regime.name).labels[choice.label].value) for regime in choice.regimes]
        said = ", ".join(f"{regime.title} {'has none' if cut is None else f'logit {cut:.2f}'}" for regime, cut in cuts)
        words.append(f"Outcome at the {choice.label} threshold, chosen on val by max F1: {said}.")
    elif choice.colour == "score":
        words.append(f"Colour is the logit for {choice.label}, grey at the threshold chosen on val.")
    elif choice.colour == "split":
        words.append("All films are shown.")
    if choice.kind == "embedding":
        for _, titles in derive.spaces(store, "embedding"):
            if len(titles) > 1 and any(regime.title in titles for regime in choice.regimes):
                words.append(f"{' and '.join(titles)} share one frozen encoder, so they share this map.")
    st.markdown(" ".join(words))


@st.cache_data(max_entries=48, show_spinner=False)
def _figure(
    path: Path,
    made: str,
    split: Split,
    regime: str,
    kind: SpaceKind,
    colour: Colour,
    label: str,
    ringed: int | None,
    height: int,
    _store: Store,
) -> go.Figure:
    """Cached, so that a selection does not build the figure again; the same figure keeps the selection drawn."""
    xy = _store.map(_store.space_of(regime, kind).name)
    rows, hover = _store.rows(split), cache.hover(_store)
    if colour == "score":
        c = _store.labels.index(label)
        scores = _store.logits(regime)[:, c]
        threshold = float(_store.threshold_array(regime)[c])
        middle = float(np.median(scores[rows])) if np.isnan(threshold) else threshold
        drawn = rows[np.argsort(scores[rows], kind="stable")]  # the highest scores on top
        figure = figures.score_map(xy, drawn, scores, middle, hover, height)
    else:
        layers = {
            "label": lambda: derive.layers_by_label(_store, rows, label),
            "outcome": lambda: derive.layers_by_outcome(_store, rows, regime, label),
            "split": lambda: derive.layers_by_split(_store),
        }
        figure = figures.layered_map(xy, layers[colour](), hover, height)
    if ringed is not None:
        figures.add_ring(figure, xy, ringed, hover)
    return figure


def _map(view: View, choice: Choice, regime: RegimeRecord, height: int) -> None:
    store = view.store
    thresholds = store.thresholds(regime.name).labels
    if choice.colour == "outcome" and thresholds[choice.label].value is None:
        st.info(f"val has no positive or no negative for {choice.label}, so {regime.title} has no threshold for it.")
        return
    key = f"map-{regime.name}"
    st.plotly_chart(
        _figure(
            store.path,
            store.manifest.created,
            view.split,
            regime.name,
            choice.kind,
            choice.colour,
            choice.label,
            choice.ringed,
            height,
            store,
        ),
        key=key,
        on_select=lambda: _keep(view, key),
        config={"displaylogo": False, "displayModeBar": True, "modeBarButtonsToRemove": UNUSED},
        alt=f"Map of the {choice.kind} space of {regime.title}, coloured by {COLOURS[choice.colour].lower()}",
    )


def _keep(view: View, key: str) -> None:
    """Remember what was selected: a new colour draws a new figure, and the chart itself would forget."""
    points = st.session_state[key]["selection"]["points"]
    rows = np.unique([int(np.ravel(point["customdata"])[0]) for point in points]).astype(np.int64)
    rows = rows[(rows >= 0) & (rows < view.store.n)]
    if len(rows) == 1:
        st.session_state["clicked"] = str(view.store.samples["sample_id"].iat[rows[0]])
        choose.open_film(st.session_state["clicked"])
        selection.clear()
    else:
        st.query_params.pop("film", None)
        selection.put(view, rows, f"{len(rows):,} films from the map")


def _trust(store: Store, regime: RegimeRecord, kind: SpaceKind) -> None:
    trust = store.trust(store.space_of(regime.name, kind).name)
    st.markdown(f"**How far to trust it** · {trust['method']}, seed {trust['seed']}")
    with st.container(horizontal=True):
        st.metric(
            "Trustworthiness",
            f"{trust['trustworthiness']:.2f}",
            help=f"1 is best: what is near on the map is near in the space (k = {trust['k']}). Random: about 0.5.",
        )
        st.metric(
            "Neighbours kept",
            f"{trust['knn_overlap']:.0%}",
            help=f"Share of a film's {trust['k']} nearest in the space that are also nearest on the map. "
            f"Random: {trust['knn_overlap_baseline']:.1%}.",
        )
    st.caption(f"Over {trust['n']:,} films, k = {trust['k']}. {FAR}")


def _trust_line(store: Store, regime: RegimeRecord, kind: SpaceKind) -> None:
    trust = store.trust(store.space_of(regime.name, kind).name)
    st.caption(
        f"Trustworthiness {trust['trustworthiness']:.2f} (random 0.5) · neighbours kept {trust['knn_overlap']:.0%} "
        f"(random {trust['knn_overlap_baseline']:.1%}, k = {trust['k']})"
    )


def _selection(view: View, choice: Choice) -> None:
    store = view.store
    picked, called = selection.current(view), selection.name(view)
    if len(picked) == 0:
        row = store.row_of(st.query_params.get("film", ""))
        picked, called = np.array([] if row is None else [row], dtype=np.int64), st.query_params.get("film", "")
    if len(picked) == 0:
        st.caption(
            "Click a point to see its film. For many, choose lasso or box in the map's toolbar and draw around them."
        )
        return
    st.subheader(f"{len(picked):,} film{'s' if len(picked) > 1 else ''} selected")
    st.button("Clear", icon=":material/close:", on_click=_clear)
    selection.actions(view, picked, called, key="selected")
    if len(picked) > 1:
        _composition(view, choice, picked)
    gallery(store, picked.tolist(), choice.label, choice.regimes[0], key="selected")


def _clear() -> None:
    selection.clear()
    st.query_params.pop("film", None)


def _composition(view: View, choice: Choice, picked: NDArray[np.int64]) -> None:
    shown: NDArray[np.int64] = view.store.rows(None if choice.colour == "split" else view.split)
    frame = derive.composition(view.store, picked, shown)
    frame = frame[(frame["n_pos"] > 0)].assign(series="selection")
    if frame.empty:
        st.caption("No film of the selection has a positive label.")
        return
    style = figures.Style("#3a9bdc", "circle", "solid", "blue")
    st.plotly_chart(
        figures.dots(frame, {"selection": style}, "share of the selection", few=1),
        key="composition",
        alt="Share of each label in the selection against all films shown",
    )
    st.caption("In brackets the positives in the selection. The tick is the share among all films shown, in one map.")
