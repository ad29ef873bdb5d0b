"""Embeddings, text vectors and logits of other programs, checked and matched with the labels' films by id."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.errors import UserError
from explorer.store.files import sha256_json
from precompute.exchange.arrays import Place, check_finite, check_lengths, read_floats, read_ids, read_place
from precompute.exchange.export import METADATA
from precompute.run.imported import Imported, ImportedLogits, ImportedText
from precompute.sources.table import Source, is_parquet

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID_COLUMN = "sample_id"
"""Of a Parquet table, where the command names no column of ids."""


class Read(NamedTuple):
    """What was imported, and what the user should know of it."""

    imported: Imported
    notes: tuple[str, ...]


def read_imported(
    source: Source,
    vectors: str,
    *,
    ids: str | None = None,
    text: str | None = None,
    scale: float | None = None,
    logits: str | None = None,
    title: str | None = None,
) -> Read:
    """Read and check what an import is given, each ``FILE`` or ``FILE:NAME``.

    Parameters
    ----------
    source : Source
        The labels: every film needs a vector, and every vector a film.
    vectors : str
        (N, D)
    ids : str, optional
        A file, or a column or array of the vectors' own file.
    text : str, optional
        (2, C, D), positive first, by the labels' order.
    scale : float, optional
        The temperature of zero-shot.
    logits : str, optional
        (N, C) in the order of the vectors, by the labels' order.
    title : str, optional
        What made the vectors.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    place = read_place(vectors)
    array = read_floats(place, "(N, D)")
    id_place = _place_of_ids(place, ids)
    names = read_ids(id_place)
    _need_length(place, len(array), id_place, len(names))
    if array.shape[1] < 2:
        raise UserError(f"{place} is of shape {array.shape}: a vector of one number has no direction.", "Give (N, D).")
    norms = check_lengths(place, array)
    order = _order(source, id_place, names)
    notes = [_norm_note(place, norms)]
    if text is None and scale is not None:
        raise UserError("--scale is the temperature of zero-shot.", "Give --text-vectors, or leave it out.")
    words = None if text is None else _text(text, scale, source.labels, array.shape[1])
    by_label = ", ".join(source.labels)
    if words is not None:
        notes.append(f"{words.file}: text vectors are read in the order of the labels: {by_label}.")
    scores = None if logits is None else _logits(logits, source.labels, place, len(array))
    if scores is not None:
        notes.append(f"{scores.file}: logits are read in the order of the labels: {by_label}.")
        if source.split_origin is None:
            notes.append(
                "Patients are shared out here, so films of test may have trained the model of these logits. Give the "
                "labels a split column by which it was trained."
            )
    imported = Imported(
        title=title or place.file.name,
        file=place.shown,
        sha256=place.sha256,
        vectors=array,
        norms=norms,
        order=order,
        text=words,
        logits=scores,
    )
    return Read(imported, tuple(notes))


def exported_labels(table: Path) -> tuple[str, ...]:
    """The labels of a Parquet table that ``export`` wrote; none of any other file, which its reader judges."""
    if not is_parquet(table):
        return ()
    try:
        about = json.loads((pq.read_schema(table).metadata or {})[METADATA])
        return tuple(map(str, about["labels"]))
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError):
        return ()


def _place_of_ids(vectors: Place, ids: str | None) -> Place:
    """Where the ids are: another file, or a part of the vectors' own."""
    holds_more = vectors.kind in (".parquet", ".npz")
    if ids is None:
        if vectors.kind != ".parquet":
            raise UserError(
                f"{vectors.file} does not say whose its rows are.",
                "Give --ids, a file with one id on each line in the order of the vectors.",
            )
        return Place(vectors.file, ID_COLUMN)
    if holds_more and not Path(ids).exists() and "/" not in ids and ":" not in ids and not Path(ids).suffix:
        return Place(vectors.file, ids)
    return read_place(ids)


def _need_length(place: Place, rows: int, other: Place, expected: int) -> None:
    if rows != expected:
        raise UserError(
            f"{place} has {rows:,} rows, and {other} has {expected:,}.",
            "Both must be of the same films in the same order.",
        )


def _order(source: Source, place: Place, ids: Sequence[str]) -> NDArray[np.int64]:
    """(N,) by row of the source, the place of its id."""
    place_of = {one: i for i, one in enumerate(ids)}
    films = source.frame["sample_id"].tolist()
    without = [row for row, film in enumerate(films) if film not in place_of]
    if without:
        raise UserError(
            f"{source.where(without[0])}: the film {films[without[0]]} is not among the ids of {place}, and neither "
            f"are {len(without) - 1:,} more films.",
            "Delete these rows of the labels, or compute the films' vectors. Ids are compared letter by letter with "
            "sample_id, or with the image's name without its ending.",
        )
    known = set(films)
    extra = [i for i, one in enumerate(ids) if one not in known]
    if extra:
        raise UserError(
            f"{place} row {extra[0]} (from 0): {source.file} has no film {ids[extra[0]]}, and none of "
            f"{len(extra) - 1:,} more ids.",
            "Add their labels, blank where unknown; or take them out of ids and vectors.",
        )
    return np.array([place_of[film] for film in films], dtype=np.int64)


def _norm_note(place: Place, norms: NDArray[np.float32]) -> str:
    if (norms == 1).all():
        return f"{place.shown}: {len(norms):,} vectors of unit norm, taken over bit for bit."
    return (
        f"{place.shown}: {len(norms):,} vectors of lengths {norms.min():.4g} to {norms.max():.4g} are brought to unit "
        "norm."
    )


def _text(spec: str, scale: float | None, labels: Sequence[str], dim: int) -> ImportedText:
    place = read_place(spec)
    if scale is None:
        raise UserError(
            f"{place} needs the temperature of its model.",
            "Give --scale: the trained exp(logit_scale), 100 for most CLIP models.",
        )
    if not (math.isfinite(scale) and scale > 0):
        raise UserError(f"--scale is {scale}.", "Give a number above 0, as 100.")
    array = read_floats(place, "(2, C, D)")
    if array.shape != (2, len(labels), dim):
        raise UserError(
            f"{place} is of shape {array.shape}; {len(labels)} labels and vectors of {dim} numbers need "
            f"(2, {len(labels)}, {dim}).",
            "Stack the positive and the negative side, by the order of the labels; zeros where there is no negative.",
        )
    sides = np.asarray(array, dtype=np.float64)
    for side, name in zip(sides, ("positive", "negative"), strict=True):
        check_finite(place, side, f"label {{}} (from 0), {name} side,")
    lengths = np.linalg.norm(sides, axis=2, keepdims=True)
    empty = np.flatnonzero(lengths[0] == 0)
    if len(empty):
        raise UserError(
            f"{place}: the positive side of {labels[empty[0]]} is all zeros.", "Give every label a positive vector."
        )
    unit = (sides / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return ImportedText(unit, scale, place.shown, place.sha256)


def _logits(spec: str, labels: Sequence[str], vectors: Place, n: int) -> ImportedLogits:
    place = read_place(spec)
    array = read_floats(place, "(N, C)")
    _need_length(place, len(array), vectors, n)
    if array.shape[1] != len(labels):
        raise UserError(
            f"{place} has {array.shape[1]} columns, and there are {len(labels)} labels: {', '.join(labels)}.",
            "Give one column for each label, by that order; or choose labels with --label.",
        )
    values = np.asarray(array, dtype=np.float32)
    check_finite(place, values, "row {} (from 0)")
    return ImportedLogits(values, place.shown, sha256_json([place.sha256, list(labels)]))
