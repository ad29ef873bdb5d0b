"""What a film's picture says of how it was taken: border, collimation, marker; and its brightness, noise, sharpness."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURES: tuple[str, ...] = ("dark border", "collimated", "marker in the margin", "brightness", "sharpness", "noise")
"""In the order of :func:`measure`."""

PICTURE_MEASURES = MEASURES[3:]
"""Of the picture as a whole: body and disease change them, too."""

BLACK = 16
"""Grey levels of 255 above a film's darkest place that count as unexposed."""
DARKEST = 48
"""A film whose darkest place is brighter than this has nothing unexposed."""
STANDS_OUT = 0.4
"""Share of a film's range, by which a small thing in the margin is brighter than its surroundings if it is a marker."""
LEAST_RANGE = 64
"""Grey levels that a film's range counts as at least: on a plain film every speck would stand out."""

BLURS = (0.7, 1.4, 2.8)
"""Standard deviations, in pixels, between which detail is measured."""


def measure(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Six figures of one film's thumbnail, by ``MEASURES``.

    Parameters
    ----------
    picture : (h, w) grey

    Returns
    -------
    (6,) float32, 0 or more
        The unexposed share of the outer twentieth. The share of the area cut off by collimation: whole rows and columns
        from the edge, of which nine tenths are unexposed. The share of the outer fifth that stands out from what
        surrounds it, as side markers and print do, white or grey. The mean grey level over 255. Detail of one pixel
        over detail of two, which blur lowers. The noise's standard deviation in grey levels (Immerkaer, CVIU 1996),
        which blur lowers, too.

    Notes
    -----
    The first three are taken after a median filter and from the film's own darkest place and range. Otherwise noise
    would pass for less collimation, and a brighter film for more markers.

    Examples
    --------
    >>> measure(np.full((40, 40), 128, np.uint8)).round(2).tolist()
    [0.0, 0.0, 0.0, 0.5, 0.0, 0.0]
    """
    smooth = np.asarray(cv2.medianBlur(np.ascontiguousarray(picture), 5), dtype=np.uint8)
    darkest = int(smooth.min())
    dark = smooth <= (darkest + BLACK if darkest <= DARKEST else -1)
    height, width = _lit(dark.mean(axis=1)), _lit(dark.mean(axis=0))
    grey = picture.astype(np.float32)
    noise = _noise(grey)
    return np.array(
        [
            dark[_margin(picture.shape, 1 / 20)].mean(),
            1 - height * width,
            _stands_out(smooth)[_margin(picture.shape, 1 / 5)].mean(),
            grey.mean() / 255,
            _sharpness(grey, noise),
            noise,
        ],
        dtype=np.float32,
    )


def _stands_out(smooth: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h, w) what is narrower than a twenty-fourth of the picture and much brighter than what surrounds it."""
    side = max(smooth.shape) // 48 * 2 + 1  # odd: an even one has no middle
    above = cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, np.ones((side, side), np.uint8))
    low, high = np.percentile(smooth, [1, 99])
    stands_out: NDArray[np.bool_] = above >= STANDS_OUT * max(high - low, LEAST_RANGE)
    return stands_out


def _noise(grey: NDArray[np.float32]) -> float:
    """The mean absolute response to a mask that is blind to slopes and edges, as a normal noise's deviation."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(grey, -1, mask)).mean())


def _sharpness(grey: NDArray[np.float32], noise: float) -> float:
    """Detail of one pixel over detail of two, each without what white noise of that deviation puts there."""
    pictures = [cv2.GaussianBlur(grey, (0, 0), scale) for scale in BLURS]
    detail = []
    for fine, coarse, (a, b) in zip(pictures, pictures[1:], pairwise(BLURS), strict=False):
        gain = 1 / (4 * np.pi * a**2) + 1 / (4 * np.pi * b**2) - 1 / (np.pi * (a**2 + b**2))
        detail.append(np.pi / 2 * float(np.abs(fine - coarse).mean()) ** 2 - gain * noise**2)
    return float(np.sqrt(max(detail[0], 0) / detail[1])) if detail[1] > 1e-6 else 0.0


def _margin(shape: tuple[int, ...], share: float) -> NDArray[np.bool_]:
    mask = np.ones(shape, dtype=bool)
    top, left = max(1, round(shape[0] * share)), max(1, round(shape[1] * share))
    mask[top:-top, left:-left] = False
    return mask


def _lit(dark: NDArray[np.floating]) -> float:
    """Share of rows or columns between the first and the last that are not nearly all unexposed."""
    lit = np.flatnonzero(dark < 0.9)
    return (lit[-1] - lit[0] + 1) / len(dark) if len(lit) else 0.0
