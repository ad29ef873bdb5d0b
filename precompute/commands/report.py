"""``report``: what the pages show, as one HTML file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from explorer.environment import APP
from explorer.errors import UserError
from explorer.store.reader import Store
from precompute.commands.console import MESSAGES
from precompute.commands.options import RunArgument
from precompute.commands.publish import MayShare, ask_to_share
from precompute.reporter import Reporter, Stages

REPORT: Stages = {"pages": ("views", 1)}


def report(
    store: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The HTML file to write.")] = Path("report.html"),
    run: Annotated[str | None, typer.Option("--run", help="Which run; the latest by default.")] = None,
    with_films: Annotated[
        bool, typer.Option("--with-films", help="Keep Overview's pictures of films, which are blanks otherwise.")
    ] = False,
    i_may_share: MayShare = False,
) -> None:
    """Write what the pages show into one file, which opens and prints without a server or a network."""
    from explorer.store import open_store

    opened = open_store(store, run)
    if with_films and not i_may_share:
        dataset = opened.manifest.dataset
        ask_to_share({dataset.name: dataset.licence}, "Leave out --with-films, or add --i-may-share.")
    reporter = Reporter(MESSAGES, REPORT)
    with reporter.job():
        _write(opened, out, with_films, reporter)
    MESSAGES.print(f"{out}: {out.stat().st_size / 1e6:,.1f} MB.", soft_wrap=True)


def _write(store: Store, out: Path, with_films: bool, reporter: Reporter) -> None:
    """Have the explorer write it: the batch job imports no page, so this is a process of its own."""
    root, run, path = store.path.resolve().parent, store.run_id, out.resolve()
    command = [sys.executable, "-m", "explorer.report", str(root), run, str(path), *(["films"] if with_films else [])]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        with (
            reporter.stage("pages") as progress,
            subprocess.Popen(command, cwd=APP, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("["):
                    raise UserError(*json.loads(line))
                done, total = map(int, line.split())
                progress(done, total)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(errors.read())
