"""One small function for the radiographic sign of every finding.

``reshape`` holds the signs that change the body before it is projected (a large heart, a broken rib).
``draw`` holds those that are painted into the scene. Every drawing sign returns the mask of what it drew. A sign is
given a severity in 0-1, a side, and a random stream of its own, so that other findings never change its look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from precompute.phantom.anatomy import SIDES, Body, RibBreak, Scene, Side, dome, sign_of
from precompute.phantom.physics import (
    CurvePoints,
    Image,
    Mask,
    Tube,
    X,
    Y,
    add_ellipsoid,
    add_tubes,
    canvas,
    near_tubes,
    smooth,
    texture,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class Sign:
    """A finding to be drawn: its label, severity 0-1, side ("left", "right" or "both") and seed.

    ``kind`` picks a variant where a label has several, such as the device or the pleural change.
    """

    label: str
    severity: float
    side: str
    seed: int
    kind: str = ""


def sides(sign: Sign) -> tuple[Side, ...]:
    """The sides a sign lies on."""
    return SIDES if sign.side == "both" else tuple(side for side in SIDES if side == sign.side)


# --- signs that reshape the body -------------------------------------------------------------------------


def enlarge_heart(body: Body, sign: Sign, rng: Rng) -> Body:
    """Cardiomegaly: cardiothoracic ratio above one half."""
    return replace(body, ratio=0.52 + 0.13 * sign.severity + rng.uniform(0, 0.02))


def widen_mediastinum(body: Body, sign: Sign, rng: Rng) -> Body:
    """Enlarged cardiomediastinum: a broad upper mediastinum and a prominent aortic knob."""
    return replace(body, bulge=9 + 20 * sign.severity, knob=body.knob + rng.uniform(2, 8))


def lose_volume(body: Body, sign: Sign, rng: Rng) -> Body:
    """Atelectasis: the dome rises and the mediastinum moves to the collapsed side."""
    lift = {side: (10 + 28 * sign.severity) * (side in sides(sign)) for side in SIDES}
    pull = sum(sign_of(side) for side in sides(sign)) * (2 + 10 * sign.severity)
    return replace(body, raised=(lift["right"], lift["left"]), shift=body.shift + pull)


def break_ribs(body: Body, sign: Sign, rng: Rng) -> Body:
    """Fracture: one to three neighbouring ribs with a gap, a step and, when old, a callus."""
    side = sides(sign)[0]
    first = int(rng.integers(2, 7))
    at = float(rng.uniform(0.16, 0.38))
    callus = float(rng.uniform(0.9, 1.6)) if sign.kind == "healing" else 0.0
    breaks = tuple(
        RibBreak(side, rib, at + float(rng.normal(0, 0.012)), float(4.5 + 7 * sign.severity), callus)
        for rib in range(first, first + 1 + int(2.9 * sign.severity * rng.random() + 0.4))
    )
    return replace(body, breaks=breaks)


reshape: dict[str, Callable[[Body, Sign, Rng], Body]] = {
    "Enlarged Cardiomediastinum": widen_mediastinum,
    "Cardiomegaly": enlarge_heart,
    "Atelectasis": lose_volume,
    "Fracture": break_ribs,
}

# --- signs that are drawn into the scene -----------------------------------------------------------------


def spot(scene: Scene, side: Side, rng: Rng, low: float = 0.15, high: float = 0.85) -> tuple[float, float]:
    """A place in the lung of one side, between two shares of its height, x and y in mm."""
    top, bottom = 8.0, scene.body.dome_top(side)
    y = float(top + rng.uniform(low, high) * (bottom - top))
    inside = np.nonzero(scene.lung[side][int(np.clip(y + 112, 0, 447))])[0]
    if not len(inside):
        return sign_of(side) * 70.0, y
    return float(X[0, int(np.quantile(inside, rng.uniform(0.25, 0.8)))]), y


def cloud(rng: Rng, centre: tuple[float, float], wide: float, high: float, grain: float) -> Image:
    """A soft, uneven patch with values 0-1: a Gaussian hill broken up by texture of ``grain`` mm."""
    hill = np.exp(-(((X - centre[0]) / wide) ** 2) - ((Y - centre[1]) / high) ** 2)
    return np.clip(hill * (1.1 + 0.22 * texture(rng, grain) + 0.12 * texture(rng, grain / 3)) * 1.3 - 0.18, 0, 1)


def show_heart(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """The heart itself is the region of cardiomegaly."""
    return scene.heart & (dome(scene.body, "right")[None, :] + 8 > Y)


def show_upper_mediastinum(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """The upper mediastinum down to the pulmonary trunk is the region."""
    return scene.upper


def haze(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Lung opacity: one vague ground-glass patch without a definite border."""
    share = canvas()
    for side in sides(sign):
        size = 24 + 22 * sign.severity
        share += cloud(rng, spot(scene, side, rng), size * rng.uniform(0.8, 1.3), size, 24)
    scene.opacify(share * (0.22 + 0.3 * sign.severity))
    return (share > 0.25) & scene.lungs


def nodule(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Lung lesion: round nodules or a mass, denser than a vessel of their size."""
    mask = canvas() > 0
    several = 1 + (rng.random() < 0.25) * int(rng.integers(1, 4))
    for number in range(several):
        radius = (5 + 17 * sign.severity * rng.uniform(0.7, 1.2)) * (0.6 if number else 1)
        centre = spot(scene, sides(sign)[number % len(sides(sign))], rng)
        lump = canvas()
        shape = (radius * rng.uniform(0.85, 1.15), radius, radius)
        add_ellipsoid(lump, centre, shape, 1.0, rng.uniform(0, 90))
        scene.extra += smooth(lump, 1.2) * np.float32(1.1 + 1.1 / (1 + radius / 8))
        if sign.kind == "calcified":
            add_ellipsoid(scene.bone, centre, (radius * 0.6, radius * 0.6, radius * 0.5), 0.8)
        mask |= lump > 0
    return mask


def bat_wing(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Edema: perihilar haze on both sides, thick blurred vessels and Kerley B lines at the bases."""
    body = scene.body
    share = canvas()
    lines: list[Tube] = []
    for side in SIDES:
        x = sign_of(side)
        centre = (x * (46 + 8 * sign.severity), body.height * 0.55)
        share += cloud(rng, centre, 34 + 16 * sign.severity, 52 + 18 * sign.severity, 13)
        for _ in range(int(4 + 8 * sign.severity)):
            y = body.dome_top(side) - rng.uniform(-12, 55)
            edge = x * (scene.outer[side][int(np.clip(y + 112, 0, 447))] - 1.5)
            lines.append(Tube(np.array([[edge, y], [edge - x * rng.uniform(9, 17), y + rng.normal(0, 1)]]), 0.8))
    add_tubes(scene.extra, lines, 3.5 + 3 * sign.severity)
    scene.opacify(np.clip(share, 0, 1) * (0.30 + 0.35 * sign.severity))
    scene.gain *= np.float32(1.15 + 0.35 * sign.severity)
    return ((share > 0.22) | near_tubes(lines, 2)) & scene.lungs


def below(edge: Image, width: float) -> Image:
    """0 above a line at height ``edge``, 1 below it, over ``width`` mm."""
    return np.asarray(np.clip((Y - edge) / width + 0.5, 0, 1), np.float32)


def lobe(scene: Scene, side: Side, rng: Rng) -> Image:
    """An upper, middle or lower zone of a lung as a soft mask 0-1 with one sharp fissure."""
    body = scene.body
    third = int(rng.integers(3))
    fissure = body.height * (0.44 + 0.03 * rng.normal())
    low = dome(body, side)[None, :]
    tilt = -0.12 * sign_of(side) * X
    if third == 0:
        zone = 1 - below(fissure + tilt, 2.5)
        zone = zone * below(fissure * 0.25 + tilt, 40)
    elif third == 1:
        zone = below(fissure + tilt, 2.5) * (1 - below(fissure + 62 + tilt, 26))
    else:
        zone = below(fissure + 52 - tilt, 40) * np.clip((low + 30 - Y) / 20, 0, 1)
    return np.asarray(smooth(scene.silhouette[side].astype(np.float32), 1.0) * zone, np.float32)


def consolidate(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Consolidation: a dense lobe, its bronchi left as dark branching lines."""
    share, airways = canvas(), canvas()
    for side in sides(sign):
        zone = lobe(scene, side, rng)
        share = np.maximum(share, zone * np.clip(0.88 + 0.12 * texture(rng, 16) + 0.06 * texture(rng, 5), 0, 1))
        rows, columns = np.nonzero(zone > 0.6)
        if not len(rows):
            continue
        root = np.array([sign_of(side) * 38.0, scene.body.height * 0.5])
        tubes = []
        for _ in range(7):
            pick = int(rng.integers(len(rows)))
            tip = np.array([X[0, columns[pick]], Y[rows[pick], 0]])
            bow = (root + tip) / 2 + rng.normal(0, 6, 2)
            tubes.append(Tube(np.array([root, bow, tip]), np.array([2.6, 1.9, 1.2])))
        add_tubes(airways, tubes)
    dense = 0.5 + 0.42 * sign.severity
    scene.opacify(share * dense)
    scene.extra -= airways * (share > 0.3) * np.float32(1.6)
    scene.gain *= 1 - 0.8 * share
    return (share > 0.35) & scene.lungs


def patches(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Pneumonia: several ill-defined, mottled patches in one zone."""
    share = canvas()
    for side in sides(sign):
        x, y = spot(scene, side, rng, 0.4, 0.95)
        for _ in range(int(3 + 3 * sign.severity)):
            size = rng.uniform(12, 20) * (0.8 + 0.6 * sign.severity)
            place = (x + rng.normal(0, 15), y + rng.normal(0, 17))
            share = np.maximum(share, cloud(rng, place, size, size, 7))
    scene.opacify(share * (0.42 + 0.4 * sign.severity))
    return (smooth(share, 2) > 0.22) & scene.lungs


def plates(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Atelectasis: plate-like bands above a raised dome, with a crowded, hazy base."""
    tubes, share = [], canvas()
    for side in sides(sign):
        x, low = sign_of(side), scene.body.dome_top(side)
        for number in range(1 + int(2.6 * sign.severity)):
            y = low - 12 - 20 * number - rng.uniform(0, 14)
            start, end = rng.uniform(30, 55), rng.uniform(88, 122)
            points = np.array(
                [
                    [x * start, y - rng.normal(6, 6)],
                    [x * (start + end) / 2, y],
                    [x * end, y + rng.normal(3, 5)],
                ]
            )
            tubes.append(Tube(points, np.array([1.6, 2.2, 1.4]) * (0.9 + 0.9 * sign.severity)))
        floor = dome(scene.body, side)[None, :]
        share += np.clip(1 - (floor - Y) / (14 + 26 * sign.severity), 0, 1) * scene.silhouette[side]
    bands = canvas()
    add_tubes(bands, tubes)
    scene.extra += smooth(bands, 0.8) * np.float32(6.5 + 4 * sign.severity) * scene.lungs
    scene.opacify(share * (0.25 + 0.45 * sign.severity))
    return (near_tubes(tubes, 3) | (share > 0.45)) & scene.lungs


def collapse_lung(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Pneumothorax: a thin pleural line, and beyond it air without any lung markings."""
    mask = canvas() > 0
    body = scene.body
    for side in sides(sign):
        x = sign_of(side)
        down = np.clip(Y[:, 0] / body.height, 0, 1)
        gap = (7 + 42 * sign.severity) * (1.1 - 0.75 * down) + 3 * np.sin(down * rng.uniform(3, 7) + rng.uniform(0, 6))
        apex = 6 + 34 * sign.severity
        edge = scene.outer[side] - gap
        # The lung's own apex falls as well: below it the line runs down the chest wall.
        round_off = np.sqrt(1 - (1 - np.clip((Y[:, 0] - apex) / 60, 0, 1)) ** 2)
        edge = scene.inner[side] + (edge - scene.inner[side]) * round_off
        beyond = (x * X > edge[:, None]) & scene.silhouette[side]
        soft = smooth(beyond.astype(np.float32), 0.7)
        scene.density = scene.density * (1 - soft)
        scene.gain *= 1 - soft
        scene.fill *= 1 - soft  # an opacity leaves with the lung it lies in
        lung = scene.silhouette[side] & ~beyond
        scene.opacify(lung * np.float32(0.05 + 0.22 * sign.severity))
        rows = np.nonzero(beyond.any(axis=1) & (Y[:, 0] > apex))[0]
        if len(rows) > 8:
            line = [Tube(np.column_stack([x * edge[rows], Y[rows, 0]])[::4], 0.8)]
            add_tubes(scene.extra, line, 5.0)
        mask |= beyond
    return mask


def meniscus(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Pleural effusion: the costophrenic angle is blunted and fluid climbs the chest wall."""
    mask = canvas() > 0
    for side in sides(sign):
        x, body = sign_of(side), scene.body
        low = body.dome_top(side)
        level = low + 22 - (18 + 88 * sign.severity)
        u = np.clip((x * X[0] - 12) / (body.half_thorax - 12), 0, 1)
        surface = level + 14 - (16 + 22 * (0.4 + sign.severity)) * (u**4) + 1.5 * rng.normal()
        share = np.clip((Y - surface[None, :]) / 9 + 0.3, 0, 1) * (x * X > 0)
        share = share * smooth(scene.silhouette[side].astype(np.float32), 0.8)
        scene.opacify(share * 0.97)
        # Fluid fills the posterior sulcus too, below the dome.
        behind = (x * X > 0) & (dome(body, side)[None, :] < Y)
        scene.opacify(behind * np.float32(0.95))
        scene.gain *= 1 - 0.9 * share
        mask |= (share > 0.4) & scene.silhouette[side]
    return mask


def thicken_pleura(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Pleural other: an apical cap, a thick rind along the chest wall, or calcified plaques."""
    mask = canvas() > 0
    for side in sides(sign):
        x, lung = sign_of(side), scene.silhouette[side]
        if sign.kind == "plaque":
            for _ in range(3 + int(3 * sign.severity)):
                cx, cy = spot(scene, side, rng, 0.35, 0.95)
                patch = cloud(rng, (cx, cy), rng.uniform(6, 13), rng.uniform(4, 8), 4)
                scene.bone += patch * np.float32(9 + 8 * sign.severity)
                mask |= (patch > 0.15) & lung
            continue
        wave = 1 + 0.25 * np.sin(Y[:, 0] / 11 + rng.uniform(0, 6))
        if sign.kind == "cap":
            deep = int(7 + 11 * sign.severity)
            region = lung & ~np.roll(lung, (deep, -x * deep // 3), (0, 1)) & (Y < 55)
        else:
            thick = (4.5 + 9 * sign.severity) * np.clip((Y[:, 0] - 20) / 50, 0, 1) * wave
            region = lung & (x * X > (scene.outer[side] - thick)[:, None])
        scene.opacify(smooth(region.astype(np.float32), 0.9) * 0.9)
        scene.extra += smooth(region.astype(np.float32), 0.9) * 6
        mask |= region
    return mask


def show_break(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Fracture: a disc around every break, a little hazy from the bleeding below it."""
    mask = canvas() > 0
    for hurt in scene.body.breaks:
        curve = scene.ribs.get((hurt.side, hurt.rib))
        if curve is not None:
            x, y = curve[int(hurt.at * len(curve)), :2]
            away = (X - x) ** 2 + (Y - y - hurt.step / 2) ** 2
            scene.extra += np.float32(5 + 7 * sign.severity) * np.exp(-away / 60).astype(np.float32)
            mask |= away < 13.0**2
    return mask


def pacemaker(scene: Scene, side: Side, rng: Rng) -> Mask:
    """A generator under the left clavicle with one or two leads into the heart."""
    x, place = sign_of(side), (sign_of(side) * rng.uniform(88, 112), rng.uniform(38, 62))
    can = ((np.abs(X - place[0]) / 19) ** 3 + (np.abs(Y - place[1]) / 16) ** 3) < 1
    scene.metal += can * np.float32(1.6) + (can & (place[1] - 9 > Y)) * np.float32(-0.9)
    low = scene.body.bottom
    leads = []
    for tip in ((30, low - 14), (-26, low - 70))[: 1 + (rng.random() < 0.6)]:
        points = np.array(
            [[place[0] - x * 8, place[1] - 12], [x * 60, 24], [x * 22, 34], [-14, 58], [-24, 105],
             [-26, low - 75], [-12 if tip[0] > 0 else -30, low - 32], tip]
        )  # fmt: skip
        leads.append(Tube(bent(points), 1.2))
    add_tubes(scene.metal, leads, 0.8)
    return np.asarray(can | near_tubes(leads, 2), bool)


def bent(points: CurvePoints) -> CurvePoints:
    """A polyline with its corners rounded (Chaikin's corner cutting, twice)."""
    for _ in range(2):
        near, far = points[:-1], points[1:]
        cut = np.stack([0.75 * near + 0.25 * far, 0.25 * near + 0.75 * far], axis=1).reshape(-1, 2)
        points = np.vstack([points[:1], cut, points[-1:]])
    return points


def central_line(scene: Scene, side: Side, rng: Rng) -> Mask:
    """A catheter from the neck or below the clavicle to the superior vena cava; some end in a port."""
    x, tip = sign_of(side), (-24 + rng.normal(0, 3), scene.body.height * rng.uniform(0.40, 0.55))
    start = [[x * 44, -112], [x * 36, -50]] if rng.random() < 0.5 else [[x * 108, 62], [x * 78, 22]]
    points = np.array([*start, [x * 24, 22], [-20 if x < 0 else -4, 44], tip], float)
    tubes = [Tube(bent(points), 1.4)]
    add_tubes(scene.metal, tubes, 0.9, hollow=0.5)
    mask = near_tubes(tubes, 2)
    if abs(start[0][0]) > 100:
        port = (X - x * 108) ** 2 + (Y - 64) ** 2
        scene.metal += ((port < 11**2) & (port > 6**2)) * np.float32(0.8)
        mask |= port < 12**2
    return mask


def breathing_tube(scene: Scene, side: Side, rng: Rng) -> Mask:
    """An endotracheal tube above the carina and a nasogastric tube through the heart's shadow."""
    end = scene.body.height * rng.uniform(0.16, 0.30)
    tubes = [Tube(np.array([[-2.0, -112], [1, -30], [2, end]]), 4.6)]
    add_tubes(scene.metal, tubes, 0.3, hollow=0.8)
    if rng.random() < 0.7:
        top = scene.body.dome_top("left")
        path = np.array([[4.0, -112], [7, 60], [8, 150], [18, top], [48, top + 34], [72, top + 40]])
        gastric = [Tube(bent(path), 2.0)]
        add_tubes(scene.metal, gastric, 0.6, hollow=0.6)
        tubes += gastric
    return near_tubes(tubes, 1.5)


def sternal_wires(scene: Scene, side: Side, rng: Rng) -> Mask:
    """Five or six twisted steel loops down the middle of the sternum."""
    turn = np.linspace(0, 2 * np.pi, 18)
    loops = []
    for y in np.linspace(42, scene.body.height * 0.82, int(rng.integers(5, 7))):
        wide, high = rng.uniform(7, 10), rng.uniform(5, 7)
        loop = np.column_stack([rng.normal(0, 1.5) + wide * np.cos(turn), y + high * np.sin(turn)])
        loops.append(Tube(loop, 0.9))
    add_tubes(scene.metal, loops, 1.8)
    return near_tubes(loops, 3)


def monitor_leads(scene: Scene, side: Side, rng: Rng) -> Mask:
    """Electrodes on the skin with their wires running off the film."""
    tubes, mask = [], canvas() > 0
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(50, 125) * rng.choice([-1, 1]), rng.uniform(20, 220)
        spot_mask = (X - x) ** 2 + (Y - y) ** 2
        scene.metal += (spot_mask < 5.5**2) * np.float32(0.9) + (spot_mask < 10**2) * np.float32(0.12)
        way = np.array([[x, y], [x * 1.2, y + rng.uniform(20, 60)], [x * 1.4, y + 90], [x * 1.5, 340]])
        tubes.append(Tube(bent(way), 1.1))
        mask |= spot_mask < 10**2
    add_tubes(scene.metal, tubes, 0.6)
    return mask | near_tubes(tubes, 2)


DEVICES: dict[str, Callable[[Scene, Side, Rng], Mask]] = {
    "pacemaker": pacemaker,
    "central line": central_line,
    "tubes": breathing_tube,
    "sternal wires": sternal_wires,
    "ECG leads": monitor_leads,
}


def place_device(scene: Scene, sign: Sign, rng: Rng) -> Mask:
    """Support devices: the kinds joined by ``+`` in the sign."""
    side = sides(sign)[0]
    masks = [DEVICES[kind](scene, side, rng) for kind in sign.kind.split("+")]
    return np.asarray(np.logical_or.reduce(masks), bool)


draw: dict[str, Callable[[Scene, Sign, Rng], Mask]] = {
    "Enlarged Cardiomediastinum": show_upper_mediastinum,
    "Cardiomegaly": show_heart,
    "Lung Opacity": haze,
    "Lung Lesion": nodule,
    "Edema": bat_wing,
    "Consolidation": consolidate,
    "Pneumonia": patches,
    "Atelectasis": plates,
    "Pneumothorax": collapse_lung,
    "Pleural Effusion": meniscus,
    "Pleural Other": thicken_pleura,
    "Fracture": show_break,
    "Support Devices": place_device,
}
