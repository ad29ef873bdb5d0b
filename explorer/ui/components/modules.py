"""A component's JavaScript modules as the one module that Streamlit takes from a plain checkout.

Streamlit serves a component's files only from an installed package that declares them. Code given as text becomes one
module at a ``blob:`` address, and a relative import leads nowhere from there. So the modules are joined here.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{ [\w, ]+ \} from "(\.[\w./]+\.js)";?\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async |const |function |class ))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import\b|export (?!default )).*", re.MULTILINE)


def joined(entry: Path) -> str:
    """The entry with all it imports, each module once and after those it needs, in one scope.

    Two modules that declare one name do not go together: the browser refuses the text. The tests hold that it does not.

    Parameters
    ----------
    entry : Path
        The module whose default export Streamlit calls. It, and what it imports, write every import on one line as
        ``import { a, b } from "./file.js"`` and export declarations only.

    Raises
    ------
    ValueError
        Where a module imports or exports in another way, or modules import each other in a circle.
    """
    texts: dict[Path, str] = {}

    def take(path: Path, way: tuple[Path, ...]) -> None:
        if path in way:
            raise ValueError("modules import each other: " + " → ".join(step.name for step in (*way, path)))
        if path in texts:
            return
        text = path.read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            take((path.parent / imported).resolve(), (*way, path))
        text = _EXPORT.sub("", _IMPORT.sub("", text))
        if other := _OTHER.search(text):
            raise ValueError(f"{path.name}: a line that cannot be joined: {other[0]}")
        texts[path] = text

    take(entry.resolve(), ())
    return "\n".join(texts.values())
