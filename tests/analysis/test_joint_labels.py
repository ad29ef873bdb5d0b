"""Labels together: scikit-learn's multi-label figures, and pairs by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    coverage_error,
    f1_score,
    hamming_loss,
    label_ranking_average_precision_score,
)

from explorer.analysis.joint_labels import WHOLE_FILM, cooccurrence, pairs, whole_film


@given(st.integers(0, 2**31))
def test_every_figure_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = (rng.random((30, 5)) < 0.3).astype(np.float32)
    scores = rng.integers(0, 5, targets.shape) + targets
    calls = scores > 2
    weights = rng.integers(0, 3, (1, 30)).astype(float)
    weights[0, 0] = 1
    rows = np.repeat(np.arange(30), weights[0].astype(int))
    figures = {name: values[0] for name, values in whole_film(targets, calls, scores, weights).items()}
    y, predicted = targets[rows], calls[rows]
    assert list(figures) == list(WHOLE_FILM)
    assert figures["exact_match"] == pytest.approx(accuracy_score(y, predicted))
    assert figures["hamming"] == pytest.approx(hamming_loss(y, predicted))
    assert figures["lrap"] == pytest.approx(label_ranking_average_precision_score(y, scores[rows]))
    assert figures["coverage_error"] == pytest.approx(coverage_error(y, scores[rows]))
    for average in ("macro", "micro", "weighted"):
        assert figures[f"{average}_f1"] == pytest.approx(f1_score(y, predicted, average=average, zero_division=0))


def test_unknown_pairs_do_not_count() -> None:
    targets = np.float32([[1, np.nan], [0, 1]])
    calls = np.array([[True, True], [True, True]])
    figures = whole_film(targets, calls, None, np.ones((1, 2)))
    assert figures["hamming"][0] == pytest.approx(1 / 3)
    assert figures["exact_match"][0] == 0  # the first film is left out
    assert "lrap" not in figures


def test_pairs_by_hand() -> None:
    targets = np.float32([[1, 1, 0], [1, 0, np.nan], [0, 0, 1], [0, 1, 0]])
    calls = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0]], dtype=bool)
    frame = pairs("abc", targets, calls)
    first = frame.iloc[0]
    assert first[["one", "other", "n", "true", "predicted"]].tolist() == ["a", "b", 4, 1, 3]
    assert first["by_chance"] == pytest.approx(3 / 4 * 3)
    assert frame["n"].tolist() == [4, 3, 3]


def test_shares_leave_unknown_out() -> None:
    targets = np.float32([[1, 1], [1, np.nan], [1, 0], [0, 1]])
    share, both = cooccurrence(targets == 1, ~np.isnan(targets))
    assert share[0].tolist() == [1, 0.5]
    assert both[0, 1] == 1
    none, _ = cooccurrence(np.zeros((2, 2), bool), np.ones((2, 2), bool))
    assert np.isnan(none).all()
