"""The sources there are: what each needs, where it is to be had, its licence, and what a whole download holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from explorer.data.labels import CHEXPERT_LABELS
from explorer.errors import UserError
from precompute.sources import chexpert, iu_xray
from precompute.sources.csv import read_csv

SourceName = Literal["csv", "iu-xray", "chexpert"]


@dataclass(frozen=True)
class Entry:
    """A source as ``python -m precompute sources`` lists it."""

    name: SourceName
    title: str
    needs: str
    where: str
    licence: str


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "csv",
        "Your own films",
        "--csv with columns image, patient_id and one a label; --images, the folder of films",
        "yours",
        "yours; state it with --licence",
    ),
    Entry(
        "iu-xray",
        iu_xray.NAME,
        f"--root with {iu_xray.REPORTS}/*.xml, or {iu_xray.KAGGLE_REPORTS} and {iu_xray.PROJECTIONS}; and the films "
        f"({', '.join(iu_xray.IMAGE_FOLDERS)}). The XML alone do not tell frontal from lateral: "
        f"{iu_xray.PROJECTIONS} does. --labels takes a CheXpert or CheXbert labeller's CSV",
        "openi.nlm.nih.gov/faq (NLMCXR_reports.tgz, NLMCXR_png.tgz); kaggle.com/raddar/chest-xrays-indiana-university",
        f"{iu_xray.LICENCE}: no sharing of the films or of pictures made from them",
    ),
    Entry(
        "chexpert",
        chexpert.NAME,
        f"--root with {' and '.join(chexpert.FILES)} and the folders train and valid of films. The radiologists' "
        "valid.csv is test, and has no fracture: --allow-empty keeps such labels",
        "stanfordmlgroup.github.io/competitions/chexpert",
        f"{chexpert.LICENCE}: no sharing",
    ),
)


@dataclass(frozen=True)
class Count:
    """One thing counted in a folder; ``expected`` is of the whole download, None where no number is due."""

    what: str
    found: int
    expected: int | None = None

    @property
    def good(self) -> bool:
        return self.expected is None or self.found == self.expected

    def record(self) -> dict[str, object]:
        return {**asdict(self), "good": self.good}


def check_source(name: SourceName, root: Path, images: Path | None = None) -> list[Count]:
    """Count what is there, before any long work.

    Parameters
    ----------
    name : str
    root : Path
        The set's folder; for csv the file.
    images : Path, optional
        The folder of films; by default where the download unpacks to, or beside the CSV.

    Raises
    ------
    UserError
        Where nothing can be counted: no such folder, a broken file.
    """
    if not root.exists():
        raise UserError(f"There is no {root}.", "Check the path.")
    if name == "csv":
        return _check_csv(root, images or root.parent)
    return _check_iu_xray(root, images) if name == "iu-xray" else _check_chexpert(root)


def _check_csv(file: Path, images: Path) -> list[Count]:
    source = read_csv(file, images)
    frame = source.frame
    there = sum((images / path).is_file() for path in frame["image"])
    return [
        Count("rows", len(frame)),
        Count("patients", frame["patient_id"].nunique()),
        Count("films on disk", there, len(frame)),
        *(Count(f"{label}: positive", int((frame[label] == 1).sum())) for label in source.labels),
        *(Count(f"{label}: unknown", int(frame[label].isna().sum())) for label in source.labels),
    ]


def _check_chexpert(root: Path) -> list[Count]:
    table = chexpert.read_files(root)
    counts = []
    for file, films, patients in (("train.csv", 223414, 64540), ("valid.csv", 234, 200)):
        rows = table[table["file"] == file]
        there = sum((root / path).is_file() for path in rows["image"])
        counts += [
            Count(f"{file}: films named", len(rows), films),
            Count(f"{file}: patients", rows["patient_id"].nunique(), patients),
            Count(f"{file}: frontal films", int((rows["Frontal/Lateral"] == "Frontal").sum())),
            Count(f"{file}: films on disk", there, films),
        ]
    source = chexpert.read_chexpert(root, frontal_only=False)
    return [
        *counts,
        *(Count(f"{label}: positive", int((source.frame[label] == 1).sum())) for label in source.labels),
        *(Count(f"{label}: unknown", int(source.frame[label].isna().sum())) for label in source.labels),
    ]


def _check_iu_xray(root: Path, images: Path | None) -> list[Count]:
    reports = iu_xray.read_reports(root)
    with_films = [report for report in reports if report.images]
    kaggle = not (root / iu_xray.REPORTS).is_dir()
    per_report = Counter(len(report.images) for report in with_films)
    without = {
        "findings": {report.uid for report in with_films if "FINDINGS" not in report.text},
        "impression": {report.uid for report in with_films if "IMPRESSION" not in report.text},
    }
    targets = pd.DataFrame([iu_xray.mesh_targets(report.mesh) for report in with_films])
    views = Counter(view for report in with_films for view in report.images.values())
    counts = [
        Count("reports", len(reports), 3851 if kaggle else 3955),
        Count("reports with films", len(with_films), 3851),
        Count("films named", sum(per_report[n] * n for n in per_report), 7466 if kaggle else 7470),
        *(
            Count(f"reports with {n} film{'s' * (n > 1)}", per_report[n], None if kaggle else due)
            for n, due in ((1, 446), (2, 3208), (3, 181), (4, 15), (5, 1))
        ),
        Count("frontal films", views["Frontal"], 3818),
        Count("lateral films", views["Lateral"], 3648),
        Count("MeSH is normal alone", sum(report.normal for report in with_films), 1379),
        Count("without findings", len(without["findings"]), 514),
        Count("without impression", len(without["impression"]), 31),
        Count("without either", len(without["findings"] & without["impression"]), 25),
        *(
            Count(f"{label}: positive by MeSH", int((targets[column] == 1).sum()))
            for column, label in enumerate(CHEXPERT_LABELS)
        ),
    ]
    try:
        folder = images or iu_xray.image_folder(root)
    except UserError:
        return [*counts, Count("films on disk", 0, 7466 if kaggle else 7470)]
    names = [name for report in with_films for name in report.images]
    found = iu_xray.find_films(folder, names)
    there = sum((folder / path).is_file() for path in found.values())
    return [*counts, Count("films on disk", there, len(names))]
