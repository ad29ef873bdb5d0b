"""NIH ChestX-ray14 (Wang et al., CVPR 2017): labels mined from reports, official lists, radiologists' boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from explorer.data.labels import NIH_LABELS
from explorer.errors import UserError
from precompute.marks.annotate import NO_MARKS, source_marks
from precompute.marks.film_names import stem
from precompute.sources.counts import Count, counts_by_label, films_on_disk
from precompute.sources.films_on_disk import find_films
from precompute.sources.options import ImageFolder, RootFolder, SourceOptions
from precompute.sources.table import (
    Source,
    Where,
    need_columns,
    need_known,
    need_once,
    one_in_ten,
    read_table,
    rows_of,
    samples_frame,
    source_of,
)

NAME = "NIH ChestX-ray14"
LICENCE = "NIH Clinical Center: free use with attribution to it and to Wang et al., CVPR 2017"
ENTRIES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
"""The first and the corrected release; the first that is there is taken."""
LISTS = ("train_val_list.txt", "test_list.txt")
BOXES = "BBox_List_2017.csv"
OLDEST = 120
"""Years; the set has a few ages of 148 and more, which are unknown here."""
AS_SHIPPED = "Take the file as NIH ships it."


class NihOptions(SourceOptions):
    """Options of ChestX-ray14.

    Attributes
    ----------
    root : Path
        The folder with ``Data_Entry_2017.csv`` (or its 2020 release), both lists, and ``BBox_List_2017.csv`` where the
        boxes are wanted.
    images : Path, optional
        The folder of films, in any subfolders; by default ``root``.
    """

    root: RootFolder
    images: ImageFolder = None


def read_nih(options: NihOptions) -> Source:
    """Read ChestX-ray14.

    A finding that the miner did not name is absent: the set knows no uncertain label. ``test_list.txt`` is test; of the
    patients of ``train_val_list.txt`` one in ten is val.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    root = options.root
    file = next((root / name for name in ENTRIES if (root / name).is_file()), None)
    if file is None:
        raise UserError(f"{root} has no {' or '.join(ENTRIES)}.", "Copy it there from the download.")
    table = read_table(file)
    where = rows_of(file)
    table = table.rename(columns={"Patient Sex": "Patient Gender"})  # the name in newer copies
    needed = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender")
    need_columns(table, file, (*needed, "View Position"), AS_SHIPPED)
    need_once(table["Image Index"], where, "film")
    need_known(table["View Position"], ("PA", "AP"), where, "View Position")
    folder = options.images or root
    paths, notes = find_films(folder, table["Image Index"].tolist(), anywhere=True)
    frame = samples_frame(
        {
            "sample_id": table["Image Index"].map(lambda name: Path(name).stem),
            "study_id": table["Patient ID"] + "_" + table["Follow-up #"],
            "patient_id": table["Patient ID"],
            "split": _splits(root, table, where),
            "view": table["View Position"],
            "image": table["Image Index"].map(lambda name: paths.get(name, name)),
            "age": _ages(table["Patient Age"], where),
            "sex": table["Patient Gender"],
        },
        _targets(table["Finding Labels"], where),
    )
    file_of_boxes = root / BOXES
    marks = (
        source_marks(file_of_boxes, frame, NIH_LABELS, reader="radiologist") if file_of_boxes.is_file() else NO_MARKS
    )
    return source_of(
        root,
        frame,
        where,
        name=NAME,
        licence=LICENCE,
        images=folder,
        labels=NIH_LABELS,
        label_origin=f"{file.name}: mined from reports, what is not named is absent",
        split_origin="test_list.txt is test; one patient in ten of train_val_list.txt is val, by a hash of the id",
        annotations=marks.marks,
        notes=(*notes, *marks.notes),
    )


def count_nih(options: NihOptions) -> list[Count]:
    """Count films, patients, the official lists and boxes, beside the numbers of the whole set."""
    source = read_nih(options)
    frame, boxes = source.frame, source.annotations
    test = int((frame["split"] == "test").sum())
    return [
        Count("films named", len(frame), 112120),
        Count("patients", frame["patient_id"].nunique(), 30805),
        Count(f"{LISTS[0]}: films", len(frame) - test, 86524),
        Count(f"{LISTS[1]}: films", test, 25596),
        Count("boxes", len(boxes), 984),
        Count("films with boxes", len({box.image for box in boxes}), 880),
        films_on_disk(source, 112120),
        *counts_by_label(source),
    ]


def _targets(findings: pd.Series, where: Where) -> pd.DataFrame:
    named = findings.str.split("|")
    known = set(NIH_LABELS)
    unknown = np.flatnonzero(named.map(lambda names: not known.issuperset(names)))
    if len(unknown):
        raise UserError(
            f"{where(unknown[0])}: Finding Labels is {findings.iat[unknown[0]]!r}.",
            f"Findings are {', '.join(NIH_LABELS)}, with | between them.",
        )
    return pd.DataFrame(
        {label: named.map(lambda names, label=label: label in names) for label in NIH_LABELS}, dtype=np.float32
    )


def _ages(cells: pd.Series, where: Where) -> pd.Series:
    """Years: the first release writes 058Y, 011M or 001D, the second 58."""
    parts = cells.str.strip().str.extract(r"^(\d+)([YMD]?)$")
    unreadable = np.flatnonzero(parts[0].isna())
    if len(unreadable):
        raise UserError(
            f"{where(unreadable[0])}: Patient Age is {cells.iat[unreadable[0]]!r}.", "Write years: 58 or 058Y."
        )
    years = parts[0].astype(np.float32) / parts[1].map({"": 1, "Y": 1, "M": 12, "D": 365}).astype(np.float32)
    return years.where(years <= OLDEST)


def _splits(root: Path, table: pd.DataFrame, where: Where) -> pd.Series:
    lists = []
    for name in LISTS:
        if not (root / name).is_file():
            raise UserError(f"{root} has no {name}.", "Copy the official lists there.")
        lists.append(set(map(stem, (root / name).read_text(encoding="utf-8-sig").split())))
    train_val, test = (table["Image Index"].map(stem).isin(names) for names in lists)
    unclear = np.flatnonzero(train_val == test)
    if len(unclear):
        film, lists_of_it = table["Image Index"].iat[unclear[0]], "both" if test.iat[unclear[0]] else "neither"
        raise UserError(
            f"{where(unclear[0])}: {film} is in {lists_of_it} of {' and '.join(LISTS)}.",
            "Take the lists and the table of one release.",
        )
    return table["Patient ID"].map(one_in_ten).mask(test, "test")
