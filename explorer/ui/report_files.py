"""The report's table as CSV, LaTeX, and a picture. No Streamlit here.

The picture is matplotlib's: it needs no browser, and what is printed is the vector text itself.
"""

from __future__ import annotations

import io
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from explorer.figures import GREY, Style

if TYPE_CHECKING:
    import pandas as pd

    from explorer.ui.derive import Merit

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "×": r"$\times$", "—": "---", "−": "$-$"}


class Forest(NamedTuple):
    """A metric of every label: rows top down, each with its counts and one Merit a regime (None: too few to say)."""

    title: str
    regimes: tuple[str, ...]
    styles: tuple[Style, ...]
    rows: tuple[tuple[str, int, tuple[Merit | None, ...]], ...]


def as_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets need to read it as such."""
    return frame.to_csv(index=False).encode("utf-8-sig")


def as_latex(frame: pd.DataFrame, note: str) -> bytes:
    r"""A booktabs table with regimes over their figures; needs ``\usepackage{booktabs}``."""
    columns = [str(column).rpartition(": ")[::2] for column in frame]  # regime and figure
    groups = [(regime, len(list(same))) for regime, same in groupby(regime for regime, _ in columns)]
    head = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{_escape(regime)}}}" for regime, width in groups)
    names = " & ".join(_escape(figure) for _, figure in columns)
    body = "\n".join(" & ".join(_escape(str(cell)) for cell in row) + r" \\" for row in frame.to_numpy())
    align = "l" + "r" * 3 + "l" * (len(columns) - 4)
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_escape(note)}}}",
        f"\\begin{{tabular}}{{{align}}}",
        "\\toprule",
        f"{head} \\\\",
        f"{names} \\\\",
        "\\midrule",
        body,
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode()


def as_picture(forest: Forest, note: str, kind: Literal["png", "svg"]) -> bytes:
    """A forest plot on white: whiskers, baselines, and each number beside its mark."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    markers = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^"}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9}):
        figure = Figure(figsize=(8.5, 1.6 + 0.5 * len(forest.rows)))
        FigureCanvasAgg(figure)
        height = figure.get_figheight()
        axes = figure.add_axes((0.3, 1.1 / height, 0.48, 1 - 1.5 / height))
        step = 0.26
        for i, (name, positives, merits) in enumerate(forest.rows):
            axes.text(-0.04, i, f"{name} ({positives:,})", ha="right", va="center")
            known = [merit for merit in merits if merit is not None]
            if known and not np.isnan(known[0].baseline):
                axes.plot([known[0].baseline] * 2, [i - 0.42, i + 0.42], color=GREY, lw=1.5, zorder=1)
            if not known:
                axes.text(1.04, i, "too few to say", color=GREY, va="center")
            for j, (merit, style) in enumerate(zip(merits, forest.styles, strict=True)):
                if merit is None or np.isnan(merit.value):
                    continue
                y = i + step * (j - (len(merits) - 1) / 2)
                axes.plot([merit.low, merit.high], [y, y], color=style.colour, lw=1.5)
                axes.plot([merit.value], [y], marker=markers[style.symbol], color=style.colour, ms=5)
                axes.text(1.04, y, str(merit), color=style.colour, va="center", fontsize=7.5)
        axes.set_xlim(0, 1.0)
        axes.set_ylim(len(forest.rows) - 0.4, -0.6)
        axes.set_yticks([])
        axes.set_xlabel(forest.title)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        for style, regime in zip(forest.styles, forest.regimes, strict=True):
            axes.plot([], [], marker=markers[style.symbol], color=style.colour, label=regime)
        axes.plot([], [], color=GREY, lw=1.5, label="baseline: prevalence")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.45, 1.0), ncols=4, frameon=False)
        figure.text(0.02, 0.15 / height, "\n".join(wrap(note, 135)), fontsize=6.5, color="#555555", va="bottom")
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def _escape(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
