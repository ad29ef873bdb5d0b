"""Marks that readers add to a run's films, kept beside the runs: outside every hash, and there for the next run too."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from explorer.data.text import plain
from explorer.errors import UserError
from explorer.store import checked, schemas
from explorer.store.files import atomic_path, unwritable
from explorer.store.layout import added_marks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store

SHAPE = ("x", "y", "w", "h")
NOTHING: dict[str, object] = {**dict.fromkeys(SHAPE, np.nan), "polygon": None}
"""In place of a shape: the reader looked for the label and found nothing. A film that no one read has no row."""
READING = ["row", "label", "annotator"]
"""What one reader says of one label of one film."""
UNNAMED = "not named"
"""The annotator of marks whose file names none."""
MARK_COLUMNS = (
    "mark_id",
    "sample_id",
    "label",
    "annotator",
    *SHAPE,
    "polygon",
    "height",
    "width",
    "made",
    "origin",
    "blind",
)
"""height and width are the film's, in pixels: a mark made on a film of another size is not drawn on this one."""

WAIT = 10
"""Seconds to wait for another writer."""
MOST_POINTS = 5_000
"""Points of a polygon: an outline drawn by hand has some hundred."""
LONGEST_NAME = 200
"""Characters of an annotator's name."""
BEYOND = 1
"""Pixels that a shape may reach beyond the film, since programs round its edge differently."""


def marks_file(store: Store) -> Path:
    """Where the marks of a data set lie; all its runs in a store share them."""
    return added_marks(store.path.parent, store.manifest.dataset.name)


def read_marks(store: Store) -> pd.DataFrame:
    """Every mark that fits a film and label of this run: MARK_COLUMNS and ``row``.

    Raises
    ------
    UserError
        Where the file is damaged; nothing is written over it.
    """
    marks = _read(marks_file(store))
    samples = store.samples
    row_of = pd.Series(samples.index, index=samples["sample_id"])
    rows = row_of.reindex(marks["sample_id"])
    here = rows.notna().to_numpy() & marks["label"].isin(store.labels).to_numpy()
    marks = marks[here].assign(row=rows[here].to_numpy(dtype=np.int64))
    fits = (samples["height"].to_numpy()[marks["row"]] == marks["height"]) & (
        samples["width"].to_numpy()[marks["row"]] == marks["width"]
    )
    fitting: pd.DataFrame = marks[fits.to_numpy()].reset_index(drop=True)
    return fitting


def all_annotations(store: Store) -> pd.DataFrame:
    """The run's own annotations and the marks added since: columns as of ``Tables.annotations``, with mark_id ("" for
    the run's own) and blind.

    The run is never changed. A named reader's added marks on a film and label replace what the run holds from a reader
    of that name.
    """
    own = store.tables.annotations.assign(mark_id="", blind=False)
    added = read_marks(store)
    if added.empty:
        return own
    anew = pd.MultiIndex.from_frame(own[READING]).isin(pd.MultiIndex.from_frame(added[READING]))
    own = own[~anew | (own["annotator"] == UNNAMED)]
    return pd.concat([own, added[own.columns]], ignore_index=True) if len(own) else added[own.columns]


def add_marks(store: Store, marks: pd.DataFrame, origin: str | list[str]) -> int:
    """Add marks, and return how many were new: one that is there already, to the last digit, is left alone.

    A shape takes the place of its reader's NOTHING on that label of that film.

    Parameters
    ----------
    marks : DataFrame
        row, label, annotator, x, y, w, h, polygon (a shape or NOTHING); optionally blind.
    origin : str, or one per mark
        ``app``, ``copy of`` whom, or the name of the file they came from.

    Raises
    ------
    UserError
        Where NOTHING contradicts a shape of the same reader, or a mark does not lie on its film.
    """
    sizes = store.samples.loc[marks["row"], ["sample_id", "height", "width"]].reset_index(drop=True)
    new = pd.concat([marks[["label", "annotator", *SHAPE, "polygon"]].reset_index(drop=True), sizes], axis=1)
    _refuse_impossible(new)
    new["made"], new["origin"] = _now(), origin
    new["blind"] = marks["blind"].to_numpy() if "blind" in marks else False
    new["mark_id"] = [uuid.uuid4().hex for _ in range(len(new))]
    added = 0

    def change(old: pd.DataFrame) -> pd.DataFrame:
        nonlocal added
        known = set(_what(old))
        fresh = new[[what not in known for what in _what(new)]]
        added = len(fresh)
        old = old[old["x"].notna() | ~_same_reading(old, fresh[fresh["x"].notna()])]
        both = pd.concat([old, fresh[list(MARK_COLUMNS)]], ignore_index=True) if len(old) else fresh[list(MARK_COLUMNS)]
        _refuse_contradiction(both)
        return both

    _change(marks_file(store), change)
    return added


def edit_marks(store: Store, edited: pd.DataFrame) -> None:
    """Give marks new places or labels: mark_id, x, y, w, h, label, blind. An outline goes with its box."""

    def change(old: pd.DataFrame) -> pd.DataFrame:
        new = old.set_index("mark_id")
        known = edited.set_index("mark_id")
        known = known.loc[known.index.intersection(new.index)]  # another visitor may have deleted one meanwhile
        for mark_id in known.index[new.loc[known.index, "polygon"].notna()]:
            before, after = (table.loc[mark_id, list(SHAPE)].to_numpy(dtype=float) for table in (new, known))
            points = np.asarray(new.at[mark_id, "polygon"]).reshape(-1, 2)
            moved = (points - before[:2]) * (after[2:] / before[2:]) + after[:2]
            new.at[mark_id, "polygon"] = moved.ravel()
        for column in (*SHAPE, "label", "blind"):
            new.loc[known.index, column] = known[column]
        new.loc[known.index, "made"] = _now()
        new = new.reset_index()
        _refuse_impossible(new[new["mark_id"].isin(known.index)])
        new = new[new["x"].notna() | ~_same_reading(new, new[new["mark_id"].isin(known.index)])]
        return new[list(MARK_COLUMNS)]

    _change(marks_file(store), change)


def delete_marks(store: Store, mark_ids: list[str]) -> None:
    _change(marks_file(store), lambda old: old[~old["mark_id"].isin(mark_ids)])


def _change(file: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Read, change and write the whole file while no one else does."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")).acquire(timeout=WAIT):
            changed = change(_read(file))
            with atomic_path(file) as temp:
                changed.to_parquet(temp, index=False)
    except Timeout as error:
        raise UserError(f"Another program is writing {file}.", "Wait a moment, then try again.") from error
    except OSError as error:
        raise unwritable(file, error) from error


def _read(file: Path) -> pd.DataFrame:
    if not file.is_file():
        return pd.DataFrame(columns=list(MARK_COLUMNS))
    try:
        marks = checked.parse_table(file.read_bytes(), schemas.column_kinds(*MARK_COLUMNS))
    except (checked.Damaged, OSError) as error:
        raise UserError(
            f"{file} is damaged: {error}", "Restore it from a copy, or move it away to start afresh; it is not changed."
        ) from error
    marks["polygon"] = marks["polygon"].map(lambda p: None if p is None else np.asarray(p, dtype=float)).astype(object)
    marks["polygon"] = marks["polygon"].where(marks["polygon"].notna(), None)
    return marks


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _same_reading(marks: pd.DataFrame, others: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of ``marks`` are of the film, label and reader of one of ``others``."""
    what = ["sample_id", "label", "annotator"]
    same: NDArray[np.bool_] = pd.MultiIndex.from_frame(marks[what]).isin(pd.MultiIndex.from_frame(others[what]))
    return same


def _refuse_impossible(marks: pd.DataFrame) -> None:
    """Refuse what nobody can have marked on a film: MARK_COLUMNS but for the ids and times."""
    for mark in marks.to_dict("records"):
        if problem := _impossible(mark):
            where = f"{plain(mark['annotator'])}'s mark of {plain(mark['label'])} on {plain(mark['sample_id'])}"
            raise UserError(f"{where} {problem}.", "Correct or leave out this mark; nothing was saved.")


def _impossible(mark: Mapping[Hashable, Any]) -> str:
    """What is wrong with a mark; empty where nothing is."""
    if not 0 < len(mark["annotator"]) <= LONGEST_NAME:
        return f"names an annotator of {len(mark['annotator']):,} characters, not 1 to {LONGEST_NAME}"
    box, polygon = np.array([mark[side] for side in SHAPE], dtype=float), mark["polygon"]
    if np.isnan(box).all() and polygon is None:
        return ""  # NOTHING
    if not np.isfinite(box).all():
        return "has a coordinate that is no finite number"
    size = np.array([mark["width"], mark["height"]], dtype=float)
    film = f"the film of {mark['width']:,} × {mark['height']:,} pixels"
    if (box[2:] <= 0).any():
        return "has no area"
    if (box[:2] < -BEYOND).any() or (box[:2] + box[2:] > size + BEYOND).any():
        return f"reaches beyond {film}"
    if polygon is None:
        return ""
    if len(polygon) % 2 or not 3 <= len(polygon) // 2 <= MOST_POINTS:
        return f"has an outline of {len(polygon) // 2:,} points, not 3 to {MOST_POINTS:,} of x and y each"
    points = np.asarray(polygon, dtype=float).reshape(-1, 2)
    if not np.isfinite(points).all():
        return "has a coordinate that is no finite number"
    return f"reaches beyond {film}" if (points < -BEYOND).any() or (points > size + BEYOND).any() else ""


def _refuse_contradiction(marks: pd.DataFrame) -> None:
    nothing = marks["x"].isna()
    denied = marks[nothing & _same_reading(marks, marks[~nothing])]
    if len(denied):
        one = denied.iloc[0]
        raise UserError(
            f"{one['annotator']} marked {one['label']} on {one['sample_id']}, and says that there is nothing to mark.",
            "Delete the marks first, or leave this out.",
        )


def _what(marks: pd.DataFrame) -> list[tuple[object, ...]]:
    """What tells one mark from another."""
    shapes = [
        None if np.isnan(box[0]) else (*box, None if polygon is None else tuple(np.asarray(polygon, dtype=float)))
        for box, polygon in zip(marks[list(SHAPE)].to_numpy(dtype=float).tolist(), marks["polygon"], strict=True)
    ]
    return list(zip(marks["sample_id"], marks["label"], marks["annotator"], shapes, strict=True))
