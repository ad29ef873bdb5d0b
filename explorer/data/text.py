"""Data as text: what a set, a film or an address says is shown as it is written, and never as markup.

Every page, figure and table puts names, ids, notes, prompts, file names and parameters of the address into text through
these functions. Streamlit reads Markdown in most of its texts; plotly reads a subset of HTML in all of its own.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

LONGEST = 60
"""Characters of a datum within a sentence, a caption or a button."""
AXIS = 32
"""Characters of a datum on the axis or in the legend of a chart: more would leave no room for the chart."""
_ISOLATE, _END = "\u2068", "\u2069"
_JOINER = "\u2060"
_MARKUP = re.compile(r"[\\`*_\[\]<$~|:&]")
_BLOCK = re.compile(r"^(?:[-+=#>]|\d+(?=[.)]))")
_LINK = re.compile(r"\\:(?=//|[\w+/.-]+\\:)|@(?=\S)|www(?=\.)", re.IGNORECASE)
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%_#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "—": "---",
    "−": "$-$",
}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def plain(text: object, longest: int | None = LONGEST) -> str:
    """Data as one line without hidden characters, for places that read no markup.

    Control and format characters become U+FFFD: two names that differ in one are then seen to differ, and none turns
    the text beside it round. A text written from right to left is isolated from its neighbours.

    Parameters
    ----------
    longest : int, optional
        Characters kept; a longer text ends in an ellipsis. None keeps all.

    Examples
    --------
    >>> plain("Pleural effusion"), plain("a\\u202eb\\nc"), plain("x" * 9, 4)
    ('Pleural effusion', 'a\ufffdb c', 'xxx…')
    """
    line = "".join(map(_visible, str(text))).strip()
    if longest is not None and len(line) > longest:
        line = line[: longest - 1] + "…"
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in line):
        return f"{_ISOLATE}{line}{_END}"
    return line


def in_markdown(text: object, longest: int | None = LONGEST) -> str:
    """Data as part of a Markdown text of Streamlit's, which shows it as :func:`plain` gives it.

    A backslash takes a sign's meaning away. Streamlit looks for bare addresses, emoji and icons after that: an
    invisible joiner parts what would be one.

    Examples
    --------
    >>> in_markdown("Cardiomegaly (3-4 cm)"), in_markdown("[x](y)"), in_markdown("- a_b"), in_markdown("1. x")
    ('Cardiomegaly (3-4 cm)', '\\\\[x\\\\](y)', '\\\\- a\\\\_b', '1\\\\. x')
    """
    escaped = _MARKUP.sub(r"\\\g<0>", plain(text, longest))
    escaped = _BLOCK.sub(lambda sign: f"{sign[0]}\\" if sign[0].isdigit() else f"\\{sign[0]}", escaped)
    return _LINK.sub(rf"\g<0>{_JOINER}", escaped)


def listed(texts: Iterable[object]) -> str:
    """Several data in one Markdown sentence, with commas between them."""
    return ", ".join(map(in_markdown, texts))


def in_html(text: object, longest: int | None = LONGEST) -> str:
    """Data as part of HTML, which the texts of plotly's figures are, too.

    Examples
    --------
    >>> in_html("<a href='x'>y</a>")
    '&lt;a href=&#x27;x&#x27;&gt;y&lt;/a&gt;'
    """
    return html.escape(plain(text, longest))


def on_axis(text: object) -> str:
    """Data on the axis or in the legend of a chart, where the pointer gets the whole by :func:`in_html`."""
    return in_html(text, AXIS)


def whole(text: object) -> str | None:
    """The tooltip of a datum that :func:`in_markdown` shortens; None where it stands whole."""
    return in_markdown(text, None) if len(plain(text, None)) > LONGEST else None


def in_latex(text: object) -> str:
    r"""Data as part of a LaTeX or BibTeX text.

    Examples
    --------
    >>> in_latex("AP_1 > 50 % {x}")
    'AP\\_1 > 50 \\% \\{x\\}'
    """
    return "".join(_LATEX.get(letter, letter) for letter in plain(text, None))


def plain_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose headers and cells of text are as :func:`plain` gives them: headers short, cells whole."""
    shown = frame.rename(columns=plain)
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcM":
            cells = frame.iloc[:, place].tolist()
            shown.isetitem(place, [plain(cell, None) if isinstance(cell, str) else cell for cell in cells])
    return shown


def csv(frame: pd.DataFrame) -> bytes:
    """A table as CSV in UTF-8; an apostrophe stands before a text that a spreadsheet would run as a formula.

    Numbers stay numbers. :func:`from_csv` takes the apostrophe away again.
    """
    safe = frame.rename(columns=_no_formula)
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcM":
            safe.isetitem(place, [_no_formula(cell) for cell in frame.iloc[:, place].tolist()])
    return safe.to_csv(index=False, lineterminator="\r\n").encode()  # as RFC 4180 has it; a cell with either is quoted


def from_csv(cell: str) -> str:
    """A cell of text as it was before :func:`csv`.

    Examples
    --------
    >>> from_csv("'=1+1"), from_csv("'tis"), from_csv("''-a")
    ('=1+1', "'tis", "'-a")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "\ufffd" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") else character


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
