"""How far a batch job is: one small file beside the runs, written by precompute and read by the app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from explorer.store.files import write_text
from explorer.store.layout import progress_file

State = Literal["running", "complete", "failed", "stopped"]
Count = Annotated[int, Field(ge=0)]


class Progress(BaseModel):
    """A batch job's state. ``done`` and ``total`` count the stage's units; ``left`` is seconds, as estimated.

    A job that a signal ended is ``stopped``; one that was killed outright stays ``running``, without its process.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    state: State
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    stage: str
    stage_number: Count
    stages: Count
    done: Count
    total: Count
    unit: str
    elapsed: float
    left: float | None
    message: str = ""


def write_progress(root: Path, progress: Progress) -> None:
    write_text(progress_file(root), progress.model_dump_json(indent=2) + "\n", durable=False)


def read_progress(root: Path) -> Progress | None:
    """The last job's state, or None where no job has written one that can be read."""
    try:
        return Progress.model_validate_json(progress_file(root).read_bytes())
    except (OSError, ValidationError):
        return None
