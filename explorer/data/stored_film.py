"""A film as its file stores it: values of up to 16 bits, and the 8-bit grey that each of them becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.grey import Rescale, Table


@dataclass(frozen=True)
class Spacing:
    """Millimetres between the centres of neighbouring pixels.

    Attributes
    ----------
    row, column : float
        From one row to the next, and from one column to the next.
    at_detector : bool
        Measured at the detector (ImagerPixelSpacing), where the body appears larger than it is. Otherwise the header
        calls it calibrated (PixelSpacing).
    """

    row: float
    column: float
    at_detector: bool


@dataclass(frozen=True, eq=False)
class StoredFilm:
    """A film's own values.

    Attributes
    ----------
    values : (H, W)
        As stored: 8 or 16 bits, signed or not.
    grey : (256 or 65536,) uint8
        The grey of each value, by its bits read as unsigned.
    bits : int
        The stored depth.
    modality : Table or Rescale or None
        From stored values to the modality's.
    padding : (int, int) or None
        Least and greatest stored value that is padding.
    inverted : bool
        Whether a greater value is darker.
    spacing : Spacing or None
    """

    values: NDArray[np.integer]
    grey: NDArray[np.uint8]
    bits: int
    modality: Table | Rescale | None = None
    padding: tuple[int, int] | None = None
    inverted: bool = False
    spacing: Spacing | None = None

    def picture(self) -> Image.Image:
        """The film as 8-bit grey: what models see, and what a viewer shows at first."""
        return Image.fromarray(np.take(self.grey, self.values.view(f"u{self.values.itemsize}")))
