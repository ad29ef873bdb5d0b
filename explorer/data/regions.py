"""What readers marked, as pixels of a small picture of the film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

GRID = 192
"""Long side of the picture regions and maps are compared on: a ViT's patch is about 14 pixels of it."""


def grid_size(height: int, width: int) -> tuple[int, int, float]:
    """(height, width) of that picture, and its pixels for one of the film."""
    scale = GRID / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale)), scale


def with_shape(annotations: pd.DataFrame) -> pd.DataFrame:
    """The annotations with a shape. In a row without one, the reader looked for the label and found nothing."""
    shapes: pd.DataFrame = annotations[annotations["x"].notna()]
    return shapes


def reader_masks(annotations: pd.DataFrame, height: int, width: int, scale: float) -> dict[str, NDArray[np.bool_]]:
    """Each reader's marks on one film for one label.

    Parameters
    ----------
    annotations : DataFrame
        annotator, x, y, w, h, polygon, in film pixels. Where the reader found nothing, x, y, w and h are NaN. The
        polygon is (2P,) or None.
    height, width, scale
        As :func:`grid_size` gives them.

    Returns
    -------
    dict of (height, width) bool
        The union of a reader's boxes and polygons, empty where the reader found nothing. A mark smaller than a pixel
        still covers the pixel it lies in.
    """
    masks: dict[str, NDArray[np.bool_]] = {}
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    boxes = annotations[["x", "y", "w", "h"]].to_numpy(dtype=float) * scale
    for (x, y, w, h), polygon, reader in zip(boxes, annotations["polygon"], annotations["annotator"], strict=True):
        mask = masks.setdefault(str(reader), np.zeros((height, width), dtype=bool))
        if np.isnan(x):
            continue
        if polygon is None:
            mask |= ((rows >= y) & (rows < y + h))[:, None] & ((columns >= x) & (columns < x + w))[None]
        else:
            picture = Image.new("1", (width, height))
            points = (np.asarray(polygon, dtype=float) * scale - 0.5).tolist()  # PIL counts pixel centres
            ImageDraw.Draw(picture).polygon(points, fill=1)
            mask |= np.asarray(picture, dtype=bool)
        middle = min(int(y + h / 2), height - 1), min(int(x + w / 2), width - 1)
        if not mask[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].any():
            mask[middle] = True
    return masks


def consensus(masks: dict[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """What at least half of those who looked marked: one reader's own, two readers' union. Who found nothing counts."""
    votes = np.stack(list(masks.values())).mean(axis=0)
    agreed: NDArray[np.bool_] = votes >= 0.5
    return agreed
