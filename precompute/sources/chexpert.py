"""CheXpert (Stanford; Irvin et al., AAAI 2019): ``train.csv`` by a labeller, ``valid.csv`` by radiologists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from explorer.data.labels import CHEXPERT_LABELS
from explorer.errors import UserError
from precompute.sources.counts import Count, counts_by_label, films_on_disk
from precompute.sources.films_on_disk import find_films
from precompute.sources.options import RootFolder, SourceOptions, UncertainPolicy, ViewChoice
from precompute.sources.table import (
    Source,
    deny_no_finding,
    need_columns,
    need_known,
    need_once,
    one_in_ten,
    parse_labels,
    read_table,
    rows_of,
    samples_frame,
    source_of,
)

NAME = "CheXpert"
LICENCE = "Stanford University Dataset Research Use Agreement"
FILES = ("train.csv", "valid.csv")
NEEDED = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_LABELS)
AS_SHIPPED = "Take the file as CheXpert ships it."


class ChexpertOptions(SourceOptions):
    """Options of CheXpert.

    Attributes
    ----------
    root : Path
        The folder with ``train.csv`` and ``valid.csv``, and the folders ``train`` and ``valid`` of films.
    uncertain : "ignore", "zeros" or "ones"
        What -1 becomes: unknown, 0 or 1 (Irvin et al., section 3.1). Blank is unknown, but a positive finding denies
        No Finding.
    views : "frontal" or "all"
        Leave out lateral films, or take them.
    """

    root: RootFolder
    uncertain: UncertainPolicy = "ignore"
    views: ViewChoice = "frontal"


def read_chexpert(options: ChexpertOptions) -> Source:
    """Read CheXpert, full size or small.

    The radiologists' ``valid.csv`` is test. Of ``train.csv`` one patient in ten is val.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    root, uncertain = options.root, options.uncertain
    table = pd.concat([_read(root / file) for file in FILES], ignore_index=True)
    if options.views == "frontal":
        table = table[table["Frontal/Lateral"] == "Frontal"].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{root} names no frontal film.", "Take lateral films too, with --views all.")
    where = table["where"].tolist().__getitem__
    targets = deny_no_finding(parse_labels(table, CHEXPERT_LABELS, uncertain, where, f"Correct the cell. {AS_SHIPPED}"))
    names = table["image"].map(lambda path: Path(path).with_suffix("").as_posix())
    frame = samples_frame(
        {
            "sample_id": names,
            "study_id": names.map(lambda name: name.rsplit("/", 1)[0]),
            "patient_id": table["patient_id"],
            "split": table["split"],
            "view": table["AP/PA"].where(table["AP/PA"] != "", table["Frontal/Lateral"]),
            "image": table["image"],
            "age": pd.to_numeric(table["Age"].replace("", None)).astype(np.float32),
            "sex": table["Sex"],
        },
        targets,
    )
    paths, notes = find_films(root, frame["image"].tolist())
    frame["image"] = frame["image"].map(lambda name: paths.get(name, name))
    return source_of(
        root,
        frame,
        where,
        name=NAME,
        licence=LICENCE,
        images=root,
        labels=CHEXPERT_LABELS,
        label_origin=f"train and val: CheXpert's labeller, uncertain: {uncertain}, blank is unknown, a positive "
        "finding denies No Finding; test: radiologists",
        split_origin="valid.csv is test; one patient in ten of train.csv is val, by a hash of the id",
        notes=notes,
    )


def count_chexpert(options: ChexpertOptions) -> list[Count]:
    """Count both files and the films on disk, beside the numbers of the whole set."""
    root = options.root
    counts = []
    for file, films, patients, frontal in (("train.csv", 223414, 64540, 191027), ("valid.csv", 234, 200, None)):
        rows = _read(root / file)
        counts += [
            Count(f"{file}: films named", len(rows), films),
            Count(f"{file}: patients", rows["patient_id"].nunique(), patients),
            Count(f"{file}: frontal films", int((rows["Frontal/Lateral"] == "Frontal").sum()), frontal),
        ]
    source = read_chexpert(ChexpertOptions(root=root, views="all"))
    return [*counts, films_on_disk(source, 223414 + 234), *counts_by_label(source)]


def _read(file: Path) -> pd.DataFrame:
    """A file's rows as text cells, with ``image`` below the root, ``patient_id``, ``split`` and ``where``."""
    table = read_table(file)
    where = rows_of(file)
    need_columns(table, file, NEEDED, AS_SHIPPED)
    table = table.rename(columns={"Path": "image"})
    # the first part names the download (CheXpert-v1.0-small), not a folder below it
    parts = table["image"].str.strip().str.split("/", expand=True)
    misplaced = np.flatnonzero(table["image"].str.count("/") != 4)
    if len(misplaced):
        raise UserError(
            f"{where(misplaced[0])}: Path is {table['image'].iat[misplaced[0]]!r}.",
            "CheXpert writes CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg.",
        )
    need_known(table["Frontal/Lateral"], ("Frontal", "Lateral"), where, "Frontal/Lateral")
    ages = np.flatnonzero(~table["Age"].str.fullmatch(r"\d*"))
    if len(ages):
        raise UserError(f"{where(ages[0])}: Age is {table['Age'].iat[ages[0]]!r}.", "Write whole years.")
    table["image"], table["patient_id"] = parts[1].str.cat(parts[[2, 3, 4]], sep="/"), parts[2]
    need_once(table["image"], where, "film")
    table["where"] = [where(row) for row in range(len(table))]
    table["split"] = "test" if file.name == FILES[1] else table["patient_id"].map(one_in_ten)
    return table
