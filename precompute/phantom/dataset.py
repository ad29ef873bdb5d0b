"""Which films a data set holds (``plan``, cheap), and writing them (``write_dataset``, in processes)."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from precompute.phantom.film import Domain, FilmSpec, FilmView, render
from precompute.phantom.findings import DEVICES, Sign
from precompute.phantom.labels import LABELS
from precompute.phantom.physics import Mask

VERSION = "3"
"""Raised whenever a film of the same seed, or what is written of it, would be different."""

TARGET_COUNTS = (2400, 70, 415, 516, 165, 49, 31, 68, 216, 20, 129, 56, 127, 163)
"""Positive films per label among the 3,818 frontal films of IU X-ray, as the paper counts them."""

SOURCE_SHARES = (0.20, 0.11, 0.16, 0.20, 0.14, 0.12, 0.13, 0.14, 0.16, 0.12, 0.18, 0.11, 0.11, 0.18)
"""Share of positive source films per label: nearly balanced, so that rare signs are learnt too."""

FINDINGS = LABELS[1:-1]

FINE = 4
"""Outlines are traced on a mask so many times enlarged."""

MIXED_UP, UNCERTAIN, BLANK = 0.05, 0.01, 0.02
"""Shares of target records: rows of another study (most of which differ somewhere), -1 cells, blank cells."""

KINSHIP = {
    ("Cardiomegaly", "Edema"): 0.5,
    ("Cardiomegaly", "Pleural Effusion"): 0.35,
    ("Cardiomegaly", "Enlarged Cardiomediastinum"): 0.3,
    ("Edema", "Pleural Effusion"): 0.45,
    ("Pleural Effusion", "Atelectasis"): 0.45,
    ("Pneumonia", "Lung Opacity"): 0.6,
    ("Consolidation", "Lung Opacity"): 0.5,
    ("Consolidation", "Pneumonia"): 0.5,
    ("Atelectasis", "Lung Opacity"): 0.15,
}
"""Latent correlations of findings that come together in patients; all other pairs are independent."""


BILATERAL = {
    "Edema": 1.0,
    "Pleural Effusion": 0.25,
    "Pneumonia": 0.2,
    "Pleural Other": 0.2,
    "Atelectasis": 0.15,
    "Lung Opacity": 0.15,
    "Consolidation": 0.08,
}
"""How often a finding lies on both sides."""


def prevalences(domain: Domain) -> NDArray[np.float64]:
    """Share of positive films per label, shape (14,)."""
    return np.array(TARGET_COUNTS) / 3818 if domain == "target" else np.array(SOURCE_SHARES)


@lru_cache(maxsize=2)
def copula(domain: Domain) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cholesky factor (12, 12) and thresholds (12,) of latent normals whose signs are the findings.

    Films without any finding are drawn again. The thresholds are therefore fitted, on a fixed sample, until the shares
    among films with at least one finding are the wanted ones.
    """
    size = len(FINDINGS)
    kin = np.eye(size)
    for (one, other), strength in KINSHIP.items():
        i, j = FINDINGS.index(one), FINDINGS.index(other)
        kin[i, j] = kin[j, i] = strength * (1.0 if domain == "target" else 0.6)
    values, vectors = np.linalg.eigh(kin)
    kin = vectors @ np.diag(np.maximum(values, 0.02)) @ vectors.T
    kin /= np.sqrt(np.outer(np.diag(kin), np.diag(kin)))
    factor = np.linalg.cholesky(kin)
    latent = np.random.default_rng(0).standard_normal((60_000, size)) @ factor.T
    share = prevalences(domain)
    wanted = share[1:-1] / (1 - share[0])
    threshold = np.zeros(size)
    ranked = np.sort(latent, axis=0)
    some = 0.8
    for _ in range(25):
        cut = ((1 - wanted * some) * len(latent)).astype(int)
        threshold = ranked[cut, np.arange(size)]
        some = float((latent > threshold).any(axis=1).mean())
    return factor, threshold


def draw_truth(rng: np.random.Generator, domain: Domain) -> NDArray[np.bool_]:
    """The true findings of one study, shape (14,)."""
    share = prevalences(domain)
    truth = np.zeros(len(LABELS), bool)
    truth[0] = rng.random() < share[0]
    factor, threshold = copula(domain)
    while not truth[:-1].any():
        truth[1:-1] = factor @ rng.standard_normal(len(FINDINGS)) > threshold
    # Devices are for the ill: nearly four times as common where something is wrong.
    ill = 3.8 if domain == "target" else 1.6
    well = share[-1] / (share[0] + ill * (1 - share[0]))
    truth[-1] = rng.random() < (well if truth[0] else ill * well)
    return truth


def draw_signs(truth: NDArray[np.bool_], rng: np.random.Generator, domain: Domain) -> tuple[Sign, ...]:
    """How each true finding of a study looks."""
    signs = []
    for label in (label for label, true in zip(LABELS[1:], truth[1:], strict=True) if true):
        severity = float(rng.uniform(0.3, 1.0) if domain == "source" else rng.beta(1.7, 2.8) * 0.9)
        side = "both" if rng.random() < BILATERAL.get(label, 0.0) else str(rng.choice(["left", "right"]))
        kind = ""
        if label == "Support Devices":
            number = 1 + int(rng.random() < 0.3)
            kind = "+".join(sorted(str(k) for k in rng.choice(sorted(DEVICES), number, replace=False)))
        elif label == "Pleural Other":
            kind = str(rng.choice(["cap", "rind", "plaque"]))
        elif label == "Fracture":
            kind = str(rng.choice(["fresh", "healing"]))
        elif label == "Lung Lesion":
            kind = str(rng.choice(["soft", "calcified"], p=[0.75, 0.25]))
        signs.append(Sign(label, severity, side, int(rng.integers(2**31)), kind))
    return tuple(signs)


def record(truth: NDArray[np.bool_], rng: np.random.Generator, domain: Domain) -> tuple[int | None, ...]:
    """Recorded labels of a study. In ``target`` about 3% are another study's and 3% of cells unknown.

    A mixed-up row is drawn afresh, so that the prevalences stay what they were.
    """
    if domain == "source":
        return tuple(int(value) for value in truth)
    mixed = rng.random() < MIXED_UP
    row = draw_truth(rng, domain) if mixed else truth
    fate = rng.random(len(row))
    return tuple(
        -1 if u < UNCERTAIN else None if u < UNCERTAIN + BLANK else int(value)
        for value, u in zip(row, fate, strict=True)
    )


def plan_patient(number: int, domain: Domain, seed: int) -> list[FilmSpec]:
    """The films of one patient, still without a sample id; patients share no random stream."""
    rng = np.random.default_rng([seed, 0 if domain == "source" else 1, number])
    body = int(rng.integers(2**31))
    studies = int(rng.choice([2, 3, 4], p=[0.6, 0.25, 0.15])) if rng.random() < 0.15 else 1
    films = []
    for study in range(studies if domain == "target" else 1):
        truth = draw_truth(rng, domain)
        signs = draw_signs(truth, rng, domain)
        labels = record(truth, rng, domain)
        study_seed = int(rng.integers(2**31))
        views: tuple[FilmView, ...] = ("frontal",)
        if domain == "source" and rng.random() < 0.03:
            views = ("lateral",)
        elif domain == "target" and rng.random() < 0.04:
            views = ("frontal", "lateral")
        for view in views:
            films.append(
                FilmSpec(
                    domain=domain,
                    sample_id="",
                    patient_id=f"{domain}-p{number:05d}",
                    study_id=f"{domain}-p{number:05d}-s{study + 1}",
                    view=view,
                    patient_seed=body,
                    study_seed=study_seed,
                    film_seed=int(rng.integers(2**31)),
                    signs=signs,
                    labels=labels,
                )
            )
    return films


def plan(n: int, domain: Domain, seed: int) -> list[FilmSpec]:
    """Plan ``n`` films; cheap, and the same for the same seed however many are asked for.

    Parameters
    ----------
    n : number of films
    domain : "source" (figures, balanced) or "target" (hospital films with IU X-ray's prevalences)
    seed : of everything random

    Returns
    -------
    list of n specs, in the order of their ids

    Examples
    --------
    >>> [spec.sample_id for spec in plan(2, "target", seed=0)]
    ['target-00000', 'target-00001']
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if domain not in ("source", "target"):
        raise ValueError(f'domain must be "source" or "target", got {domain!r}')
    films: list[FilmSpec] = []
    for number in count():
        films += plan_patient(number, domain, seed)
        if len(films) >= n:
            break
    return [replace(film, sample_id=f"{domain}-{index:05d}") for index, film in enumerate(films[:n])]


def true_labels(films: Sequence[FilmSpec]) -> NDArray[np.float32]:
    """(n, 14) what films show, 1 or 0, whatever their records say."""
    truth = np.zeros((len(films), len(LABELS)), dtype=np.float32)
    for row, film in enumerate(films):
        for sign in film.signs:
            truth[row, LABELS.index(sign.label)] = 1
    truth[:, 0] = truth[:, 1:-1].sum(axis=1) == 0
    return truth


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole or absent."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def regions(mask: Mask, smallest: int = 12) -> list[tuple[float, float, float, float, str]]:
    """Connected regions of a mask: x, y, w, h in pixels, and the outline as "x1 y1 x2 y2 ...".

    OpenCV's outlines join pixel centres. So they are taken of an enlarged mask, an eighth of a pixel within the edges.
    A strip one pixel thin is its box alone: its outline would be a line.
    """
    fine = np.kron(mask, np.ones((FINE, FINE), bool)).astype(np.uint8)
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    marked = []
    for contour in contours:
        x, y, w, h = (int(side) // FINE for side in cv2.boundingRect(contour))
        if int(mask[y : y + h, x : x + w].sum()) < smallest:
            continue
        corners = (cv2.approxPolyDP(contour, FINE, True).reshape(-1, 2) + 0.5) / FINE
        words = " ".join(f"{v:g}" for v in corners.ravel()) if len(corners) > 2 else ""
        marked.append((float(x), float(y), float(w), float(h), words))
    return marked


def write_film(spec: FilmSpec, out: Path) -> tuple[list[object], list[list[object]]]:
    """Render a film into ``out/images``; return its row of labels and its rows of annotations."""
    cv2.setNumThreads(1)  # the processes already share the cores
    film = render(spec)
    path = f"images/{spec.sample_id}.png"
    ok, data = cv2.imencode(".png", film.image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not ok:
        raise OSError(f"could not encode {path} as PNG")
    write_bytes(out / path, data.tobytes())
    known = ["" if value is None else value for value in film.labels.values()]
    words = film.caption if spec.domain == "source" else film.report
    row: list[object] = [path, film.sample_id, film.patient_id, film.study_id, film.view, words, *known]
    marks: list[list[object]] = [
        [path, label, "phantom ground truth", *region] for label, mask in film.masks.items() for region in regions(mask)
    ]
    return row, marks


def write_table(path: Path, head: list[str], rows: list[list[object]]) -> None:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_dataset(
    out: Path,
    n: int,
    domain: Domain,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a data set: images, ``labels.csv``, ``annotations.csv`` and, last, ``dataset.json``.

    A complete folder of the same arguments is returned at once; after a killed run, call again.

    Parameters
    ----------
    out : folder, made when absent
    n, domain, seed : as for `plan`
    workers : processes; None for one per core, 0 to render in this process
    progress : called with (films done, n)

    Returns
    -------
    ``out``
    """
    out = Path(out)
    card = {
        "name": f"phantom-{domain}",
        "domain": domain,
        "seed": seed,
        "n": n,
        "licence": "CC0-1.0",
        "generator": f"precompute.phantom {VERSION}",
    }
    done = out / "dataset.json"
    if done.is_file() and done.read_bytes() == (json.dumps(card, indent=2) + "\n").encode():
        return out
    done.unlink(missing_ok=True)
    (out / "images").mkdir(parents=True, exist_ok=True)
    specs = plan(n, domain, seed)
    work = partial(write_film, out=out)
    labels: list[list[object]] = []
    annotations: list[list[object]] = []

    def take(result: tuple[list[object], list[list[object]]]) -> None:
        labels.append(result[0])
        annotations.extend(result[1])
        if progress:
            progress(len(labels), n)

    if workers == 0:
        for spec in specs:
            take(work(spec))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool:
            for result in pool.map(work, specs, chunksize=16):
                take(result)
    write_table(out / "labels.csv", ["path", "sample_id", "patient_id", "study_id", "view", "report", *LABELS], labels)
    write_table(out / "annotations.csv", ["path", "label", "annotator", "x", "y", "w", "h", "polygon"], annotations)
    write_bytes(done, (json.dumps(card, indent=2) + "\n").encode())
    return out
