"""The Grad-CAM page's marking view: readers draw boxes on films before they see any map of them."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import localisation as loc
from explorer.analysis.sampling import stratified_films
from explorer.data.regions import grid_size, reader_masks
from explorer.errors import UserError
from explorer.store.marks import SHAPE, add_marks, all_annotations, delete_marks, edit_marks, read_marks
from explorer.ui import cache, choose, saliency, selection
from explorer.ui.pencil import Box, pencil

if TYPE_CHECKING:
    from collections.abc import Callable

    from explorer.store.reader import Store
    from explorer.ui.frame import View

_SEEN, _FAILED = "maps_seen", "marking_failed"
EXPORTED = ["image", "sample_id", "label", "annotator", *SHAPE, "polygon", "made", "origin", "blind"]


def saw_map(row: int) -> None:
    """Remember that this visitor has seen a map of a film: what they mark on it from now on is not blind."""
    st.session_state.setdefault(_SEEN, set()).add(row)


def show(view: View) -> None:
    """A film to draw on, this reader's marks, and everyone's export."""
    store = view.store
    label, row, reader, alone = _ask(view)
    readonly = os.environ.get("EXPLORER_READONLY") == "1"
    marked = all_annotations(store)
    here = marked[(marked["row"] == row) & (marked["label"] == label)]
    left, right = st.columns([6, 5], gap="large")
    with left:
        sample = store.samples.iloc[row]
        size = int(sample["width"]), int(sample["height"])
        shown = here[here["annotator"] == reader] if alone else here
        pencil(
            str(sample["sample_id"]),
            cache.film_jpeg(store, row),
            size,
            shown,
            lambda box: _save(store, row, label, reader, box, size),
        )
    with right:
        if readonly:
            st.info("This viewer is read-only: marks cannot be saved.", icon=":material/lock:")
        elif not reader:
            st.info("Name the reader first, then press on the film, drag and let go.", icon=":material/edit:")
        else:
            blind = row not in st.session_state.get(_SEEN, set())
            seen, kind = ("not seen", "blind") if blind else ("seen", "not blind")
            st.markdown(
                f"Press on the film, drag and let go: a box for **{label}**. You have {seen} a map of this film: marks "
                f"are **{kind}**."
            )
        if failed := st.session_state.pop(_FAILED, ""):
            st.error(failed)
        if not readonly and reader:
            _own(store, row, reader, label)
        if not alone:
            _readers(store, here, row)
        _export(store)


def _ask(view: View) -> tuple[str, int, str, bool]:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=230):
            label = choose.label(view)
        row = choose.film(view, label)
        saliency.stepper(view, label, row)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=230):
            reader = st.text_input("Reader", key="reader", placeholder="name or initials", max_chars=60).strip()
        alone = st.toggle(
            "Hide other marks",
            value=True,
            key="alone",
            bind="query-params",
            help="Those of other readers and of the run.",
        )
        with st.popover("Sample", icon=":material/casino:"):
            n = int(st.number_input("Films", 1, 500, 15, key="sample_n"))
            seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key="sample_seed"))
            st.caption(
                f"Films of {view.split} by lot, every label in turn, the rarest first; the same seed, the same films."
            )
            st.button("Select them", on_click=_sample, args=(view, n, seed))
    choose.sheet(view, label)
    return label, row, reader, alone


def _sample(view: View, n: int, seed: int) -> None:
    rows = view.store.rows(view.split)
    chosen = rows[stratified_films(view.store.targets[rows], n, seed)]
    selection.put(view, chosen, f"{len(chosen)} films to mark, {view.split}, seed {seed}")
    choose.open_film(str(view.store.samples["sample_id"].iat[chosen[0]]))


def _save(store: Store, row: int, label: str, reader: str, box: Box, size: tuple[int, int]) -> None:
    """Add a box; what goes wrong is said beside the film, and nothing drawn before is lost."""
    if not reader or os.environ.get("EXPLORER_READONLY") == "1":
        return
    x, y, w, h = box
    if not (0 <= x and 0 <= y and w > 0 and h > 0 and x + w <= size[0] + 1 and y + h <= size[1] + 1):
        return  # no hand drew this: the pencil keeps boxes on the film
    blind = row not in st.session_state.get(_SEEN, set())
    about = {"row": row, "label": label, "annotator": reader, "polygon": None, "blind": blind}
    mark = pd.DataFrame([{**about, **dict(zip(SHAPE, box, strict=True))}])
    _tried(lambda: add_marks(store, mark, "app"))


def _own(store: Store, row: int, reader: str, label: str) -> None:
    """This reader's boxes on this film, to correct or delete."""
    mine = read_marks(store)
    mine = mine[(mine["row"] == row) & (mine["annotator"] == reader) & mine["polygon"].isna()].set_index("mark_id")
    if mine.empty:
        st.caption("No mark of yours on this film yet.")
        return
    sample = store.samples.iloc[row]
    width, height = float(sample["width"]), float(sample["height"])
    ends = {"x": width, "y": height, "w": width, "h": height}
    edited = st.data_editor(
        mine[["label", *SHAPE]],
        key=f"marks-{row}-{reader}-{len(mine)}",
        num_rows="delete",
        hide_index=True,
        column_config={
            "label": st.column_config.SelectboxColumn("label", options=list(store.labels), required=True),
            **{
                side: st.column_config.NumberColumn(side, min_value=0.0, max_value=most, required=True)
                for side, most in ends.items()
            },
        },
    )
    changed = edited.loc[[i for i in edited.index if not edited.loc[i].equals(mine.loc[i, edited.columns])]]
    gone = [str(mark) for mark in mine.index.difference(edited.index)]
    outside = (edited["x"] + edited["w"] > width + 1) | (edited["y"] + edited["h"] > height + 1)
    outside |= (edited[["w", "h"]] <= 0).any(axis=1)
    if outside.any():
        st.warning("A box reaches outside the film or has no area: correct it before saving.")
    st.button(
        "Save changes",
        disabled=bool(outside.any()) or (changed.empty and not gone),
        on_click=_correct,
        args=(store, changed.reset_index().assign(annotator=reader), gone),
    )
    st.caption("Pixels of the original film. Select a row and press delete to take a mark away, then save.")


def _correct(store: Store, changed: pd.DataFrame, gone: list[str]) -> None:
    if len(changed):
        _tried(lambda: edit_marks(store, changed))
    if gone:
        _tried(lambda: delete_marks(store, gone))


def _tried(act: Callable[[], object]) -> None:
    try:
        act()
    except UserError as error:
        st.session_state[_FAILED] = f"{error.what}\n\n{error.fix}"


def _readers(store: Store, here: pd.DataFrame, row: int) -> None:
    """How well the readers of this film and label agree."""
    sample = store.samples.iloc[row]
    height, width, scale = grid_size(int(sample["height"]), int(sample["width"]))
    masks = reader_masks(here, height, width, scale)
    if len(masks) < 2:
        st.caption(f"{len(masks)} reader{'' if len(masks) == 1 else 's'} marked this label here.")
        return
    pairs = [
        f"{one} and {other}: IoU {loc.score_iou(a.astype(np.float32), b, 0.5):.2f}"
        for (one, a), (other, b) in itertools.combinations(masks.items(), 2)
    ]
    st.caption("Readers of this label here. " + " · ".join(pairs))


def _export(store: Store) -> None:
    marks = read_marks(store)
    if marks.empty:
        return
    out = marks.assign(image=store.samples["image"].to_numpy()[marks["row"]])[EXPORTED]
    out["polygon"] = ["" if p is None else " ".join(f"{v:g}" for v in p) for p in out["polygon"]]
    n, readers = len(out), out["annotator"].nunique()
    st.download_button(
        f"All {n:,} mark{'' if n == 1 else 's'} of {readers} reader{'' if readers == 1 else 's'}",
        out.to_csv(index=False).encode(),
        file_name="marks.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="`precompute annotate` reads this file again.",
    )
