"""What every source gives: one table of samples, checked before any film is decoded."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.data.labels import Uncertain, parse_label
from explorer.data.limits import BadImage, inside
from explorer.data.samples import SAMPLE_COLUMNS, SPLITS
from explorer.errors import UserError
from explorer.store.files import sha256_json
from precompute.marks.layouts import SourceMark

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
    uncorrected : DataFrame, optional
        The frame before a review corrected it: patients are shared out by its labels, so that a correction moves no
        film to another split.
    truth : (n, C), optional
        What the films really show, 1 or 0, by ``frame`` and ``labels``; known of phantoms alone.
    """

    name: str
    licence: str
    file: Path
    images: Path
    frame: pd.DataFrame
    labels: tuple[str, ...]
    label_origin: str
    where: Where
    split_origin: str | None
    annotations: tuple[SourceMark, ...]
    sha256: str
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
) -> Source:
    """The source of a public set's folder, its patients and paths checked, and hashed as it was read."""
    if split_origin is not None:
        check_crossing(frame, where)
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
    return lambda row: f"{file} row {row + 2}"


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

    CheXpert's labeller writes No Finding only as 1, where no finding but Support Devices is positive or uncertain
    (Irvin et al., AAAI 2019, section 3.1), so a positive finding says that it is absent. All other blanks stay unknown.
    """
    found = (targets.drop(columns=["No Finding", "Support Devices"]) == 1).any(axis=1)
    return targets.assign(**{"No Finding": targets["No Finding"].mask(targets["No Finding"].isna() & found, 0.0)})


def need_columns(table: pd.DataFrame, file: Path, columns: Sequence[str], fix: str) -> None:
    """Refuse a file without one of ``columns``."""
    for column in columns:
        if column not in table:
            raise UserError(f"{file} has no column {column}.", fix)


def need_once(values: pd.Series, where: Where, what: str) -> None:
    """Refuse a value that stands in two rows."""
    again = np.flatnonzero(values.duplicated())
    if len(again):
        raise UserError(
            f"{where(again[0])}: the {what} {values.iat[again[0]]} is there twice.", f"Keep one row for each {what}."
        )


def need_known(values: pd.Series, known: Sequence[str], where: Where, what: str) -> None:
    """Refuse a cell that is none of ``known``."""
    odd = np.flatnonzero(~values.isin(known))
    if len(odd):
        raise UserError(
            f"{where(odd[0])}: {what} is {values.iat[odd[0]]!r}.", f"Write {', '.join(name for name in known if name)}."
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


def films_below(folder: Path) -> dict[str, str]:
    """Name of each file in any subfolder to its path relative to ``folder``."""
    if not folder.is_dir():
        raise UserError(f"The folder {folder} does not exist.", "Name the folder of films with --images.")
    return {path.name: path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def fingerprint(frame: pd.DataFrame, annotations: Sequence[SourceMark]) -> str:
    """A hash of what was read, wherever its files lie."""
    marks = [(mark.image, mark.label, mark.reader, mark.box, mark.polygon, mark.size) for mark in annotations]
    return sha256_json([frame.to_csv(), marks])


def read_table(file: Path, ignore: Sequence[str] = (), *, nameless: bool = False) -> pd.DataFrame:
    """Read the file, gzipped or not, as text cells; row i of the table is row i + 2 of the file.

    With ``nameless``, blank columns without a name at the end are dropped: some sets end their lines in commas.

    pandas' reader is too forgiving here: it renames a second column of the same name, pads a short row, and takes
    the first column for an index where every row has a cell too many.
    """
    try:
        opener = gzip.open if file.suffix == ".gz" else open
        with opener(file, "rt", encoding="utf-8-sig", newline="") as text:
            header, *rows = [*csv.reader(text, strict=True)] or [[]]
    except FileNotFoundError as error:
        raise UserError(f"There is no file {file}.", "Check the path.") from error
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"{file} cannot be read as a CSV: {error}", "Save it as UTF-8, comma-separated, with a header."
        ) from error
    while rows and not rows[-1]:  # empty lines at the end are no rows
        rows.pop()
    if not rows:
        raise UserError(f"{file} has no rows.", "Give it a header and one row for each image.")
    while nameless and header and not header[-1]:
        header.pop()
    for index, row in enumerate(rows):
        while nameless and len(row) > len(header) and not row[-1]:
            row.pop()
        if len(row) != len(header):
            raise UserError(
                f"{file} row {index + 2} has {len(row)} cells, the header has {len(header)}.",
                "Give the row a cell for every column (quote a cell that holds a comma), or delete it.",
            )
    header = [name.strip() for name in header]
    if "" in header:
        raise UserError(f"{file}: column {header.index('') + 1} has no name.", "Name it in the header, or delete it.")
    table = pd.DataFrame(rows, columns=header, dtype=str)
    table = table.drop(columns=[column for column in ignore if column in table])
    table = table.rename(columns={old: new for old, new in ALIASES.items() if new not in table})
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise UserError(f"{file} has two columns for {twice[0]}.", "Keep one of them.")
    return table


def check_paths(images: Path, frame: pd.DataFrame, where: Where) -> None:
    """Refuse an image path that leaves its folder."""
    for index, relative in enumerate(frame["image"]):
        try:
            inside(images, relative)
        except BadImage as error:
            raise UserError(f"{where(index)}: {relative!r}: {error}.", f"Use a path below {images}.") from error
