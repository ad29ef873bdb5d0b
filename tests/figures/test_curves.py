"""Figures of curves and thresholds: what is drawn, what is left out, and nothing without its baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from explorer.figures import curves as curve_figures
from explorer.figures import thresholds as threshold_figures
from explorer.figures.curves import Curve
from explorer.figures.style import GREY, regime_style

STYLES = [regime_style(0), regime_style(2)]


def a_curve(name: str, at: tuple[float, float] = (0.5, 0.8)) -> Curve:
    x = np.array([0.0, 0.5, 1.0])
    band = np.array([[0.0, 0.5, 1.0], [0.7, np.nan, 0.2], [1.0, np.nan, 0.6]])
    return Curve(name, x, np.array([1.0, 1.0, 0.4]), band, at)


def named(figure, name: str):
    return [trace for trace in figure.data if trace.name and trace.name.startswith(name)]


@pytest.mark.parametrize(("shown", "y"), [("pr", [0.25, 0.25]), ("roc", [0, 1]), ("gain", [1, 0])])
def test_every_curve_has_its_baseline_and_its_operating_point(shown: str, y: list[float]) -> None:
    curves = [a_curve("Zero-shot"), a_curve("Full fine-tune", at=(np.nan, np.nan))]
    figure = curve_figures.large_curves(curves, STYLES, shown, 0.25)
    (baseline,) = named(figure, "baseline")
    assert list(baseline.y) == y
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(point.x) for point in points] == [[0.5]], "a regime without a threshold has no operating point"
    assert bool(named(figure, curve_figures.FLOOR)) == (shown == "pr")
    assert figure.layout.xaxis.title.text == curve_figures.AXES[shown][0]


def test_a_band_is_closed_and_skips_where_there_is_none() -> None:
    figure = curve_figures.large_curves([a_curve("Zero-shot")], STYLES[:1], "pr", 0.25)
    band = next(trace for trace in figure.data if trace.fill == "toself")
    assert list(band.x) == [0, 1, 1, 0]
    assert list(band.y) == [1.0, 0.6, 0.2, 0.7]
    bare = Curve("Zero-shot", np.array([0.0, 1.0]), np.array([1.0, 0.4]), None, (np.nan, np.nan))
    assert all(trace.fill != "toself" for trace in curve_figures.large_curves([bare], STYLES[:1], "pr", 0.25).data)


def test_too_few_to_say_shows_no_curve() -> None:
    figure = curve_figures.small_curves((), (), "pr", 0.01)
    assert not figure.data
    assert [note.text for note in figure.layout.annotations] == ["too few to say"]


def test_a_difference_is_filled_only_where_holm_allows_it_and_grey_where_too_few() -> None:
    frame = pd.DataFrame(
        {
            "label": ["Edema", "Hernia"],
            "difference": [0.2, 0.3],
            "ci_low": [0.1, -0.5],
            "ci_high": [0.3, 0.9],
            "p_holm": [0.01, np.nan],
            "n_pos": [30, 2],
            "few": [False, True],
        }
    )
    figure = curve_figures.difference_dots(frame, "#D55E00", "AP")
    marks = figure.data[-1]
    assert list(marks.marker.symbol) == ["circle", "circle-open"]
    assert list(marks.marker.color) == ["#D55E00", GREY]
    assert figure.layout.yaxis.ticktext == ("Edema (30)", "Hernia (2)")
    assert figure.layout.shapes[0].x0 == 0, "no difference is marked"


def test_the_histogram_leaves_unknown_out_and_marks_the_threshold() -> None:
    targets = np.float32([1, 0, 0, np.nan])
    figure = threshold_figures.score_histogram(np.arange(4.0), targets, 1.5, "logit", ("#E69F00", "#3a9bdc"))
    above, below = figure.data
    assert (above.name, below.name) == ("positive (1)", "negative (2)")
    assert (sum(above.y), sum(below.y)) == pytest.approx((1, -1))
    assert figure.layout.shapes[0].x0 == 1.5
    assert not threshold_figures.score_histogram(
        np.arange(4.0), targets, np.nan, "x", ("#111111", "#222222")
    ).layout.shapes


def test_labels_a_film_count_every_film() -> None:
    true, predicted = np.array([1, 1, 0]), {"Zero-shot": np.array([5, 2, 2])}
    bars, line = threshold_figures.labels_per_film(true, predicted, STYLES[:1]).data
    assert list(bars.y) == [1, 2, 0, 0, 0, 0]
    assert list(line.y) == [0, 0, 2, 0, 0, 1]
    assert line.name == "Zero-shot (mean 3.0)"


def test_the_same_curve_is_the_same_bytes() -> None:
    one, two = (curve_figures.large_curves([a_curve("Zero-shot")], STYLES[:1], "pr", 0.25).to_json() for _ in range(2))
    assert one == two
