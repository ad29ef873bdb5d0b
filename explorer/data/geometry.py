"""The exact geometry of preprocessing, forwards to the model's pixels and back to the film's.

Mirrors open_clip's evaluation transform (``open_clip.transform.image_transform_v2``): resize, then centre crop or pad,
both in 8-bit PIL; a test holds the two equal bit for bit. Written without torch so that worker processes and pages stay
light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import cv2
import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESIZE_MODES: dict[Literal["crop", "pad"], Literal["shortest", "longest"]] = {"crop": "shortest", "pad": "longest"}
"""What a user may choose in place of the model's own resizing."""

Decode = Literal["exact", "fast"]
"""``exact``: every pixel of the film is decoded. ``fast``: a large film is halved while it is decoded."""
_SPARE = 2
"""A film that is halved while it is decoded keeps at least this many times the pixels a side that the model sees."""

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class Fit(BaseModel):
    """How a film is brought to the model's square.

    Attributes
    ----------
    size : int
        Side of the model's input, S pixels.
    interpolation : str
        Resampling filter of the resize.
    resize_mode : str
        ``shortest``: the short side becomes S and the middle S x S is cut out. ``longest``: the long side becomes S and
        the rest is padded with black. open_clip pads with black, and a film is black beyond its collimation.
        ``squash``: both sides become S.
    resize_to : int, optional
        The side to resize to in place of S, of which the middle S x S is then cut out.
    decode : str
        ``exact``: preprocessing is open_clip's, bit for bit. ``fast``: a large film is halved up to three times first,
        which changes pixels by a grey level or so.
    """

    model_config = ConfigDict(frozen=True)

    size: Annotated[int, Field(ge=1, le=1024)]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    resize_to: Annotated[int, Field(ge=1, le=2048)] | None = Field(default=None, exclude_if=lambda side: side is None)
    decode: Decode = Field(default="exact", exclude_if=lambda decode: decode == "exact")  # other keys stay as they were

    @model_validator(mode="after")
    def _covers_its_input(self) -> Fit:
        if self.resize_to is not None and (self.resize_to < self.size or self.resize_mode == "longest"):
            raise ValueError(f"a film resized to {self.resize_to} ({self.resize_mode}) does not cover {self.size}")
        return self

    @property
    def words(self) -> str:
        """What the model sees of a film, in words."""
        what = {
            "shortest": "a film's middle square",
            "longest": "the whole film, padded with black to a square",
            "squash": "the whole film, squashed to a square",
        }
        margin = f", less the margin beyond {self.size / self.resize_to:.1%} of its sides" if self.resize_to else ""
        reduced = ", halved while it is decoded where it is large" if self.decode == "fast" else ""
        return f"{what[self.resize_mode]}{margin}, at {self.size} x {self.size} pixels{reduced}"

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the film after the resize, before the crop or padding."""
        side = self.resize_to or self.size
        if self.resize_mode == "squash":
            return side, side
        short, long = min(height, width), max(height, width)
        if self.resize_mode == "longest":
            ratio = long / self.size
            return round(height / ratio), round(width / ratio)
        other = int(side * long / short)  # truncated, as torchvision does
        return (other, side) if height > width else (side, other)

    def offset(self, height: int, width: int) -> tuple[int, int]:
        """(top, left) of the crop in the resized film; negative where it is padded."""
        tall, wide = self.resized(height, width)
        if self.resize_mode == "longest":
            return -((self.size - tall) // 2), -((self.size - wide) // 2)
        return round((tall - self.size) / 2.0), round((wide - self.size) / 2.0)

    def reduction(self, height: int, width: int) -> int:
        """By what a film's sides are divided while it is decoded: 1, 2, 4 or 8; always 1 where ``decode`` is exact."""
        if self.decode == "exact":
            return 1
        tall, wide = self.resized(height, width)
        return next((by for by in (8, 4, 2) if height >= _SPARE * by * tall and width >= _SPARE * by * wide), 1)

    def apply(self, film: Image.Image, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """The model's pixels of a grey film: (S, S) uint8.

        Parameters
        ----------
        film : PIL.Image.Image
        size : width, height
            Of the whole film, where its picture is reduced by :meth:`reduction`, the sides rounded up.
        """
        width, height = size or film.size
        by = self.reduction(height, width) if size else 1
        tall, wide = self.resized(height, width)
        top, left = self.offset(height, width)
        small = film.resize((wide, tall), _RESAMPLING[self.interpolation], box=(0, 0, width / by, height / by))
        return np.asarray(small.crop((left, top, left + self.size, top + self.size)))  # black beyond the film

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """(x, y, w, h) of what the model sees, in the film's own pixels; it reaches beyond a padded film."""
        tall, wide = self.resized(height, width)
        top, left = self.offset(height, width)
        sx, sy = width / wide, height / tall
        return left * sx, top * sy, self.size * sx, self.size * sy

    def to_film(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Carry a map over the model's square back onto the film.

        Parameters
        ----------
        values : (g, g)
            A patch map; each value stands at its patch's centre.
        height, width : int
            The film's size in pixels.

        Returns
        -------
        (height, width) float32
            Bilinear between patch centres, NaN where the model never looked.
        """
        return spread(values, self.window(height, width), height, width)

    def to_picture(
        self, values: NDArray[np.float32], height: int, width: int, tall: int, wide: int
    ) -> NDArray[np.float32]:
        """As :meth:`to_film`, on a (tall, wide) picture of the whole film."""
        x, y, w, h = self.window(height, width)
        across, down = wide / width, tall / height
        return spread(values, (x * across, y * down, w * across, h * down), tall, wide)


def spread(
    values: NDArray[np.float32], seen: tuple[float, float, float, float], height: int, width: int
) -> NDArray[np.float32]:
    """Spread a map over a picture of the film at any scale.

    Parameters
    ----------
    values : (g, g)
        A patch map; each value stands at its patch's centre.
    seen : x, y, w, h
        What the model sees, in the picture's pixels.
    height, width : int
        The picture's size.

    Returns
    -------
    (height, width) float32
        Bilinear between patch centres, NaN where the model never looked.
    """
    x, y, w, h = seen
    g = values.shape[0]
    # pixel centre -> patch coordinate, whose centre k lies at k
    cols = ((np.arange(width) + 0.5 - x) / w * g - 0.5).astype(np.float32)
    rows = ((np.arange(height) + 0.5 - y) / h * g - 0.5).astype(np.float32)
    grid_x, grid_y = np.meshgrid(cols, rows)
    film: NDArray[np.float32] = cv2.remap(  # type: ignore[assignment]
        np.ascontiguousarray(values, dtype=np.float32),
        grid_x,
        grid_y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    outside = (grid_x < -0.5) | (grid_x > g - 0.5) | (grid_y < -0.5) | (grid_y > g - 0.5)
    film[outside] = np.nan
    return film
