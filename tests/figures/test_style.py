"""Figures from small frames and arrays: what is drawn, what is greyed, and that the same input gives the same bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from explorer.figures.case import PointGroup, grouped_map
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.figures.dots import dots
from explorer.figures.style import FILLS, GREY, REGIME_STYLES, ink_on_fill, regime_style

STYLES = {"Zero-shot": regime_style(0), "Full fine-tune": regime_style(2)}


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour (WCAG 2.1)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


MOST = len(REGIME_STYLES)


@pytest.mark.parametrize("place", range(MOST))
@pytest.mark.parametrize("ground", ["#FFFFFF", "#0E1318"])
def test_every_regime_stands_out_on_both_pages(place: int, ground: str) -> None:
    assert contrast(regime_style(place).colour, ground) >= 3


@pytest.mark.parametrize("strength", np.linspace(0, 1, 21))
def test_what_is_written_on_a_square_reads(strength: float) -> None:
    at, colours = zip(*FILLS, strict=True)
    channels = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
    fill = "#" + "".join(f"{round(float(np.interp(strength, at, channel))):02x}" for channel in channels.T)
    assert contrast(ink_on_fill(strength), fill) >= 4.5


def test_six_regimes_differ_without_colour() -> None:
    assert MOST == 6
    for field in ("symbol", "glyph", "dash"):
        assert len({getattr(style, field) for style in REGIME_STYLES}) == MOST


VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""What a colour-blind reader sees of linear RGB (Machado et al., IEEE TVCG 2009, severity 1)."""


def lab(colour: str, vision: str) -> np.ndarray:
    """A colour in CIELAB, whose distances are those that readers tell apart."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
    x, y, z = np.cbrt(xyz @ np.clip(VISIONS[vision] @ linear, 1e-3, 1) / [0.9505, 1, 1.0888])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_colour_blind_readers_tell_the_colours_apart(vision: str) -> None:
    for one, other in itertools.combinations(REGIME_STYLES, 2):
        assert np.linalg.norm(lab(one.colour, vision) - lab(other.colour, vision)) > 12


def merits() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": ["Zero-shot", "Full fine-tune"] * 2,
            "label": ["Edema", "Edema", "Hernia", "Hernia"],
            "value": [0.2, 0.6, np.nan, 0.9],
            "ci_low": [0.1, 0.5, np.nan, np.nan],
            "ci_high": [0.3, 0.7, np.nan, np.nan],
            "baseline": [0.1, 0.1, 0.01, 0.01],
            "n_pos": [30, 30, 2, 2],
        }
    )


def marks(figure: go.Figure, name: str) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.name == name and trace.x[0] is not None]


def test_dots_grey_the_labels_with_too_few_positives() -> None:
    figure = dots(merits(), STYLES, "AUROC", few=5)
    (points,) = marks(figure, "Full fine-tune")
    assert list(points.x) == [0.6, 0.9]
    assert list(points.marker.color) == [STYLES["Full fine-tune"].colour, GREY]
    assert list(marks(figure, "Zero-shot")[0].x) == [0.2], "a value that does not exist is not drawn"
    assert figure.layout.yaxis.ticktext == ("Edema (30)", "Hernia (2)"), "every label carries its n"


def test_dots_show_the_baseline_of_every_label() -> None:
    (baseline,) = marks(dots(merits(), STYLES, "AUROC", few=5), "baseline")
    assert list(baseline.x) == [0.1, 0.01]


def test_cooccurrence_leaves_none_and_the_diagonal_blank() -> None:
    share = np.array([[1.0, 0.0, 0.25], [np.nan, np.nan, np.nan], [1.0, 0.0, 1.0]])
    together = np.array([[4, 0, 1], [0, 0, 0], [1, 0, 1]])
    figure = cooccurrence_heatmap(share, together, ["Edema", "Hernia", "Mass"])
    labels = figure.layout.yaxis.ticktext
    written = {
        (labels[t.y[i]], labels[t.x[i]]): t.text[i]
        for t in figure.data
        if t.type == "scatter"
        for i in range(len(t.text))
    }
    assert written == {("Edema", "Mass"): "25", ("Mass", "Edema"): "100"}


def some_map() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 2)).astype(np.float32), np.array([f"film {i}" for i in range(6)])


def test_a_point_of_a_map_knows_its_row() -> None:
    xy, hover = some_map()
    layers = [PointGroup("negative", np.array([0, 2, 5]), GREY), PointGroup("positive", np.array([1, 4]), "#E69F00")]
    figure = grouped_map(xy, layers, hover, height=300)
    for trace, layer in zip(figure.data, layers, strict=True):
        assert list(trace.customdata) == list(layer.rows)
        np.testing.assert_array_equal(trace.x, xy[layer.rows, 0])
    assert figure.data[-1].name == "positive (2)", "positives lie on top, with their number"


def test_the_same_map_is_the_same_bytes() -> None:
    xy, hover = some_map()
    layers = [PointGroup("all", np.arange(6), GREY)]
    assert grouped_map(xy, layers, hover, 300).to_json() == grouped_map(xy, layers, hover, 300).to_json()
