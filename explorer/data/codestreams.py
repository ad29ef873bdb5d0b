"""What a DICOM film's packed picture states or holds, judged before any decoder sees it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from explorer.data.limits import BadImage

_SIZ = re.compile(rb"\xff\x4f\xff\x51")
"""How a JPEG 2000 codestream starts."""
_JPEG_FRAMES = (*(0xFFC0 + n for n in range(16) if n not in (4, 8, 12)), 0xFFF7)
_JPEG_SEGMENTS = (*(0xFFE0 + n for n in range(16)), 0xFFC4, 0xFFCC, 0xFFDB, 0xFFDD, 0xFFF8, 0xFFFE)
"""What may stand before a JPEG's frame header: each with its length."""


def check_rle(frame: bytes, size: int) -> None:
    """Refuse a frame with a segment of more than ``size`` bytes (and a row's padding), before any is decoded."""
    n_segments, *starts = struct.unpack_from("<16L", frame)
    for start, end in zip(starts[:n_segments], [*starts[1:n_segments], len(frame)], strict=False):
        length, place = 0, start
        while place < min(end, len(frame)):
            run = frame[place]
            length += 257 - run if run > 128 else 0 if run == 128 else run + 1
            place += 2 if run > 128 else 1 if run == 128 else run + 2
            if length > size + 128:  # a last run may be longer than is needed
                raise BadImage("its run-length code holds more than its header's rows and columns")


def picture_sizes(frame: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Columns, rows, samples and bits that a JPEG or JPEG 2000 frame states; several in a JP2 wrapper."""
    if not frame.startswith(b"\xff\xd8"):
        starts = [match.start() for match in _SIZ.finditer(frame)]
        for start in starts[:1] if starts[:1] == [0] else starts:
            right, bottom, left, top, samples, bits = struct.unpack_from(">IIII16xHB", frame, start + 8)
            yield right - left, bottom - top, samples, (bits & 127) + 1
        if not starts:
            raise BadImage("its picture is neither JPEG nor JPEG 2000, as its header states")
        return
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, place)
        if marker in _JPEG_FRAMES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, place + 4)
            yield columns, rows, samples, bits
            return
        if marker == 0xFFFF:  # a fill byte
            place += 1
        elif marker in _JPEG_SEGMENTS:
            place += 2 + length
        else:
            raise BadImage("its JPEG picture is damaged before its size")
