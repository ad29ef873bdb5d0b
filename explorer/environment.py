"""The folders that the host names: those of the environment, and where the app's own files lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

from explorer.errors import UserError

_INSTALLED = Path(__file__).with_name("app")
APP = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1]
"""The folder of ``streamlit_app.py``, ``pages`` and ``encoders``: of a checkout its root, else in the package."""

_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")

STORE = "EXPLORER_STORE"
FILMS = "EXPLORER_FILMS"


def expanded(path: str, named_by: str) -> Path:
    """A path as a shell reads it: ``~`` is the home folder, ``$NAME`` a variable of the environment.

    Raises
    ------
    UserError
        Where there is no such user or variable.
    """
    whole = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 -- Path.expanduser leaves no error to tell of
    if _VARIABLE.search(whole):
        raise UserError(f"{named_by} names {path}, and there is no such variable.", "Write the whole path.")
    if whole.startswith("~"):
        raise UserError(f"{named_by} names {path}, and there is no such user.", "Write the whole path.")
    return Path(whole)


def store_root() -> Path:
    """The store's folder: ``EXPLORER_STORE``, or ``store`` in the working directory.

    Raises
    ------
    UserError
        Where it cannot be one.
    """
    root = expanded(os.environ.get(STORE, "").strip() or "store", STORE)
    if root.is_file():
        raise UserError(f"{STORE} names {root}, which is a file.", "Name the folder that holds the runs.")
    return root


def without_store_root(text: str) -> str:
    """A text for visitors, in which STORE stands for where the store's folder lies on this machine."""
    try:
        root = store_root()
    except UserError:  # the text itself says what is wrong with it
        return text
    for path in (root.resolve(), root):
        if path.is_absolute():
            text = text.replace(str(path), "STORE")
    return text


def films_roots() -> list[Path]:
    """The folders from which films outside a store may be read: ``EXPLORER_FILMS``, parted as ``PATH`` is."""
    return [expanded(path, FILMS) for path in os.environ.get(FILMS, "").split(os.pathsep) if path]


def state_folder() -> Path:
    """Where this user's programs keep what they know of this machine; relative where the user has no home."""
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "cxr-explorer"  # noqa: PTH111
