"""The phantom: its physics by hand, its signs where their masks are, its plan and its files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from precompute.phantom import LABELS, FilmSpec, plan, render, write_dataset
from precompute.phantom.anatomy import draw_body, frontal
from precompute.phantom.dataset import MIXED_UP, prevalences, regions
from precompute.phantom.film import project
from precompute.phantom.findings import Sign
from precompute.phantom.physics import (
    MU_BONE,
    MU_METAL,
    MU_SOFT,
    ORIGIN,
    SIZE,
    Tube,
    add_ellipsoid,
    add_tubes,
    canvas,
    expose,
    path_integral,
    stack,
    transmit,
)

CENTRE = (int(ORIGIN[1]), int(ORIGIN[0]))
KINDS = {"Support Devices": "pacemaker", "Pleural Other": "rind", "Fracture": "healing"}


@pytest.fixture(scope="module")
def normal() -> FilmSpec:
    return replace(next(spec for spec in plan(20, "source", 0) if spec.view == "frontal"), signs=())


def with_sign(spec: FilmSpec, label: str, severity: float = 0.8) -> FilmSpec:
    side = "both" if label == "Edema" else "right"
    return replace(spec, signs=(Sign(label, severity, side, 4, KINDS.get(label, "")),))


# --- physics ---------------------------------------------------------------------------------------------


def test_chord_through_the_middle_of_a_sphere_is_its_diameter() -> None:
    image = canvas()
    add_ellipsoid(image, (0, 0), (25, 25, 25))
    row, column = CENTRE
    assert image[row, column] == pytest.approx(50)
    assert image[row, column + 15] == pytest.approx(2 * np.sqrt(25**2 - 15**2))
    assert image[row, column + 26] == 0


def test_chord_of_a_tube_and_of_a_slanted_one() -> None:
    row, column = CENTRE
    flat, steep = canvas(), canvas()
    add_tubes(flat, [Tube(np.array([[-60.0, 0.0], [60.0, 0.0]]), 6.0)])
    add_tubes(steep, [Tube(np.array([[-60.0, 0.0, 0.0], [60.0, 0.0, 120.0]]), 6.0)])
    assert flat[row, column] == pytest.approx(12, rel=1e-3)
    assert flat[row + 3, column] == pytest.approx(2 * np.sqrt(36 - 9), rel=1e-3)
    assert steep[row, column] == pytest.approx(12 * np.sqrt(2), rel=1e-3)


def test_stack_of_discs_has_the_depth_of_a_slice() -> None:
    ones = np.ones(SIZE, np.float32)
    image = stack(0 * ones, 80 * ones, 50 * ones)
    row, column = CENTRE
    assert image[row, column] == pytest.approx(100)
    assert image[row, column + 48] == pytest.approx(80, rel=1e-3)  # 100 * sqrt(1 - 0.6**2)
    assert image[row, column + 81] == 0


def test_beer_lambert_of_a_slab() -> None:
    assert transmit(path_integral(100.0)) == pytest.approx(np.exp(-100 * MU_SOFT))
    bony = path_integral(100.0, bone=10.0, metal=1.0)
    assert bony == pytest.approx(90 * MU_SOFT + 10 * MU_BONE + MU_METAL)
    assert transmit(100 * MU_SOFT) ** 2 == pytest.approx(transmit(200 * MU_SOFT))


def test_quantum_noise_grows_where_few_photons_arrive() -> None:
    slab = np.zeros((200, 200), np.float32)
    thin = expose(slab + 1, np.random.default_rng(0), photons=2000, scatter=0, blur=0)
    thick = expose(slab + 3, np.random.default_rng(0), photons=2000, scatter=0, blur=0)
    assert thin.std() == pytest.approx(np.sqrt(np.exp(1) / 2000), rel=0.05)
    assert thick.std() == pytest.approx(np.sqrt(np.exp(3) / 2000), rel=0.05)


# --- anatomy and signs -----------------------------------------------------------------------------------


def cardiothoracic_ratio(spec: FilmSpec) -> float:
    """Widest heart over widest chest, both measured on the scene's masks."""
    scene, _ = project(spec)
    heart = np.nonzero((scene.heart & (scene.silhouette["right"] | scene.heart)).any(axis=0))[0]
    chest = np.nonzero((scene.silhouette["right"] | scene.silhouette["left"]).any(axis=0))[0]
    return float((heart[-1] - heart[0]) / (chest[-1] - chest[0]))


@pytest.mark.parametrize("patient", range(3))
def test_cardiothoracic_ratio(normal: FilmSpec, patient: int) -> None:
    normal = replace(normal, patient_seed=patient)
    assert 0.36 < cardiothoracic_ratio(normal) < 0.50
    assert cardiothoracic_ratio(with_sign(normal, "Cardiomegaly", 0.3)) > 0.50


def test_lungs_are_dark_and_the_right_dome_is_higher() -> None:
    body = draw_body(np.random.default_rng(0))
    scene = frontal(body)
    integral = scene.integral()
    assert integral[scene.lungs].mean() < 0.6 * integral[scene.heart].mean()
    assert body.dome_top("right") < body.dome_top("left")


@pytest.mark.parametrize("label", LABELS[1:])
def test_a_finding_changes_the_film_inside_its_mask(normal: FilmSpec, label: str) -> None:
    before, _ = project(normal)
    after, masks = project(with_sign(normal, label))
    mask = masks[label]
    change = np.abs(after.integral() - before.integral())
    assert mask.shape == (SIZE, SIZE)
    assert 12 < mask.sum() < 0.4 * mask.size
    assert change[mask].mean() > 0.02
    assert change[mask].mean() > 3 * change[~mask].mean()


def test_beyond_the_pleural_line_it_is_darker(normal: FilmSpec) -> None:
    before, _ = project(normal)
    after, masks = project(with_sign(normal, "Pneumothorax"))
    mask = masks["Pneumothorax"]
    assert (after.integral() < before.integral())[mask].mean() > 0.9


def test_lateral_shows_what_a_lateral_can(normal: FilmSpec) -> None:
    film = render(replace(with_sign(normal, "Pleural Effusion"), view="lateral"))
    assert film.masks["Pleural Effusion"].any()
    assert not render(replace(with_sign(normal, "Fracture"), view="lateral")).masks


# --- films -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["source", "target"])
def test_a_film_repeats_and_keeps_its_masks_inside(domain: str) -> None:
    for spec in plan(4, domain, 3):  # type: ignore[arg-type]
        film, again = render(spec), render(spec)
        assert film.image.dtype == np.uint8
        assert np.array_equal(film.image, again.image)
        assert (film.report, film.caption) == (again.report, again.caption)
        assert set(film.masks) <= {label for label, present in film.findings.items() if present}
        assert "No Finding" not in film.masks
        for mask in film.masks.values():
            assert mask.shape == film.image.shape
            assert mask.dtype == bool


def test_a_film_does_not_depend_on_how_many_are_planned() -> None:
    assert plan(5, "target", 1) == plan(50, "target", 1)[:5]
    assert plan(5, "target", 1) != plan(5, "target", 2)
    with pytest.raises(ValueError, match="domain"):
        plan(1, "other", 0)  # type: ignore[arg-type]


# --- plan ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def target() -> list[FilmSpec]:
    return plan(20_000, "target", 0)


def truth_of(specs: list[FilmSpec]) -> np.ndarray:
    rows = np.array([[label in {sign.label for sign in spec.signs} for label in LABELS] for spec in specs])
    rows[:, 0] = ~rows[:, 1:-1].any(axis=1)
    return rows


def test_target_has_the_prevalences_of_the_paper(target: list[FilmSpec]) -> None:
    frontal_only = [spec for spec in target if spec.view == "frontal"]
    share = prevalences("target")
    # Films of a study share their findings, which widens the binomial error a little; 4 sigma of it.
    error = 4 * np.sqrt(1.3 * share * (1 - share) / len(frontal_only)) + 0.0015
    assert (np.abs(truth_of(frontal_only).mean(axis=0) - share) < error).all()


def test_target_records_are_noisy_and_partly_unknown(target: list[FilmSpec]) -> None:
    recorded = np.array([[np.nan if v is None else v for v in spec.labels] for spec in target])
    unknown = np.isnan(recorded) | (recorded < 0)
    assert unknown.mean() == pytest.approx(0.03, abs=0.003)
    assert (recorded == -1).any()
    differs = ((recorded != truth_of(target)) & ~unknown).any(axis=1).mean()
    assert differs == pytest.approx(0.6 * MIXED_UP, abs=0.01)


def test_findings_that_are_kin_come_together(target: list[FilmSpec]) -> None:
    truth = truth_of(target)
    heart, edema = truth[:, LABELS.index("Cardiomegaly")], truth[:, LABELS.index("Edema")]
    assert edema[heart].mean() > 2 * edema[~heart].mean()


def test_patients_return_and_some_studies_have_a_lateral(target: list[FilmSpec]) -> None:
    studies: dict[str, set[str]] = {}
    for spec in target:
        studies.setdefault(spec.patient_id, set()).add(spec.study_id)
    assert np.mean([len(ids) > 1 for ids in studies.values()]) == pytest.approx(0.15, abs=0.015)
    laterals = [spec for spec in target if spec.view == "lateral"]
    assert len(laterals) / len(target) == pytest.approx(0.04, abs=0.01)
    fronts = {spec.study_id for spec in target if spec.view == "frontal"}
    assert {spec.study_id for spec in laterals} <= fronts


def test_source_is_balanced() -> None:
    share = truth_of(plan(4000, "source", 0)).mean(axis=0)
    assert share[0] == pytest.approx(0.20, abs=0.03)
    assert ((share[1:] > 0.08) & (share[1:] < 0.22)).all()


# --- files -----------------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_written_set_reads_back_and_ignores_the_number_of_workers(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    alone = write_dataset(tmp_path / "a", 4, "target", 2, workers=0, progress=lambda *at: seen.append(at))
    pooled = write_dataset(tmp_path / "b", 4, "target", 2, workers=2)
    assert seen[-1] == (4, 4)
    for path in sorted(alone.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (pooled / path.relative_to(alone)).read_bytes()
    rows = read(alone / "labels.csv")
    for row, spec in zip(rows, plan(4, "target", 2), strict=True):
        film = render(spec)
        assert row["sample_id"] == spec.sample_id
        image = cv2.imread(str(alone / row["path"]), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert np.array_equal(image, film.image)
        for label, value in film.labels.items():
            assert row[label] == ("" if value is None else str(value))
    for mark in read(alone / "annotations.csv"):
        image = cv2.imread(str(alone / mark["path"]), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert mark["label"] in LABELS[1:]
        assert float(mark["x"]) >= 0
        assert float(mark["x"]) + float(mark["w"]) <= image.shape[1]
        assert float(mark["y"]) + float(mark["h"]) <= image.shape[0]
        assert len(mark["polygon"].split()) % 2 == 0
    assert json.loads((alone / "dataset.json").read_text())["licence"] == "CC0-1.0"


def test_a_complete_set_is_kept_and_a_broken_one_made_whole(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, 2, "source", 0, workers=0)
    image = out / "images" / "source-00000.png"
    stamp = image.stat().st_mtime_ns
    write_dataset(tmp_path, 2, "source", 0, workers=0)
    assert image.stat().st_mtime_ns == stamp
    (out / "dataset.json").unlink()  # as if the run had been killed
    image.unlink()
    write_dataset(tmp_path, 2, "source", 0, workers=0)
    assert image.exists()


def test_a_thin_strip_is_a_box_and_a_thick_one_an_outline() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:40, 5:7] = True
    mask[10:40, 20:30] = True
    thick, thin = sorted(regions(mask), key=lambda region: -region[2])
    assert thin[:4] == (5.0, 10.0, 2.0, 30.0)
    assert thick[:4] == (20.0, 10.0, 10.0, 30.0)
    for words, (left, right) in ((thin[4], (5, 7)), (thick[4], (20, 30))):
        corners = {tuple(corner) for corner in np.array(words.split(), float).reshape(-1, 2).tolist()}
        # the pixels' edges, less an eighth of a pixel
        assert corners == {(x, y) for x in (left + 0.125, right - 0.125) for y in (10.125, 39.875)}
