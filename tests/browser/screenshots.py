"""The pictures of the docs: ``python -m tests.browser.screenshots STORE [RUN]``, by default of the latest run.

Labels and films are those of the demo, whose films are phantoms: pictures of patients have no place in the docs.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser.conftest import WAIT, launched, serve, settle_dressed
from tests.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = ROOT / "docs/images"
SIZE = {"width": 1440, "height": 900}
QUALITY = 78
VIEWS = {
    "overview": "",
    "map": "map?label=cardiomegaly",
    "separability": "separability",
    "neighbours": "neighbours?label=cardiomegaly",
    "pr-curves": "pr_curves",
    "grad-cam": "grad_cam?label=cardiomegaly&film=target-00964",
    "case": "case?label=lung-opacity&overlay=linear_probe",
    "audit": "audit?audit=shortcuts",
    "protocols": "protocols",
}
PROBLEMS = "[data-testid=stAlertContentWarning],[data-testid=stAlertContentError],[data-testid=stException]"
STILL = 1.5
"""Seconds without a change after which a page counts as drawn."""


def main(store: Path, run: str = "") -> None:
    """Photograph every view in a light window."""
    server, url = serve(store.resolve())
    try:
        with launched() as browser:
            for name, view in VIEWS.items():
                page = browser.new_page(viewport=SIZE, color_scheme="light")
                page.set_default_timeout(WAIT)
                page.goto(f"{url}/{view}{'&' if '?' in view else '?'}run={run}" if run else f"{url}/{view}")
                settle_dressed(page)
                if page.locator(PROBLEMS).count():
                    raise ValueError(f"{view or name}: {page.locator(PROBLEMS).first.inner_text()}")
                Image.open(io.BytesIO(still(page))).convert("RGB").save(
                    IMAGES / f"{name}.jpg", quality=QUALITY, optimize=True, progressive=True
                )
                page.close()
    finally:
        server.terminate()
        server.wait(20)


def still(page: Page) -> bytes:
    """The page as a PNG file once it has stopped changing: figures and films come after the page's script has ended."""
    before, since, end = b"", time.monotonic(), time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        now = page.screenshot()
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STILL:
            return now
        time.sleep(0.2)
    raise TimeoutError(f"{page.url} does not stand still")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
