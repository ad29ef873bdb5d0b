"""Reading a film safely: bounded, inside its root, grey, upright."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from explorer.data.geometry import Fit
from explorer.data.grey import depth_of, grey_of_depth
from explorer.data.limits import MAX_FILE_BYTES, BadImage, check_size
from explorer.data.stored_film import StoredFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PICTURE_ERRORS = (OSError, SyntaxError, ValueError, LookupError, ArithmeticError, struct.error)
"""What Pillow raises for damaged bytes; tests/fuzz looks for more."""


class Decoded(NamedTuple):
    """A film as preprocessing reads it.

    Attributes
    ----------
    picture : PIL.Image.Image
        8-bit grey, upright; reduced by ``Fit.reduction``.
    size : width, height
        Of the whole film.
    """

    picture: Image.Image
    size: tuple[int, int]

    def fitted(self, fit: Fit) -> NDArray[np.uint8]:
        """(S, S) the model's pixels."""
        return fit.apply(self.picture, self.size)


def read_film(path: Path) -> Image.Image:
    """Decode a PNG, JPEG or DICOM film as 8-bit grey (``explorer.data.grey``), upright (EXIF orientation applied).

    Raises
    ------
    BadImage
        Missing, empty, not an image, truncated, or too large.
    """
    with _opened(path) as file:
        return decode_film(file)


def read_stored(path: Path) -> StoredFilm:
    """Decode a film with its own values, of up to 16 bits; its picture is what :func:`read_film` gives, or raises."""
    with _opened(path) as file:
        film = _decode(file)
    if isinstance(film, StoredFilm):
        return film
    return StoredFilm(np.asarray(film.picture), np.arange(2**8, dtype=np.uint8), 8)


def decode_film(file: BinaryIO) -> Image.Image:
    """The film of an open file or a buffer as 8-bit grey; raises as :func:`read_film`."""
    film = _decode(file)
    return film.picture() if isinstance(film, StoredFilm) else film.picture


def read_for(fit: Fit, path: Path) -> Decoded:
    """Decode a film as its preprocessing wants it; raises as :func:`read_film`."""
    with _opened(path) as file:
        return decode_for(fit, file)


def decode_for(fit: Fit, file: BinaryIO) -> Decoded:
    """As :func:`read_for`, of an open file or a buffer.

    A JPEG is reduced by its own discrete cosine transform, which skips most of the work of decoding. Any other film is
    reduced by the mean of squares of pixels.
    """
    film = _decode(file, fit)
    if isinstance(film, Decoded) and film.size != film.picture.size:
        return film
    picture = film.picture() if isinstance(film, StoredFilm) else film.picture
    by = fit.reduction(picture.height, picture.width)
    return Decoded(picture if by == 1 else picture.reduce(by), picture.size)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not path.is_file():
            raise BadImage("the file is missing")
        with path.open("rb") as file:
            yield file
    except OSError as error:  # a name too long, a folder that may not be entered
        raise BadImage(f"the file cannot be reached ({error.strerror})") from error


def _decode(file: BinaryIO, fit: Fit | None = None) -> StoredFilm | Decoded:
    """A picture of 8 bits as it is, or a JPEG as small as a ``fit`` takes it; any other film with its own values."""
    from explorer.data.dicom import is_dicom, read_dicom  # pydicom only where a film is read

    size = file.seek(0, io.SEEK_END)
    if size == 0:
        raise BadImage("the file is empty (0 bytes)")
    if size > MAX_FILE_BYTES:
        raise BadImage(f"it has more than {MAX_FILE_BYTES // 10**6} MB")
    if is_dicom(file):
        return read_dicom(file)
    with open_picture(file) as image:
        whole = _reduce_jpeg(image, fit) if fit else None
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16-bit grey, which convert("L") would clip
            deep = np.asarray(image.convert("I")).astype(np.uint16)
            return StoredFilm(deep, grey_of_depth(depth_of(deep)), depth_of(deep))
        if _deep_colour(file) and np.asarray(image.convert("RGB")).max() < 128:
            raise BadImage("it has 16 bits a channel of which the upper ones are unused; save it as grey")
        film = image if image.mode == "L" else image.convert("L")
        film.load()
        film.info = {}  # comments and other text, which may name the patient and which Pillow would save again
        return Decoded(film, whole or film.size)


def _reduce_jpeg(image: Image.Image, fit: Fit) -> tuple[int, int] | None:
    """Have a JPEG reduced when it is decoded: its whole size. None for a film of another kind, or not upright."""
    width, height = image.size
    by = fit.reduction(height, width)
    upright = isinstance(image, JpegImageFile) and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    if by == 1 or not upright or image.draft(image.mode, (width // by, height // by)) is None:
        return None
    return width, height


@contextmanager
def open_picture(file: BinaryIO, formats: tuple[str, ...] = ("PNG", "JPEG")) -> Iterator[Image.Image]:
    """Open a picture whose size is bounded. Whatever Pillow raises meanwhile becomes ``BadImage``."""
    file.seek(0)
    try:
        with Image.open(file, formats=formats) as image:
            check_size(image.width, image.height)
            yield image
    except UnidentifiedImageError as error:
        raise BadImage("it is not a PNG, JPEG or DICOM image") from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"its picture is far too large ({error})") from error
    except _PICTURE_ERRORS as error:
        raise BadImage(f"it cannot be decoded, it may be truncated ({str(error)[:160]})") from error


def _deep_colour(file: BinaryIO) -> bool:
    """Whether a PNG in colour or with transparency has 16 bits a channel, of which Pillow keeps the upper 8."""
    file.seek(0)
    start = file.read(26)  # the signature, then the header's length, name, width, height, depth and colour type
    return start.startswith(b"\x89PNG") and len(start) == 26 and start[24] == 16


BLANK_SIDE, BLANK_GREY = 256, 128


@lru_cache(maxsize=64)
def blank(height: int, width: int) -> bytes:
    """A plain grey JPEG of a film's shape, in place of a film that is not there."""
    scale = BLANK_SIDE / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return thumbnail(Image.new("L", shape, BLANK_GREY), BLANK_SIDE)


def thumbnail(film: Image.Image, side: int) -> bytes:
    """A grey JPEG whose long side is at most ``side`` pixels; carries no metadata."""
    small = film.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
