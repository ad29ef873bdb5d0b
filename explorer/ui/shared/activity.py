"""Who opened, marked, reviewed and exported what: JSON lines in a file that the host names in ``EXPLORER_ACTIVITY``.

Off without it. The file is rotated. It holds addresses: the host decides who may read it, and how long it is kept.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from explorer.environment import expanded
from explorer.errors import UserError

ACTIVITY = "EXPLORER_ACTIVITY"
BYTES, FILES = 5 * 2**20, 10
"""A file's size, and how many full ones are kept."""

_LOG = logging.getLogger("explorer.activity")
_LOG.propagate = False


def log_to(name: str) -> None:
    """Write to this file from now on.

    Raises
    ------
    UserError
        Where it cannot be written.
    """
    file: Path = expanded(name, ACTIVITY)
    try:
        handler = RotatingFileHandler(file, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{ACTIVITY} names {file}, which cannot be written: {error.strerror}.", "Correct it."
        ) from error
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOG.handlers = [handler]
    _LOG.setLevel(logging.INFO)


def start() -> None:
    """Begin to log, where the host asked for it."""
    if name := os.environ.get(ACTIVITY, "").strip():
        log_to(name)


def record(event: str, address: str, **details: str | int) -> None:
    """Log what the visitor with this address did; empty where nobody signs in."""
    if _LOG.handlers:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        _LOG.info(json.dumps({"time": when, "event": event, "who": address, **details}, ensure_ascii=True))
