"""The Grad-CAM page's marking view: annotators draw boxes on films before they see any map of them."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import localisation as loc
from explorer.analysis.sampling import stratified_films
from explorer.data.regions import grid_size, reader_masks, with_shape
from explorer.data.text import csv, in_markdown
from explorer.errors import UserError
from explorer.figures.overlay import Box
from explorer.store.marks import NOTHING, SHAPE, add_marks, delete_marks, edit_marks, read_marks
from explorer.ui.components.pencil import pencil
from explorer.ui.grad_cam.controls import film_order
from explorer.ui.models.heatmaps import has_seen_map
from explorer.ui.shared import address, cache, choose, selection
from explorer.ui.shared.annotators import film_annotations, legend
from explorer.ui.shared.frame import error_text, panel
from explorer.ui.shared.stepper import stepper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

_FAILED = "marking_failed"
EXPORTED = ["image", "sample_id", "label", "annotator", *SHAPE, "polygon", "nothing", "made", "origin", "blind"]


def marking_view(view: View) -> None:
    """A film to draw on, this annotator's marks, and everyone's export."""
    store = view.store
    label, row, annotator, alone = _choose(view)
    readonly = os.environ.get("EXPLORER_READONLY") == "1"
    annotations = film_annotations(store, row)
    of_label = annotations[annotations["label"] == label]
    shown = of_label[of_label["annotator"] == annotator] if alone else of_label
    left, right = st.columns([6, 5], gap="large")
    with left:
        _film(store, row, label, annotator, shown)
    with right:
        if readonly:
            st.info("This viewer is read-only: marks cannot be saved.", icon=":material/lock:")
        elif not annotator:
            st.info("Name the annotator first, then press on the film, drag and let go.", icon=":material/edit:")
        else:
            seen, kind = ("not seen", "blind") if _blind(row) else ("seen", "not blind")
            st.markdown(
                f"Press on the film, drag and let go: a box for **{in_markdown(label)}**. You have {seen} a "
                "map of this film: marks "
                f"are **{kind}**."
            )
            _without_drawing(store, row, label, annotator, shown)
        if failed := st.session_state.pop(_FAILED, ""):
            st.error(failed)
        if not readonly and annotator:
            _own(store, row, annotator)
        if not alone:
            _pairwise_agreement(store, of_label, row)
        _export(store)


@panel
def _film(store: Store, row: int, label: str, annotator: str, shown: pd.DataFrame) -> None:
    """The film to draw on."""
    sample = store.samples.iloc[row]
    size = int(sample["width"]), int(sample["height"])
    pencil(
        str(sample["sample_id"]),
        cache.film_jpeg(store, row),
        size,
        shown,
        lambda box: _add_box(store, row, label, annotator, box, size),
    )
    legend(shown)


def _choose(view: View) -> tuple[str, int, str, bool]:
    label = choose.label()
    with view.controls:
        row = choose.film(view, label)
        stepper(view.store, film_order(view, label), row)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.container(width=230):
            name = st.text_input(
                "Annotator",
                label_visibility="collapsed",
                key="annotator",
                placeholder="Annotator: name or initials",
                max_chars=60,
            )
        alone = st.toggle(
            "Hide other marks",
            help="Those of other annotators and of the run.",
            **address.control("alone"),
        )
        with st.popover("Sample", icon=":material/casino:"):
            n = int(st.number_input("Films", 1, 500, 15, key="sample_n"))
            seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key="sample_seed"))
            st.caption(
                f"Films of {view.split} at random, every label in turn, the rarest first. The same seed gives the "
                "same films."
            )
            st.button("Select them", on_click=_sample, args=(view, n, seed))
    return label, row, name.strip(), alone


def _sample(view: View, n: int, seed: int) -> None:
    rows = view.store.rows(view.split)
    chosen = rows[stratified_films(view.store.targets[rows], n, seed)]
    selection.put(view, chosen, f"{len(chosen)} films to mark, {view.split}, seed {seed}")
    choose.open_film(str(view.store.samples["sample_id"].iat[chosen[0]]))


def _blind(row: int) -> bool:
    return not has_seen_map(row)


def _without_drawing(store: Store, row: int, label: str, annotator: str, shown: pd.DataFrame) -> None:
    """Record that there is nothing to mark, or copy others' outlines to this annotator."""
    mine = shown["annotator"].eq(annotator) & shown["mark_id"].ne("")
    others, nothing = with_shape(shown[~mine]), mine & shown["x"].isna()
    marked = bool((mine & ~nothing).any())
    with st.container(horizontal=True, gap="small"):
        if nothing.any():
            gone = shown.loc[nothing, "mark_id"].tolist()
            st.button("Take back: nothing to mark", on_click=lambda: _tried(lambda: delete_marks(store, gone)))
        else:
            st.button(
                "Nothing to mark",
                icon=":material/visibility_off:",
                disabled=marked,
                help=f"Records that you looked for {in_markdown(label)} and saw none. A film without it "
                "counts as not looked at.",
                on_click=_save,
                args=(store, row, label, annotator, pd.DataFrame([NOTHING]), "app"),
            )
        if len(others) and not marked:
            st.button(
                f"Copy {len(others)} to mine",
                icon=":material/content_copy:",
                help="Outlines of the run and of other annotators stay as they are. Copy them, then correct or delete "
                "the copies. Copies under the annotator's own name stand in place of the run's; others beside them.",
                on_click=_save,
                args=(store, row, label, annotator, others, [f"copy of {name}" for name in others["annotator"]]),
            )


def _save(store: Store, row: int, label: str, annotator: str, shapes: pd.DataFrame, origin: str | list[str]) -> None:
    """Save shapes as this annotator's; an error is shown beside the film, and nothing marked before is lost."""
    marks = shapes.assign(row=row, label=label, annotator=annotator, blind=_blind(row))
    _tried(lambda: add_marks(store, marks, origin))


def _add_box(store: Store, row: int, label: str, annotator: str, box: Box, size: tuple[int, int]) -> None:
    """Add a box."""
    if not annotator or os.environ.get("EXPLORER_READONLY") == "1":
        return
    x, y, w, h = box
    if not (0 <= x and 0 <= y and w > 0 and h > 0 and x + w <= size[0] + 1 and y + h <= size[1] + 1):
        return  # nobody drew this: the pencil keeps boxes on the film
    shape = pd.DataFrame([{**dict(zip(SHAPE, box, strict=True)), "polygon": None}])
    _save(store, row, label, annotator, shape, "app")


@panel
def _own(store: Store, row: int, annotator: str) -> None:
    """This annotator's shapes on this film, to correct or delete."""
    mine = with_shape(read_marks(store))
    mine = mine[(mine["row"] == row) & (mine["annotator"] == annotator)].set_index("mark_id")
    mine["shape"] = np.where(mine["polygon"].isna(), "box", "outline")
    if mine.empty:
        st.caption("No mark of yours on this film yet.")
        return
    sample = store.samples.iloc[row]
    width, height = float(sample["width"]), float(sample["height"])
    ends = {"x": width, "y": height, "w": width, "h": height}
    edited = st.data_editor(
        mine[["label", "shape", *SHAPE]],
        key=f"marks-{row}-{annotator}-{len(mine)}",
        num_rows="delete",
        hide_index=True,
        disabled=["shape"],
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
        args=(store, changed.assign(blind=mine["blind"] & _blind(row)).reset_index(), gone),
    )
    st.caption(
        "Pixels of the original film; an outline goes with its box. Select a row and press delete to take a mark away, "
        "then save."
    )


def _correct(store: Store, changed: pd.DataFrame, gone: list[str]) -> None:
    if len(changed):
        _tried(lambda: edit_marks(store, changed))
    if gone:
        _tried(lambda: delete_marks(store, gone))


def _tried(act: Callable[[], object]) -> None:
    try:
        act()
    except UserError as error:
        st.session_state[_FAILED] = error_text(error)


@panel
def _pairwise_agreement(store: Store, annotations: pd.DataFrame, row: int) -> None:
    """How well the annotators of this film and label agree."""
    sample = store.samples.iloc[row]
    height, width, scale = grid_size(int(sample["height"]), int(sample["width"]))
    masks = reader_masks(annotations, height, width, scale)
    if len(masks) < 2:
        st.caption(f"{len(masks)} annotator{'' if len(masks) == 1 else 's'} looked for this label here.")
        return
    pairs = [
        f"{in_markdown(one)} and {in_markdown(other)}: {_alike(masks[one], masks[other])}"
        for one, other in itertools.combinations(masks, 2)
    ]
    st.caption("Annotators of this label here. " + " · ".join(pairs))


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> str:
    if one.any() and other.any():
        return f"IoU {loc.score_iou(one.astype(np.float32), other, 0.5):.2f}"
    return "one marked nothing" if one.any() or other.any() else "both marked nothing"


@panel
def _export(store: Store) -> None:
    marks = read_marks(store)
    if marks.empty:
        return
    out = marks.assign(image=store.samples["image"].to_numpy()[marks["row"]], nothing=marks["x"].isna())[EXPORTED]
    out["polygon"] = ["" if p is None else " ".join(map(str, p.tolist())) for p in out["polygon"]]
    n, annotators, nothing = int((~out["nothing"]).sum()), out["annotator"].nunique(), int(out["nothing"].sum())
    st.download_button(
        f"All {n:,} mark{'' if n == 1 else 's'}{f' and {nothing:,} × nothing' if nothing else ''} of {annotators} "
        f"annotator{'' if annotators == 1 else 's'}",
        csv(out),
        file_name="marks.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="`precompute annotate` reads this file again.",
    )
