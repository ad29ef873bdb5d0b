"""Names of films: the same film goes by another ending, or another folder, in each copy of a set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pandas as pd

ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")


def stem(name: str) -> str:
    """A film's path without its endings, with slashes.

    Examples
    --------
    >>> stem("images\\\\1_IM-0001.dcm.PNG"), stem("1.2.840.113")
    ('images/1_IM-0001', '1.2.840.113')
    """
    name = name.replace("\\", "/")
    while ending := next((end for end in ENDINGS if name.lower().endswith(end)), None):
        name = name[: -len(ending)]
    return name


class FilmNames:
    """Films by every name they may go by in a file of marks.

    Parameters
    ----------
    samples : DataFrame
        sample_id, image.

    Attributes
    ----------
    renamed : dict
        Names that were matched without their ending, each with its film's path.
    """

    def __init__(self, samples: pd.DataFrame) -> None:
        self._images = samples["image"].astype(str).tolist()
        names: dict[str, set[int]] = {}
        paths: dict[str, set[int]] = {}
        tails: dict[str, set[int]] = {}
        for row, (sample_id, image) in enumerate(zip(samples["sample_id"].astype(str), self._images, strict=True)):
            for name in {sample_id, image, PurePosixPath(image).name, stem(PurePosixPath(image).name)}:
                names.setdefault(name, set()).add(row)
            parts = stem(image).split("/")
            paths.setdefault(stem(image), set()).add(row)
            for tail in {*_tails(parts), "_".join(parts[-3:])}:  # the latter is CheXlocalize's
                tails.setdefault(tail, set()).add(row)
        self._names, self._paths, self._tails = map(_unambiguous, (names, paths, tails))
        self.renamed: dict[str, str] = {}

    def row(self, name: str) -> int | None:
        """The row of the one film that goes by this name; None where there is none, or several.

        Where both name folders, the folders must agree.
        """
        row = self._names.get(name)
        if row is None:
            first, *shorter = _tails(stem(name).split("/"))
            row = self._tails.get(first)
            row = next((self._paths[tail] for tail in shorter if tail in self._paths), None) if row is None else row
            if row is not None and stem(name) != name:
                self.renamed[name] = self._images[row]
        return row


def renamed_note(renamed: dict[str, str], where: str = "here") -> tuple[str, ...]:
    """What the user should know of films that were matched without their ending; nothing where there are none."""
    if not renamed:
        return ()
    name, path = next(iter(renamed.items()))
    return (f"{len(renamed):,} films go by another ending or folder {where}, such as {path} for {name}.",)


def _tails(parts: Sequence[str]) -> list[str]:
    """a/b/c, b/c, c."""
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _unambiguous(rows_by_name: dict[str, set[int]]) -> dict[str, int]:
    return {name: next(iter(rows)) for name, rows in rows_by_name.items() if len(rows) == 1}
