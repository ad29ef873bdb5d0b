"""A link opens exactly the view it was copied from, in another person's browser; Back and Forward step through views.

``LINKS_PER_PAGE`` sets how many random views of every page are opened (``make links``: twenty); by default one
view of one page.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from explorer.store.runs import open_store
from explorer.ui.shared import selection
from tests.browser.conftest import WAIT, settle, settle_dressed
from tests.pages import TITLES
from tests.views import an_address

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PER_PAGE = int(os.environ.get("LINKS_PER_PAGE", "0"))
OPENED = [(page, seed) for page in TITLES for seed in range(PER_PAGE)] or [("pr_curves", 3)]
BY_MODEL = ("cam", "explain", "by", "prompts", "words")
"""Parameters that may run a model, which takes seconds: they keep their default."""


def text_of(page: Page) -> str:
    """All that a page shows as text, once all of it is there."""
    settle(page)
    page.wait_for_url("**run=**")
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSkeleton]')")
    return page.inner_text("[data-testid=stMain]")


def menu(page: Page, title: str) -> None:
    """Go to a page as a visitor does."""
    link = page.get_by_test_id("stTopNavLink").filter(has_text=title)
    if not link.count():
        page.get_by_test_id("stTopNavSection").click()
        link = page.get_by_test_id("stTopNavDropdownLink").filter(has_text=title)
    link.click()
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.wait_for_url("**run=**")
    settle(page)


def choose(page: Page, label: str) -> None:
    page.get_by_role("combobox", name="Label", exact=True).click()
    page.get_by_role("option", name=label, exact=True).click()
    page.wait_for_url(f"**label={label.lower()}&**")
    settle(page)


@pytest.mark.parametrize(("name", "seed"), OPENED)
def test_a_random_view_opens_the_same_in_a_fresh_browser(
    browser: Browser, page: Page, address: str, tiny_store: Path, name: str, seed: int
) -> None:
    store = open_store(tiny_store)
    query = an_address(store, name, random.Random(f"{name} {seed}"), without=BY_MODEL)
    page.goto(f"{address}/{name}?{urlencode(query, doseq=True)}")
    text = text_of(page)
    assert "does not know" not in text
    other = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        other.set_default_timeout(WAIT)
        other.goto(page.url)
        assert text_of(other) == text
        assert other.url == page.url, "a complete address is left as it is"
        assert other.title() == page.title()
    finally:
        other.close()


def test_back_and_forward_step_through_labels_and_pages(page: Page, address: str) -> None:
    page.goto(f"{address}/case?label=edema")
    settle(page)
    page.wait_for_url("**/case?run=**")
    for label in ("Fracture", "Cardiomegaly"):
        choose(page, label)
    menu(page, "Separability")
    assert "label=cardiomegaly" in page.url
    for label in ("cardiomegaly", "fracture", "edema"):
        page.go_back()
        page.wait_for_url(f"**/case?**label={label}&**")
        playwright.expect(page).to_have_title(re.compile(f"^{label.capitalize()} · "))
        settle(page)
    page.go_forward()
    page.wait_for_url("**/case?**label=fracture&**")
    playwright.expect(page).to_have_title(re.compile("^Fracture · .+ · Case · "))


def test_a_walk_by_the_menu_keeps_what_was_chosen_and_each_address_holds_its_own_page_alone(
    page: Page, address: str, tiny_store: Path
) -> None:
    store = open_store(tiny_store)
    film = str(store.samples["sample_id"].iat[store.rows("test")[4]])
    token = selection.pack(store.manifest.run_id, store.n, store.rows("test")[:3], "three")
    page.goto(f"{address}/map?{urlencode({'label': 'fracture', 'film': film, 'sel': token, 'split': 'val'})}")
    settle(page)
    hops = random.Random(5).choices(list(TITLES.values()), k=14) if PER_PAGE else ["Overview", "Separability"]
    for title in (*hops, "Case"):
        menu(page, title)
        for name, chosen in (("label", "fracture"), ("film", film), ("sel", token), ("split", "val")):
            assert f"{name}={chosen}" in page.url or f"{name}=" not in page.url, title
    assert f"film={film}" in page.url
    assert f"sel={token}" in page.url


def test_copy_link_copies_the_complete_address_on_a_phone(phone: Page, address: str) -> None:
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    phone.goto(f"{address}/protocols?split=val")
    settle(phone)
    phone.wait_for_url("**run=**")
    button = phone.get_by_role("button", name="Copy link")
    box = button.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    button.tap()
    phone.get_by_text("Copied").wait_for()
    assert phone.evaluate("navigator.clipboard.readText()") == phone.url
    phone.evaluate("navigator.clipboard.writeText('')")
    phone.evaluate("delete Navigator.prototype.clipboard")  # as on a page that comes by http
    button.tap()
    phone.get_by_text("Copied").wait_for()


def test_what_is_being_made_anew_dims_at_once(page: Page, address: str) -> None:
    page.goto(f"{address}/protocols")
    settle_dressed(page)
    seconds, opacity = page.evaluate(
        """async () => {
            for (;;) {
                const element = document.querySelector("[data-testid=stMain] [data-testid=stElementContainer]");
                element.dataset.stale = "true";
                const style = getComputedStyle(element);
                const seconds = parseFloat(style.transitionDuration) + parseFloat(style.transitionDelay);
                await Promise.allSettled(element.getAnimations().map(fading => fading.finished));
                if (element.isConnected && element.dataset.stale === "true")  // not drawn anew meanwhile
                    return [seconds, +style.opacity];
            }
        }"""
    )
    assert seconds < 0.2
    assert opacity < 0.5
