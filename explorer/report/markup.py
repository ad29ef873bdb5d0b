"""What a page has drawn, as HTML: every text, table, figure and picture, without the page's controls.

Nothing here computes: a page is run by Streamlit's own ``AppTest``, and its elements are written down. So the report
and the pages have one source. Data in Markdown is escaped by the pages (``explorer.data.text``); here Markdown is read
without HTML, links and pictures, so that a text of a store stays a text.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from markdown_it import MarkdownIt
from streamlit.testing.v1.element_tree import Block, Element, Widget

from explorer.data.text import plain
from explorer.figures.print import Panel, Width, Words, picture
from explorer.figures.print_plotly import PlotlyPanel
from explorer.figures.print_text import INK, SOFT

if TYPE_CHECKING:
    import pandas as pd

WITHOUT_FILMS = "The page shows films here; the report has none."
BLANK = "data:image/svg+xml," + "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'/%3E"
"""In place of a film."""

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_MARKDOWN.disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity"])
_COLOUR = re.compile(r"(?<!\\):(orange|blue|green|violet|gray|red)\[([^\[\]]*)\]")
_ICON = re.compile(r"(?<!\\):material/\w+:")
_INK, _END_INK = "\ue000", "\ue001"
"""Around coloured text while Markdown is read: private characters, which ``text.plain`` takes out of data."""
_FILM = re.compile(r"data:image/jpeg;base64,[\w+/=]+")
_GROUND = re.compile(r'(<g id="[\w-]*patch_\d+">\s*<path [^>]*fill: )#ffffff', re.IGNORECASE)
_WHITE = re.compile(r"(<(?:path|use|g) [^>]*)#ffffff", re.IGNORECASE)
"""White marks; white text lies on a colour, and stays."""
_NO_WORDS = Words("", "", "", "", "")
_NOTES = ("info", "success", "warning", "error")
_SKIPPED = ("page_link", "download_button", "pagination", "feedback", "file_uploader", "toast", "empty", "divider")
"""What only a visitor of the page needs; controls are skipped, too."""
_LEFT_OUT = ("context-bar", "controls", "reviews")
"""Containers by their keys: controls, and what annotators said under their names."""
_TABLES = ("dataframe", "arrow_data_frame", "table")
_SHORT = 30
"""Characters of a cell that is not broken."""
_ROW = "flex_container"
_GIVEN = re.compile(r"\$\$ID-[0-9a-f]+-(.*)")
"""Streamlit's id of a container that a page gave a key."""


class Markup:
    """Turns the elements of one section's pages into HTML.

    Parameters
    ----------
    with_films : bool
        Whether pictures of films within a page's own pictures are kept; sheets of films never are.
    """

    def __init__(self, section: str, with_films: bool) -> None:
        self._section, self._with_films = section, with_films
        self._said: set[str] = set()
        self._figures = 0

    def block(self, block: Block, wide: Width = 174) -> str:
        """A part of a page and all in it; figures get this width in millimetres."""
        if block.type == "popover" or _key(block) in _LEFT_OUT:
            return ""
        children = list(block.children.values())
        if _is_sheet(block):
            return self._without_films()
        columns = [child for child in children if isinstance(child, Block) and child.type == "column"]
        if len(columns) > 1:
            cells = "".join(f"<div>{self.block(column, 85)}</div>" for column in columns)
            return f'<div class="columns">{cells}</div>'
        content = "".join(self.block(c, wide) if isinstance(c, Block) else self._element(c, wide) for c in children)
        if block.type == "expander" and content:
            return f"<h4>{in_line(block.proto.label)}</h4>{content}"
        return content

    def _element(self, element: Element, wide: Width) -> str:
        kind, proto = element.type, element.proto
        if kind == "button" and "**" in proto.label:  # a number, which opens what is counted
            return f"<p>{in_line(proto.label)}</p>"
        if (
            isinstance(element, Widget)
            or kind in _SKIPPED
            or (kind == "caption" and element.value.startswith("Click "))
        ):
            return ""
        if kind in ("subheader", "header", "title"):
            return f"<h4>{in_line(element.value)}</h4>"
        if kind == "markdown":
            return f'<div class="text">{in_html(element.value)}</div>'
        if kind == "caption":
            return self._once(f'<div class="caption">{in_html(element.value)}</div>')
        if kind in _NOTES:
            return self._once(f'<div class="note {kind}">{in_html(element.value)}</div>')
        if kind == "code":
            return f"<pre>{html.escape(plain(element.value, None))}</pre>"
        if kind == "metric":
            parts = [html.escape(plain(text, None)) for text in (proto.label, proto.body, proto.delta)]
            return '<p class="metric"><span>{}</span><strong>{}</strong><span>{}</span></p>'.format(*parts)
        if kind == "image":
            return self._without_films()
        if kind == "html":
            return self._picture(proto.body)
        if kind in _TABLES:
            return table(element.value, _formats(proto.columns))
        if kind == "plotly_chart":
            return self._figure(json.loads(proto.spec), proto.alt, wide)
        if kind == "bidi_component" and "curve_cards" in proto.component_name:
            return self._cards(json.loads(proto.json))
        raise TypeError(f"The report cannot show an element of the kind {kind}.")

    def _once(self, markup: str) -> str:
        """The same words under every view of a page are said once."""
        if markup in self._said:
            return ""
        self._said.add(markup)
        return markup

    def _without_films(self) -> str:
        return self._once(f'<p class="caption">{WITHOUT_FILMS}</p>')

    def _picture(self, body: str) -> str:
        """A picture of our own making: HTML whose texts are escaped where it is made."""
        if body.startswith("<style>"):
            return ""
        return body if self._with_films else _FILM.sub(BLANK, body)

    def _cards(self, content: dict[str, Any]) -> str:
        cards = "".join(
            f"<div><strong>{html.escape(card['title'])}</strong><small>{html.escape(card['note'])}</small>"
            f"{self._picture(card['html'])}</div>"
            for card in content["cards"]
        )
        return f'<div class="cards">{cards}</div>'

    def _figure(self, spec: dict[str, Any], alt: str, wide: Width) -> str:
        self._figures += 1
        mark = f"{self._section}-{self._figures}-"
        figure = go.Figure(_with_arrays({"data": spec["data"], "layout": spec["layout"]}))
        figure.layout.template = None
        svg = picture(
            [Panel(PlotlyPanel(figure))], _NO_WORDS, "svg", wide
        ).decode()  # it draws more than ``still`` does
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
        svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{mark}", svg)
        svg = _GROUND.sub(r"\g<1>none", svg)  # of the figure and its axes
        svg = _WHITE.sub(r"\g<1>var(--ground)", svg)
        for ink, colour in ((INK, "currentColor"), (SOFT, "var(--soft)"), ("#e3e6ea", "var(--line)")):
            svg = re.sub(ink, colour, svg, flags=re.IGNORECASE)
        name = html.escape(plain(alt, None))
        return f'<div class="figure w{wide}" role="img" aria-label="{name}">{svg}</div>'


def in_html(text: str) -> str:
    """A page's Markdown as HTML."""
    return _painted(str(_MARKDOWN.render(_prepared(text))))


def in_line(text: str) -> str:
    """A heading in Markdown as HTML without a paragraph."""
    return _painted(str(_MARKDOWN.renderInline(_prepared(text))))


def _prepared(text: str) -> str:
    return _ICON.sub("", _COLOUR.sub(rf"{_INK}\1 \2{_END_INK}", text)).replace("\u2060", "")


def _painted(markup: str) -> str:
    return re.sub(rf"{_INK}(\w+) ", r'<span class="ink-\1">', markup).replace(_END_INK, "</span>")


def table(frame: pd.DataFrame, formats: dict[str, str]) -> str:
    """A table as its page shows it: numbers right, texts as they are written."""
    index = frame.index.name is not None
    shown = frame.reset_index() if index else frame
    numeric = [kind.kind in "iuf" for kind in shown.dtypes]
    head = "".join(f"<th{_classes(right)}>{html.escape(str(c))}</th>" for c, right in zip(shown, numeric, strict=True))
    rows = []
    for cells in shown.itertuples(index=False):
        texts = (_cell(cell, formats.get(str(name))) for name, cell in zip(shown, cells, strict=True))
        rows.append(
            "".join(f"<td{_classes(right, text)}>{text}</td>" for text, right in zip(texts, numeric, strict=True))
        )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _classes(number: bool, text: str = "") -> str:
    """A number stands right; a figure with its interval stays on one line."""
    names = [name for name, has in (("number", number), ("whole", "[" in text and len(text) <= _SHORT)) if has]
    return f' class="{" ".join(names)}"' if names else ""


def _cell(cell: object, form: str | None) -> str:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return "—"
    if form and isinstance(cell, float):
        return form % cell
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else html.escape(str(cell))


def _formats(columns: str) -> dict[str, str]:
    """printf formats by column, where a page sets some."""
    given = json.loads(columns or "{}")
    formats = {name: (one.get("type_config") or {}).get("format") for name, one in given.items()}
    return {name: form for name, form in formats.items() if form and form.startswith("%")}


def _key(block: Block) -> str:
    """The key that a page gave to a container."""
    given = _GIVEN.match(getattr(block.proto, "id", ""))
    return given[1] if given else ""


def _is_sheet(block: Block) -> bool:
    """Whether it is a row of films, or one film beside what is known of it: its report, too."""
    if block.type != _ROW or block.proto.flex_container.direction != block.proto.flex_container.HORIZONTAL:
        return False
    kinds = {element.type for element in _leaves(block)}
    return "image" in kinds and "plotly_chart" not in kinds


def _leaves(block: Block) -> list[Element]:
    leaves = []
    for child in block.children.values():
        leaves += _leaves(child) if isinstance(child, Block) else [child]
    return leaves


def _with_arrays(value: Any) -> Any:
    """A figure's specification with NumPy arrays where plotly has packed their bytes."""
    if isinstance(value, dict):
        if value.keys() >= {"dtype", "bdata"}:
            array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
            shape = tuple(map(int, str(value["shape"]).split(","))) if "shape" in value else array.shape
            return array.reshape(shape)
        return {key: _with_arrays(one) for key, one in value.items()}
    return [_with_arrays(one) for one in value] if isinstance(value, list) else value
