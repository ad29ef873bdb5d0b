"""What the server counts of itself for Prometheus; served on a port of its own where the host asks for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from streamlit import runtime
from streamlit.runtime.stats import CacheStat, GaugeStat

from explorer.errors import UserError

PORT = "EXPLORER_METRICS_PORT"
_PAGE = Histogram("explorer_page_seconds", "Seconds that a page's script took on the server", ["page"])
QUEUE = Gauge("explorer_queue_length", "Questions that wait for the model or are being answered")
_ERRORS = Counter("explorer_errors", "Problems that visitors saw", ["kind"])
SHOWN, UNEXPECTED = _ERRORS.labels("shown"), _ERRORS.labels("unexpected")
"""A message that says what to do, and an exception that nobody foresaw."""


@contextmanager
def timed(page: str) -> Iterator[None]:
    """Measure a run of a page, to wherever it ends."""
    began = time.perf_counter()
    try:
        yield
    finally:
        _PAGE.labels(page).observe(time.perf_counter() - began)


class _State(Collector):
    """What is counted when somebody asks: sessions and caches."""

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # else it is collected once when registered, before there is anything to count

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if not runtime.exists():
            return
        families = ("active_sessions", "cache_memory_bytes")
        measured = runtime.get_instance().stats_mgr.get_stats(family_names=families)
        sessions = sum(one.value for one in measured.get("active_sessions", ()) if isinstance(one, GaugeStat))
        yield GaugeMetricFamily("explorer_sessions", "Open sessions", value=sessions)
        sizes: dict[str, int] = {}
        for one in measured.get("cache_memory_bytes", ()):
            if isinstance(one, CacheStat):
                sizes[one.category_name] = sizes.get(one.category_name, 0) + one.byte_length
        caches = GaugeMetricFamily("explorer_cache_bytes", "Bytes that caches and sessions hold", labels=["kind"])
        for kind, size in sizes.items():
            caches.add_metric([kind], size)
        yield caches


def start() -> None:
    """Serve the counts to this machine alone, where the host names a port.

    Raises
    ------
    UserError
        Where it is no free port.
    """
    if not (port := os.environ.get(PORT, "").strip()):
        return
    REGISTRY.register(_State())
    try:
        start_http_server(int(port), addr=os.environ.get("EXPLORER_METRICS_ADDRESS", "127.0.0.1"))
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(f"{PORT}={port} cannot be used: {error}.", "Name a free port, such as 9464.") from error
