"""From the plan of a film to the film: anatomy, signs, exposure, display and what a technician adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from precompute.phantom import findings, reports
from precompute.phantom.anatomy import Body, Scene, draw_body, frontal, sign_of
from precompute.phantom.findings import Sign
from precompute.phantom.labels import LABELS
from precompute.phantom.lateral import LATERAL_SIGNS, lateral
from precompute.phantom.physics import ORIGIN, Image, Mask, X, Y, add_ellipsoid, expose, smooth

Domain = Literal["source", "target"]
FilmView = Literal["frontal", "lateral"]


@dataclass(frozen=True)
class FilmSpec:
    """All that is needed to render one film; small and picklable.

    ``labels`` are the recorded ones, 1, 0, -1 (uncertain) or None (blank), which in ``target`` may differ
    from the signs that are drawn. A patient keeps the anatomy, a study the breath, a film its exposure.
    """

    domain: Domain
    sample_id: str
    patient_id: str
    study_id: str
    view: FilmView
    patient_seed: int
    study_seed: int
    film_seed: int
    signs: tuple[Sign, ...]
    labels: tuple[int | None, ...]


@dataclass(frozen=True)
class Film:
    """A rendered film.

    Attributes
    ----------
    image : (H, W) uint8, grey
    masks : per drawn finding, (H, W) bool in the pixels of ``image``
    findings : per label, 1 when drawn, else 0
    labels : per label, as recorded: 1, 0, -1 (uncertain) or None (blank)
    view, patient_id, study_id, sample_id : as planned
    report, caption : free text; the report follows the recorded labels, the caption the true ones
    """

    image: NDArray[np.uint8]
    masks: dict[str, Mask]
    findings: dict[str, int]
    labels: dict[str, int | None]
    view: FilmView
    patient_id: str
    study_id: str
    sample_id: str
    report: str
    caption: str


@dataclass(frozen=True)
class Acquisition:
    """How a film was taken and shown.

    ``field`` is the short side in mm, ``focus`` the body point in the middle. ``detail`` is the gain of local contrast
    processing, ``window`` the percentiles shown as black and white.
    """

    shape: tuple[int, int]
    field: float
    focus: tuple[float, float]
    angle: float
    photons: float
    scatter: float
    blur: float
    detail: float
    gamma: float
    window: tuple[float, float]
    contrast: float
    collimation: tuple[float, float, float, float]
    marker: str
    note: str
    figure: str


def draw_acquisition(rng: np.random.Generator, domain: Domain, body: Body) -> Acquisition:
    """Journal figures (source) are clean, contrasty and cropped; hospital films (target) vary in exposure."""
    middle = 0.5 * body.bottom + 12
    if domain == "source":
        short = int(rng.integers(304, 385))
        tall = rng.random() < 0.5
        return Acquisition(
            shape=(384, short) if tall else (short, 384),
            field=float(rng.uniform(292, 372)),
            focus=(float(rng.normal(0, 6)), middle + float(rng.normal(0, 8))),
            angle=float(rng.normal(0, 1.5)),
            photons=float(np.exp(rng.uniform(np.log(8e3), np.log(3e4)))),
            scatter=float(rng.uniform(0.2, 0.5)),
            blur=float(rng.uniform(0.3, 0.9)),
            detail=float(rng.uniform(0.35, 0.9)),
            gamma=float(rng.uniform(0.85, 1.3)),
            window=(float(rng.uniform(1, 6)), float(rng.uniform(98, 99.8))),
            contrast=1.0,
            collimation=(0, 0, 0, 0),
            marker="" if rng.random() < 0.4 else "L",
            note="",
            figure=str(rng.choice(["", "A", "B", "arrow"], p=[0.6, 0.14, 0.08, 0.18])),
        )
    portable = rng.random() < 0.25
    crop = rng.uniform(0, 0.05, 4) * (rng.random(4) < 0.4)
    return Acquisition(
        shape=(384, int(rng.integers(312, 385))),
        field=float(rng.uniform(310, 395)),
        focus=(float(rng.normal(0, 10)), middle + float(rng.normal(6, 14))),
        angle=float(rng.normal(0, 4.5)),
        photons=float(np.exp(rng.uniform(np.log(7e2), np.log(5e3)))),
        scatter=float(rng.uniform(0.6, 1.6)),
        blur=float(rng.uniform(0.7, 1.7)),
        detail=float(rng.uniform(0.0, 0.35)),
        gamma=float(np.exp(rng.normal(0, 0.3))),
        window=(float(rng.uniform(0, 3)), float(rng.uniform(97, 100))),
        contrast=float(rng.uniform(0.62, 0.95)),
        collimation=(float(crop[0]), float(crop[1]), float(crop[2]), float(crop[3])),
        marker=str(rng.choice(["L", "R", ""], p=[0.6, 0.25, 0.15])),
        note="AP PORTABLE" if portable else "",
        figure="",
    )


def to_film(acquisition: Acquisition) -> NDArray[np.float64]:
    """Affine map (2, 3) from canvas pixels to film pixels."""
    high, wide = acquisition.shape
    scale = min(high, wide) / acquisition.field
    turn = np.deg2rad(acquisition.angle)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    focus = np.array(acquisition.focus) + ORIGIN
    return np.column_stack([linear, np.array([wide / 2, high / 2]) - linear @ focus])


def display(signal: Image, acquisition: Acquisition) -> Image:
    """Log signal to grey 0-1: local contrast, percentile window, a film's soft shoulder, gamma."""
    shown = signal + acquisition.detail * (signal - smooth(signal, 0.09 * max(signal.shape)))
    low, high = np.percentile(shown[::3, ::3], acquisition.window)
    grey = np.clip((shown - low) / max(high - low, 1e-3), 0, 1.05)
    grey = grey**acquisition.gamma
    grey = 1 - np.exp(-1.9 * grey**1.25)  # the shoulder: dense regions crowd towards white
    grey = 0.5 + acquisition.contrast * (grey / 0.865 - 0.5)
    return np.asarray(np.clip(grey, 0, 1), np.float32)


def write_on(image: NDArray[np.uint8], acquisition: Acquisition, rng: np.random.Generator) -> None:
    """Side marker, portable note and the letters or arrows of a figure, in place."""
    high, wide = image.shape
    font = cv2.FONT_HERSHEY_SIMPLEX
    if acquisition.marker:
        left = acquisition.marker == "L"
        at = (
            int(wide * (rng.uniform(0.86, 0.93) if left else rng.uniform(0.03, 0.09))),
            int(high * rng.uniform(0.07, 0.2)),
        )
        size = float(rng.uniform(0.5, 0.8))
        cv2.putText(image, acquisition.marker, at, font, size, 250, 2, cv2.LINE_AA)
        if rng.random() < 0.25:
            cv2.circle(image, (at[0] + 6, at[1] - 6), 13, 250, 1, cv2.LINE_AA)
    for line, word in enumerate(acquisition.note.split()):
        cv2.putText(image, word, (int(wide * 0.84) - 20 * line, 70 + 22 * line), font, 0.36, 245, 1, cv2.LINE_AA)
    if acquisition.figure in ("A", "B"):
        cv2.putText(image, acquisition.figure, (8, high - 10), font, 0.9, 255, 2, cv2.LINE_AA)


def point_at(image: NDArray[np.uint8], masks: dict[str, Mask], rng: np.random.Generator) -> None:
    """An arrow towards one drawn finding, as authors put into figures."""
    findings_shown = [mask for label, mask in masks.items() if label != "Support Devices" and mask.any()]
    if not findings_shown:
        return
    rows, columns = np.nonzero(findings_shown[int(rng.integers(len(findings_shown)))])
    pick = int(rng.integers(len(rows)))
    tip = (int(columns[pick]), int(rows[pick]))
    angle = rng.uniform(0, 2 * np.pi)
    tail = (int(tip[0] + 26 * np.cos(angle)), int(tip[1] + 26 * np.sin(angle)))
    cv2.arrowedLine(image, tail, tip, 255, 2, cv2.LINE_AA, tipLength=0.4)


def confound(scene: Scene, rng: np.random.Generator) -> None:
    """Normal things that imitate findings in ``target``: nipples, skin folds, old scars."""
    body = scene.body
    if rng.random() < 0.22:
        for side in ("left", "right"):
            if rng.random() < 0.8:
                place = (
                    sign_of("left" if side == "left" else "right") * body.half_thorax * 0.62,
                    body.height * 0.83,
                )
                add_ellipsoid(scene.extra, (place[0] + rng.normal(0, 4), place[1] + rng.normal(0, 6)), (5, 5, 7))
    if rng.random() < 0.22:
        x = sign_of("left" if rng.random() < 0.5 else "right")
        edge = x * (body.half_thorax * rng.uniform(0.6, 0.9) + 0.12 * (Y - 120))
        distance = x * X - x * edge
        scene.extra += np.where((distance > 0) & (Y > 30), 9 * np.exp(-distance / 14), 0).astype(np.float32)
    if rng.random() < 0.15:
        place = (float(rng.choice([-1, 1]) * rng.uniform(45, 110)), float(rng.uniform(40, 170)))
        add_ellipsoid(scene.bone, place, (2.2, 2.2, 2.2), 0.9)


def project(spec: FilmSpec) -> tuple[Scene, dict[str, Mask]]:
    """The scene of a film with its signs drawn, and their masks on the canvas."""
    wide = 1.0 if spec.domain == "source" else 1.35
    body = draw_body(np.random.default_rng(spec.patient_seed), wide)
    rng = np.random.default_rng(spec.study_seed)
    breath = rng.uniform(0.94, 1.03) if spec.domain == "source" else rng.uniform(0.78, 1.04)
    # Poor inspiration lifts the domes and lets the heart lie down: a little wider, still below one half.
    ratio = min(body.ratio + 0.12 * max(0.95 - breath, 0), 0.485)
    body = replace(body, inspiration=float(breath), ratio=float(ratio), shift=float(rng.normal(0, 2.5)))
    for sign in spec.signs:
        if sign.label in findings.reshape:
            body = findings.reshape[sign.label](body, sign, np.random.default_rng([sign.seed, 0]))
    scene = frontal(body) if spec.view == "frontal" else lateral(body)
    if spec.domain == "target":
        confound(scene, np.random.default_rng([spec.film_seed, 1]))
    signs = findings.draw if spec.view == "frontal" else LATERAL_SIGNS
    masks = {
        sign.label: signs[sign.label](scene, sign, np.random.default_rng([sign.seed, 1]))
        for sign in spec.signs
        if sign.label in signs
    }
    return scene, masks


def render(spec: FilmSpec) -> Film:
    """Render one film; the same spec always gives the same film.

    Examples
    --------
    >>> from precompute.phantom import plan
    >>> film = render(plan(1, "source", seed=0)[0])
    >>> film.image.ndim, str(film.image.dtype)
    (2, 'uint8')
    """
    scene, canvas_masks = project(spec)
    rng = np.random.default_rng(spec.film_seed)
    acquisition = draw_acquisition(rng, spec.domain, scene.body)
    high, wide = acquisition.shape
    affine = to_film(acquisition)
    integral = cv2.warpAffine(scene.integral(), affine, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng([spec.film_seed, 2])
    signal = expose(np.asarray(integral, np.float32), noise, acquisition.photons, acquisition.scatter, acquisition.blur)
    image = np.asarray(np.rint(display(signal, acquisition) * 255), np.uint8)
    masks = {
        label: cv2.warpAffine(mask.astype(np.uint8), affine, (wide, high), flags=cv2.INTER_NEAREST) > 0
        for label, mask in canvas_masks.items()
    }
    top, right, bottom, left = acquisition.collimation
    open_beam = np.zeros((high, wide), bool)
    open_beam[int(top * high) : high - int(bottom * high), int(left * wide) : wide - int(right * wide)] = True
    image[~open_beam] = 6
    masks = {label: mask & open_beam for label, mask in masks.items()}
    write_on(image, acquisition, rng)
    if acquisition.figure == "arrow":
        point_at(image, masks, rng)
    if spec.domain == "source" and rng.random() < 0.5:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 90))])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    true = {sign.label for sign in spec.signs}
    true_labels = {label: int(label in true) for label in LABELS}
    true_labels["No Finding"] = int(not true - {"Support Devices"})
    labels = dict(zip(LABELS, spec.labels, strict=True))
    words = np.random.default_rng([spec.study_seed, 3])
    return Film(
        image=image,
        masks=masks,
        findings=true_labels,
        labels=labels,
        view=spec.view,
        patient_id=spec.patient_id,
        study_id=spec.study_id,
        sample_id=spec.sample_id,
        report=reports.report(labels, spec.signs, words),
        caption=reports.caption(spec.signs, spec.view, np.random.default_rng([spec.film_seed, 4])),
    )
