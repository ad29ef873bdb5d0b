"""DICOM films: real ones in several transfer syntaxes, and written ones with each property a film may have."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from explorer.data import limits
from explorer.data.dicom import MAX_HEADER, Facts, read_facts
from explorer.data.geometry import Fit
from explorer.data.images import read_film
from explorer.data.limits import BadImage
from explorer.errors import UserError
from precompute.run.films import FilmDecoder, decode_films, film_versions
from precompute.run.shards import Local
from precompute.sources import CsvOptions, read_csv

VALUES = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) % 4096


def write(path: Path, **tags: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    given = {
        "PatientName": "Doe^Jane",
        "Rows": VALUES.shape[0],
        "Columns": VALUES.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": VALUES.tobytes(),
        **tags,
    }
    for name, value in given.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_real_film() -> None:
    film = read_film(Path(str(get_testdata_file("RG1_UNCR.dcm"))))
    assert (film.mode, film.size) == ("L", (1841, 1955))
    pixels = np.asarray(film)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert 40 < pixels.mean() < 215


def test_the_transfer_syntax_does_not_change_the_picture() -> None:
    """The same real film, uncompressed and as JPEG 2000 (reversible)."""
    plain, packed = (
        np.asarray(read_film(Path(str(get_testdata_file(f"RG1_{kind}.dcm"))))) for kind in ("UNCR", "J2KR")
    )
    np.testing.assert_array_equal(plain, packed)


def test_monochrome1_is_turned_over(tmp_path: Path) -> None:
    two = np.asarray(read_film(write(tmp_path / "a.dcm")))
    one = np.asarray(read_film(write(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1")))
    assert two.shape == VALUES.shape
    assert np.abs(two.astype(int) + one - 255).max() <= 1


@pytest.mark.parametrize(
    ("tags", "turned"),
    [
        ({"PresentationLUTShape": "INVERSE"}, True),
        ({"PresentationLUTShape": "IDENTITY"}, False),
        ({"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"}, True),  # once, not twice
        ({"PresentationLUTShape": ""}, False),
    ],
)
def test_a_presentation_of_inverse_shape_is_turned_over(tmp_path: Path, tags: dict[str, object], turned: bool) -> None:
    plain = np.asarray(read_film(write(tmp_path / "a.dcm"))).astype(int)
    film = np.asarray(read_film(write(tmp_path / "b.dcm", **tags)))
    assert np.abs(film - (255 - plain if turned else plain)).max() <= 1


def test_without_a_window_percentiles_bound_the_picture(tmp_path: Path) -> None:
    low, high = np.percentile(VALUES, (0.5, 99.5))
    read = np.asarray(read_film(write(tmp_path / "a.dcm")))
    np.testing.assert_array_equal(read, np.round(np.clip((VALUES - low) / (high - low), 0, 1) * 255))


def test_the_window_is_of_rescaled_values(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.2.1: x below c - 0.5 - (w - 1) / 2 is black, above c - 0.5 + (w - 1) / 2 white."""
    window = {"WindowCenter": 2000, "WindowWidth": 1001, "RescaleSlope": 2, "RescaleIntercept": -1000}
    read = np.asarray(read_film(write(tmp_path / "a.dcm", **window)))
    rescaled = VALUES * 2.0 - 1000
    assert (read[rescaled < 1499] == 0).all()
    assert (read[rescaled > 2500] == 255).all()
    assert read[np.abs(rescaled - 2000).argmin() // 80, np.abs(rescaled - 2000).argmin() % 80] in (127, 128)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"PhotometricInterpretation": "RGB"}, "RGB, not grey"),
        ({"Rows": 1, "PixelData": VALUES[:1].tobytes()}, "a strip"),
        ({"PixelData": VALUES[:3].tobytes()}, "truncated"),
        ({"Rows": 0}, "without a picture"),
    ],
)
def test_what_is_no_film(tmp_path: Path, tags: dict[str, object], said: str) -> None:
    with pytest.raises(BadImage, match=said):
        read_film(write(tmp_path / "a.dcm", **tags))


def test_size_is_judged_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIXELS", 1000)
    with pytest.raises(BadImage, match="more than 1,000"):
        read_film(write(tmp_path / "a.dcm"))


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 2000},
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"WindowCenter": 2000, "WindowWidth": -5},
        {"VOILUTSequence": Sequence([])},
        {"VOILUTSequence": Sequence([Dataset()])},
    ],
)
def test_a_window_that_cannot_be_used_is_none(tmp_path: Path, tags: dict[str, object]) -> None:
    plain = np.asarray(read_film(write(tmp_path / "a.dcm")))
    np.testing.assert_array_equal(np.asarray(read_film(write(tmp_path / "b.dcm", **tags))), plain)


def test_a_window_beside_all_values_is_none(tmp_path: Path) -> None:
    plain, beside = (
        np.asarray(read_film(write(tmp_path / "a.dcm", **tags)))
        for tags in ({}, {"WindowCenter": "-4000", "WindowWidth": "10"})
    )
    np.testing.assert_array_equal(beside, plain)


def test_a_rescale_that_leaves_one_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="rescaling leaves one value"):
        read_film(write(tmp_path / "a.dcm", RescaleSlope="1", RescaleIntercept="1e300"))


def test_of_several_windows_the_first_is_taken(tmp_path: Path) -> None:
    one = read_film(write(tmp_path / "a.dcm", WindowCenter=2000, WindowWidth=1001))
    two = read_film(write(tmp_path / "b.dcm", WindowCenter=[2000, 9], WindowWidth=[1001, 5]))
    np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def test_a_sigmoid_window(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.3.1, stretched to the film's own least and greatest result."""
    window = {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}
    values = 1 / (1 + np.exp(-4 * (VALUES - 2000.0) / 1000))
    right = (values - values.min()) / np.ptp(values) * 255
    assert np.abs(np.asarray(read_film(write(tmp_path / "a.dcm", **window))) - right).max() <= 0.51


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_moves_nothing(tmp_path: Path, photometric: str) -> None:
    padded = VALUES.copy()
    padded[:20] = 4095
    tags = {"PhotometricInterpretation": photometric, "PixelData": padded.tobytes(), "PixelPaddingValue": 4095}
    read = np.asarray(read_film(write(tmp_path / "a.dcm", **tags)))
    inside = padded[padded < 4095]
    low, high = np.percentile(inside, (0.5, 99.5))
    right = np.clip((inside - low) / (high - low), 0, 1)
    right = np.round((1 - right if photometric == "MONOCHROME1" else right) * 255)
    assert (read[padded == 4095] == 0).all()
    np.testing.assert_array_equal(read[padded < 4095], right)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("ends", [(3900, 4095), (4095, 3900)])
@pytest.mark.parametrize("signed", [False, True])
def test_a_range_of_padding_of_16_bits(tmp_path: Path, photometric: str, ends: tuple[int, int], signed: bool) -> None:
    """Everything from one end to the other is black, whichever is stated first; the ends count."""
    values = VALUES.astype(np.int16) - 2048 if signed else VALUES
    first, limit = (end - 2048 for end in ends) if signed else ends
    tags = {
        "PhotometricInterpretation": photometric,
        "PixelData": values.tobytes(),
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(signed),
        "PixelPaddingValue": first,
        "PixelPaddingRangeLimit": limit,
    }
    read = np.asarray(read_film(write(tmp_path / "a.dcm", **tags)))
    padding = (VALUES >= 3900) & (VALUES <= 4095)
    assert padding.sum() == 196
    low, high = np.percentile(VALUES[~padding], (0.5, 99.5))
    right = np.clip((VALUES[~padding] - low) / (high - low), 0, 1)
    right = np.round((1 - right if photometric == "MONOCHROME1" else right) * 255)
    assert (read[padding] == 0).all()
    np.testing.assert_array_equal(read[~padding], right)


def test_a_table_of_packed_8_bit_entries(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], bytes(range(255, -1, -1))
    table["LUTData"].VR = "OW"
    read = np.asarray(read_film(write(tmp_path / "a.dcm", VOILUTSequence=Sequence([table]))))
    np.testing.assert_array_equal(read, 255 - np.clip(VALUES, 0, 255))


def test_no_more_of_a_deflated_film_is_inflated_than_it_needs(tmp_path: Path) -> None:
    """100 MB of zeros after the pixels; refused in a few MB."""
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + b"1.2.840.10008.1.2.1.99"
    plain = write(tmp_path / "a.dcm").read_bytes()
    start = 144 + struct.unpack_from("<L", plain, 140)[0]
    deflate = zlib.compressobj(wbits=-15)
    body = deflate.compress(plain[start:]) + deflate.compress(bytes(100 * 2**20)) + deflate.flush()
    (tmp_path / "b.dcm").write_bytes(bytes(128) + b"DICM" + meta + body)
    tracemalloc.start()
    with pytest.raises(BadImage, match="too many elements"):
        read_film(tmp_path / "b.dcm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * MAX_HEADER


def test_damaged_header(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    with pytest.raises(BadImage):
        read_film(tmp_path / "a.dcm")


def test_burned_in_text_is_told(tmp_path: Path) -> None:
    assert read_facts(write(tmp_path / "a.dcm", BurnedInAnnotation="YES")).burned_in
    assert not read_facts(write(tmp_path / "b.dcm", BurnedInAnnotation="NO")).burned_in
    assert not read_facts(write(tmp_path / "c.dcm")).burned_in


def test_only_a_known_view_is_taken_of_the_header(tmp_path: Path) -> None:
    assert read_facts(write(tmp_path / "a.dcm", ViewPosition="PA ")).view == "PA"
    assert read_facts(write(tmp_path / "b.dcm", ViewPosition="DOE JOHN")).view == ""
    Image.new("L", (8, 8)).save(tmp_path / "c.png")
    assert read_facts(tmp_path / "c.png") == Facts()


@pytest.mark.parametrize("allowed", [False, True])
def test_burned_in_text_is_refused_unless_allowed(tmp_path: Path, allowed: bool) -> None:
    write(tmp_path / "a.dcm", BurnedInAnnotation="YES")
    (tmp_path / "set.csv").write_text("image,patient_id,Edema\na.dcm,p1,1\n")
    source = read_csv(CsvOptions(csv=tmp_path / "set.csv", images=tmp_path))

    def decode() -> None:
        names = source.frame["image"].tolist()
        decoder = FilmDecoder(source.images, Fit(size=32), 32, code=1, allow_burned_in=allowed)
        parts = decoder.parts(names, film_versions(source.images, names), tmp_path)
        decode_films(source, decoder, parts, tmp_path / "out", Local(), lambda done, total: None)

    if allowed:
        decode()
        thumbnail = (tmp_path / "out/thumbnails/data.bin").read_bytes()
        assert b"Doe" not in thumbnail
        assert (tmp_path / "out/scratch/pixels.bin").stat().st_size == 32 * 32
    else:
        with pytest.raises(UserError, match=r"row 2: .*a\.dcm: text is burned into it"):
            decode()
