"""VinDr-CXR (Nguyen et al., Scientific Data 2022): labels and boxes drawn by radiologists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from precompute.marks.annotate import source_marks
from precompute.marks.layouts import SourceMark
from precompute.sources.counts import Count, counts_by_label, films_on_disk
from precompute.sources.films_on_disk import find_films
from precompute.sources.options import ImageFolder, RootFolder, SourceOptions, UncertainPolicy
from precompute.sources.table import (
    Source,
    need_columns,
    need_once,
    one_in_ten,
    parse_labels,
    read_table,
    rows_of,
    samples_frame,
    source_of,
)

NAME = "VinDr-CXR"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
LABELS = (
    "No finding",
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
    "COPD",
    "Lung tumor",
    "Pneumonia",
    "Tuberculosis",
    "Other diseases",
)
"""22 findings with boxes and 6 global labels, as ``image_labels_train.csv`` spells them."""
SPELT = {"Other disease": "Other diseases"}
"""``image_labels_test.csv`` spells one label otherwise."""
NAMES = {
    "No finding": "No Finding",
    "Enlarged PA": "Enlarged pulmonary artery",
    "ILD": "Interstitial lung disease",
}
"""Labels that take another name here: the usual one, or one that a text tower may know."""
MINORITY = {"ignore": np.nan, "zeros": 0.0, "ones": 1.0}
AS_SHIPPED = "Take the file as VinDr-CXR ships it."


class VindrOptions(SourceOptions):
    """Options of VinDr-CXR.

    Attributes
    ----------
    root : Path
        The folder with ``annotations`` and the folders ``train`` and ``test`` of films.
    images : Path, optional
        Another folder with ``train`` and ``test``, of the same films at the same size.
    uncertain : "ignore", "zeros" or "ones"
        What a minority's finding becomes: unknown, 0 or 1.
    """

    root: RootFolder
    images: ImageFolder = None
    uncertain: UncertainPolicy = "ignore"


def read_vindr(options: VindrOptions) -> Source:
    """Read VinDr-CXR.

    Test films carry the consensus of five radiologists. Training films were read by three: what most say is present is
    1, what none says is 0, and what only a minority says is uncertain. One training film in ten is val. The set names
    no patients: each film is taken for a patient of its own. The view comes from the DICOM header.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    root, uncertain = options.root, options.uncertain
    folder = options.images or root
    names = tuple(NAMES.get(label, label) for label in LABELS)
    parts, places, boxes = [], [], list[SourceMark]()
    for part in ("train", "test"):
        file = root / f"annotations/image_labels_{part}.csv"
        votes = _votes(file)
        if part == "test":
            need_once(votes["image_id"], rows_of(file), "film")
        values = votes.groupby("image_id", sort=False)[list(LABELS)].mean()  # of the readings that say something
        targets = values.mask((values > 0) & (values <= 0.5), MINORITY[uncertain]).mask(values > 0.5, 1.0)
        films = pd.Series(targets.index.astype(str))
        located, _ = find_films(folder, films.tolist(), anywhere=True)
        paths = films.map(lambda film, part=part, located=located: located.get(film, f"{part}/{film}.dicom"))
        parts.append(
            samples_frame(
                {
                    "sample_id": films,
                    "study_id": films,
                    "patient_id": films,
                    "split": films.map(one_in_ten) if part == "train" else "test",
                    "image": paths,
                },
                targets.rename(columns=NAMES).reset_index(drop=True),
            )
        )
        first = votes.reset_index().drop_duplicates("image_id").index
        places += [f"{file} row {row + 2}" for row in first]
        file_of_boxes = root / f"annotations/annotations_{part}.csv"
        boxes += source_marks(file_of_boxes, parts[-1], names, reader="consensus", rename=NAMES).marks
    frame = pd.concat(parts, ignore_index=True)
    where = places.__getitem__
    need_once(frame["sample_id"], where, "film")
    return source_of(
        root,
        frame,
        where,
        name=NAME,
        licence=LICENCE,
        images=folder,
        labels=names,
        label_origin="train and val: most of three radiologists, a minority's finding is uncertain: "
        f"{uncertain}; test: the consensus of five",
        split_origin="the official test; one film in ten of train is val, by a hash of its name",
        annotations=tuple(boxes),
    )


def count_vindr(options: VindrOptions) -> list[Count]:
    """Count films, readings and boxes, beside the numbers of the whole set."""
    source = read_vindr(options)
    frame, boxes = source.frame, source.annotations
    test = frame["split"] == "test"
    of_test = set(frame.loc[test, "image"])
    n_boxes = sum(box.image in of_test for box in boxes)
    return [
        Count("train: films named", int((~test).sum()), 15000),
        Count("train: readings", len(read_table(options.root / "annotations/image_labels_train.csv")), 45000),
        Count("test: films named", int(test.sum()), 3000),
        Count("train: boxes", len(boxes) - n_boxes),
        Count("test: boxes", n_boxes),
        films_on_disk(source, 18000),
        *counts_by_label(source),
    ]


def _votes(file: Path) -> pd.DataFrame:
    """One row per reading: ``image_id`` and 1, 0 or NaN per label."""
    table = read_table(file).rename(columns=SPELT)
    where = rows_of(file)
    need_columns(table, file, ("image_id", *LABELS), AS_SHIPPED)
    votes = parse_labels(table, LABELS, "ignore", where, f"Correct the cell. {AS_SHIPPED}")
    return pd.concat([table["image_id"].str.strip(), votes], axis=1)
