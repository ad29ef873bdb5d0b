"""IU-Xray (Open-i, Indiana University; Demner-Fushman et al., JAMIA 2016), in its two layouts.

- Open-i's own: a folder ``ecgen-radiology`` of one XML a report, and a folder of PNG or DICOM films.
- Kaggle's copy: ``indiana_reports.csv``, ``indiana_projections.csv`` and a folder of PNG films.

Labels come from a labeller's file, or from the reports' MeSH headings by the table in ``mesh.toml``.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from explorer.data.labels import CHEXPERT_LABELS, Uncertain, parse_label
from explorer.errors import UserError
from explorer.store.files import sha256_json
from precompute.sources.table import GIVEN, Source, check_paths, read_table

NAME = "IU-Xray"
LICENCE = "CC BY-NC-ND 4.0"
REPORTS = "ecgen-radiology"
KAGGLE_REPORTS, PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
IMAGE_FOLDERS = ("images/images_normalized", "images", "NLMCXR_png", "NLMCXR_dcm")
"""Where the downloads unpack to; the first that is there is taken."""
SECTIONS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")
NO_INDEXING, NORMAL = "no indexing", "normal"
MESH_TABLE = Path(__file__).with_name("mesh.toml")

View = Literal["Frontal", "Lateral", ""]


@dataclass(frozen=True)
class Report:
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
    images: Mapping[str, View] = field(default_factory=dict)

    @property
    def normal(self) -> bool:
        """Whether ``normal`` is the one heading."""
        return [heading.lower() for heading in self.mesh] == [NORMAL]


def read_iu_xray(
    root: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    uncertain: Uncertain = "ignore",
    frontal_only: bool = True,
) -> Source:
    """Read IU-Xray in either layout.

    Parameters
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
    frontal_only : bool
        Leave out lateral films, as the paper does (section 3.1).

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    reports = read_reports(root)
    folder = images or image_folder(root)
    rows = [(report, name, view) for report in reports for name, view in report.images.items()]
    if frontal_only:
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
    paths = find_films(folder, [name for _, name, _ in rows])
    cells = {
        "sample_id": [Path(name).stem.removesuffix(".dcm") for _, name, _ in rows],
        "study_id": [report.uid for report, _, _ in rows],
        "patient_id": [report.uid for report, _, _ in rows],
        "view": [view for _, _, view in rows],
        "image": [paths[name] for _, name, _ in rows],
        "report": [_report_text(report) for report, _, _ in rows],
        "age": np.full(len(rows), np.nan, np.float32),
    }
    frame = pd.DataFrame({column: cells.get(column, "") for column in GIVEN})
    values = np.array([targets[report.uid] for report, _, _ in rows], dtype=np.float32)
    frame = pd.concat([frame, pd.DataFrame(values, columns=list(CHEXPERT_LABELS))], axis=1)

    def where(row: int) -> str:
        return rows[row][0].where

    check_paths(folder, frame, where)
    return Source(
        name=NAME,
        licence=LICENCE,
        file=root,
        images=folder,
        frame=frame,
        labels=CHEXPERT_LABELS,
        label_origin=f"{labels.name}, uncertain: {uncertain}, no positive is No Finding"
        if labels
        else "MeSH headings by the table in precompute/sources/mesh.toml",
        where=where,
        has_split=False,
        annotations=pd.DataFrame(columns=["image", "label", "annotator", "x", "y", "w", "h", "polygon"]),
        sha256=sha256_json(frame.to_csv()),
    )


def read_reports(root: Path) -> list[Report]:
    """Read all reports below ``root``, in the order of their number, with the films each one names."""
    if (root / REPORTS).is_dir():
        reports = [_read_xml(file) for file in sorted((root / REPORTS).glob("*.xml"))]
        views = _read_views(root / PROJECTIONS) if (root / PROJECTIONS).is_file() else {}
        named = {_open_i_name(uid, file): view for uid, films in views.items() for file, view in films.items()}
        reports = [
            Report(r.uid, r.mesh, r.text, r.where, {name: named.get(name, "") for name in r.images}) for r in reports
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
    again = [uid for uid, count in Counter(report.uid for report in reports).items() if count > 1]
    if again:
        raise UserError(f"{root}: report {again[0]} is there twice.", "Keep one of them.")
    return sorted(reports, key=lambda report: (len(report.uid), report.uid))


def image_folder(root: Path) -> Path:
    """The folder of films below ``root``."""
    for name in IMAGE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise UserError(
        f"{root} has no folder of films ({', '.join(IMAGE_FOLDERS)}).", "Unpack the films there, or name --images."
    )


def mesh_targets(mesh: Iterable[str]) -> list[float]:
    """CheXpert's 14 labels of a report's MeSH headings: 1, 0, or NaN where the headings leave it open.

    Examples
    --------
    >>> mesh_targets(["Cardiomegaly/mild", "Costophrenic Angle/left/blunted"])[:3]
    [0.0, 0.0, 1.0]
    """
    headings = [tuple(part.strip().lower() for part in heading.split("/")) for heading in mesh]
    if not headings or any(heading[0] == NO_INDEXING for heading in headings):
        return [np.nan] * len(CHEXPERT_LABELS)
    values = {}
    for label, terms in mesh_table().items():
        if _named(terms["positive"], headings):
            values[label] = 1.0
        else:
            values[label] = np.nan if _named(terms.get("unknown", ()), headings) else 0.0
    return _with_no_finding(values)


@cache
def mesh_table() -> dict[str, dict[str, tuple[str, ...]]]:
    """The table of ``mesh.toml``: label to its positive and unknown terms."""
    read = tomllib.loads(MESH_TABLE.read_text(encoding="utf-8"))
    return {
        label: {kind: tuple(term.lower() for term in terms) for kind, terms in entry.items()}
        for label, entry in read.items()
    }


def _named(terms: Iterable[str], headings: list[tuple[str, ...]]) -> bool:
    for entry in terms:
        term, _, qualifier = entry.partition("/")
        if any(heading[0] == term and (not qualifier or qualifier in heading[1:]) for heading in headings):
            return True
    return False


def _with_no_finding(values: Mapping[str, float]) -> list[float]:
    """Values in CheXpert's order, No Finding made from the rest: one positive denies it, an unknown leaves it open."""
    rest = [values[label] for label in CHEXPERT_LABELS[1:]]
    none = 0.0 if 1.0 in rest else np.nan if np.isnan(rest).any() else 1.0
    return [none, *rest]


def _labeller_targets(file: Path, reports: list[Report], uncertain: Uncertain) -> dict[str, list[float]]:
    table = read_table(file)
    for column in ("uid", *CHEXPERT_LABELS[1:]):
        if column not in table:
            raise UserError(
                f"{file} has no column {column}.",
                "Give the labeller's CSV a column uid (the report's number) beside its label columns.",
            )
    targets: dict[str, list[float]] = {}
    for index, cells in enumerate(table.to_dict("records")):
        row = {str(column): str(cell) for column, cell in cells.items()}
        uid = row["uid"].strip().removeprefix("CXR")
        if uid in targets:
            raise UserError(f"{file} row {index + 2}: report {uid} is there twice.", "Keep one row a report.")
        values = {}
        for label in CHEXPERT_LABELS[1:]:
            value = parse_label(row[label], uncertain) if row[label].strip() else 0.0
            if value is None:
                raise UserError(
                    f"{file} row {index + 2}: {label!r} is {row[label]!r}; a label is 1, 0, -1 (uncertain) or blank.",
                    "Correct the cell.",
                )
            values[label] = value
        targets[uid] = _with_no_finding(values)
    lost = [report.uid for report in reports if report.images and report.uid not in targets]
    if lost:
        raise UserError(
            f"{file} has no row for {len(lost)} reports with films, the first {lost[0]}.",
            "Label every report, or leave the others' rows blank: blank is not mentioned.",
        )
    return targets


def _read_xml(file: Path) -> Report:
    try:
        root = ElementTree.parse(file).getroot()
        uid = root.find("uId")
        if uid is None:
            raise ValueError("no uId")
        images = [image.attrib["id"] for image in root.iter("parentImage")]
        return Report(
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


def _read_kaggle(file: Path, films: Mapping[str, Mapping[str, View]]) -> list[Report]:
    table = read_table(file)
    needed = ("uid", "MeSH", *(section.lower() for section in SECTIONS))
    for column in needed:
        if column not in table:
            raise UserError(f"{file} has no column {column}.", f"It needs {', '.join(needed)}.")
    reports = []
    for index, cells in enumerate(table.to_dict("records")):
        row = {str(column): str(cell).strip() for column, cell in cells.items()}
        reports.append(
            Report(
                uid=row["uid"],
                mesh=tuple(heading.strip() for heading in row["MeSH"].split(";") if heading.strip()),
                text={section: row[section.lower()] for section in SECTIONS if row[section.lower()]},
                where=f"{file} row {index + 2}",
                images=films.get(row["uid"], {}),
            )
        )
    return reports


def _read_views(file: Path) -> dict[str, dict[str, View]]:
    """Kaggle's projections: report number to its films' file names and views."""
    table = read_table(file)
    views: dict[str, dict[str, View]] = {}
    for column in ("uid", "filename", "projection"):
        if column not in table.rename(columns={"image": "filename"}):
            raise UserError(f"{file} has no column {column}.", "It needs uid, filename and projection.")
    for index, (uid, name, view) in enumerate(zip(table["uid"], table["image"], table["projection"], strict=True)):
        if view not in ("Frontal", "Lateral"):
            raise UserError(f"{file} row {index + 2}: projection is {view!r}.", "Write Frontal or Lateral.")
        views.setdefault(uid.strip(), {})[name.strip()] = view
    return views


def _open_i_name(uid: str, kaggle: str) -> str:
    """Open-i's name of a film (CXR1_1_IM-0001-4001) from Kaggle's (1_IM-0001-4001.dcm.png)."""
    return f"CXR{uid}_{kaggle.removesuffix('.png').removesuffix('.dcm')}"


def find_films(folder: Path, names: list[str]) -> dict[str, str]:
    """Each film's path below ``folder``: by its name, or by Open-i's DICOM name, in any subfolder.

    A film that is not there keeps its plain name, to be reported as missing with all other unreadable films.
    """
    there = {path.name: path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = {}
    for name in names:
        short = name.split("_", 1)[1] if name.startswith("CXR") else name
        options = (name, f"{name}.png", f"{name}.dcm", f"{short}.png", f"{short}.dcm")
        found[name] = next((there[option] for option in options if option in there), options[0 if "." in name else 1])
    return found


def _report_text(report: Report) -> str:
    return "\n".join(f"{name.capitalize()}: {report.text[name]}" for name in SECTIONS if name in report.text)
