"""Whether a set's films may be embedded in bfloat16: both precisions on a sample of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from explorer.model.encoder import ImageTower, Precision, PrecisionCheck
from precompute.settings import AskedPrecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 128
"""Films compared: half a minute of a ViT-B/16 on one core."""
LEAST_COSINE = 0.999
MOST_MOVED = 0.002
FEWEST = 5
"""Films with a label, and without it, that the sample must have for its average precision to count."""
AXES = 8
"""Principal axes along which films are ranked where no label counts."""


def check_bfloat16(
    tower: ImageTower, pixels: NDArray[np.uint8], targets: NDArray[np.float32], batch_size: int
) -> PrecisionCheck:
    """Embed a sample of the films in both precisions, and compare.

    Parameters
    ----------
    pixels : (N, S, S)
    targets : (N, C)
        NaN where unknown.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(pixels))[:SAMPLE])
    unit = ImageTower(tower.visual, tower.config, tower.device)
    full, lower = (unit.at(precision).embed(pixels[rows], batch_size) for precision in _BOTH)
    moved = _average_precision_moved(full, lower, targets[rows])
    return PrecisionCheck(
        films=len(rows),
        cosine=float((full * lower).sum(axis=1).min()),
        moved=_rank_correlation_lost(full, lower) if moved is None else moved,
        by="rank correlation" if moved is None else "average precision",
    )


_BOTH: tuple[Precision, Precision] = ("float32", "bfloat16")


def passes(check: PrecisionCheck) -> bool:
    """Whether bfloat16 changes nothing that counts."""
    return check.cosine >= LEAST_COSINE and check.moved <= MOST_MOVED


def precision_words(asked: AskedPrecision, check: PrecisionCheck | None) -> str:
    """Why an encoder runs in the precision it runs in."""
    if check is None:
        return "as asked" if asked == "float32" else "this device has no bfloat16 in hardware"
    refused = ", which is too much" if asked == "auto" and not passes(check) else ""
    return f"{check.words}{refused}"


def _average_precision_moved(
    full: NDArray[np.float32], lower: NDArray[np.float32], targets: NDArray[np.float32]
) -> float | None:
    """The change of the mean over labels; None where no label has enough films."""
    changes = []
    for y in targets.T:
        positive, negative = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
        if min(len(positive), len(negative)) >= FEWEST:
            known = np.concatenate([positive, negative])
            direction = full[positive].mean(axis=0) - full[negative].mean(axis=0)
            before, after = (average_precision_score(y[known], vectors[known] @ direction) for vectors in (full, lower))
            changes.append(after - before)
    return abs(float(np.mean(changes))) if changes else None


def _rank_correlation_lost(full: NDArray[np.float32], lower: NDArray[np.float32]) -> float:
    centre = full.mean(axis=0)
    axes = np.linalg.svd(full - centre, full_matrices=False)[2][:AXES]
    correlations = [spearmanr((full - centre) @ axis, (lower - centre) @ axis).statistic for axis in axes]
    return 1 - float(np.min(correlations))
