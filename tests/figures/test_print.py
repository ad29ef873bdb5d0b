"""Figures for print: equal to stored pictures, legible, whole, and with every text as it is written."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_hex
from PIL import Image

from explorer.figures import print as printing
from explorer.figures.case import margins
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.figures.curves import Curve, large_curves, small_curves
from explorer.figures.dots import dots
from explorer.figures.maps import Legend, MapSign, Mark, Points, graded, layered
from explorer.figures.print import Panel, Words, picture
from explorer.figures.print_map import MapPanel
from explorer.figures.print_plotly import PlotlyPanel
from explorer.figures.print_text import NotDrawn, width, wrapped
from explorer.figures.style import REGIME_STYLES, SHARED_STYLE, Style, regime_style
from tests.figures.printed import WORDS, drawn, faults, texts

PICTURES = Path(__file__).with_name("pictures")
HOSTILE = (r"$x^2$ \alpha", "<b>bold</b> & <img src=x>", "漢字 finding", "שלום (12) abc", "L" * 32)
STYLES = [regime_style(0), regime_style(2)]


def curves() -> list[Curve]:
    x = np.linspace(0, 1, 9)
    band = np.stack([x, 0.8 - 0.6 * x, 1 - 0.5 * x])
    return [
        Curve("Zero-shot (0.61 [0.40, 0.80])", x, 0.9 - 0.6 * x, band, (0.5, 0.6)),
        Curve("Full fine-tune (0.72 [0.51, 0.88])", x, 1 - 0.5 * x**2, None, (0.75, 0.72)),
    ]


def dot_frame(labels: tuple[str, ...] = ("Edema", "Enlarged Cardiomediastinum", "Hernia")) -> pd.DataFrame:
    rows = [
        (series, label, 0.2 + 0.2 * i, 0.1 + 0.1 * i, 0.4 + 0.2 * i, 0.1, 8 - 3 * i)
        for series in ("Zero-shot", "Full fine-tune")
        for i, label in enumerate(labels)
    ]
    return pd.DataFrame(rows, columns=["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"])


def a_dot_figure(labels: tuple[str, ...] = ("Edema", "Enlarged Cardiomediastinum", "Hernia")) -> go.Figure:
    styles = dict(zip(("Zero-shot", "Full fine-tune"), STYLES, strict=True))
    return dots(dot_frame(labels), styles, "average precision", 5)


def a_heatmap(labels: tuple[str, ...]) -> go.Figure:
    n = len(labels)
    share = np.where(np.eye(n) == 1, 1.0, np.linspace(0, 0.9, n * n).reshape(n, n))
    return cooccurrence_heatmap(share, (share * 40).astype(int), labels)


def a_map(names: tuple[str, ...] = ("Edema", "Hernia")) -> MapPanel:
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(60, 2)).astype(np.float32)
    layers = [
        Points("other films", np.arange(20), Mark(("#8a8f98",), radius=2.2)),
        Points(names[0], np.arange(20, 40), Mark(("#E69F00",))),
        Points("both", np.arange(40, 50), Mark(("#E69F00", "#56B4E9"), radius=4.6)),
        Points("unknown", np.arange(50, 60), Mark(("#8a8f98",), "ring")),
    ]
    signs = [MapSign(20000 + 9000 * i, 30000, name, "centroid", "✚", "#1F83C6") for i, name in enumerate(names)]
    flags = np.repeat(np.uint8([0, 1, 2, 3]), 15)
    return MapPanel(xy, layered(60, layers), signs, flags, np.arange(20, 60), 45)


def panels_of(name: str) -> list[Panel]:
    figures = {
        "curves": [Panel(PlotlyPanel(large_curves(curves(), STYLES, "pr", 0.25)))],
        "small": [
            Panel(PlotlyPanel(small_curves(curves() if i != 3 else (), STYLES, "pr", 0.25)), label, "+ 8  − 12  ? 1")
            for i, label in enumerate(("Edema", "Hernia", "Enlarged Cardiomediastinum") * 3)
        ],
        "dots": [Panel(PlotlyPanel(a_dot_figure()))],
        "heatmap": [Panel(PlotlyPanel(a_heatmap(("Edema", "Hernia", "Enlarged Cardiomediastinum", "Mass"))))],
        "map": [Panel(a_map(), "Zero-shot and Linear probe · test")],
    }
    return figures[name]


FIGURES = ("curves", "small", "dots", "heatmap", "map")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_stored_picture(name: str) -> None:
    """To store new ones: look at them first, then save with ``PICTURES / f"{name}.png"`` in place of ``file``."""
    with rc_context(printing.settings()):
        file = io.BytesIO()
        printing.draw(panels_of(name), WORDS, 85).savefig(file, dpi=100)
    stored, now = (np.asarray(Image.open(one).convert("L"), dtype=float) for one in (PICTURES / f"{name}.png", file))
    assert stored.shape == now.shape
    assert np.sqrt(((stored - now) ** 2).mean()) < 3, "the root mean square over all pixels, of 255"


@pytest.mark.parametrize("width", [85, 174])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_small_or_upon_another(name: str, width: printing.Width) -> None:
    assert faults(drawn(panels_of(name), width), width) == []


@pytest.mark.parametrize("width", [85, 174])
def test_hostile_texts_are_drawn_as_they_are_written(width: printing.Width) -> None:
    words = Words(" · ".join(HOSTILE), HOSTILE[0], " ".join(HOSTILE), HOSTILE[1], "http://localhost/?a=1&b=<x>")
    panels = [
        Panel(PlotlyPanel(a_dot_figure(HOSTILE)), HOSTILE[0]),
        Panel(PlotlyPanel(a_heatmap(HOSTILE)), HOSTILE[1]),
        Panel(a_map(HOSTILE[:2]), HOSTILE[3]),
    ]
    figure = drawn(panels, width, words)
    assert faults(figure, width) == []
    shown = "\n".join(text.get_text() for text in texts(figure)).replace("\n", "").replace(" ", "")
    for text in HOSTILE:
        assert text.replace(" ", "") in shown
    assert not any(text.get_parse_math() for text in texts(figure))
    svg = ElementTree.fromstring(picture(panels, words, "svg", width))
    written = "".join(svg.itertext())
    assert "漢字" in written
    assert "$x^2$" in written
    assert "<img" in written


def test_files_have_the_width_and_say_what_they_are() -> None:
    panels = panels_of("curves")
    svg, pdf, png = (picture(panels, WORDS, kind, 85) for kind in ("svg", "pdf", "png"))
    points = float(re.search(rb'width="([\d.]+)pt"', svg)[1])
    assert points == pytest.approx(85 / 25.4 * 72, abs=0.01)
    for text in (WORDS.title, WORDS.run, WORDS.link):
        assert text in svg.decode()
    box = [float(value) for value in re.search(rb"/MediaBox \[ ?([\d. ]+)\]", pdf)[1].split()]
    assert box[2] == pytest.approx(85 / 25.4 * 72, abs=0.01)
    assert b"/Type3" not in pdf, "outlines in place of a typeface"
    assert b"/FontFile2" in pdf, "TrueType"
    opened = Image.open(io.BytesIO(png))
    assert opened.size[0] == pytest.approx(85 / 25.4 * printing.DPI, abs=1)
    assert opened.info["Title"] == WORDS.title
    assert WORDS.run in opened.info["Description"]
    assert picture(panels, WORDS, "svg", 85) == svg, "the same figure is the same bytes"


@pytest.mark.parametrize(
    "figure",
    [
        go.Figure(go.Pie(values=[1, 2])),
        go.Figure(go.Scatter(x=[1], y=[1], mode="markers", marker={"symbol": "x"})),
        go.Figure(go.Scatter(x=[1, 2], y=[1, 2], line={"shape": "spline"})),
        go.Figure(go.Scatter(x=[1, 2], y=[1, 2], fill="tonexty", fillcolor="#000000")),
        go.Figure(go.Scatter(x=[1], y=[1], marker={"angle": 3})),
        go.Figure(go.Scatter(x=[1], y=[1], name="<sup>x</sup>", mode="markers")),
        go.Figure(go.Heatmap(z=[[1]], colorscale=[[0, "#000000"], [1, "#ffffff"]], showscale=True)),
        go.Figure(go.Scatter(x=[1], y=[1]), {"polar": {"hole": 0.2}}),
        go.Figure(go.Scatter(x=[1], y=[1])).add_annotation(x=1, y=1, text="a", showarrow=True),
        go.Figure(go.Scatter(x=[1], y=[1])).add_shape(type="circle", x0=0, x1=1, y0=0, y1=1),
        go.Figure(go.Scatter(x=["a"], y=[1]), {"xaxis": {"type": "category"}}),
    ],
)
def test_what_has_no_counterpart_on_paper_is_not_left_out(figure: go.Figure) -> None:
    with pytest.raises(NotDrawn):
        drawn([Panel(PlotlyPanel(figure))])


@pytest.mark.parametrize("style", [*REGIME_STYLES, SHARED_STYLE], ids=lambda style: style.symbol)
def test_every_style_of_the_pages_has_its_mark_and_dash(style: Style) -> None:
    look = {"marker": {"symbol": style.symbol}, "line": {"dash": style.dash, "color": style.colour}}
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1, 2], mode="lines+markers", **look))
    (ax,) = drawn([Panel(PlotlyPanel(figure))]).axes
    assert {to_hex(line.get_color()).upper() for line in ax.lines if line.get_linestyle() != "None"} == {style.colour}


def test_bars_shapes_and_errors_lie_where_plotly_has_them() -> None:
    figure = go.Figure()
    figure.add_bar(x=[1, 2], y=[3, -1], width=0.5, name="bar", marker={"color": "#E69F00"})
    error = {"type": "data", "symmetric": False, "array": [1.0], "arrayminus": [0.5], "width": 0}
    figure.add_scatter(x=[1.5], y=[2], mode="markers", name="mark", marker={"color": "#1F83C6"}, error_y=error)
    figure.add_vline(x=1.25, line={"color": "#8a8f98"})
    (ax,) = drawn([Panel(PlotlyPanel(figure))]).axes
    assert [(bar.get_x(), bar.get_height()) for bar in ax.patches] == [(0.75, 3), (1.75, -1)]
    (whisker,) = ax.collections[0].get_segments()
    assert whisker.tolist() == [[1.5, 1.5], [1.5, 3.0]]
    assert [1.25, 1.25] in [list(line.get_xdata()) for line in ax.lines]


def test_a_bold_label_of_a_row_stays_bold() -> None:
    frame = pd.DataFrame(
        {
            "label": ["Edema", "Mass"],
            "state": ["positive", "negative"],
            "series": "Zero-shot",
            "margin": [1.0, -1.0],
            "logit": 0.0,
            "threshold": 0.0,
            "rank": 1,
        }
    )
    figure = drawn([Panel(PlotlyPanel(margins(frame, {"Zero-shot": STYLES[0]})))])
    weights = {text.get_text(): text.get_fontweight() for text in texts(figure)}
    assert (weights["Edema +"], weights["Mass"]) == ("bold", "normal")


def test_maps_whose_legends_differ_keep_their_own() -> None:
    xy = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    maps = [
        Panel(MapPanel(xy, graded(30, np.arange(30), xy[:, 0], (0, high), ("#000000", "#ffffff"), ("0", str(high)))))
        for high in (1, 2)
    ]
    same = [text.get_text() for text in drawn([maps[0], maps[0]]).texts]
    other = [text.get_text() for text in drawn(maps).texts]
    assert (same.count("1"), other.count("1"), other.count("2")) == (1, 1, 1)
    assert faults(drawn(maps), 85) == []
    assert Legend(ramp=("#000000",), low="0").mark is None


def test_lines_break_between_words_and_within_a_word_without_room() -> None:
    assert wrapped("one two", 1000) == "one two"
    assert wrapped("one two", width("one tw")) == "one\ntwo"
    lines = wrapped("m" * 50, width("m" * 20)).split("\n")
    assert "".join(lines) == "m" * 50
    assert all(width(line) <= width("m" * 20) for line in lines)
