"""``gc``, ``delete`` and ``timings``: what a store keeps, and what its runs took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from precompute.commands.console import MESSAGES, RESULTS
from precompute.commands.options import RunArgument

if TYPE_CHECKING:
    from precompute.run.clean import Unused

StoreArgument = Annotated[Path, typer.Argument(help="The store's folder.")]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it; else it is only shown.")]


def gc(store: StoreArgument, yes: Yes = False) -> None:
    """Show, or remove, what no run uses: decoded films of no run, and jobs abandoned for a day. Runs stay."""
    from precompute.run.clean import find_unused, remove

    unused = find_unused(store)
    _show(unused, yes)
    if yes:
        for folder in unused:
            remove(store, folder)


def delete(
    store: StoreArgument,
    run: Annotated[str, typer.Argument(help="The run's name: its folder in the store.")],
    yes: Yes = False,
) -> None:
    """Show, or remove, one run with its saliency maps. Other runs stay whole; so do marks and reviews."""
    from precompute.run.clean import delete_run, run_folders

    _show(run_folders(store, run), yes)
    if yes:
        latest = delete_run(store, run)
        now = f"The app opens the run {latest} by default." if latest else f"{store} has no complete run now."
        MESSAGES.print(now, soft_wrap=True)


def timings(store: RunArgument) -> None:
    """Print what each stage of the latest run took, with films per second."""
    from explorer.store import open_store
    from precompute.run.summary import as_timings

    RESULTS.print(as_timings(open_store(store).manifest))


def _show(unused: Sequence[Unused], yes: bool) -> None:
    for folder in unused:
        RESULTS.print(f"{folder.path}  {folder.what}, {folder.bytes / 1e6:,.0f} MB", soft_wrap=True, highlight=False)
    if not unused:
        MESSAGES.print("Nothing to remove.")
    elif not yes:
        MESSAGES.print("Nothing is removed yet; --yes removes it.")
