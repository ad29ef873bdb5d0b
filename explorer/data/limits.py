"""What is refused before a film is decoded: paths that leave their root, pictures too large or too narrow."""

from __future__ import annotations

from pathlib import Path

MAX_PIXELS = 64_000_000
"""A film is at most about 4,300 x 5,400 pixels; more is a decompression bomb."""

MAX_FILE_BYTES = 4 * MAX_PIXELS
"""Twice what the largest film takes with two bytes a pixel."""

MAX_ASPECT = 20
"""A film's long side to its short one; the resize of a strip one pixel wide would need gigabytes."""


class BadImage(Exception):
    """An image that cannot be used; the message says why, without its path."""


def inside(root: Path, relative: str) -> Path:
    """Join a path from a file with its root.

    Raises
    ------
    BadImage
        Where the path is absolute or leaves the root, by dots or by a link.
    """
    try:
        path = (root / relative).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise BadImage("its path is not one of a file") from error
    if Path(relative).is_absolute() or not path.is_relative_to(root.resolve()):
        raise BadImage("its path leaves the image folder")
    return path


def check_size(width: int, height: int) -> None:
    """Refuse a film too large or too narrow to decode, from its header alone."""
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width} x {height} pixels is more than {MAX_PIXELS:,}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(f"{width} x {height} pixels is a strip, not a film")
