"""What stops a job from outside: signals, a full disk, too little memory."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import sha256_file, write_array, write_frame, write_json
from precompute.faults import Stopped, shortages_explained, stopped_by_signals
from precompute.run import disk, films
from precompute.run.films import FilmDecoder, decode_films
from precompute.run.job import Job
from precompute.run.shards import Local
from precompute.settings import Settings
from precompute.stages.maps import write_index
from precompute.training.checkpoint import save_checkpoint

if not hasattr(signal, "SIGXFSZ"):
    pytest.skip("this system limits no file's size", allow_module_level=True)


@contextmanager
def largest_file(n: int) -> Iterator[None]:
    """No file may grow beyond n bytes: to a writer much the same as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- a full disk ---------------------------------------------------------------------------------------------


def vectors(n: int) -> faiss.Index:
    index = faiss.IndexFlatIP(8)
    index.add(np.ones((n, 8), np.float32))
    return index


def checkpoint(path: Path, n: int) -> None:
    torch.manual_seed(0)
    model = nn.Linear(n, 1)
    save_checkpoint(path, model, torch.optim.AdamW(model.parameters()), {"epoch": n})


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "array": lambda path, n: write_array(path, np.zeros(n)),
    "table": lambda path, n: write_frame(path, pd.DataFrame({"a": np.random.default_rng(0).random(n)})),
    "json": lambda path, n: write_json(path, ["text"] * n),
    "index": lambda path, n: write_index(path, vectors(n)),
    "checkpoint": checkpoint,
}


@pytest.mark.parametrize("n", [100, 20_000])  # less and more than any writer buffers
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_reported_and_leaves_the_old_file(
    tmp_path: Path, write: Callable[[Path, int], None], n: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write(tmp_path / "whole", n)
    size = (tmp_path / "whole").stat().st_size
    for limit in (1, size // 2, size - 1):
        with largest_file(limit), pytest.raises(UserError, match=r"disk is full.*\n.*goes on"), shortages_explained():
            write(path, n)
        assert path.read_bytes() == b"old"
        assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "whole"]
    with largest_file(size):
        write(path, n)
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_is_a_full_disk_and_another_error_is_not(number: int) -> None:
    with pytest.raises(UserError, match="disk is full"), shortages_explained():
        raise OSError(number, os.strerror(number))
    with pytest.raises(UserError, match="disk is full"), shortages_explained():
        raise RuntimeError(f"write error in x: 3 != 5 ({os.strerror(number)})")
    for other in (PermissionError(errno.EACCES, "denied"), RuntimeError("shapes differ")):
        with pytest.raises(type(other)), shortages_explained():
            raise other


@pytest.fixture
def job(few_films: Path, clip: object) -> Job:
    from precompute.commands.options import DEFAULT_REGIMES
    from precompute.regimes import choose_recipes
    from precompute.sources import CsvOptions, read_csv

    source = read_csv(CsvOptions(csv=few_films / "labels.csv", images=few_films / "images"))
    return Job(source, clip, choose_recipes(DEFAULT_REGIMES), (), Settings(), skip_bad=False, allow_empty=False)  # type: ignore[arg-type]


def test_too_little_room_is_reported_before_any_work(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = disk.needed_bytes(job, trained=False)
    free = needed
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda root: type("Usage", (), {"free": free}))
    assert disk.megabytes(needed) in disk.check_room(job, tmp_path, tmp_path / "partial")
    free = needed - 10_000
    with pytest.raises(UserError, match=f"about {disk.megabytes(needed)} of disk.*\n.*Make room"):
        disk.check_room(job, tmp_path, tmp_path / "partial")
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial/pixels.bin").write_bytes(bytes(10_000))  # what is there need not be written again
    disk.check_room(job, tmp_path, tmp_path / "partial")
    assert disk.needed_bytes(job, trained=True) < needed / 2


# --- a film that goes away -----------------------------------------------------------------------------------


def test_a_film_that_goes_away_while_it_is_read_is_a_bad_one(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> str:
        if path.name == "3.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return sha256_file(path)

    def decode(skip_bad: bool) -> None:
        decoder, names = FilmDecoder(job.source.images, job.fit, 32, 1, skip_bad), job.source.frame["image"]
        parts = decoder.parts(names.tolist(), job.film_versions, tmp_path)
        decode_films(job.source, decoder, parts, tmp_path, Local(), lambda *_: None)

    monkeypatch.setattr(films, "sha256_file", gone)
    with pytest.raises(UserError, match=r"row 5.*3\.png: .*cannot be reached \(Permission denied\)(.|\n)*--skip-bad"):
        decode(skip_bad=False)
    decode(skip_bad=True)
    listed = json.loads((tmp_path / layout.FILMS).read_text())
    assert listed["skipped"] == [{"row": 3, "reason": "the file cannot be reached (Permission denied)"}]
    assert [film["row"] for film in listed["kept"]] == [row for row in range(16) if row != 3]


# --- too little memory ---------------------------------------------------------------------------------------


def too_much_of_faiss() -> None:
    raise RuntimeError("std::bad_alloc")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(10**15),
        lambda: np.empty(10**15),
        lambda: bytearray(10**17),
        too_much_of_faiss,
    ],
)
def test_too_little_memory_is_reported(ask: Callable[[], object]) -> None:
    with pytest.raises(UserError, match="memory") as error, shortages_explained():
        ask()
    assert "fewer films" in error.value.fix and "--batch-size" in error.value.fix


# --- signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_stops_and_a_second_one_kills(number: signal.Signals, code: int) -> None:
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(Stopped, match=number.name) as stop, stopped_by_signals():
            try:
                os.kill(os.getpid(), number)
            finally:
                assert signal.getsignal(number) is signal.SIG_DFL
        assert stop.value.exit_code == code
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
