"""MIMIC-CXR-JPG (Johnson et al., 2019): labels of studies by CheXpert's or NegBio's labeller, official splits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from explorer.data.labels import CHEXPERT_LABELS, Uncertain
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
    parse_labels,
    read_table,
    rows_of,
    samples_frame,
    source_of,
)

NAME = "MIMIC-CXR-JPG"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
SPLIT, METADATA, LABELS = (f"mimic-cxr-2.0.0-{part}.csv" for part in ("split", "metadata", "chexpert"))
SPLITS = {"train": "train", "validate": "val", "test": "test"}
FILMS = {"train": 368960, "validate": 2991, "test": 5159}
FRONTAL = ("PA", "AP")
AS_SHIPPED = "Take the file as MIMIC-CXR-JPG ships it."


class MimicOptions(SourceOptions):
    """Options of MIMIC-CXR-JPG.

    Attributes
    ----------
    root : Path
        The folder with the split, metadata and labels CSV (gzipped or not) and the folder ``files`` of films.
    labels : Path, optional
        Another labeller's CSV, such as ``mimic-cxr-2.0.0-negbio.csv``; by default CheXpert's.
    uncertain : "ignore", "zeros" or "ones"
        What -1 becomes: unknown, 0 or 1. Blank is unknown, but a positive finding denies No Finding.
    views : "frontal" or "all"
        Only films whose view position is PA or AP, or all.
    """

    root: RootFolder
    labels: Annotated[Path | None, Field(description="Another labeller's CSV in place of CheXpert's.")] = None
    uncertain: UncertainPolicy = "ignore"
    views: ViewChoice = "frontal"


def read_mimic(options: MimicOptions) -> Source:
    """Read MIMIC-CXR-JPG.

    A study's labels go to each of its films. The few studies without a row of labels are unknown in all of them.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    root, uncertain = options.root, options.uncertain
    film_file, meta_file, label_file = _find(root, SPLIT), _find(root, METADATA), _label_file(options)
    films = read_table(film_file)

    def where(row: int) -> str:
        return f"{film_file} row {places[row]}"

    places = np.arange(len(films)) + 2
    need_columns(films, film_file, ("dicom_id", "study_id", "subject_id", "split"), AS_SHIPPED)
    need_once(films["dicom_id"], where, "film")
    need_known(films["split"], tuple(SPLITS), where, "split")
    position = _views(meta_file)
    films["view"] = films["dicom_id"].map(position)
    lost = np.flatnonzero(films["view"].isna())
    if len(lost):
        raise UserError(
            f"{where(lost[0])}: {meta_file.name} has no film {films['dicom_id'].iat[lost[0]]}.",
            "Take both files of one release.",
        )
    if options.views == "frontal":
        places = places[films["view"].isin(FRONTAL)]
        films = films[films["view"].isin(FRONTAL)].reset_index(drop=True)
    if films.empty:
        raise UserError(f"{film_file} names no frontal film.", "Take all, with --views all.")
    subject, study, film = (films[column].str.strip() for column in ("subject_id", "study_id", "dicom_id"))
    targets = _study_targets(label_file, uncertain).reindex(study)
    frame = samples_frame(
        {
            "sample_id": film,
            "study_id": study,
            "patient_id": subject,
            "split": films["split"].map(SPLITS),
            "view": films["view"],
            # files/p10/p10000032/s50414267/<dicom_id>.jpg
            "image": "files/p" + subject.str[:2] + "/p" + subject + "/s" + study + "/" + film + ".jpg",
        },
        targets.reset_index(drop=True),
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
        label_origin=f"{label_file.name.removesuffix('.gz')}, uncertain: {uncertain}, blank is unknown, "
        "a positive finding denies No Finding",
        split_origin="the official split; validate is val",
        notes=notes,
    )


def count_mimic(options: MimicOptions) -> list[Count]:
    """Count films, patients, splits and studies with labels, beside the numbers of the whole set."""
    source = read_mimic(MimicOptions(root=options.root, labels=options.labels, views="all"))
    frame = source.frame
    split = frame["split"].value_counts()
    return [
        Count("films named", len(frame), 377110),
        Count("patients", frame["patient_id"].nunique(), 65379),
        *(Count(f"{name}: films", int(split.get(SPLITS[name], 0)), n) for name, n in FILMS.items()),
        Count("frontal films", int(frame["view"].isin(FRONTAL).sum()), 243334),
        Count("studies labelled", len(_study_targets(_label_file(options), "ignore")), 227827),
        films_on_disk(source, 377110),
        *counts_by_label(source),
    ]


def _label_file(options: MimicOptions) -> Path:
    return options.labels or _find(options.root, LABELS)


def _find(root: Path, name: str) -> Path:
    """The file as it ships, gzipped, or unpacked."""
    for file in (root / name, root / f"{name}.gz"):
        if file.is_file():
            return file
    raise UserError(f"{root} has no {name}, nor {name}.gz.", "Copy it there from the download.")


def _views(file: Path) -> dict[str, str]:
    table = read_table(file)
    need_columns(table, file, ("dicom_id", "ViewPosition"), AS_SHIPPED)
    need_once(table["dicom_id"], rows_of(file), "film")
    return dict(zip(table["dicom_id"], table["ViewPosition"].str.strip(), strict=True))


def _study_targets(file: Path, uncertain: Uncertain) -> pd.DataFrame:
    """(studies, 14) labels by study number."""
    table = read_table(file)
    where = rows_of(file)
    need_columns(table, file, ("study_id", *CHEXPERT_LABELS), AS_SHIPPED)
    need_once(table["study_id"], where, "study")
    targets = parse_labels(table, CHEXPERT_LABELS, uncertain, where, f"Correct the cell. {AS_SHIPPED}")
    return deny_no_finding(targets).set_index(table["study_id"].str.strip())
