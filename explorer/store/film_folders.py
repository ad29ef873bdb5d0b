"""From which folders a run's films may be read.

A manifest can name any folder, and whoever sends a store writes its manifest. So the word of the manifest counts only
inside the store; outside of it, the host's word does. The host gives it in ``EXPLORER_FILMS``, or by making the run:
``precompute`` notes the films' folder among this user's own files, under the hash of the finished manifest.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from explorer.environment import FILMS, films_roots, state_folder
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import sha256_file, write_text


def note_films(run: Path, images: Path) -> None:
    """Note that this user made a run of films in a folder outside its store.

    Raises
    ------
    OSError
        Where the note cannot be written.
    """
    if not _real(images).is_relative_to(_real(run.parent)):
        note = _note(run)
        if not note.is_absolute():
            raise FileNotFoundError(errno.ENOENT, "this user has no home folder")
        write_text(note, f"{_real(images)}\n")


def _note(run: Path) -> Path:
    return state_folder() / "runs" / sha256_file(run / layout.MANIFEST)


def _noted(run: Path) -> list[Path]:
    try:
        return [Path(_note(run).read_text(encoding="utf-8").rstrip("\n"))]
    except (OSError, UnicodeDecodeError):  # no note, or none that can be read: no leave
        return []


def film_folder(run: Path, images: str) -> Path:
    """The folder of a run's films, which the host lets it read.

    Parameters
    ----------
    run : Path
        The run's folder, in its store's.
    images : str
        As the manifest has it: absolute, or relative to the run. The store's cache is no folder of films.

    Raises
    ------
    UserError
        Where the host does not.
    """
    folder = _real(run / images)
    roots = [_real(root) for root in (run.parent, *films_roots(), *_noted(run))]
    cached = folder.is_relative_to(_real(layout.cache_folder(run.parent)))
    if not cached and any(folder.is_relative_to(root) for root in roots):
        return folder
    raise UserError(
        f"The run {run.name} has its films outside the store, where this host does not let a store read.",
        f"If you trust the store, set {FILMS} to the folder of its films and start again.",
    )


def _real(path: Path) -> Path:
    """Without links; unlike ``Path.resolve`` it takes a loop of them as it is."""
    return Path(os.path.realpath(path))
