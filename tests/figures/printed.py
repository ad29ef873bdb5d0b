"""What a printed figure must be, whatever it shows: whole, legible, and of one width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from explorer.figures import print as printing
from explorer.figures.print import MM, Panel, Width, Words

WORDS = Words(
    "PR curves · Edema · test",
    "n = 20 test films: 8 positive, 12 negative",
    "Bands are pointwise 95% intervals.",
    "Run demo-1, SHA-256 of its manifest 0123456789",
    "http://localhost/pr_curves?label=edema",
)

SIGNS = {"✚", "▲", "▽"}


def drawn(panels: Sequence[Panel], width: Width = 85, words: Words = WORDS) -> Figure:
    with rc_context(printing.settings()):
        figure = printing.draw(panels, words, width)
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    out = [text for text in figure.texts if text.get_text()]
    for ax in figure.axes:
        ticks = [*ax.get_xticklabels(), *ax.get_yticklabels()]
        shown = [tick for tick in ticks if tick.get_visible() and tick.get_text() and _inside(ax, tick)]
        out += [*shown, *(text for text in (ax.xaxis.label, ax.yaxis.label, *ax.texts) if text.get_text())]
    return [text for text in out if text.get_visible()]


def _inside(ax, tick: Text) -> bool:
    """A tick beyond the axis' ends is not drawn."""
    place, is_x = tick.get_position(), tick in ax.get_xticklabels()
    low, high = sorted(ax.get_xlim() if is_x else ax.get_ylim())
    return low <= place[0 if is_x else 1] <= high


def box(text: Text) -> Bbox:
    """A text's box, a little smaller than its line: letters may touch the air of the next line."""
    extent = text.get_window_extent()
    air = 0.12 * min(extent.width, extent.height)
    return Bbox.from_extents(extent.x0 + 0.5, extent.y0 + air, extent.x1 - 0.5, extent.y1 - air)


def faults(figure: Figure, width: Width) -> list[str]:
    """What is wrong with a figure: texts cut off or upon each other, type too small, another width."""
    out = []
    if abs(figure.get_figwidth() * 72 - width * MM) > 1e-6:
        out.append(f"{figure.get_figwidth() * 25.4} mm wide")
    with rc_context(printing.settings()):
        boxes = [(text, box(text)) for text in texts(figure)]
    page = figure.bbox
    for text, one in boxes:
        if one.x0 < page.x0 or one.y0 < page.y0 or one.x1 > page.x1 or one.y1 > page.y1:
            out.append(f"cut off: {text.get_text()!r}")
        if not 7 <= text.get_fontsize() <= 8:
            out.append(f"{text.get_fontsize()} pt: {text.get_text()!r}")
    for (text, one), (other, two) in combinations(boxes, 2):
        slanted = text.get_rotation() % 90 and other.get_rotation() % 90  # their boxes cross, their lines do not
        marks = {text.get_text(), other.get_text()} <= SIGNS  # of two places that lie close on a map
        if one.overlaps(two) and not slanted and not marks:
            out.append(f"{text.get_text()!r} lies on {other.get_text()!r}")
    return out
