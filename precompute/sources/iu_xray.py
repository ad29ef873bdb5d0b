"""IU-Xray (Open-i, Indiana University; Demner-Fushman et al., JAMIA 2016), in its two layouts.

- Open-i's own: a folder ``ecgen-radiology`` of one XML a report, and a folder of PNG or DICOM films.
- Kaggle's copy: ``indiana_reports.csv``, ``indiana_projections.csv`` and a folder of PNG films.

Labels come from a labeller's file, or from the reports' MeSH headings by the table in ``mesh.toml``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from pydantic import Field

from explorer.data.labels import CHEXPERT_LABELS, Uncertain, parse_label
from explorer.errors import UserError
from precompute.sources.counts import Count
from precompute.sources.films_on_disk import find_films
from precompute.sources.mesh import NORMAL, mesh_targets, with_no_finding
from precompute.sources.options import ImageFolder, RootFolder, SourceOptions, UncertainPolicy, ViewChoice
from precompute.sources.table import (
    Source,
    need_columns,
    need_known,
    read_table,
    rows_of,
    samples_frame,
    source_of,
)

NAME = "IU-Xray"
LICENCE = "CC BY-NC-ND 4.0"
REPORTS = "ecgen-radiology"
KAGGLE_REPORTS, PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
IMAGE_FOLDERS = ("images/images_normalized", "images", "NLMCXR_png", "NLMCXR_dcm")
"""Where the downloads unpack to; the first that is there is taken."""
SECTIONS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")

Projection = Literal["Frontal", "Lateral", ""]


class IuXrayOptions(SourceOptions):
    """Options of IU-Xray.

    Attributes
    ----------
    root : Path
        The folder with ``ecgen-radiology`` or with Kaggle's two CSV files.
    images : Path, optional
        The folder of films; by default the one below ``root`` that the downloads unpack to.
    labels : Path, optional
        A CheXpert or CheXbert labeller's CSV with a column ``uid``. 1 is positive, 0 and blank are negative, -1 goes by
        ``uncertain``; a row with no positive is No Finding. Without it, labels come from MeSH.
    uncertain : "ignore", "zeros" or "ones"
        What the labeller's -1 becomes: unknown, 0 or 1 (Irvin et al., AAAI 2019, section 3.1).
    views : "frontal" or "all"
        Leave out lateral films, as the paper does (section 3.1), or take them.
    """

    root: RootFolder
    images: ImageFolder = None
    labels: Annotated[Path | None, Field(description="A labeller's CSV in place of MeSH headings.")] = None
    uncertain: UncertainPolicy = "ignore"
    views: ViewChoice = "frontal"


@dataclass(frozen=True)
class IuReport:
    """One report of the set; ``uid`` is its patient as far as the set tells, and so the leakage unit.

    Attributes
    ----------
    uid : str
        The number alone: ``1`` for CXR1.
    mesh : major headings, each a term and its qualifiers with slashes between
    text : section name to its text, only those that say something
    images : image name to its view, "" where the files do not tell
    where : str
        The file, and its row where it has rows, for messages.
    """

    uid: str
    mesh: tuple[str, ...]
    text: Mapping[str, str]
    where: str
    images: Mapping[str, Projection] = field(default_factory=dict)

    @property
    def normal(self) -> bool:
        """Whether ``normal`` is the one heading."""
        return [heading.lower() for heading in self.mesh] == [NORMAL]


def read_iu_xray(options: IuXrayOptions) -> Source:
    """Read IU-Xray in either layout.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    root, labels, uncertain = options.root, options.labels, options.uncertain
    if uncertain != "ignore" and labels is None:
        raise UserError("MeSH headings hold no -1 for --uncertain to read.", "Leave it out, or give --labels.")
    reports = read_reports(root)
    folder = options.images or image_folder(root)
    rows = [(report, name, view) for report in reports for name, view in report.images.items()]
    if options.views == "frontal":
        if not any(view for _, _, view in rows):
            raise UserError(
                f"Nothing in {root} tells frontal from lateral films.",
                f"Put Kaggle's {PROJECTIONS} there, or take both with --views all.",
            )
        rows = [row for row in rows if row[2] == "Frontal"]
    if not rows:
        raise UserError(f"{root} has no report with a film.", "Check that the download is whole.")
    targets = (
        _labeller_targets(labels, reports, uncertain)
        if labels
        else {report.uid: mesh_targets(report.mesh) for report in reports}
    )
    paths, notes = _find(folder, [name for _, name, _ in rows])
    values = np.array([targets[report.uid] for report, _, _ in rows], dtype=np.float32)
    frame = samples_frame(
        {
            "sample_id": [Path(name).stem.removesuffix(".dcm") for _, name, _ in rows],
            "study_id": [report.uid for report, _, _ in rows],
            "patient_id": [report.uid for report, _, _ in rows],
            "view": [view for _, _, view in rows],
            "image": [paths[name] for _, name, _ in rows],
            "report": [_report_text(report) for report, _, _ in rows],
        },
        pd.DataFrame(values, columns=list(CHEXPERT_LABELS)),
    )

    def where(row: int) -> str:
        return rows[row][0].where

    return source_of(
        root,
        frame,
        where,
        name=NAME,
        licence=LICENCE,
        images=folder,
        labels=CHEXPERT_LABELS,
        label_origin=f"{labels.name}, uncertain: {uncertain}, no positive is No Finding"
        if labels
        else "MeSH headings by the table in precompute/sources/mesh.toml",
        split_origin=None,
        notes=notes,
    )


def count_iu_xray(options: IuXrayOptions) -> list[Count]:
    """Count reports, films and what MeSH says, beside the numbers of the whole set."""
    root = options.root
    reports = read_reports(root)
    with_films = [report for report in reports if report.images]
    kaggle = not (root / REPORTS).is_dir()
    per_report = Counter(len(report.images) for report in with_films)
    without = {
        "findings": {report.uid for report in with_films if "FINDINGS" not in report.text},
        "impression": {report.uid for report in with_films if "IMPRESSION" not in report.text},
    }
    targets = pd.DataFrame([mesh_targets(report.mesh) for report in with_films])
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
        folder = options.images or image_folder(root)
    except UserError:
        return [*counts, Count("films on disk", 0, 7466 if kaggle else 7470)]
    names = [name for report in with_films for name in report.images]
    paths, notes = _find(folder, names)
    found = sum((folder / path).is_file() for path in paths.values())
    return [*counts, Count("films on disk", found, len(names), notes)]


def read_reports(root: Path) -> list[IuReport]:
    """Read all reports below ``root``, in the order of their number, with the films each one names."""
    if (root / REPORTS).is_dir():
        reports = [_read_xml(file) for file in sorted((root / REPORTS).glob("*.xml"))]
        views = _read_views(root / PROJECTIONS) if (root / PROJECTIONS).is_file() else {}
        named = {_open_i_name(uid, file): view for uid, films in views.items() for file, view in films.items()}
        reports = [
            IuReport(r.uid, r.mesh, r.text, r.where, {name: named.get(name, "") for name in r.images}) for r in reports
        ]
    elif (root / KAGGLE_REPORTS).is_file():
        if not (root / PROJECTIONS).is_file():
            raise UserError(f"{root} has {KAGGLE_REPORTS} but no {PROJECTIONS}.", "Copy it there as well.")
        reports = _read_kaggle(root / KAGGLE_REPORTS, _read_views(root / PROJECTIONS))
    else:
        raise UserError(
            f"{root} holds neither {REPORTS} (Open-i) nor {KAGGLE_REPORTS} (Kaggle).",
            "Name the folder the download was unpacked in.",
        )
    if not reports:
        raise UserError(f"{root / REPORTS} holds no XML file.", "Unpack the reports there.")
    repeated = [uid for uid, count in Counter(report.uid for report in reports).items() if count > 1]
    if repeated:
        raise UserError(f"{root}: report {repeated[0]} is there twice.", "Keep one of them.")
    return sorted(reports, key=lambda report: (len(report.uid), report.uid))


def image_folder(root: Path) -> Path:
    """The folder of films below ``root``."""
    for name in IMAGE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise UserError(
        f"{root} has no folder of films ({', '.join(IMAGE_FOLDERS)}).", "Unpack the films there, or name --images."
    )


def _labeller_targets(file: Path, reports: list[IuReport], uncertain: Uncertain) -> dict[str, list[float]]:
    table = read_table(file)
    need_columns(
        table,
        file,
        ("uid", *CHEXPERT_LABELS[1:]),
        "Give the labeller's CSV a column uid (the report's number) beside its label columns.",
    )
    targets: dict[str, list[float]] = {}
    for index, cells in enumerate(table.to_dict("records")):
        row = {str(column): str(cell) for column, cell in cells.items()}
        uid = row["uid"].strip().removeprefix("CXR")
        if uid in targets:
            raise UserError(f"{file} row {index + 2}: report {uid} is there twice.", "Keep one row for each report.")
        values = {}
        for label in CHEXPERT_LABELS[1:]:
            value = parse_label(row[label], uncertain) if row[label].strip() else 0.0
            if value is None:
                raise UserError(
                    f"{file} row {index + 2}: {label!r} is {row[label]!r}; a label is 1, 0, -1 (uncertain) or blank.",
                    "Correct the cell.",
                )
            values[label] = value
        targets[uid] = with_no_finding(values)
    lost = [report.uid for report in reports if report.images and report.uid not in targets]
    if lost:
        raise UserError(
            f"{file} has no row for {len(lost)} reports with films, the first {lost[0]}.",
            "Label every report, or leave the others' rows blank: blank is not mentioned.",
        )
    return targets


def _read_xml(file: Path) -> IuReport:
    try:
        root = ElementTree.parse(file).getroot()
        uid = root.find("uId")
        if uid is None:
            raise ValueError("no uId")
        images = [image.attrib["id"] for image in root.iter("parentImage")]
        return IuReport(
            uid=uid.attrib["id"].removeprefix("CXR"),
            mesh=tuple(heading.text.strip() for heading in root.iterfind(".//MeSH/major") if heading.text),
            text={
                part.attrib["Label"]: part.text.strip()
                for part in root.iter("AbstractText")
                if part.text and part.text.strip()
            },
            where=str(file),
            images=dict.fromkeys(images, ""),
        )
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{file} is not an Open-i report: {error}", "Unpack the reports again.") from error


def _read_kaggle(file: Path, films: Mapping[str, Mapping[str, Projection]]) -> list[IuReport]:
    table = read_table(file)
    needed = ("uid", "MeSH", *(section.lower() for section in SECTIONS))
    need_columns(table, file, needed, f"It needs {', '.join(needed)}.")
    reports = []
    for index, cells in enumerate(table.to_dict("records")):
        row = {str(column): str(cell).strip() for column, cell in cells.items()}
        reports.append(
            IuReport(
                uid=row["uid"],
                mesh=tuple(heading.strip() for heading in row["MeSH"].split(";") if heading.strip()),
                text={section: row[section.lower()] for section in SECTIONS if row[section.lower()]},
                where=f"{file} row {index + 2}",
                images=films.get(row["uid"], {}),
            )
        )
    return reports


def _read_views(file: Path) -> dict[str, dict[str, Projection]]:
    """Kaggle's projections: report number to its films' file names and views."""
    table = read_table(file)
    views: dict[str, dict[str, Projection]] = {}
    need_columns(
        table.rename(columns={"image": "filename"}),
        file,
        ("uid", "filename", "projection"),
        "It needs uid, filename and projection.",
    )
    need_known(table["projection"], ("Frontal", "Lateral"), rows_of(file), "projection")
    for uid, name, view in zip(table["uid"], table["image"], table["projection"], strict=True):
        views.setdefault(uid.strip(), {})[name.strip()] = view
    return views


def _open_i_name(uid: str, kaggle: str) -> str:
    """Open-i's name of a film (CXR1_1_IM-0001-4001) from Kaggle's (1_IM-0001-4001.dcm.png)."""
    return f"CXR{uid}_{kaggle.removesuffix('.png').removesuffix('.dcm')}"


def _find(folder: Path, names: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Each film's path below ``folder``: by its name, or by Open-i's DICOM name, in any subfolder.

    A film that is not there keeps its plain name, to be reported as missing with all other unreadable films.
    """
    paths, notes = find_films(folder, names, anywhere=True)
    short = {name: name.split("_", 1)[1] for name in names if name.startswith("CXR") and name not in paths}
    by_short, _ = find_films(folder, list(short.values()), anywhere=True)
    paths |= {name: by_short[dicom] for name, dicom in short.items() if dicom in by_short}
    return {name: paths.get(name, name if "." in name else f"{name}.png") for name in names}, notes


def _report_text(report: IuReport) -> str:
    return "\n".join(f"{name.capitalize()}: {report.text[name]}" for name in SECTIONS if name in report.text)
