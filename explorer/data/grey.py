"""How stored values become grey: one rule for each kind of file. The rules in words: docs/films-and-sources.md.

Grey is 8 bits, 0 black and 255 white.

8 bits, PNG or JPEG
    As stored. Colour (RGB, palette, CMYK, YCbCr) becomes ITU-R 601-2 luma; transparency is left out, never blended
    with a background; one bit becomes 0 and 255. Gamma and colour profiles are left out.
16 bits, PNG
    The film's depth is the least b of 8 to 16 with all values below 2 ** b; its upper 8 bits are kept. So 10, 12 or 14
    bits in a 16-bit file are as bright as the same film with 8 bits.
DICOM, one grey sample of up to 16 bits
    1. Modality LUT, or slope and intercept where both are stated.
    2. The first VOI LUT; without one the first window, by its function (LINEAR, LINEAR_EXACT or SIGMOID). The least
       result of the film is black, the greatest white. Without a usable one, the 0.5th percentile is black and the
       99.5th white. Not usable is a blank or infinite centre or width, or a width of 0 or less (below 1 for
       LINEAR). Nor is a sequence without a table, or what leaves a film of several values one grey.
    3. MONOCHROME1 is turned over, and so is a presentation LUT of shape INVERSE; both together once.
    4. Padding (PixelPaddingValue, to PixelPaddingRangeLimit) counts in neither step 2's least and greatest nor its
       percentiles, and is black, in MONOCHROME1 too.
    Overlays and tables of presentation LUTs are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILES = (0.5, 99.5)
"""The window of a DICOM film that brings none."""
_ROWS = 256
"""Rows counted at once: ``bincount`` takes eight bytes a pixel."""


def depth_of(deep: NDArray[np.integer]) -> int:
    """The least depth from 8 to 16 bits that holds all values of 16-bit grey.

    >>> depth_of(np.array([0, 512, 1023]))
    10
    """
    return min(max(int(deep.max()).bit_length(), 8), 16)


def grey_of_depth(depth: int) -> NDArray[np.uint8]:
    """(65536,) the grey of each value of 16-bit grey of a depth: its upper 8 bits.

    >>> grey_of_depth(10)[[0, 512, 1023]].tolist()
    [0, 128, 255]
    """
    return (np.arange(2**16) >> (depth - 8)).astype(np.uint8)


@dataclass(frozen=True)
class Table:
    """A modality or VOI LUT: ``entries`` (n,) from the value ``first`` on; values outside take the nearest entry."""

    first: int
    entries: NDArray[np.uint16]

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each value's entry."""
        places = np.clip(np.rint(values - self.first), 0, len(self.entries) - 1)
        return self.entries[places.astype(np.int64)].astype(np.float64)


@dataclass(frozen=True)
class Rescale:
    """Slope and intercept of the modality's values."""

    slope: float
    intercept: float

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each value's, in the modality's units."""
        return values * self.slope + self.intercept


@dataclass(frozen=True)
class Window:
    """Centre and width in the modality's units; ``function`` LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1)."""

    center: float
    width: float
    function: str

    @property
    def usable(self) -> bool:
        """Whether the window shows anything."""
        least = 1 if self.function == "LINEAR" else np.finfo(np.float64).tiny
        return bool(np.isfinite([self.center, self.width]).all() and self.width >= least)

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each value's place in the window, 0 to 255, by pydicom."""
        from pydicom.dataset import Dataset
        from pydicom.pixels.processing import apply_windowing

        window = Dataset()
        window.PhotometricInterpretation = "MONOCHROME2"
        window.BitsStored, window.PixelRepresentation = 8, 0  # the range of the result
        window.add_new("WindowCenter", "FD", self.center)  # as a decimal string it may hold 16 characters only
        window.add_new("WindowWidth", "FD", self.width)
        window.VOILUTFunction = self.function
        with np.errstate(over="ignore"):  # far below a SIGMOID's centre
            return np.asarray(apply_windowing(values, window), dtype=np.float64)


@dataclass(frozen=True)
class Look:
    """What a DICOM header says of its film's grey.

    Attributes
    ----------
    modality : Table or Rescale or None
    voi : Table or Window or None
        None where the film brings none that can be used: percentiles.
    padding : (int, int) or None
        Least and greatest stored value that is padding.
    inverted : bool
        MONOCHROME1, or a presentation LUT of shape INVERSE.
    """

    modality: Table | Rescale | None = None
    voi: Table | Window | None = None
    padding: tuple[int, int] | None = None
    inverted: bool = False


def grey_of_stored(stored: NDArray[np.integer], look: Look) -> NDArray[np.uint8]:
    """(256 or 65536,) the grey of each value of a DICOM film, by the value's bits read as unsigned.

    Grey depends on nothing but a pixel's stored value, so it is worked out once a value, not once a pixel. Values that
    the film does not have are black.

    Parameters
    ----------
    stored : (H, W) of 8 or 16 bits, signed or not

    Raises
    ------
    ValueError
        Where every pixel is padding, or a value overflows.
    """
    codes = stored.view(f"u{stored.itemsize}")
    n_codes = 2 ** (8 * stored.itemsize)
    counts = sum(
        (np.bincount(codes[top : top + _ROWS].ravel(), minlength=n_codes) for top in range(0, len(codes), _ROWS)),
        start=np.zeros(n_codes, dtype=np.int64),
    )
    of_code = np.arange(n_codes, dtype=codes.dtype).view(stored.dtype).astype(np.float64)
    padding = np.zeros(n_codes, dtype=bool)
    if look.padding:
        padding = (of_code >= look.padding[0]) & (of_code <= look.padding[1])
    used = (counts > 0) & ~padding
    if not used.any():
        raise ValueError("every pixel is padding")
    with np.errstate(over="ignore", invalid="ignore"):  # judged below
        values = look.modality(of_code) if look.modality else of_code
        windowed = look.voi(values) if look.voi else values
    if not np.isfinite(values[used]).all():
        raise ValueError("a rescaled value is not finite")
    if used.sum() > 1 and not np.ptp(values[used]):
        raise ValueError("rescaling leaves one value")
    if look.voi and np.ptp(windowed[used]):
        values = windowed
        low, high = values[used].min(), values[used].max()
    else:
        low, high = _percentiles(values[used], counts[used])
    with np.errstate(over="ignore", invalid="ignore"):  # of values that no pixel has
        grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    if look.inverted:
        grey = 1 - grey
    grey[~used] = 0
    table: NDArray[np.uint8] = (grey * 255).round().astype(np.uint8)
    return table


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[np.float64, np.float64]:
    """``np.percentile(np.repeat(values, counts), PERCENTILES)`` without the repeated array."""
    order = np.argsort(values)
    last = np.cumsum(counts[order])  # how many pixels are at or below a value
    ranks = np.array(PERCENTILES) / 100 * (last[-1] - 1)
    below, above = (values[order][np.searchsorted(last, part(ranks), side="right")] for part in (np.floor, np.ceil))
    low, high = below + (above - below) * (ranks % 1)
    return low, high
