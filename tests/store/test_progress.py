"""The progress file: what the job writes is what the app reads, whatever happens."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from explorer.errors import UserError
from explorer.store.progress import Progress, read_progress, write_progress
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
    assert set(re.findall(r'(?:run\.stage\(|_embed\(run, )\s*"([^"]+)"', source)) == set(RUN) - {SEEDS}


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
    ("error", "message"),
    [(UserError("no films", "find some"), "no films\nFix: find some"), (KeyboardInterrupt(), "stopped")],
)
def test_a_failure_is_told_and_passed_on(tmp_path: Path, error: BaseException, message: str) -> None:
    job = reporter(tmp_path)
    with pytest.raises(type(error)), job.job(), job.stage("a"):
        raise error
    end = read_progress(tmp_path)
    assert end is not None
    assert (end.state, end.stage, end.message) == ("failed", "a", message)


def test_every_stage_has_a_unit_and_a_share() -> None:
    assert all(unit and weight > 0 for unit, weight in [*DRAW.values(), *RUN.values()])


def test_bars_without_a_store_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (job := Reporter(Console(file=io.StringIO()), DRAW)).job(), job.stage("draw films") as report:
        report(1, 1)
    assert list(tmp_path.iterdir()) == []
