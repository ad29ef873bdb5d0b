"""The samples table: its columns, its splits, and how patients are shared out among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

SAMPLE_COLUMNS: tuple[str, ...] = (
    "sample_id",
    "study_id",
    "patient_id",
    "split",
    "view",
    "image",
    "height",
    "width",
    "report",
    "age",
    "sex",
)
"""Columns of samples.parquet before the labels: height and width in pixels of the original film, age in years."""


_FRONTAL = frozenset(("frontal", "pa", "ap", "posteroanterior", "anteroposterior", "ap supine", "ap erect", "portable"))
_LATERAL = frozenset(("lateral", "lat", "l", "ll", "rl", "left lateral", "right lateral"))


def projections(views: Sequence[str]) -> NDArray[np.str_]:
    """Views in the words of many sources as ``frontal``, ``lateral`` or, where none is known, an empty string.

    Examples
    --------
    >>> projections(["PA", "Lateral", "", "oblique"]).tolist()
    ['frontal', 'lateral', '', '']
    """
    words = [str(view).strip().lower() for view in views]
    return np.array(["frontal" if w in _FRONTAL else "lateral" if w in _LATERAL else "" for w in words], dtype=np.str_)


def assign_splits(
    patients: NDArray[np.object_], targets: NDArray[np.float32], fractions: tuple[float, float, float], seed: int
) -> NDArray[np.object_]:
    """Share patients out among train, val and test; see :func:`share_out`.

    Returns
    -------
    (N,) of "train", "val" or "test"
    """
    return np.array(SPLITS, dtype=object)[share_out(patients, targets, fractions, seed)]


def share_out(
    patients: NDArray[np.object_] | NDArray[np.int64],
    targets: NDArray[np.float32],
    fractions: Sequence[float],
    seed: int,
) -> NDArray[np.int64]:
    """Share patients out among parts so that every label's positives follow the fractions.

    Iterative stratification (Sechidis et al., ECML 2011) over patients in place of rows. The label with the fewest
    positives left goes first, and each of its patients goes to the part that most lacks it.

    Parameters
    ----------
    patients : (N,)
        A patient's films stay together: that is the leakage unit.
    targets : (N, C) 1, 0 or NaN
    fractions : of each part; sum 1
    seed : int
        Decides ties.

    Returns
    -------
    (N,) number of the part
    """
    codes, _ = pd.factorize(patients)
    n_patients = int(codes.max()) + 1
    n_labels = targets.shape[1]
    # counts of each patient: positives by label, then films
    counts = np.zeros((n_patients, n_labels + 1))
    np.add.at(counts, codes, np.column_stack([np.nan_to_num(targets), np.ones(len(targets))]))
    wanted = np.outer(fractions, counts.sum(axis=0))  # (parts, C + 1) still to be given
    order = np.random.default_rng(seed).permutation(n_patients)
    free = np.ones(n_patients, dtype=bool)
    chosen = np.zeros(n_patients, dtype=np.int64)
    while free.any():
        left = counts[free].sum(axis=0)
        rarest = int(np.where(left[:-1] > 0, left[:-1], np.inf).argmin()) if left[:-1].any() else n_labels
        holders = order[free[order] & (counts[order, rarest] > 0)]
        # patients with most positives first: they are the hardest to place
        for patient in holders[np.argsort(-counts[holders, rarest], kind="stable")]:
            # most wanting of this label; then of films
            part = max(range(len(fractions)), key=lambda s: (wanted[s, rarest], wanted[s, -1]))
            chosen[patient] = part
            wanted[part] -= counts[patient]
            free[patient] = False
    return chosen[codes]
