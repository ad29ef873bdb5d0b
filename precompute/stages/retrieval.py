"""The retrieval stage: what lies near what in every space, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis import lists as listed
from explorer.analysis import retrieval
from explorer.analysis.neighbours import neighbour_lists
from explorer.data.samples import SPLITS, Split, projections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.schema import SpaceRecord

SCORED: tuple[Split, ...] = ("val", "test")
"""The encoders have seen the films of train, so nothing is measured on them."""


def measure(
    spaces: Sequence[SpaceRecord],
    vectors: Callable[[SpaceRecord], NDArray[np.float32]],
    samples: pd.DataFrame,
    labels: Sequence[str],
    targets: NDArray[np.float32],
    report: Callable[[int, int], None],
    *,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, NDArray[np.int32]]]:
    """Retrieval figures, kNN vote and hubness of every space, and agreement of every two of a kind.

    Parameters
    ----------
    vectors : callable
        A space to its (N, dim) unit-norm vectors.
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
    drawn = {"resamples": resamples, "seed": seed}
    parts, lists = [], {}
    for i, space in enumerate(spaces):
        found = np.ascontiguousarray(vectors(space))
        lists[space.name] = neighbour_lists(found, patients, views, retrieval.K)
        counts = listed.occurrences(lists[space.name])
        mine = [listed.hubness(counts, patients, retrieval.K, **drawn).assign(k=retrieval.K)]
        for split in SCORED:
            rows = splits[split]
            part = retrieval.retrieval(found[rows], labels, targets[rows], patients[rows], views[rows], **drawn)
            mine.append(part.assign(split=split, k=retrieval.K))
        votes, k = retrieval.knn_classifier(labels, found, targets, patients, splits, **drawn)
        mine.append(votes.assign(k=k))
        parts.append(pd.concat(mine).assign(space=space.name))
        report(i + 1, len(spaces))
    for a, b in combinations(spaces, 2):
        if a.kind != b.kind:
            continue
        for split in SCORED:
            rows = splits[split]
            part = listed.agreement(lists[a.name][rows], lists[b.name][rows], patients[rows], len(samples), **drawn)
            parts.append(part.assign(space=a.name, other=b.name, split=split, k=retrieval.K))
    frame = pd.concat(parts, ignore_index=True).reindex(columns=list(retrieval.RETRIEVAL_COLUMNS))
    text = ["other", "label", "split"]
    frame[text] = frame[text].fillna("")
    return frame, {name: listed.occurrences(found) for name, found in lists.items()}
