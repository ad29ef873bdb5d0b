"""Writing a run: stage by stage into ``<run_id>.partial``, resumable, renamed when complete."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError, model_validator

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import clear_temporary, link_file, sha256_file, sha256_json, sync, write_json, write_text
from explorer.store.manifest import Artefact, Manifest

_LOG = logging.getLogger(__name__)


class Locked(UserError):
    """Another job holds what this one needs: the same command may do later."""


class StageRecord(BaseModel):
    """What a stage was made from, as one hash for each input, and what it wrote."""

    made_from: dict[str, str]
    seconds: float
    artefacts: dict[str, Artefact]

    @model_validator(mode="after")
    def _check_paths(self) -> StageRecord:
        """An artefact's own path is known to lie below the run."""
        if any(path != artefact.path for path, artefact in self.artefacts.items()):
            raise ValueError("a file is listed under another's path")
        return self

    def differs_in(self, inputs: Mapping[str, str]) -> list[str]:
        """The inputs that are not what the stage was made from, in order."""
        return sorted({name for name, _ in inputs.items() ^ self.made_from.items()})


def read_record(folder: Path, stage: str) -> StageRecord | None:
    """The record of a stage in a run or an entry of the cache; None where it is absent or damaged."""
    try:
        return StageRecord.model_validate_json((folder / layout.stage_record(stage)).read_bytes())
    except (OSError, ValidationError):
        return None


class RunWriter:
    """A run in the making.

    Each stage names what it was made from; its files are hashed when it ends, and outlast a power cut from then on. A
    stage is skipped where its inputs hash the same as last time and its files are unchanged: a killed run resumes where
    it stopped. Where an input has changed or a file is damaged, a warning is logged.

    A stage that another run of the store, or the store's cache, has made from the same inputs is taken from there: its
    files are linked, and hashed. Only what is nowhere is made. So no file of a run is ever written in place.

    Parameters
    ----------
    root : Path
        The store's folder.
    run_id : str
        The run's own folder name. Its files grow in ``root/<run_id>.partial``.

    Attributes
    ----------
    artefacts : dict
        The files of the stages so far, by relative path.
    seconds : dict
        What each stage took when it was made, here or elsewhere.
    taken : dict
        By stage, from where it was taken, in words.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root = root
        self.run_id = run_id
        self.final = root / run_id
        self.folder = layout.partial_folder(root, run_id)
        self.artefacts: dict[str, Artefact] = {}
        self.seconds: dict[str, float] = {}
        self.taken: dict[str, str] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process: two jobs writing one run would mix their files."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(layout.lock_file(self.root, self.run_id))
        try:
            with lock.acquire(timeout=0):
                if self.final.is_dir() and not (self.final / layout.MANIFEST).is_file():
                    raise UserError(
                        f"{self.final} is in the way: it has a run's name and no {layout.MANIFEST}.",
                        "Delete or move it.",
                    )
                clear_temporary(self.folder)
                yield
        except Timeout as error:
            raise Locked(
                f"Another job is writing the run {self.run_id} in {self.root}.", "Wait for it, or stop it first."
            ) from error

    def sha256(self, path: str) -> str:
        """Hash of a file an earlier stage made; the natural input of a later one."""
        return self.artefacts[path].sha256

    def stage(self, name: str, made_from: Mapping[str, object], make: Callable[[Path], list[str]]) -> bool:
        """Run a stage unless its result is already here or elsewhere in the store.

        Parameters
        ----------
        name : str
            The stage's name, a plain verb or noun.
        made_from : mapping
            All that decides the result: settings and the hashes of files read.
        make : callable
            Given the run's folder, writes files below it and returns their paths relative to it.

        Returns
        -------
        bool
            Whether the stage ran (False: it was here, or was taken).
        """
        key = sha256_json(made_from)
        inputs = hashed(made_from)
        saved, reason = self._saved(name, inputs, key)
        record = saved or self._taken(name, inputs, key)
        if reason:
            again = f"taken from {self.taken[name]}" if record else "done again"
            _LOG.warning("The stage %s is %s: %s.", name.replace("_", " "), again, reason)
        made = record is None
        record = record or self._make(name, inputs, key, make)
        self._keep(name, key, record)
        self.artefacts |= record.artefacts
        self.seconds[name] = record.seconds
        return made

    def finish(self, manifest: Manifest) -> Path:
        """Write the manifest, give the run its final name and point LATEST at it."""
        write_json(self.folder / layout.MANIFEST, manifest.model_dump(mode="json"))
        os.replace(self.folder, self.final)
        sync(self.root)
        self.settle()
        return self.final

    def settle(self) -> None:
        """Point LATEST at the complete run and clear its scratch: what a kill just after the renaming leaves undone."""
        write_text(layout.latest_file(self.root), f"{self.run_id}\n")
        shutil.rmtree(self.final / layout.SCRATCH, ignore_errors=True)

    def kept(self) -> dict[str, Artefact]:
        """The artefacts of the finished run: everything but scratch."""
        return {path: a for path, a in sorted(self.artefacts.items()) if not layout.is_scratch(path)}

    def _make(self, name: str, inputs: dict[str, str], key: str, make: Callable[[Path], list[str]]) -> StageRecord:
        start = time.perf_counter()
        paths = make(self.folder)
        seconds = time.perf_counter() - start
        artefacts = {path: self._describe(path, name, key, sha256_file(self.folder / path)) for path in paths}
        record = StageRecord(made_from=inputs, seconds=seconds, artefacts=artefacts)
        _write_record(self.folder, name, record)
        return record

    def _describe(self, path: str, stage: str, key: str, sha256: str) -> Artefact:
        file = self.folder / path
        dtype, shape = None, None
        if path.endswith(".npy"):
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            dtype, shape = str(array.dtype), array.shape
        return Artefact(
            path=path,
            sha256=sha256,
            bytes=file.stat().st_size,
            dtype=dtype,
            shape=shape,
            stage=stage,
            made_from=key,
        )

    def _saved(self, name: str, inputs: dict[str, str], key: str) -> tuple[StageRecord | None, str]:
        """The record of a stage that is here; or why what is here does not serve, empty where nothing is."""
        if not (self.folder / layout.stage_record(name)).is_file():
            return None, ""
        record = read_record(self.folder, name)
        if record is None:
            return None, "its record is damaged"
        if changed := record.differs_in(inputs):
            return None, f"changed since: {', '.join(changed)}"
        damaged = self._damaged(record, name, key)
        return (None, f"{damaged} is missing or damaged") if damaged else (record, "")

    def _damaged(self, record: StageRecord, name: str, key: str) -> str:
        """The first file of a stage that is not here as it was recorded; empty where all are."""
        for path, artefact in record.artefacts.items():
            sha256 = sha256_file(self.folder / path) if (self.folder / path).is_file() else ""
            if sha256 != artefact.sha256 or self._describe(path, name, key, sha256) != artefact:
                return path
        return ""

    def _taken(self, name: str, inputs: dict[str, str], key: str) -> StageRecord | None:
        """The record of a stage whose files were linked from where another run left them, whole."""
        for donor in layout.stage_folders(self.root, name):
            record = read_record(donor, name)
            if donor in (self.folder, self.final) or record is None or record.made_from != inputs:
                continue
            origin = donor_name(self.root, donor)
            _link(record, donor, self.folder)
            if damaged := self._damaged(record, name, key):
                _LOG.warning("%s of %s is missing or damaged, so it is not taken.", damaged, origin)
                for path in record.artefacts:
                    (self.folder / path).unlink(missing_ok=True)
                continue
            _write_record(self.folder, name, record)
            self.taken[name] = origin
            return record
        return None

    def _keep(self, name: str, key: str, record: StageRecord) -> None:
        """Put a stage into the cache if a complete run would lose some of its files."""
        entry = layout.cache_entry(self.root, name, key)
        kept = read_record(entry, name) == record and all((entry / path).is_file() for path in record.artefacts)
        if any(map(layout.is_scratch, record.artefacts)) and not kept:
            _link(record, self.folder, entry)
            _write_record(entry, name, record)


def hashed(made_from: Mapping[str, object]) -> dict[str, str]:
    """One hash for each thing that a stage is made from."""
    return {source: sha256_json(value) for source, value in made_from.items()}


def donor_name(root: Path, donor: Path) -> str:
    """Of a folder of :func:`layout.stage_folders`, in words."""
    return "the cache" if donor.parent == layout.cache_folder(root) else f"run {donor.name}"


def _link(record: StageRecord, source: Path, target: Path) -> None:
    """Link a stage's files from one folder into another; those that are gone or cannot be read are left out."""
    for path in record.artefacts:
        with suppress(FileNotFoundError, PermissionError):
            link_file(Path(os.path.realpath(source / path)), target / path)


def _write_record(folder: Path, name: str, record: StageRecord) -> None:
    """Record a stage, once a power cut cannot take its files."""
    files = {folder / path for path in record.artefacts}
    for path in (*files, *{file.parent for file in files}):
        sync(path)
    write_json(folder / layout.stage_record(name), record.model_dump())
