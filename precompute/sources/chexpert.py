"""CheXpert (Stanford; Irvin et al., AAAI 2019): ``train.csv`` labelled by rules, ``valid.csv`` by radiologists."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.data.labels import CHEXPERT_LABELS, Uncertain, parse_label
from explorer.errors import UserError
from explorer.store.files import sha256_file
from precompute.sources.table import GIVEN, Source, check_paths, read_table

NAME = "CheXpert"
LICENCE = "Stanford University Dataset Research Use Agreement"
FILES = ("train.csv", "valid.csv")
NEEDED = ("image", "Sex", "Age", "Frontal/Lateral", *CHEXPERT_LABELS)


def read_chexpert(root: Path, *, uncertain: Uncertain = "ignore", frontal_only: bool = True) -> Source:
    """Read CheXpert, full size or small.

    The radiologists' ``valid.csv`` is test. Of ``train.csv`` one patient in ten, by a hash of the id, is val: the same
    patients whichever films are taken.

    Parameters
    ----------
    root : Path
        The folder with ``train.csv`` and ``valid.csv``, and the folders ``train`` and ``valid`` of films.
    uncertain : "ignore", "zeros" or "ones"
        What -1 becomes: unknown, 0 or 1 (Irvin et al., section 3.1). Blank is unknown.
    frontal_only : bool
        Leave out lateral films.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    table = read_files(root)
    if frontal_only:
        table = table[table["Frontal/Lateral"] == "Frontal"].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{root} names no frontal film.", "Take lateral films too, with --views all.")
    places = [f"{root / file} row {row}" for file, row in zip(table["file"], table["row"], strict=True)]
    names = table["image"].map(lambda path: Path(path).with_suffix("").as_posix())
    cells = {
        "sample_id": names,
        "study_id": names.map(lambda name: name.rsplit("/", 1)[0]),
        "patient_id": table["patient_id"],
        "split": table["split"],
        "view": table["Frontal/Lateral"],
        "image": table["image"],
        "age": pd.to_numeric(table["Age"].replace("", None)).astype(np.float32),
        "sex": table["Sex"],
    }
    blank = pd.Series("", index=table.index)
    frame = pd.DataFrame({column: cells.get(column, blank) for column in GIVEN})
    for label in CHEXPERT_LABELS:
        values = [parse_label(cell, uncertain) for cell in table[label]]
        if None in values:
            bad = values.index(None)
            raise UserError(
                f"{places[bad]}: {label!r} is {table[label].iat[bad]!r}; a label is 1, 0, -1 (uncertain) or blank.",
                "Correct the cell, or copy the file again.",
            )
        frame[label] = np.array(values, dtype=np.float32)
    check_paths(root, frame, places.__getitem__)
    return Source(
        name=NAME,
        licence=LICENCE,
        file=root,
        images=root,
        frame=frame,
        labels=CHEXPERT_LABELS,
        label_origin=f"train, val: CheXpert's labeller, uncertain: {uncertain}, blank is unknown; test: radiologists",
        where=places.__getitem__,
        has_split=True,
        annotations=pd.DataFrame(columns=["image", "label", "annotator", "x", "y", "w", "h", "polygon"]),
        sha256="".join(sha256_file(root / file) for file in FILES),
    )


def read_files(root: Path) -> pd.DataFrame:
    """Both files' rows as text, with ``image`` below ``root``, ``patient_id``, ``split``, ``file`` and ``row``."""
    tables = []
    for file in FILES:
        table = read_table(root / file).rename(columns={"Path": "image"})
        for column in NEEDED:
            if column not in table:
                raise UserError(
                    f"{root / file} has no column {'Path' if column == 'image' else column}.",
                    "Take the file as CheXpert ships it.",
                )
        # the first part names the download (CheXpert-v1.0-small), not a folder below it
        parts = table["image"].str.strip().str.split("/")
        odd = np.flatnonzero(parts.map(len) != 5)
        if len(odd):
            raise UserError(
                f"{root / file} row {odd[0] + 2}: Path is {table['image'].iat[odd[0]]!r}.",
                "CheXpert writes CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg.",
            )
        views = np.flatnonzero(~table["Frontal/Lateral"].isin(("Frontal", "Lateral")))
        if len(views):
            raise UserError(
                f"{root / file} row {views[0] + 2}: Frontal/Lateral is {table['Frontal/Lateral'].iat[views[0]]!r}.",
                "Write Frontal or Lateral.",
            )
        ages = np.flatnonzero(~table["Age"].str.fullmatch(r"\d*"))
        if len(ages):
            raise UserError(
                f"{root / file} row {ages[0] + 2}: Age is {table['Age'].iat[ages[0]]!r}.", "Write whole years."
            )
        table["image"], table["patient_id"] = parts.str[1:].str.join("/"), parts.str[2]
        table["file"], table["row"] = file, np.arange(len(table)) + 2
        table["split"] = "test" if file == FILES[1] else table["patient_id"].map(_split)
        again = np.flatnonzero(table["image"].duplicated())
        if len(again):
            raise UserError(f"{root / file} row {again[0] + 2}: the film is there twice.", "Keep one row a film.")
        tables.append(table)
    shared = set(tables[0]["patient_id"]) & set(tables[1]["patient_id"])
    if shared:
        raise UserError(
            f"{root}: patient {min(shared)} is in {' and in '.join(FILES)}.", "Take the two files of one release."
        )
    return pd.concat(tables, ignore_index=True)


def _split(patient: str) -> str:
    return "val" if int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 10 == 0 else "train"
