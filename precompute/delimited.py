"""Tables in text files: CSV as spreadsheets and scripts write it."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path

from explorer.errors import UserError

SEPARATORS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")
_FIX = "Save it as a CSV in UTF-8, with a header."


def read_cells(file: Path) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of text cells; row i is row i + 2 of the file.

    The file is in UTF-8, or in UTF-16 with its mark, and may be gzipped. What separates the header separates all rows:
    commas, semicolons, tabs or bars. Where it is no comma, a comma between digits is a decimal point. Left out at the
    end are empty rows, and blank columns without a name.

    pandas' reader is too forgiving here. It renames a second column of the same name and pads a short row. Where every
    row has a cell too many, it takes the first column for an index.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    text = _decoded(file)
    try:
        separator = max(SEPARATORS, key=lambda mark: _columns(text, mark))
        header, *rows = [*_records(text, separator)] or [[]]
    except csv.Error as error:
        raise UserError(f"{file} cannot be read as a CSV: {error}", _FIX) from error
    if header and header[0].lower().startswith("sep="):
        raise UserError(f"{file} has no header: its first line only names the separator.", "Delete that line.")
    while rows and not any(map(str.strip, rows[-1])):
        rows.pop()
    if not rows:
        raise UserError(f"{file} has no rows.", "Give it a header and one row for each image.")
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    for index, row in enumerate(rows):
        while len(row) > len(names) and not row[-1].strip():
            row.pop()
        if len(row) != len(names):
            raise UserError(
                f"{file} row {index + 2} has {len(row)} cells, the header has {len(names)}.",
                "Give the row a cell for every column (quote a cell that holds the separator), or delete it.",
            )
        if separator != ",":
            row[:] = [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row]
    if "" in names:
        raise UserError(f"{file}: column {names.index('') + 1} has no name.", "Name it in the header, or delete it.")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{file} has two columns for {name}.", "Keep one of them.")
    return names, rows


def _columns(text: str, separator: str) -> int:
    """How many cells the header has by a separator; none where its quotes do not fit it."""
    try:
        return len(next(_records(text, separator), []))
    except csv.Error:
        return 0


def _records(text: str, separator: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _decoded(file: Path) -> str:
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"There is no file {file}.", "Check the path.") from error
    except (UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file} cannot be read as a CSV: {error}", _FIX) from error
    if "\0" in text.partition("\n")[0]:
        raise UserError(f"{file} cannot be read as a CSV: its header holds zero bytes.", _FIX)
    return text
