"""Figures without a script: every mark at its place, with its hint; nothing that is not drawn is left out."""

from __future__ import annotations

import base64
import re
from html import unescape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from explorer.figures.case import PointGroup, add_ring, grouped_map
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.figures.dots import dots
from explorer.figures.print_text import NotDrawn
from explorer.figures.separability import Cell, board, whiskers
from explorer.figures.still import MANY, still
from explorer.figures.style import regime_style

HOSTILE = '<img src=x onerror=alert(1)> & "quoted"'


def frame(label: str = "Edema", value: float = 0.5) -> pd.DataFrame:
    columns = ["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"]
    return pd.DataFrame([("Zero-shot", label, value, 0.25, 0.75, 0.1, 8)], columns=columns)


def styles() -> dict:
    return {"Zero-shot": regime_style(0)}


def pictures(html: str) -> str:
    """The SVG in a figure."""
    return "".join(base64.b64decode(one).decode() for one in re.findall(r"svg\+xml;base64,([^\"]+)", html))


def places(html: str) -> list[tuple[float, float, str]]:
    """Left, top and hint of every mark."""
    pattern = r'<b style="left:([\d.-]+)%;top:([\d.-]+)%"(?: title="([^"]*)")?'
    return [(float(x), float(y), unescape(hint)) for x, y, hint in re.findall(pattern, html)]


def test_a_mark_lies_where_its_value_is_on_the_axis() -> None:
    html = still(dots(frame(), styles(), "average precision", 5), "Average precision")
    (left, top, hint), (tick, _, baseline) = places(html)
    low, high = -0.01, 1.02  # the ends of the figure's axis
    assert left == pytest.approx(100 * (0.5 - low) / (high - low), abs=0.01)
    assert top == pytest.approx(100 * (1 - (0 + 0.6) / 1.2), abs=0.01), "the only row, between -0.6 and 0.6"
    assert tick == pytest.approx(100 * (0.1 - low) / (high - low), abs=0.01)
    assert hint == "Edema: 0.500 [0.250, 0.750]\nZero-shot, positives 8, baseline 0.100"
    assert baseline == "baseline 0.100"
    ends = [(end - low) / (high - low) for end in (0.25, 0.75)]
    assert f"M{ends[0]:.4f} 0.5000L{ends[1]:.4f} 0.5000" in pictures(html), "the whisker"
    assert re.findall(r"</?(?:b|i|span|div|img)\b", html), "it holds no script"
    assert "<script" not in html
    assert 'role="img" aria-label="Average precision"' in html


def test_a_logarithmic_axis_places_by_ratio() -> None:
    lifts = frame(value=2.0).assign(ci_low=1.0, ci_high=4.0, baseline=1.0, null_low=0.5, null_high=1.5)
    left, _, _ = places(still(whiskers(lifts, styles(), "lift", 5, log=True), "lift"))[0]
    low, high = np.log10(0.25 * 0.95), np.log10(4 * 1.1)
    assert left == pytest.approx(100 * (np.log10(2) - low) / (high - low), abs=0.01)


def test_a_heat_map_has_every_square_with_its_number_and_hint() -> None:
    share = np.array([[1.0, 0.25], [np.nan, 1.0]])
    html = still(cooccurrence_heatmap(share, np.array([[8, 2], [0, 0]]), ("Edema", "Mass")), "together")
    cells = re.findall(r'<i class="still-cell" style="([^"]*)" title="([^"]*)"', html)
    assert len(cells) == 3, "what is not known is blank"
    assert cells[1][0].startswith("left:50.00%;top:0.00%;width:50.00%;height:50.00%")
    assert cells[1][1] == "of films with Edema, 25% also have Mass: 2"
    assert ">25</span>" in html


def test_a_board_frames_the_marked_row_under_its_headings() -> None:
    cells = [[Cell("2.0", 0.5, "two")], [Cell("1.0", None, "one")]]
    html = still(board(["Edema", "Mass"], ["Frozen<br>encoder"], [("Embedding", 1)], cells, 1), "lift")
    frame_style = re.search(r'class="still-frame" style="([^"]*)"', html)
    assert frame_style and frame_style[1].startswith("left:0.00%;top:50.00%;width:100.00%;height:50.00%")
    assert html.index("still-columns") < html.index("still-rows"), "columns are named on top"
    assert "Frozen<br>encoder" in html
    assert "<strong>Embedding</strong>" in html


def test_many_points_are_one_path_on_axes_of_one_scale() -> None:
    xy = np.random.default_rng(0).normal(size=(MANY + 1, 2)).astype(np.float32)
    hover = np.full(len(xy), "film")
    figure = grouped_map(xy, [PointGroup("negative", np.arange(len(xy)), "#8a8f98")], hover, 320)
    add_ring(figure, xy, 3, hover)
    html = still(figure, "where it lies")
    marks = places(html)
    assert len(marks) == 1, "the ring"
    assert pictures(html).count("h0") == len(xy)
    left, top, _ = marks[0]
    points = re.findall(r"M([\d.]+) ([\d.]+)h0", pictures(html))
    assert points[3] == (f"{left / 100:.4f}", f"{top / 100:.4f}")
    a, b = (np.array(points[k], dtype=float) for k in (0, 1))
    aspect = float(re.search(r"aspect-ratio:([\d.]+)", html)[1])  # type: ignore[index]
    seen = np.hypot(*((a - b) * [1, 1 / aspect]))
    c, d = (np.array(points[k], dtype=float) for k in (2, 3))
    other = np.hypot(*((c - d) * [1, 1 / aspect]))
    assert seen / other == pytest.approx(np.hypot(*(xy[0] - xy[1])) / np.hypot(*(xy[2] - xy[3])), rel=0.02)


def test_texts_are_shown_as_they_are_written() -> None:
    html = still(dots(frame(HOSTILE), styles(), HOSTILE.replace("<", "&lt;"), 5), HOSTILE)
    assert "<img src=x" not in html
    assert not re.search(r'title="[^"]*"[^ >]', html), "no quote ends a hint"


@pytest.mark.parametrize(
    ("figure", "what"),
    [
        (go.Figure(go.Bar(x=[1], y=[1])), "a bar"),
        (go.Figure(go.Scatter(x=[0, 1], y=[0, 1], fill="tozeroy", mode="lines")), "a fill"),
        (go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"shape": "hv"})), "a step"),
        (go.Figure(go.Pie(values=[1])), "pie"),
    ],
)
def test_what_is_not_drawn_is_named(figure: go.Figure, what: str) -> None:
    with pytest.raises(NotDrawn, match=what):
        still(figure, "x")


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]], ids=["no trace's point", "no number"])
def test_a_figure_that_shows_nothing_yet_is_drawn_empty(values: list[float]) -> None:
    figure = go.Figure(go.Scatter(x=values, y=values, mode="markers", name="Zero-shot"))
    assert not [place for place in places(still(figure, "nothing")) if np.isfinite(place[:2]).all()]
    figure.update_yaxes(scaleanchor="x")
    assert 'class="still"' in still(figure, "a map of nothing")
