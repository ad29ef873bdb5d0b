"""The one pass that decodes every film: thumbnail, model's pixels, size and hash."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from explorer.store.files import atomic_path, sha256_file, sha256_json, write_array, write_json
from explorer.store.reader import Store
from precompute.run.shards import Advance, Engine, Part, Share, make_shards, processors, ranges, write_shard
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


class UnusableFilm(Exception):
    """A film that cannot be used, by its row, and why."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(row, reason)
        self.row = row
        self.reason = reason


@dataclass(frozen=True)
class FilmPart(Part):
    """Films by their paths, with size and time as the job has seen them."""

    names: tuple[str, ...]
    versions: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class FilmDecoder:
    """How the films of a folder are decoded.

    Parameters
    ----------
    images : Path
        The folder, as every machine has it.
    fit : Fit or None
        None where no encoder sees them.
    side : int
        A thumbnail's long side in pixels.
    code : int
        The number of the stage's code.
    """

    images: Path
    fit: Fit | None
    side: int
    code: int
    skip_bad: bool = False
    allow_burned_in: bool = False

    def parts(self, names: Sequence[str], versions: Sequence[tuple[int, int] | None], root: Path) -> list[FilmPart]:
        """The parts of a set, whose shards lie in the store at ``root``."""
        decides = [str(self.images), self.fit and self.fit.model_dump(), self.side, self.allow_burned_in, self.code]
        parts = []
        for first, last in ranges(len(names)):
            films = tuple(names[first:last]), tuple(versions[first:last])
            file = layout.shard_file(root.resolve(), "films", sha256_json([*decides, *films]))
            parts.append(FilmPart(first, last, file, *films))
        return parts

    def __call__(self, part: FilmPart, share: Share, advance: Advance) -> None:
        """Decode each film once, in threads: the decoder runs outside the interpreter's lock.

        Raises
        ------
        UnusableFilm
            The first of them, unless ``skip_bad``.
        UserError
            A film is not here as the job has seen it.
        """

        def decode(name: str) -> PreparedFilm | str:
            return prepare_film(self.images, name, self.fit, self.side, allow_burned_in=self.allow_burned_in)

        kept: list[PreparedFilm] = []
        listed: dict[str, list[dict[str, object]]] = {"kept": [], "skipped": []}
        with ThreadPoolExecutor(share.threads or processors()) as pool:
            films = zip(part.names, part.versions, pool.map(decode, part.names), strict=True)
            for row, (name, version, film) in enumerate(films):
                if isinstance(film, str):
                    self._check_unchanged(name, version, _version(self.images / name))
                    if not self.skip_bad:
                        raise UnusableFilm(part.first + row, film)
                    listed["skipped"].append({"row": row, "reason": film})
                else:
                    self._check_unchanged(name, version, (film.facts["bytes"], film.facts["modified_ns"]))
                    listed["kept"].append({"row": row, **film.facts})
                    kept.append(film)
                advance(1)
        size = self.fit.size if self.fit else 0
        pixels = [film.pixels for film in kept if film.pixels is not None]
        write_shard(
            part.file,
            {
                "pixels": np.array(pixels, np.uint8).reshape(len(pixels), size, size),
                "thumbnails": np.frombuffer(b"".join(film.thumbnail for film in kept), np.uint8),
                "lengths": np.array([len(film.thumbnail) for film in kept], np.int64),
                "films": np.frombuffer(json.dumps(listed).encode(), np.uint8),
            },
        )

    def _check_unchanged(self, name: str, version: tuple[int, int] | None, now: object) -> None:
        if now != version:
            raise UserError(
                f"{socket.gethostname()} does not see {self.images / name} as it was when the job began.",
                "Give the same command again. Every machine must see the same folder of films.",
            )


def decode_films(
    source: Source,
    decoder: FilmDecoder,
    parts: Sequence[FilmPart],
    folder: Path,
    engine: Engine,
    report: Callable[[int, int], None],
) -> None:
    """Decode all films, and put their shards together.

    Writes to ``folder`` the thumbnails, the pixels, (N_kept, S, S) uint8, and the list of films: rows kept with height,
    width, the file's size, time and SHA-256, the SHA-256 of the pixels as they were decoded, and a DICOM header's view;
    rows skipped with the reason. Without ``fit`` no model sees the films, and the file of pixels is empty.

    Raises
    ------
    UserError
        On the first film that cannot be used, unless the decoder is to skip it; or where none can.
    """
    kept: list[dict[str, object]] = []
    skipped: list[dict[str, object]] = []
    offsets = [0]
    with (
        atomic_path(folder / layout.THUMBNAILS) as thumbs_path,
        atomic_path(folder / layout.PIXELS) as pixels_path,
        thumbs_path.open("wb") as thumbs,
        pixels_path.open("wb") as pixels,
        unusable_named(source),
    ):
        for part, shard in zip(parts, make_shards(decoder, parts, engine, report), strict=True):
            listed = json.loads(shard["films"].tobytes())
            if listed["skipped"] and not decoder.skip_bad:  # of a job that skips; mended since, the film is tried again
                part.file.unlink()
                raise UnusableFilm(part.first + listed["skipped"][0]["row"], listed["skipped"][0]["reason"])
            for rows, films in ((kept, listed["kept"]), (skipped, listed["skipped"])):
                rows += [{**film, "row": part.first + film["row"]} for film in films]
            thumbs.write(shard["thumbnails"].data)
            pixels.write(shard["pixels"].data)
            offsets += (offsets[-1] + np.cumsum(shard["lengths"])).tolist()
        if not kept:
            raise UserError(f"None of the {len(source.frame)} images of {source.file} can be used.", "Check --images.")
    write_array(folder / layout.THUMBNAIL_OFFSETS, np.array(offsets, dtype=np.int64))
    write_json(folder / layout.FILMS, {"kept": kept, "skipped": skipped})


@contextmanager
def unusable_named(source: Source) -> Iterator[None]:
    """Turn an ``UnusableFilm`` into a ``UserError`` that names its place in the source."""
    try:
        yield
    except UnusableFilm as film:
        assert source.images is not None
        raise UserError(
            f"{source.where(film.row)}: {source.images / str(source.frame['image'].iat[film.row])}: {film.reason}.",
            "Mend or remove the image, or pass --skip-bad to go on without such images.",
        ) from film


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
