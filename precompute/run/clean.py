"""What a store can do without, and removing it: films that no run was made from, abandoned jobs, a run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from explorer.errors import UserError
from explorer.store import latest_run, layout, list_runs
from explorer.store.files import write_text
from explorer.store.writer import RunWriter, StageRecord, read_record

_ABANDONED = 24 * 3600
"""Seconds since its last file, after which a job that is not at work counts as abandoned."""


class Unused(NamedTuple):
    """A folder of a store that can go, and what it is."""

    path: Path
    what: str

    @property
    def bytes(self) -> int:
        """What its removal frees: a file that has a link elsewhere stays on the disk."""
        stats = [file.stat() for file in self.path.rglob("*") if file.is_file()]
        return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def find_unused(root: Path) -> list[Unused]:
    """Partial folders of abandoned jobs, their shards, and the entries of the cache that no other run was made from."""
    abandoned = [folder for folder in layout.partial_folders(root) if _is_old(folder) and not _is_locked(root, folder)]
    unused = [Unused(folder, "an abandoned job") for folder in sorted(abandoned)]
    shards = layout.shards_folder(root)
    if shards.is_dir() and _is_old(shards):
        unused.append(Unused(shards, "parts of stages that no job goes on with"))
    for entry in sorted(layout.cache_folder(root).glob("*/")):
        records = _records(entry)
        if not records and _is_old(entry):
            unused.append(Unused(entry, "unfinished"))
        for stage, record in records.items():
            runs = [folder for folder in layout.stage_folders(root, stage) if folder.parent == root]
            users = [read_record(run, stage) for run in runs if run not in abandoned]
            if not any(user is not None and user.made_from == record.made_from for user in users):
                unused.append(Unused(entry, f"{stage.replace('_', ' ')} of no run"))
    return unused


def remove(root: Path, unused: Unused) -> None:
    """Remove a folder, unless a job has begun to write it.

    Raises
    ------
    Locked
    """
    if unused.path.name.endswith(layout.PARTIAL):
        with RunWriter(root, _run_id(unused.path)).locked():
            shutil.rmtree(unused.path)
    else:
        shutil.rmtree(unused.path)


def run_folders(root: Path, run_id: str) -> list[Unused]:
    """What goes with a run, complete or not; marks and reviews stay, since they are people's work.

    Raises
    ------
    UserError
        Where the store has no such run.
    """
    known = {*list_runs(root), *map(_run_id, layout.partial_folders(root))}
    if run_id not in known:
        raise UserError(
            f"The store at {root} has no run {run_id!r}.", f"Name one of: {', '.join(sorted(known)) or 'none yet'}."
        )
    run = layout.run_folder(root, run_id)
    folders = [(run, "the run"), (layout.partial_folder(root, run_id), "unfinished")]
    folders.append((layout.saliency_root(run), "its saliency maps"))
    folders.append((layout.few_shot_folder(run), "its few-shot curve"))
    return [Unused(folder, what) for folder, what in folders if folder.is_dir()]


def delete_run(root: Path, run_id: str) -> str | None:
    """Delete a run; ``LATEST`` names the newest other one, if there is any, which is returned.

    A run is renamed to a partial one first: whatever stops the deletion, no page opens half a run.
    """
    run_folders(root, run_id)
    with RunWriter(root, run_id).locked():
        others = [other for other in list_runs(root) if other != run_id]
        if latest_run(root) == run_id:
            if others:
                write_text(layout.latest_file(root), f"{others[0]}\n")
            else:
                layout.latest_file(root).unlink(missing_ok=True)
        run, partial = layout.run_folder(root, run_id), layout.partial_folder(root, run_id)
        if run.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            run.rename(partial)
        for folder in filter(Path.is_dir, (partial, layout.saliency_root(run), layout.few_shot_folder(run))):
            shutil.rmtree(folder)
    return latest_run(root)


def _records(entry: Path) -> dict[str, StageRecord]:
    """The stages of an entry of the cache."""
    stages = (file.stem for file in (entry / layout.stage_record("")).parent.glob("*.json"))
    records = {stage: read_record(entry, stage) for stage in stages}
    return {stage: record for stage, record in records.items() if record is not None}


def _run_id(partial: Path) -> str:
    return partial.name.removesuffix(layout.PARTIAL)


def _is_old(folder: Path) -> bool:
    newest = max(file.stat().st_mtime for file in (folder, *folder.rglob("*")))
    return time.time() - newest > _ABANDONED


def _is_locked(root: Path, partial: Path) -> bool:
    try:
        with FileLock(layout.lock_file(root, _run_id(partial))).acquire(timeout=0):
            return False
    except Timeout:
        return True
