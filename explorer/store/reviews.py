"""Reviewers' verdicts on labels: beside the runs, never inside one, since a run is hashed and does not change.

A file holds one verdict per line, oldest first; of two verdicts on the same film and label, the later one counts.
A line ends at ``\\n`` alone: a note may hold other characters at which ``str.splitlines`` cuts.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from explorer.data.text import csv
from explorer.errors import UserError
from explorer.store.files import unwritable, write_text

Verdict = Literal["keep", "wrong", "unsure"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

COLUMNS = ("sample_id", "label", "verdict", "given", "note", "reviewer", "time")
"""Columns of the exported CSV; ``--corrections`` needs the first three."""


class Review(BaseModel):
    """One verdict on one label of one film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_id: str
    label: str
    verdict: Verdict
    given: Literal[0, 1] = Field(description="the label that was judged")
    note: str = Field(default="", max_length=2000)
    reviewer: str = Field(min_length=1, max_length=100)
    time: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def read_reviews(file: Path) -> list[Review]:
    """Every verdict, oldest first; none where there is no file.

    Raises
    ------
    UserError
        Where a line is no verdict.
    """
    if not file.is_file() or file.stat().st_size == 0:
        return []
    reviews = []
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", "Let the app read it.") from error
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            reviews.append(Review.model_validate_json(line))
        except ValidationError as error:
            raise UserError(
                f"{file} line {number} is no review: {error.errors()[0]['msg']}.", "Mend or delete the line."
            ) from error
    return reviews


def add_review(file: Path, review: Review) -> None:
    """Add a verdict: the whole file is rewritten and renamed; concurrent reviewers wait for each other."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")).acquire(timeout=10):
            lines = [json.dumps(r.model_dump(), ensure_ascii=False) for r in (*read_reviews(file), review)]
            write_text(file, "\n".join(lines) + "\n")
    except Timeout as error:
        raise UserError(f"{file} has been locked for 10 seconds.", "Try again.") from error
    except OSError as error:
        raise unwritable(file, error) from error


def latest(reviews: list[Review]) -> dict[tuple[str, str], Review]:
    """The verdict that counts, by film and label."""
    return {(review.sample_id, review.label): review for review in reviews}


def as_csv(reviews: list[Review]) -> bytes:
    """The verdicts that count, as ``precompute run --corrections`` takes them."""
    rows = [review.model_dump() for review in latest(reviews).values()]
    return csv(pd.DataFrame(rows, columns=list(COLUMNS)))
