"""Marks that readers add to a run's films, kept beside the runs: outside every hash, and there for the next run too."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from explorer.errors import UserError
from explorer.store.files import atomic_path

if TYPE_CHECKING:
    from explorer.store.reader import Store

SHAPE = ("x", "y", "w", "h")
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


def marks_file(store: Store) -> Path:
    """Where the marks of a data set lie; all its runs in a store share them."""
    slug = re.sub(r"[^a-z0-9]+", "-", store.manifest.dataset.name.lower()).strip("-") or "films"
    return store.path.parent / "annotations" / f"{slug[:60]}.parquet"


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
    """The run's own annotations and the marks added since: columns as of ``Store.annotations``, with mark_id ("" for
    the run's own) and blind."""
    own = store.annotations.assign(mark_id="", blind=False)
    added = read_marks(store)
    return pd.concat([own, added[own.columns]], ignore_index=True) if len(added) else own


def add_marks(store: Store, marks: pd.DataFrame, origin: str) -> int:
    """Add marks, and return how many were new: one that is there already, to the last digit, is left alone.

    Parameters
    ----------
    marks : DataFrame
        row, label, annotator, x, y, w, h, polygon; optionally blind.
    origin : str
        ``app``, or the name of the file they came from.
    """
    sizes = store.samples.loc[marks["row"], ["sample_id", "height", "width"]].reset_index(drop=True)
    new = pd.concat([marks.drop(columns="row").reset_index(drop=True), sizes], axis=1)
    new["made"], new["origin"] = datetime.now(UTC).isoformat(timespec="seconds"), origin
    new["blind"] = new.get("blind", False)
    new["mark_id"] = [uuid.uuid4().hex for _ in range(len(new))]
    added = 0

    def change(old: pd.DataFrame) -> pd.DataFrame:
        nonlocal added
        known = set(_what(old))
        fresh = new[[what not in known for what in _what(new)]]
        added = len(fresh)
        return pd.concat([old, fresh[list(MARK_COLUMNS)]], ignore_index=True) if len(old) else fresh[list(MARK_COLUMNS)]

    _change(marks_file(store), change)
    return added


def edit_marks(store: Store, edited: pd.DataFrame) -> None:
    """Give marks new places, labels or readers: mark_id, x, y, w, h, label, annotator."""

    def change(old: pd.DataFrame) -> pd.DataFrame:
        new = old.set_index("mark_id")
        known = edited.set_index("mark_id")
        known = known.loc[known.index.intersection(new.index)]  # another visitor may have deleted one meanwhile
        for column in (*SHAPE, "label", "annotator"):
            new.loc[known.index, column] = known[column]
        return new.reset_index()

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
        raise UserError(
            f"{file} cannot be written: {error.strerror}.",
            "Give the app a folder it may write to, or export the marks.",
        ) from error


def _read(file: Path) -> pd.DataFrame:
    if not file.is_file():
        return pd.DataFrame(columns=list(MARK_COLUMNS))
    try:
        marks = pd.read_parquet(file)[list(MARK_COLUMNS)]
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{file} is damaged: {error}", "Restore it from a copy, or move it away to begin anew; it is not changed."
        ) from error
    marks["polygon"] = marks["polygon"].map(lambda p: None if p is None else np.asarray(p, dtype=float)).astype(object)
    marks["polygon"] = marks["polygon"].where(marks["polygon"].notna(), None)
    return marks


def _what(marks: pd.DataFrame) -> list[tuple[object, ...]]:
    """What tells one mark from another."""
    shapes = [
        (*box, None if polygon is None else tuple(np.asarray(polygon, dtype=float)))
        for box, polygon in zip(marks[list(SHAPE)].to_numpy(dtype=float).tolist(), marks["polygon"], strict=True)
    ]
    return list(zip(marks["sample_id"], marks["label"], marks["annotator"], shapes, strict=True))
