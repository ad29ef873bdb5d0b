"""``export``: a run as one table for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from precompute.commands.console import MESSAGES
from precompute.commands.options import RunArgument
from precompute.reporter import Reporter


def export(
    store: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="A new file that ends in .parquet.")],
    run: Annotated[str | None, typer.Option("--run", help="Which run; the latest by default.")] = None,
) -> None:
    """Write one run as a Parquet table: a row for each film, with labels, embeddings, logits and places on the maps."""
    from explorer.store import open_store
    from precompute.exchange.export import EXPORT, export_run

    reporter = Reporter(MESSAGES, EXPORT)
    with reporter.job():
        n = export_run(open_store(store, run), out, reporter)
    MESSAGES.print(f"{out}: {n:,} films, {out.stat().st_size / 1e6:,.1f} MB.", soft_wrap=True)
