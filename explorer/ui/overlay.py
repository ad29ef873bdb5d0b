"""A film, a saliency map and annotations in one picture, registered to the film's own pixels. No Streamlit."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG_SIDE = 900
"""Pixels of the picture's long side: enough for a column on any screen."""

_RAMP = np.array([[66, 10, 104], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float32)
"""Four stops of inferno: even to the eye, and it survives colour blindness and print."""

_LINE = (0, 230, 255)


def compose(
    film: Image.Image,
    values: NDArray[np.float32] | None,
    seen: tuple[float, float, float, float],
    annotations: pd.DataFrame,
    opacity: float,
) -> bytes:
    """Draw a film with its map and annotations.

    Parameters
    ----------
    film : Image
        Grey, (H, W).
    values : (H, W) or None
        The map on the film's pixels, 0 or more, NaN outside the model's crop. Coloured relative to its own maximum:
        colour and opacity both rise with it, so that what the model ignores stays film.
    seen : x, y, w, h
        What the model sees, in film pixels; the rest is hatched.
    annotations : DataFrame
        x, y, w, h, polygon in film pixels.
    opacity : float
        0..1, of the map's maximum.

    Returns
    -------
    bytes
        A JPEG of at most LONG_SIDE pixels.
    """
    scale = min(1.0, LONG_SIDE / max(film.size))
    size = (round(film.width * scale), round(film.height * scale))
    grey = np.asarray(film.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    picture = np.repeat(grey[..., None], 3, axis=2)  # (h, w, 3)
    if values is not None and np.nanmax(values) > 0:
        share = np.nan_to_num(values / np.nanmax(values))
        small = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR))  # (h, w)
        alpha = (opacity * np.clip(small, 0, 1))[..., None]
        picture = (1 - alpha) * picture + alpha * _coloured(small)
    picture[_hatch(size, seen, scale)] *= 0.35
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    _draw(image, annotations, scale)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def _coloured(share: NDArray[np.float32]) -> NDArray[np.float32]:
    stops = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(share, stops, _RAMP[:, channel]) for channel in range(3)], axis=-1)


def _hatch(size: tuple[int, int], seen: tuple[float, float, float, float], scale: float) -> NDArray[np.bool_]:
    """(h, w) diagonal stripes wherever the model does not look."""
    x, y, w, h = (side * scale for side in seen)
    cols, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    outside: NDArray[np.bool_] = (cols < x) | (cols > x + w) | (rows < y) | (rows > y + h)
    stripes: NDArray[np.bool_] = (cols + rows) % 12 < 7
    return outside & stripes


def _draw(image: Image.Image, annotations: pd.DataFrame, scale: float) -> None:
    pen = ImageDraw.Draw(image)
    boxes = annotations[["x", "y", "w", "h"]].to_numpy(dtype=float) * scale
    for (x, y, w, h), polygon in zip(boxes.tolist(), annotations["polygon"], strict=True):
        if polygon is None:
            pen.rectangle((x, y, x + w, y + h), outline=_LINE, width=3)
        else:
            points = [(px * scale, py * scale) for px, py in np.asarray(polygon, dtype=float).reshape(-1, 2).tolist()]
            pen.line([*points, points[0]], fill=_LINE, width=3)
