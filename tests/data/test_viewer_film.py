"""A film's own bits on their way to the browser: exact values, the model's grey, units, padding and spacing."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hst
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from explorer.data.images import read_film, read_stored
from explorer.data.stored_film import Spacing, StoredFilm
from explorer.data.viewer_film import BONE, LUNG, ViewerFilm, for_viewer
from tests.data.test_dicom import VALUES, write


def sent(path: Path) -> ViewerFilm:
    """A film in its own size; its default grey must be what a model sees."""
    film = for_viewer(read_stored(path))
    np.testing.assert_array_equal(film.grey[film.levels], np.asarray(read_film(path)))
    return film


def units(film: ViewerFilm) -> np.ndarray:
    return film.slope * film.levels.astype(float) + film.intercept


def unpacked(film: ViewerFilm) -> tuple[np.ndarray, np.ndarray]:
    """Grey and levels as the browser reads them, step by step as ``ViewerFilm.packed`` is documented."""
    data = np.frombuffer(zlib.decompress(film.packed()), np.uint8).astype(np.int64)
    grey, planes = data[: len(film.grey)], data[len(film.grey) :].reshape(film.levels.itemsize, -1)
    steps = sum(plane << (8 * k) for k, plane in enumerate(planes))
    differences = np.where(steps % 2 == 0, steps // 2, -(steps + 1) // 2)
    return grey, (np.cumsum(differences) % 2 ** (8 * film.levels.itemsize)).reshape(film.levels.shape)


def test_all_12_bits_arrive(tmp_path: Path) -> None:
    film = sent(write(tmp_path / "a.dcm", PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.1]))
    assert (film.bits, film.size, film.levels.dtype) == (12, (80, 60), np.uint16)
    np.testing.assert_array_equal(units(film), VALUES)
    assert film.words() == "12 grey bits"
    assert film.spacing == Spacing(0.2, 0.1, at_detector=True)
    grey, levels = unpacked(film)
    np.testing.assert_array_equal(grey, film.grey)
    np.testing.assert_array_equal(levels, film.levels)
    assert film.lung == pytest.approx(np.percentile(VALUES, LUNG))
    assert film.bone == pytest.approx(np.percentile(VALUES, BONE))
    # without a window of its own, the percentiles that models get (explorer.data.grey)
    assert film.window == pytest.approx(np.percentile(VALUES, (0.5, 99.5)), abs=16), "a grey is 16 values wide"


def test_monochrome1_is_darker_where_greater(tmp_path: Path) -> None:
    film = sent(write(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    assert film.inverted
    np.testing.assert_array_equal(units(film), VALUES)
    assert np.all(np.diff(film.grey.astype(int)) <= 0)
    assert film.lung == pytest.approx(np.percentile(VALUES, (30, 98))), "the darker pixels have the greater values"


@pytest.mark.parametrize("slope", [2, -2])
def test_windows_are_in_the_modalitys_units(tmp_path: Path, slope: int) -> None:
    tags = {"WindowCenter": slope * 1000 - 1000, "WindowWidth": 2001, "RescaleSlope": slope, "RescaleIntercept": -1000}
    film = sent(write(tmp_path / "a.dcm", **tags))
    np.testing.assert_array_equal(units(film), VALUES.astype(int) * slope - 1000)
    center, width = slope * 1000 - 1000, 2001
    assert film.window == pytest.approx((center - width / 2, center + width / 2), abs=12)


def test_a_modality_table_gives_the_units(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = ((np.arange(4096) // 2) ** 2 // 64).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    film = sent(write(tmp_path / "a.dcm", ModalityLUTSequence=Sequence([table])))
    np.testing.assert_array_equal(units(film), (VALUES.astype(int) // 2) ** 2 // 64)


def test_signed_values_and_padding(tmp_path: Path) -> None:
    values = VALUES.astype(np.int16) - 2048
    values[:5, :7] = -2000  # a value that the film has elsewhere counts as padding there too
    tags = {"PixelData": values.tobytes(), "PixelRepresentation": 1, "PixelPaddingValue": -2000}
    film = sent(write(tmp_path / "a.dcm", **tags, BitsStored=16, HighBit=15))
    assert film.padded
    np.testing.assert_array_equal(film.levels == 0, values == -2000)
    np.testing.assert_array_equal(units(film)[film.levels > 0], values[values != -2000])
    assert film.grey[0] == 0


@pytest.mark.parametrize(("depth", "dtype"), [(16, np.uint16), (10, np.uint16), (8, np.uint8)])
def test_a_png_brings_its_depth(tmp_path: Path, depth: int, dtype: type) -> None:
    deep = (np.arange(48 * 64).reshape(48, 64) * 21 % 2**depth).astype(dtype)
    deep[0, 0] = 2**depth - 1
    Image.fromarray(deep).save(tmp_path / "a.png")
    film = sent(tmp_path / "a.png")
    assert (film.bits, film.spacing) == (depth, None)
    np.testing.assert_array_equal(units(film), deep)
    assert film.window == pytest.approx((0, 2**depth), rel=0.02, abs=0.02 * 2**depth)


@pytest.mark.parametrize(
    ("pixel", "imager", "spacing"),
    [
        ([0.2, 0.1], None, Spacing(0.2, 0.1, at_detector=False)),
        ([0.2, 0.1], [0.2, 0.1], Spacing(0.2, 0.1, at_detector=True)),
        ([0.15, 0.15], [0.2, 0.2], Spacing(0.15, 0.15, at_detector=False)),
        ([0, 0], [0.2, 0.2], Spacing(0.2, 0.2, at_detector=True)),
        ([0.2], None, None),
        ([500, 500], ["1e400", "1"], None),
        (None, None, None),
    ],
)
def test_only_a_credible_spacing_is_taken(tmp_path: Path, pixel: object, imager: object, spacing: object) -> None:
    path = write(tmp_path / "a.dcm", PixelSpacing=pixel, ImagerPixelSpacing=imager)
    assert read_stored(path).spacing == spacing


def test_a_spacing_that_is_no_number_costs_no_film(tmp_path: Path) -> None:
    data = write(tmp_path / "a.dcm", ImagerPixelSpacing=["0.20", "0.10"]).read_bytes()
    assert data.count(b"0.20\\0.10") == 1
    (tmp_path / "b.dcm").write_bytes(data.replace(b"0.20\\0.10", b"abcd\\efgh"))
    film = read_stored(tmp_path / "b.dcm")
    assert film.spacing is None
    np.testing.assert_array_equal(film.values, VALUES)


def test_a_large_film_is_averaged_down_and_says_so() -> None:
    deep = np.zeros((40, 60), np.uint16)
    deep[:, ::2] = 1000  # the mean of each 2 x 2 block is 500
    film = for_viewer(StoredFilm(deep, (np.arange(2**16) >> 4).astype(np.uint8), 12), side=30)
    assert film.levels.tolist() == [[500] * 30] * 20
    assert film.size == (60, 40)
    assert film.words() == "12 grey bits, averaged down to 30 × 20 pixels"
    assert film.grey[500] == round(500 * (1000 >> 4) / 1000), "no pixel has 500: its grey lies between its neighbours'"


def test_padding_counts_in_no_mean() -> None:
    values = np.full((4, 4), 700, np.uint16)
    values[:2, 0] = values[2:, 2:] = 9  # half of the first block, all of the last
    film = for_viewer(StoredFilm(values, (np.arange(2**16) >> 4).astype(np.uint8), 12, padding=(9, 9)), side=2)
    assert (film.levels == 0).tolist() == [[False, False], [False, True]]
    assert units(film)[film.levels > 0].tolist() == [700] * 3


@given(hst.lists(hst.integers(0, 2**16 - 1), min_size=6, max_size=6), hst.booleans())
def test_any_values_come_back(values: list[int], signed: bool) -> None:
    stored = np.array(values, np.uint16).view(np.int16 if signed else np.uint16).reshape(2, 3)
    film = for_viewer(StoredFilm(stored, np.zeros(2**16, np.uint8), 16))
    np.testing.assert_array_equal(units(film), stored)
    np.testing.assert_array_equal(unpacked(film)[1], film.levels)


def test_a_real_film() -> None:
    """pydicom's chest film: 15 bits, 3.6 million pixels."""
    film = sent(Path(str(get_testdata_file("RG1_UNCR.dcm"))))
    assert (film.bits, film.size) == (15, (1841, 1955))
    assert film.inverted
    np.testing.assert_array_equal(unpacked(film)[1], film.levels)
