"""Maps of a split or a sample of it, and their agreement with the readers, beside the run, whose hashes stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.data.saliency_map import METHODS, MethodName
from explorer.errors import UserError
from explorer.store import checked, layout, schemas
from explorer.store.files import sha256_file
from explorer.store.folder import DamagedFile, blamed_on
from explorer.store.manifest import SaliencyRecord

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store


SALIENCY_COMMAND = "python -m precompute saliency STORE --split test"
"""What makes such a folder; STORE stands for the store's own, which is not every visitor's to know."""


CHECKS = 2
"""Version of the sanity checks. Raise it where their rows change: earlier sets still open, and are checked anew."""


@dataclass(frozen=True)
class SaliencySet:
    """One method's maps of one run, complete."""

    path: Path
    record: SaliencyRecord

    @property
    def title(self) -> str:
        method = METHODS[self.record.method]
        return f"{method.title} {method.layer.format(self.record.block)}"

    def holds(self, store: Store, row: int, regimes: Collection[str]) -> bool:
        """Whether it has the maps of a film for these regimes."""
        split = cast("Split", store.samples["split"].iat[row])
        has_split = all(layout.saliency_maps_file(split, regime) in self.record.sha256 for regime in regimes)
        return has_split and row in self.rows(store, split)

    def rows(self, store: Store, split: Split) -> NDArray[np.int64]:
        """(n,) the rows of the films whose maps a split has, ascending."""
        sample = self.record.sample.get(split)
        return store.rows(split) if sample is None else np.array(sample, dtype=np.int64)

    def sample_text(self, store: Store) -> str:
        """How many of the split's films a sample is; empty where it is all of them."""
        sample, split = self.record.sample.get(self.record.split), self.record.split
        if sample is None:
            return ""
        return f"a sample of {len(sample):,} of {len(store.rows(split)):,} films in {split}, annotated films first"

    @property
    def has_checks(self) -> bool:
        """Whether the set is new enough to hold sanity checks against opponents of a map's own shape."""
        return layout.saliency_table("sanity") in self.record.sha256

    @property
    def has_occlusion(self) -> bool:
        """Whether the set is new enough that annotators' regions were blanked."""
        return self.record.checks >= 2

    def maps(self, split: str, regime: str) -> NDArray[np.float32]:
        """(n, K, g, g) unscaled maps of the films in ``rows``, for the record's K labels; memory-mapped."""
        file = layout.saliency_maps_file(split, regime)
        with blamed_on(self.path.name, file):
            if sha256_file(self.path / file) != self.record.sha256.get(file):
                raise checked.Damaged("its content has changed")
            n = len(self.record.sample[split]) if split in self.record.sample else None
            return checked.map_array(self.path / file, "float32", (n, len(self.record.labels), None, None))

    def frame(self, name: layout.SaliencyTable) -> pd.DataFrame:
        file = layout.saliency_table(name)
        with blamed_on(self.path.name, file):
            path = self.path / file
            data = checked.read_bytes(path, path.stat().st_size, self.record.sha256.get(file, ""))
            return checked.parse_table(data, schemas.column_kinds(*schemas.SALIENCY_COLUMNS[name]))

    def damaged(self, name: layout.SaliencyTable, why: str) -> DamagedFile:
        """The error to raise for a table that lacks what a page needs."""
        return DamagedFile(self.path.name, layout.saliency_table(name), why)


def list_saliency(store: Store) -> list[SaliencySet]:
    """The complete sets of maps of this very run; those of a run made again since are left out."""
    sets = []
    for file in sorted(layout.saliency_root(store.path).glob(f"*/{layout.SALIENCY_RECORD}")):
        record = _read(file)
        if record.run_created == store.manifest.created:
            sets.append(SaliencySet(file.parent, record))
    order: list[MethodName] = list(METHODS)
    return sorted(sets, key=lambda one: (order.index(one.record.method), -one.record.block))


def _read(file: Path) -> SaliencyRecord:
    try:
        return checked.parse_json(file.read_bytes(), SaliencyRecord)
    except (checked.Damaged, OSError) as error:
        raise UserError(
            f"{file.parent.name}/{file.name} is damaged: {error}.",
            f"Delete {file.parent.name} and run precompute saliency again.",
        ) from error
