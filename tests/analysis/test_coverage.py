"""Do 95% intervals hold the truth 95 times in 100? Many sets drawn from a model whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.analysis.differences import delong
from explorer.analysis.metrics import METRICS, interval, p_value, weight_blocks
from explorer.analysis.ranking import rank, score

SETS, RESAMPLES = 500, 300


def draw(n: int, share: float, apart: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patients of one or two films: scores of two normals ``apart`` deviations apart."""
    targets = (rng.random(n) < share).astype(np.float32)
    return targets, (rng.normal(size=n) + apart * targets).astype(np.float32)


def resampled(
    targets: np.ndarray, scores: np.ndarray, calls: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All figures (1, M) and their draws (1, B, M)."""
    ranking = rank(targets, scores, calls)
    (weights,) = weight_blocks(np.arange(len(targets)), RESAMPLES, seed, RESAMPLES)
    return score(ranking, np.ones((len(targets), 1), np.float32)), score(ranking, weights)[None]


def units(targets: np.ndarray) -> np.ndarray:
    return np.array([targets.sum()], dtype=int)


@pytest.mark.parametrize(("n", "share", "apart"), [(300, 0.3, 1.2), (600, 0.05, 1.2), (400, 0.1, 0.5)])
def test_intervals_cover(n: int, share: float, apart: float) -> None:
    rng = np.random.default_rng(5)
    cut = apart / 2 + 0.3
    targets, scores = draw(400_000, share, apart, rng)
    truth = score(rank(targets, scores, scores >= cut), np.ones((len(targets), 1)))
    inside = np.zeros(len(METRICS))
    for seed in range(SETS):
        targets, scores = draw(n, share, apart, rng)
        low, high = interval(*resampled(targets, scores, scores >= cut, seed), units(targets))
        inside += (low[0] <= truth[0]) & (truth[0] <= high[0])
    covered = dict(zip(METRICS, inside / SETS, strict=True))
    assert all(0.93 <= covered[name] <= 0.97 for name in ("average_precision", "auroc", "f1")), covered


def test_regimes_that_are_equal_are_told_apart_one_time_in_twenty() -> None:
    rng = np.random.default_rng(6)
    found, checked = [], []
    for seed in range(SETS):
        targets, one = draw(300, 0.15, 1.0, rng)
        two = (one - targets) * 0.6 + 0.8 * rng.normal(size=300) + targets
        (value_1, drawn_1), (value_2, drawn_2) = (resampled(targets, x, None, seed) for x in (one, two))
        found.append(p_value(value_2 - value_1, drawn_2 - drawn_1, units(targets))[0, :2])
        checked.append(delong(targets, np.stack([one, two]), np.arange(300))[1])
    rejected = (np.array(found) < 0.05).mean(axis=0)
    assert rejected == pytest.approx([0.05, 0.05], abs=0.02)
    assert np.mean(np.array(checked) < 0.05) == pytest.approx(0.05, abs=0.02)
