"""A film, a saliency map and annotations in one picture, registered to the film's own pixels. No Streamlit."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from explorer.data.geometry import spread
from explorer.data.regions import with_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Colours = Literal["tint", "heat", "none"]

_RAMP = np.array([[66, 10, 104], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float32)
"""Four stops of inferno: even to the eye, and it survives colour blindness and print."""

_FOR, _AGAINST = (255, 120, 0), (0, 130, 255)
"""Orange raises a logit, blue lowers it: apart for every kind of colour blindness."""


@dataclass(frozen=True)
class MapStyle:
    """How a map is drawn.

    Attributes
    ----------
    colours : "tint", "heat" or "none"
        A tint changes hue alone and keeps every grey of the film; heat covers it.
    opacity : float
        0..1, of the map's maximum.
    contour : float
        A line around what reaches this share of the map's maximum; 0 for no line.
    against : bool
        Evidence against, in blue.
    """

    colours: Colours = "tint"
    opacity: float = 0.6
    contour: float = 0.5
    against: bool = False


@dataclass(frozen=True)
class Canvas:
    """A film at the size it is drawn in.

    Attributes
    ----------
    grey : (h, w) float32
    scale : float
        Pixels of it for one of the film.
    film_size : width, height
        Of the film in its own pixels.
    """

    grey: NDArray[np.float32]
    scale: float
    film_size: tuple[int, int]


@dataclass(frozen=True)
class MapLayers:
    """A map as layers that a browser lays on the film, whatever its window, zoom and turn.

    Attributes
    ----------
    png : bytes
        Colour and opacity over the whole film, at most ``LAYER_SIDE`` pixels; empty where no map is drawn.
    blend : str
        How it is composited, by the names of CSS: ``color`` changes hue alone, as :func:`compose` does for a tint.
    contours : list of (n, 2) lists
        Closed lines, in film pixels.
    colour : str
        Of the lines.
    seen : x, y, w, h
        What the model sees, in film pixels.
    """

    png: bytes
    blend: Literal["color", "source-over"]
    contours: list[list[list[float]]]
    colour: str
    seen: Box


LAYER_SIDE = 512
"""A map varies slowly: its layer needs no more pixels, and the browser interpolates."""


def to_canvas(film: Image.Image, long_side: int) -> Canvas:
    """A film reduced to a picture's size; never enlarged."""
    scale = min(1.0, long_side / max(film.size))
    size = (max(1, round(film.width * scale)), max(1, round(film.height * scale)))
    return Canvas(np.asarray(film.resize(size, Image.Resampling.LANCZOS), dtype=np.float32), scale, film.size)


def compose(
    film: Canvas, grid: NDArray[np.float32] | None, seen: Box, annotations: pd.DataFrame, look: MapStyle
) -> Image.Image:
    """Draw a film with its map and annotations.

    Parameters
    ----------
    film : Canvas
    grid : (g, g) or None
        The map over the model's patches, 0 or more. Drawn relative to its own maximum: colour and opacity both rise
        with it, so that what the model ignores stays film.
    seen : x, y, w, h
        What the model sees, in film pixels; the rest is hatched.
    annotations : DataFrame
        x, y, w, h, polygon, in film pixels, and colour.
    look : MapStyle
    """
    picture = np.repeat(film.grey[..., None], 3, axis=2)  # (h, w, 3)
    height, width = film.grey.shape
    shown = tuple(side * film.scale for side in seen)
    x, y, w, h = shown
    share = None
    if grid is not None and grid.max() > 0:
        share = _share(grid, (x, y, w, h), height, width)
        picture = _painted(picture, share, look)
    picture[_hatch((width, height), (x, y, w, h))] *= 0.35
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    if share is not None and look.contour > 0:
        _draw_contour(image, share >= look.contour, _colour(look))
    draw_annotations(image, annotations, film.scale)
    return image


def map_layers(grid: NDArray[np.float32] | None, seen: Box, size: tuple[int, int], look: MapStyle) -> MapLayers:
    """What :func:`compose` draws of a map, without the film.

    Parameters
    ----------
    grid : (g, g) or None
        As for :func:`compose`.
    seen : x, y, w, h
        In film pixels.
    size : width, height
        Of the film in its own pixels.
    """
    scale = min(1.0, LAYER_SIDE / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    png, contours = b"", []
    if grid is not None and grid.max() > 0:
        share = _share(grid, (seen[0] * scale, seen[1] * scale, seen[2] * scale, seen[3] * scale), height, width)
        if look.colours != "none":
            png = as_png(Image.fromarray(_layer(share, look)))
        if look.contour > 0:
            lines, _ = cv2.findContours(
                (share >= look.contour).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
            )
            contours = [((line[:, 0] + 0.5) / scale).round(1).tolist() for line in lines]
    blend: Literal["color", "source-over"] = "color" if look.colours == "tint" else "source-over"
    return MapLayers(png, blend, contours, "#{:02x}{:02x}{:02x}".format(*_colour(look)), seen)


def _layer(share: NDArray[np.float32], look: MapStyle) -> NDArray[np.uint8]:
    """(h, w, 4) the map's colour, and its opacity."""
    colour = _ramp(share) if look.colours == "heat" else np.broadcast_to(_colour(look), (*share.shape, 3))
    return np.dstack([colour, 255 * look.opacity * share]).round().astype(np.uint8)


def _share(grid: NDArray[np.float32], seen: Box, height: int, width: int) -> NDArray[np.float32]:
    """(h, w) of a map's maximum; 0 where the model never looked."""
    share: NDArray[np.float32] = np.nan_to_num(spread(grid / grid.max(), seen, height, width)).clip(0, 1)
    return share


def _colour(look: MapStyle) -> tuple[int, int, int]:
    return _AGAINST if look.against else _FOR


def as_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def as_jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def _painted(picture: NDArray[np.float32], share: NDArray[np.float32], look: MapStyle) -> NDArray[np.float32]:
    alpha = (look.opacity * share)[..., None]
    if look.colours == "heat":
        return (1 - alpha) * picture + alpha * _ramp(share)
    if look.colours == "tint":
        colour = np.array(_colour(look), dtype=np.float32)
        # hue without lightness (ITU-R BT.601): adding it leaves every grey as light as it was
        hue = colour - colour @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return picture + alpha * hue
    return picture


def _ramp(share: NDArray[np.float32]) -> NDArray[np.float32]:
    stops = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(share, stops, _RAMP[:, channel]) for channel in range(3)], axis=-1)


def _hatch(size: tuple[int, int], seen: Box) -> NDArray[np.bool_]:
    """(h, w) diagonal stripes wherever the model does not look."""
    x, y, w, h = seen
    cols, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    outside: NDArray[np.bool_] = (cols < x) | (cols > x + w) | (rows < y) | (rows > y + h)
    stripes: NDArray[np.bool_] = (cols + rows) % 12 < 7
    return outside & stripes


def _draw_contour(image: Image.Image, inside: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    pen = ImageDraw.Draw(image)
    lines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    width = max(1, max(image.size) // 450)
    for line in lines:
        points = [(int(px), int(py)) for px, py in line[:, 0]]
        pen.line([*points, points[0]], fill=colour, width=width)


def draw_annotations(image: Image.Image, annotations: pd.DataFrame, scale: float) -> None:
    """Outline boxes and polygons."""
    pen = ImageDraw.Draw(image)
    width = max(1, max(image.size) // 300)
    shapes = with_shape(annotations)
    boxes = shapes[["x", "y", "w", "h"]].to_numpy(dtype=float) * scale
    for (x, y, w, h), polygon, colour in zip(boxes.tolist(), shapes["polygon"], shapes["colour"], strict=True):
        if polygon is None:
            pen.rectangle((x, y, x + w, y + h), outline=colour, width=width)
        else:
            points = [(px * scale, py * scale) for px, py in np.asarray(polygon, dtype=float).reshape(-1, 2).tolist()]
            pen.line([*points, points[0]], fill=colour, width=width)
