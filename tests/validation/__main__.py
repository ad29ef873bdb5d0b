"""``python -m tests.validation [NAME …]``: run, print and write docs/validation.md."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes; before NumPy is there

from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Annotated
from zlib import crc32

import numpy as np
import typer

from explorer.store.files import write_text
from tests.validation import Row

NAMES = (
    "macro",
    "labels",
    "auroc",
    "delong",
    "edges",
    "noise",
    "ece",
    "planted_copies",
    "audit_power",
    "silence",
    "slices",
)
"""In the order of the document."""

SEED = 20261127
"""No estimator, limit or constant was chosen on figures of this seed."""

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
OPENING = """# Validation

Each table is simulated by `make validate` from a fixed seed, on which nothing was chosen. "Error" is twice the standard
error from the number of simulated sets. "inside" means within the band, "inside within error" means that the band is
less than one error away. Rows without a band explain, and promise nothing.
"""
PROCESSES = 2


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(NAMES)}. All by default.")] = None,
) -> None:
    """Simulate, and write each table into docs/validation.md; the others stay."""
    chosen = names or list(NAMES)
    for name in chosen:
        if name not in NAMES:
            raise typer.BadParameter(f"no simulation {name!r}; there are {', '.join(NAMES)}")
    parts = [(name, i) for name in chosen for i in range(len(import_module(f"tests.validation.{name}").PARTS))]
    start = monotonic()
    with ProcessPoolExecutor(PROCESSES) as pool:
        results = dict(zip(parts, pool.map(simulate, *zip(*parts, strict=True)), strict=True))
    sections = read_sections()
    for name in chosen:
        sections[name] = section(name, [row for part, rows in results.items() if part[0] == name for row in rows])
        typer.echo(sections[name])
    write_text(DOCUMENT, "\n".join([OPENING, *(sections[name] for name in NAMES if name in sections)]))
    typer.echo(f"{monotonic() - start:.0f} seconds")


def simulate(name: str, part: int) -> list[Row]:
    """One part of a simulation, seeded by its name and place."""
    rng = np.random.default_rng([SEED, crc32(name.encode()), part])
    rows: list[Row] = import_module(f"tests.validation.{name}").PARTS[part](rng)
    return rows


def section(name: str, rows: list[Row]) -> str:
    """A simulation's heading, text and table."""
    heading, _, text = str(import_module(f"tests.validation.{name}").__doc__).partition("\n")
    lines = [
        f"| {row.what} | {number(row, row.figure)} | {error(row)} | {band(row)} | {verdict(row)} |" for row in rows
    ]
    head = ["| what | figure | error | band | |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"## {heading}", "", f"`{name}`", "", text.strip(), "", *head, *lines, ""])


def number(row: Row, value: float) -> str:
    """A figure of a row as text."""
    return f"{100 * value:z.1f}%" if row.percent else f"{value:z.3f}"


def error(row: Row) -> str:
    """Twice a row's simulation error."""
    return f"± {number(row, 2 * row.error)}" if row.error else "none"


def band(row: Row) -> str:
    """Where the figure should lie."""
    low, high = (number(row, end) for end in (row.low, row.high))
    if np.isinf(row.low) and np.isinf(row.high):
        return "none"
    if np.isinf(row.high):
        return f"at least {low}"
    return f"at most {high}" if np.isinf(row.low) else f"{low} to {high}"


def verdict(row: Row) -> str:
    """Whether the figure lies in its band, the simulation error allowed for.

    Examples
    --------
    >>> [verdict(Row("", figure, 0.01, 0.93, 0.97)) for figure in (0.94, 0.92, 0.90)]
    ['inside', 'inside within error', '**outside**']
    """
    if np.isinf(row.low) and np.isinf(row.high):
        return ""
    if row.low <= row.figure <= row.high:
        return "inside"
    near = row.low - 2 * row.error <= row.figure <= row.high + 2 * row.error
    return "inside within error" if near else "**outside**"


def read_sections() -> dict[str, str]:
    """The document's sections by name."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
    return {part.split("`")[1]: f"## {part}" for part in text.split("\n## ")[1:]}


if __name__ == "__main__":
    typer.run(main)
