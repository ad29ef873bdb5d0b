"""What every source gives: one table of samples, checked before any film is decoded."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from explorer.data.images import BadImage, inside
from explorer.data.samples import SAMPLE_COLUMNS, SPLITS
from explorer.errors import UserError

ALIASES = {"path": "image", "filename": "image", "image_path": "image"}
GIVEN = tuple(column for column in SAMPLE_COLUMNS if column not in ("height", "width"))
"""Columns a CSV may bring; the film's size is measured."""


@dataclass(frozen=True)
class Source:
    """A set of films with labels, checked, before any film is decoded.

    Attributes
    ----------
    frame : DataFrame
        GIVEN columns, then one float32 column a label (1, 0, NaN); index 0..n-1 is the order of the file.
    label_origin : str
        Where the labels come from and how uncertain ones are read, in words.
    where : callable
        File and row of a sample, for messages.
    has_split : bool
        Whether the file says train, val and test; otherwise precompute shares patients out.
    annotations : DataFrame
        image, label, annotator, x, y, w, h, polygon; original pixels.
    """

    name: str
    licence: str
    file: Path
    images: Path
    frame: pd.DataFrame
    labels: tuple[str, ...]
    label_origin: str
    where: Callable[[int], str]
    has_split: bool
    annotations: pd.DataFrame
    sha256: str


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


def read_table(file: Path, ignore: Sequence[str] = ()) -> pd.DataFrame:
    """Read the file as text cells; row i of the table is row i + 2 of the file.

    pandas' reader is too forgiving here: it renames a second column of the same name, pads a short row, and takes
    the first column for an index where every row has a cell too many.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
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
        raise UserError(f"{file} has no rows.", "Give it a header and under it one row an image.")
    for index, row in enumerate(rows):
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


def check_paths(images: Path, frame: pd.DataFrame, where: Callable[[int], str]) -> None:
    """Refuse an image path that leaves its folder."""
    for index, relative in enumerate(frame["image"]):
        try:
            inside(images, relative)
        except BadImage as error:
            raise UserError(f"{where(index)}: {relative!r}: {error}.", f"Use a path below {images}.") from error
