"""What every source gives: one table of samples, checked before any film is decoded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.data.labels import Uncertain, parse_label
from explorer.data.limits import BadImage, inside
from explorer.data.samples import SAMPLE_COLUMNS, SPLITS
from explorer.errors import UserError
from explorer.store.files import sha256_json
from precompute.delimited import read_cells
from precompute.marks.layouts import SourceMark
from precompute.sources.films_on_disk import lies_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIASES = {"path": "image", "filename": "image", "image_path": "image"}
GIVEN = tuple(column for column in SAMPLE_COLUMNS if column not in ("height", "width"))
"""Columns a CSV may bring; the film's size is measured."""

Where = Callable[[int], str]
"""File and row of a table's row, for messages."""


@dataclass(frozen=True)
class Source:
    """A set of films with labels, checked, before any film is decoded.

    Attributes
    ----------
    images : Path or None
        The folder of the films; None where a run is made of embeddings alone.
    frame : DataFrame
        GIVEN columns, then one float32 column per label (1, 0, NaN); index 0..n-1 is the order of the file.
    label_origin : str
        Where the labels come from and how uncertain ones are read, in words.
    where : callable
        File and row of a sample, for messages.
    split_origin : str or None
        Who said train, val and test, in words; None where precompute is to share patients out.
    annotations : marks
        By the names of ``frame`` and ``labels``; whether each fits its film is seen once films are decoded.
    sha256 : str
        Of all that decides the samples and annotations.
    notes : texts
        What the user should know of how films and marks were matched.
    uncorrected : DataFrame, optional
        The frame before a review corrected it: patients are shared out by its labels, so that a correction moves no
        film to another split.
    truth : (n, C), optional
        What the films really show, 1 or 0, by ``frame`` and ``labels``; known of phantoms alone.
    """

    name: str
    licence: str
    file: Path
    images: Path | None
    frame: pd.DataFrame
    labels: tuple[str, ...]
    label_origin: str
    where: Where
    split_origin: str | None
    annotations: tuple[SourceMark, ...]
    sha256: str
    notes: tuple[str, ...] = ()
    uncorrected: pd.DataFrame | None = None
    truth: NDArray[np.float32] | None = None


def source_of(
    root: Path,
    frame: pd.DataFrame,
    where: Where,
    *,
    name: str,
    licence: str,
    images: Path,
    labels: tuple[str, ...],
    label_origin: str,
    split_origin: str | None,
    annotations: Sequence[SourceMark] = (),
    notes: tuple[str, ...] = (),
) -> Source:
    """The source of a public set's folder, its patients and paths checked, and hashed as it was read."""
    if split_origin is not None:
        check_crossing(frame, where)
    need_once(frame["image"], where, "film")
    check_paths(images, frame, where)
    return Source(
        name=name,
        licence=licence,
        file=root,
        images=images,
        frame=frame,
        labels=labels,
        label_origin=label_origin,
        where=where,
        split_origin=split_origin,
        annotations=tuple(annotations),
        sha256=fingerprint(frame, annotations),
        notes=notes,
    )


def check_positives(frame: pd.DataFrame, labels: Sequence[str], where: Path) -> None:
    """Refuse a label with no known positive in some split: it cannot be trained, tuned or tested there."""
    missing = []
    for label in labels:
        positives = frame[frame[label] == 1]["split"].value_counts()
        empty = [split for split in SPLITS if positives.get(split, 0) == 0]
        if empty:
            missing.append(f"{label!r} has none in {', '.join(empty)}")
    if missing:
        raise UserError(
            f"{where}: a label needs a positive in every split, and {'; '.join(missing)}.",
            "Leave such labels out (--label or --ignore), or keep them with --allow-empty: their figures for that "
            "split are then reported as missing.",
        )


def rows_of(file: Path) -> Where:
    """Places of the rows that :func:`read_table` read of a file."""
    return (lambda row: f"{file} row {row} (from 0)") if is_parquet(file) else (lambda row: f"{file} row {row + 2}")


def samples_frame(cells: Mapping[str, object], targets: pd.DataFrame) -> pd.DataFrame:
    """The one table of samples: GIVEN columns, blank where a source has none, then the labels' float32 columns."""
    given = {"age": np.float32(np.nan), **cells}
    frame = pd.DataFrame({column: given.get(column, "") for column in GIVEN}, index=targets.index)
    return pd.concat([frame, targets.astype(np.float32)], axis=1)


def parse_labels(
    table: pd.DataFrame, labels: Sequence[str], uncertain: Uncertain, where: Where, fix: str
) -> pd.DataFrame:
    """Label columns of text cells as float32: 1, 0 or NaN; -1 goes by ``uncertain``, blank is unknown.

    In ``fix``, ``{}`` is the label's name.
    """
    values = {}
    for label in labels:
        read = {cell: parse_label(str(cell), uncertain) for cell in table[label].unique()}
        bad = np.flatnonzero(table[label].map(lambda cell, read=read: read[cell] is None))
        if len(bad):
            raise UserError(
                f"{where(bad[0])}: {label!r} is {table[label].iat[bad[0]]!r}; "
                "a label is 1, 0, -1 (uncertain) or blank.",
                fix.format(repr(label)),
            )
        values[label] = table[label].map(read).astype(np.float32)
    return pd.DataFrame(values, index=table.index)


def deny_no_finding(targets: pd.DataFrame) -> pd.DataFrame:
    """CheXpert's labels with No Finding 0 where it is blank and a finding is positive.

    CheXpert's labeller writes No Finding only as 1: where no finding but Support Devices is positive or uncertain
    (Irvin et al., AAAI 2019, section 3.1). So a positive finding says that it is absent. All other blanks stay unknown.
    """
    positive = (targets.drop(columns=["No Finding", "Support Devices"]) == 1).any(axis=1)
    return targets.assign(**{"No Finding": targets["No Finding"].mask(targets["No Finding"].isna() & positive, 0.0)})


def need_columns(table: pd.DataFrame, file: Path, columns: Sequence[str], fix: str) -> None:
    """Refuse a file without one of ``columns``."""
    for column in columns:
        if column not in table:
            raise UserError(f"{file} has no column {column}; it has {', '.join(table.columns)}.", fix)


def need_once(values: pd.Series, where: Where, what: str) -> None:
    """Refuse a value that stands in two rows."""
    repeated = np.flatnonzero(values.duplicated())
    if len(repeated):
        raise UserError(
            f"{where(repeated[0])}: the {what} {values.iat[repeated[0]]} is there twice.",
            f"Keep one row for each {what}.",
        )


def need_known(values: pd.Series, known: Sequence[str], where: Where, what: str) -> None:
    """Refuse a cell that is none of ``known``."""
    unknown = np.flatnonzero(~values.isin(known))
    if len(unknown):
        raise UserError(
            f"{where(unknown[0])}: {what} is {values.iat[unknown[0]]!r}.",
            f"Write {', '.join(name for name in known if name)}.",
        )


def check_crossing(frame: pd.DataFrame, where: Where) -> None:
    """Refuse a patient whose films are in two splits."""
    crossing = frame.groupby("patient_id")["split"].nunique()
    if not (crossing > 1).any():
        return
    patient = crossing.index[crossing > 1][0]
    firsts = frame[frame["patient_id"] == patient].drop_duplicates("split").head(2)
    (split, other), (row, other_row) = firsts["split"], firsts.index
    raise UserError(
        f"Patient {patient!r} is in {split} ({where(row)}) and in {other} ({where(other_row)}); "
        f"{int((crossing > 1).sum())} patients cross splits.",
        "Put each patient's films in one split, or drop the split column and have patients shared out.",
    )


def one_in_ten(patient: str) -> Literal["train", "val"]:
    """The split of a patient whom a set gives for training: one in ten is val, by a hash of the id.

    The same patients are val whichever films are taken.
    """
    return "val" if int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 10 == 0 else "train"


def fingerprint(frame: pd.DataFrame, annotations: Sequence[SourceMark]) -> str:
    """A hash of what was read, wherever its files lie."""
    marks = [(mark.image, mark.label, mark.reader, mark.box, mark.polygon, mark.size) for mark in annotations]
    return sha256_json([frame.to_csv(), marks])


def read_table(file: Path, ignore: Sequence[str] = ()) -> pd.DataFrame:
    """Text cells of a CSV (:func:`precompute.delimited.read_cells`) or a Parquet table, without some columns."""
    if is_parquet(file):
        table = _parquet_cells(file)
    else:
        names, rows = read_cells(file)
        table = pd.DataFrame(rows, columns=names, dtype=str)
    table = table.drop(columns=[column for column in ignore if column in table])
    table = table.rename(columns={old: new for old, new in ALIASES.items() if new not in table})
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise UserError(f"{file} has two columns for {twice[0]}.", "Keep one of them.")
    return table


def check_paths(images: Path, frame: pd.DataFrame, where: Where) -> None:
    """Refuse an image path that leaves its folder, by itself or by a link."""
    for index, relative in enumerate(frame["image"]):
        try:
            inside(images, relative)
        except BadImage as error:
            if Path(relative).is_absolute():
                raise UserError(
                    f"{where(index)}: {relative!r} is an absolute path, which leaves the image folder.",
                    f"Write the path below {images} alone.",
                ) from error
            if lies_below(relative) and "\0" not in relative:
                raise UserError(
                    f"{where(index)}: {relative!r} is a link out of the image folder, or lies in a linked folder.",
                    f"Put the film itself below {images}, or name the folder that holds the films with --images.",
                ) from error
            raise UserError(f"{where(index)}: {relative!r}: {error}.", f"Use a path below {images}.") from error


def is_parquet(file: Path) -> bool:
    """Whether a file is a Parquet table by its name."""
    return file.suffix.lower() == ".parquet"


def _parquet_cells(file: Path) -> pd.DataFrame:
    """The columns of a Parquet table that hold one value in each row, as text; null is blank."""
    if not file.is_file():
        raise UserError(f"There is no file {file}.", "Check the path.")
    try:
        schema = pq.read_schema(file)
        plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
        table = pq.read_table(file, columns=plain)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as a Parquet table: {error}.", "Write it again.") from error
    if not len(table):
        raise UserError(f"{file} has no rows.", "Give it one row for each film.")
    return pd.DataFrame({name: [_cell(value) for value in table[name].to_pylist()] for name in plain}, dtype=str)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)
