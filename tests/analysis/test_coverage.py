"""Do intervals, bounds and baselines keep their promises? A small part of ``tests/validation``, which has the rest."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import IN_DEPTH
from tests.validation import Row
from tests.validation.__main__ import NAMES, section, verdict
from tests.validation.binormal import AUROC, DEMO, Films
from tests.validation.edges import bounds
from tests.validation.macro import coverage
from tests.validation.noise import noise


def assert_inside(rows: list[Row]) -> None:
    """Every figure lies in its band, twice the simulation error allowed for."""
    outside = [f"{row.what}: {row.figure:.3f}" for row in rows if verdict(row) == "**outside**"]
    assert not outside, outside


def test_macro_intervals_and_paired_tests_keep_their_level() -> None:
    """The demo's mix; its rarest labels never have the patients that count."""
    sets = 80 if IN_DEPTH else 40
    rows = coverage(np.random.default_rng(5), "375 films", Films(375, DEMO[:8], AUROC[:8]), sets)
    assert len(rows) == 9
    assert_inside(rows)


@pytest.mark.parametrize("positives", [5, 12])
def test_a_perfect_label_has_a_bound_that_holds_and_lies_above_the_baseline(positives: int) -> None:
    rows = bounds(np.random.default_rng(6), positives, sets=100)
    assert rows[-1].figure == 1
    assert_inside(rows)


def test_models_of_noise_reach_the_baseline_and_seldom_lie_above() -> None:
    rows = noise(np.random.default_rng(7), Films(375, DEMO, np.full(len(DEMO), 0.5)), sets=10, models=8)
    assert_inside(rows)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row("a", 0.9, 0.01, 0.93, 0.97), "| a | 90.0% | ± 2.0% | 93.0% to 97.0% | **outside** |"),
        (Row("a", 0.92, 0.01, 0.93, 0.97), "| a | 92.0% | ± 2.0% | 93.0% to 97.0% | inside within error |"),
        (Row("a", 1.5, 0.0, 1.0, np.inf, percent=False), "| a | 1.500 | none | at least 1.000 | inside |"),
        (Row("a", 0.5, 0.1, -np.inf, np.inf), "| a | 50.0% | ± 20.0% | none |  |"),
    ],
)
def test_a_table_says_whether_each_figure_lies_in_its_band(row: Row, expected: str) -> None:
    assert section(NAMES[0], [row]).splitlines()[-1] == expected
