"""The lateral film: the same body seen from its left side, kept simpler than the frontal one.

Here x grows towards the back of the patient. Both lungs project onto each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from precompute.phantom.anatomy import Body, Scene, profile
from precompute.phantom.findings import Rng, Sign, cloud
from precompute.phantom.physics import (
    SIZE,
    Image,
    Mask,
    Tube,
    X,
    Y,
    add_ellipsoid,
    add_tubes,
    canvas,
    smooth,
    stack,
    texture,
)


def lateral_dome(body: Body) -> Image:
    """Height of the higher dome per column: high in front, deep in the posterior sulcus. Shape (SIZE,)."""
    x = X[0]
    return np.asarray(body.bottom + 4 + np.where(x > -15, 0.0075 * (x + 15) ** 2, 0.004 * (x + 15) ** 2), np.float32)


def lateral(body: Body) -> Scene:
    """Project a body onto a lateral film."""
    scene = Scene(body, view="lateral")
    rng = np.random.default_rng([body.seed, 9])
    half = 1.14 * body.depth
    width = profile([(-120, 58), (-60, 60), (-30, 84), (20, half), (120, half + 8), (400, half + 12)])
    scene.soft += stack(np.zeros(SIZE, np.float32) + 4, width, profile([(-120, 50), (0, 150), (400, 150)]), 2.6)
    front = profile([(-30, 16), (0, 22), (40, 0.58 * half), (120, 0.76 * half), (400, 0.78 * half)])
    back = profile([(-30, 20), (0, 30), (50, 0.70 * half), (150, 0.79 * half), (400, 0.77 * half)])
    shape = stack(
        (back - front) / 2, (back + front) / 2 * (Y[:, 0] > -6), profile([(-8, 20), (60, 105), (400, 118)]), 3
    )
    floor = lateral_dome(body)[None, :]
    air = shape * np.clip((floor - Y) / 3 + 0.5, 0, 1)
    solid, heart = canvas(), canvas()
    size = body.ratio / 0.44
    place = (-0.30 * half, body.bottom - 34.0)
    add_ellipsoid(heart, place, (46 * size, 56 * size, 62 * size), 1.0, 28)
    add_ellipsoid(solid, (4, 108), (20, 27, 20))
    arch = np.array([[-8, 96], [-4, 50], [12, 36], [34, 52], [48, 110], [52, 260]], float)
    add_tubes(solid, [Tube(arch, 13 + 0.2 * body.bulge)], 1.8)
    root = np.array([[place[0] + 2, place[1] - 20], [-12, 92], [-6, 44]], float)
    add_tubes(solid, [Tube(root, np.array([34.0, 24.0, 16.0]) + 0.3 * body.bulge)], 1.3)
    solid = smooth(solid, 3)
    scene.air += np.maximum(air - np.maximum(heart, solid), 0.15 * air)
    scene.air *= 1 + 0.025 * texture(rng, 5)
    scene.heart = (heart > 8) & (floor > Y)
    lung = (shape > 0) & (floor > Y)
    scene.lung["right"] = scene.silhouette["right"] = lung
    scene.lung["left"] = scene.silhouette["left"] = lung
    trachea = canvas()
    add_tubes(trachea, [Tube(np.array([[-4.0, -110], [2, 0], [16, 92]]), 8.5)])
    scene.extra -= smooth(trachea, 1.0) * 0.8
    tubes = []
    for angle in rng.uniform(0, 2 * np.pi, 26):
        steps = np.linspace(0, 1, 10)
        bend = angle + rng.normal(0, 0.5) * steps
        path = np.array([6.0, 110]) + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], 1) * rng.uniform(6, 11), axis=0)
        tubes.append(Tube(path, 2.8 * (1 - 0.8 * steps) + 0.3))
    add_tubes(scene.markings, tubes, 2.5)
    for level in range(-110, 335, 24):
        x = 0.60 * half - 0.0007 * (level - 120) ** 2
        add_ellipsoid(scene.bone, (x, level), (16, 10.5, 7), 1.5 * body.bone, -6)
        add_ellipsoid(scene.bone, (x + 25, level + 8), (12, 4, 4), 1.2 * body.bone, 28)
    ribs = []
    for rib in range(9):
        y = 8 + 24.0 * rib
        for lag in (0.0, 6.0):
            ribs.append(
                Tube(
                    np.array(
                        [
                            [0.8 * half, y + lag],
                            [0.3 * half, y + 20],
                            [-0.3 * half, y + 52],
                            [-0.7 * half, y + 80],
                        ]
                    ),
                    4.3,
                )
            )
    add_tubes(scene.bone, ribs, 1.1 * body.bone, hollow=0.7)
    sternum = np.array([[-0.55 * half, 30], [-0.80 * half, 90], [-0.86 * half, 190]])
    add_tubes(scene.bone, [Tube(sternum, 6.0)], 0.8 * body.bone, hollow=0.5)
    add_tubes(scene.soft, [Tube(np.array([[-10.0, -10], [-70, -60], [-150, -120]]), 44.0)], 0.6)
    return scene


def heart(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Cardiomegaly fills the space behind the sternum."""
    return scene.heart


def patch(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Any parenchymal opacity as one uneven patch."""
    half = 0.5 * scene.body.depth
    place = (float(rng.uniform(-0.4, 1.1) * half), float(rng.uniform(0.35, 0.9) * scene.body.bottom))
    share = cloud(rng, place, 26 + 18 * sign.severity, 26 + 18 * sign.severity, 14)
    scene.opacify(share * (0.35 + 0.45 * sign.severity))
    return (share > 0.25) & scene.lungs


def ball(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """A nodule or mass."""
    lump = canvas()
    place = (float(rng.uniform(-40, 55)), float(rng.uniform(0.25, 0.8) * scene.body.bottom))
    radius = 5 + 16 * sign.severity
    add_ellipsoid(lump, place, (radius, radius, radius))
    scene.extra += smooth(lump, 1.2) * 1.3
    return lump > 0


def sulcus(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Fluid fills the posterior sulcus first."""
    level = scene.body.bottom + 48 - (14 + 80 * sign.severity)
    surface = level - 0.12 * X
    share = np.clip((Y - surface) / 8 + 0.3, 0, 1) * scene.lungs
    scene.opacify(np.asarray(share * 0.95, np.float32))
    return np.asarray(share > 0.4, bool)


LATERAL_SIGNS: dict[str, Callable[[Scene, Sign, Rng], Mask]] = {
    "Cardiomegaly": heart,
    "Lung Opacity": patch,
    "Lung Lesion": ball,
    "Edema": patch,
    "Consolidation": patch,
    "Pneumonia": patch,
    "Atelectasis": patch,
    "Pleural Effusion": sulcus,
}
"""Signs a lateral film shows; the others need the frontal one."""
