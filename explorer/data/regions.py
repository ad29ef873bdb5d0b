"""What readers marked, as pixels of a small picture of the film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


def inside_polygon(points: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside a polygon, by the even-odd rule.

    Drawing libraries also fill the pixels that the outline touches, which makes a small region 1 to 5% too large.

    Parameters
    ----------
    points : (P, 2)
        x and y of the corners; (0, 0) is the picture's upper left corner.

    Returns
    -------
    (height, width) bool

    Examples
    --------
    >>> inside_polygon(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]), 2, 3).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    y = np.arange(height) + 0.5
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, axis=0).T
    rows, edges = np.nonzero((y0 <= y[:, None]) != (y1 <= y[:, None]))  # each edge that crosses a row of centres
    x = x0[edges] + (y[rows] - y0[edges]) * (x1 - x0)[edges] / (y1 - y0)[edges]
    crossings = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(crossings, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    inside: NDArray[np.bool_] = crossings.cumsum(axis=1)[:, :-1] % 2 == 1
    return inside


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
            mask |= inside_polygon(np.asarray(polygon, dtype=float).reshape(-1, 2) * scale, height, width)
        middle = min(int(y + h / 2), height - 1), min(int(x + w / 2), width - 1)
        if not mask[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].any():
            mask[middle] = True
    return masks


def consensus(masks: dict[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """What at least half of those who looked marked: one reader's own, two readers' union. Who found nothing counts."""
    votes = np.stack(list(masks.values())).mean(axis=0)
    agreed: NDArray[np.bool_] = votes >= 0.5
    return agreed
