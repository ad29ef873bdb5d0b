"""``sources``, ``regimes``, ``check``, ``verify`` and ``summary``: look at input and at finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from explorer.errors import UserError
from precompute.commands.console import MESSAGES, RESULTS
from precompute.commands.options import AsJson, RunArgument
from precompute.sources import CATALOGUE, SourceName, check_source
from precompute.sources.options import flag


def sources() -> None:
    """List the sources: what each needs, where it is to be had, and its licence."""
    for name, entry in CATALOGUE.items():
        RESULTS.print(f"{name}  {entry.title}", style="bold")
        takes = ", ".join(
            flag(option) + (" (needed)" if field.is_required() else "")
            for option, field in entry.options.model_fields.items()
        )
        for what, text in (
            ("needs", entry.needs),
            ("options", takes),
            ("from", entry.where),
            ("licence", entry.licence),
        ):
            RESULTS.print(f"  {what:<8}{text}", soft_wrap=True, highlight=False)


def regimes() -> None:
    """List the regimes that a run can have: what each is, and what it needs."""
    from precompute.regimes import recipes

    for recipe in recipes().values():
        RESULTS.print(f"{recipe.name}  {recipe.title}", style="bold")
        needs = list(recipe.needs)
        if recipe.reads_text:
            needs.append("the encoder's text tower")
        if recipe.takes_logits:
            needs.append("logits made elsewhere: import --logits")
        for what, text in (
            ("is", recipe.summary),
            ("needs", ", ".join(needs) or "nothing"),
            ("protocol", "sound or paper" if recipe.in_paper else "sound"),
        ):
            RESULTS.print(f"  {what:<9}{text}", soft_wrap=True, highlight=False)


def check(
    source: Annotated[SourceName, typer.Argument(help="See sources.")],
    root: Annotated[Path, typer.Argument(help="The set's folder; for csv the file.")],
    images: Annotated[Path | None, typer.Option("--images", help="The folder of films.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count what is there and what is missing, beside what a whole download holds, before any long work."""
    from rich.table import Table

    counts = check_source(source, root, images)
    if as_json:
        typer.echo(json.dumps([count.record() for count in counts], indent=2))
    else:
        table = Table("what", "found", "expected", "", title=f"{source}: {root}")
        for count in counts:
            expected = "" if count.expected is None else f"{count.expected:,}"
            table.add_row(count.what, f"{count.found:,}", expected, "" if count.good else "differs")
        RESULTS.print(table)
        for note in (note for count in counts for note in count.notes):
            RESULTS.print(note, soft_wrap=True, markup=False)
    if not all(count.good for count in counts):
        raise UserError(
            f"{root} is not the whole set.", "Complete it, or go on: precompute run names every film it cannot read."
        )


def verify(store: RunArgument) -> None:
    """Read every byte of the latest run and check hashes, shapes, norms and splits."""
    from explorer.store import open_store
    from explorer.store.verify import verify_store

    opened = open_store(store)
    problems = verify_store(opened)
    for problem in problems:
        MESSAGES.print(f"[red]bad[/red]  {escape(problem)}", soft_wrap=True, markup=True)
    if problems:
        raise UserError(f"{len(problems)} problems in {opened.path}.", "Copy the run again, or run precompute again.")
    MESSAGES.print(f"{opened.path}: {len(opened.manifest.artefacts)} files, all as the manifest says.")


def summary(
    store: RunArgument,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Print the regimes' table of the latest run: every figure with its n, 95% interval and trivial baseline."""
    from explorer.store import open_store
    from precompute.run.summary import as_markdown, as_records, as_table

    if as_json and markdown:
        raise UserError("--json and --markdown are two forms of one answer.", "Give one of them.")
    opened = open_store(store)
    if as_json:
        typer.echo(json.dumps(as_records(opened), indent=2, allow_nan=False))
    elif markdown:
        typer.echo(as_markdown(as_table(opened)))
    else:
        RESULTS.print(as_table(opened))
