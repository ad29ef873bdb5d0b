"""From process start to the first page on the screen, beside an empty Streamlit app: the limit on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks import Measurement
from benchmarks.precompute_demo import tiny_demo

ROOT = Path(__file__).parents[1]
READY = "text=Research use only"


def run(repeats: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "store"
        tiny_demo(store)
        empty = Path(folder) / "empty.py"
        empty.write_text("import streamlit as st\nst.write('Research use only')\n", encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        ours, baseline = [], []
        for _ in range(repeats):
            ours.append(_first_page(browser, ROOT / "streamlit_app.py", store))
            baseline.append(_first_page(browser, empty, store))
        browser.close()
    return [Measurement("open_store", "the explorer", "an empty app", ours, baseline, "process start to first page")]


def _first_page(browser: Browser, script: Path, store: Path) -> float:
    start = time.perf_counter()
    with served(script, store) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(READY, timeout=60_000)
        seconds = time.perf_counter() - start
        page.close()
    return seconds


@contextmanager
def served(script: Path, store: Path) -> Iterator[str]:
    """A fresh server of a script over a store; its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "EXPLORER_STORE": str(store), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"{address}/_stcore/health")
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
