"""One run as one table: a row for each film, with its labels, vectors, logits and places on the maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from explorer.errors import UserError
from explorer.store.files import atomic_path
from precompute.reporter import Reporter, Stages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from explorer.store.reader import Store

EXPORT: Stages = {"export": ("films", 1)}

METADATA = b"cxr_explorer"
"""Key of the file's metadata: JSON with run_id, labels (the order of every ``logits`` list), regimes and spaces."""
_ROWS = 8192
"""Films written at once, so that memory does not grow with the set."""


def export_run(store: Store, path: Path, reporter: Reporter) -> int:
    """Write a run as one Parquet file; nothing is left at ``path`` on failure.

    Columns: those of the samples table, labels as 1, 0 or null; ``embedding/<space>`` (D), ``map/<space>`` (2) and
    ``logits/<regime>`` (C), lists of float32 of fixed length. Rows are in the run's order.

    Returns
    -------
    int
        How many films the table has.

    Raises
    ------
    UserError
        Where ``path`` exists or cannot be a table, or a file of the run is damaged.
    """
    if path.suffix != ".parquet":
        raise UserError(f"{path} would not be a Parquet table by its name.", "Give a name that ends in .parquet.")
    if path.exists():
        raise UserError(f"{path} exists already.", "Give another name, or remove it first.")
    arrays = _arrays(store)
    samples = store.samples.copy()
    samples[list(store.labels)] = samples[list(store.labels)].astype("Int8")
    rows = pa.Table.from_pandas(samples, preserve_index=False)
    about = {
        "run_id": store.run_id,
        "labels": list(store.labels),
        "regimes": [regime.name for regime in store.all_regimes],
        "spaces": [space.name for space in store.spaces],
    }
    fields = [pa.field(name, pa.list_(pa.float32(), array.shape[1])) for name, array in arrays.items()]
    schema = pa.schema([*rows.schema.remove_metadata(), *fields], {METADATA: json.dumps(about).encode()})
    with reporter.stage("export") as report, atomic_path(path) as temp, pq.ParquetWriter(temp, schema) as writer:
        for start in range(0, store.n, _ROWS):
            stop = min(start + _ROWS, store.n)
            lists = [_lists(array[start:stop]) for array in arrays.values()]
            columns = [*rows.slice(start, stop - start).combine_chunks().columns, *lists]
            writer.write_table(pa.table(columns, schema=schema))
            report(stop, store.n)
    return store.n


def _arrays(store: Store) -> dict[str, NDArray[np.float32]]:
    """Every (N, k) array of the table by its column's name, memory-mapped."""
    spaces = [space for space in store.spaces if space.kind == "embedding"]
    return {
        **{f"embedding/{space.name}": store.vectors(space.name) for space in spaces},
        **{f"map/{space.name}": store.map(space.name) for space in store.spaces},
        **{f"logits/{regime.name}": store.logits(regime.name) for regime in store.all_regimes},
    }


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
