"""The sources there are: what each needs, where it is to be had, its licence, and how it is read and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import ValidationError

from explorer.errors import UserError
from precompute.sources import chexpert, csv, iu_xray, mimic, nih, vindr
from precompute.sources.counts import Count
from precompute.sources.options import SourceOptions, flag
from precompute.sources.table import Source

Options = TypeVar("Options", bound=SourceOptions)
OptionsModel = TypeVar("OptionsModel", bound=SourceOptions)
SourceName = Literal["csv", "iu-xray", "chexpert", "mimic-cxr", "nih", "vindr-cxr"]


@dataclass(frozen=True)
class Entry(Generic[Options]):
    """A source as ``python -m precompute sources`` lists it.

    Attributes
    ----------
    options : type of SourceOptions
        Its fields are the command line's options of the same names; those without a default are needed.
    read : callable
        For ``python -m precompute run``.
    count : callable
        For ``python -m precompute check``.
    """

    title: str
    needs: str
    where: str
    licence: str
    options: type[Options]
    read: Callable[[Options], Source]
    count: Callable[[Options], list[Count]]


CATALOGUE: dict[SourceName, Entry[Any]] = {
    "csv": Entry[csv.CsvOptions](
        "Your own films",
        "--csv with columns image, patient_id and one per label; --images, the folder of films",
        "yours",
        "yours; state it with --licence",
        csv.CsvOptions,
        csv.read_csv,
        csv.count_csv,
    ),
    "iu-xray": Entry[iu_xray.IuXrayOptions](
        iu_xray.NAME,
        f"--root with {iu_xray.REPORTS}/*.xml, or {iu_xray.KAGGLE_REPORTS} and {iu_xray.PROJECTIONS}; and the films "
        f"({', '.join(iu_xray.IMAGE_FOLDERS)}). The XML alone do not tell frontal from lateral: "
        f"{iu_xray.PROJECTIONS} does. --labels takes a CheXpert or CheXbert labeller's CSV",
        "openi.nlm.nih.gov/faq (NLMCXR_reports.tgz, NLMCXR_png.tgz); kaggle.com/raddar/chest-xrays-indiana-university",
        f"{iu_xray.LICENCE}: no sharing of the films or of pictures made from them",
        iu_xray.IuXrayOptions,
        iu_xray.read_iu_xray,
        iu_xray.count_iu_xray,
    ),
    "chexpert": Entry[chexpert.ChexpertOptions](
        chexpert.NAME,
        f"--root with {' and '.join(chexpert.FILES)} and the folders train and valid of films. The radiologists' "
        "valid.csv is test, and has no fracture: --allow-empty keeps such labels",
        "stanfordmlgroup.github.io/competitions/chexpert",
        f"{chexpert.LICENCE}: no sharing",
        chexpert.ChexpertOptions,
        chexpert.read_chexpert,
        chexpert.count_chexpert,
    ),
    "mimic-cxr": Entry[mimic.MimicOptions](
        mimic.NAME,
        f"--root with {mimic.SPLIT}, {mimic.METADATA} and {mimic.LABELS}, gzipped or not, and the folder files of "
        "films. --labels takes another labeller's CSV (mimic-cxr-2.0.0-negbio.csv)",
        "physionet.org/content/mimic-cxr-jpg",
        f"{mimic.LICENCE}: no sharing",
        mimic.MimicOptions,
        mimic.read_mimic,
        mimic.count_mimic,
    ),
    "nih": Entry[nih.NihOptions](
        nih.NAME,
        f"--root with {' or '.join(nih.ENTRIES)}, {' and '.join(nih.LISTS)}, {nih.BOXES} for the boxes, and the films "
        "at their size of 1024 pixels in any subfolders (or --images)",
        "nihcc.app.box.com/v/ChestXray-NIHCC; kaggle.com/nih-chest-xrays/data",
        nih.LICENCE,
        nih.NihOptions,
        nih.read_nih,
        nih.count_nih,
    ),
    "vindr-cxr": Entry[vindr.VindrOptions](
        vindr.NAME,
        "--root with annotations/image_labels_train.csv, image_labels_test.csv, annotations_train.csv and "
        "annotations_test.csv, and the folders train and test of DICOM films",
        "physionet.org/content/vindr-cxr",
        f"{vindr.LICENCE}: no sharing",
        vindr.VindrOptions,
        vindr.read_vindr,
        vindr.count_vindr,
    ),
}


def read_source(name: SourceName, given: Mapping[str, object]) -> Source:
    """Read a source with the options given to it.

    Raises
    ------
    UserError
        An option that the source does not take, or a needed one that is missing; or what its reader refuses.
    """
    entry = CATALOGUE[name]
    return entry.read(_options(name, given))


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
    given = {"csv": root, "images": root.parent} if name == "csv" else {"root": root}
    return CATALOGUE[name].count(_options(name, given | ({"images": images} if images else {})))


def _options(name: SourceName, given: Mapping[str, object]) -> SourceOptions:
    """The source's own model of what was given."""
    model: type[SourceOptions] = CATALOGUE[name].options
    return checked_options(f"source {name}", model, given)


def checked_options(taker: str, model: type[OptionsModel], given: Mapping[str, object]) -> OptionsModel:
    """What was given, as a model of options; a ``UserError`` names the option that is wrong."""
    try:
        options = model.model_validate(given)
    except ValidationError as error:
        # an option too many is named before one that lacks: it is likely that one, misspelt
        wrong = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        option = flag(str(wrong["loc"][0]))
        if wrong["type"] == "extra_forbidden":
            takes = ", ".join(flag(field) for field in model.model_fields)
            raise UserError(f"The {taker} takes no {option}.", f"Leave it out; it takes {takes}.") from error
        if wrong["type"] == "missing":
            fix = f"Give {option}; see python -m precompute sources."
            raise UserError(f"The {taker} needs {option}.", fix) from error
        raise UserError(f"{option} is {wrong['input']!r}: {wrong['msg']}.", "Give it another value.") from error
    return options
