"""The room a run needs on the disk, told and checked before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from explorer.errors import UserError
from explorer.store import layout
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
    """About how many bytes a run takes when it takes most, which is while it trains unless it has ``trained``.

    A thumbnail is reckoned as a sixth of a byte for each of its pixels, as chest films take.
    """
    tower, settings = job.clip.tower, job.settings
    films, labels = len(job.source.frame), len(job.source.labels)
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in tower.visual.state_dict().values())
    further_seeds = settings.seeds > 1
    at_rest = 3  # the frozen tower, the fine-tuned one in scratch and as kept
    towers = at_rest + _TRAINING if further_seeds else at_rest if trained else 1 + _TRAINING
    heads = 3 + len(job.prompt_sets) + 2 * (settings.seeds - 1)
    floats = 2 * 2 * tower.dim + labels * (heads + 3 * 2 + 3 * 2) + 5 * 8  # vectors, indexes, logits, audits, maps
    per_film = tower.fit.size**2 + settings.thumbnail**2 // 6 + 4 * floats + _PER_FILM
    total: int = towers * weights + films * per_film + _FIXED
    return total


def check_room(job: Job, root: Path, partial: Path) -> str:
    """What the run needs and what is free, in words.

    Parameters
    ----------
    root : Path
        The store's folder.
    partial : Path
        Where the run grows: what a run before left there is not needed again.

    Raises
    ------
    UserError
        Where the room does not suffice.
    """
    there = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    trained = (partial / layout.stage_record("full_fine-tune")).is_file()
    needed, free = max(needed_bytes(job, trained) - there, 0), shutil.disk_usage(root).free
    words = f"The run needs about {megabytes(needed)} of disk; {megabytes(free)} are free in {root}."
    if needed > free:
        raise UserError(words, f"Make room, {AGAIN} Or choose another --out.")
    return words


def megabytes(n: int) -> str:
    return f"{n / 1e6:,.0f} MB"
