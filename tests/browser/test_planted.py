"""A store whose every text is Markdown, HTML and worse, in a real browser: nothing is fetched, linked or drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from explorer.store.reader import Store
from tests.browser.conftest import IN_DEPTH, serve, settle
from tests.planted import HOST, KINDS, PLANTS, VIEWS, plant_store, said_as_written

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

FOREIGN = ", ".join(
    (
        *(f'{tag}="//{www}{HOST}"]' for tag in ("a[href*", "img[src*") for www in ("", "www.")),
        *('[href^="mailto:"]', ".katex", '[aria-label="home icon"]', ".emoji"),
    )
)
"""What a browser would make of the plants; the app's own links may name a film, and hold its id in their query."""
CHARTED = ("dataset", "separability")
"""Pages whose first view has charts as wide as the page."""
SHORT = {page: (page, query) for page, query in reversed(VIEWS) if page in (*CHARTED, "map")}
OPENED = VIEWS if IN_DEPTH else tuple(SHORT.values())
WRITTEN = KINDS if IN_DEPTH else ("a",)


@pytest.fixture(scope="module")
def planted(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store]]:
    root = tmp_path_factory.mktemp("planted")
    store = plant_store(tiny_store, root)
    server, url = serve(root)
    yield url, store
    server.terminate()
    server.wait(20)


def visit(
    window: BrowserContext, url: str, page: str, query: dict[str, str]
) -> tuple[str, list[str], int, list[float]]:
    """A page's text, the requests to other hosts, what was made of plants, and the shares of charts left to plots."""
    tab = window.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    try:
        tab.goto(f"{url}/{page}?{urlencode(query)}")
        settle(tab)
        if page in CHARTED:
            tab.locator(".still-plot").first.wait_for(state="attached")
        tab.wait_for_load_state("networkidle")
        text = tab.inner_text("[data-testid=stMain]")
        made = tab.locator(FOREIGN).count()
        shares = tab.eval_on_selector_all(
            ".still, .js-plotly-plot",
            """charts => charts.flatMap(chart => {
                const plot = chart.querySelector(".still-plot, .nsewdrag");
                const width = chart.getBoundingClientRect().width;
                return plot && width > 500 ? [plot.getBoundingClientRect().width / width] : [];
            })""",
        )
    finally:
        tab.close()
    own = (url, "data:", "blob:", url.replace("http", "ws"))
    return said_as_written(text), [address for address in asked if not address.startswith(own)], made, shares


@pytest.mark.parametrize(("page", "query"), OPENED)
def test_no_view_asks_links_or_squeezes(
    window: BrowserContext, planted: tuple[str, Store], page: str, query: dict[str, str]
) -> None:
    _, outside, made, shares = visit(window, planted[0], page, query)
    assert outside == []
    assert made == 0
    assert shares or page not in CHARTED
    assert all(share > 0.4 for share in shares), "a name of 250 characters leaves room for the chart"


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_films_texts_stand_on_its_page_as_they_are_written(
    window: BrowserContext, planted: tuple[str, Store], kind: str
) -> None:
    url, store = planted
    ids = store.samples["sample_id"]
    film = str(ids[ids.str.startswith(PLANTS[kind])].iat[0])
    text, outside, made, _ = visit(window, url, "case", {"film": film})
    assert outside == []
    assert made == 0
    hidden = {"override": "\u202e", "zero width": "\u200b"}
    if kind == "new line":
        written = "b # a"
    elif kind == "long":
        written = "L" * 59 + "…"
    else:
        written = PLANTS[kind].replace(hidden.get(kind, "\ufffd"), "\ufffd")
    assert written in text


@pytest.mark.parametrize("kind", WRITTEN)
def test_an_address_brings_no_markup(window: BrowserContext, planted: tuple[str, Store], kind: str) -> None:
    address = dict.fromkeys(("film", "label", "split", "sel", "view", "text", PLANTS[kind]), PLANTS[kind])
    text, outside, made, _ = visit(window, planted[0], "case", address)
    assert outside == []
    assert made == 0
    assert "This address asks for what this page does not know" in text
