"""A copy of one run that is a store of its own, as a folder or a ZIP file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, get_args

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import TEMPORARY, atomic_path, sha256_file
from explorer.store.manifest import Artefact, Manifest, Part, Publication
from explorer.store.marks import marks_file
from explorer.store.reader import Store
from explorer.store.saliency import list_saliency
from precompute.publish.card import card
from precompute.publish.croissant import croissant
from precompute.reporter import Reporter, Stages

PUBLISH: Stages = {"copy": ("files", 1)}

ZIP = ".zip"
_CHUNK = 2**20
_HERE = Path()
"""The root of the copy: paths in it are relative."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a ZIP entry: the same run makes the same bytes."""

Create = Callable[[str, int], AbstractContextManager[IO[bytes]]]
"""Opens a new file of the copy: its relative path, and how many bytes it will have."""


class _Entry(NamedTuple):
    """A file of the copy; its source is only looked for when its turn comes. ``sha256`` is empty where unknown."""

    path: str
    source: Callable[[], Path | bytes]
    sha256: str = ""


def publish_run(
    store: Store, destination: Path, left_out: Collection[Part], with_marks: bool, reporter: Reporter
) -> tuple[int, int]:
    """Copy a run into a new store, with its saliency maps, a card, ``croissant.json`` and checksums.

    No file is held in memory whole but tables that are rewritten. Nothing is left at ``destination`` on failure.

    Parameters
    ----------
    destination : Path
        A new folder, or a new file that ends in ``.zip``.
    left_out : collection of Part
        A copy of a published copy also lacks what that one lacks.
    with_marks : bool
        Whether the marks of the data set and the reviews of the run come along.

    Returns
    -------
    Number of files, and their bytes.

    Raises
    ------
    UserError
        Where something is at ``destination``, a film is not on this machine, a file is damaged, or one leads out of
        the store.
    """
    _check_destination(store, destination)
    manifest, rewritten = _rewritten(store, left_out)
    entries = [*_films(store, manifest), *_run(store, manifest, rewritten), *_saliency(store)]
    if with_marks:
        entries += _marks(store)
    entries.append(_Entry(_name(layout.card_file(_HERE)), lambda: card(store, manifest).encode()))
    entries.append(_Entry(_name(layout.croissant_file(_HERE)), lambda: croissant(store, manifest)))
    sums: dict[str, str] = {}
    n_bytes = 0
    with reporter.stage("copy") as report, (_zip if _is_zip(destination) else _folder)(destination) as create:
        for entry in entries:
            sums[entry.path], size = _copy(store, entry, create)
            n_bytes += size
            report(len(sums), len(entries))
        lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(sums.items())).encode()
        _copy(store, _Entry(_name(layout.checksums_file(_HERE)), lambda: lines), create)
    return len(sums) + 1, n_bytes + len(lines)


def _is_zip(destination: Path) -> bool:
    return destination.suffix.lower() == ZIP


def _check_destination(store: Store, destination: Path) -> None:
    if os.path.lexists(destination):
        raise UserError(f"{destination} exists already.", "Name a new folder or file, or move the old one away.")
    root = Path(os.path.realpath(store.path.parent))
    if Path(os.path.realpath(destination)).is_relative_to(root):
        raise UserError(f"{destination} lies in the store itself.", "Name a folder or file outside the store.")


# --- what is copied --------------------------------------------------------------------------------------------------


def _rewritten(store: Store, left_out: Collection[Part]) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest of the copy, and the files of the run that are not copied as they are."""
    old = store.manifest
    parts = tuple(part for part in get_args(Part) if part in left_out or old.leaves_out(part))
    rewritten = _without_reports(store) if "reports" in parts else {}
    absent = {layout.THUMBNAILS, layout.THUMBNAIL_OFFSETS} if "pixels" in parts else set()
    if "weights" in parts:
        absent |= {layout.encoder_files(record.id).weights for record in old.encoders}
    artefacts = {path: artefact for path, artefact in old.artefacts.items() if path not in absent}
    for path, data in rewritten.items():
        changed = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        artefacts[path] = artefacts[path].model_copy(update=changed)
    films = os.path.relpath(layout.films_folder(_HERE), layout.run_folder(_HERE, old.run_id))
    publication = Publication(
        run_id=old.run_id, manifest_sha256=sha256_file(store.path / layout.MANIFEST), left_out=parts
    )
    update = {
        "dataset": old.dataset.model_copy(update={"images": PurePosixPath(films).as_posix()}),
        "artefacts": artefacts,
        "publication": publication,
    }
    return old.model_copy(update=update), rewritten


def _without_reports(store: Store) -> dict[str, bytes]:
    """The samples with an empty report column, and every space's clusters without words taken from reports."""
    table = pq.read_table(io.BytesIO(store.read_bytes(layout.SAMPLES)))
    column = table.schema.get_field_index("report")
    empty = pa.array([""] * table.num_rows, table.schema.field(column).type)
    samples = io.BytesIO()
    pq.write_table(table.set_column(column, table.schema.field(column), empty), samples)
    rewritten = {layout.SAMPLES: samples.getvalue()}
    for space in store.spaces:
        file = layout.space_files(space.name).clusters
        if file in store.artefacts:
            content = json.loads(store.read_bytes(file))
            for cluster in content["clusters"]:
                cluster["words"] = []
            rewritten[file] = (json.dumps(content, indent=2) + "\n").encode()
    return rewritten


def _run(store: Store, manifest: Manifest, rewritten: dict[str, bytes]) -> Iterator[_Entry]:
    """The files of the run, its manifest last, then what names it."""
    folder = PurePosixPath(_name(layout.run_folder(_HERE, store.run_id)))
    for path, artefact in manifest.artefacts.items():
        yield _Entry(f"{folder}/{path}", partial(_source, store, artefact, rewritten), artefact.sha256)
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
    yield _Entry(f"{folder}/{layout.MANIFEST}", text.encode)
    yield _Entry(_name(layout.latest_file(_HERE)), f"{store.run_id}\n".encode)


def _source(store: Store, artefact: Artefact, rewritten: dict[str, bytes]) -> Path | bytes:
    return rewritten[artefact.path] if artefact.path in rewritten else store.file(artefact.path)


def _films(store: Store, manifest: Manifest) -> Iterator[_Entry]:
    """The films as they were scored; several rows may be of one file."""
    if manifest.leaves_out("pixels"):
        return
    folder = _name(layout.films_folder(_HERE))
    rows = {posixpath.normpath(name): row for row, name in enumerate(store.samples["image"].astype(str))}
    for name, row in rows.items():
        if name.startswith("../"):
            raise UserError(
                f"{layout.SAMPLES}, row {row}, names {name}, which is outside the folder of films.",
                "Run precompute with the folder that holds all films.",
            )
        yield _Entry(f"{folder}/{name}", partial(_film, store, row))


def _film(store: Store, row: int) -> Path:
    try:
        return store.film(row)
    except UserError as error:
        raise UserError(error.what, f"{error.fix} Or publish without films: --no-pixels.") from error


def _saliency(store: Store) -> Iterator[_Entry]:
    """The complete sets of saliency maps, the record of each last."""
    root = store.path.parent
    for maps in list_saliency(store):
        folder = maps.path.relative_to(root).as_posix()
        hashes = {**dict(sorted(maps.record.sha256.items())), layout.SALIENCY_RECORD: ""}
        for name, sha256 in hashes.items():
            yield _Entry(f"{folder}/{name}", partial(_inside, root, f"{folder}/{name}"), sha256)


def _marks(store: Store) -> Iterator[_Entry]:
    root = store.path.parent
    for file in (marks_file(store), layout.reviews_file(root, store.run_id)):
        if file.is_file():
            name = file.relative_to(root).as_posix()
            yield _Entry(name, partial(_inside, root, name))


def _inside(root: Path, name: str) -> Path:
    """A file of the store, out of which neither dots nor a link lead."""
    path = Path(os.path.realpath(root / name))
    if ".." in PurePosixPath(name).parts or not path.is_relative_to(os.path.realpath(root)):
        raise UserError(f"{name} leads out of the store {root}.", "Put the file itself in its place, or delete it.")
    return path


def _name(path: Path) -> str:
    return path.as_posix()


# --- writing ---------------------------------------------------------------------------------------------------------


def _copy(store: Store, entry: _Entry, create: Create) -> tuple[str, int]:
    """Write a file of the copy; its hash and bytes. A source that is not what its hash says is refused."""
    source = entry.source()
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    digest = hashlib.sha256()
    opened = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with opened as read, create(entry.path, size) as written:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    if entry.sha256 not in ("", digest.hexdigest()):
        raise store.damaged(entry.path, "its content has changed")
    return digest.hexdigest(), size


@contextmanager
def _folder(destination: Path) -> Iterator[Create]:
    """A folder that is at its place when it is whole."""
    temp = destination.with_name(f".{destination.name}.{os.getpid()}{TEMPORARY}")

    def create(path: str, size: int) -> IO[bytes]:
        file = temp / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("xb")

    temp.mkdir(parents=True)
    try:
        yield create
        temp.rename(destination)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


@contextmanager
def _zip(destination: Path) -> Iterator[Create]:
    """A ZIP file of stored entries that is at its place when it is whole; the same run makes the same bytes."""
    with atomic_path(destination) as temp, zipfile.ZipFile(temp, "w", zipfile.ZIP_STORED) as archive:

        def create(path: str, size: int) -> IO[bytes]:
            info = zipfile.ZipInfo(path, _EPOCH)
            info.create_system, info.external_attr, info.file_size = 3, 0o100644 << 16, size
            return archive.open(info, "w")

        yield create
