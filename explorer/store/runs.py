"""Which runs a store holds, and opening one."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.manifest import read_manifest
from explorer.store.reader import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD = "python -m precompute demo"


def list_runs(root: str | os.PathLike[str]) -> list[str]:
    """Run ids of the complete runs under ``root``, newest first."""
    manifests = sorted(layout.manifest_files(Path(root)), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    return [file.parent.name for file in manifests]


def latest_run(root: Path) -> str | None:
    """The run named by ``LATEST``, or the newest complete one, or None."""
    runs = list_runs(root)
    pointer = layout.latest_file(root)
    try:
        named = pointer.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # none, or none that can be read
        named = ""
    return named if named in runs else next(iter(runs), None)


def counterpart(root: Path, store: Store) -> str | None:
    """The newest run under ``root`` of the same films, labels and encoder by the other protocol, or None."""
    mine = store.manifest
    for run_id in list_runs(root):
        try:
            other = read_manifest(root / run_id)
        except UserError:  # a run that does not open is no reason not to show this one
            continue
        if (
            other.protocol != mine.protocol
            and other.dataset.content == mine.dataset.content != ""
            and other.labels == mine.labels
            and other.encoders[0].weights_sha256 == mine.encoders[0].weights_sha256
        ):
            return run_id
    return None


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Each run's name without what all of them begin with.

    Examples
    --------
    >>> short_names(["demo-ab12", "demo-cd34"]), short_names(["demo", "demo-2"])
    ({'demo-ab12': 'ab12', 'demo-cd34': 'cd34'}, {'demo': 'demo', 'demo-2': '2'})
    """
    words = {name: name.split("-") for name in runs}
    shared = len([*takewhile(lambda each: len({*each}) == 1, zip(*words.values(), strict=False))])
    return {name: "-".join(parts[shared:]) or name for name, parts in words.items()}


def open_store(root: str | os.PathLike[str], run_id: str | None = None) -> Store:
    """Open a run.

    Parameters
    ----------
    root : path
        The store's folder (holding ``LATEST``), or one run's own folder.
    run_id : str, optional
        Which run; by default the latest.

    Raises
    ------
    UserError
        Where there is no complete run, it is of another major version, or its manifest is damaged.
    """
    root = Path(root)
    if run_id is None and (root / layout.MANIFEST).is_file():
        return Store(root)
    chosen = run_id or latest_run(root)
    if chosen is None:
        raise UserError(f"There is no store at {root}.", f"Make one with `{BUILD}`, or name another folder.")
    if chosen not in list_runs(root):
        raise UserError(
            f"The store at {root} has no complete run {chosen!r}.",
            f"Choose one of: {', '.join(list_runs(root)) or 'none yet'}.",
        )
    return Store(root / chosen)
