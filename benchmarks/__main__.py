"""``python -m benchmarks [NAME …]``: run, print a table, write benchmarks/results.json and RESULTS.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import Measurement, processor_of, wall_of
from explorer.store.files import write_json

NAMES = (
    "decode",
    "embed",
    "second_run",
    "probe",
    "audit",
    "map",
    "search",
    "separability",
    "metrics_bootstrap",
    "gradcam",
    "precompute_demo",
    "open_store",
    "pr_page",
    "pages",
    "map_selection",
)
RESULTS = Path(__file__).with_name("results.json")
REPORT = Path(__file__).with_name("RESULTS.md")
BUSY = 0.5
"""Processes at work for each core, before a benchmark starts, above which its wall clock counts little."""

COLUMNS = ("Figure", "Ours", "Against", "Ours, s", "Against, s", "Ratio", "Goal")
HEAD = """# Benchmarks

Written by `make bench`. Seconds are medians: by the clock, and in brackets of the processor. A ratio says how many
times as long the other takes, by processor seconds where both have them. Figures with † were taken while the machine
had other work, so that their wall clock counts little. `results.json` has the spread and what was worked on.

"""


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(NAMES)}. All by default.")] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="How often each is timed.")] = 3,
) -> None:
    """Time ours and a baseline side by side."""
    chosen = names or list(NAMES)
    for name in chosen:
        if name not in NAMES:
            raise typer.BadParameter(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
    records: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    measured: list[dict[str, Any]] = []
    for name in chosen:
        busy = os.getloadavg()[0] > BUSY * _cores()
        new = [_record(m, busy) for m in import_module(f"benchmarks.{name}").run(repeats)]
        measured += new
        records = [record for record in records if record["name"].split(":")[0] != name] + new
        records.sort(key=lambda record: NAMES.index(record["name"].split(":")[0]))
        write_json(RESULTS, records)  # after each: an hour's figures are not lost with the last one
        REPORT.write_text(HEAD + _markdown(records), encoding="utf-8")
    Console().print(_table(measured))


def _record(m: Measurement, busy: bool) -> dict[str, Any]:
    return {
        "name": m.name,
        "what": m.what,
        "against": m.against,
        "ours": _times(m.ours),
        "baseline": _times(m.baseline) if m.baseline else None,
        "ratio": m.ratio,
        "goal": m.goal,
        "reason": m.reason,
        "n": len(m.ours),
        "size": m.size,
        "busy": busy,
        "machine": f"{_processor()}, {_cores()} cores, Python {platform.python_version()}",
    }


def _times(times: Sequence[Any]) -> dict[str, list[float]]:
    """Median, least and most of each clock."""
    clocks = {"wall": wall_of(times), "processor": processor_of(times)}
    return {clock: [median(each), min(each), max(each)] for clock, each in clocks.items() if each}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    ratio, goal = record["ratio"], record["goal"]
    verdict = ""
    if goal is not None:
        verdict = f"≥ {goal:g}: met"
        if ratio < goal:
            verdict = f"≥ {goal:g}: missed by {1 - ratio / goal:.0%}" + f". {record['reason']}" * bool(record["reason"])
    return (
        record["name"] + " †" * record["busy"],
        record["what"],
        record["against"],
        _seconds(record["ours"]),
        _seconds(record["baseline"]),
        "" if ratio is None else f"{ratio:.2f}",
        verdict,
    )


def _seconds(times: dict[str, list[float]] | None) -> str:
    if times is None:
        return ""
    return f"{times['wall'][0]:.3g}" + (f" ({times['processor'][0]:.3g})" if "processor" in times else "")


def _markdown(records: list[dict[str, Any]]) -> str:
    """One table for each machine that figures were taken on."""
    parts = []
    for machine in dict.fromkeys(record["machine"] for record in records):
        rows = [_row(record) for record in records if record["machine"] == machine]
        lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in (COLUMNS, *rows)]
        parts.append("\n".join([f"## {machine}", "", lines[0], "|---" * len(COLUMNS) + "|", *lines[1:]]))
    return "\n\n".join(parts) + "\n"


def _table(records: list[dict[str, Any]]) -> Table:
    table = Table(title="Seconds: wall clock (processor), medians", show_lines=True)
    for column in COLUMNS:
        table.add_column(column)
    for record in records:
        table.add_row(*_row(record))
    return table


if __name__ == "__main__":
    typer.run(main)
