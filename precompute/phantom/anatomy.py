"""The body of one patient: its measures, and its projection as paths of tissue, air and bone.

Measures are millimetres at the detector. The origin is the midline at the height of the lung apices; the
patient's left is +x, the reader's right. Typical adult measures follow any radiology primer: inner thoracic
width 26-31 cm, cardiothoracic ratio 0.40-0.48, the right dome 1-2 cm above the left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from precompute.phantom.physics import (
    LUNG_DENSITY,
    SIZE,
    CurvePoints,
    Image,
    Mask,
    Tube,
    X,
    Y,
    add_ellipsoid,
    add_tubes,
    canvas,
    path_integral,
    smooth,
    stack,
    texture,
)

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("right", "left")


def sign_of(side: Side) -> int:
    """+1 for the patient's left, where x is positive."""
    return 1 if side == "left" else -1


@dataclass(frozen=True)
class RibBreak:
    """A broken rib: which one, where along its curve (0-1), how far it is displaced (mm), how old it is."""

    side: Side
    rib: int
    at: float
    step: float
    callus: float


@dataclass(frozen=True)
class Body:
    """Measures of a patient in one study; findings that change the anatomy replace some of them.

    Lengths in mm. ``bulge`` widens the upper mediastinum, ``raised`` lifts a dome, ``shift`` pulls the
    mediastinum to the left (+) or right (-), ``inspiration`` scales the height of the lungs.
    """

    seed: int
    half_thorax: float = 140.0
    height: float = 235.0
    wall: float = 28.0
    depth: float = 105.0
    ratio: float = 0.44
    knob: float = 36.0
    bulge: float = 0.0
    shift: float = 0.0
    slope: float = 14.0
    breast: float = 0.0
    bone: float = 1.0
    inspiration: float = 1.0
    raised: tuple[float, float] = (0.0, 0.0)
    breaks: tuple[RibBreak, ...] = ()

    @property
    def bottom(self) -> float:
        """Height of the right dome's top."""
        return self.height * self.inspiration

    def dome_top(self, side: Side) -> float:
        """Top of a hemidiaphragm, mm below the apices."""
        lift = self.raised[SIDES.index(side)]
        return self.bottom - lift + (13.0 if side == "left" else 0.0)


def draw_body(rng: np.random.Generator, spread: float = 1.0) -> Body:
    """Draw the measures of a patient; ``spread`` above 1 gives a wider range of body habitus."""
    habitus = float(np.clip(rng.normal(0, spread), -1.8, 2.4))
    woman = rng.random() < 0.5
    return Body(
        seed=int(rng.integers(2**31)),
        half_thorax=float(rng.normal(134 if woman else 144, 5 * spread)),
        height=float(rng.normal(222 if woman else 242, 9 * spread)),
        wall=float(np.clip(26 + 9 * habitus, 14, 52)),
        depth=float(np.clip(104 + 13 * habitus, 84, 140)),
        ratio=float(np.clip(rng.normal(0.44, 0.022), 0.395, 0.48)),
        knob=float(np.clip(rng.normal(34, 4), 24, 42)),
        slope=float(rng.normal(14, 5 * spread)),
        breast=float(np.clip(rng.normal(26 + 8 * habitus, 8), 0, 58)) if woman else 0.0,
        bone=float(np.clip(rng.normal(1.0, 0.12 * spread), 0.65, 1.3)),
    )


def profile(knots: list[tuple[float, float]], soften: float = 6.0) -> Image:
    """A measure per row of the canvas from (y, value) knots, its corners softened. Shape (SIZE,)."""
    y, value = np.array(knots).T
    line = np.interp(Y[:, 0], y, value).astype(np.float32)
    reach = np.arange(-int(3 * soften), int(3 * soften) + 1)
    kernel = np.exp(-0.5 * (reach / soften) ** 2)
    padded = np.pad(line, len(reach) // 2, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), "valid"), np.float32)


@dataclass
class Scene:
    """What lies in the beam, as canvases ``(SIZE, SIZE)``; signs change them before the film is exposed.

    Attributes
    ----------
    soft : path through the body as if it were solid, mm
    air : path through lung that is filled with air, mm
    fill : share of that air replaced by fluid, cells or collapse, 0-1
    density : density of the aerated lung relative to soft tissue
    extra : further soft tissue (nodules, breasts), mm; negative for gas outside the lungs
    markings, gain : vessels, mm of soft tissue, and how strongly they show
    bone, metal : paths through cortical bone and metal, mm
    lung : what a reader calls the lung of each side, above the dome and beside the heart
    silhouette : the lung of each side with what the heart hides
    heart, upper : heart and upper mediastinum as masks
    """

    body: Body
    view: str = "frontal"
    soft: Image = field(default_factory=canvas)
    air: Image = field(default_factory=canvas)
    fill: Image = field(default_factory=canvas)
    density: Image = field(default_factory=lambda: canvas() + np.float32(LUNG_DENSITY))
    extra: Image = field(default_factory=canvas)
    markings: Image = field(default_factory=canvas)
    gain: Image = field(default_factory=lambda: canvas() + np.float32(1))
    bone: Image = field(default_factory=canvas)
    metal: Image = field(default_factory=canvas)
    lung: dict[Side, Mask] = field(default_factory=dict)
    silhouette: dict[Side, Mask] = field(default_factory=dict)
    inner: dict[Side, Image] = field(default_factory=dict)
    outer: dict[Side, Image] = field(default_factory=dict)
    heart: Mask = field(default_factory=lambda: canvas() > 0)
    upper: Mask = field(default_factory=lambda: canvas() > 0)
    ribs: dict[tuple[Side, int], CurvePoints] = field(default_factory=dict)

    @cached_property
    def lungs(self) -> Mask:
        """Both lungs, as the reader sees them."""
        return np.asarray(np.logical_or.reduce(list(self.lung.values())), bool)

    def opacify(self, share: Image) -> None:
        """Replace a share of the air that is left, 0-1."""
        self.fill = 1 - (1 - self.fill) * (1 - np.clip(share, 0, 1))

    def integral(self) -> Image:
        """Attenuation path integral of the whole scene."""
        air = self.air * (1 - self.fill)
        aerated = np.clip(air / 25, 0, 1)
        soft = self.soft - air * (1 - self.density) + self.extra + self.markings * self.gain * aerated
        return np.asarray(path_integral(np.maximum(soft, 0), self.bone, self.metal), np.float32)


def outer_border(body: Body) -> Image:
    """Distance of the lateral lung border from the midline, per row. Shape (SIZE,)."""
    shape = [
        (-30, 0.30),
        (-2, 0.36),
        (6, 0.50),
        (20, 0.64),
        (45, 0.78),
        (80, 0.89),
        (120, 0.95),
        (170, 0.985),
    ]
    knots = [(y * body.height / 235, share * body.half_thorax) for y, share in shape]
    return profile([*knots, (body.height, body.half_thorax), (400, body.half_thorax)], 5)


def heart_borders(body: Body) -> tuple[Image, Image]:
    """Right and left border of mediastinum and heart per row, x in mm. Two arrays (SIZE,)."""
    h, base = body.height / 235, body.bottom
    wide = body.ratio * 2 * body.half_thorax
    left, right = 0.69 * wide, 0.31 * wide
    b = body.bulge
    left_knots = [
        (-120, 22), (-10, 22), (15 * h, 24 + 0.7 * b), (36 * h, body.knob - 2 + b), (52 * h, body.knob + b),
        (66 * h, 27 + 0.8 * b), (82 * h, min(33 + 0.5 * b, left)), (100 * h, min(40 + 0.3 * b, left)),
        (base - 95, 0.62 * left), (base - 60, 0.86 * left), (base - 22, 0.99 * left), (base - 4, left),
        (base + 18, 0.92 * left), (base + 50, 0.5 * left), (400, 30),
    ]  # fmt: skip
    right_knots = [
        (-120, -22), (-10, -22), (20 * h, -23 - 0.8 * b), (60 * h, -24 - b), (90 * h, -27 - 0.5 * b),
        (base - 105, -0.66 * right), (base - 60, -0.99 * right), (base - 30, -right), (base, -0.88 * right),
        (base + 40, -22), (400, -22),
    ]  # fmt: skip
    moved = profile([(-20, 0), (60, body.shift), (base, 0.9 * body.shift), (base + 60, 0)], 8)
    return profile(sorted(right_knots), 4) + moved, profile(sorted(left_knots), 4) + moved


def dome(body: Body, side: Side) -> Image:
    """Height of a hemidiaphragm per column, mm below the apices. Shape (SIZE,)."""
    x = X[0] * sign_of(side)
    u = (x - 0.48 * body.half_thorax) / (0.52 * body.half_thorax)
    fall = np.where(u > 0, 20 * u**2 + 30 * np.maximum(u, 0) ** 5, 16 * u**2)
    return np.asarray(body.dome_top(side) + fall, np.float32)


def add_trunk(scene: Scene) -> None:
    """Neck, shoulders, trunk and arms as one solid."""
    body = scene.body
    chest = body.half_thorax + body.wall
    s = body.slope
    width = profile(
        [(-120, 54), (-62, 54), (-40, 66), (-26, 92), (-14 + s, 150), (4 + s, chest + 22),
         (30 + s, chest + 26), (62, chest + 12),
         (92, chest - 2), (190, chest), (260, chest - 3), (400, chest + 6)], 6,
    )  # fmt: skip
    depth = profile([(-120, 56), (-30, 62), (20, 0.72 * body.depth), (90, body.depth), (400, 1.04 * body.depth)])
    scene.soft += stack(np.zeros(SIZE, np.float32), width, depth, 2.6)
    rng = np.random.default_rng([body.seed, 1])
    spread = rng.uniform(8, 34)
    arm, arms = canvas(), []
    for side in SIDES:
        x = sign_of(side)
        start = chest + 22
        points = np.array([[x * start, 22 + s], [x * (start + 0.3 * spread), 120], [x * (start + spread), 330]])
        arms.append(points)
        add_ellipsoid(scene.bone, (x * (start - 3), 12 + s), (21, 22, 20), 0.3 * body.bone)
    add_tubes(arm, [Tube(points, 36 + 0.25 * body.wall) for points in arms], 0.8)
    add_tubes(scene.bone, [Tube(points, 10.5) for points in arms], 0.7 * body.bone, hollow=0.62)
    # The trunk already holds the flesh it shares with the arms.
    scene.soft[:] = np.maximum(scene.soft, smooth(np.minimum(arm, 90), 2)) + 0.25 * np.minimum(scene.soft, arm)
    if rng.random() < 0.35:
        add_ellipsoid(scene.soft, (rng.normal(0, 6), -132 + rng.normal(0, 8)), (58, 50, 45), 1.0)
        add_ellipsoid(scene.bone, (0, -128), (50, 38, 8), 0.6)


def add_lungs(scene: Scene) -> None:
    """Air of both lungs, cut by heart, mediastinum and the domes."""
    body = scene.body
    depth = profile([(-30, 0), (-4, 0), (4, 30), (25, 60), (70, 82), (130, 93), (300, 96)], 4) * body.depth / 112
    border = outer_border(body)
    right_edge, left_edge = heart_borders(body)
    middle, half = (left_edge + right_edge) / 2, (left_edge - right_edge) / 2
    solid = stack(middle, half, profile([(-120, 60), (40, 74), (120, 66), (400, 62)]), 2.2)
    base = body.bottom
    heart_rows = (Y > base - 128) & (Y < base + 22)
    inside = (right_edge[:, None] < X) & (left_edge[:, None] > X)
    scene.heart = inside & heart_rows
    scene.upper = inside & (Y > 8) & (Y <= base - 128)
    for side in SIDES:
        x = sign_of(side)
        inner = profile([(-30, 44), (-2, 40), (15, 24), (40, 12), (400, 12)], 5)
        outer = np.maximum(border, inner + 1)
        shape = stack(x * (inner + outer) / 2, (outer - inner) / 2 * (Y[:, 0] > -6), depth, 2.7)
        floor = dome(body, side)[None, :]
        above = np.clip((floor - Y) / 2.5 + 0.5, 0, 1)
        # Behind the dome lung reaches deep into the posterior sulcus.
        behind = 0.13 * np.clip(1 - (Y - floor) / 45, 0, 1)
        air = shape * np.maximum(above, behind)
        scene.air += np.maximum(air - solid, 0.10 * air)
        scene.inner[side] = inner
        scene.outer[side] = outer
        scene.silhouette[side] = (shape > 0) & (floor > Y) & (x * X > 0)
        scene.lung[side] = scene.silhouette[side] & ~inside
    scene.silhouette["left"] = scene.silhouette["left"] & ~scene.heart
    # Trachea and main bronchi: a dark column of air that parts at the carina.
    carina = 82 * body.height / 235
    drift = 0.7 * body.shift
    lean = np.array([[0, -115], [1, -10], [3 + drift, 50], [3 + drift, carina]], float)
    right = np.array([[3 + drift, carina - 3], [-22 + drift, carina + 24], [-34, carina + 34]], float)
    left = np.array([[3 + drift, carina - 3], [24 + drift, carina + 18], [42, carina + 26]], float)
    airway = canvas()
    add_tubes(airway, [Tube(lean, 8.5), Tube(right, np.array([7, 6, 4.5])), Tube(left, np.array([7, 5.5, 4]))])
    scene.extra -= smooth(airway, 1.2) * 0.85
    # Fine grain of the parenchyma.
    rng = np.random.default_rng([body.seed, 2])
    # (kept faint: stronger grain reads as disease)
    scene.air *= 1 + 0.02 * texture(rng, 4) + 0.012 * texture(rng, 22)


def rib_curves(body: Body) -> dict[tuple[Side, int], CurvePoints]:
    """Centre lines of the ribs as (48, 3) curves from the spine round the side to the costal cartilage."""
    rng = np.random.default_rng([body.seed, 3])
    tilt, drop = rng.normal(0, 2), rng.normal(0, 4)
    border = outer_border(body)
    ribs: dict[tuple[Side, int], CurvePoints] = {}
    along = np.linspace(0, 1, 48)
    for rib in range(10):
        origin = (-12 + 24.5 * rib * (0.94 + 0.06 * body.inspiration)) * body.height / 235
        for side in SIDES:
            fall = (22 + 5.2 * rib + drop + rng.normal(0, 1.5)) * (0.75 + 0.25 * body.inspiration)
            lateral = origin + fall
            row = int(np.clip(lateral + 112, 0, SIZE - 1))
            reach = max(border[row] + 4.5, 52.0)
            theta = along * np.pi * 1.02
            # From the spine (theta 0) back to the side (pi/2) and forward: an ellipse seen from above.
            x = 18 + (reach - 18) * np.sin(np.minimum(theta, np.pi - 0.35)) ** 0.9
            front = np.clip((along - 0.5) / 0.5, 0, 1)
            x = np.where(along > 0.5, reach - (reach - 42 - 2.5 * rib) * front**1.9, x)
            y = origin - 7 * np.sin(np.pi * np.clip(along / 0.3, 0, 1)) * (rib > 0)
            y = y + fall * np.clip(along / 0.5, 0, 1) ** 1.7 + front * (26 + 3.4 * rib + tilt) * (1 - 0.15 * front)
            z = -0.8 * body.depth * np.cos(theta)
            ribs[side, rib] = np.column_stack([sign_of(side) * x, y, z])
    return ribs


def add_ribs(scene: Scene) -> None:
    """Ten pairs of ribs, posterior arcs denser than anterior ones; breaks leave a gap and a step."""
    body = scene.body
    scene.ribs = rib_curves(body)
    back: list[Tube] = []
    front: list[Tube] = []
    for (side, rib), curve in scene.ribs.items():
        pieces = [curve]
        for hurt in body.breaks:
            if (hurt.side, hurt.rib) == (side, rib):
                cut = int(hurt.at * len(curve))
                far = curve[cut + 2 :] + np.array([0, hurt.step, 0])
                pieces = [curve[:cut], far]
                if hurt.callus:
                    spot = (float(curve[cut, 0]), float(curve[cut, 1] + hurt.step / 2))
                    add_ellipsoid(scene.bone, spot, (8, 7, 3), hurt.callus)
        radius = 4.3 + 0.12 * rib
        half = float(curve[len(curve) // 2, 1])
        for piece in pieces:
            split = int(np.argmax(piece[:, 2] > 0)) if (piece[:, 2] > 0).any() else len(piece)
            if split > 2:
                back.append(Tube(piece[:split], radius))
            if len(piece) - split > 3 and half < scene.body.height + 20:
                thick = np.linspace(radius + 0.3, radius + 1.4, len(piece) - split)
                front.append(Tube(piece[max(split - 1, 0) : -1], thick))
    add_tubes(scene.bone, back, 2.3 * body.bone, hollow=0.72)
    add_tubes(scene.bone, front, 1.3 * body.bone, hollow=0.70)


def add_skeleton(scene: Scene) -> None:
    """Spine, clavicles, scapulae and ribs."""
    body = scene.body
    rng = np.random.default_rng([body.seed, 4])
    pitch = 22.5 * body.height / 235
    phase = (Y[:, 0] - 3) / pitch
    disc = 0.5 + 0.5 * np.cos(2 * np.pi * phase)
    half = profile([(-120, 12), (0, 14.5), (300, 20)]) * (0.93 + 0.09 * disc)
    plates = 1 - np.exp(-((disc - 0.16) ** 2) / 0.03) * -0.5 - 0.6 * (disc < 0.07)
    curve = profile([(-120, 0), (60, rng.normal(0, 2)), (180, rng.normal(0, 3)), (400, rng.normal(0, 3))], 20)
    scene.bone += stack(curve, half, (5.8 * body.bone * np.clip(plates, 0, 1.4)).astype(np.float32), 5)
    for level in np.arange(-110, 330, pitch):
        middle = float(curve[int(level + 112)]) if 0 <= level + 112 < SIZE else 0.0
        for x in (-1, 1):
            add_ellipsoid(scene.bone, (middle + 11 * x, level + 8), (3.4, 5.4, 4), body.bone)
        add_ellipsoid(scene.bone, (middle, level + 15), (2.6, 7, 5), body.bone)
    bones: list[Tube] = []
    for side in SIDES:
        x, rise = sign_of(side), rng.normal(0, 4)
        top = body.half_thorax + body.wall - 6
        height = 26 + rng.normal(0, 2)
        clavicle = np.array(
            [[15, height + 8], [34, height + 1], [62, height - 8], [90, height - 15 + rise],
             [116, height - 15 + rise + body.slope / 3], [top, height - 14 + rise + body.slope / 2]], float,
        )  # fmt: skip
        smooth_line = np.column_stack(
            [np.interp(np.linspace(0, 5, 30), np.arange(6), clavicle[:, axis]) for axis in (0, 1)]
        )
        for _ in range(3):
            smooth_line[1:-1] = (smooth_line[:-2] + smooth_line[1:-1] + smooth_line[2:]) / 3
        bones.append(Tube(smooth_line * [x, 1], np.interp(np.linspace(0, 1, 30), [0, 0.2, 0.6, 1], [8, 5.4, 5, 6])))
        bones += scapula(scene, side, rng)
    add_tubes(scene.bone, bones, 2.4 * body.bone, hollow=0.66)
    add_ellipsoid(scene.bone, (0, 52), (17, 30, 4), 0.9 * body.bone)
    add_ribs(scene)


def scapula(scene: Scene, side: Side, rng: np.random.Generator) -> list[Tube]:
    """A thin triangular blade with a thick lateral border, spine, acromion and coracoid."""
    body, x = scene.body, sign_of(side)
    out = body.half_thorax + body.wall
    y = 8 + body.slope * 0.6
    swing = rng.normal(0, 5)
    corner = np.array(
        [
            [out - 62, y + 6],
            [out - 6, y + 14],
            [out - 12, y + 38],
            [out - 44 + swing, y + 138],
            [out - 56 + swing, y + 118],
        ]
    )
    blade = np.zeros((SIZE, SIZE), np.uint8)
    points = (corner * [x, 1] + [224, 112]) * 16
    cv2.fillPoly(blade, [points.astype(np.int32)], 255, cv2.LINE_AA, 4)
    scene.bone += smooth(blade.astype(np.float32), 1.6) * np.float32(3.2 * body.bone / 255)
    return [
        Tube(corner[1:4] * [x, 1], np.array([5.5, 4.0, 2.4])),
        Tube(corner[[3, 4, 0]] * [x, 1], np.array([2.2, 1.6, 1.6])),
        Tube(
            np.array([[out - 60, y + 34], [out - 20, y + 4], [out + 14, y - 14]]) * [x, 1],
            np.array([2.6, 3.6, 6.0]),
        ),
    ]


def branch_tree(body: Body, side: Side, rng: np.random.Generator) -> list[Tube]:
    """Pulmonary vessels of one lung: trunks fan out from the hilum, wind, part and taper."""
    x, scale = sign_of(side), body.height / 235
    hilum = np.array([x * 34.0 + body.shift * 0.6, (112 if side == "right" else 104) * scale])
    fan = np.deg2rad(np.array([-84, -62, -40, -18, 6, 28, 44, 58, 70, 84, 98]) + rng.normal(0, 5, 11))
    steps = np.linspace(0, 1, 14)
    tubes: list[Tube] = []

    def grow(start: CurvePoints, angle: float, radius: float, length: float) -> tuple[CurvePoints, CurvePoints]:
        bend = angle + rng.normal(0, 0.25) * steps + 0.12 * np.sin(steps * rng.uniform(5, 9) + rng.uniform(0, 6))
        path = start + np.cumsum(np.stack([x * np.cos(bend), np.sin(bend)], axis=1) * length / 14, axis=0)
        tubes.append(Tube(path, radius * (1 - 0.82 * steps) + 0.25))
        return path, bend

    for angle in fan:
        down = 0.5 + 0.5 * np.sin(angle)
        radius = rng.uniform(1.7, 2.6) + 1.2 * down
        path, bend = grow(hilum + rng.normal(0, 6, 2), float(angle), radius, rng.uniform(80, 125) * scale)
        for node, turn in ((3, 0.5), (5, -0.5), (8, 0.45)):
            swing = turn * rng.uniform(0.6, 1.4) * rng.choice([-1, 1])
            grow(path[node], float(bend[node] + swing), radius * (1 - 0.07 * node), rng.uniform(35, 65) * scale)
    return tubes


def add_vessels(scene: Scene) -> None:
    """Hila and lung markings of both sides."""
    body = scene.body
    rng = np.random.default_rng([body.seed, 5])
    trees: list[Tube] = []
    for side in SIDES:
        x, scale = sign_of(side), body.height / 235
        trees += branch_tree(body, side, rng)
        middle = x * 40 + body.shift * 0.6
        hilum = canvas()
        add_ellipsoid(hilum, (middle, (110 if side == "right" else 101) * scale), (15, 25, 12), 1.0, x * -18)
        add_ellipsoid(hilum, (middle + x * 10, 132 * scale), (7, 24, 9), 1.0, x * -12)
        scene.markings += smooth(hilum, 3.5)
    add_tubes(scene.markings, trees, 2.6)
    scene.markings += np.maximum(texture(rng, 7), 0) * scene.lungs * 1.6


def add_soft_parts(scene: Scene) -> None:
    """Breasts, the gastric bubble and gas in the colon."""
    body = scene.body
    rng = np.random.default_rng([body.seed, 6])
    if body.breast > 4:
        size = body.breast
        for side in SIDES:
            x = sign_of(side)
            place = (x * (0.58 * body.half_thorax + 4), body.height * 0.78 + rng.normal(0, 4) + size * 0.2)
            breast = canvas()
            add_ellipsoid(breast, place, (50 + 0.55 * size, 38 + 0.7 * size, size), 1.0)
            # A breast hangs: dense and sharp at its lower fold, fading upwards.
            scene.extra += breast * np.clip((Y - place[1] + 55) / 90, 0, 1) * 0.75
    gas = canvas()
    top = body.dome_top("left")
    if rng.random() < 0.75:
        add_ellipsoid(
            gas,
            (rng.normal(72, 12), top + rng.uniform(26, 36)),
            (rng.uniform(16, 34), rng.uniform(9, 17), 34),
        )
    for _ in range(int(rng.integers(0, 5))):
        radius = rng.uniform(7, 15)
        add_ellipsoid(gas, (rng.uniform(20, 120), top + rng.uniform(50, 110)), (radius * 1.3, radius, 24))
    below = np.clip((Y - dome(body, "left")[None, :] - 7) / 3, 0, 1)
    scene.extra -= smooth(gas, 1.0) * below * 0.9
    # The liver and the full stomach make the belly a little uneven.
    scene.extra += texture(rng, 60) * 4 * (scene.soft > 60)


def frontal(body: Body) -> Scene:
    """Project a body onto a frontal film."""
    scene = Scene(body)
    add_trunk(scene)
    add_lungs(scene)
    add_vessels(scene)
    add_soft_parts(scene)
    add_skeleton(scene)
    return scene
