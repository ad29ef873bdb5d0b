"""Progress of a run: bars on the terminal, and the progress file the app reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from explorer.store.progress import Progress as State
from explorer.store.progress import write_progress

Report = Callable[[int, int], None]
_EVERY = 0.5
"""Seconds between two writings of the progress file."""


class Reporter:
    """One job's progress, stage by stage.

    Parameters
    ----------
    root : Path
        The store's folder; progress.json lies in it.
    stages : names in order
    weights : share of the whole each stage is expected to take
        For the time left; any positive numbers.
    """

    def __init__(self, root: Path, stages: Sequence[str], weights: Sequence[float], console: Console) -> None:
        self.root = root
        self.stages = list(stages)
        self.weights = list(weights)
        self.console = console
        self.start = time.monotonic()
        self._written = 0.0
        self._bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}, {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    @contextmanager
    def job(self) -> Iterator[None]:
        """Show bars while the job runs, and leave its end in the progress file whatever it is."""
        root_made = self.root
        root_made.mkdir(parents=True, exist_ok=True)
        try:
            with self._bars:
                yield
        except BaseException as error:
            message = str(error) or ("stopped" if isinstance(error, KeyboardInterrupt) else type(error).__name__)
            self._write("failed", self.stages[0], 0, 0, "", message)
            raise
        self._write("complete", self.stages[-1], 1, 1, "")

    @contextmanager
    def stage(self, name: str, unit: str) -> Iterator[Report]:
        """A stage's bar; yields a function told (done, total)."""
        began = time.monotonic()
        task = self._bars.add_task(name, total=None, unit=unit, rate="")
        self._write("running", name, 0, 0, unit, force=True)

        def report(done: int, total: int) -> None:
            seconds = time.monotonic() - began
            rate = f"{done / seconds:.1f}/s" if seconds > 1 else ""
            self._bars.update(task, completed=done, total=total, rate=rate)
            self._write("running", name, done, total, unit, force=False)

        yield report
        self._finish(task)

    def _finish(self, task: TaskID) -> None:
        total = self._bars.tasks[self._bars.task_ids.index(task)].total or 1
        self._bars.update(task, total=total, completed=total)

    def _write(
        self,
        state: str,
        stage: str,
        done: int,
        total: int,
        unit: str,
        message: str = "",
        force: bool = True,
    ) -> None:
        now = time.monotonic()
        if not force and now - self._written < _EVERY:
            return
        self._written = now
        number = self.stages.index(stage)
        elapsed = now - self.start
        inside = done / total if total else 0.0
        share = (sum(self.weights[:number]) + self.weights[number] * inside) / sum(self.weights)
        write_progress(
            self.root,
            State.model_validate(
                {
                    "state": state,
                    "pid": os.getpid(),
                    "stage": stage,
                    "stage_number": number + 1,
                    "stages": len(self.stages),
                    "done": done,
                    "total": total,
                    "unit": unit,
                    "elapsed": elapsed,
                    "left": elapsed * (1 - share) / share if share > 0.02 and state == "running" else None,
                    "message": message,
                }
            ),
        )
