"""What a folder holds, counted beside what the whole download holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from precompute.sources.table import Source


@dataclass(frozen=True)
class Count:
    """One thing counted in a folder.

    Attributes
    ----------
    expected : int or None
        Of the whole download; None where no number is due.
    notes : tuple of str
        What the user should know of it, such as films matched by another ending.
    """

    what: str
    found: int
    expected: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return self.expected is None or self.found == self.expected

    def record(self) -> dict[str, object]:
        return {**asdict(self), "good": self.good}


def films_on_disk(source: Source, expected: int) -> Count:
    """How many of the films named are there, and how they and their annotations were matched."""
    folder = source.images
    there = 0 if folder is None else sum((folder / path).is_file() for path in source.frame["image"])
    return Count("films on disk", there, expected, source.notes)


def counts_by_label(source: Source) -> list[Count]:
    """Positives and unknowns of every label: no number is due, they depend on what is read and how."""
    frame = source.frame
    return [
        *(Count(f"{label}: positive", int((frame[label] == 1).sum())) for label in source.labels),
        *(Count(f"{label}: unknown", int(frame[label].isna().sum())) for label in source.labels),
    ]
