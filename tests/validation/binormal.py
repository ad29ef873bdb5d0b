"""Film sets whose true figures are known: binormal scores, patients of several films."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from explorer.analysis.metrics import Scored

DEMO = np.array([230, 55, 38, 21, 16, 13, 11, 9, 6, 5, 5, 4, 2, 1]) / 375
"""Shares of the demo's 14 labels among its 375 test films."""
PAPER = np.array([2400, 516, 415, 216, 165, 163, 129, 127, 70, 68, 56, 49, 31, 20]) / 3818
"""The same of the paper's 3,818 films; 572 of them are its test films."""
AUROC = np.array([0.80, 0.72, 0.88, 0.93, 0.77, 0.95, 0.85, 0.75, 0.90, 0.82, 0.70, 0.92, 0.83, 0.78])
"""True AUROCs, from poor to high, in no order of prevalence."""

SAME_PATIENT = 0.5
"""Correlation of the latent cause of a label between two films of a patient."""
SAME_SCORES = 0.3
"""Correlation of the scores' noise between two films of a patient."""
SAME_FILM = 0.6
"""Correlation of the scores' noise between two regimes on a film."""


@dataclass(frozen=True)
class Films:
    """Film sets of one mix of labels.

    Attributes
    ----------
    films : int
    shares : (C,)
        Of positives.
    auroc : (C,)
        Of a regime without ``better``.
    fixed : bool
        Whether every set has the same number of positives, or each film is positive by chance.
    """

    films: int
    shares: np.ndarray
    auroc: np.ndarray
    fixed: bool = False

    @property
    def labels(self) -> list[str]:
        return [f"label {c}" for c in range(len(self.shares))]

    @property
    def apart(self) -> np.ndarray:
        """(C,) distance of the positives' mean score from the negatives'."""
        return np.asarray(np.sqrt(2) * ndtri(self.auroc))

    @property
    def cut(self) -> np.ndarray:
        """(C,) threshold that calls a film positive."""
        return np.asarray(self.apart / 2 + 0.3)

    def draw(
        self, rng: np.random.Generator, better: tuple[float, ...]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Scored]]:
        """One set: targets (n, C), patients (n,) of one to four films, and the scores of a regime for each ``better``.

        Parameters
        ----------
        better : how much further apart each regime sets the classes than ``auroc`` says
        """
        patients = np.repeat(np.arange(self.films), rng.integers(1, 5, self.films))[: self.films]
        latent = self._noise(rng, patients, SAME_PATIENT)
        if self.fixed:
            counts = np.rint(self.shares * self.films).astype(int)
            targets = latent.argsort(axis=0).argsort(axis=0) >= self.films - counts
        else:
            targets = latent > -ndtri(self.shares)
        common = np.sqrt(SAME_FILM) * self._noise(rng, patients, SAME_SCORES)
        scored = {}
        for i, further in enumerate(better):
            own = np.sqrt(1 - SAME_FILM) * self._noise(rng, patients, SAME_SCORES)
            scores = common + own + (self.apart + further) * targets
            scored[str(i)] = Scored(scores.astype(np.float32), self.cut.astype(np.float32))
        return targets.astype(np.float32), patients, scored

    def _noise(self, rng: np.random.Generator, patients: np.ndarray, shared: float) -> np.ndarray:
        """(n, C) standard normal, correlated by ``shared`` within a patient."""
        own, effect = rng.normal(size=(2, self.films, len(self.shares)))
        return np.asarray(np.sqrt(shared) * effect[patients] + np.sqrt(1 - shared) * own)

    def truth(self, better: float = 0.0) -> dict[str, np.ndarray]:
        """(C,) each label's true figures of a regime."""
        apart = self.apart + better
        x = np.linspace(-8, 14, 8001)
        p = self.shares[:, None]
        hit, alarm = ndtr(apart[:, None] - x), ndtr(-x)
        precision = p * hit / (p * hit + (1 - p) * alarm + 1e-300)
        density = np.exp(-((x - apart[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi)
        recall = ndtr(apart - self.cut)
        called = self.shares * recall + (1 - self.shares) * ndtr(-self.cut)
        return {
            "average_precision": np.trapezoid(precision * density, x),
            "auroc": ndtr(apart / np.sqrt(2)),
            "f1": 2 * self.shares * recall / (self.shares + called),
        }
