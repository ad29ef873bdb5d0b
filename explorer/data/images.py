"""Reading a film safely: bounded, inside its root, grey, upright."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from explorer.data.limits import BadImage, check_size

TWELVE_BITS = 4096
"""A 16-bit film all below this is a 12-bit one as detectors give it; as 16 bits it would be black."""


def read_film(path: Path) -> Image.Image:
    """Decode a PNG (8, 12 or 16 bits), JPEG or DICOM film as 8-bit grey, upright (EXIF orientation applied).

    Raises
    ------
    BadImage
        Missing, empty, not an image, truncated, or too large.
    """
    try:
        if not path.is_file():
            raise BadImage("the file is missing")
        with path.open("rb") as file:
            return decode_film(file)
    except OSError as error:  # a name too long, a folder that may not be entered
        raise BadImage(f"the file cannot be reached ({error.strerror})") from error


def decode_film(file: BinaryIO) -> Image.Image:
    """The same from an open file or a buffer."""
    from explorer.data.dicom import is_dicom, read_dicom  # pydicom only where a film is read

    if file.seek(0, io.SEEK_END) == 0:
        raise BadImage("the file is empty (0 bytes)")
    if is_dicom(file):
        return read_dicom(file)
    file.seek(0)
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            check_size(image.width, image.height)
            film: Image.Image = ImageOps.exif_transpose(image)
            if film.mode.startswith("I"):  # 16-bit grey: scale to 8 bits, where convert("L") would clip
                deep = np.asarray(film.convert("I"))
                film = Image.fromarray((deep // (16 if deep.max() < TWELVE_BITS else 256)).astype(np.uint8))
            return film.convert("L")
    except UnidentifiedImageError as error:
        raise BadImage("it is not a PNG, JPEG or DICOM image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded, it may be truncated ({error})") from error


def thumbnail(film: Image.Image, side: int) -> bytes:
    """A grey JPEG whose long side is at most ``side`` pixels; carries no metadata."""
    small = film.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
