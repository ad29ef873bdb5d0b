"""DICOM films as 8-bit grey pictures, and the one border where pydicom's errors become ``BadImage``.

Of a header no more is read than ``TAGS``: the rest may name the patient. Nothing is inflated, decoded or allocated that
the film's stated size does not need.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from explorer.data.codestreams import check_rle, picture_sizes
from explorer.data.grey import Look, Rescale, Table, Window, grey_of_stored
from explorer.data.limits import BadImage, check_size
from explorer.data.stored_film import Spacing, StoredFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEWS = ("PA", "AP", "LL", "RL", "LATERAL", "LLD", "RLD", "LLO", "RLO")
"""View positions that are kept; any other text in that field is not."""
CHEST = ("CHEST", "THORAX", "LUNG", "RIB")
RADIOGRAPHS = ("CR", "DX", "RG", "DR", "XA", "RF", "OT", "SC", "")
"""Modalities a film may come under: radiographs, scanned films, and none stated."""

TAGS = (
    *("Modality", "BodyPartExamined", "ViewPosition", "BurnedInAnnotation"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape"),
    *("PixelSpacing", "ImagerPixelSpacing"),
)
"""All that is read of a header besides the picture."""
LEAST_SPACING, MOST_SPACING = 0.01, 10.0
"""Millimetres between pixels; other distances are no film's."""
MAX_HEADER = 8 * 2**20
"""Bytes before the picture in a deflated file; the largest there are overlays of one bit a pixel."""
MAX_VALUE = 2**20
"""Bytes of one of ``TAGS``: seven lookup tables of the greatest size."""
MAX_READS = 50_000
"""Pieces a file is read in; a film has hundreds. Millions of empty elements would need gigabytes."""

logging.getLogger("pydicom").setLevel(logging.CRITICAL)
"""What pydicom logs of a damaged film, tracebacks among it, is in the ``BadImage``."""

_META_START = 132
_PIXELS = Tag("PixelData")
_PIXEL_KINDS = Tag(0x7FE0, 0x0008)
"""The first of the elements that can hold pixels (floats, doubles, integers)."""
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_ENCODED = (RLELossless, *JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)
_BY_PILLOW = (JPEGBaseline8Bit, JPEGExtended12Bit, *JPEG2000TransferSyntaxes)
_BY_GDCM = Path(__file__).with_name("gdcm_process.py")
_SECONDS = 60
_ERRORS = (
    # what pydicom, GDCM and Pillow raise for damaged bytes; tests/fuzz looks for more
    BytesLengthException,  # a value of half a number
    AttributeError,  # a needed element is missing
    EOFError,
    IndexError,  # an empty sequence
    KeyError,  # an unknown tag or character set
    LookupError,
    NotImplementedError,  # a value representation or a depth that pydicom lacks
    OSError,
    OverflowError,  # a decimal string such as 1e999 as an integer
    RecursionError,  # sequences nested a thousand deep
    RuntimeError,  # no decoder succeeds
    SyntaxError,  # Pillow: a broken codestream
    TypeError,  # a value of another type than its tag's
    ValueError,  # among them UnicodeError
    struct.error,
    zlib.error,
)


@contextmanager
def _border(what: str) -> Iterator[None]:
    """Turn what pydicom and its decoders raise into ``BadImage``."""
    try:
        yield
    except subprocess.SubprocessError as error:  # it fails, ends its process or takes too long
        raise BadImage(f"{what} (GDCM cannot decode it)") from error
    except _ERRORS as error:
        raise BadImage(f"{what} ({' '.join(str(error).split())[:160]})") from error


def is_dicom(file: BinaryIO) -> bool:
    """Whether the file has DICOM's mark: ``DICM`` after a preamble of 128 bytes."""
    file.seek(_META_START - 4)
    return file.read(4) == b"DICM"


def read_dicom(file: BinaryIO) -> StoredFilm:
    """Decode a film; its values become grey as ``explorer.data.grey`` states.

    Raises
    ------
    BadImage
        More than one frame, colour, too large, a transfer syntax that cannot be decoded, a damaged file or header.
    """
    header = _header(file)
    rows, columns = _integer(header, "Rows", 0), _integer(header, "Columns", 0)
    if rows <= 0 or columns <= 0:
        raise BadImage("it is a DICOM file without a picture")
    check_size(columns, rows)
    frames = _integer(header, "NumberOfFrames", 1)
    if frames != 1:
        raise BadImage(f"it is a series of {frames} frames, not a film")
    photometric = _text(header, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or _integer(header, "SamplesPerPixel", 1) != 1:
        raise BadImage(f"its pixels are {photometric[:32] or 'of no stated kind'}, not grey")
    allocated = _integer(header, "BitsAllocated")
    bits, signed = _integer(header, "BitsStored", allocated), _integer(header, "PixelRepresentation", 0)
    if allocated not in (8, 16) or not 1 <= bits <= allocated or signed not in (0, 1):
        raise BadImage(f"its pixels have {bits} of {allocated} bits; a film has up to 8 of 8, or 16 of 16")
    inverted = photometric == "MONOCHROME1" or _text(header, "PresentationLUTShape").upper() == "INVERSE"
    look = _look(header, signed=bool(signed), allocated=allocated, inverted=inverted)

    picture = Dataset()  # of values read and judged above: the decoder sees no others
    picture.Rows, picture.Columns = rows, columns
    picture.SamplesPerPixel, picture.PhotometricInterpretation = 1, photometric
    picture.BitsAllocated, picture.BitsStored, picture.HighBit = allocated, bits, bits - 1
    picture.PixelRepresentation = signed
    size = rows * columns * allocated // 8
    with _border("it cannot be decoded, it may be truncated"):
        picture[_PIXELS] = _pixels(file, picture, size)
        picture.file_meta = header.file_meta
        stored = _decode(picture, size)
        if stored.shape != (rows, columns):
            raise ValueError(f"its pixels are {' x '.join(map(str, stored.shape))}")
        if stored.itemsize > 2:  # a JPEG 2000 stream of more bits than its header states
            raise ValueError(f"{8 * stored.itemsize} bits a pixel")
        grey = grey_of_stored(stored, look)
    return StoredFilm(stored, grey, bits, look.modality, look.padding, look.inverted, _spacing(header))


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
    """What a DICOM film's header says of the film; nothing for a film of another kind.

    Raises
    ------
    BadImage
        A header that cannot be read, a file that cannot be reached.
    """
    try:
        with path.open("rb") as file:
            if not is_dicom(file):
                return Facts()
            header = _header(file)
    except OSError as error:
        raise BadImage(f"the file cannot be reached ({error.strerror})") from error
    view = _text(header, "ViewPosition").upper()
    return Facts(
        burned_in=_text(header, "BurnedInAnnotation").upper() == "YES",
        view=view if view in VIEWS else "",
    )


def check_chest(file: BinaryIO) -> None:
    """Refuse a file whose header says that it is no radiograph, or of another part of the body."""
    header = _header(file)
    modality, part = (_text(header, keyword).upper() for keyword in ("Modality", "BodyPartExamined"))
    if modality not in RADIOGRAPHS:
        raise BadImage(f"its header says modality {modality[:16]}, not a radiograph")
    if part and not any(word in part for word in CHEST):
        raise BadImage(f"its header says {part[:16]}, not chest")


# --- the bytes ---------------------------------------------------------------------------------------------------


class _Bounded:
    """A file that pydicom reads in few pieces, none longer than the file: a stated length alone allocates nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads = 0
        start = file.tell()
        self._size = file.seek(0, io.SEEK_END)
        self.tell, self.seek = file.tell, file.seek
        file.seek(start)

    def read(self, size: int) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise BadImage(f"its DICOM header has too many elements to be one of a film (over {MAX_READS // 2:,})")
        return self._file.read(max(0, min(size, self._size - self._file.tell())))


def _header(file: BinaryIO) -> Dataset:
    """``TAGS`` of a file, up to its picture."""
    with _border("its DICOM header cannot be read"):
        return _read(file, MAX_HEADER, picture=False)


def _read(file: BinaryIO, limit: int, *, picture: bool) -> Dataset:
    """``TAGS``, or the picture's element alone; of a deflated file no more than ``limit`` bytes are inflated."""
    file.seek(_META_START)
    meta = read_dataset(_bounded(file), False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = UID(_text(meta, "TransferSyntaxUID"))
    if syntax == DeflatedExplicitVRLittleEndian:
        # never by pydicom, which inflates all there is
        file = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), limit))
        syntax = ExplicitVRLittleEndian
    elif syntax not in (*_NATIVE, *_ENCODED):
        raise BadImage(f"its transfer syntax cannot be decoded ({(syntax.name or 'none is stated')[:80]})")
    last = _PIXELS + 1 if picture else _PIXEL_KINDS
    dataset = read_dataset(
        _bounded(file),
        syntax == ImplicitVRLittleEndian,
        syntax != ExplicitVRBigEndian,
        stop_when=lambda tag, vr, length: tag >= last,
        specific_tags=[_PIXELS] if picture else [Tag(keyword) for keyword in TAGS],
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _bounded(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _Bounded(file))


def _pixels(file: BinaryIO, picture: Dataset, size: int) -> DataElement:
    """The picture's element: its first frame alone, which decodes to no more than ``size`` bytes."""
    dataset = _read(file, MAX_HEADER + size, picture=True)
    if "PixelData" not in dataset:
        raise BadImage("it is a DICOM file without a picture")
    element = dataset["PixelData"]
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _NATIVE:
        return DataElement(_PIXELS, "OB" if element.VR == "OB" else "OW", element.value[:size])
    frame = get_frame(element.value, 0, number_of_frames=1)
    if syntax == RLELossless:
        check_rle(frame, picture.Rows * picture.Columns)
    else:
        for columns, rows, samples, bits in picture_sizes(frame):
            if (columns, rows, samples) != (picture.Columns, picture.Rows, 1):
                raise BadImage(f"its header states {picture.Columns} x {picture.Rows} pixels, its picture others")
            if not 2 <= bits <= 16 or (bits > 8) != (picture.BitsAllocated > 8):
                raise BadImage(f"its header states {picture.BitsAllocated} bits, its picture {bits}")
    pixels = DataElement(_PIXELS, "OB", encapsulate([frame], has_bot=False))
    pixels.is_undefined_length = True
    return pixels


def _decode(picture: Dataset, size: int) -> NDArray[np.integer]:
    """Stored values, (H, W) where the picture is as its header states."""
    syntax = picture.file_meta.TransferSyntaxUID
    if syntax in _BY_PILLOW:
        return pixel_array(picture, decoding_plugin="pillow")
    if syntax not in (*_NATIVE, RLELossless):
        frame = get_frame(picture.PixelData, 0, number_of_frames=1)
        ((*_, bits),) = picture_sizes(frame)
        layout = (picture.Columns, picture.Rows, picture.BitsAllocated, bits, picture.PixelRepresentation)
        program = [sys.executable, "-I", str(_BY_GDCM), str(syntax), *map(str, layout)]
        done = subprocess.run(program, input=frame, capture_output=True, timeout=_SECONDS, check=True)
        picture[_PIXELS] = DataElement(_PIXELS, "OW", done.stdout[:size])
        picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return pixel_array(picture)


# --- the header's values -----------------------------------------------------------------------------------------


def _value(header: Dataset, keyword: str) -> Any:
    """A value as pydicom converts it; None where it is missing or blank."""
    with _border(f"its header's {keyword} cannot be read"):
        raw = cast("RawDataElement | DataElement | None", header.get_item(Tag(keyword)))
        if isinstance(raw, RawDataElement) and len(raw.value or b"") > MAX_VALUE:
            raise ValueError(f"more than {MAX_VALUE:,} bytes")
        value = header.get(keyword)
    return None if isinstance(value, str | bytes | MultiValue) and not len(value) else value


def _numbers(header: Dataset, keyword: str) -> list[float]:
    """A tag's numbers; none where it is missing or blank."""
    value = _value(header, keyword)
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [] if value is None else [value]
    with _border(f"its header's {keyword} is no number"):
        return [float(number) for number in values]


def _integer(header: Dataset, keyword: str, default: int | None = None) -> int:
    numbers = _numbers(header, keyword) or ([] if default is None else [default])
    if len(numbers) != 1 or not float(numbers[0]).is_integer():
        raise BadImage(f"its header's {keyword} is not one whole number")
    return int(numbers[0])


def _text(header: Dataset, keyword: str) -> str:
    """A tag's text, the first where there are several."""
    value = _value(header, keyword)
    if isinstance(value, MultiValue):
        value = value[0]
    if value is not None and not isinstance(value, str):
        raise BadImage(f"its header's {keyword} is no text")
    return (value or "").strip()


def _look(header: Dataset, *, signed: bool, allocated: int, inverted: bool) -> Look:
    """What the header says of the film's grey."""
    table = _table(header, "ModalityLUTSequence", signed=signed)
    slope, intercept = _numbers(header, "RescaleSlope"), _numbers(header, "RescaleIntercept")
    modality: Table | Rescale | None = table
    if table is None and slope and intercept:
        if not slope[0] or not math.isfinite(slope[0]) or not math.isfinite(intercept[0]):
            raise BadImage("its header's RescaleSlope or RescaleIntercept leaves no picture")
        modality = Rescale(slope[0], intercept[0])
    return Look(
        modality=modality,
        voi=_table(header, "VOILUTSequence", signed=signed and table is None) or _window(header),
        padding=_padding(header, signed=signed, allocated=allocated),
        inverted=inverted,
    )


def _window(header: Dataset) -> Window | None:
    """The first window, where it can be used."""
    center, width = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    function = _text(header, "VOILUTFunction").upper() or "LINEAR"
    if not center or not width:
        return None
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise BadImage(f"its header's VOILUTFunction is unknown ({function[:16]})")
    window = Window(center[0], width[0], function)
    return window if window.usable else None


def _padding(header: Dataset, *, signed: bool, allocated: int) -> tuple[int, int] | None:
    """Least and greatest padding value; written as unsigned for signed pixels by some devices."""
    if _value(header, "PixelPaddingValue") is None:
        return None
    value = _integer(header, "PixelPaddingValue")
    ends = [value, _integer(header, "PixelPaddingRangeLimit", value)]
    if signed:
        ends = [end - 2**allocated if end >= 2 ** (allocated - 1) else end for end in ends]
    return min(ends), max(ends)


def _spacing(header: Dataset) -> Spacing | None:
    """Millimetres between pixels, where the header has a credible pair; a film without is a film all the same."""
    calibrated, at_detector = _pair(header, "PixelSpacing"), _pair(header, "ImagerPixelSpacing")
    if calibrated and calibrated != at_detector:
        return Spacing(*calibrated, at_detector=False)
    return Spacing(*at_detector, at_detector=True) if at_detector else None


def _pair(header: Dataset, keyword: str) -> tuple[float, float] | None:
    """Distances between rows and between columns."""
    try:
        numbers = _numbers(header, keyword)
    except BadImage:
        return None
    credible = len(numbers) == 2 and all(LEAST_SPACING <= number <= MOST_SPACING for number in numbers)
    return (numbers[0], numbers[1]) if credible else None


def _table(header: Dataset, keyword: str, *, signed: bool) -> Table | None:
    """The first lookup table of a sequence; None where there is none, or one without data."""
    items = _value(header, keyword)
    with _border(f"its header's {keyword} cannot be read"):
        item = items[0] if items else None
    if item is None or _value(item, "LUTData") is None or _value(item, "LUTDescriptor") is None:
        return None
    descriptor = _numbers(item, "LUTDescriptor")
    with _border(f"its header's {keyword} is no table"):
        count, first, bits = (int(number) for number in descriptor)
        count %= 2**16
        words = _words(item)
    count = count or 2**16
    if not 8 <= bits <= 16:
        raise BadImage(f"its header's {keyword} has {bits} bits an entry")
    entries = words[:count] if len(words) >= count or bits > 8 else words.view(np.uint8)[:count].astype(np.uint16)
    if len(entries) < count:
        raise BadImage(f"its header's {keyword} has {len(entries):,} of {count:,} entries")
    return Table(first - 2**16 if signed and first >= 2**15 else first, entries)


def _words(item: Dataset) -> NDArray[np.uint16]:
    """``LUTData`` as 16-bit words, little endian: one entry each, or two of 8 bits."""
    data = item.LUTData
    if isinstance(data, bytes):
        little = not isinstance(item.original_encoding[1], bool) or item.original_encoding[1]
        return np.frombuffer(data + bytes(len(data) % 2), "<u2" if little else ">u2").astype("<u2")
    return np.asarray(data, dtype=np.int64).ravel().astype("<u2")
