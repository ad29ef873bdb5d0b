"""Whether bfloat16 is borne: hand-made cases, and what a run makes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from explorer.model.encoder import PrecisionCheck
from precompute.training.precision import (
    FEWEST,
    _average_precision_moved,
    _rank_correlation_lost,
    check_bfloat16,
    passes,
    precision_words,
)

if TYPE_CHECKING:
    from explorer.model.encoder import Clip


def on_a_line(places: list[float]) -> np.ndarray:
    """Films along one axis."""
    return np.array(places, np.float32)[:, None]


def test_a_film_that_changes_places_moves_average_precision() -> None:
    """Five positives above five negatives have AP 1. With the last positive below one negative, it is (4 + 5/6) / 5."""
    full = on_a_line([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    lower = on_a_line([10, 9, 8, 7, 4.9, 5, 4, 3, 2, 1])
    label = [1.0] * FEWEST + [0.0] * FEWEST
    rare = [1.0] * (FEWEST - 1) + [0.0] * (FEWEST + 1)
    targets = np.array([label, rare], np.float32).T
    assert _average_precision_moved(full, lower, targets) == pytest.approx(1 - (4 + 5 / 6) / 5)
    assert _average_precision_moved(full, full, targets) == 0
    both = np.array([label, label], np.float32).T
    assert _average_precision_moved(full, lower, both) == pytest.approx(1 - (4 + 5 / 6) / 5), "the mean over labels"
    unknown = np.full((10, 1), np.nan, np.float32)
    assert _average_precision_moved(full, lower, np.hstack([targets[:, :1], unknown])) == pytest.approx(1 / 30)
    assert _average_precision_moved(full, lower, unknown) is None
    assert _average_precision_moved(full, lower, targets[:, 1:]) is None, "too few to tell"


def test_without_labels_ranks_are_compared() -> None:
    """Of n films two neighbours in rank change places: Spearman's correlation is 1 - 12 / (n (n² - 1))."""
    full, lower = on_a_line([1, 2, 3, 4, 5]), on_a_line([1, 2, 4.1, 4, 5])
    assert _rank_correlation_lost(full, lower) == pytest.approx(12 / (5 * 24))
    assert _rank_correlation_lost(full, full) == pytest.approx(0)


def test_the_check_is_of_the_films_themselves(clip: Clip) -> None:
    size = clip.tower.fit.size
    films = np.random.default_rng(0).integers(0, 256, (2 * FEWEST, size, size), dtype=np.uint8)
    films[:FEWEST, : size // 2] //= 4
    targets = np.repeat([1, 0], FEWEST).astype(np.float32)[:, None]
    check = check_bfloat16(clip.tower, films, targets, 5)
    assert check.films == 2 * FEWEST
    assert check.by == "average precision"
    assert 0.999 <= check.cosine < 1
    unknown = check_bfloat16(clip.tower.unnormalised(), films, np.full_like(targets, np.nan), 5)
    assert unknown.cosine == check.cosine, "of unit norm, whatever the tower gives"
    assert unknown.by == "rank correlation"


def test_what_is_borne_and_how_it_reads() -> None:
    good = PrecisionCheck(films=128, cosine=0.999, moved=0.002, by="average precision")
    assert passes(good)
    assert not passes(good.model_copy(update={"cosine": 0.9989}))
    assert not passes(good.model_copy(update={"moved": 0.0021}))
    assert "too much" not in precision_words("auto", good)
    assert "too much" in precision_words("auto", good.model_copy(update={"cosine": 0.99}))
    assert "too much" not in precision_words("bfloat16", good.model_copy(update={"cosine": 0.99})), "it was asked for"
    assert precision_words("float32", None) == "as asked"
    assert "no bfloat16" in precision_words("auto", None)
