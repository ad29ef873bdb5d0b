"""Where commands print: messages to stderr, results to stdout."""

from __future__ import annotations

from rich.console import Console


def _plain(stderr: bool) -> Console:
    """Markup is off: names and paths may hold brackets and colons, which rich would read as its own."""
    return Console(stderr=stderr, markup=False, emoji=False)


MESSAGES = _plain(stderr=True)
RESULTS = _plain(stderr=False)
