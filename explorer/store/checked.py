"""Reading the files of a run that nobody vouches for, one function for each kind of file.

Whatever is wrong with a file, these functions raise ``Damaged`` or ``OSError`` and nothing else. Nothing is evaluated,
unpickled or allocated on a file's own word: types and shapes are the reader's, and sizes are held against the disk's.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError

from explorer.store.files import sha256_file

if TYPE_CHECKING:
    import faiss
    import pandas as pd
    from numpy.typing import NDArray

Model = TypeVar("Model", bound=BaseModel)
Shape = tuple[int | None, ...]
"""None where any length is right."""
ColumnKind = Literal["key", "text", "integer", "number", "flag", "numbers"]
"""``key`` is a text that is never null, ``integer`` is never null either; ``numbers`` is a list of them."""
NUMBER: ColumnKind = "number"

MAX_CELLS = 10**9
"""Rows times columns of a table: repeated values compress so well that a small file could fill the memory."""

_DTYPES = frozenset(("bool", "uint8", "int16", "int32", "int64", "float32"))
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z]\d)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), \} *\n"
)
"""What ``np.save`` writes of an array of plain numbers."""


class Damaged(Exception):
    """What is wrong with a file: words that follow its name and a colon."""


def first_error(error: ValidationError) -> str:
    """Where and what the first of pydantic's complaints is, in one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg']}"


def check_file(path: Path, size: int) -> None:
    """Refuse what is no plain file of the size the manifest gives, before it is opened."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is not a plain file")
    if status.st_size != size:
        raise Damaged(f"it has {status.st_size:,} bytes, and the manifest says {size:,}")


def read_bytes(path: Path, size: int, sha256: str) -> bytes:
    """A file's content, once its size and hash are the manifest's."""
    check_file(path, size)
    data = path.read_bytes()
    _compare(hashlib.sha256(data).hexdigest(), sha256)
    return data


def check_hash(path: Path, size: int, sha256: str) -> None:
    """Read every byte of a file too large to keep."""
    check_file(path, size)
    _compare(sha256_file(path), sha256)


def _compare(got: str, sha256: str) -> None:
    if got != sha256:
        raise Damaged("its content is not what the manifest says")


def map_array(path: Path, dtype: str, shape: Shape) -> NDArray[Any]:
    """A memory-mapped ``.npy`` file of this type and shape. Its header is matched, never evaluated."""
    with path.open("rb") as file:
        start = file.read(10)
        (length,) = struct.unpack("<H", start[8:]) if len(start) == 10 else (0,)
        header = _NPY_HEADER.fullmatch(file.read(length))
        size = os.fstat(file.fileno()).st_size
    if not start.startswith(_NPY_MAGIC) or header is None:
        raise Damaged("it has no header of an array")
    lengths = tuple(int(digits) for digits in re.findall(rb"\d+", header[3]))
    given = next((name for name in _DTYPES if np.dtype(name).str.encode() == header[1]), "another type")
    fits = len(lengths) == len(shape) and all(b in (None, a) for a, b in zip(lengths, shape, strict=True))
    if given != dtype or not fits:
        right = " × ".join("any" if length is None else str(length) for length in shape)
        raise Damaged(f"it holds {' × '.join(map(str, lengths))} of {given} in place of {right} of {dtype}")
    if size != 10 + length + math.prod(lengths) * np.dtype(dtype).itemsize:
        raise Damaged("it is not of the length that its header gives")
    order: Literal["F", "C"] = "F" if header[2] == b"True" else "C"
    return np.memmap(path, np.dtype(dtype), "r", 10 + length, lengths, order)


def map_bytes(path: Path, size: int) -> NDArray[np.uint8]:
    """A file's bytes, memory-mapped."""
    check_file(path, size)
    if not size:
        raise Damaged("it is empty")
    return np.memmap(path, np.uint8, "r")


def parse_json(data: bytes, schema: type[Model]) -> Model:
    """JSON of a schema; pydantic's parser refuses deep nesting by itself."""
    try:
        return schema.model_validate_json(data)
    except ValidationError as error:
        raise Damaged(first_error(error)) from error


def parse_table(
    data: bytes, columns: Mapping[str, ColumnKind], rows: int | None = None, newer: frozenset[str] = frozenset()
) -> pd.DataFrame:
    """These columns of a parquet table, of these kinds and as many rows; the index is 0..rows - 1.

    Columns in ``newer`` may be missing: an earlier version did not write them.

    The table's own notes on pandas types are left unread: they are free text that pandas trusts.
    """
    try:
        file = pq.ParquetFile(pa.py_buffer(data))
        columns = {name: kind for name, kind in columns.items() if name in file.schema_arrow.names or name not in newer}
        _check_columns(file.schema_arrow, columns)
        count = file.metadata.num_rows
        if rows not in (None, count):
            raise Damaged(f"it has {count:,} rows in place of {rows:,}")
        if count * len(columns) > MAX_CELLS:
            raise Damaged(f"its {count:,} rows would fill the memory")
        table = file.read(columns=list(columns)).select(list(columns))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise Damaged(str(error).partition("\n")[0]) from error
    if table.num_rows != count:
        raise Damaged("its pages hold another number of rows than its header")
    for name, kind in columns.items():
        if kind in ("key", "integer", "flag") and table[name].null_count:
            raise Damaged(f"column {name!r} has blanks")
    frame: pd.DataFrame = table.replace_schema_metadata().to_pandas()
    return frame


def _check_columns(schema: pa.Schema, columns: Mapping[str, ColumnKind]) -> None:
    for name, kind in columns.items():
        if schema.names.count(name) != 1:
            raise Damaged(f"it has {schema.names.count(name)} columns {name!r} in place of one")
        held = schema.field(name).type
        if not (pa.types.is_null(held) or _is_kind(held, kind)):
            raise Damaged(f"column {name!r} is {held} in place of {kind}")


def _is_kind(held: pa.DataType, kind: ColumnKind) -> bool:
    types = pa.types
    number = types.is_integer(held) or (types.is_floating(held) and not types.is_float16(held))
    match kind:
        case "key" | "text":
            return bool(types.is_string(held) or types.is_large_string(held))
        case "integer":
            return bool(types.is_integer(held))
        case "number":
            return bool(number)
        case "flag":
            return bool(types.is_boolean(held))
        case "numbers":
            return bool((types.is_list(held) or types.is_large_list(held)) and types.is_floating(held.value_type))


def parse_tensors(data: bytes, shapes: Mapping[str, Shape]) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of these names and shapes in a safetensors file."""
    from safetensors import SafetensorError, deserialize

    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Damaged(str(error)) from error
    arrays = {}
    for name, shape in shapes.items():
        tensor = tensors.get(name, {"dtype": "nothing", "shape": []})
        if tensor["dtype"] != "F32" or tuple(tensor["shape"]) != shape:
            raise Damaged(f"{name} is {tensor['dtype']} {tensor['shape']} in place of F32 {list(shape)}")
        arrays[name] = np.frombuffer(tensor["data"], np.float32).reshape(tensor["shape"])
    return arrays


def map_index(path: Path, n: int, dim: int) -> faiss.Index:
    """A memory-mapped flat inner-product index of n vectors.

    FAISS trusts what it reads, so that its bytes but for the vectors must be those of such an index.
    """
    import faiss

    header = bytearray(faiss.serialize_index(faiss.IndexFlatIP(dim)))
    struct.pack_into("<q", header, 8, n)
    struct.pack_into("<q", header, len(header) - 8, n * dim)
    check_file(path, len(header) + n * dim * 4)
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise Damaged(f"it is no flat index of {n:,} vectors of {dim} numbers")
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
