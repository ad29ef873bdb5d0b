"""A stage in parts: each is written to the disk when it is done, so that a job that is killed loses little.

A shard is named by a hash of all that decides its rows. So whoever makes a part, in whatever order and on whatever
machine, makes the same shard, and a job goes on where any other stopped.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from explorer.errors import UserError
from explorer.store.files import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from precompute.reporter import ReportProgress

_LOG = logging.getLogger(__name__)

ROWS = 256
"""Films of a part; their pixels and thumbnails take some 15 MB."""
_NAMED = 6
"""Missing parts that a line names."""

Advance = Callable[[int], None]
"""Called with the number of rows that are done since the last call."""


@dataclass(frozen=True)
class Part:
    """Rows ``first`` to ``last`` - 1 of a stage, and the shard that holds them."""

    first: int
    last: int
    file: Path

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class Share:
    """What of a machine one part may use.

    Attributes
    ----------
    threads : int or None
        None for all that the process has.
    gpu : bool
        Whether a GPU was lent to it.
    """

    threads: int | None = None
    gpu: bool = False


PartT = TypeVar("PartT", bound=Part, contravariant=True)


class Work(Protocol[PartT]):
    """What makes a part's shard. To another process its paths and rows travel, never pixels or weights."""

    def __call__(self, part: PartT, share: Share, advance: Advance) -> None: ...


class Engine(Protocol):
    """Where the parts of a stage are made."""

    def each(self, work: Work[Any], parts: Sequence[Part], advance: Advance, *, encodes: bool = False) -> None:
        """Make the shards of all parts, in any order.

        Parameters
        ----------
        encodes : bool
            Whether the work runs an encoder, which a GPU speeds up.
        """


class Local:
    """One part after the other, in this process and its threads."""

    def each(self, work: Work[Any], parts: Sequence[Part], advance: Advance, *, encodes: bool = False) -> None:
        for part in parts:
            work(part, Share(), advance)


class DamagedShard(UserError):
    """A shard that is not as it was written."""


def write_shard(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays behind the SHA-256 of what follows."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    with atomic_path(file) as temp, temp.open("wb") as out:
        out.write(hashlib.sha256(content.getbuffer()).digest())
        out.write(content.getbuffer())


def read_shard(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a shard.

    Raises
    ------
    DamagedShard
        It is missing, cut short or changed.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DamagedShard(f"{file} cannot be read ({error.strerror}).", _AGAIN) from error
    digest, content = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise DamagedShard(f"{file} is damaged.", _AGAIN)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


_DIGEST = hashlib.sha256().digest_size
_AGAIN = "Give the same command again: it makes anew what is missing or damaged."


def ranges(n: int) -> list[tuple[int, int]]:
    """First row and the row after the last of every part of n rows."""
    return [(first, min(first + ROWS, n)) for first in range(0, n, ROWS)]


def make_shards(
    work: Work[Any], parts: Sequence[Part], engine: Engine, report: ReportProgress, *, encodes: bool = False
) -> Iterator[dict[str, NDArray[Any]]]:
    """Make the shards that are not there, then yield the arrays of each part in order; a damaged shard is made anew."""
    missing = [part for part in parts if not part.file.is_file()]
    total = sum(map(len, parts))
    done = total - sum(map(len, missing))
    if done and missing:
        _LOG.warning("%d of %d parts are there already. Missing are films %s.", *_there(parts, missing))

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        report(done, total)

    engine.each(work, missing, advance, encodes=encodes)
    for part in parts:
        try:
            arrays = read_shard(part.file)
        except DamagedShard as damaged:
            _LOG.warning("%s Films %d to %d are done again.", damaged.what, part.first + 1, part.last)
            engine.each(work, [part], lambda rows: None, encodes=encodes)
            arrays = read_shard(part.file)
        yield arrays


def _there(parts: Sequence[Part], missing: Sequence[Part]) -> tuple[int, int, str]:
    names = [f"{part.first + 1} to {part.last}" for part in missing[:_NAMED]]
    more = f" and {len(missing) - _NAMED} parts more" if len(missing) > _NAMED else ""
    return len(parts) - len(missing), len(parts), ", ".join(names) + more


def remove_shards(parts: Sequence[Part]) -> None:
    """Remove the shards of a stage that is whole."""
    for part in parts:
        part.file.unlink(missing_ok=True)
    for folder in {part.file.parent for part in parts}:
        with suppress(OSError):  # it holds another job's
            folder.rmdir()


def processors() -> int:
    """Those that this process may use, which a scheduler may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
