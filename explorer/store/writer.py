"""Writing a run: stage by stage into ``<run_id>.partial``, resumable, renamed when complete."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import clear_temporary, sha256_file, sha256_json, write_json, write_text
from explorer.store.manifest import Artefact, Manifest


class RunWriter:
    """A run in the making.

    Each stage names what it was made from; its files are hashed when it ends. A stage is skipped where its
    inputs hash the same as last time and its files are unchanged: a killed run resumes where it stopped.

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
        record = self.folder / layout.stage_record(name)
        saved = self._load(record, key)
        if saved is None:
            start = time.perf_counter()
            paths = make(self.folder)
            seconds = time.perf_counter() - start
            artefacts = {path: self._describe(path, name, key) for path in paths}
            dumped = {path: artefact.model_dump() for path, artefact in artefacts.items()}
            write_json(record, {"key": key, "seconds": seconds, "artefacts": dumped})
        else:
            artefacts, seconds = saved
        self.artefacts |= artefacts
        self.seconds[name] = seconds
        return saved is None

    def finish(self, manifest: Manifest) -> Path:
        """Write the manifest, give the run its final name and point LATEST at it."""
        write_json(self.folder / layout.MANIFEST, manifest.model_dump(mode="json"))
        os.replace(self.folder, self.final)
        self.settle()
        return self.final

    def settle(self) -> None:
        """Point LATEST at the complete run and clear its scratch: what a kill just after the renaming leaves undone."""
        write_text(layout.latest_file(self.root), f"{self.run_id}\n")
        shutil.rmtree(self.final / layout.SCRATCH, ignore_errors=True)

    def kept(self) -> dict[str, Artefact]:
        """The artefacts of the finished run: everything but scratch."""
        return {path: a for path, a in sorted(self.artefacts.items()) if not path.startswith(f"{layout.SCRATCH}/")}

    def _describe(self, path: str, stage: str, key: str) -> Artefact:
        file = self.folder / path
        dtype, shape = None, None
        if path.endswith(".npy"):
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            dtype, shape = str(array.dtype), array.shape
        return Artefact(
            path=path,
            sha256=sha256_file(file),
            bytes=file.stat().st_size,
            dtype=dtype,
            shape=shape,
            stage=stage,
            made_from=key,
        )

    def _load(self, record: Path, key: str) -> tuple[dict[str, Artefact], float] | None:
        if not record.is_file():
            return None
        saved = json.loads(record.read_text(encoding="utf-8"))
        if saved["key"] != key:
            return None
        artefacts = {path: Artefact.model_validate(value) for path, value in saved["artefacts"].items()}
        for path, artefact in artefacts.items():
            file = self.folder / path
            if not file.is_file() or sha256_file(file) != artefact.sha256:
                return None
        return artefacts, float(saved["seconds"])
