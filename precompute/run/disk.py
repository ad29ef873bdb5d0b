"""The room a run needs on the disk, printed and checked before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from explorer.errors import UserError
from precompute.faults import AGAIN
from precompute.run.job import Job

_TRAINING = 7
"""Times the tower's weights, while it trains: the best weights once; the last ones with AdamW's two moments twice, as
the old checkpoint is deleted only when the new one is whole."""
_PER_FILM = 1500
"""Bytes of a film's rows in tables and lists."""
_FIXED = 3 * 2**20
"""Bytes of tables that do not grow with the films."""


def needed_bytes(job: Job, trained: bool) -> int:
    """About how many bytes a run takes when it takes most: while it trains, unless it has ``trained``, or when the
    shards of all films are put together.

    A thumbnail is reckoned as a sixth of a byte for each of its pixels, as chest films take.
    """
    settings = job.settings
    films, labels = len(job.source.frame), len(job.source.labels)
    weights = 0
    if job.imported is None:
        tensors = job.tower.visual.state_dict().values()
        weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    own = sum(bool(recipe.own_encoder) for recipe in job.recipes)
    at_rest = 1 + own  # the frozen tower and those that regimes train
    trains = own > 0 and (settings.seeds > 1 or not trained)
    towers = (at_rest if settings.seeds > 1 else own) + _TRAINING if trains else at_rest
    regimes, spaces = len(job.recipes), len(job.recipes) + at_rest
    heads = regimes + len(job.prompt_sets) + 2 * (settings.seeds - 1)
    # vectors, indexes, logits, audits, maps
    floats = 2 * at_rest * job.dim + labels * (heads + regimes * 2 + regimes * 2) + spaces * 8
    pixels = job.fit.size**2 if job.fit else 0
    thumbnail = settings.thumbnail**2 // 6 if job.source.images else 0
    at_end = towers * weights + films * (pixels + thumbnail + 4 * floats + _PER_FILM)
    decoded = films * (2 * (pixels + thumbnail) + _PER_FILM)
    return max(at_end, decoded) + _FIXED


def check_room(job: Job, root: Path, partial: Path, *, linked_bytes: int = 0, trained: bool = False) -> str:
    """What the run needs and what is free, in words.

    Parameters
    ----------
    root : Path
        The store's folder.
    partial : Path
        Where the run grows: what a run before left there is not needed again.
    linked_bytes : int
        Of stages that are linked from elsewhere in the store.
    trained : bool
        Whether no encoder has to be trained.

    Raises
    ------
    UserError
        Where the room does not suffice.
    """
    there = linked_bytes + sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    disk = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    needed, free = max(needed_bytes(job, trained) - there, 0), shutil.disk_usage(disk).free
    words = f"The run needs about {megabytes(needed)} of disk; {megabytes(free)} are free in {root}."
    if needed > free:
        raise UserError(words, f"Make room, {AGAIN} Or choose another --out.")
    return words


def megabytes(n: int) -> str:
    return f"{n / 1e6:,.0f} MB"
