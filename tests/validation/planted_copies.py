"""Near copies: planted ones found, and other films taken for copies

Each kind of copy is planted from films chosen by chance, among phantoms and, where the shared films are there, among
real ones. A copy is found where its pair reaches the search's threshold. False are pairs above it that are not planted
and differ in their pixels. Real films may hold true copies that nobody has marked.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from explorer.data.images import read_film, thumbnail
from precompute.audit.duplicates import exact_pairs, near_pairs
from precompute.phantom import plan, render
from tests.conftest import SHARED
from tests.validation import Row, share

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
"""A grey film and a seeded generator to the film as another system may hold it."""


def crop(share: float) -> Change:
    """A share of width and of height lost, split between both sides by chance."""

    def change(film: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = film.size
        left, top = rng.uniform(0, share, 2)
        return film.crop(
            (
                round(width * left),
                round(height * top),
                round(width * (1 - share + left)),
                round(height * (1 - share + top)),
            )
        )

    return change


def gamma(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    exponent = rng.choice([0.6, 1.6])
    return Image.fromarray(np.uint8(255 * (np.asarray(film) / 255) ** exponent))


def jpeg(quality: int) -> Change:
    def change(film: Image.Image, rng: np.random.Generator) -> Image.Image:
        out = io.BytesIO()
        film.save(out, "JPEG", quality=quality)
        return Image.open(out).convert("L")

    return change


def half(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    return film.resize((film.width // 2, film.height // 2), Image.Resampling.BILINEAR)


def noise(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gaussian, of 10 grey levels of 255."""
    return Image.fromarray(np.uint8((np.asarray(film) + rng.normal(0, 10, (film.height, film.width))).clip(0, 255)))


def turn(degrees: float) -> Change:
    """To either side, what comes into the picture being black."""

    def change(film: Image.Image, rng: np.random.Generator) -> Image.Image:
        return film.rotate(degrees * rng.choice([-1, 1]), Image.Resampling.BICUBIC)

    return change


def mirror(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(film)


def negative(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.invert(film)


def stretch(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By a tenth, in width or in height."""
    wide, high = ((1.1, 1.0), (1.0, 1.1))[rng.integers(2)]
    return film.resize((round(film.width * wide), round(film.height * high)), Image.Resampling.BICUBIC)


def several(*changes: Change) -> Change:
    def change(film: Image.Image, rng: np.random.Generator) -> Image.Image:
        for one in changes:
            film = one(film, rng)
        return film

    return change


KINDS: dict[str, Change] = {
    "crop 10 %": crop(0.1),
    "crop 20 %": crop(0.2),
    "gamma": gamma,
    "JPEG 40": jpeg(40),
    "JPEG 15": jpeg(15),
    "half size": half,
    "noise": noise,
    "mirror": mirror,
    "turn 2°": turn(2),
    "turn 5°": turn(5),
    "negative": negative,
    "stretch 10 %": stretch,
    "crop, gamma, half size, JPEG 40": several(crop(0.1), gamma, half, jpeg(40)),
}

RECALL = (0.95, 1.0)
"""Where the share of planted copies that are found should lie."""
NONE = (0.0, 0.0)
"""Where the share of compared pairs that are false copies should lie."""


def phantoms(rng: np.random.Generator, sizes: Sequence[int]) -> list[Row]:
    """Sets of phantoms of several seeds, with some copies of each kind in each."""
    counts: Counter[str] = Counter()
    for n in sizes:
        films = [render(spec) for spec in plan(n, "target", int(rng.integers(2**31)))]
        pictures = [Image.fromarray(film.image) for film in films]
        counts += trial(pictures, [film.patient_id for film in films], rng)
    return shares(f"phantoms, sets of {' and '.join(f'{n:,}' for n in sizes)}", counts)


def real_films(rng: np.random.Generator, sizes: Sequence[int]) -> list[Row]:
    """Sets chosen from the shared films, with some copies of each kind in each; no rows where there are none."""
    folder = SHARED / "nih_cxr14"
    if not folder.is_dir():
        return []
    counts: Counter[str] = Counter()
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    for n in sizes:
        part = table.iloc[rng.choice(len(table), n, replace=False)]
        pictures = [read_film(folder / path) for path in part["path"]]
        counts += trial(pictures, part["patient_id"].tolist(), rng)
    return shares(f"real films, sets of {' and '.join(f'{n:,}' for n in sizes)}", counts)


def trial(films: Sequence[Image.Image], patients: Sequence[str], rng: np.random.Generator) -> Counter[str]:
    """Copies planted and sought in one set: found ones by kind, planted of each kind, false ones, pairs compared."""
    n = len(films)
    planted = min(20, n // 20)
    exact = {tuple(pair) for pair in exact_pairs([str(hash(film.tobytes())) for film in films]).tolist()}
    single = np.setdiff1d(np.arange(n), [row for pair in exact for row in pair])
    sources = rng.choice(single, planted * len(KINDS), replace=False)
    kinds = np.repeat(list(KINDS), planted)
    copies = [KINDS[kind](films[row], rng) for kind, row in zip(kinds, sources, strict=True)]
    pictures = [np.asarray(Image.open(io.BytesIO(thumbnail(film, 256)))) for film in (*films, *copies)]
    codes = pd.factorize(np.array(patients, dtype=object))[0]
    apart = np.concatenate([codes, codes.max() + 1 + np.arange(len(copies))])
    vectors = np.ones((len(pictures), 1), dtype=np.float32)  # shown to the reader, not used
    pairs, rule = near_pairs(lambda row: pictures[row], vectors, apart, lambda done, total: None)
    near = {(int(a), int(b)) for a, b in pairs[pairs["near"]][["a", "b"]].to_numpy()}
    planted_pairs = {(int(row), n + i): str(kind) for i, (row, kind) in enumerate(zip(sources, kinds, strict=True))}
    counts = Counter(kind for pair, kind in planted_pairs.items() if pair in near)
    counts["planted"] = planted
    counts["false"] = len(near - set(planted_pairs) - exact)
    counts["compared"] = int(rule["n_pairs"])
    return counts


def shares(what: str, counts: Counter[str]) -> list[Row]:
    """Recall of each kind, and the false copies."""
    recalls = [share(f"{what}: {kind}, found", counts[kind], counts["planted"], RECALL) for kind in KINDS]
    return [*recalls, share(f"{what}: pairs falsely called copies", counts["false"], counts["compared"], NONE)]


PARTS = [
    partial(phantoms, sizes=(200, 700)),
    partial(phantoms, sizes=(1_500,)),
    partial(real_films, sizes=(400, 1_196)),
]
