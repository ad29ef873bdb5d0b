"""What a folder holds, counted beside what the whole download holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from precompute.sources.table import Source


@dataclass(frozen=True)
class Count:
    """One thing counted in a folder; ``expected`` is of the whole download, None where no number is due."""

    what: str
    found: int
    expected: int | None = None

    @property
    def good(self) -> bool:
        return self.expected is None or self.found == self.expected

    def record(self) -> dict[str, object]:
        return {**asdict(self), "good": self.good}


def films_on_disk(folder: Path, paths: Iterable[str], expected: int) -> Count:
    """How many of the films named are there."""
    return Count("films on disk", sum((folder / path).is_file() for path in paths), expected)


def counts_by_label(source: Source) -> list[Count]:
    """Positives and unknowns of every label: no number is due, they depend on what is read and how."""
    frame = source.frame
    return [
        *(Count(f"{label}: positive", int((frame[label] == 1).sum())) for label in source.labels),
        *(Count(f"{label}: unknown", int(frame[label].isna().sum())) for label in source.labels),
    ]
