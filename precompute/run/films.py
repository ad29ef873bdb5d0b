"""The one pass that decodes every film: thumbnail, model's pixels, size and hash."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.data.dicom import read_facts
from explorer.data.geometry import Fit
from explorer.data.images import read_film, thumbnail
from explorer.data.limits import BadImage, inside
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import atomic_path, write_array, write_json
from precompute.sources import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Decoded:
    pixels: NDArray[np.uint8]
    thumbnail: bytes
    height: int
    width: int
    sha256: str
    pixels_sha256: str
    view: str


def decode_films(
    source: Source,
    fit: Fit,
    side: int,
    folder: Path,
    report: Callable[[int, int], None],
    *,
    skip_bad: bool,
    allow_burned_in: bool,
) -> None:
    """Decode each film once, in threads (the decoder runs outside the interpreter's lock).

    Writes to ``folder`` the thumbnails, the pixels, (N_kept, S, S) uint8, and the list of films: rows kept with height,
    width, the SHA-256 of the file and of the decoded pixels, and a DICOM header's view; rows skipped with the reason.

    Raises
    ------
    UserError
        On the first film that cannot be used, unless ``skip_bad``; or where none can.
    """

    def decode(relative: str) -> _Decoded | str:
        try:
            path = inside(source.images, relative)
            film = read_film(path)
            facts = read_facts(path)
            if facts.burned_in and not allow_burned_in:
                raise BadImage("text is burned into it, which may name the patient (--allow-burned-in takes it)")
        except BadImage as error:
            return str(error)
        return _Decoded(
            pixels=fit.apply(film),
            thumbnail=thumbnail(film, side),
            height=film.height,
            width=film.width,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            pixels_sha256=hashlib.sha256(f"{film.size}".encode() + film.tobytes()).hexdigest(),
            view=facts.view,
        )

    kept: list[dict[str, object]] = []
    skipped: list[dict[str, object]] = []
    offsets = [0]
    images = source.frame["image"].tolist()
    with (
        atomic_path(folder / layout.THUMBNAILS) as thumbs_path,
        atomic_path(folder / layout.PIXELS) as pixels_path,
        thumbs_path.open("wb") as thumbs,
        pixels_path.open("wb") as pixels,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        rows = iter(range(len(images)))
        while batch := list(itertools.islice(rows, 256)):  # bounded: map would queue every film at once
            for row, film in zip(batch, pool.map(decode, [images[row] for row in batch]), strict=True):
                if isinstance(film, str):
                    if not skip_bad:
                        raise UserError(
                            f"{source.where(row)}: {source.images / images[row]}: {film}.",
                            "Mend or remove the image, or pass --skip-bad to go on without such images.",
                        )
                    skipped.append({"row": row, "reason": film})
                else:
                    thumbs.write(film.thumbnail)
                    offsets.append(offsets[-1] + len(film.thumbnail))
                    pixels.write(film.pixels.tobytes())
                    record = {"height": film.height, "width": film.width, "sha256": film.sha256, "view": film.view}
                    kept.append({"row": row, **record, "pixels_sha256": film.pixels_sha256})
                report(row + 1, len(images))
        if not kept:
            raise UserError(f"None of the {len(images)} images of {source.file} can be used.", "Check --images.")
    write_array(folder / layout.THUMBNAIL_OFFSETS, np.array(offsets, dtype=np.int64))
    write_json(folder / layout.FILMS, {"kept": kept, "skipped": skipped})
