"""Why a result is near the query: query and result side by side, each with a map of what is asked about.

Of two films the natural question is their likeness: each film's map shows where it agrees with the other's vector. A
label's logit can be explained instead. Words and the middle of a selection have no film of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.saliency_map import METHODS, silence
from explorer.data.text import in_markdown, plain
from explorer.figures import overlay
from explorer.figures.style import number
from explorer.tables import styles
from explorer.tables.labels import by_prevalence
from explorer.tables.spaces import distinct_spaces, space_title
from explorer.ui.grad_cam.controls import MapSettings, choose_map_settings, map_settings
from explorer.ui.models import heatmaps
from explorer.ui.models.inference import Upload
from explorer.ui.shared import address, cache
from explorer.ui.shared.annotators import film_annotations
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.gallery import link
from explorer.ui.shared.parameter import Parameter, Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.neighbours.query import Query
    from explorer.ui.shared.frame import View
    from explorer.ui.shared.queue import AnswerCache

OWN = "*"
"""In the link instead of a result: the uploaded film alone."""


def _read(store: Store, text: str) -> str:
    if text != OWN and store.row_of(text) is None:
        raise Refused
    return text


PARAMETER = Parameter(
    read=_read,
    write=lambda _, which: which,
    fits=lambda store, which, _: which == OWN or store.row_of(which) is not None,
    default=lambda *_: None,
)
"""The result that is explained, as a parameter of the page's address."""
LIKENESS = "Their likeness"
SIDE = 640
"""Pixels of a picture's long side."""


@dataclass(frozen=True)
class Comparison:
    """The films shown with their titles, and how their maps are made and drawn."""

    films: tuple[tuple[str, int | Upload], ...]
    settings: MapSettings


def open_explanation(which: str) -> None:
    """Explain a result, or OWN."""
    address.choose(explain=which)


def _close() -> None:
    address.choose(explain=None)


def explain_result(view: View, query: Query) -> None:
    """Explain what the address asks for, if anything."""
    which = address.value("explain")
    if which == OWN and query.upload:
        _dialog(view, query, None)
    elif which not in (None, OWN):
        _dialog(view, query, view.store.row_of(which))


@st.dialog("What the regimes look at", width="large", on_dismiss=_close)
def _dialog(view: View, query: Query, row: int | None) -> None:
    with errors_shown():
        query_film = query.upload if query.upload else query.row
        films: list[tuple[str, int | Upload]] = []
        if query_film is not None and query_film != row:
            films.append((query.name, query_film))
        if row is not None:
            films.append((str(view.store.samples["sample_id"].iat[row]), row))
        labels = by_prevalence(view.store, view.split)
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            with st.container(width=230):
                parameter, options = ("why_own", labels) if row is None else ("why", [LIKENESS, *labels])
                st.selectbox(
                    "Explain", options, format_func=lambda name: plain(name, None), **address.control(parameter)
                )
                about = str(address.value(parameter))
            choose_map_settings(view)
            comparison = Comparison(tuple(films), map_settings())
        if row is not None and about == LIKENESS:
            _likeness(view.store, query, row, comparison)
        else:
            _label(view.store, about, query.upload, comparison)
        _legend(comparison, about)
        if row is not None:
            sample_id = str(view.store.samples["sample_id"].iat[row])
            with st.container(horizontal=True, gap="small"):
                link("pages/case.py", "Case", sample_id)
                link("pages/grad_cam.py", "Grad-CAM", sample_id)


def _likeness(store: Store, query: Query, row: int, comparison: Comparison) -> None:
    """One column for each space: where each film agrees with the other's vector, or the result with the words."""
    films, answers = comparison.films, query.upload.answers if query.upload else None
    spaces = distinct_spaces(store, query.kind)
    for column, (space, _) in zip(st.columns(len(spaces), gap="medium"), spaces, strict=True):
        own, other = query.vectors[space.name], np.asarray(store.vectors(space.name)[row])
        regime = next(r for r in store.regimes if space.name in (r.embedding_space, r.decision_space))
        towards = (other, own)[-len(films) :]  # each film is compared with the other
        with column:
            st.markdown(f"**{space_title(store, space)}**  \ncosine {number(float(own @ other), 3)}")
            for part, (title, film), vector in zip(st.columns(len(films), gap="small"), films, towards, strict=True):
                with part:
                    target = heatmaps.Likeness.to(space.name, vector)
                    grid = _map(store, film, target, comparison.settings, answers)
                    _draw(store, regime, title, film, grid, "", comparison.settings)


def _map(
    store: Store,
    film: int | Upload,
    target: heatmaps.LabelLogits | heatmaps.Likeness,
    settings: MapSettings,
    answers: AnswerCache | None = None,
) -> NDArray[np.float32]:
    """The (g, g) map of a film for one target."""
    request = heatmaps.MapRequest(
        cache.run_key(store), film, target, settings.method, (settings.block,), settings.look.against
    )
    grid: NDArray[np.float32] = heatmaps.saliency_maps(store, request, answers).maps[0, 0]
    return grid


def _label(store: Store, label: str, upload: Upload | None, comparison: Comparison) -> None:
    """One column for each regime: the label's logit in each film."""
    c = store.labels.index(label)
    logits = upload.logits(store) if upload else {}
    for column, regime in zip(st.columns(len(store.regimes), gap="medium"), store.regimes, strict=True):
        with column:
            st.markdown(f":{styles.of_regime(store, regime.name).badge}[**{regime.title}**]")
            parts = st.columns(len(comparison.films), gap="small")
            for part, (title, film) in zip(parts, comparison.films, strict=True):
                with part:
                    grid = _map(store, film, heatmaps.LabelLogits(regime.name, (label,)), comparison.settings)
                    film_logits = logits[regime.name] if isinstance(film, Upload) else store.logits(regime.name)[film]
                    score = heatmaps.score_text(store, regime.name, label, float(film_logits[c]))
                    _draw(store, regime, title, film, grid, label, comparison.settings, score)


def _draw(
    store: Store,
    regime: RegimeRecord,
    title: str,
    film: int | Upload,
    grid: NDArray[np.float32],
    label: str,
    settings: MapSettings,
    score: str = "",
) -> None:
    """One film with its map and, where a label is asked about, that label's annotations."""
    annotations = film_annotations(store, film if isinstance(film, int) else -1)  # nobody marked an upload
    annotations = annotations[(annotations["label"] == label) & settings.outlines]
    canvas = heatmaps.film_canvas(store, film, SIDE)
    width, height = canvas.film_size
    seen = store.fit(regime.encoder).window(height, width)
    picture = overlay.compose(canvas, None if silence(grid) else grid, seen, annotations, settings.look)
    st.image(picture, width="stretch", alt=f"{plain(title)} according to {regime.title}")
    parts = (in_markdown(title), score, heatmaps.silence_remark(grid, settings.look))
    st.caption("  \n".join(part for part in parts if part))


def _legend(comparison: Comparison, about: str) -> None:
    settings = comparison.settings
    method = METHODS[settings.method]
    direction = "lowers" if settings.look.against else "raises"
    if not method.by_label:
        what = "the model looks, whatever is asked about"
    elif about != LIKENESS:
        what = f"evidence {direction} the logit of {in_markdown(about)}"
    elif len(comparison.films) == 2:
        what = f"each film {direction} its likeness to the other"
    else:
        what = f"the film {direction} its likeness to what was asked for"
    shared = "Chest films are alike in much: what marks them as chest films counts, too. " if about == LIKENESS else ""
    st.caption(
        f"{method.title} ({method.source}) {method.layer.format(settings.block + 1)}. Colour shows where {what}; each "
        f"map is scaled to its own maximum. {shared}Hatched parts are cropped away before the model sees the film."
    )
