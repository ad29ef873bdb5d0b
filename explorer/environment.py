"""The folders that the host names: those of the environment, and where the app's own files lie."""

from __future__ import annotations

import os
from pathlib import Path

from explorer.errors import UserError

_INSTALLED = Path(__file__).with_name("app")
APP = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1]
"""The folder of ``streamlit_app.py``, ``pages`` and ``encoders``: of a checkout its root, else in the package."""

STORE = "EXPLORER_STORE"
FILMS = "EXPLORER_FILMS"


def expanded(path: str, named_by: str) -> Path:
    """A path as a shell reads it: ``~`` is the home folder.

    Raises
    ------
    UserError
        Where there is no such user.
    """
    whole = os.path.expanduser(path)  # noqa: PTH111 -- Path.expanduser leaves no error to tell the user of
    if whole.startswith("~"):
        raise UserError(f"{named_by} names {path}, and there is no such user.", "Write the whole path.")
    return Path(whole)


def store_root() -> Path:
    """The store's folder: ``EXPLORER_STORE``, or ``store`` in the working directory."""
    return expanded(os.environ.get(STORE) or "store", STORE)


def films_roots() -> list[Path]:
    """The folders from which films outside a store may be read: ``EXPLORER_FILMS``, parted as ``PATH`` is."""
    return [expanded(path, FILMS) for path in os.environ.get(FILMS, "").split(os.pathsep) if path]


def state_folder() -> Path:
    """Where this user's programs keep what they know of this machine; relative where the user has no home."""
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "cxr-explorer"  # noqa: PTH111
