"""The Grad-CAM page's marking view: annotators draw boxes on films before they see any map of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import localisation as loc
from explorer.analysis.sampling import stratified_films
from explorer.data.regions import grid_size, reader_masks, with_shape
from explorer.data.text import csv, in_markdown
from explorer.errors import UserError
from explorer.store.marks import NOTHING, SHAPE, add_marks, delete_marks, edit_marks, read_marks
from explorer.ui.components.pencil import Act, pencil
from explorer.ui.components.viewer import own_film
from explorer.ui.models.heatmaps import has_seen_map
from explorer.ui.shared import access, activity, address, choose, selection
from explorer.ui.shared.annotators import film_annotations, legend
from explorer.ui.shared.filter import films, filtered, narrowed
from explorer.ui.shared.frame import error_text, panel
from explorer.ui.shared.stepper import FilmOrder, stepper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

_FAILED = "marking_failed"
_NAME = "annotator_name"
"""The annotator's name, kept while other pages are open."""
_STEPS = "marking_steps"
EXPORTED = ["image", "sample_id", "label", "annotator", *SHAPE, "polygon", "nothing", "made", "origin", "blind"]


def marking_view(view: View) -> None:
    """A film to draw on, this annotator's marks, and everyone's export."""
    store = view.store
    visitor = access.admitted()
    label, row, annotator, alone = _choose(view, visitor)
    store.film_size(row)  # without a film there is nothing to mark
    readonly = not visitor.may_mark
    annotations = film_annotations(store, row)
    of_label = annotations[annotations["label"] == label]
    shown = of_label[of_label["annotator"] == annotator] if alone else of_label
    left, right = st.columns([7, 4], gap="medium")
    with left:
        _film(store, row, label, "" if readonly else annotator, shown)
    with right:
        if readonly:
            st.info("This viewer is read-only: marks cannot be saved.", icon=":material/lock:")
        elif not annotator:
            st.info("Name the annotator to draw on the film.", icon=":material/edit:")
        else:
            seen, kind = ("not seen", "blind") if _blind(row) else ("seen", "not blind")
            st.markdown(
                f"Drag on the film to draw a box for **{in_markdown(label)}**. Tap a mark of yours to delete it. "
                f"You have {seen} a map of this film: marks are **{kind}**."
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
    """The film, to draw on where there is an annotator."""
    pencil(
        own_film(store, row),
        shown,
        label,
        (annotator, bool(_steps(store, row, annotator))) if annotator else None,
        lambda act: _carry_out(store, annotator, act),
    )
    legend(shown)
    st.caption(
        "Ctrl + wheel or two fingers to zoom, middle button to move, right button for window and level; ? for all "
        "keys. Dashed: not saved yet."
    )


def _choose(view: View, visitor: access.Visitor) -> tuple[str, int, str, bool]:
    label = choose.label()
    with view.controls:
        row = choose.film(view)
        stepper(view.store, _order(view), row)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        name = visitor.address or _named()
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


def _named() -> str:
    """The name that an annotator gives who did not have to sign in."""
    st.session_state.setdefault("annotator", st.session_state.get(_NAME, ""))
    with st.container(width=190):
        name = st.text_input(
            "Annotator",
            label_visibility="collapsed",
            key="annotator",
            placeholder="Annotator: name or initials",
            max_chars=60,
        )
    st.session_state[_NAME] = name
    return name


def _order(view: View) -> FilmOrder:
    """What the filter leaves of the selection, or without one of the split. Its name says nothing of the label."""
    store, selected = view.store, selection.current(view)
    if len(selected.rows):
        return FilmOrder(narrowed(store, selected.rows), filtered("the selection"))
    return FilmOrder(films(store, view.split), filtered(view.split))


def _sample(view: View, n: int, seed: int) -> None:
    rows = view.store.rows(view.split)
    chosen = rows[stratified_films(view.store.targets[rows], n, seed)]
    selection.put(view.store, chosen, f"{len(chosen)} films to mark, {view.split}, seed {seed}")
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
            gone = set(shown.loc[nothing, "mark_id"])
            st.button(
                "Take back: nothing to mark",
                on_click=lambda: _tried(lambda: _delete(store, row, annotator, gone), annotator),
            )
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

    def add() -> None:
        before = _own_marks(store, row, annotator)
        add_marks(store, marks, origin)
        if added := _own_marks(store, row, annotator) - before:
            _steps(store, row, annotator).append(added)
            _log(store, row, annotator, "marked", len(added))

    _tried(add, annotator)


def _own_marks(store: Store, row: int, annotator: str) -> set[str]:
    """Ids of an annotator's marks on a film."""
    marks = read_marks(store)
    return set(marks.loc[(marks["row"] == row) & (marks["annotator"] == annotator), "mark_id"])


def _steps(store: Store, row: int, annotator: str) -> list[set[str]]:
    """The marks that this session saved on a film and has not undone, step by step."""
    steps: list[set[str]] = st.session_state.setdefault(_STEPS, {}).setdefault((str(store.path), row, annotator), [])
    return steps


def _carry_out(store: Store, annotator: str, act: Act) -> None:
    """Do what the annotator did on the film, which may be another one than is open now."""
    row = store.row_of(act.film)
    if not annotator or row is None or act.label not in store.labels:
        return
    if act.box is not None:
        shape = pd.DataFrame([{**dict(zip(SHAPE, act.box, strict=True)), "polygon": None}])
        _save(store, row, act.label, annotator, shape, "app")
        return
    steps = _steps(store, row, annotator)
    if act.does == "delete":
        gone = {act.mark}
    elif steps:
        gone = steps.pop()
    else:
        return
    _tried(lambda: _delete(store, row, annotator, gone), annotator)


def _delete(store: Store, row: int, annotator: str, gone: set[str]) -> None:
    """Delete marks of this annotator's own; a step that is left without marks cannot be undone any more."""
    own = sorted(gone & _own_marks(store, row, annotator))
    delete_marks(store, own)
    _log(store, row, annotator, "deleted marks", len(own))
    steps = _steps(store, row, annotator)
    steps[:] = [kept for step in steps if (kept := step - gone)]


@panel
def _own(store: Store, row: int, annotator: str) -> None:
    """This annotator's shapes on this film, to correct or delete."""
    mine = with_shape(read_marks(store))
    mine = mine[(mine["row"] == row) & (mine["annotator"] == annotator)].set_index("mark_id")
    mine["shape"] = np.where(mine["polygon"].isna(), "box", "outline")
    if mine.empty:
        st.caption("No mark of yours on this film yet.")
        return
    width, height = map(float, store.film_size(row))
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
    gone = set(mine.index.difference(edited.index))
    outside = (edited["x"] + edited["w"] > width + 1) | (edited["y"] + edited["h"] > height + 1)
    outside |= (edited[["w", "h"]] <= 0).any(axis=1)
    if outside.any():
        st.warning("A box reaches outside the film or has no area: correct it before saving.")
    st.button(
        "Save changes",
        disabled=bool(outside.any()) or (changed.empty and not gone),
        on_click=_correct,
        args=(store, row, annotator, changed.assign(blind=mine["blind"] & _blind(row)).reset_index(), gone),
    )
    st.caption(
        "Pixels of the original film; an outline goes with its box. Select a row and press delete to take a mark away, "
        "then save."
    )


def _correct(store: Store, row: int, annotator: str, changed: pd.DataFrame, gone: set[str]) -> None:
    if len(changed):
        _tried(lambda: edit_marks(store, changed), annotator)
        _log(store, row, annotator, "corrected marks", len(changed))
    if gone:
        _tried(lambda: _delete(store, row, annotator, gone), annotator)


def _log(store: Store, row: int, annotator: str, event: str, marks: int) -> None:
    activity.record(event, annotator, run=store.run_id, film=str(store.samples["sample_id"].iat[row]), marks=marks)


def _tried(act: Callable[[], object], annotator: str) -> None:
    """Change marks of this annotator's own, which the browser could ask for in any page and any name."""
    try:
        visitor = access.marking()
        if visitor.address not in ("", annotator):
            raise UserError(f"You are signed in as {visitor.address}.", "Mark in your own name.")
        act()
    except UserError as error:
        st.session_state[_FAILED] = error_text(error)


@panel
def _pairwise_agreement(store: Store, annotations: pd.DataFrame, row: int) -> None:
    """How well the annotators of this film and label agree."""
    width, height = store.film_size(row)
    height, width, scale = grid_size(height, width)
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
