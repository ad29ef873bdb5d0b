"""The Grad-CAM page's pictures: the regimes side by side, every block, every label; and their export."""

from __future__ import annotations

import io
import json
import re
import zipfile
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.data.saliency_map import METHODS, silence
from explorer.data.text import in_markdown, plain
from explorer.figures import overlay
from explorer.figures.style import number
from explorer.store.manifest import FROZEN
from explorer.tables import styles
from explorer.tables.labels import by_prevalence, label_states
from explorer.ui.components.viewer import Film, Pane, own_film, shapes_to_draw, viewer
from explorer.ui.models import heatmaps, inference
from explorer.ui.shared import cache, choose
from explorer.ui.shared.annotators import film_annotations, legend
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.gallery import link

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from explorer.data.saliency_map import Saliency
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.grad_cam.controls import Question
    from explorer.ui.shared.frame import View

SMALL, TINY = 360, 240
"""Pixels of a picture's long side."""


@st.fragment
def pictures_view(view: View, question: Question) -> None:
    """The view asked for; nothing of the others is computed."""
    with errors_shown():
        if "weights" in view.store.manifest.never_had:
            raise view.store.left_out("weights", "no encoder that could say what it looks at")
        {"regimes": _regimes, "layers": _layers, "labels": _labels}[question.view_name](view, question)


def _regimes(view: View, question: Question) -> None:
    """The film once for each regime, with its map, the score and the threshold."""
    store = view.store
    film = own_film(store, question.row)
    exports: dict[str, NDArray[np.float32] | None] = {}
    panes = []
    for regime in store.regimes:
        with errors_shown():  # the film is shown all the same
            exports[regime.name] = _grid(store, regime, question)
        panes.append(_pane(store, regime, film, question, exports.get(regime.name)))
    if question.maps and question.sentence:
        with errors_shown():
            panes.append(_own_words(store, film, question))
    viewer(panes)
    _legend(store, question, (question.label,))
    sample_id = str(store.samples["sample_id"].iat[question.row])
    name = re.sub(r"[^\w.-]+", "_", f"{sample_id[:60]}-{question.label[:60]}-{question.settings.method}")
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Pictures and maps",
            partial(export, store, question, exports),
            file_name=f"{name}.zip",
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
            help="For each regime a PNG, the raw map over the model's patches (.npy) and the settings of both (.json).",
        )
        link("pages/case.py", "Case", sample_id)
        link("pages/neighbours.py", "Neighbours", sample_id)
        link("pages/map.py", "Map", sample_id)


def _grid(store: Store, regime: RegimeRecord, question: Question) -> NDArray[np.float32] | None:
    """One regime's map, where maps are asked for."""
    if not question.maps:
        return None
    grid: NDArray[np.float32] = _saliency(store, regime, (question.label,), (question.settings.block,), question).maps[
        0, 0
    ]
    return grid


def _pane(store: Store, regime: RegimeRecord, film: Film, question: Question, grid: NDArray[np.float32] | None) -> Pane:
    """The film under one regime's map."""
    look = question.settings.look
    return Pane(
        film,
        alt=f"{plain(question.label)} according to {regime.title}",
        title=regime.title,
        text=_score(store, regime, question.label, question.row).replace("*", ""),
        remark="" if grid is None else heatmaps.silence_remark(grid, look),
        colour=styles.of_regime(store, regime.name).colour,
        marks=shapes_to_draw(_outlines(store, question, question.label)),
        map=heatmaps.film_layers(store, question.row, regime.encoder, grid, look),
    )


def _own_words(store: Store, film: Film, question: Question) -> Pane:
    """What the frozen encoder looks at for a sentence of the visitor's own."""
    sentence = inference.check_sentence(question.sentence)
    vector = inference.embed_texts(store, [sentence])[0]  # (D,) unit norm
    settings = question.settings
    target = heatmaps.Likeness.to(FROZEN, vector)
    request = heatmaps.MapRequest(
        cache.run_key(store), question.row, target, settings.method, (settings.block,), settings.look.against
    )
    saliency = heatmaps.saliency_maps(store, request)
    grid = saliency.maps[0, 0]
    return Pane(
        film,
        alt="The sentence according to the frozen encoder",
        title="Own words, frozen encoder",
        text=f"cosine {number(saliency.logits[0], 3)} · no threshold: none was chosen",
        remark=f"{plain(sentence)} {heatmaps.silence_remark(grid, settings.look)}".strip(),
        map=heatmaps.film_layers(store, question.row, FROZEN, grid, settings.look),
    )


def _layers(view: View, question: Question) -> None:
    """One row for each regime: the label's map at every block, the first on the left."""
    store = view.store
    if not question.maps:
        return
    canvas = overlay.to_canvas(cache.film_image(store, question.row), TINY)
    for regime in store.regimes:
        _blocks(store, regime, canvas, question)
    st.caption("Under each map its block, b, and its largest value, unscaled.")
    _legend(store, question, (question.label,))


@panel
def _blocks(store: Store, regime: RegimeRecord, canvas: overlay.Canvas, question: Question) -> None:
    """One regime's map at every block."""
    blocks = tuple(range(cache.depth(store, regime.encoder)))
    _head(store, regime, question, " · ")
    saliency = _saliency(store, regime, (question.label,), blocks, question)
    with st.container(horizontal=True, gap="xsmall"):
        for block in blocks:
            grid = saliency.maps[0, block]
            with st.container(width=112, gap="xxsmall"):
                picture = _picture(store, regime.encoder, canvas, grid, question)
                st.image(picture, width=112, alt=f"{plain(question.label)} at block {block + 1}, {regime.title}")
                what = silence(grid)
                st.caption(f"**{block + 1}** · " + (what or f"{grid.max():.2g}"))


def _labels(view: View, question: Question) -> None:
    """Every label of the film in one regime, the most frequent first, from one pass over the tokens."""
    store = view.store
    regime = choose.regime(view)
    if not question.maps:
        return
    canvas = overlay.to_canvas(cache.film_image(store, question.row), SMALL)
    saliency = _saliency(store, regime, store.labels, (question.settings.block,), question)
    with st.container(horizontal=True, gap="small"):
        for label in by_prevalence(store, view.split):
            grid = saliency.maps[store.labels.index(label), 0]
            with st.container(width=168, gap="xxsmall"):
                st.image(
                    _picture(store, regime.encoder, canvas, grid, question, label),
                    width=168,
                    alt=f"{plain(label)}, {regime.title}",
                )
                what = silence(grid)
                state = label_states(store, label)[question.row]
                st.caption(
                    f"**{in_markdown(label)}** · {state}  \n{_score(store, regime, label, question.row)}"
                    + (f"  \nmap is {what}" if what else "")
                )
    _legend(store, question, store.labels)


def _head(store: Store, regime: RegimeRecord, question: Question, between: str) -> None:
    score = _score(store, regime, question.label, question.row)
    st.markdown(f":{styles.of_regime(store, regime.name).badge}[**{regime.title}**]{between}{score}")


def _saliency(
    store: Store, regime: RegimeRecord, labels: tuple[str, ...], blocks: tuple[int, ...], question: Question
) -> Saliency:
    target, settings = heatmaps.LabelLogits(regime.name, labels), question.settings
    request = heatmaps.MapRequest(
        cache.run_key(store), question.row, target, settings.method, blocks, settings.look.against
    )
    return heatmaps.saliency_maps(store, request)


def _picture(
    store: Store,
    encoder: str,
    canvas: overlay.Canvas,
    grid: NDArray[np.float32] | None,
    question: Question,
    label: str | None = None,
) -> Image.Image:
    """The film with its map, unless that singles nothing out, and the label's annotations."""
    annotations = _outlines(store, question, label or question.label)
    width, height = canvas.film_size
    seen = store.fit(encoder).window(height, width)
    shown = None if grid is None or silence(grid) else grid
    return overlay.compose(canvas, shown, seen, annotations, question.settings.look)


def _outlines(store: Store, question: Question, label: str) -> pd.DataFrame:
    """A label's annotations of the film, where they are to be drawn."""
    annotations = film_annotations(store, question.row)
    return annotations[(annotations["label"] == label) & question.settings.outlines]


def _score(store: Store, regime: RegimeRecord, label: str, row: int) -> str:
    logit = float(store.logits(regime.name)[row, store.labels.index(label)])
    return heatmaps.score_text(store, regime.name, label, logit)


@panel
def _legend(store: Store, question: Question, labels: Sequence[str]) -> None:
    settings = question.settings
    if settings.outlines:
        annotations = film_annotations(store, question.row)
        legend(annotations[annotations["label"].isin(labels)])
    method = METHODS[settings.method]
    block = "b" if question.view_name == "layers" else settings.block + 1
    words = [
        "Outlines are annotations, each annotator in one colour. Hatched parts are cropped away before the model sees "
        "the film."
    ]
    if question.maps:
        direction = "lowers" if settings.look.against else "raises"
        what = f"evidence {direction} the label's logit" if method.by_label else "the model looks, whatever the label"
        words.append(
            f"{method.title} ({method.source}) {method.layer.format(block)}. "
            f"Colour shows where {what}. Each map is scaled to its own maximum, so compare places between regimes, not "
            "brightness. A map shows what the model uses, not where disease is."
        )
    st.caption(" ".join(words))


def export(store: Store, question: Question, grids: dict[str, NDArray[np.float32] | None]) -> bytes:
    """A ZIP: for each regime the picture, the raw map where there is one, and what both were made with."""
    canvas = overlay.to_canvas(cache.film_image(store, question.row), cache.FILM_SIDE)
    (width, height), drawing = store.film_size(question.row), question.settings
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for regime in store.regimes:
            if regime.name not in grids:
                continue  # it could not be drawn
            grid = grids[regime.name]
            seen = store.fit(regime.encoder).window(height, width)
            c = store.labels.index(question.label)
            settings = {
                "run": store.manifest.run_id,
                "sample_id": str(store.samples["sample_id"].iat[question.row]),
                "label": question.label,
                "regime": regime.name,
                "encoder": store.encoder(regime.encoder).model_dump(),
                "method": METHODS[drawing.method].title,
                "block": drawing.block + 1,
                "evidence": "against" if drawing.look.against else "for",
                "logit": float(store.logits(regime.name)[question.row, c]),
                "threshold": _or_none(float(store.threshold_array(regime.name)[c])),
                "film_pixels": {"width": width, "height": height},
                "seen_by_the_model": dict(zip("xywh", seen, strict=True)),
                "map": "rows and columns of the model's patches over seen_by_the_model; logit units, not rescaled",
                "silent": grid is not None and silence(grid),
                "look": {
                    "colours": drawing.look.colours,
                    "opacity": drawing.look.opacity,
                    "contour": drawing.look.contour,
                },
                "notice": "Research use only. Not a medical device.",
            }
            archive.writestr(f"{regime.name}.json", json.dumps(settings, indent=2) + "\n")
            archive.writestr(
                f"{regime.name}.png", overlay.as_png(_picture(store, regime.encoder, canvas, grid, question))
            )
            if grid is not None:
                raw = io.BytesIO()
                np.save(raw, grid, allow_pickle=False)
                archive.writestr(f"{regime.name}.npy", raw.getvalue())
    return out.getvalue()


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value
