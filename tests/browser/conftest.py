"""The real app served for a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT = 60_000
IN_DEPTH = "FUZZ_CASES" in os.environ
"""As ``make fuzz`` sets it: every page and kind of text in the browser; else some, since AppTest opens them all."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def serve(
    store: Path, *more: str, port: int = 0, base: str = "", **environment: str
) -> tuple[subprocess.Popen[bytes], str]:
    """A fresh server over a store, by default on a free port at the root, with more options and variables."""
    port = port or free_port()
    options = ["--server.headless=true", f"--server.port={port}", *more]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", *options, "--server.fileWatcherType=none"],
        cwd=ROOT,
        env={**os.environ, "EXPLORER_STORE": str(store), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{address}{base}/_stcore/health", timeout=1):
                return server, address
        except (URLError, OSError):
            time.sleep(0.25)
    server.terminate()
    raise TimeoutError("the server did not come up in 30 s")


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT)  # a busy machine is not a wrong program
    with sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with launched() as opened:
        yield opened


@pytest.fixture(scope="package")
def address(tiny_store: Path) -> Iterator[str]:
    server, url = serve(tiny_store)
    yield url
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """One visitor's browser, which has read Streamlit's scripts once; a test of two visitors opens another."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(WAIT)
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    opened = window.new_page()
    yield opened
    opened.close()


@pytest.fixture(scope="package")
def pocket(browser: Browser) -> Iterator[BrowserContext]:
    """The browser of one visitor with a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(WAIT)
    yield context
    context.close()


@pytest.fixture
def phone(pocket: BrowserContext) -> Iterator[Page]:
    opened = pocket.new_page()
    yield opened
    opened.close()


def settle(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def settle_dressed(page: Page) -> None:
    """The same, with the page's styles: the browser draws the last of what the script sent a little after its end."""
    settle(page)
    page.wait_for_selector("[data-testid=stHtml] style", state="attached")
