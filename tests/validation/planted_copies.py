"""Ways in which one film comes to lie in a set twice, for the trials of the search for near copies."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

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
