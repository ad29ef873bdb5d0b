"""The first page's pictures: marks where the numbers say, names as text, and nothing that is not finite."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.figures import story
from explorer.figures.curve_pictures import small_curves
from explorer.figures.curves import Curve
from explorer.figures.style import regime_style

NAN = float("nan")
HOSTILE = "<script>alert(1)</script>"


def drawn(html: str) -> str:
    """HTML with its SVG pictures unpacked."""
    return re.sub(r"(?<=svg\+xml;base64,)[\w+/=]+", lambda packed: base64.b64decode(packed[0]).decode(), html)


def test_a_row_has_its_mark_and_whisker_on_the_scale_and_its_name_as_text() -> None:
    lines = [
        story.Row(HOSTILE, regime_style(0), "0.50", 5, 2.5, 7.5),
        story.Row("", regime_style(1), "—", NAN, NAN, NAN),
        story.Row("beyond", regime_style(2), "12", 12, NAN, NAN, filled=False),
    ]
    html = story.rows(lines, 10, 1, HOSTILE)
    assert "<script" not in drawn(html)
    assert 'style="left:50.00%"' in html
    assert "left:25.00%;width:calc(75.00% - 25.00%)" in html
    assert html.count("story-baseline") == 3
    assert html.count("story-whisker") == 1
    assert 'style="left:100.00%"' in html, "a mark never leaves its scale"
    assert 'fill="none" stroke="#009E73"' in drawn(html)
    assert "nan" not in html


@given(st.integers(1, 30), st.integers(0, 99), st.integers(0, 4))
def test_a_small_map_draws_every_film_within_its_bounds(n: int, seed: int, shown: int) -> None:
    rng = np.random.default_rng(seed)
    has = rng.random(n) < 0.5
    has[0] = True
    films = [(int(film), b"jpeg") for film in np.flatnonzero(has)[:shown]]
    html = drawn(story.small_map(rng.normal(size=(n, 2)) * 9, has, films, "a map"))
    points = [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", html)]
    assert len(points) == n + len(films), "those with a thumbnail have a ring on top"
    assert all(0 <= x <= story.WIDE and 0 <= y <= story.HIGH for x, y in points)
    assert html.count("data:image/jpeg") == len(films)


def test_a_map_of_one_place_and_of_very_many_films_stays_small() -> None:
    assert "nan" not in drawn(story.small_map(np.zeros((3, 2)), np.array([True, False, False]), [], "")).lower()
    xy = np.random.default_rng(0).normal(size=(50_000, 2))
    html = drawn(story.small_map(xy, np.arange(50_000) < 20, [], ""))
    assert html.count("h0") <= story.MOST_CONTEXT + 20


def test_curves_are_steps_that_fall_before_they_go_right() -> None:
    curve = Curve("one", np.array([0, 0.5, 1.0]), np.array([1, 0.75, 0.5]), None, (NAN, NAN))
    html = drawn(small_curves([curve], [regime_style(0)], "pr", 0.25, HOSTILE))
    assert "M0.000 0.000L0.000 0.250L0.500 0.250L0.500 0.500L1.000 0.500" in html
    assert "M0 0.7500H1" in html, "the prevalence"
    assert "<script" not in html


def test_bars_share_one_scale_and_a_film_counts_the_labels_it_has_no_room_for() -> None:
    html = story.overlap([("true", 6, 2, 2), (HOSTILE, 4, 1, 0)], "pairs")
    assert [float(width) for width in re.findall(r"width:([\d.]+)%", html)] == pytest.approx([60, 20, 20, 40, 10, 0])
    assert "<script" not in html
    names = tuple(f"L{i}" for i in range(story.MOST_CHIPS + 3))
    html = story.film(b"jpeg", (HOSTILE,), names, (), "#D55E00")
    assert "+3<" in html
    assert "missed" not in html, "what a film has none of is not named"
    assert "<script" not in html
