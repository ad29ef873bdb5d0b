"""The report's table as CSV, LaTeX, and a picture. No Streamlit here.

The picture is matplotlib's: it needs no browser, and what is printed is the vector text itself.
"""

from __future__ import annotations

import codecs
import io
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from explorer.data.text import AXIS, csv, in_latex, plain
from explorer.figures.print_plotly import MARKERS
from explorer.figures.style import GREY, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from explorer.tables.results import Merit


class Forest(NamedTuple):
    """Rows top down: name, positives, and for each metric a Merit of every regime (None: too few to say)."""

    metrics: tuple[str, ...]
    regimes: tuple[str, ...]
    styles: tuple[Style, ...]
    rows: tuple[tuple[str, int, tuple[tuple[Merit, ...], ...] | None], ...]


def report_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets need to read it as such."""
    return codecs.BOM_UTF8 + csv(frame)


def report_latex(frame: pd.DataFrame, note: str) -> bytes:
    r"""A booktabs table with regimes over their figures; needs ``\usepackage{booktabs}``."""
    columns = [str(column).rpartition(": ")[::2] for column in frame]  # regime and figure
    groups = [(regime, len(list(same))) for regime, same in groupby(regime for regime, _ in columns)]
    head = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{in_latex(regime)}}}" for regime, width in groups)
    names = " & ".join(in_latex(figure) for _, figure in columns)
    align = "l" + "r" * 3 + "l" * (len(columns) - 4)
    return booktabs(frame, [f"{head} \\\\", f"{names} \\\\"], align, note)


def booktabs(frame: pd.DataFrame, head: Sequence[str], align: str, note: str) -> bytes:
    """A table in LaTeX: ``head`` are its finished first lines, ``align`` its columns' letters."""
    body = "\n".join(" & ".join(in_latex(str(cell)) for cell in row) + r" \\" for row in frame.to_numpy())
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{in_latex(note)}}}",
        f"\\begin{{tabular}}{{{align}}}",
        "\\toprule",
        *head,
        "\\midrule",
        body,
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode()


def report_picture(forest: Forest, note: str, kind: Literal["png", "svg"]) -> bytes:
    """A forest plot on white, a panel a metric: whiskers, baselines, and each number beside its mark."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names, plot, numbers = 2.3, 2.4, 1.5  # widths in inches
    width, height = names + len(forest.metrics) * (plot + numbers), 1.6 + 0.5 * len(forest.rows)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9}):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        for m, metric in enumerate(forest.metrics):
            left = (names + m * (plot + numbers)) / width
            axes = figure.add_axes((left, 1.1 / height, plot / width, 1 - 1.5 / height))
            _draw_metric(axes, forest, m)
            axes.set_xlabel(metric)
            if m == 0:
                for i, (name, positives, _) in enumerate(forest.rows):
                    axes.text(-0.05, i, f"{plain(name, AXIS)} ({positives:,})", ha="right", va="center")
        for style, regime in zip(forest.styles, forest.regimes, strict=True):
            axes.plot([], [], marker=MARKERS[style.symbol], color=style.colour, label=regime)
        axes.plot([], [], color=GREY, lw=1.5, label="trivial baseline")
        figure.legend(*axes.get_legend_handles_labels(), loc="upper left", ncols=4, frameon=False)
        figure.text(0.01, 0.15 / height, "\n".join(wrap(note, 220)), fontsize=7, color="#555555", va="bottom")
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def _draw_metric(axes: Axes, forest: Forest, m: int) -> None:
    """One metric of every row and regime."""
    step = 0.26
    for i, (_, _, metrics) in enumerate(forest.rows):
        if metrics is None:
            axes.text(1.04, i, "too few to say", color=GREY, va="center", fontsize=7.5)
            continue
        merits = metrics[m]
        axes.plot([merits[0].baseline] * 2, [i - 0.42, i + 0.42], color=GREY, lw=1.5, zorder=1)
        for j, (merit, style) in enumerate(zip(merits, forest.styles, strict=True)):
            if np.isnan(merit.value):
                continue
            y = i + step * (j - (len(merits) - 1) / 2)
            axes.plot([merit.low, merit.high], [y, y], color=style.colour, lw=1.5)
            axes.plot([merit.value], [y], marker=MARKERS[style.symbol], color=style.colour, ms=5, clip_on=False)
            axes.text(1.04, y, str(merit), color=style.colour, va="center", fontsize=7.5)
    axes.set_xlim(0, 1.0)
    axes.set_ylim(len(forest.rows) - 0.4, -0.6)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
