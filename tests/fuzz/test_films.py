"""Thousands of damaged films, each from its seed: whatever the bytes are, a film is read or refused as ``BadImage``.

``FUZZ_CASES`` sets how many (``make fuzz``: many more), ``FUZZ_FIRST`` the first seed.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from explorer.data.dicom import read_facts
from explorer.data.geometry import Fit
from explorer.data.images import decode_film, decode_for
from explorer.data.limits import BadImage
from explorer.data.uploads import read_upload

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
FAST = Fit(size=4, decode="fast")
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))

Element = tuple[int, bytes, bytes]
"""Tag, value representation and value."""

LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
KINDS = (*LONG, *(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US ZZ".split()), b"\0\0")
VALUES = (
    *(b"", b"\0", b"\0\0", b"\xff\xff", b"xx", b"1", b"0", b"-1", b"3.7", b"1\\2", b"\\", b"\\\\", b"1e999", b"NaN"),
    *(b"inf", b"9" * 40, b" ", b"YES", b"PA\\AP", b"\xe9\xff", b"\0\1\2", b"\0" * 7, b"A" * 300, b"SIGMOID", b"RGB"),
    *(struct.pack("<H", n) for n in (1, 7, 8, 12, 16, 17, 32, 64, 80, 255, 256, 32768, 65535)),
    *(struct.pack("<HHH", *three) for three in ((0, 0, 8), (256, 0, 8), (4096, 0, 12), (4, 65535, 16), (9, 9, 99))),
    *(struct.pack("<d", n) for n in (0.0, -1.0, 1e308, float("inf"), float("nan"))),
    *(
        b"MONOCHROME1",
        b"MONOCHROME2",
        b"PALETTE COLOR",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff\x00\xe0\0\0\0\0",
    ),
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x28\x00\x10\x30SQ\0\0\xff\xff\xff\xff" * 400,  # nested beyond the stack
)
LENGTHS = (0, 1, 2, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
TAGS = (
    *(0x00080005, 0x00080060, 0x00180015, 0x00185101, 0x00280301, 0x00280010, 0x00280011, 0x00280008, 0x00280002),
    *(0x00280004, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00281050, 0x00281051),
    *(0x00281052, 0x00281053, 0x00281056, 0x00283000, 0x00283002, 0x00283006, 0x00283010, 0x7FE00008, 0x7FE00010),
)
"""Tags that a film's grey depends on, and the character set."""


# --- films in order ----------------------------------------------------------------------------------------------

GREY = (np.add.outer(np.arange(96) * 2, np.arange(80)) % 256).astype(np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def pictures() -> dict[str, bytes]:
    """PNG and JPEG films of every mode."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a film"
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "a scanner", zip=True)
    grey, deep = Image.fromarray(GREY), Image.fromarray(GREY.astype(np.uint16) * 16)
    made = {mode: _saved(grey.convert(mode), "PNG", pnginfo=text) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
    return made | {
        "16 bits": _saved(deep, "PNG", exif=exif),
        "animated": _saved(grey, "PNG", save_all=True, append_images=[grey.rotate(90)]),
        "JPEG": _saved(grey, "JPEG", exif=exif),
        "progressive": _saved(grey.convert("RGB"), "JPEG", progressive=True),
        "CMYK": _saved(grey.convert("CMYK"), "JPEG"),
    }


def _run_length(values: bytes) -> bytes:
    runs = (values[at : at + 128] for at in range(0, len(values), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


@cache
def films() -> dict[str, bytes]:
    """DICOM films in several transfer syntaxes: with a window, with tables, with neither."""
    deep = GREY.astype("<u2") * 16
    segments = [_run_length(half.astype(np.uint8).tobytes()) for half in (deep >> 8, deep & 255)]
    rle = struct.pack("<16L", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments)
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], bytes(range(256))
    table["LUTData"].VR = "OW"
    made = {}
    for name, syntax, pixels, bits, tags in (
        ("explicit", ExplicitVRLittleEndian, deep.tobytes(), 12, {"WindowCenter": 2000, "WindowWidth": [3000, 9]}),
        ("implicit", ImplicitVRLittleEndian, deep.tobytes(), 12, {"VOILUTSequence": Sequence([table])}),
        ("big endian", ExplicitVRBigEndian, deep.astype(">u2").tobytes(), 12, {}),
        ("deflated", DeflatedExplicitVRLittleEndian, deep.tobytes(), 12, {"RescaleSlope": 2, "RescaleIntercept": 9}),
        ("tables", ExplicitVRLittleEndian, deep.tobytes(), 12, {"ModalityLUTSequence": Sequence([table])}),
        ("VOI table", ExplicitVRLittleEndian, GREY.tobytes(), 8, {"VOILUTSequence": Sequence([table])}),
        ("RLE", RLELossless, encapsulate([rle]), 12, {"WindowCenter": 2000, "WindowWidth": 0}),
        ("JPEG", JPEGBaseline8Bit, encapsulate([_saved(Image.fromarray(GREY), "JPEG")]), 8, {}),
        ("JPEG 2000", JPEG2000Lossless, encapsulate([_saved(Image.fromarray(GREY), "JPEG2000", no_jp2=True)]), 8, {}),
    ):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        given = {
            "SpecificCharacterSet": "ISO_IR 100",
            "Modality": "DX",
            "BodyPartExamined": "CHEST",
            "ViewPosition": "PA",
            "BurnedInAnnotation": "NO",
            "Rows": 96,
            "Columns": 80,
            "BitsAllocated": 8 if bits == 8 else 16,
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelRepresentation": 0,
            "SamplesPerPixel": 1,
            "NumberOfFrames": 1,
            "PhotometricInterpretation": "MONOCHROME1",
            "PixelPaddingValue": 0,
            "PixelData": pixels,
        }
        for keyword, value in (given | tags).items():
            setattr(dataset, keyword, value)
        dataset["PixelData"].VR = "OB" if bits == 8 or syntax.is_compressed else "OW"
        dataset["PixelData"].is_undefined_length = syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        made[name] = out.getvalue()
    made["16 bits, RLE"] = Path(str(get_testdata_file("MR_small_RLE.dcm"))).read_bytes()
    return made


# --- damage ------------------------------------------------------------------------------------------------------


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes overwritten, cut, doubled, moved or cut off; mostly near the start, where headers are."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = int(len(changed) * rng.random() ** rng.choice((1, 3, 6)))
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[at : at + 1] = bytes([changed[at] ^ 1 << rng.randrange(8)] if at < len(changed) else [0])
            case 2:
                changed[at : at + 4] = struct.pack("<L", rng.choice(LENGTHS))
            case 3:
                del changed[at : at + rng.randint(1, 40)]
            case 4:
                changed[at:at] = changed[at : at + rng.randint(1, 40)]
            case _:
                changed[at:at] = rng.choice(VALUES)
    return bytes(changed[: int(len(changed) * rng.random())]) if rng.random() < 0.1 else bytes(changed)


def damaged_chunks(rng: random.Random, data: bytes) -> bytes:
    """A PNG with a chunk damaged, doubled, left out or of another kind, and every check sum right."""
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">L", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(chunks))
        kind, value = chunks[at]
        match rng.randrange(5):
            case 0 | 1:
                chunks[at] = kind, damaged_bytes(rng, value)
            case 2:
                chunks.insert(rng.randrange(len(chunks)), chunks[at])
            case 3 if len(chunks) > 1:
                del chunks[at]
            case _:
                name = rng.choice(b"eXIf iCCP tRNS PLTE acTL fcTL fdAT gAMA pHYs zTXt iTXt sRGB cHRM IHDR IEND".split())
                content = rng.choice((value, rng.choice(VALUES), rng.randbytes(13), zlib.compress(bytes(999))))
                chunks.insert(rng.randrange(len(chunks)), (name, content))
    return data[:8] + b"".join(
        struct.pack(">L", len(value)) + kind + value + struct.pack(">L", zlib.crc32(kind + value))
        for kind, value in chunks
    )


def _elements(data: bytes) -> list[Element]:
    """The elements of an explicit little-endian data set."""
    elements, at = [], 0
    while at < len(data):
        group, number, kind, length = struct.unpack_from("<HH2sH", data, at)
        at += 8
        if kind in LONG:
            (length,) = struct.unpack_from("<L", data, at)
            at += 4
        value = data[at:] if length == 0xFFFFFFFF else data[at : at + length]
        at += len(value)
        elements.append((group << 16 | number, kind, value))
    return elements


def damaged_elements(rng: random.Random, data: bytes) -> bytes:
    """An explicit little-endian film (deflated too) with elements of another value, kind or length, more or fewer."""
    (length,) = struct.unpack_from("<L", data, 140)
    start = 144 + length
    deflated = DeflatedExplicitVRLittleEndian.encode() + b"\0" in data[:start]
    elements = _elements(zlib.decompress(data[start:], -15) if deflated else data[start:])
    packed = elements[-1][2].startswith(b"\xfe\xff\x00\xe0")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(elements))
        tag, kind, value = elements[at]
        match rng.randrange(7):
            case 0 | 1:
                elements[at] = tag, kind, rng.choice(VALUES)
            case 2:
                elements[at] = tag, rng.choice(KINDS), value
            case 3:
                elements[at] = tag, kind, damaged_bytes(rng, value)
            case 4 if len(elements) > 1:
                del elements[at]
            case 5:
                elements[at] = tag, rng.choice(KINDS), rng.choice(VALUES)
            case _:
                elements.append((rng.choice(TAGS), rng.choice(KINDS), rng.choice(VALUES)))
    wrong = rng.randrange(len(elements)) if rng.random() < 0.1 else -1
    out = bytearray()
    for at, (tag, kind, value) in enumerate(sorted(elements, key=lambda element: element[0])):
        length = rng.choice(LENGTHS) if at == wrong else 0xFFFFFFFF if packed and tag == 0x7FE00010 else len(value)
        out += struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, kind)
        out += struct.pack("<HL", 0, length) if kind in LONG else struct.pack("<H", length & 0xFFFF)
        out += value
    deflate = zlib.compressobj(wbits=-15)
    return data[:start] + (deflate.compress(bytes(out)) + deflate.flush() if deflated else bytes(out))


def damaged(seed: int) -> tuple[str, bytes]:
    """The case of a seed: the name of the film that it was, and its bytes."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        name, data = rng.choice(list(pictures().items()))
        png = data.startswith(b"\x89PNG")
        return name, (damaged_chunks if png and rng.random() < 0.7 else damaged_bytes)(rng, data)
    name, data = rng.choice(list(films().items()))
    explicit = name in ("explicit", "deflated", "tables", "VOI table", "RLE", "JPEG", "JPEG 2000")
    return name, (damaged_elements if explicit and rng.random() < 0.7 else damaged_bytes)(rng, data)


# --- the test ----------------------------------------------------------------------------------------------------


def read_every_way(data: bytes, path: Path) -> bool:
    """Read a film as the batch job and as an upload; whether the batch job takes it."""
    path.write_bytes(data)
    with contextlib.suppress(BadImage):
        read_facts(path)
    with contextlib.suppress(BadImage):
        read_upload(data)
    taken = [_reads(decode_film, data), _reads(lambda file: decode_for(FAST, file).picture, data)]
    assert taken[0] == taken[1], "a film is refused on both routes, or on neither"
    return taken[0]


def _reads(read: Callable[[BinaryIO], Image.Image], data: bytes) -> bool:
    try:
        return read(io.BytesIO(data)).mode == "L"
    except BadImage:
        return False


def test_a_damaged_film_is_read_or_refused(tmp_path: Path) -> None:
    taken = 0
    for seed in range(FIRST, FIRST + CASES):
        name, data = damaged(seed)
        try:
            taken += read_every_way(data, tmp_path / "film")
        except Exception as error:
            error.add_note(f"Seed {seed}, {name}. Once more: FUZZ_FIRST={seed} FUZZ_CASES=1")
            raise
    if CASES >= 1000:
        assert 0.05 * CASES < taken < 0.9 * CASES, f"of {CASES} films {taken} are read: damage too strong or too weak"


@pytest.mark.parametrize("seed", [4962, 1, 2])  # of the first GDCM ends its process
def test_lossless_jpeg_damaged(seed: int) -> None:
    """Apart, since each is decoded in a process of its own."""
    film = Path(str(get_testdata_file("JPEG-LL.dcm"))).read_bytes()
    start = film.rindex(b"\xff\xd8")
    rng = random.Random(seed)
    rng.choice((0, 1, 2, 3)), rng.random()
    with contextlib.suppress(BadImage):
        assert decode_film(io.BytesIO(film[:start] + damaged_bytes(rng, film[start:]))).mode == "L"


def test_the_films_are_in_order_before_the_damage(tmp_path: Path) -> None:
    for name, data in (pictures() | films()).items():
        assert read_every_way(data, tmp_path / "film"), name
