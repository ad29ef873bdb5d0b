"""The Grad-CAM page's strip: the stored maps of the selection's films, one film beside the other."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from explorer.data.saliency_map import silence
from explorer.data.text import in_markdown, plain
from explorer.figures import overlay
from explorer.tables.labels import label_states
from explorer.ui.models import heatmaps
from explorer.ui.shared import cache, choose, selection
from explorer.ui.shared.annotators import film_annotations
from explorer.ui.shared.frame import panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.grad_cam.controls import Question
    from explorer.ui.shared.frame import View

MOST = 12
"""Films of a strip."""
_SIDE = 132
"""Pixels of a tile's width."""


@panel
def strip(view: View, question: Question) -> None:
    """The first films of the selection that have stored maps of the label, regimes one below the other.

    Nothing is computed: the batch job has made these maps.
    """
    store, selected = view.store, selection.current(view)
    if question.view_name != "regimes" or not question.maps or not len(selected.rows):
        return
    kept = {row: maps for row in selected.rows.tolist() if (maps := _stored(store, row, question))}
    shown = dict(list(kept.items())[:MOST])
    st.markdown(f"**Maps of the selection** · {in_markdown(question.label)}")
    regimes = ", ".join(regime.title for regime in store.regimes)
    st.caption(
        f"{len(shown):,} of the {len(kept):,} films with stored maps, of {len(selected.rows):,} selected. From top to "
        f"bottom: {regimes}."
    )
    heatmaps.note_seen(shown)
    states = label_states(store, question.label)
    with st.container(horizontal=True, gap="small"):
        for row, maps in shown.items():
            sample_id = str(store.samples["sample_id"].iat[row])
            with st.container(width=_SIDE, gap="xxsmall"):
                picture = _picture(store, row, maps, question)
                st.image(picture, width=_SIDE, alt=f"Maps of film {plain(sample_id)}: {regimes}")
                st.caption(str(states[row]))
                st.button(
                    in_markdown(sample_id),
                    key=f"strip-{row}",
                    type="tertiary",
                    on_click=choose.open_film,
                    args=(sample_id,),
                )


def _stored(store: Store, row: int, question: Question) -> dict[str, NDArray[np.float32]]:
    """The film's stored map in every regime by its name; none where one is not stored."""
    settings = question.settings
    maps = {}
    for regime in store.regimes:
        target = heatmaps.LabelLogits(regime.name, (question.label,))
        request = heatmaps.MapRequest(
            cache.run_key(store), row, target, settings.method, (settings.block,), settings.look.against
        )
        saliency = heatmaps.stored_maps(store, request)
        if saliency is None:
            return {}
        maps[regime.name] = saliency.maps[0, 0]
    return maps


def _picture(store: Store, row: int, maps: dict[str, NDArray[np.float32]], question: Question) -> Image.Image:
    """The film's thumbnail under each regime's map, one below the other, each in a square."""
    thumbnail = Image.open(io.BytesIO(store.thumbnail(row))).convert("L")
    size = store.film_size(row)
    canvas = overlay.Canvas(np.asarray(thumbnail, dtype=np.float32), thumbnail.width / size[0], size)
    nothing = film_annotations(store, row).iloc[:0]
    tiles = []
    for name, grid in maps.items():
        seen = store.fit(store.regime(name).encoder).window(size[1], size[0])
        drawn = None if silence(grid) else grid
        tiles.append(overlay.compose(canvas, drawn, seen, nothing, question.settings.look))
    side = max(thumbnail.size)
    picture = Image.new("RGB", (side, side * len(tiles)))
    for place, tile in enumerate(tiles):
        picture.paste(tile, ((side - tile.width) // 2, side * place + (side - tile.height) // 2))
    return picture
