"""The separability board: every label in every space, on the films that no regime was fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from explorer.analysis.separability import (
    CONFUSION_COLUMNS,
    LIKENESS_COLUMNS,
    SEPARABILITY_COLUMNS,
    Labelled,
    Space,
    confusability,
    likeness,
    separability,
)
from explorer.store.files import write_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from precompute.reporter import Report

SEPARABILITY_SPLITS = ("val", "test")
"""Not train: the probe and the fine-tune were fitted on it."""


def write_separability(
    folder: Path,
    spaces: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    splits: Mapping[str, NDArray[np.int64]],
    report: Report,
    *,
    permutations: int,
    resamples: int,
    seed: int,
) -> list[str]:
    """Measure and write.

    Parameters
    ----------
    spaces : name to (N, D) unit norm
    targets : (N, C) 1, 0 or NaN
    patients : (N,)
    splits : name to rows
    """
    tables: dict[str, list[pd.DataFrame]] = {"separability": [], "confusability": [], "likeness": []}
    done = 0
    for split, rows in splits.items():
        films = Labelled.of(
            labels, targets[rows], patients[rows], permutations=permutations, resamples=resamples, seed=seed
        )
        looked_up = {name: Space.of(vectors[rows], films) for name, vectors in spaces.items()}
        for name, space in looked_up.items():
            tables["separability"].append(separability(space, films).assign(space=name, split=split))
            tables["confusability"].append(confusability(space, films).assign(space=name, split=split))
            done += 1
            report(done, len(splits) * len(spaces))
        for name, other in combinations(looked_up, 2):
            alike = likeness(looked_up[name], looked_up[other], films)
            tables["likeness"].append(alike.assign(space=name, other=other, split=split))
    columns = (SEPARABILITY_COLUMNS, CONFUSION_COLUMNS, LIKENESS_COLUMNS)
    paths = []
    for (table, parts), names in zip(tables.items(), columns, strict=True):
        write_frame(folder / f"{table}.parquet", pd.concat(parts, ignore_index=True)[list(names)])
        paths.append(f"{table}.parquet")
    return paths
