"""Bytes as the text of a link, and back; what comes from a link is never trusted."""

from __future__ import annotations

import base64
import binascii
import zlib


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
