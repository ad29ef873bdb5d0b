"""Arrays and ids in files that other programs wrote: .npy, .npz and Parquet. Nothing is unpickled."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.errors import UserError
from explorer.store.files import sha256_file, sha256_json
from precompute.delimited import read_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 65536
"""Rows looked at once, so that memory does not grow with the set."""
_UNIT = 1e-5
"""How far a length may be from 1 to count as unit norm: float32 vectors of thousands of numbers lie nearer."""
_NAMED = re.compile(r"(.+\.(?:npz|parquet|csv|tsv|csv\.gz)):(.+)")


class Place(NamedTuple):
    """A file, and which of its arrays or columns; empty where the file has one."""

    file: Path
    name: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.name}" if self.name else str(self.file)

    @property
    def kind(self) -> str:
        """The file's ending, as ".npy"."""
        return self.file.suffix.lower()

    @property
    def shown(self) -> str:
        """Without the folder, for the manifest."""
        return f"{self.file.name}:{self.name}" if self.name else self.file.name

    @property
    def sha256(self) -> str:
        """A hash of the file, and of which array it is."""
        return sha256_json([sha256_file(self.file), self.name])


def read_place(text: str) -> Place:
    """``FILE`` or ``FILE:NAME``, of a file that is there.

    Raises
    ------
    UserError
        There is no such file.
    """
    match = None if Path(text).exists() else _NAMED.fullmatch(text)
    place = Place(Path(match[1]), match[2]) if match else Place(Path(text))
    if not place.file.is_file():
        raise UserError(f"There is no file {place.file}.", "Check the path.")
    return place


def read_floats(place: Place, shape: str) -> NDArray[np.floating]:
    """An array of floating-point numbers of two axes or more; memory-mapped where the file is .npy.

    Parameters
    ----------
    shape : str
        What it should be, as "(N, D)", for messages; as many axes as it has commas and one.

    Raises
    ------
    UserError
        The file is damaged or of another kind, has several arrays and none is named, or holds something else.
    """
    if place.kind == ".parquet":
        array: NDArray[Any] = _read_lists(place)
    elif place.kind in (".npy", ".npz"):
        array = _read_numpy(place)
    else:
        raise UserError(
            f"{place.file} is no .npy, .npz or .parquet file by its name.",
            "Save the array with numpy.save(FILE, array): a tensor as tensor.numpy(), without pickle.",
        )
    if array.dtype.kind != "f":
        raise UserError(
            f"{place} holds {array.dtype}, no floating-point numbers.", "Save it with array.astype(numpy.float32)."
        )
    if array.ndim != shape.count(",") + 1:
        raise UserError(
            f"{place} is of shape {array.shape}; it must be {shape}.",
            "Bring it to that shape: tokens of a film are pooled, axes of length 1 are squeezed out.",
        )
    return array


def read_ids(place: Place) -> list[str]:
    """The films' ids, one for each row: of a text file, a CSV's or Parquet table's column, or an array.

    Raises
    ------
    UserError
        The file cannot be read or names no such column; an id is blank or stands twice.
    """
    if place.kind == ".parquet":
        ids = _read_column(place)
    elif place.kind in (".npy", ".npz"):
        array = _read_numpy(place)
        if array.ndim != 1 or array.dtype.kind not in "USiu":
            raise UserError(
                f"{place} holds {array.dtype} of shape {array.shape}; ids are (N,) texts or whole numbers.",
                "Save them with numpy.array(ids, dtype=str).",
            )
        ids = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in array.tolist()]
    elif place.kind in (".csv", ".tsv", ".gz"):
        ids = _read_cells(place)
    else:
        try:
            ids = place.file.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            raise UserError(f"{place.file} cannot be read as text: {error}.", "Write one id on each line.") from error
    ids = [one.strip() for one in ids]
    first: dict[str, int] = {}
    for row, one in enumerate(ids):
        if not one:
            raise UserError(f"{place} row {row} (from 0): the id is blank.", "Give every row an id.")
        if first.setdefault(one, row) != row:
            raise UserError(
                f"{place} rows {first[one]} and {row} (from 0) have the same id {one!r}.",
                "Keep one row for each film, in the ids and in the vectors.",
            )
    if not ids:
        raise UserError(f"{place} has no ids.", "Give one for each row of the vectors.")
    return ids


def check_lengths(place: Place, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """The (N,) lengths of (N, D) vectors, all finite and none 0; exactly 1 where all are of unit norm already.

    Raises
    ------
    UserError
        With the row.
    """
    lengths = np.empty(len(vectors), dtype=np.float64)
    for start in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[start : start + _BLOCK], dtype=np.float64)
        check_finite(place, block, "row {} (from 0)", start)
        lengths[start : start + _BLOCK] = np.linalg.norm(block, axis=1)
    none = np.flatnonzero(lengths == 0)
    if len(none):
        raise UserError(
            f"{place} row {none[0]} (from 0) is all zeros, and so are {len(none) - 1:,} more rows.",
            "A film without an embedding has no direction: leave it out of vectors, ids and labels.",
        )
    unit = bool((np.abs(lengths - 1) <= _UNIT).all())
    return np.ones(len(vectors), np.float32) if unit else lengths.astype(np.float32)


def check_finite(place: Place, values: NDArray[np.floating], where: str, start: int = 0) -> None:
    """Refuse rows with NaN or infinite values.

    Parameters
    ----------
    where : str
        How a row is named; ``{}`` is its number.
    start : int
        The first row's number.
    """
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(bad):
        number = where.format(start + bad[0])
        raise UserError(
            f"{place} {number} holds NaN or infinite values, and so do {len(bad) - 1:,} of the rows after it.",
            "Compute them again, in float32 if they overflowed; or leave these films out of all files.",
        )


# --- kinds of files --------------------------------------------------------------------------------------------------


def _read_numpy(place: Place) -> NDArray[Any]:
    """A .npy file, memory-mapped, or one array of a .npz file."""
    try:
        if place.kind == ".npy":
            array: NDArray[Any] = np.load(place.file, mmap_mode="r", allow_pickle=False)
            return array
        with np.load(place.file, allow_pickle=False) as archive:
            member: NDArray[Any] = archive[_one_of(place, list(archive.files), "arrays")]
            return member
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{place.file} cannot be read as {place.kind}: {error}.",
            "Save plain numbers or texts with numpy.save or numpy.savez: pickled objects are never loaded.",
        ) from error


def _read_lists(place: Place) -> NDArray[np.floating]:
    """A column of a Parquet table whose cells are lists of one length."""
    with _opened(place) as table:
        lists = [field.name for field in table.schema_arrow if pa.types.is_nested(field.type)]
        name = _one_of(place, lists, "columns of lists")
        array: NDArray[np.floating] | None = None
        row = 0
        for batch in table.iter_batches(columns=[name], batch_size=_BLOCK):
            column = batch.column(batch.schema.get_field_index(name))
            if not hasattr(column, "flatten") or not pa.types.is_floating(column.type.value_type):
                raise UserError(f"{place} holds {column.type}, no lists of floats.", "Name a column of float lists.")
            lengths = np.array(column.value_lengths().fill_null(-1) if _varies(column) else _fixed_lengths(column))
            width = array.shape[1] if array is not None else int(lengths[0])
            wrong = np.flatnonzero((lengths != width) | (lengths < 1))
            if len(wrong):
                length = "null" if lengths[wrong[0]] < 0 else f"a list of {lengths[wrong[0]]} numbers"
                raise UserError(
                    f"{place} row {row + wrong[0]} (from 0) is {length}, and row 0 a list of {width}.",
                    "Give every film a vector of one length.",
                )
            values = column.flatten()
            if values.null_count:
                bad = int(np.flatnonzero(np.array(values.is_null()))[0]) // width
                raise UserError(f"{place} row {row + bad} (from 0) holds a null.", "Fill it in, or leave the film out.")
            if array is None:
                array = np.empty((table.metadata.num_rows, width), dtype=np.float32)
            array[row : row + len(lengths)] = values.to_numpy(zero_copy_only=False).reshape(-1, width)
            row += len(lengths)
    if array is None:
        raise UserError(f"{place.file} has no rows.", "Give it one row for each film.")
    return array


def _varies(column: pa.Array) -> bool:
    return not pa.types.is_fixed_size_list(column.type)


def _fixed_lengths(column: pa.Array) -> NDArray[np.int64]:
    return np.where(np.array(column.is_null()), -1, column.type.list_size)


def _read_column(place: Place) -> list[str]:
    with _opened(place) as table:
        plain = [field.name for field in table.schema_arrow if not pa.types.is_nested(field.type)]
        name = _one_of(place, plain, "columns")
        column = table.read(columns=[name])[name]
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _opened(place: Place) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(place.file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{place.file} cannot be read as a Parquet table: {error}.", "Write it again.") from error


def _read_cells(place: Place) -> list[str]:
    names, rows = read_cells(place.file)
    column = names.index(_one_of(place, names, "columns"))
    return [row[column] for row in rows]


def _one_of(place: Place, names: list[str], what: str) -> str:
    """The array or column that is named, or the only one."""
    if place.name in names:
        return place.name
    if not place.name and len(names) == 1:
        return names[0]
    has = f"it has {', '.join(names[:12]) or 'none'}"
    if place.name:
        raise UserError(f"{place.file} has no {place.name!r} among its {what}; {has}.", "Name one of them.")
    raise UserError(
        f"{place.file} has {len(names)} {what}; {has}.",
        f"Name one: {place.file}:{names[0] if names else 'NAME'}.",
    )
