"""Curves as small pictures: HTML with SVG in it, without a script, a kilobyte or two each. Pure.

A picture stretches with its column while text, marks and lines keep their size: curves lie in a square that is
stretched to its box, with strokes that do not scale. ``explorer/ui/shared/small_curves.css`` holds what the classes
look like. SVG comes as pictures, since Streamlit takes it out of HTML.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.curves import least_precision
from explorer.data.text import in_html
from explorer.figures.curves import AXES
from explorer.figures.style import GREY, translucent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from explorer.figures.curves import Curve, CurveAxes
    from explorer.figures.style import Style

SHAPES = {
    "circle": '<circle cx="6" cy="6" r="4.5"/>',
    "square": '<rect x="2" y="2" width="8" height="8"/>',
    "diamond": '<path d="M6 .8 11.2 6 6 11.2 .8 6z"/>',
    "triangle-up": '<path d="M6 1.2 11 10.4H1z"/>',
    "hexagon": '<path d="M6 .9 10.4 3.4V8.6L6 11.1 1.6 8.6V3.4z"/>',
    "triangle-down": '<path d="M6 10.8 11 1.6H1z"/>',
    "star": '<path d="M6 .6 7.4 4.3 11.3 4.5 8.3 6.9 9.3 10.7 6 8.6 2.7 10.7 3.7 6.9 .7 4.5 4.6 4.3z"/>',
}
"""Plotly's name of a mark to its outline in a square of 12."""
DASHES = {
    "dot": "2 4",
    "dash": "8 5",
    "solid": "none",
    "dashdot": "8 4 2 4",
    "9px,3px,2px,3px,2px,3px": "9 3 2 3 2 3",
    "2px,3px,2px,9px": "2 3 2 9",
}


def mark(style: Style, filled: bool = True) -> str:
    """A regime's mark, as large as a letter."""
    paint = f'fill="{style.colour if filled else "none"}" stroke="{style.colour}" stroke-width="1.8"'
    shape = SHAPES.get(style.symbol, SHAPES["circle"])
    return svg(f'viewBox="0 0 12 12" {paint}', shape, "mark")


def line_mark(style: Style) -> str:
    """A regime's line with its mark, as large as a letter."""
    shape = SHAPES.get(style.symbol, SHAPES["circle"])
    line = f'<path d="M0 6H36" stroke-width="2" stroke-dasharray="{DASHES.get(style.dash, "none")}"/>'
    shape = f'<g transform="translate(12)" fill="{style.colour}">{shape}</g>'
    return svg(f'viewBox="0 0 36 12" stroke="{style.colour}"', line + shape, "mark line-mark")


def baseline_mark() -> str:
    """The line of a baseline, as large as a letter."""
    line = '<path d="M0 6H36" stroke-width="1.5" stroke-dasharray="10 6"/>'
    return svg(f'viewBox="0 0 36 12" stroke="{GREY}"', line, "mark line-mark")


def key(entries: Sequence[tuple[str, str]]) -> str:
    """What marks and lines mean: pairs of a mark, as HTML, and its name."""
    words = "".join(f"<span>{sign} {in_html(name)}</span>" for sign, name in entries)
    return f'<div class="figure-key">{words}</div>'


def svg(attributes: str, content: str, name: str = "") -> str:
    """An SVG as a picture; what it shows is said by the element around it."""
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{content}</svg>'
    packed = base64.b64encode(text.encode()).decode()  # so that the page holds no address and no markup of it
    return f'<img alt="" class="{name}" src="data:image/svg+xml;base64,{packed}">'


def picture(alt: str) -> str:
    """The attributes of an element that is one picture to a reader who does not see it."""
    return f'role="img" aria-label="{in_html(alt, None)}"'


def small_curves(curves: Sequence[Curve], styles: Sequence[Style], axes: CurveAxes, prevalence: float, alt: str) -> str:
    """Every regime's curve with its band and its operating point; the dashed line is the baseline.

    Without curves it says that there are too few positives.
    """
    x_title, y_title = AXES[axes]
    ticks = f"<span>{y_title}</span><span>{x_title}</span><em>0</em><em>1</em><em>1</em>"
    if not curves:
        return f'<div class="small-curves" {picture("too few to say")}>{ticks}<div>too few to say</div></div>'
    drawn = "".join(_paths(curves, styles, axes, prevalence))
    drawn = drawn.replace("<path", '<path vector-effect="non-scaling-stroke"')
    square = svg('viewBox="0 0 1 1" preserveAspectRatio="none"', drawn)
    marks = "".join(
        f'<b style="left:{100 * curve.at[0]:.1f}%;top:{100 - 100 * curve.at[1]:.1f}%">{mark(style)}</b>'
        for curve, style in zip(curves, styles, strict=True)
        if not np.isnan(curve.at).any()
    )
    return f'<div class="small-curves" {picture(alt)}>{ticks}<div>{square}{marks}</div></div>'


def _paths(curves: Sequence[Curve], styles: Sequence[Style], axes: CurveAxes, prevalence: float) -> list[str]:
    """What cannot be reached, bands, the baseline, then the lines on top."""
    parts = []
    if axes == "pr":
        recall = np.linspace(0, 1, 21)
        floor = _line(recall, least_precision(recall, prevalence))
        parts.append(f'<path d="{floor}V1H0z" fill="{translucent(GREY, 0.16)}"/>')
    for curve, style in zip(curves, styles, strict=True):
        if curve.band is not None:
            x, low, high = curve.band[:, ~np.isnan(curve.band).any(axis=0)]
            outline = _line(np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]))
            parts.append(f'<path d="{outline}z" fill="{translucent(style.colour, 0.13)}"/>')
    baseline = {"pr": f"M0 {1 - prevalence:.4f}H1", "roc": "M0 1L1 0", "gain": "M0 0L1 1"}[axes]
    parts.append(f'<path d="{baseline}" stroke="{GREY}" stroke-width="1.5" stroke-dasharray="10 6" fill="none"/>')
    for curve, style in zip(curves, styles, strict=True):
        x, y = curve.x, curve.y
        if axes != "roc":
            x, y = np.repeat(x, 2)[:-1], np.repeat(y, 2)[1:]  # down or up, then to the right
        parts.append(
            f'<path d="{_line(x, y)}" stroke="{style.colour}" stroke-width="2" '
            f'stroke-dasharray="{DASHES.get(style.dash, "none")}" fill="none"/>'
        )
    return parts


def _line(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    """A path in the unit square, y upwards."""
    points = [f"{a:.3f} {1 - b:.3f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return f"M{'L'.join(points)}" if points else ""
