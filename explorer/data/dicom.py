"""DICOM films as 8-bit grey pictures. Of the header the view alone is kept: the rest may name the patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from explorer.data.limits import BadImage, check_size

PERCENTILES = (0.5, 99.5)
"""The window of a film that brings none."""
VIEWS = ("PA", "AP", "LL", "RL", "LATERAL", "LLD", "RLD", "LLO", "RLO")
"""View positions that are kept; any other text in that field is not."""


CHEST = ("CHEST", "THORAX", "LUNG", "RIB")
RADIOGRAPHS = ("CR", "DX", "RG", "DR", "XA", "RF", "OT", "SC", "")
"""Modalities a film may come under: radiographs, scanned films, and none stated."""


def is_dicom(file: BinaryIO) -> bool:
    """Whether the file has DICOM's mark: ``DICM`` after a preamble of 128 bytes."""
    file.seek(128)
    return file.read(4) == b"DICM"


def read_dicom(file: BinaryIO) -> Image.Image:
    """Decode a film: modality LUT or rescale, VOI LUT or window (else percentiles), MONOCHROME1 turned over.

    Raises
    ------
    BadImage
        More than one frame, colour, too large, a transfer syntax that cannot be decoded, a damaged file.
    """
    header = _header(file)
    rows, columns = int(header.get("Rows", 0)), int(header.get("Columns", 0))
    if not rows or not columns:
        raise BadImage("it is a DICOM file without a picture")
    check_size(columns, rows)
    if int(header.get("NumberOfFrames", 1) or 1) != 1:
        raise BadImage(f"it is a series of {header.NumberOfFrames} frames, not a film")
    photometric = str(header.get("PhotometricInterpretation", ""))
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadImage(f"its pixels are {photometric or 'of no stated kind'}, not grey")
    try:
        file.seek(0)
        dataset = dcmread(file)
        values = apply_modality_lut(dataset.pixel_array, dataset)
        if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
            values = np.asarray(apply_voi_lut(values, dataset), dtype=np.float64)
            low, high = values.min(), values.max()
        else:
            values = np.asarray(values, dtype=np.float64)
            low, high = np.percentile(values, PERCENTILES)
    except (RuntimeError, ValueError, AttributeError, KeyError, NotImplementedError, OSError, EOFError) as error:
        raise BadImage(f"it cannot be decoded, it may be truncated ({error})") from error
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    if photometric == "MONOCHROME1":
        grey = 1 - grey
    return Image.fromarray((grey * 255).round().astype(np.uint8))


@dataclass(frozen=True)
class Facts:
    """All that is taken of a header besides the picture, by this list alone.

    Attributes
    ----------
    burned_in : bool
        The file says that text is burned into its picture; such text may name the patient.
    view : str
        One of VIEWS, or "".
    """

    burned_in: bool = False
    view: str = ""


def read_facts(path: Path) -> Facts:
    """What a DICOM film's header says of the film; nothing for a film of another kind."""
    with path.open("rb") as file:
        if not is_dicom(file):
            return Facts()
        header = _header(file)
    view = str(header.get("ViewPosition", "")).strip().upper()
    return Facts(
        burned_in=str(header.get("BurnedInAnnotation", "")).upper() == "YES", view=view if view in VIEWS else ""
    )


def check_chest(file: BinaryIO) -> None:
    """Refuse a file whose header says that it is no radiograph, or of another part of the body."""
    header = _header(file)
    modality = str(header.get("Modality", "")).strip().upper()
    part = str(header.get("BodyPartExamined", "")).strip().upper()
    if modality not in RADIOGRAPHS:
        raise BadImage(f"its header says modality {modality[:16]}, not a radiograph")
    if part and not any(word in part for word in CHEST):
        raise BadImage(f"its header says {part[:16]}, not chest")


def _header(file: BinaryIO) -> Dataset:
    file.seek(0)
    try:
        return dcmread(file, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError) as error:
        raise BadImage(f"its DICOM header cannot be read ({error})") from error
