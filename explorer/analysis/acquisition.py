"""What a film's picture tells of how it was taken, without its content: border, collimation, marker, brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURES: tuple[str, ...] = ("dark border", "collimated", "white in the margin", "brightness")
"""In the order of :func:`measure`."""

BLACK, WHITE = 16, 240
"""Grey levels of 255 that count as unexposed, and as a marker's lead or print."""


def measure(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Four shares of one film's thumbnail, by ``MEASURES``.

    Parameters
    ----------
    picture : (h, w) grey

    Returns
    -------
    (4,) float32, each 0 to 1
        The black share of the outer twentieth; the share of the area cut off by collimation; the white share of the
        outer fifth, where side markers and print lie; the mean grey level. Collimation counts whole rows and columns
        from the edge of which nine tenths are black. The grey level is exposure, but also body and disease.

    Examples
    --------
    >>> measure(np.full((40, 40), 128, np.uint8)).round(2).tolist()
    [0.0, 0.0, 0.0, 0.5]
    """
    dark = picture <= BLACK
    height, width = _lit(dark.mean(axis=1)), _lit(dark.mean(axis=0))
    return np.array(
        [
            dark[_margin(picture.shape, 1 / 20)].mean(),
            1 - height * width,
            (picture >= WHITE)[_margin(picture.shape, 1 / 5)].mean(),
            picture.mean() / 255,
        ],
        dtype=np.float32,
    )


def _margin(shape: tuple[int, ...], share: float) -> NDArray[np.bool_]:
    mask = np.ones(shape, dtype=bool)
    top, left = max(1, round(shape[0] * share)), max(1, round(shape[1] * share))
    mask[top:-top, left:-left] = False
    return mask


def _lit(dark: NDArray[np.floating]) -> float:
    """Share of rows or columns between the first and the last that are not nearly all black."""
    lit = np.flatnonzero(dark < 0.9)
    return (lit[-1] - lit[0] + 1) / len(dark) if len(lit) else 0.0
