"""Progress of a job: bars on a terminal, lines in a log, and the progress file the app reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from explorer.store import layout
from explorer.store.progress import Progress, State, write_progress
from precompute.faults import Stopped, shortages_explained

ReportProgress = Callable[[int, int], None]
"""Called with (done, total)."""

Stages = Mapping[str, tuple[str, float]]
"""Each stage's unit, and the share of the job's time it is expected to take (any positive number)."""

DRAW: Stages = {"draw films": ("films", 40)}
SALIENCY: Stages = {"saliency maps": ("films", 40), "agreement": ("pairs", 5), "sanity checks": ("films", 55)}
SAMPLE: Stages = {name: (unit, share / 5) for name, (unit, share) in SALIENCY.items()}
"""The same for the demo's sample of films, beside the stages of a run."""
SEEDS = "other seeds"
EMBED = "embed frozen"
VECTORS = "imported vectors"
"""In place of EMBED, where embeddings were made elsewhere."""
NEED_FILMS = ("films", "copies")
"""Stages that a run of embeddings alone is without."""
RUN: Stages = {  # those of the run's regimes come after EMBED
    "films": ("films", 8),
    "samples": ("steps", 1),
    "annotations": ("steps", 1),
    EMBED: ("films", 25),
    SEEDS: ("steps", 200),
    "score": ("regimes", 2),
    "maps": ("spaces", 30),
    "map trust": ("spaces", 10),
    "clusters": ("spaces", 3),
    "metrics": ("splits", 3),
    "curves": ("splits", 2),
    "calibration": ("splits", 1),
    "separability": ("spaces", 8),
    "outliers": ("steps", 1),
    "retrieval": ("spaces", 3),
    "copies": ("pairs", 8),
    "label errors": ("steps", 2),
    "shortcuts": ("steps", 4),
    "subgroups": ("splits", 2),
    "slices": ("regimes", 2),
}

_EVERY = 0.5
"""Seconds between two writings of the progress file within a stage."""
_EVERY_LINE = 30
"""Seconds between two lines within a stage, where there is no terminal to show bars on."""


class Reporter:
    """One job's progress, stage by stage.

    Parameters
    ----------
    console : Console
        Where bars go, if it is a terminal; else a line at each stage's start and end, and now and then between.
    stages : Stages
        In order.
    root : Path, optional
        The store's folder, for progress.json, which belongs to the first of several jobs.
    """

    def __init__(self, console: Console, stages: Stages, root: Path | None = None) -> None:
        self.console = console
        self._stages = dict(stages)
        self._names = list(stages)
        self._root = root
        self._start = time.monotonic()
        self._written = 0.0
        self._stage = self._names[0]
        self._kept = ""
        self._bars = Bars(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    @contextmanager
    def job(self) -> Iterator[None]:
        """Show progress while the job runs, and leave its end in the progress file whatever it is."""
        with self._progress_file():
            try:
                with shortages_explained(), self._bars:
                    yield
            except BaseException as error:
                state: State = "stopped" if isinstance(error, Stopped) else "failed"
                with suppress(OSError):  # the disk may be full, which the error itself reports
                    self._write(state, 0, 0, str(error) or type(error).__name__)
                raise
            self._write("complete", 1, 1)

    @contextmanager
    def _progress_file(self) -> Iterator[None]:
        """Hold the progress file for this job; where another job of the store holds it, it stays that job's."""
        if self._root is None:
            yield
            return
        self._root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(layout.lock_file(self._root, "progress"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._root = None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def stage(self, name: str) -> Iterator[ReportProgress]:
        """A stage's bar or lines; yields a function to call with (done, total)."""
        began = printed = time.monotonic()
        unit, _ = self._stages[name]
        first: tuple[int, float] | None = None  # a resumed stage does not begin at 0
        total_known = 1
        task = self._bars.add_task(name, total=None, unit=unit, rate="")
        self._stage, self._kept = name, ""
        self._print(f"{name}: stage {self._names.index(name) + 1} of {len(self._names)}")
        self._write("running", 0, 0)

        def report(done: int, total: int) -> None:
            nonlocal total_known, printed, first
            total_known, now = total, time.monotonic()
            first = first or (done, now)
            rate = (done - first[0]) / (now - first[1]) if now - first[1] > 1 else 0.0
            self._bars.update(task, completed=done, total=total, rate=f"{rate:.1f}/s" if rate else "")
            if now - printed >= _EVERY_LINE:
                printed = now
                speed = f", {rate:.1f}/s, {(total - done) / rate:,.0f} s left" if rate else ""
                self._print(f"{name}: {done:,} of {total:,} {unit}{speed}")
            if now - self._written >= _EVERY:
                self._write("running", done, total)

        yield report
        self._bars.update(task, completed=total_known, total=total_known)  # also where the stage did not run
        if self._kept:
            self._bars.update(task, rate=self._kept)
        self._print(f"{name}: " + (self._kept or f"done in {time.monotonic() - began:.1f} s"))

    def keep(self, origin: str) -> None:
        """Say that the stage at hand need not run, and where its result was."""
        self._kept = origin

    def _print(self, line: str) -> None:
        """A line of a log, written at once; a terminal has the bars."""
        if not self.console.is_terminal:
            self.console.print(line, soft_wrap=True, highlight=False)

    def _write(self, state: State, done: int, total: int, message: str = "") -> None:
        self._written = time.monotonic()
        if self._root is None:
            return
        elapsed = self._written - self._start
        number = self._names.index(self._stage)
        shares = [share for _, share in self._stages.values()]
        passed = (sum(shares[:number]) + shares[number] * (done / total if total else 0)) / sum(shares)
        write_progress(
            self._root,
            Progress(
                state=state,
                pid=os.getpid(),
                stage=self._stage,
                stage_number=number + 1,
                stages=len(self._names),
                done=done,
                total=total,
                unit=self._stages[self._stage][0],
                elapsed=elapsed,
                left=elapsed * (1 - passed) / passed if passed > 0.02 and state == "running" else None,
                message=message,
            ),
        )
