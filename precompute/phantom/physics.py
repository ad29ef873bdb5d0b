"""X-ray physics of a parallel beam: chord lengths of simple bodies, Beer-Lambert, scatter and quantum noise.

All lengths are millimetres on a square canvas with one pixel per millimetre. So a chord follows directly
from the formula of the body. The beam runs along z, away from the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
CurvePoints = NDArray[np.float64]
Rows = NDArray[np.floating[Any]]

SIZE = 448
ORIGIN = (224.0, 112.0)
"""Canvas pixel (column, row) of the body's origin: the midline at the height of the lung apices."""

MU_SOFT = 0.0205
MU_BONE = 0.0509
MU_METAL = 0.667
"""Linear attenuation per mm at 70 keV, the effective energy of a hard chest beam. From NIST XCOM/XAAMDI mass
attenuation, interpolated between the tabulated 60 and 80 keV: ICRU-44 soft tissue (0.193 cm2/g x 1.06 g/cm3),
cortical bone (0.265 x 1.92) and iron (0.847 x 7.87).
https://physics.nist.gov/PhysRefData/XrayMassCoef/
"""

LUNG_DENSITY = 0.26
"""Density of inflated lung relative to soft tissue (ICRU-44: 0.26 g/cm3)."""

X: Image = (np.arange(SIZE, dtype=np.float32) - ORIGIN[0])[None, :]
Y: Image = (np.arange(SIZE, dtype=np.float32) - ORIGIN[1])[:, None]
"""Body coordinates of the pixel centres in mm, ``(1, SIZE)`` and ``(SIZE, 1)``: x grows to the patient's
left (the reader's right), y towards the feet."""


@dataclass(frozen=True)
class Tube:
    """A tube around a curve: ``points`` (N, 2) or (N, 3) in mm, ``radius`` in mm, one or one per point."""

    points: CurvePoints
    radius: float | CurvePoints


def canvas() -> Image:
    """An empty canvas ``(SIZE, SIZE)``."""
    return np.zeros((SIZE, SIZE), np.float32)


def box(x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
    """Rows and columns of the canvas that hold the rectangle, clipped to the canvas."""
    column, row = ORIGIN
    left, right, top, bottom = np.clip(
        [int(x0 + column) - 1, int(x1 + column) + 2, int(y0 + row) - 1, int(y1 + row) + 2], 0, SIZE
    )
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def add_ellipsoid(
    image: Image,
    centre: tuple[float, float],
    radii: tuple[float, float, float],
    scale: float = 1.0,
    angle: float = 0.0,
) -> None:
    """Add ``scale`` times the chord of an ellipsoid to ``image``, in place.

    Parameters
    ----------
    image : (SIZE, SIZE) array
    centre : x, y in mm
    radii : half axes along x, y and z in mm
    scale : 1 for mm of path; negative for a cavity
    angle : rotation in the film plane, degrees

    Examples
    --------
    >>> film = canvas()
    >>> add_ellipsoid(film, (0, 0), (10, 10, 10))
    >>> float(film[int(ORIGIN[1]), int(ORIGIN[0])])
    20.0
    """
    a, b, c = radii
    turn = np.deg2rad(angle)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    wide, high = np.hypot(a * cos, b * sin), np.hypot(a * sin, b * cos)
    rows, columns = box(centre[0] - wide, centre[0] + wide, centre[1] - high, centre[1] + high)
    dx, dy = X[:, columns] - centre[0], Y[rows] - centre[1]
    u, v = (dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b
    image[rows, columns] += scale * 2 * c * np.sqrt(np.maximum(1 - u * u - v * v, 0))


def stack(centre: Rows, half_width: Rows, half_depth: Rows, power: float = 2.0) -> Image:
    """Chord of a body whose axial slices are (super)ellipses.

    Parameters
    ----------
    centre, half_width, half_depth : (SIZE,) arrays
        The slice of every row: its middle, half its width and half its depth, mm. No body where
        the half width is not positive.
    power : 2 for ellipses, more for boxier slices

    Returns
    -------
    (SIZE, SIZE) array of path lengths, mm
    """
    image = canvas()
    rows = np.nonzero(half_width > 0)[0]
    if not len(rows):
        return image
    left = float((centre - half_width)[rows].min())
    right = float((centre + half_width)[rows].max())
    band, columns = box(left, right, float(Y[rows[0], 0]), float(Y[rows[-1], 0]))
    width = np.maximum(half_width[band], 1e-3).astype(np.float32)[:, None]
    depth = np.where(half_width[band] > 0, 2 * half_depth[band], 0).astype(np.float32)[:, None]
    u = np.abs(X[:, columns] - centre[band].astype(np.float32)[:, None]) / width
    # A table is several times faster than two powers per pixel.
    grid = np.linspace(0, 1, 2049)
    table = ((1 - grid**power) ** (1 / power)).astype(np.float32)
    image[band, columns] = depth * table[np.minimum(u * np.float32(2048), 2048).astype(np.int32)]
    return image


def walk(tubes: list[Tube], step: float = 0.9) -> Image:
    """Samples every ``step`` mm along the curves of all tubes, as one array.

    Returns
    -------
    (M, 6) array: x, y, direction x and y in the film, radius, and path length per projected length
    """
    points = np.zeros((sum(len(tube.points) for tube in tubes), 3))
    radius = np.empty(len(points))
    joint = np.zeros(len(points) - 1, bool)
    end = 0
    for tube in tubes:
        start, end = end, end + len(tube.points)
        points[start:end, : tube.points.shape[1]] = tube.points
        radius[start:end] = tube.radius
        joint[end - 1 : end] = True  # no segment leads from one tube to the next
    leap = np.diff(points, axis=0)
    flat = np.where(joint, 0, np.hypot(leap[:, 0], leap[:, 1]))
    along = np.concatenate([[0.0], np.cumsum(flat)])
    place = np.arange(0, along[-1], step)
    segment = np.clip(np.searchsorted(along, place, side="right") - 1, 0, len(flat) - 1)
    length = np.maximum(flat[segment], 1e-9)
    share = ((place - along[segment]) / length)[:, None]
    slant = np.minimum(np.hypot(length, leap[segment, 2]) / length, 3.0)
    spread = radius[segment] + share[:, 0] * (radius[segment + 1] - radius[segment])
    middle = points[segment, :2] + share * leap[segment, :2]
    samples = np.column_stack([middle, leap[segment, :2] / length[:, None], spread, slant])
    return np.asarray(samples, np.float32)


def add_tubes(image: Image, tubes: list[Tube], scale: float = 1.0, hollow: float = 0.0) -> None:
    """Add the chords of tubes to ``image``, in place; where tubes of one call cross, the nearest counts.

    One labelled distance transform serves all tubes: every pixel learns its nearest sample of any curve and
    measures its exact distance to the tangent there. A curve with a z axis is longer along the beam where
    it runs into depth. So ribs are bright at the chest wall.

    Parameters
    ----------
    image : (SIZE, SIZE) array
    tubes : curves with radii
    scale : 1 for mm of path
    hollow : share of the radius that is empty (a rib's marrow, a catheter's lumen)
    """
    if not tubes:
        return
    sample = walk(tubes)
    column = np.rint(sample[:, 0] + ORIGIN[0]).astype(int)
    row = np.rint(sample[:, 1] + ORIGIN[1]).astype(int)
    keep = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
    sample, column, row = sample[keep], column[keep], row[keep]
    if not len(sample):
        return
    reach = int(sample[:, 4].max()) + 3
    top, left = max(int(row.min()) - reach, 0), max(int(column.min()) - reach, 0)
    seeds = np.ones((min(row.max() + reach, SIZE) - top, min(column.max() + reach, SIZE) - left), np.uint8)
    seeds[row - top, column - left] = 0
    distance, label = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(int(label.max()) + 1, np.int64)
    lookup[label[row - top, column - left]] = np.arange(len(sample))
    far = distance.ravel()
    inside = np.flatnonzero(far < float(sample[:, 4].max()) + 1.5)
    nearest = lookup[np.asarray(label, np.int64).ravel().take(inside)]
    touched = far.take(inside) < sample[:, 4].take(nearest) + 1.5
    rows, columns = np.divmod(inside[touched], distance.shape[1])
    rows, columns = rows + top, columns + left
    x, y, ahead_x, ahead_y, radius, slant = np.ascontiguousarray(sample.T).take(nearest[touched], axis=1)
    dx, dy = X[0].take(columns) - x, Y[:, 0].take(rows) - y
    across = dx * ahead_y - dy * ahead_x
    along = np.maximum(np.abs(dx * ahead_x + dy * ahead_y) - 1, 0)
    square = across * across + along * along
    # A tube thinner than a pixel is widened and thinned out by the same factor, else it would flicker.
    widened = np.maximum(radius, 0.9)
    chord = 2 * np.sqrt(np.maximum(widened**2 - square, 0))
    if hollow:
        chord -= 2 * np.sqrt(np.maximum((hollow * widened) ** 2 - square, 0))
    # No pixel is listed twice, so adding in place is safe.
    image[rows, columns] += (scale * chord * slant * (radius / widened) ** 2).astype(np.float32)


def near_tubes(tubes: list[Tube], margin: float) -> Mask:
    """The region within ``margin`` mm of any of the tubes, ``(SIZE, SIZE)``."""
    image = canvas()
    add_tubes(image, [Tube(tube.points, np.asarray(tube.radius) + margin) for tube in tubes])
    return image > 0


def smooth(image: Image, sigma: float) -> Image:
    """Gaussian blur; wide ones are computed on a coarse grid, where they cost nothing."""
    factor = max(1, int(sigma / 1.7))
    if factor == 1:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    high, wide = image.shape
    small = cv2.resize(image, (-(-wide // factor), -(-high // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (wide, high), interpolation=cv2.INTER_LINEAR), np.float32)


def texture(rng: np.random.Generator, scale: float, shape: tuple[int, int] = (SIZE, SIZE)) -> Image:
    """Smooth noise of unit variance whose grains are about ``scale`` pixels wide."""
    small = (max(int(shape[1] / scale), 2) + 2, max(int(shape[0] / scale), 2) + 2)
    grains = rng.standard_normal(small[::-1], np.float32)
    return np.asarray(cv2.resize(grains, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32) * 1.25


def path_integral(soft: Any, bone: Any = 0.0, metal: Any = 0.0) -> Any:
    """Attenuation along the ray from mm of soft tissue, bone (in place of soft tissue) and metal."""
    return MU_SOFT * soft + (MU_BONE - MU_SOFT) * bone + MU_METAL * metal


def transmit(integral: Any) -> Any:
    """Beer-Lambert: the share of primary photons that pass."""
    return np.exp(-integral)


def expose(
    integral: Image,
    rng: np.random.Generator,
    photons: float = 4000.0,
    scatter: float = 0.6,
    blur: float = 0.6,
) -> Image:
    """What the detector reads, as a log signal (bright where little arrives).

    Parameters
    ----------
    integral : (H, W) array of attenuation path integrals
    rng : source of the quantum noise
    photons : detected per pixel in the open beam; fewer make a noisier film
    scatter : scattered over primary photons; Compton scatter is a wide blur that eats contrast
    blur : detector and focal-spot blur, pixels (Gaussian sigma)

    Returns
    -------
    (H, W) array, minus the log of the detected share
    """
    primary = np.asarray(transmit(integral), np.float32)
    fog = smooth(np.minimum(primary, np.float32(0.35)), 26.0)
    arrived = np.asarray((primary + scatter * fog) / (1 + scatter), np.float32)
    if blur > 0.3:
        arrived = smooth(arrived, blur)
    # Poisson counts are large enough here for their normal limit.
    noise = rng.standard_normal(arrived.shape, np.float32) * np.sqrt(arrived / photons)
    return np.asarray(-np.log(np.maximum(arrived + noise, 1e-4)), np.float32)
