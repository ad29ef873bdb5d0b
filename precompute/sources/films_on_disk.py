"""Where the films that a set's files name lie on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from explorer.errors import UserError
from precompute.marks.film_names import ENDINGS, renamed_note, stem


def find_films(folder: Path, names: Sequence[str], *, anywhere: bool = False) -> tuple[dict[str, str], tuple[str, ...]]:
    """Find films by name, else by name without its ending.

    Parameters
    ----------
    folder : Path
    names : paths below ``folder``
    anywhere : bool
        Look for the files in all subfolders, whatever folder a name states.

    Returns
    -------
    paths : dict
        Name to path below ``folder``, for the films that are there.
    notes : texts
        What the user should know: films of another ending, links to folders.

    Raises
    ------
    UserError
        No such folder; several films that a name may mean.
    """
    if not folder.is_dir():
        raise UserError(f"The folder {folder} does not exist.", "Name the folder of films with --images.")
    taken = set(names)
    missing = taken if anywhere else {name for name in taken if lies_below(name) and not (folder / name).is_file()}
    places = {""} if anywhere else {stem(name).rpartition("/")[0] for name in missing}
    by_name: dict[str, list[str]] = {}
    by_stem: dict[str, list[str]] = {}
    links: list[str] = []
    for place in places:
        for path in _below(folder, links) if anywhere else _listed(folder, place):
            key = PurePosixPath(path).name if anywhere else path
            by_name.setdefault(key, []).append(path)
            if key not in taken and path.lower().endswith(ENDINGS):
                by_stem.setdefault(stem(key).casefold(), []).append(path)
    paths, renamed = dict(zip(names, names, strict=True)), {}
    for name in missing:
        del paths[name]
        key = PurePosixPath(name.replace("\\", "/")).name if anywhere else name
        candidates = by_name.get(key) or by_stem.get(stem(key).casefold(), [])
        if len(candidates) > 1:
            raise UserError(
                f"{folder} holds {len(candidates)} films that {name} may mean: {', '.join(sorted(candidates)[:3])}.",
                "Name the folder that holds the right ones alone with --images.",
            )
        if candidates:
            paths[name] = candidates[0]
            if key not in by_name and stem(key) != key:
                renamed[name] = candidates[0]
    notes = renamed_note(renamed)
    if links and len(paths) < len(taken):
        notes = (*notes, f"Links to folders are not followed; {folder} holds {', '.join(sorted(links)[:3])}.")
    return paths, notes


def lies_below(name: str) -> bool:
    """Whether a path stays below its folder, links aside."""
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def _listed(folder: Path, place: str) -> Iterator[str]:
    try:
        yield from (path.relative_to(folder).as_posix() for path in (folder / place).iterdir())
    except (OSError, ValueError):  # no such folder, or a name that is none
        return


def _below(folder: Path, links: list[str]) -> Iterator[str]:
    """All files in subfolders; links to folders are collected, not followed."""
    for place, folders, files in os.walk(folder):
        parent = Path(place)
        links += [(parent / name).relative_to(folder).as_posix() for name in folders if (parent / name).is_symlink()]
        yield from ((parent / name).relative_to(folder).as_posix() for name in files)
