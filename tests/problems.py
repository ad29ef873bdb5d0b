"""Small problems of classification that several tests score."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from explorer.analysis.metrics import METRICS
from explorer.analysis.ranking import rank, score

NAN = float("nan")


@st.composite
def scored(draw: st.DrawFn, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Targets with unknowns and scores with many ties; with both classes known unless told otherwise."""
    n = draw(st.integers(2, 40))
    targets = draw(arrays.arrays(np.float32, n, elements=st.sampled_from([0.0, 1.0, NAN])))
    scores = draw(arrays.arrays(np.float32, n, elements=st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 3.0])))
    assume(not both or ((targets == 0).any() and (targets == 1).any()))
    return targets, scores


def scores_of(targets: np.ndarray, scores: np.ndarray, threshold: float = 0.0) -> dict[str, float]:
    calls = None if np.isnan(threshold) else scores >= threshold
    values = score(rank(targets, scores, calls), np.ones((len(targets), 1), np.float32))
    return dict(zip(METRICS, values[0], strict=True))


def problem(n: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 3)) < [0.1, 0.3, 0.5]).astype(np.float32)
    logits = (targets * 1.2 + rng.normal(size=(n, 3))).astype(np.float32)
    targets[rng.random((n, 3)) < 0.05] = np.nan
    return {
        "targets": targets,
        "logits": logits,
        "thresholds": np.float32([0.5, 0.5, 0.5]),
        "patients": rng.integers(0, n // 2, n),
    }
