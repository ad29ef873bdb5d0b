"""``sheet``: the reporting checklists, as far as a run can answer them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from precompute.commands.options import RunArgument


def sheet(
    store: RunArgument,
    run: Annotated[str | None, typer.Option("--run", help="Which run; the latest by default.")] = None,
    atlas: Annotated[bool, typer.Option("--atlas", help="Print a model card in RSNA ATLAS's JSON instead.")] = False,
) -> None:
    """Print a run's reporting sheet: CLAIM 2024 and TRIPOD+AI, with what the run cannot know left blank by name."""
    from explorer.store import open_store
    from precompute.sheet.sheet import as_atlas, as_sheet

    opened = open_store(store, run)
    typer.echo(json.dumps(as_atlas(opened), indent=2) if atlas else as_sheet(opened))
