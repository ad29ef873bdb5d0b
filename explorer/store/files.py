"""Small file habits shared by the reader and the writer: atomic writes, hashes, JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

TEMPORARY = ".tmp"


@contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it onto ``path`` on success; leave no trace on failure.

    A ``durable`` file outlasts a power cut from then on: it is the old one or the new one, never an empty one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temp
        temp.chmod(0o644)  # some writers make private files, but a store is there to be shared
        if durable:
            sync(temp)
        os.replace(temp, path)
        if durable:
            sync(path.parent)
    finally:
        temp.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk hold what a file says, or what a folder lists (Windows cannot say that of a folder)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_file(source: Path, path: Path) -> None:
    """Put a file in a second place: by a hard link, which takes no room, or as a copy where links cannot be.

    Both places then hold the same bytes, so neither may be written in place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        try:
            os.link(source, temp)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temp)
        os.replace(temp, path)
    finally:
        temp.unlink(missing_ok=True)


def clear_temporary(folder: Path) -> None:
    """Delete what a killed job was writing anywhere below a folder."""
    for temp in folder.rglob(f".*{TEMPORARY}"):
        temp.unlink()


def unwritable(path: Path, error: OSError) -> UserError:
    """What a person is told where a file cannot be written."""
    what = f"{path} cannot be written: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(what, "Make room on that disk, then save again; what was saved before is still there.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(what, "Give the app a folder it may write to.")
    return UserError(what, "Try again; what was saved before is still there.")


def write_text(path: Path, text: str, durable: bool = True) -> None:
    with atomic_path(path, durable) as temp:
        temp.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    # not "wb": NumPy writes such a file by C's stdio, and a full disk at its end is passed over
    with atomic_path(path) as temp, temp.open("w+b") as file:
        np.save(file, array, allow_pickle=False)


def write_rows(
    path: Path, shape: tuple[int, int], blocks: Iterable[np.ndarray], report: Callable[[int, int], None]
) -> None:
    """Write a float32 array of this shape from blocks of its rows, of which one is in memory at a time."""
    done = 0
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with atomic_path(path) as temp, temp.open("w+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
            done += len(block)
            report(done, shape[0])


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write parquet without the index."""
    with atomic_path(path) as temp:
        frame.to_parquet(temp, index=False)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: object) -> str:
    """Hex SHA-256 of a value's canonical JSON: the same for equal values in any key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
