"""What lies near what in every space, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis import hubness_agreement as listed
from explorer.analysis import retrieval as measured
from explorer.analysis.neighbours import neighbour_lists
from explorer.data.samples import SPLITS, Split, projections
from explorer.store import layout
from explorer.store.files import write_array, write_frame
from precompute.reporter import ReportProgress
from precompute.run.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.manifest import SpaceRecord

SCORED: tuple[Split, ...] = ("val", "test")
"""The encoders have seen the films of train, so nothing is measured on them."""

VERSIONS = {"retrieval": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def retrieval(run: Run) -> None:
    """Figures of every space, and how often each film is another's neighbour."""
    resamples, seed = run.settings.resamples, run.settings.seed

    def make(folder: Path, report: ReportProgress) -> list[str]:
        frame, occurrences = _measure(
            run.spaces, run.vectors, run.samples, run.labels, run.targets, report, resamples=resamples, seed=seed
        )
        write_frame(folder / layout.RETRIEVAL, frame)
        for space, counts in occurrences.items():
            write_array(folder / layout.space_files(space).occurrences, counts)
        return [layout.RETRIEVAL, *(layout.space_files(space).occurrences for space in occurrences)]

    inputs = {**run.embedding_hashes(), **run.logit_hashes(), **run.hashes(layout.SAMPLES)}
    run.stage("retrieval", {**inputs, "resamples": resamples, "seed": seed}, make)


def _measure(
    spaces: Sequence[SpaceRecord],
    vectors: Callable[[str], NDArray[np.float32]],
    samples: pd.DataFrame,
    labels: Sequence[str],
    targets: NDArray[np.float32],
    report: ReportProgress,
    *,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, NDArray[np.int32]]]:
    """Retrieval figures, kNN vote and hubness of every space, and agreement of every two of a kind.

    Parameters
    ----------
    vectors : callable
        A space's name to its (N, dim) unit-norm vectors.
    targets : (N, C) 1, 0 or NaN

    Returns
    -------
    frame : DataFrame
        RETRIEVAL_COLUMNS.
    occurrences : dict
        A space's name to the (N,) k-occurrence of its films.
    """
    patients, views = pd.factorize(samples["patient_id"])[0], projections(samples["view"].astype(str).tolist())
    splits: dict[str, NDArray[np.int64]] = {
        split: np.flatnonzero(samples["split"].to_numpy() == split) for split in SPLITS
    }
    resampling = {"resamples": resamples, "seed": seed}
    parts, lists = [], {}
    for i, space in enumerate(spaces):
        space_vectors = np.ascontiguousarray(vectors(space.name))
        lists[space.name] = neighbour_lists(space_vectors, patients, views, measured.K)
        counts = listed.occurrences(lists[space.name])
        mine = [listed.hubness(counts, patients, measured.K, **resampling).assign(k=measured.K)]
        for split in SCORED:
            rows = splits[split]
            part = measured.retrieval_figures(
                space_vectors[rows], labels, targets[rows], patients[rows], views[rows], **resampling
            )
            mine.append(part.assign(split=split, k=measured.K))
        votes, k = measured.knn_classifier(labels, space_vectors, targets, patients, splits, **resampling)
        mine.append(votes.assign(k=k))
        parts.append(pd.concat(mine).assign(space=space.name))
        report(i + 1, len(spaces))
    for a, b in combinations(spaces, 2):
        if a.kind != b.kind:
            continue
        for split in SCORED:
            rows = splits[split]
            part = listed.neighbour_agreement(
                lists[a.name][rows], lists[b.name][rows], patients[rows], len(samples), **resampling
            )
            parts.append(part.assign(space=a.name, other=b.name, split=split, k=measured.K))
    frame = pd.concat(parts, ignore_index=True).reindex(columns=list(measured.RETRIEVAL_COLUMNS))
    text = ["other", "label", "split"]
    frame[text] = frame[text].fillna("")
    return frame, {name: listed.occurrences(neighbours) for name, neighbours in lists.items()}
