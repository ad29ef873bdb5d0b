"""What the audit page shows of the set's own faults, written below ``audit/`` in the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.outliers import DISTANCES, distances, fit_cloud, percentiles
from explorer.store.files import write_array

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_outliers(
    folder: Path,
    embeddings: NDArray[np.float32],
    train: NDArray[np.int64],
    patients: NDArray[np.int64],
    seed: int,
) -> list[str]:
    """The training films' cloud, and every film's distances and percentiles; training films as if held out.

    Parameters
    ----------
    embeddings : (N, D) unit norm, of the frozen encoder
    train : rows
    patients : (N,) int
    """
    cloud, held_out = fit_cloud(np.asarray(embeddings[train]), patients[train], seed=seed)
    found = np.empty((len(embeddings), len(DISTANCES)))
    found[train] = held_out
    rest = np.setdiff1d(np.arange(len(embeddings)), train)
    found[rest] = distances(embeddings[rest], cloud.vectors, cloud.mean, cloud.precision)
    arrays = {
        "mean": cloud.mean,
        "precision": cloud.precision,
        "reference": cloud.reference,
        "percentiles": percentiles(found, cloud.reference),
    }
    for name, array in arrays.items():
        write_array(folder / f"audit/outliers/{name}.npy", array.astype(np.float32))
    return [f"audit/outliers/{name}.npy" for name in arrays]
