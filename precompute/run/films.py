"""The one pass that decodes every film: thumbnail, model's pixels, size and hash."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.data.dicom import read_facts
from explorer.data.geometry import Fit
from explorer.data.images import read_for, thumbnail
from explorer.data.limits import BadImage, inside
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import atomic_path, sha256_file, write_array, write_json
from explorer.store.reader import Store
from precompute.sources import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHOLE = Fit(size=1)
"""Of films that no model sees: decoded exactly."""


@dataclass(frozen=True)
class PreparedFilm:
    """What is kept of a film: the model's (S, S) pixels, None without a model; its thumbnail as JPEG; its entry in the
    list of films.
    """

    pixels: NDArray[np.uint8] | None
    thumbnail: bytes
    facts: dict[str, object]


def prepare_film(
    images: Path, relative: str, fit: Fit | None, side: int, *, allow_burned_in: bool = False
) -> PreparedFilm | str:
    """Decode a film once; where it cannot be used, why."""
    try:
        path = inside(images, relative)
        film = read_for(fit or _WHOLE, path)
        header = read_facts(path)
        if header.burned_in and not allow_burned_in:
            raise BadImage("text is burned into it, which may name the patient (--allow-burned-in takes it)")
        stat, sha256 = path.stat(), sha256_file(path)
    except BadImage as error:
        return str(error)
    except OSError as error:
        return f"the file cannot be reached ({error.strerror})"
    width, height = film.size
    facts = {
        "height": height,
        "width": width,
        "bytes": stat.st_size,
        "modified_ns": stat.st_mtime_ns,
        "sha256": sha256,
        "pixels_sha256": hashlib.sha256(f"{film.size}".encode() + film.picture.tobytes()).hexdigest(),
        "view": header.view,
    }
    return PreparedFilm(film.fitted(fit) if fit else None, thumbnail(film.picture, side), facts)


def decode_films(
    source: Source,
    fit: Fit | None,
    side: int,
    folder: Path,
    report: Callable[[int, int], None],
    *,
    skip_bad: bool,
    allow_burned_in: bool,
) -> None:
    """Decode each film once, in threads (the decoder runs outside the interpreter's lock).

    Writes to ``folder`` the thumbnails, the pixels, (N_kept, S, S) uint8, and the list of films: rows kept with height,
    width, the file's size, time and SHA-256, the SHA-256 of the pixels as they were decoded, and a DICOM header's view;
    rows skipped with the reason. Without ``fit`` no model sees the films, and the file of pixels is empty.

    Raises
    ------
    UserError
        On the first film that cannot be used, unless ``skip_bad``; or where none can.
    """
    films = source.images
    assert films is not None

    def decode(relative: str) -> PreparedFilm | str:
        return prepare_film(films, relative, fit, side, allow_burned_in=allow_burned_in)

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
                            f"{source.where(row)}: {films / images[row]}: {film}.",
                            "Mend or remove the image, or pass --skip-bad to go on without such images.",
                        )
                    skipped.append({"row": row, "reason": film})
                else:
                    thumbs.write(film.thumbnail)
                    offsets.append(offsets[-1] + len(film.thumbnail))
                    pixels.write(b"" if film.pixels is None else film.pixels.tobytes())
                    kept.append({"row": row, **film.facts})
                report(row + 1, len(images))
        if not kept:
            raise UserError(f"None of the {len(images)} images of {source.file} can be used.", "Check --images.")
    write_array(folder / layout.THUMBNAIL_OFFSETS, np.array(offsets, dtype=np.int64))
    write_json(folder / layout.FILMS, {"kept": kept, "skipped": skipped})


def film_versions(images: Path, names: Iterable[str]) -> list[tuple[int, int] | None]:
    """Size in bytes and time of change in ns of each film's file; None where it cannot be reached."""
    return [_version(images / name) for name in names]


def _version(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):  # a NUL in the name
        return None
    return stat.st_size, stat.st_mtime_ns


def changed_films(store: Store) -> list[str]:
    """The films, by their paths, whose files have changed since a run scored them; those that are away are passed over.

    A file of the same size and time is taken to be the same.
    """
    names, images = store.samples["image"], store.path / store.manifest.dataset.images
    files = store.film_files
    scored = zip(files["bytes"].tolist(), files["modified_ns"].tolist(), strict=True)
    return [
        name
        for name, now, then, sha256 in zip(names, film_versions(images, names), scored, files["sha256"], strict=True)
        if now not in (None, then) and sha256_file(images / name) != sha256
    ]
