"""Readers' marks from files of many layouts, checked and carried into a film's own pixels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from explorer.errors import UserError
from explorer.store.marks import NOTHING, SHAPE, UNNAMED, add_marks
from precompute.marks.film_names import FilmNames, renamed_note
from precompute.marks.label_names import LabelNames
from precompute.marks.layouts import SHARES, SourceMark, read_marks_file

if TYPE_CHECKING:
    from explorer.store.reader import Store

EDGE = 1.0
"""Pixels by which a mark may reach beyond its film: rounding."""
NAMED = 10
"""Names of passed over labels that a note gives."""


class Marks(NamedTuple):
    """A source's marks, and what the user should know of how they were matched."""

    marks: tuple[SourceMark, ...]
    notes: tuple[str, ...]


NO_MARKS = Marks((), ())


class Added(NamedTuple):
    """How many marks were added to a run, were there already, and were passed over; and what should be known of it."""

    added: int
    there: int
    passed: int
    notes: tuple[str, ...]


LATER = "add the file to the finished run with `python -m precompute annotate STORE FILE` and"


def add_annotations(
    store: Store,
    path: Path,
    *,
    reader: str | None = None,
    frame: str | None = None,
    rename: Mapping[str, str] | None = None,
    skip_unknown: bool = False,
) -> Added:
    """Read a file of marks, check every one, and add them beside the run; a bad one refuses the whole file.

    Parameters
    ----------
    path : Path
        See :func:`precompute.marks.layouts.read_marks_file`.
    reader : str, optional
        Who marked, where the file does not say.
    frame : str, optional
        What the file's coordinates count: ``WIDTHxHEIGHT`` pixels, ``normalised`` (0 to 1), or ``file`` (the size the
        file itself gives). By default pixels of the original film.
    rename : mapping, optional
        The file's labels to the run's.
    skip_unknown : bool
        Pass over films and labels the run does not have.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    if not store.has_films:
        raise store.left_out("pixels", "no film to mark")
    scale = _scale(frame)
    marks = _read(path, scale)
    if not marks:
        raise UserError(f"{path} holds no marks.", "Name a file that does.")
    films, labels = FilmNames(store.samples), LabelNames(store.labels, rename or {})
    once: dict[tuple[object, ...], dict[str, object]] = {}
    no_label: Counter[str] = Counter()
    no_film = repeated = 0
    for mark in marks:
        row, label = films.row(mark.image), labels.of(mark.label)
        if row is None or label is None:
            if not skip_unknown:
                raise _unknown(
                    mark,
                    row,
                    store.labels,
                    "Correct the name, or pass over films the run does not have with --skip-unknown.",
                    f"Name it with --rename {mark.label!r}=OURS, or pass over such marks with --skip-unknown.",
                )
            if label is None:
                no_label[mark.label] += 1
            else:
                no_film += 1
            continue
        sample = store.samples.iloc[row]
        shape = carried(mark, float(sample["width"]), float(sample["height"]), scale)
        annotator = mark.reader or reader or UNNAMED
        what = row, label, annotator, mark.box, tuple(mark.polygon or ())  # two of its names may be one label here
        repeated += what in once
        once[what] = {"row": row, "label": label, "annotator": annotator, **shape}
    added = add_marks(store, pd.DataFrame(list(once.values())), path.name) if once else 0
    passed = no_label.total() + no_film
    notes = (
        *renamed_note(films.renamed, f"in {path.name}"),
        *_passed_note(no_label, no_film),
        *([f"{repeated:,} marks stand in {path.name} more than once; each counts once."] if repeated else []),
    )
    return Added(added, len(once) - added, passed, notes)


def source_marks(
    path: Path,
    films: pd.DataFrame,
    labels: Sequence[str],
    *,
    reader: str = UNNAMED,
    rename: Mapping[str, str] | None = None,
) -> Marks:
    """A source's own marks from a file of any layout, by the source's names of films and labels.

    Parameters
    ----------
    path : Path
        See :func:`precompute.marks.layouts.read_marks_file`.
    films : DataFrame
        sample_id, image.
    labels : names
    reader : str
        Who marked, where the file does not say.
    rename : mapping, optional
        The file's labels to the source's.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    names, label_of = FilmNames(films), LabelNames(labels, rename or {})
    once: dict[tuple[object, ...], SourceMark] = {}
    for mark in _read(path, None):
        row, label = names.row(mark.image), label_of.of(mark.label)
        if row is None or label is None:
            raise _unknown(mark, row, labels, "Correct the name, or delete it.", "Correct the name, or delete it.")
        image = str(films["image"].iat[row])
        annotator = mark.reader or reader
        what = row, label, annotator, mark.box, tuple(mark.polygon or ())
        once.setdefault(what, replace(mark, image=image, label=label, reader=annotator))
    return Marks(tuple(once.values()), renamed_note(names.renamed, f"in {path.name}"))


def _passed_note(no_label: Counter[str], no_film: int) -> tuple[str, ...]:
    """How many marks were passed over because the run lacks their label, with the labels, or their film."""
    notes = []
    if no_label:
        names = [f"{name} ({n:,})" for name, n in no_label.most_common(NAMED)]
        more = [f"{len(no_label) - NAMED:,} more"] if len(no_label) > NAMED else []
        notes.append(f"Marks of labels that this run does not have: {', '.join(names + more)}.")
    if no_film:
        notes.append(f"{no_film:,} marks of films that this run does not have.")
    return tuple(notes)


def _read(path: Path, scale: tuple[float, float] | str | None) -> list[SourceMark]:
    marks = read_marks_file(path)
    shares = next((mark for mark in marks if mark.size == SHARES), None)
    if shares is not None:
        if scale is not None:
            raise UserError(f"{shares.where} counts shares of the film's sides by its layout.", "Leave out --frame.")
        return marks
    boxes = [mark.box for mark in marks if mark.box is not None]
    if scale is None and boxes and max(map(max, boxes)) <= 1.5:
        raise UserError(
            f"{path}: every coordinate lies between 0 and 1: they look normalised.",
            f"Give pixels of the original film, or {LATER} --frame normalised.",
        )
    return marks


def _scale(frame: str | None) -> tuple[float, float] | str | None:
    """The frame's width and height, ``file``, or None for the film's own pixels."""
    if frame is None or frame == "file":
        return frame
    if frame == "normalised":
        return 1.0, 1.0
    size = re.fullmatch(r"(\d+)x(\d+)", frame)
    if size is None or "0" in size.groups():
        raise UserError(f"--frame is {frame!r}.", "Write WIDTHxHEIGHT as in 1024x1024, normalised, or file.")
    return float(size[1]), float(size[2])


def _unknown(mark: SourceMark, row: int | None, labels: Sequence[str], fix_film: str, fix_label: str) -> UserError:
    if row is None:
        return UserError(f"{mark.where}: there is no film {mark.image!r}, or more than one of that name.", fix_film)
    return UserError(
        f"{mark.where}: {mark.label!r} is none of the labels.", f"{fix_label} Labels: {', '.join(labels)}."
    )


def carried(
    mark: SourceMark, width: float, height: float, scale: tuple[float, float] | str | None = None
) -> dict[str, object]:
    """x, y, w, h and polygon in the pixels of a film of that size, or NOTHING.

    Raises
    ------
    UserError
        Where the mark does not fit the film.
    """
    if mark.box is None:
        return NOTHING
    shares = mark.size == SHARES
    frame = scale if isinstance(scale, tuple) else mark.size if scale == "file" or shares else (width, height)
    if frame is None:
        raise UserError(f"{mark.where} does not give its image's size.", "Pass --frame WIDTHxHEIGHT.")
    if scale is None and not shares and mark.size is not None and mark.size != (width, height):
        raise UserError(
            f"{mark.where} is of an image of {mark.size[0]:g} x {mark.size[1]:g} pixels; the film {mark.image} has "
            f"{width:g} x {height:g}.",
            f"Where it is the same picture at another size, {LATER} --frame file; else give marks of this film.",
        )
    across, down = width / frame[0], height / frame[1]
    x, y, w, h = (side * by for side, by in zip(mark.box, (across, down, across, down), strict=True))
    if x < -EDGE or y < -EDGE or x + w > width + EDGE or y + h > height + EDGE:
        raise UserError(
            f"{mark.where}: its box reaches from {x:g}, {y:g} to {x + w:g}, {y + h:g}, outside the film {mark.image} "
            f"of {width:g} x {height:g} pixels.",
            f"Where coordinates are of the film at another size, {LATER} --frame WIDTHxHEIGHT. Else correct it.",
        )
    left, top = max(x, 0.0), max(y, 0.0)
    box = left, top, min(x + w, width) - left, min(y + h, height) - top
    polygon = None
    if mark.polygon is not None:
        points = np.asarray(mark.polygon, dtype=float).reshape(-1, 2) * (across, down)
        polygon = points.clip(0, (width, height)).ravel()
    return {**dict(zip(SHAPE, box, strict=True)), "polygon": polygon}
