"""The search for near copies: pairs proposed, then registered, beside registering every film with every other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import Measurement, Seconds, timed
from precompute.audit.duplicates import Film, agreement, near_pairs, prepare

FILMS = 4_000
PICTURES = 64
"""Different pictures; every film is one of them, shifted and scaled in grey, so that none has to be kept."""
TIMED = 2_000
"""Pairs of the baseline that are timed; all N (N - 1) / 2 would take hours at 4,000 films."""
DIM = 512
BEFORE = 102.5
"""Seconds by the clock that the same films took when this benchmark was first run."""


def run(repeats: int) -> list[Measurement]:
    n, pictures = FILMS, _pictures()
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shifts = rng.integers(0, 256, (n, 2))

    def picture(row: int) -> NDArray[np.uint8]:
        return np.roll(pictures[row % PICTURES], tuple(shifts[row]), (0, 1))

    ours: list[Seconds] = []
    theirs = []
    for _ in range(repeats):
        ours.append(timed(lambda: near_pairs(picture, vectors, np.arange(n), lambda done, total: None)))
        theirs.append(_all_pairs([prepare(picture(row)) for row in range(PICTURES)]) * n * (n - 1) / 2)
    size = f"{n:,} synthetic films of 256 x 256, {DIM} dimensions"
    return [
        Measurement(
            f"audit: near copies, {n:,} films",
            "near_pairs: a hash of every variant proposes, the proposed are registered",
            f"every film registered with every other, from {TIMED:,} pairs",
            ours,
            theirs,
            size,
        ),
        Measurement(
            f"audit: near copies, {n:,} films, before",
            "near_pairs",
            "the same search as it was first measured, on two cores",
            ours,
            [BEFORE],
            size,
            goal=5.0,
        ),
    ]


def _all_pairs(films: list[Film]) -> float:
    """Seconds a pair, in as many threads as ours has."""
    cv2.setNumThreads(1)
    pairs = list(combinations(films, 2))[:TIMED]
    start = time.perf_counter()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda pair: agreement(*pair), pairs))
    return (time.perf_counter() - start) / len(pairs)


def _pictures() -> list[NDArray[np.uint8]]:
    """Blobs of several sizes, no two pictures alike."""
    rng = np.random.default_rng(0)
    layers = [
        [cv2.resize(rng.random((k, k)), (256, 256), interpolation=cv2.INTER_CUBIC) for k in (8, 32, 128)]
        for _ in range(PICTURES)
    ]
    return [(np.mean(layer, axis=0).clip(0, 1) * 255).astype(np.uint8) for layer in layers]
