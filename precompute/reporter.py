"""Progress of a job: bars on the terminal, and the progress file the app reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from explorer.store.progress import Progress, write_progress

ReportProgress = Callable[[int, int], None]
"""Called with (done, total)."""

Stages = Mapping[str, tuple[str, float]]
"""Each stage's unit, and the share of the job's time it is expected to take (any positive number)."""

DRAW: Stages = {"draw films": ("films", 40)}
SEEDS = "other seeds"
RUN: Stages = {
    "films": ("films", 8),
    "samples": ("steps", 1),
    "annotations": ("steps", 1),
    "embed frozen": ("films", 25),
    "zero-shot head": ("steps", 1),
    "linear probe": ("steps", 5),
    "full fine-tune": ("steps", 100),
    "embed fine-tune": ("films", 25),
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
}

_EVERY = 0.5
"""Seconds between two writings of the progress file within a stage."""


class Reporter:
    """One job's progress, stage by stage.

    Parameters
    ----------
    console : Console
        Where the bars go.
    stages : Stages
        In order.
    root : Path, optional
        The store's folder, for progress.json; without it there are bars only.
    """

    def __init__(self, console: Console, stages: Stages, root: Path | None = None) -> None:
        self.console = console
        self._stages = dict(stages)
        self._names = list(stages)
        self._root = root
        self._start = time.monotonic()
        self._written = 0.0
        self._stage = self._names[0]
        self._bars = Bars(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    @contextmanager
    def job(self) -> Iterator[None]:
        """Show bars while the job runs, and leave its end in the progress file whatever it is."""
        try:
            with self._bars:
                yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            self._write("failed", 0, 0, "stopped" if stopped else str(error) or type(error).__name__)
            raise
        self._write("complete", 1, 1)

    @contextmanager
    def stage(self, name: str) -> Iterator[ReportProgress]:
        """A stage's bar; yields a function to call with (done, total)."""
        began = time.monotonic()
        unit, _ = self._stages[name]
        total_known = 1
        task = self._bars.add_task(name, total=None, unit=unit, rate="")
        self._stage = name
        self._write("running", 0, 0)

        def report(done: int, total: int) -> None:
            nonlocal total_known
            total_known = total
            now = time.monotonic()
            rate = f"{done / (now - began):.1f}/s" if now - began > 1 else ""
            self._bars.update(task, completed=done, total=total, rate=rate)
            if now - self._written >= _EVERY:
                self._write("running", done, total)

        yield report
        self._bars.update(task, completed=total_known, total=total_known)  # also where the stage was there already

    def _write(self, state: Literal["running", "complete", "failed"], done: int, total: int, message: str = "") -> None:
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
