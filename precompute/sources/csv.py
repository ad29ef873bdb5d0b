"""A generic CSV: One row per image, one column per label."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from explorer.analysis.localisation import ALL as EVERY_LABEL
from explorer.analysis.metrics import MACRO, MACRO_ALL
from explorer.analysis.pooled import MICRO, domains
from explorer.analysis.separability import CLASSES
from explorer.data.labels import KNOWN_LABELS, parse_label
from explorer.data.samples import SAMPLE_COLUMNS, SPLITS
from explorer.errors import UserError
from precompute.marks.annotate import NO_MARKS, source_marks
from precompute.sources.counts import Count, counts_by_label, films_on_disk
from precompute.sources.films_on_disk import find_films
from precompute.sources.options import SourceOptions, UncertainPolicy
from precompute.sources.table import (
    GIVEN,
    Source,
    Where,
    check_crossing,
    check_paths,
    fingerprint,
    is_parquet,
    need_columns,
    need_known,
    parse_labels,
    read_table,
    rows_of,
)


class TableOptions(SourceOptions):
    """Options of a table with one row for each film, whose films may be elsewhere.

    Attributes
    ----------
    csv : Path
        A CSV or a Parquet table. Columns ``image`` (or path, filename, image_path; relative to ``images``) and
        ``patient_id``; optionally sample_id, study_id, split (train, val, test), view, report, age, sex. Every other
        column is a label with cells 1, 0, -1 (uncertain) or blank, which is unknown. Without ``images``, sample_id
        will do in place of image.
    images : Path or None
        The folder image paths are relative to; none may leave it. None where there are no films.
    label : names, optional
        Take only these label columns.
    ignore : names, optional
        Columns to leave out.
    uncertain : "ignore", "zeros" or "ones"
        What -1 becomes: unknown, 0 or 1.
    annotations : Path, optional
        Annotators' marks in pixels of the original films, in any layout of :mod:`precompute.marks.layouts`.
    """

    csv: Annotated[Path, Field(description="One row per image: image, patient_id, one column per label.")]
    images: Annotated[Path | None, Field(description="The folder of films, if they are to be shown.")] = None
    name: Annotated[str | None, Field(description="The set's name; by default the file's.")] = None
    licence: Annotated[str | None, Field(description="The set's licence, shown in the explorer.")] = None
    label: list[str] = Field(default_factory=list, description="Take only this label column; repeat.")
    ignore: list[str] = Field(default_factory=list, description="Leave this column out; repeat.")
    annotations: Annotated[
        Path | None,
        Field(description="Annotators' marks in pixels of the films, in any layout that annotate takes."),
    ] = None
    uncertain: UncertainPolicy = "ignore"


class CsvOptions(TableOptions):
    """Options of a CSV of films."""

    images: Annotated[Path, Field(description="The folder that the CSV's image paths are relative to.")]


def read_csv(options: TableOptions) -> Source:
    """Read and check a table of films.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    csv, images, uncertain = options.csv, options.images, options.uncertain
    kind = "table" if is_parquet(csv) else "CSV"
    table = read_table(csv, options.ignore)
    where = rows_of(csv)
    if images is not None and not images.is_dir():
        raise UserError(
            f"The image folder {images} does not exist.", "Name the folder the CSV's paths are relative to."
        )
    for column in ("sample_id", "study_id", "patient_id", "split", "view"):
        if column in table:  # else "p1" and "p1 " were two patients, and their films could cross splits
            table[column] = table[column].str.strip()
    if images is None and "image" in table and not table["image"].str.strip().any():
        table = table.drop(columns="image")  # as a run without films exports it
    if images is not None:
        need_columns(table, csv, ["image"], "Name the column of image paths image, path or filename.")
    elif "image" not in table:
        need_columns(table, csv, ["sample_id"], "Name the column of the films' ids sample_id.")
    need_columns(table, csv, ["patient_id"], "Add it: patients must not cross splits.")
    for column in ("image", "patient_id", "sample_id"):
        if column not in table:
            continue
        blank = np.flatnonzero(table[column].str.strip() == "")
        if len(blank):
            raise UserError(f"{where(blank[0])}: {column} is blank.", "Fill it in, or delete the row.")
    names = _label_names(csv, table, options.label, where)
    targets = parse_labels(
        table, names, uncertain, where, "Correct the cell, or leave the column out with --ignore {}."
    )
    notes: tuple[str, ...] = ()
    if "image" in table:
        table["image"] = table["image"].str.strip().map(lambda name: posixpath.normpath(name) if name else name)
    if images is not None:
        paths, notes = find_films(images, table["image"].tolist())
        table["image"] = table["image"].map(lambda name: paths.get(name, name))
    frame = pd.concat([_given(table, where), targets], axis=1)
    if images is not None:
        check_paths(images, frame, where)
    elif options.annotations is not None:
        raise UserError(
            "--annotations: marks count pixels of films, and no films are given.", "Name their folder with --images."
        )
    marks, more_notes = source_marks(options.annotations, frame, names) if options.annotations else NO_MARKS
    return Source(
        name=options.name or csv.stem,
        licence=options.licence or "not stated",
        file=csv,
        images=images,
        frame=frame,
        labels=names,
        label_origin=f"the {kind}'s label columns, uncertain: {uncertain}, blank is unknown",
        where=where,
        split_origin=f"the {kind}'s split column" if "split" in table else None,
        annotations=marks,
        sha256=fingerprint(frame, marks),
        notes=(*notes, *more_notes),
    )


def count_csv(options: CsvOptions) -> list[Count]:
    """Count what a CSV names, and the films on disk."""
    source = read_csv(options)
    frame = source.frame
    return [
        Count("rows", len(frame)),
        Count("patients", frame["patient_id"].nunique()),
        films_on_disk(source, len(frame)),
        *counts_by_label(source),
    ]


def _label_names(file: Path, table: pd.DataFrame, wanted: Sequence[str], where: Where) -> tuple[str, ...]:
    if wanted:
        wanted = tuple(dict.fromkeys(wanted))
        absent = [label for label in wanted if label not in table or label in GIVEN]
        if absent:
            raise UserError(f"{file} has no label column {absent[0]!r}.", f"It has: {', '.join(table.columns)}.")
        return _checked(file, wanted)
    names = []
    for column in table.columns:
        if column in GIVEN:
            continue
        filled = np.flatnonzero(table[column].str.strip() != "")
        if column not in KNOWN_LABELS and len(filled) and parse_label(str(table[column].iat[filled[0]])) is None:
            raise UserError(
                f"{file}: unknown column {column!r}; it is no label either ({where(filled[0])} has "
                f"{table[column].iat[filled[0]]!r}, a label has 1, 0, -1 or blank).",
                f"Leave it out with --ignore {column!r}, or name the label columns with --label.",
            )
        names.append(column)
    if not names:
        raise UserError(f"{file} has no label column.", "Add one column per label with cells 1, 0, -1 or blank.")
    return _checked(file, names)


def _checked(file: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Refuse a label that would stand for something else in a run's tables."""
    taken = {*SAMPLE_COLUMNS, MACRO, MACRO_ALL, MICRO, CLASSES, EVERY_LABEL, *domains(labels)}
    for label in labels:
        if label in taken:
            raise UserError(
                f"{file}: no label can be named {label!r}, which a run's tables use for something else.",
                f"Rename the column, or leave it out with --ignore {label!r}.",
            )
    return tuple(labels)


def _given(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    """The sample columns, with what is missing filled in."""
    frame = pd.DataFrame({column: table.get(column, pd.Series("", index=table.index)) for column in GIVEN})
    if "sample_id" not in table:
        stems = frame["image"].map(lambda path: Path(path).stem)
        frame["sample_id"] = frame["image"] if stems.duplicated().any() else stems
    if "study_id" not in table:
        frame["study_id"] = frame["sample_id"]
    for column in ("sample_id", "image"):
        repeated = frame[column].duplicated(keep=False) & (column in table)
        if repeated.any():
            first, second = np.flatnonzero(frame[column] == frame.loc[repeated, column].iat[0])[:2]
            raise UserError(
                f"{where(first)} and {where(second)} have the same {column}: {frame[column].iat[first]!r}.",
                "Give each image one row and an id of its own.",
            )
    if "split" in table:
        need_known(frame["split"], SPLITS, where, "split")
        check_crossing(frame, where)
    ages = pd.to_numeric(frame["age"].replace("", None), errors="coerce")
    bad = np.flatnonzero(ages.isna() & (frame["age"] != ""))
    if len(bad):
        raise UserError(f"{where(bad[0])}: age is {frame['age'].iat[bad[0]]!r}, no number of years.", "Correct it.")
    frame["age"] = ages.astype(np.float32)
    return frame
