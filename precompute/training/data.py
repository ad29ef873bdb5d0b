"""What a training reads, and how it is run: the same two records for the probe, the fine-tune and the paper's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precompute.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingData:
    """All films, and which of them train and validate.

    Attributes
    ----------
    inputs : (N, S, S) uint8 pixels for a fine-tune, (N, D) float32 embeddings or projections for a probe
    targets : (N, C) 1, 0 or NaN
    train, val : row numbers
    """

    inputs: NDArray[Any]
    targets: NDArray[np.float32]
    train: NDArray[np.int64]
    val: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingRun:
    """One training by epochs.

    Attributes
    ----------
    seed : int
        Order, augmentation and dropped patches follow from it; ``settings.seed`` is not read.
    work : Path
        Folder of the checkpoints; a killed training resumes.
    report : callable
        Called with (done, total) steps.
    made_from : str
        A hash of all that decides the training: a checkpoint of another is not resumed.
    """

    settings: Settings
    seed: int
    work: Path
    report: Callable[[int, int], None]
    made_from: str
