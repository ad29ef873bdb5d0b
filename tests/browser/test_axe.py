"""No page has a serious fault of accessibility, by axe-core: light and dark, wide and on a phone.

``make fuzz`` opens every page in all four; the default suite opens one page in each.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.browser.conftest import IN_DEPTH, settle_dressed
from tests.pages import TITLES

if TYPE_CHECKING:
    from playwright.sync_api import Page

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
SCRIPT = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

Scheme = Literal["light", "dark"]
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390))
SOME = zip(("case", "pr_curves", "map", "grad_cam"), LOOKS, strict=True)
OPENED = list(product(TITLES, LOOKS)) if IN_DEPTH else list(SOME)
OTHERS = {"exclude": [["[data-testid=stSidebarNav]"]]}
"""Streamlit's own menu on a phone: a list with sections that are no items."""
SERIOUS = ("serious", "critical")
FADED_IN = "document.getAnimations().every(one => one.playState !== 'running' || one.effect.getTiming().iterations > 1)"
"""Text that still fades in has a contrast of its own at each moment."""


@pytest.mark.parametrize(("name", "look"), OPENED)
def test_a_page_has_no_serious_fault(page: Page, address: str, name: str, look: tuple[Scheme, int]) -> None:
    scheme, width = look
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/{name}")
    settle_dressed(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('[data-stale=true]')")
    page.wait_for_function(FADED_IN)
    page.evaluate(SCRIPT)
    violations: list[dict[str, Any]] = page.evaluate(
        "others => axe.run(others).then(result => result.violations)", OTHERS
    )
    serious = [one for one in violations if one["impact"] in SERIOUS]
    faults = [f"{one['id']}: {node['html'][:200]}" for one in serious for node in one["nodes"]]
    assert not faults, "\n".join(faults)
