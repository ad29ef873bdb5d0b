"""Text on paper: the typeface, how wide a text is, where its lines break. Lengths are in points (1/72 inch)."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties

SIZE, SMALL = 8.0, 7.0
"""Type in points: titles, legends and axis titles; ticks, cells and captions."""
LEADING = 1.25
INK, SOFT = "#1B2530", "#5b6470"
PX = 2 / 3
"""Points on paper for a pixel of the page: the page's 12 px type becomes 8 pt."""

_OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans SC",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)
"""For letters that DejaVu Sans lacks. None comes with matplotlib: what the machine has of them is used."""


class NotDrawn(ValueError):
    """A figure holds something that has no counterpart on paper: it is named, and never left out."""


@cache
def families() -> tuple[str, ...]:
    """The typeface, which matplotlib ships, so that a picture is the same on any machine; then those of other scripts.

    DejaVu Sans is wide: where an SVG's reader lacks it, the text gets narrower and still overlaps nothing.
    """
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed))


@cache
def _font(size: float, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=list(families()), size=size, weight="bold" if bold else "normal")


@cache
def width(text: str, size: float = SIZE, bold: bool = False) -> float:
    """Width of one line in points."""
    from matplotlib.backends.backend_agg import RendererAgg

    scale = 10
    renderer: Any = RendererAgg(1, 1, 72 * scale)  # type: ignore[no-untyped-call]
    wide, _, _ = renderer.get_text_width_height_descent(text, _font(size, bold), ismath=False)
    return float(wide) / scale


def widest(text: str, size: float = SIZE, bold: bool = False) -> float:
    """Width of the widest of a text's lines."""
    return max(width(line, size, bold) for line in text.split("\n"))


def height(text: str, size: float = SIZE) -> float:
    """Height of a text's lines in points."""
    return (1 + text.count("\n")) * size * LEADING


def wrapped(text: str, room: float, size: float = SIZE, bold: bool = False) -> str:
    """Text broken between words, and within a word that has no room alone, into lines no wider than ``room``."""
    return "\n".join(line for one in text.split("\n") for line in _lines(one, room, size, bold))


def _lines(text: str, room: float, size: float, bold: bool) -> list[str]:
    lines, line = [], ""
    for word in filter(None, text.split(" ")):  # a no-break space holds its words together
        joined = f"{line} {word}" if line else word
        if width(joined, size, bold) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
        while width(word, size, bold) > room and len(word) > 1:
            fits = next((k for k in range(len(word) - 1, 1, -1) if width(word[:k], size, bold) <= room), 1)
            lines.append(word[:fits])
            word = word[fits:]
        line = word
    return [*lines, line]


class Styled(NamedTuple):
    """A text and how its letters look."""

    text: str
    bold: bool = False
    italic: bool = False

    @property
    def look(self) -> dict[str, Any]:
        """The same in matplotlib's words."""
        return {"weight": "bold" if self.bold else "normal", "style": "italic" if self.italic else "normal"}


def from_html(text: str) -> Styled:
    """A text of a plotly figure as it is read.

    Raises
    ------
    NotDrawn
        Where it holds a tag that no figure of ours has.

    Examples
    --------
    >>> from_html("<b>Edema &lt;2 cm +</b>").text, from_html("last<br>block").text, from_html("<i>(3)</i>").italic
    ('Edema <2 cm +', 'last\\nblock', True)
    """
    bare = text.replace("<br>", "\n")
    for tag in ("<b>", "</b>", "<i>", "</i>"):
        bare = bare.replace(tag, "")
    if "<" in bare:
        raise NotDrawn(f"the markup in {text!r}")
    return Styled(html.unescape(bare), "<b>" in text, "<i>" in text)
