"""Stores from elsewhere, by fsspec: fetched once into a folder of this machine, checked, and only then opened.

A store is a ZIP file or a folder as ``publish`` makes them, with ``SHA256SUMS``. What comes over the network is not
trusted: names that lead out of the folder, links, and more bytes than the host allows are refused, and every file must
have the hash that the list gives it. A download that breaks off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from filelock import FileLock

from explorer.environment import CACHE, store_cache
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import sha256_file, write_json

ZIP = ".zip"
CHUNK = 8 * 2**20
TRIES = 5
"""How often in a row a part may fail."""
PAUSE = 0.5
"""Seconds before the second try; each further one waits twice as long."""
WORKERS = 8
GIGABYTES = "EXPLORER_CACHE_GB"
DEFAULT_GIGABYTES = 50.0
IN_USE = 3600
"""Seconds for which a store that was opened is not removed."""
_MOST_SUMS = 64 * 2**20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_IDENTITY = ("size", "ETag", "etag", "LastModified", "last_commit", "blob_id")
_ERRORS = {"http": "aiohttp:ClientError", "https": "aiohttp:ClientError", "s3": "botocore.exceptions:BotoCoreError"}
_INSTALL = "Install what it needs: pip install -r requirements-remote.txt, or the package with [remote]."

Report = Callable[[int, int], None]
"""Called with bytes done, and of how many."""


def fetched(address: str) -> Path | None:
    """The folder of a store that has been fetched; None where it has not."""
    store = _home(address) / "store"
    if not store.is_dir():
        return None
    os.utime(store)  # says that it is in use
    return store


def fetch(address: str, report: Report) -> Path:
    """Fetch a store, unless that was done before.

    Parameters
    ----------
    address : ``https://….zip``, ``s3://…`` or ``hf://datasets/…``; a ZIP file or a published folder

    Returns
    -------
    Path
        The store's folder, all of whose files have the hashes that its list gives.

    Raises
    ------
    UserError
        Where it cannot be reached, is no published store, does not fit, or is not what its list of hashes says.
    """
    home = _home(address)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        if store := fetched(address):
            return store
        partial = home / "store.partial"
        source = Source(address)
        if is_zip(address):
            _fetch_zip(source, home / "download.zip", partial, report)
        else:
            _fetch_folder(source, partial, report)
        os.replace(partial, home / "store")
        return home / "store"


def is_zip(address: str) -> bool:
    """Whether an address is a ZIP file's; what a signed one has after ``?`` does not count."""
    return address.partition("?")[0].lower().endswith(ZIP)


def _home(address: str) -> Path:
    name = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(address.partition("?")[0]).stem.lower()).strip("-")[:40]
    return store_cache() / "stores" / f"{name or 'store'}-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


# --- what is elsewhere -----------------------------------------------------------------------------------------------


class Source:
    """An address, and the library that reads it.

    Raises
    ------
    UserError
        Where there is no such library, or it is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            import fsspec

            # an instance that was used before remembers what there was
            self.files, self.path = fsspec.url_to_fs(address, skip_instance_cache=True)
        except ImportError as error:
            raise UserError(f"{address} cannot be read: {error}.", _INSTALL) from error
        except ValueError as error:  # no such protocol
            raise UserError(f"{address} cannot be read: {error}.", "Use https, s3 or hf.") from error
        self.errors: tuple[type[Exception], ...] = (OSError, EOFError, TimeoutError)
        if named := _ERRORS.get(address.split("://")[0]):
            module, name = named.split(":")
            self.errors += (getattr(importlib.import_module(module), name),)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Say what cannot be reached, and why."""
        try:
            yield
        except self.errors as error:
            if isinstance(error, FileNotFoundError) and _is_answer(error.__cause__):
                raise UserError(f"There is nothing at {self.address}.", "Check the address.") from error
            raise UserError(
                f"{self.address} cannot be read: {_short(error.__cause__ or error)}.",
                "Check address, rights and network, then try again.",
            ) from error

    def download(self, path: str, target: Path, size: int, report: Callable[[int], None]) -> None:
        """Get a file in parts, from where an earlier try stopped."""
        target.parent.mkdir(parents=True, exist_ok=True)
        done = target.stat().st_size if target.exists() else 0
        if done > size:
            target.unlink()
            done = 0
        report(done)
        failed = 0
        with target.open("ab") as file:
            while done < size:
                end = min(done + CHUNK, size)
                try:
                    part = self.files.cat_file(path, start=done, end=end)
                except self.errors as error:
                    failed += 1
                    if failed == TRIES:
                        raise UserError(
                            f"The download of {self.address} broke off after {done / 1e6:,.1f} MB: {_short(error)}.",
                            "Try again: it goes on from there.",
                        ) from error
                    time.sleep(PAUSE * 2 ** (failed - 1))
                    continue
                if len(part) != end - done:
                    raise UserError(
                        f"The server of {self.address} does not give parts of a file.",
                        "Use one that answers range requests, or fetch the file by hand and unpack it.",
                    )
                failed = 0
                file.write(part)
                done = end
                report(len(part))


def _is_answer(cause: BaseException | None) -> bool:
    """Whether a server answered that there is nothing; fsspec says the same where it reaches no server."""
    status = getattr(cause, "status", None) or getattr(getattr(cause, "response", None), "status_code", None)
    return cause is None or isinstance(cause, FileNotFoundError) or status == HTTPStatus.NOT_FOUND


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).split("\n")[0][:300].rstrip(".")


class _Counter:
    """Bytes done by several threads."""

    def __init__(self, total: int, report: Report) -> None:
        self._total, self._report = total, report
        self._done = 0
        self._lock = threading.Lock()

    def add(self, n: int) -> None:
        with self._lock:
            self._done += n
            self._report(self._done, self._total)


def _fetch_zip(source: Source, archive: Path, folder: Path, report: Report) -> None:
    with source.reading():
        about: dict[str, Any] = source.files.info(source.path)
    size = about.get("size")
    if not isinstance(size, int):
        raise UserError(f"The server of {source.address} does not say how long it is.", "Use another server.")
    identity = {key: str(about[key]) for key in _IDENTITY if about.get(key) is not None}
    record = archive.with_suffix(".json")
    if not record.is_file() or json.loads(record.read_text(encoding="utf-8")) != identity:
        archive.unlink(missing_ok=True)
        write_json(record, identity)
    _make_room(size, archive.parent)
    source.download(source.path, archive, size, _Counter(size, report).add)
    try:
        _unpack(archive, folder)
        check_sums(folder)
    except (UserError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # encrypted, unknown packing
        archive.unlink()
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source.address} is no ZIP file that can be read: {error}.", "Publish it again.") from error
    archive.unlink()
    record.unlink()


def _fetch_folder(source: Source, folder: Path, report: Report) -> None:
    if source.address.startswith(("http://", "https://")):
        raise UserError(f"{source.address} is no ZIP file.", "Name one that ends in .zip.")
    root = source.path.rstrip("/")
    with source.reading():
        found: Mapping[str, dict[str, Any]] = source.files.find(root, detail=True)
        sizes = {path[len(root) + 1 :]: int(about["size"]) for path, about in found.items()}
        listed = layout.checksums_file(Path()).name
        if listed not in sizes:
            raise _no_store(source.address)
        text = source.files.cat_file(f"{root}/{listed}", start=0, end=min(sizes[listed], _MOST_SUMS))
    sums = read_sums(text)
    if absent := sums.keys() - sizes.keys():
        raise UserError(
            f"{source.address} is not whole: it lacks {min(absent)} and {len(absent) - 1:,} other files.",
            "Publish it again, or wait until that is done.",
        )
    total = sum(sizes[name] for name in sums)
    _make_room(total, folder.parent)
    counter = _Counter(total, report)

    def get(name: str) -> None:
        target = folder / name
        if target.is_file() and target.stat().st_size == sizes[name] and sha256_file(target) == sums[name]:
            counter.add(sizes[name])
            return
        source.download(f"{root}/{name}", target, sizes[name], counter.add)
        if sha256_file(target) != sums[name]:
            target.unlink()
            raise UserError(f"{name} of {source.address} is not what its list of hashes says.", "Try again.")

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(get, sorted(sums)):
            pass
    (folder / listed).write_bytes(text)
    check_sums(folder)


# --- what came -------------------------------------------------------------------------------------------------------


def _no_store(name: object) -> UserError:
    return UserError(
        f"{name} is no published store: it has no {layout.checksums_file(Path()).name}.", "Make one with publish."
    )


def safe_name(name: str) -> str:
    """A relative path below a folder, out of which nothing leads.

    Raises
    ------
    UserError
        Where it is something else.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise UserError(f"The store holds a file {name[:200]!r}, which leads out of it.", "Do not use this store.")
    return name


def read_sums(text: bytes) -> dict[str, str]:
    """Hashes by path, from a list as ``sha256sum`` writes it."""
    sums: dict[str, str] = {}
    for line in text.decode("utf-8", errors="replace").split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UserError(f"The store's list of hashes has a line {line[:200]!r}.", "Publish the store again.")
        sums[safe_name(match[2])] = match[1]
    return sums


def check_sums(folder: Path) -> None:
    """Hold every file of a published store against its list of hashes.

    Raises
    ------
    UserError
        Where there is no list, a file is missing, is not on the list, or is not what the list says.
    """
    listed = layout.checksums_file(folder)
    if not listed.is_file():
        raise _no_store("This")
    sums = read_sums(listed.read_bytes())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {listed.name}
    wrong = sorted(sums.keys() ^ there) or [name for name in sums if sha256_file(folder / name) != sums[name]]
    if wrong:
        raise UserError(f"{wrong[0]} of the store is not what its list of hashes says.", "Fetch or publish it again.")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP file whose members are plain files below the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        names = [safe_name(member.filename) for member in members]
        if len(set(names)) < len(names):
            raise UserError("The ZIP file holds a file twice.", "Do not use this store.")
        _make_room(sum(member.file_size for member in members), archive.parent)
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"The ZIP file holds a link, {member.filename[:200]!r}.", "Do not use this store.")
            if member.is_dir():
                continue
            target = folder / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(member) as packed, target.open("xb") as file:  # no more than the size it gives comes out
                shutil.copyfileobj(packed, file, CHUNK)


# --- room ------------------------------------------------------------------------------------------------------------


def _make_room(needed: int, home: Path) -> None:
    """Remove stores that were not opened for longest until so many bytes fit.

    Raises
    ------
    UserError
        Where they do not.
    """
    most = float(os.environ.get(GIGABYTES) or DEFAULT_GIGABYTES) * 1e9
    others = {other: _size(other) for other in home.parent.iterdir() if other != home and other.is_dir()}
    unused = [other for other in others if time.time() - _used(other) > IN_USE]
    for other in sorted(unused, key=_used):
        if needed + _size(home) + sum(others.values()) <= most:
            break
        shutil.rmtree(other)
        del others[other]
    free = shutil.disk_usage(home).free
    if needed + _size(home) + sum(others.values()) > most or needed > free:
        raise UserError(
            f"The store takes {needed / 1e9:,.1f} GB; the cache may hold {most / 1e9:,.0f} GB, and the disk has "
            f"{free / 1e9:,.1f} GB free.",
            f"Set {GIGABYTES} to more, or {CACHE} to a folder on a larger disk.",
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _used(home: Path) -> float:
    store = home / "store"
    return (store if store.is_dir() else home).stat().st_mtime
