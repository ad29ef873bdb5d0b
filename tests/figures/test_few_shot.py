"""The few-shot curve as a page and as paper have it: every regime, the reference across, and whiskers."""

from __future__ import annotations

import pandas as pd
import pytest

from explorer.figures.few_shot import few_shot_curves
from explorer.figures.print import Panel
from explorer.figures.print_plotly import PlotlyPanel
from explorer.figures.still import still
from explorer.figures.style import regime_style
from tests.figures.printed import drawn

NAN = float("nan")
FRAME = pd.DataFrame(
    [
        ("Zero-shot", 0, 0, 0.3, 0.2, 0.4),
        ("Probe", 1, 1, 0.25, 0.1, 0.45),
        ("Probe", 4, 2, 0.35, NAN, NAN),
        ("Probe", -1, 3, 0.6, 0.5, 0.7),
    ],
    columns=["regime", "shots", "place", "value", "ci_low", "ci_high"],
).assign(baseline=0.15)
STYLES = {"Zero-shot": regime_style(0), "Probe": regime_style(1)}


def test_every_point_its_whisker_and_the_reference_are_drawn() -> None:
    figure = few_shot_curves(FRAME, ["0", "1", "4", "all"], STYLES, "Average precision")
    named = {trace.name: trace for trace in figure.data if trace.showlegend is None}
    assert list(named) == ["random ranking", "Zero-shot", "Probe"]
    assert list(named["random ranking"].y) == [0.15, 0.15]
    assert list(named["Probe"].y) == [0.25, 0.35, 0.6]
    assert list(named["Probe"].x) == pytest.approx([1.07, 2.07, 3.07])
    others = [tuple(trace.y) for trace in figure.data if trace.showlegend is False]
    assert others == [(0.2, 0.4), (0.3, 0.3), (0.1, 0.45), (0.5, 0.7)], "whiskers, and zero-shot across"
    assert figure.layout.xaxis.ticktext == ("0", "1", "4", "all")
    assert "Probe" in still(figure, "alt")
    (ax,) = drawn([Panel(PlotlyPanel(figure))]).axes
    assert len(ax.lines) >= 7
