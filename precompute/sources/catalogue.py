"""The sources there are: what each needs, where it is to be had, its licence, and how it is read and counted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from explorer.errors import UserError
from precompute.sources import chexpert, csv, iu_xray, mimic, nih, vindr
from precompute.sources.counts import Count
from precompute.sources.table import Source

Result = TypeVar("Result")
SourceName = Literal["csv", "iu-xray", "chexpert", "mimic-cxr", "nih", "vindr-cxr"]


@dataclass(frozen=True)
class Entry:
    """A source as ``python -m precompute sources`` lists it.

    Attributes
    ----------
    read : callable
        Its parameters are the command line's options of the same names; those without a default are needed.
    count : callable
        The same, for ``python -m precompute check``.
    """

    title: str
    needs: str
    where: str
    licence: str
    read: Callable[..., Source]
    count: Callable[..., list[Count]]


CATALOGUE: dict[SourceName, Entry] = {
    "csv": Entry(
        "Your own films",
        "--csv with columns image, patient_id and one a label; --images, the folder of films",
        "yours",
        "yours; state it with --licence",
        csv.read_csv,
        csv.count_csv,
    ),
    "iu-xray": Entry(
        iu_xray.NAME,
        f"--root with {iu_xray.REPORTS}/*.xml, or {iu_xray.KAGGLE_REPORTS} and {iu_xray.PROJECTIONS}; and the films "
        f"({', '.join(iu_xray.IMAGE_FOLDERS)}). The XML alone do not tell frontal from lateral: "
        f"{iu_xray.PROJECTIONS} does. --labels takes a CheXpert or CheXbert labeller's CSV",
        "openi.nlm.nih.gov/faq (NLMCXR_reports.tgz, NLMCXR_png.tgz); kaggle.com/raddar/chest-xrays-indiana-university",
        f"{iu_xray.LICENCE}: no sharing of the films or of pictures made from them",
        iu_xray.read_iu_xray,
        iu_xray.count_iu_xray,
    ),
    "chexpert": Entry(
        chexpert.NAME,
        f"--root with {' and '.join(chexpert.FILES)} and the folders train and valid of films. The radiologists' "
        "valid.csv is test, and has no fracture: --allow-empty keeps such labels",
        "stanfordmlgroup.github.io/competitions/chexpert",
        f"{chexpert.LICENCE}: no sharing",
        chexpert.read_chexpert,
        chexpert.count_chexpert,
    ),
    "mimic-cxr": Entry(
        mimic.NAME,
        f"--root with {mimic.SPLIT}, {mimic.METADATA} and {mimic.LABELS}, gzipped or not, and the folder files of "
        "films. --labels takes another labeller's CSV (mimic-cxr-2.0.0-negbio.csv)",
        "physionet.org/content/mimic-cxr-jpg",
        f"{mimic.LICENCE}: no sharing",
        mimic.read_mimic,
        mimic.count_mimic,
    ),
    "nih": Entry(
        nih.NAME,
        f"--root with {' or '.join(nih.ENTRIES)}, {' and '.join(nih.LISTS)}, {nih.BOXES} for the boxes, and the films "
        "at their size of 1024 pixels in any subfolders (or --images)",
        "nihcc.app.box.com/v/ChestXray-NIHCC; kaggle.com/nih-chest-xrays/data",
        nih.LICENCE,
        nih.read_nih,
        nih.count_nih,
    ),
    "vindr-cxr": Entry(
        vindr.NAME,
        "--root with annotations/image_labels_train.csv, image_labels_test.csv, annotations_train.csv and "
        "annotations_test.csv, and the folders train and test of DICOM films",
        "physionet.org/content/vindr-cxr",
        f"{vindr.LICENCE}: no sharing",
        vindr.read_vindr,
        vindr.count_vindr,
    ),
}


def read_source(name: SourceName, options: Mapping[str, object]) -> Source:
    """Read a source with the options given to it.

    Raises
    ------
    UserError
        An option that the source does not take, or one it needs and was not given; or whatever its reader finds.
    """
    return _call(name, CATALOGUE[name].read, options)


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
    options = {"csv" if name == "csv" else "root": root} | ({"images": images} if images else {})
    return _call(name, CATALOGUE[name].count, options)


def _call(name: SourceName, function: Callable[..., Result], options: Mapping[str, object]) -> Result:
    takes = inspect.signature(function).parameters
    for option in options:
        if option not in takes:
            flags = ", ".join(f"--{taken}" for taken in takes)
            raise UserError(f"The source {name} takes no --{option}.", f"Leave it out; it takes {flags}.")
    for option, parameter in takes.items():
        if parameter.default is parameter.empty and option not in options:
            raise UserError(
                f"The source {name} needs --{option}.", f"Give --{option}; see python -m precompute sources."
            )
    return function(**options)
