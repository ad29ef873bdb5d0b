"""Writing a run: stage by stage into ``<run_id>.partial``, resumable, renamed when complete."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import clear_temporary, sha256_file, sha256_json, sync, write_json, write_text
from explorer.store.manifest import Artefact, Manifest

_LOG = logging.getLogger(__name__)


class _StageRecord(BaseModel):
    """What a stage was made from, as one hash for each input, and what it wrote."""

    made_from: dict[str, str]
    seconds: float
    artefacts: dict[str, Artefact]


class RunWriter:
    """A run in the making.

    Each stage names what it was made from; its files are hashed when it ends, and outlast a power cut from then on. A
    stage is skipped where its inputs hash the same as last time and its files are unchanged: a killed run resumes where
    it stopped. Where an input has changed or a file is damaged, a warning is logged and the stage runs again.

    Parameters
    ----------
    root : Path
        The store's folder.
    run_id : str
        The run's own folder name. Its files grow in ``root/<run_id>.partial``.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root = root
        self.run_id = run_id
        self.final = root / run_id
        self.folder = layout.partial_folder(root, run_id)
        self.artefacts: dict[str, Artefact] = {}
        self.seconds: dict[str, float] = {}

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
            raise UserError(
                f"Another job is writing the run {self.run_id} in {self.root}.", "Wait for it, or stop it first."
            ) from error

    def sha256(self, path: str) -> str:
        """Hash of a file an earlier stage made; the natural input of a later one."""
        return self.artefacts[path].sha256

    def stage(self, name: str, made_from: Mapping[str, object], make: Callable[[Path], list[str]]) -> bool:
        """Run a stage unless its result is already here.

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
            Whether the stage ran (False: it was there already).
        """
        key = sha256_json(made_from)
        inputs = {source: sha256_json(value) for source, value in made_from.items()}
        saved = self._saved(name, inputs, key)
        record = saved or self._make(name, inputs, key, make)
        self.artefacts |= record.artefacts
        self.seconds[name] = record.seconds
        return saved is None

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
        return {path: a for path, a in sorted(self.artefacts.items()) if not path.startswith(f"{layout.SCRATCH}/")}

    def _make(self, name: str, inputs: dict[str, str], key: str, make: Callable[[Path], list[str]]) -> _StageRecord:
        start = time.perf_counter()
        paths = make(self.folder)
        seconds = time.perf_counter() - start
        files = {self.folder / path for path in paths}
        for path in (*files, *{file.parent for file in files}):
            sync(path)
        artefacts = {path: self._describe(path, name, key, sha256_file(self.folder / path)) for path in paths}
        record = _StageRecord(made_from=inputs, seconds=seconds, artefacts=artefacts)
        write_json(self.folder / layout.stage_record(name), record.model_dump())
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

    def _saved(self, name: str, inputs: dict[str, str], key: str) -> _StageRecord | None:
        """The record of a stage that need not run again."""
        file = self.folder / layout.stage_record(name)
        if not file.is_file():
            return None
        try:
            record = _StageRecord.model_validate_json(file.read_bytes())
        except ValidationError:
            reason = "its record is damaged"
        else:
            reason = self._outdated(name, record, inputs, key)
            if not reason:
                return record
        _LOG.warning("The stage %s is done again: %s.", name.replace("_", " "), reason)
        return None

    def _outdated(self, name: str, record: _StageRecord, inputs: dict[str, str], key: str) -> str:
        """Why a stage that was done must be done again; empty where it need not."""
        changed = {source for source, _ in inputs.items() ^ record.made_from.items()}
        if changed:
            return f"changed since: {', '.join(sorted(changed))}"
        for path, artefact in record.artefacts.items():
            sha256 = sha256_file(self.folder / path) if (self.folder / path).is_file() else ""
            if sha256 != artefact.sha256 or self._describe(path, name, key, sha256) != artefact:
                return f"{path} is missing or damaged"
        return ""
