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

MODEL_LIBRARIES = ("torch", "torchvision", "open_clip", "timm", "transformers", "pytorch_grad_cam", "umap", "numba")
"""What requirements-viewer.txt leaves out: all that runs a model. ``requirements.txt`` has it."""

STORE = "EXPLORER_STORE"
STORES = "EXPLORER_STORES"
FILMS = "EXPLORER_FILMS"
CACHE = "EXPLORER_CACHE"
_BETWEEN = re.compile(rf"{re.escape(os.pathsep)}(?!//|\d+(?:/|$))")
"""Between two stores of a list; not within ``https://host:8443/``."""


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


def store_addresses() -> list[str]:
    """The stores that the host names: those of ``EXPLORER_STORES``, parted as ``PATH`` is; else ``EXPLORER_STORE``.

    Without either it is ``store`` in the working directory.

    Examples
    --------
    >>> _BETWEEN.split("/a:https://b.org:8443/c.zip:s3://d/e:f")
    ['/a', 'https://b.org:8443/c.zip', 's3://d/e', 'f']
    """
    several = [one.strip() for one in _BETWEEN.split(os.environ.get(STORES, "")) if one.strip()]
    return several or [os.environ.get(STORE, "").strip() or "store"]


def is_remote(address: str) -> bool:
    """Whether a store is elsewhere, at an address such as ``https://…``, ``s3://…`` or ``hf://…``."""
    return "://" in address


def local_root(address: str) -> Path:
    """The folder of a store, or of several, on this machine.

    Raises
    ------
    UserError
        Where it cannot be one.
    """
    name = STORES if os.environ.get(STORES, "").strip() else STORE
    root = expanded(address, name)
    if root.is_file():
        raise UserError(f"{name} names {root}, which is a file.", "Name the folder that holds the runs.")
    return root


def store_cache() -> Path:
    """Where stores from elsewhere are kept: ``EXPLORER_CACHE``, or a folder of this user's."""
    given = os.environ.get(CACHE, "").strip()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return expanded(given, CACHE) if given else Path(base) / "cxr-explorer"


def without_store_root(text: str) -> str:
    """A text for visitors, in which STORE stands for where a store lies."""
    roots = [store_cache() / "stores"]
    for address in store_addresses():
        if is_remote(address):  # which may hold a key
            text = text.replace(address, "STORE")
            continue
        try:
            roots.append(local_root(address))
        except UserError:  # the text itself says what is wrong with it
            continue
    for path in (path for root in roots for path in (root.resolve(), root)):
        if path.is_absolute():
            text = text.replace(str(path), "STORE")
    return text


def without_models(what: str) -> UserError:
    """The error of a viewer that lacks the model libraries, where ``what`` needs them."""
    return UserError(
        f"{what} needs the model libraries, which this viewer was installed without.",
        "Run python -m pip install -r requirements.txt on the server. What the store holds is shown as it is.",
    )


def films_roots() -> list[Path]:
    """The folders from which films outside a store may be read: ``EXPLORER_FILMS``, parted as ``PATH`` is."""
    return [expanded(path, FILMS) for path in os.environ.get(FILMS, "").split(os.pathsep) if path]


def state_folder() -> Path:
    """Where this user's programs keep what they know of this machine; relative where the user has no home."""
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "cxr-explorer"  # noqa: PTH111
