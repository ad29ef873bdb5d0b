"""How far a batch job is: one small file beside the runs, written by precompute and read by the app."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from explorer.store.files import write_text
from explorer.store.layout import progress_file

State = Literal["running", "complete", "failed", "stopped"]


class Progress(BaseModel):
    """A batch job's state. ``done`` and ``total`` count the stage's units; ``left`` is seconds, as estimated.

    A job that a signal ended is ``stopped``; one that was killed outright stays ``running``, without its process.
    """

    model_config = ConfigDict(frozen=True)

    state: State
    pid: int
    stage: str
    stage_number: int
    stages: int
    done: int
    total: int
    unit: str
    elapsed: float
    left: float | None
    message: str = ""


def write_progress(root: Path, progress: Progress) -> None:
    write_text(progress_file(root), progress.model_dump_json(indent=2) + "\n", durable=False)


def read_progress(root: Path) -> Progress | None:
    """The last job's state, or None where no job has written one."""
    try:
        return Progress.model_validate_json(progress_file(root).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None
