"""The separability board: every label in every space, in full, on the films that no regime was fitted on."""

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
    measure_separability,
)
from explorer.data.samples import Split
from explorer.store import layout
from explorer.store.files import write_frame
from precompute.reporter import ReportProgress
from precompute.run.run import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEPARABILITY_SPLITS: tuple[Split, ...] = ("val", "test")
"""Not train: the probe and the fine-tune were fitted on it."""

VERSIONS = {"separability": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def separability(run: Run) -> None:
    """How far each label separates in every space, and what is taken for what."""
    settings = run.settings

    def make(folder: Path, report: ReportProgress) -> list[str]:
        return _write(
            folder,
            {space.name: run.vectors(space.name) for space in run.spaces},
            run.labels,
            run.targets,
            run.patients,
            {split: run.rows(split) for split in SEPARABILITY_SPLITS},
            report,
            permutations=settings.permutations,
            resamples=settings.resamples,
            seed=settings.seed,
        )

    given = {**run.embedding_hashes(), **run.logit_hashes(), **run.hashes(layout.SAMPLES)}
    given |= {name: getattr(settings, name) for name in ("permutations", "resamples", "seed")}
    run.stage("separability", given, make)


def _write(
    folder: Path,
    spaces: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    splits: Mapping[str, NDArray[np.int64]],
    report: ReportProgress,
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
    tables: dict[str, list[pd.DataFrame]] = {layout.SEPARABILITY: [], layout.CONFUSABILITY: [], layout.LIKENESS: []}
    done = 0
    for split, rows in splits.items():
        films = Labelled.of(
            labels, targets[rows], patients[rows], permutations=permutations, resamples=resamples, seed=seed
        )
        looked_up = {name: Space.of(vectors[rows], films) for name, vectors in spaces.items()}
        for name, space in looked_up.items():
            tables[layout.SEPARABILITY].append(measure_separability(space, films).assign(space=name, split=split))
            tables[layout.CONFUSABILITY].append(confusability(space, films).assign(space=name, split=split))
            done += 1
            report(done, len(splits) * len(spaces))
        for name, other in combinations(looked_up, 2):
            alike = likeness(looked_up[name], looked_up[other], films)
            tables[layout.LIKENESS].append(alike.assign(space=name, other=other, split=split))
    columns = (SEPARABILITY_COLUMNS, CONFUSION_COLUMNS, LIKENESS_COLUMNS)
    for (table, parts), names in zip(tables.items(), columns, strict=True):
        write_frame(folder / table, pd.concat(parts, ignore_index=True)[list(names)])
    return list(tables)
