"""The progress file: what the job writes is what the app reads, whatever happens."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from explorer.errors import UserError
from explorer.store.progress import Progress, read_progress, write_progress
from precompute.faults import Stopped
from precompute.reporter import DRAW, RUN, SEEDS, Reporter
from tests.conftest import ROOT

STATE = Progress(
    state="running",
    pid=1,
    stage="films",
    stage_number=1,
    stages=3,
    done=5,
    total=9,
    unit="films",
    elapsed=2.5,
    left=None,
)


def test_every_stage_of_a_run_has_its_share_of_the_time() -> None:
    source = "".join(path.read_text() for path in (ROOT / "precompute/stages").glob("*.py"))
    assert set(re.findall(r'run\.stage(?:_by_space)?\(\s*"([^"]+)"', source)) == set(RUN) - {SEEDS}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None
    write_progress(tmp_path, STATE)
    assert read_progress(tmp_path) == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "dreaming"}', "null"])
def test_a_damaged_file_is_no_progress(tmp_path: Path, text: str) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert read_progress(tmp_path) is None


def reporter(root: Path) -> Reporter:
    return Reporter(Console(file=io.StringIO()), {"a": ("steps", 1), "b": ("films", 3)}, root)


def test_stages_are_counted_and_the_end_is_told(tmp_path: Path) -> None:
    job = reporter(tmp_path)
    with job.job():
        with job.stage("b") as report:
            now = read_progress(tmp_path)
            assert now is not None
            assert (now.state, now.stage, now.stage_number, now.stages, now.unit) == ("running", "b", 2, 2, "films")
            job._written = 0  # as if the half second between two writings had passed
            report(3, 4)
        now = read_progress(tmp_path)
        assert now is not None
        assert (now.done, now.total) == (3, 4)
        share = (1 + 3 * 3 / 4) / 4  # the first stage's weight, and three quarters of the second's
        assert now.left == pytest.approx(now.elapsed * (1 - share) / share)
    end = read_progress(tmp_path)
    assert end is not None
    assert (end.state, end.left, end.message) == ("complete", None, "")


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (UserError("no films", "find some"), "failed", "no films\nFix: find some"),
        (Stopped(signal.SIGTERM), "stopped", "stopped by SIGTERM"),
    ],
)
def test_an_end_is_written_and_its_error_passed_on(
    tmp_path: Path, error: BaseException, state: str, message: str
) -> None:
    job = reporter(tmp_path)
    with pytest.raises(type(error)), job.job(), job.stage("a"):
        raise error
    end = read_progress(tmp_path)
    assert end is not None
    assert (end.state, end.stage, end.message) == (state, "a", message)


def test_a_full_disk_is_the_end_that_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(root: Path, progress: Progress) -> None:
        raise full

    job = reporter(tmp_path)
    with pytest.raises(UserError, match="disk is full"), job.job():
        monkeypatch.setattr("precompute.reporter.write_progress", refuse)
        raise full


def test_the_progress_of_two_jobs_is_the_first_ones(tmp_path: Path) -> None:
    with reporter(tmp_path).job():
        write_progress(tmp_path, STATE)
        second = reporter(tmp_path)
        with pytest.raises(UserError), second.job(), second.stage("a"):
            raise UserError("Another job is at work.", "Wait.")
        assert read_progress(tmp_path) == STATE
    with (third := reporter(tmp_path)).job(), third.stage("b"):
        now = read_progress(tmp_path)
        assert now is not None
        assert (now.state, now.stage) == ("running", "b")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """A clock that a test sets."""
    seconds = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])

    def wait(more: float) -> None:
        seconds[0] += more

    yield wait


def test_a_log_has_lines(clock: Callable[[float], None]) -> None:
    log = io.StringIO()
    job = Reporter(Console(file=log, width=20), {"a": ("steps", 1), "long": ("films", 3)})
    with job.job():
        with job.stage("a"):
            job.keep("there already")
        with job.stage("long") as report:
            assert log.getvalue().endswith("long: stage 2 of 2\n")  # at once, not at the end
            for done in range(1000, 1101):
                clock(1)
                report(done, 1200)
    assert log.getvalue().splitlines() == [
        "a: stage 1 of 2",
        "a: there already",
        "long: stage 2 of 2",
        "long: 1,029 of 1,200 films, 1.0/s, 171 s left",
        "long: 1,059 of 1,200 films, 1.0/s, 141 s left",
        "long: 1,089 of 1,200 films, 1.0/s, 111 s left",
        "long: done in 101.0 s",
    ]


def test_a_terminal_has_bars(clock: Callable[[float], None]) -> None:
    screen = io.StringIO()
    job = Reporter(Console(file=screen, force_terminal=True), {"a": ("steps", 1)})
    with job.job(), job.stage("a") as report:
        report(1, 1)
    assert "1/1" in screen.getvalue() and "stage 1" not in screen.getvalue()


def test_every_stage_has_a_unit_and_a_share() -> None:
    assert all(unit and weight > 0 for unit, weight in [*DRAW.values(), *RUN.values()])


def test_bars_without_a_store_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (job := Reporter(Console(file=io.StringIO()), DRAW)).job(), job.stage("draw films") as report:
        report(1, 1)
    assert list(tmp_path.iterdir()) == []
