"""Every page in a real browser beside an empty Streamlit app: wall clock, processor time and bytes until it is settled.

The store is EXPLORER_STORE's, or a small demo's where that is not set.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.error import URLError

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from benchmarks import Measurement
from benchmarks.precompute_demo import tiny_demo
from explorer.environment import APP

PAGES = (
    "overview",
    "map",
    "separability",
    "board",
    "neighbours",
    "pr_curves",
    "grad_cam",
    "case",
    "dataset",
    "audit",
    "protocols",
)
EMPTY = "import streamlit as st\nst.title('Empty')\n"
QUIET = 500
"""Milliseconds without a change to the page after which it counts as settled; not part of its time."""
WATCH = """
    window.lastChange = performance.now();
    new MutationObserver(() => { window.lastChange = performance.now(); })
        .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
SETTLED = f"""() => document.querySelector('h1')
    && document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
    && performance.now() - window.lastChange > {QUIET}"""


@dataclass
class Visits:
    """One page's visits: seconds of wall clock, of the server's processor and of the browser's, and bytes received."""

    wall: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    browser: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


def run(repeats: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = os.environ.get("EXPLORER_STORE") or str(tiny_demo(Path(folder) / "tiny").path.parent)
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            with serving(empty, store) as (process, url):
                bare = new_tabs(browser, process, url, "", repeats)
            with serving(APP / "streamlit_app.py", store) as (process, url):
                ours = {page: new_tabs(browser, process, url, page, repeats) for page in PAGES}
                by_menu = menu(browser, url, repeats)
        finally:
            browser.close()
    measured = []
    for page, visits in ours.items():
        size = f"{median(visits.received) / 1000:.0f} kB received, {median(bare.received) / 1000:.0f} by the empty app"
        new_tab = f"pages: {page}, new tab"
        measured += [
            Measurement(f"{new_tab}, settled", "the page, warm", "an empty app", visits.wall, bare.wall, size),
            Measurement(f"{new_tab}, server", "processor time", "an empty app", visits.server, bare.server, ""),
            Measurement(f"{new_tab}, browser", "processor time", "an empty app", visits.browser, bare.browser, ""),
            Measurement(
                f"pages: {page}, by menu", "from the page before", "limit: 0.8 s", by_menu[page], [0.8], "", goal=1.0
            ),
        ]
    return measured


@contextmanager
def serving(script: Path, store: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of a script on a free port, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *options],
        cwd=APP,
        env={**os.environ, "EXPLORER_STORE": store},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except (URLError, OSError):
                time.sleep(0.25)
        yield process, url
    finally:
        process.terminate()
        process.wait(20)


def new_tabs(browser: Browser, server: subprocess.Popen[bytes], url: str, page: str, repeats: int) -> Visits:
    """A page's first visits in new tabs, after one that warms the server."""
    visits = Visits()
    for i in range(repeats + 1):
        tab, received = open_tab(browser)
        before = processor_seconds(server.pid), browsers_seconds()
        tab.goto(f"{url}/{page}")
        wall = settled(tab)
        if i:
            visits.wall.append(wall)
            visits.server.append(processor_seconds(server.pid) - before[0])
            visits.browser.append(browsers_seconds() - before[1])
            visits.received.append(sum(received))
        tab.context.close()
    return visits


def menu(browser: Browser, url: str, repeats: int) -> dict[str, list[float]]:
    """Seconds from a click in the menu to the settled page, page after page, after one round that warms the server."""
    seconds: dict[str, list[float]] = {page: [] for page in PAGES}
    tab, _ = open_tab(browser)
    tab.goto(url)
    settled(tab)
    for i in range(repeats + 1):
        for place in (*range(1, len(PAGES)), 0):
            link = _link(tab, PAGES[place])
            start = tab.evaluate("performance.now()")
            link.click()
            wall = settled(tab) - start / 1000
            if i:
                seconds[PAGES[place]].append(wall)
    tab.context.close()
    return seconds


def _link(tab: Page, page: str) -> Locator:
    """The menu's link to a page; one that stands under a word of the menu once that is open."""
    ending = "/" if page == PAGES[0] else f"/{page}"
    places = ("stTopNavLink", "stTopNavDropdownLink")
    link = tab.locator(", ".join(f"[data-testid={place}][href$='{ending}']" for place in places))
    if not link.count():
        tab.get_by_test_id("stTopNavSection").click()
        link.wait_for()
    return link


def open_tab(browser: Browser) -> tuple[Page, list[int]]:
    """A tab without a cache, and the bytes that it receives."""
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    tab.set_default_timeout(60_000)
    tab.add_init_script(WATCH)
    received: list[int] = []
    session = tab.context.new_cdp_session(tab)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    session.on(
        "Network.webSocketFrameReceived", lambda event: received.append(len(event["response"]["payloadData"]) * 3 // 4)
    )
    return tab, received


def settled(tab: Page) -> float:
    """Seconds since the tab was opened at which the page last changed."""
    tab.wait_for_timeout(100)  # a click is answered with a new script run first
    tab.wait_for_function(SETTLED)
    return float(tab.evaluate("window.lastChange")) / 1000


def processor_seconds(pid: int) -> float:
    """Seconds of processor time a process has taken."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def browsers_seconds() -> float:
    """Seconds of processor time that the browser this process started has taken, without its tabs that have ended."""
    seconds, ours = 0.0, {os.getpid()}
    for pid in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
        try:
            if int(_stat(pid)[1]) in ours:
                ours.add(pid)
                if "chrom" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
                    seconds += processor_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return seconds


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
