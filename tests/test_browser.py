"""The real app in a real browser: what only a browser can show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from explorer.store.reader import open_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).resolve().parents[1]
PAGES = ("overview", "map", "neighbours", "pr_curves", "grad_cam", "case", "protocols")

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

WAIT = 60_000


def serve(store: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A fresh server over a store, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", *options, "--server.fileWatcherType=none"],
        cwd=ROOT,
        env={**os.environ, "EXPLORER_STORE": str(store)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return server, address
        except (URLError, OSError):
            time.sleep(0.25)
    server.terminate()
    raise TimeoutError("the server did not come up in 30 s")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tiny_store: Path) -> Iterator[str]:
    server, url = serve(tiny_store)
    yield url
    server.terminate()
    server.wait(20)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(WAIT)
    yield opened
    opened.close()


def settle(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def assert_whole(page: Page) -> None:
    settle(page)
    assert page.locator("[data-testid=stSidebarNavLink]").count() == len(PAGES)
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert "Research use only" in page.inner_text("[data-testid=stMain]")


@pytest.mark.parametrize("name", PAGES)
def test_a_first_visit_to_a_pages_own_address_shows_it_whole(browser: Browser, tiny_store: Path, name: str) -> None:
    server, url = serve(tiny_store)
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(f"{url}/{name}")
        assert_whole(page)
        assert page.get_by_role("dialog").count() == 0, "no 'page not found'"
    finally:
        page.close()
        server.terminate()
        server.wait(20)
    outside = [address for address in asked if address.startswith("http") and not address.startswith(url)]
    assert outside == [], "the app asks nothing of the internet"


def test_a_choice_lands_in_the_address_and_the_address_opens_it_again(
    page: Page, address: str, tiny_store: Path
) -> None:
    labels = open_store(tiny_store).labels
    page.goto(f"{address}/pr_curves")
    assert_whole(page)
    box = page.get_by_role("combobox", name="Label")
    shown = box.input_value()
    wanted = next(label for label in reversed(labels) if label not in shown)
    box.click()
    box.fill(wanted)
    page.get_by_role("option", name=wanted, exact=True).click()
    page.wait_for_url("**label=**")
    settle(page)
    link = page.url

    page.goto("about:blank")
    page.goto(link)
    assert_whole(page)
    assert f"{wanted} in test" in page.inner_text("[data-testid=stMain]")


def test_a_nonsense_address_falls_back_to_the_defaults(page: Page, address: str) -> None:
    page.goto(f"{address}/map?split=none&colour=plaid&label=%3Cscript%3E&regime=7&film=../../etc/passwd")
    assert_whole(page)


def test_a_point_on_the_map_opens_its_film(page: Page, address: str) -> None:
    page.goto(f"{address}/map")
    assert_whole(page)
    plot = page.locator(".js-plotly-plot").first
    plot.wait_for()
    # where the first positive film lies on the screen, from the axes Plotly drew
    x, y = plot.evaluate(
        """plot => { const {xaxis, yaxis} = plot._fullLayout, trace = plot._fullData.at(-1);
        const box = plot.getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.l2p(trace.x[0]), box.y + yaxis._offset + yaxis.l2p(trace.y[0])]; }"""
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.get_by_text("1 film selected").wait_for()
    assert "film=" in page.url
    page.reload()
    page.get_by_text("1 film selected").wait_for()
