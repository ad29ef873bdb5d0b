"""Decoding films of 5 megapixels, from the file to the model's pixels: ours, the usual loops, and OpenCV.

Ours does what the batch job does with each film: its checks, two hashes, the thumbnail and the model's pixels. The
others make the pixels alone. All run in one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

import explorer.model  # noqa: F401  (first: it lets torchvision be imported)
from benchmarks import Measurement, Seconds, timed
from explorer.data.geometry import Fit
from precompute.run.films import prepare_film

from open_clip.transform import PreprocessCfg, image_transform_v2  # isort: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 2500, 2048
SIZE, THUMBNAIL = 224, 256
FILMS = 4
"""Different films of each kind; a repeat decodes each twice."""
KINDS = ("JPEG", "PNG", "DICOM")
GOALS = {"JPEG": 4.0, "PNG": 2.0}
"""Times the usual loop, on the fast route."""

Decode = Callable[[Path], object]


def run(repeats: int) -> list[Measurement]:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        write_films(folder)
        return [m for kind in KINDS for m in _of_kind(kind, sorted(folder.glob(f"*.{kind}")), repeats)]


def _of_kind(kind: str, files: list[Path], repeats: int) -> list[Measurement]:
    ways = _ways(kind)
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for _ in range(repeats):  # side by side
        for name, decode in ways.items():
            times[name].append(_per_film(decode, files))
    depth = "12 bits" if kind == "DICOM" else "8 bits"
    size = f"{WIDTH} x {HEIGHT} pixels of {depth}, to {SIZE} x {SIZE}; seconds a film"
    loop = "the usual loop"
    return [
        Measurement(
            f"decode: {kind}, {ours} beside {other}",
            f"the films stage, --decode {ours}",
            other,
            times[ours],
            times[other],
            size,
            goal=GOALS.get(kind) if (ours, other) == ("fast", loop) else None,
            reason="Inflating and unfiltering a PNG, which cannot be cut short, is most of it."
            if kind == "PNG"
            else "",
        )
        for ours in ("exact", "fast")
        for other in ways
        if other not in ("exact", "fast")
    ]


def _ways(kind: str) -> dict[str, Decode]:
    """Every way to the model's pixels, by name."""
    exact = Fit(size=SIZE)
    config = PreprocessCfg(size=SIZE, mean=(0.5,) * 3, std=(0.25,) * 3, interpolation="bicubic")
    transform = image_transform_v2(config, is_train=False)

    def ours(fit: Fit) -> Decode:
        return lambda file: prepare_film(file.parent, file.name, fit, THUMBNAIL)

    def loop(file: Path) -> object:
        if kind == "DICOM":
            return transform(Image.fromarray(_windowed(pydicom.dcmread(file).pixel_array)).convert("RGB"))
        with Image.open(file) as film:
            return transform(film.convert("RGB"))

    ways: dict[str, Decode] = {"exact": ours(exact), "fast": ours(exact.model_copy(update={"decode": "fast"}))}
    ways["the usual loop"] = loop
    if kind == "JPEG":
        ways["the loop with draft"] = lambda file: transform(_drafted(file).convert("RGB"))
    if kind != "DICOM":
        ways["OpenCV"] = lambda file: _by_opencv(
            file, cv2.IMREAD_REDUCED_GRAYSCALE_4 if kind == "JPEG" else cv2.IMREAD_GRAYSCALE
        )
    return ways


def _drafted(file: Path) -> Image.Image:
    film = Image.open(file)
    film.draft("L", (2 * SIZE, 2 * SIZE))
    return film


def _by_opencv(file: Path, flags: int) -> object:
    film = cv2.imread(str(file), flags)
    scale = SIZE / min(film.shape)
    return cv2.resize(film, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _windowed(stored: NDArray[np.uint16]) -> NDArray[np.uint8]:
    low, high = np.percentile(stored, (0.5, 99.5))
    return (np.clip((stored - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _per_film(decode: Decode, files: list[Path]) -> Seconds:
    whole = timed(lambda: [decode(file) for file in (*files, *files)])
    n = 2 * len(files)
    return Seconds(whole.wall / n, whole.processor / n if whole.processor is not None else None)


def write_films(folder: Path, kinds: Sequence[str] = KINDS, n: int = FILMS) -> None:
    """Films with detail at every scale and a detector's noise, as JPEG of quality 92, PNG, and DICOM of 12 bits."""
    for i in range(n):
        rng = np.random.default_rng(i)
        layers = [
            cv2.resize(rng.random((side, side)) / level, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            for level, side in enumerate((4, 16, 64, 256), start=1)
        ]
        grey = np.sum(layers, axis=0) / 2.1 * 255 + rng.normal(0, 1.5, (HEIGHT, WIDTH))
        film = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
        for kind in kinds:
            if kind == "DICOM":
                _write_dicom(folder / f"{i}.{kind}", (grey.clip(0, 255) * 16).astype(np.uint16))
            else:
                film.save(folder / f"{i}.{kind}", quality=92)  # a PNG has no quality


def _write_dicom(file: Path, stored: NDArray[np.uint16]) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    film = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    film.Modality, film.PhotometricInterpretation, film.SamplesPerPixel = "CR", "MONOCHROME2", 1
    film.Rows, film.Columns = stored.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = stored.tobytes()
    film.save_as(file)
