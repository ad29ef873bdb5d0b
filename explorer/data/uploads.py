"""A film somebody brings: read from memory, refused with the reason where it cannot be a chest film."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from explorer.data.images import decode_film, open_picture
from explorer.data.limits import BadImage

MAX_BYTES = 20 * 2**20
MIN_SIDE = 64
"""Pixels; a smaller picture is an icon."""

_COLOUR = 12.0
"""Mean difference between a pixel's strongest and weakest channel, of 255: JPEG's own tint stays below 3."""
_FLAT = 8
"""Grey levels between the 1st and the 99th percentile of a picture that shows nothing."""


def read_upload(data: bytes) -> Image.Image:
    """Decode an uploaded PNG, JPEG or DICOM film as 8-bit grey. Nothing is written to disk.

    Raises
    ------
    BadImage
        Empty; too many bytes or pixels; not an image; animated or of several frames; a colour picture. Also where it
        has one bit per pixel, a single grey, or is not a radiograph of a chest.
    """
    from explorer.data.dicom import check_chest, is_dicom

    if not data:
        raise BadImage("the file is empty (0 bytes)")
    if len(data) > MAX_BYTES:
        raise BadImage(f"it has more than {MAX_BYTES // 2**20} MB")
    file = io.BytesIO(data)
    if is_dicom(file):
        check_chest(file)
    else:
        _check_picture(file)
    film = decode_film(file)
    if min(film.size) < MIN_SIDE:
        raise BadImage(f"{film.width} x {film.height} pixels are too few for a film")
    low, high = np.percentile(np.asarray(film), [1, 99])
    if high - low < _FLAT:
        raise BadImage("it shows nothing: its pixels are all nearly alike")
    return film


def _check_picture(file: io.BytesIO) -> None:
    with open_picture(file) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise BadImage("it is animated")
        if image.mode == "1":
            raise BadImage("it has one bit a pixel, black or white; a film needs 8 bits of grey")
        if image.mode != "L" and not image.mode.startswith("I"):
            _check_grey(image)


def _check_grey(image: Image.Image) -> None:
    small = image.convert("RGB")
    small.thumbnail((256, 256))
    channels = np.asarray(small, dtype=np.float32)
    if (channels.max(axis=2) - channels.min(axis=2)).mean() > _COLOUR:
        raise BadImage("it is a colour picture, not a radiograph")
