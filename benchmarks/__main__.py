"""``python -m benchmarks [NAME …]``: run, print a table, write benchmarks/results.json."""

from __future__ import annotations

import json
import os
import platform
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import Measurement
from explorer.store.files import write_json

NAMES = (
    "open_store",
    "precompute_demo",
    "metrics_bootstrap",
    "pr_page",
    "pages",
    "gradcam",
    "search",
    "map",
    "map_selection",
    "separability",
    "audit",
)
RESULTS = Path(__file__).with_name("results.json")


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(NAMES)}. All by default.")] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="How often each is timed.")] = 3,
) -> None:
    """Time ours and a baseline side by side."""
    chosen = names or list(NAMES)
    for name in chosen:
        if name not in NAMES:
            raise typer.BadParameter(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
    measured: list[Measurement] = []
    for name in chosen:
        measured += import_module(f"benchmarks.{name}").run(repeats)
    Console().print(_table(measured))
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    kept = [record for record in before if record["name"].split(":")[0] not in chosen]
    write_json(RESULTS, kept + [_record(m) for m in measured])


def _record(m: Measurement) -> dict[str, object]:
    ours = median(m.ours)
    baseline = median(m.baseline) if m.baseline else None
    return {
        "name": m.name,
        "what": m.what,
        "against": m.against,
        "ours": ours,
        "baseline": baseline,
        "ratio": None if baseline is None else baseline / ours,
        "spread": {
            "ours": [min(m.ours), max(m.ours)],
            "baseline": [min(m.baseline), max(m.baseline)] if baseline else None,
        },
        "n": len(m.ours),
        "size": m.size,
        "machine": f"{platform.machine()}, {_cores()} cores, Python {platform.python_version()}",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _table(measured: list[Measurement]) -> Table:
    table = Table(title="Seconds, median \\[least, most]; ratio = baseline / ours", show_lines=True)
    for column in ("Benchmark", "Ours", "Against", "Ours, s", "Baseline, s", "Ratio"):
        table.add_column(column)
    for m in measured:
        ratio = f"{median(m.baseline) / median(m.ours):.2f}" if m.baseline else ""
        table.add_row(f"{m.name}\n{m.size}", m.what, m.against, _span(m.ours), _span(m.baseline), ratio)
    return table


def _span(seconds: list[float]) -> str:
    return f"{median(seconds):.3g} [{min(seconds):.3g}, {max(seconds):.3g}]" if seconds else ""


if __name__ == "__main__":
    typer.run(main)
