"""A film's own values as the browser gets them: bounded in size, packed, with all that window and level need.

A value of a ``ViewerFilm`` is a level: 0 up to the film's range. Its unit is the modality's value, in which windows are
named. Level 0 is padding where the film has any, and always black.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from explorer.data.grey import Rescale, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.stored_film import Spacing, StoredFilm

SIDE = 2048
"""Longest side of what is sent: enlarged to twice a column it still has pixels of its own."""
LUNG, BONE = (2, 70), (30, 99.8)
"""Percent of the film's pixels that are no brighter than a window's ends: the lungs lie in the darker part."""
_FAST = 1
"""zlib's level: noise packs as well as by the highest one."""


@dataclass(frozen=True, eq=False)
class ViewerFilm:
    """What a viewer needs of a film.

    Attributes
    ----------
    levels : (h, w) uint8 or uint16
    grey : (n,) uint8
        The grey of each level in the model's own picture.
    size : width, height
        Of the film in its own pixels; (w, h) is smaller where it was averaged down.
    bits : int
        The stored depth.
    slope, intercept : float
        A level's unit is ``slope * level + intercept``.
    padded : bool
        Whether level 0 is padding.
    inverted : bool
        Whether a greater unit is darker.
    window : low, high
        In units: what is black and white in the model's own picture, or white and black where ``inverted``.
    lung, bone : low, high
        Windows by ``LUNG`` and ``BONE``, in units.
    spacing : Spacing or None
    """

    levels: NDArray[np.unsignedinteger]
    grey: NDArray[np.uint8]
    size: tuple[int, int]
    bits: int
    slope: float
    intercept: float
    padded: bool
    inverted: bool
    window: tuple[float, float]
    lung: tuple[float, float]
    bone: tuple[float, float]
    spacing: Spacing | None

    def words(self) -> str:
        """The grey's depth, and whether pixels were averaged."""
        rows, columns = self.levels.shape
        averaged = "" if (columns, rows) == self.size else f", averaged down to {columns:,} × {rows:,} pixels"
        return f"{self.bits} grey bits{averaged}"

    def facts(self) -> dict[str, object]:
        """What the browser has to know to draw what :meth:`packed` gives it."""
        rows, columns = self.levels.shape
        return {
            "columns": columns,
            "rows": rows,
            "n": len(self.grey),
            "deep": self.levels.itemsize > 1,
            "slope": self.slope,
            "intercept": self.intercept,
            "padded": self.padded,
            "inverted": self.inverted,
            "windows": {"default": self.window, "lung": self.lung, "bone": self.bone},
        }

    def packed(self) -> bytes:
        """``grey``, then the levels as differences: low bytes, then the high bytes of 16-bit levels; deflated.

        A difference d to the level before, row by row, is 2d where it is positive and -2d - 1 where it is negative, so
        that the high bytes are nearly all 0.
        """
        flat = self.levels.ravel()
        steps = np.diff(flat, prepend=flat.dtype.type(0)).view(f"i{flat.itemsize}")  # wraps around
        zigzag = ((steps << 1) ^ (steps >> (8 * flat.itemsize - 1))).view(flat.dtype)
        planes = [(zigzag >> shift).astype(np.uint8) for shift in range(0, 8 * flat.itemsize, 8)]
        return zlib.compress(b"".join(part.tobytes() for part in (self.grey, *planes)), _FAST)


def for_viewer(film: StoredFilm, side: int = SIDE) -> ViewerFilm:
    """A film's values for the browser, averaged down to at most ``side`` pixels on its longer side."""
    codes = film.values.view(f"u{film.values.itemsize}")  # a value's bits, read as unsigned: what ``grey`` goes by
    used = np.unique(codes)
    values = used.view(film.values.dtype).astype(np.int64)
    padding = np.zeros(len(used), dtype=bool)
    if film.padding:
        padding = (values >= film.padding[0]) & (values <= film.padding[1])
    if isinstance(film.modality, Table):
        values = film.modality(values.astype(np.float64)).astype(np.int64)
    rescale = film.modality if isinstance(film.modality, Rescale) else Rescale(1.0, 0.0)
    least, padded = int(values[~padding].min()), bool(padding.any())
    level = np.where(padding, 0, np.minimum(values - least + padded, 2**16 - 1))

    of_code = np.zeros(2 ** (8 * codes.itemsize), dtype=np.uint8 if level.max() < 2**8 else np.uint16)
    of_code[used] = level
    levels = _averaged(np.take(of_code, codes), padded=padded, side=side)
    known, first = np.unique(level, return_index=True)
    greys = film.grey[used][first]
    # an average may lie between the levels that the film has: its grey lies between theirs
    grey = np.rint(np.interp(np.arange(int(levels.max()) + 1), known, greys)).astype(np.uint8)
    slope, intercept = rescale.slope, rescale.slope * (least - padded) + rescale.intercept
    window = _window(grey[padded:], slope, intercept + slope * padded, inverted=film.inverted)
    inside = levels[levels > 0] if padded else levels
    rises = (slope > 0) != film.inverted  # whether a greater level is brighter

    def by_share(shares: tuple[float, float]) -> tuple[float, float]:
        ends = slope * np.percentile(inside, shares if rises else [100 - share for share in shares]) + intercept
        return (float(ends.min()), float(ends.max())) if np.ptp(ends) else window

    return ViewerFilm(
        levels=levels,
        grey=grey,
        size=(codes.shape[1], codes.shape[0]),
        bits=film.bits,
        slope=slope,
        intercept=intercept,
        padded=padded,
        inverted=film.inverted,
        window=window,
        lung=by_share(LUNG),
        bone=by_share(BONE),
        spacing=film.spacing,
    )


def _averaged(levels: NDArray[np.unsignedinteger], *, padded: bool, side: int) -> NDArray[np.unsignedinteger]:
    """Levels at most ``side`` pixels long. Padding counts in no mean; what is padding for the most part stays so."""
    rows, columns = levels.shape
    scale = side / max(rows, columns)
    if scale >= 1:
        return levels
    shape = max(1, round(columns * scale)), max(1, round(rows * scale))
    if not padded:
        return cv2.resize(levels, shape, interpolation=cv2.INTER_AREA).astype(levels.dtype)
    total, share = (
        cv2.resize(part.astype(np.float32), shape, interpolation=cv2.INTER_AREA) for part in (levels, levels > 0)
    )
    mean = np.clip(np.rint(total / np.maximum(share, 1e-6)), 1, levels.max())
    return np.where(share < 0.5, 0, mean).astype(levels.dtype)


def _window(grey: NDArray[np.uint8], slope: float, intercept: float, *, inverted: bool) -> tuple[float, float]:
    """The line through the levels whose grey is nearest to a quarter and to three quarters, as a window in units."""
    shown = 255 - grey.astype(float) if inverted else grey.astype(float)
    units = slope * np.arange(len(grey)) + intercept
    first, second = (int(np.abs(shown - share).argmin()) for share in (64, 191))
    if shown[first] == shown[second] or units[first] == units[second]:
        return float(units.min()), float(max(units.max(), units.min() + abs(slope)))
    per_unit = (shown[second] - shown[first]) / (units[second] - units[first])
    low, high = (float(units[first] + (edge - shown[first]) / per_unit) for edge in (0, 255))
    return min(low, high), max(low, high)
