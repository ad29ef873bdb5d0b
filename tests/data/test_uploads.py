"""Films that visitors bring: what is read, and what is refused with its reason."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from explorer.data.images import read_film
from explorer.data.limits import BadImage
from explorer.data.uploads import MAX_BYTES, read_upload


def film(side: int = 200, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 230, side)
    return (ramp[:, None] + rng.normal(0, 5, (side, side))).clip(0, 255).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def dicom(pixels: np.ndarray, **elements: object) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("film.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_an_upload_is_read_as_the_same_film_from_disk(tmp_path: Path) -> None:
    for data in (
        encoded(Image.fromarray(film())),
        encoded(Image.fromarray(film()), "JPEG"),
        encoded(Image.fromarray(film()).convert("RGB")),
        encoded(Image.fromarray(film().astype(np.uint16) * 257)),
        encoded(Image.fromarray(film().astype(np.uint16) * 16)),
        encoded(Image.fromarray(film().astype(np.uint16))),
        dicom(film(), Modality="DX", BodyPartExamined="CHEST"),
    ):
        (tmp_path / "film").write_bytes(data)
        np.testing.assert_array_equal(np.asarray(read_upload(data)), np.asarray(read_film(tmp_path / "film")))


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it is ``side`` pixels wide and high."""
    small = encoded(Image.new("L", (1, 1)))
    header = small[:16] + side.to_bytes(4, "big") * 2 + small[24:29]
    return header + zlib.crc32(header[12:]).to_bytes(4, "big") + small[33:]


def animated() -> bytes:
    first, second = Image.fromarray(film()), Image.fromarray(film(seed=1))
    return encoded(first, save_all=True, append_images=[second])


def colour() -> bytes:
    rng = np.random.default_rng(0)
    return encoded(Image.fromarray(rng.integers(0, 255, (90, 90, 3), dtype=np.uint8)), "JPEG")


REFUSED = {
    "0 bytes": (b"", "empty"),
    "text": (b"no image at all, only words" * 20, "not a PNG, JPEG or DICOM"),
    "truncated": (encoded(Image.fromarray(film()))[:400], "truncated"),
    "too many bytes": (b"\0" * (MAX_BYTES + 1), "MB"),
    "bomb": (bomb(60_000), "far too large"),
    "too many pixels": (bomb(9_000), "pixels is more than"),
    "a strip": (encoded(Image.new("L", (4000, 70))), "strip"),
    "an icon": (encoded(Image.fromarray(film(32))), "too few"),
    "one grey": (encoded(Image.new("L", (200, 200), 90)), "nearly alike"),
    "one bit": (encoded(Image.fromarray(film()).convert("1")), "one bit"),
    "colour": (colour(), "colour picture"),
    "animated": (animated(), "animated"),
    "several frames": (dicom(np.stack([film()] * 3), Modality="DX"), "3 frames"),
    "a hand": (dicom(film(), Modality="DX", BodyPartExamined="HAND"), "HAND"),
    "a CT slice": (dicom(film(), Modality="CT"), "modality CT"),
    "no picture": (dicom(film(), Rows=0), "without a picture"),
    "a GIF": (encoded(Image.fromarray(film()), "GIF"), "not a PNG, JPEG or DICOM"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_no_chest_film_is_refused_with_the_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(BadImage, match=reason):
        read_upload(data)


def test_a_real_ct_of_pydicoms_is_refused() -> None:
    with pytest.raises(BadImage, match="modality CT"):
        read_upload(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
