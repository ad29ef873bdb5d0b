"""Bytes and rows as text, and back: for links, and for the maps in the browser. What comes back is never trusted."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BadLink(ValueError):
    """Something in a link that cannot be opened; the message says why."""


DAMAGED = "it is damaged"


def to_text(content: bytes) -> str:
    """Content packed into letters, digits, ``-`` and ``_``."""
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode().rstrip("=")


def from_text(text: str, limit: int) -> bytes:
    """What :func:`to_text` packed.

    Raises
    ------
    BadLink
        Where it is not whole, is empty, or would unpack to more than ``limit`` bytes.
    """
    body = zlib.decompressobj()
    try:
        blob = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        content = body.decompress(blob, limit)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise BadLink(DAMAGED) from error
    if not body.eof or not content:
        raise BadLink(DAMAGED)
    return content


# --- rows of a run: explorer/ui/components/map_view/codec.js is the other half --------------------------------------


def rows_to_text(rows: NDArray[np.int64], n: int) -> str:
    """Ascending, distinct rows of a run of ``n`` films as the browser reads them; empty for no rows.

    The shorter of two forms: a letter that names the form, then its bytes in base64.
    """
    if len(rows) == 0:
        return ""
    gaps, bitmap = row_forms(rows, n)
    content = min(gaps, bitmap, key=len)
    return content[:1].decode() + base64.b64encode(content[1:]).decode()


def rows_from_text(text: str, n: int) -> NDArray[np.int64]:
    """(m,) rows, ascending; what :func:`rows_to_text` made, here or in the browser.

    Raises
    ------
    BadLink
        Where it is nothing of the kind.
    """
    if text == "":
        return np.zeros(0, np.int64)
    try:
        return unpack_rows(text[:1].encode() + base64.b64decode(text[1:], validate=True), n)
    except ValueError as error:  # as b64decode and encode raise it
        raise BadLink(DAMAGED) from error


def row_forms(rows: NDArray[np.int64], n: int) -> tuple[bytes, bytes]:
    """Ascending, distinct rows of a run of ``n`` films in two forms: ``d`` and the gaps, ``b`` and a bitmap.

    Gaps are the numbers of films left out before each row, as LEB128: seven bits a byte, low ones first.
    """
    gaps = bytearray(b"d")
    for gap in (np.diff(rows, prepend=-1) - 1).tolist():
        while gap > 127:
            gaps.append(gap & 127 | 128)
            gap >>= 7
        gaps.append(gap)
    marks = np.zeros(n, dtype=bool)
    marks[rows] = True
    return bytes(gaps), b"b" + np.packbits(marks).tobytes()


def most_bytes(n: int) -> int:
    """What neither form of rows of a run of ``n`` films exceeds: a row's gap takes 5 bytes at most."""
    return 1 + 5 * n


def unpack_rows(content: bytes, n: int) -> NDArray[np.int64]:
    """(m,) rows, at least one, ascending, from either of :func:`row_forms`.

    Raises
    ------
    BadLink
        Where it is neither.
    """
    if len(content) > most_bytes(n):
        raise BadLink(DAMAGED)
    if content[:1] == b"b":
        rows = np.flatnonzero(np.unpackbits(np.frombuffer(content[1:], dtype=np.uint8)))
    elif content[:1] == b"d":
        rows = np.cumsum(_gaps(content[1:]) + 1) - 1
    else:
        raise BadLink(DAMAGED)
    if len(rows) == 0 or rows[-1] >= n:
        raise BadLink(DAMAGED)
    return rows.astype(np.int64)


def _gaps(content: bytes) -> NDArray[np.int64]:
    gaps, gap, shift = [], 0, 0
    for byte in content:
        gap |= (byte & 127) << min(shift, 35)  # no run has so many films: the check on the rows refuses it
        shift += 7
        if byte < 128:
            gaps.append(gap)
            gap, shift = 0, 0
    return np.array(gaps, dtype=np.int64)
