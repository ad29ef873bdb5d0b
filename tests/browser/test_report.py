"""The report: the pages' own words and figures in one file, which asks nothing of anyone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import streamlit as st

from explorer.report import document
from explorer.report.markup import Markup, in_html
from explorer.report.pages import ReportedPage, reported_pages, run_page
from explorer.store import open_store
from explorer.store.reader import Store
from explorer.tables.results import regime_table
from explorer.tables.story import headline
from tests.conftest import Call, run_command
from tests.planted import HOST, PLANTS, plant_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LARGEST = 15e6
"""Bytes of a report that travels by mail."""


class Parsed(HTMLParser):
    """A document's tags with their attributes, its visible text, and its scripts by type."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[str(self.tags[-1][1].get("type"))] = data
        elif self._inside != "style":
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def file(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny store's report, as the command writes it."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        assert run_command(patch, "report", tiny_store, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def parsed(file: Path) -> Parsed:
    return Parsed(file.read_text(encoding="utf-8"))


def only_first_views(store: Store) -> tuple[ReportedPage, ...]:
    """A page's first view and its last stand for all."""
    return tuple(
        page._replace(views=page.views[:1] if len(page.views) == 1 else (page.views[0], page.views[-1]))
        for page in reported_pages(store)
    )


def made(store: Store, patch: pytest.MonkeyPatch, with_films: bool) -> str:
    """A short report, made in this process."""
    patch.setenv("EXPLORER_STORE", str(store.path.parent))
    patch.setattr(document, "reported_pages", only_first_views)
    st.cache_data.clear()
    st.cache_resource.clear()
    return document.report(store, with_films, lambda done, total: None)


def assert_asks_nothing(parsed: Parsed) -> None:
    """No address but those within the file, and no script but the one that the policy names."""
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, attributes)
        assert "url(" not in re.sub(r"url\(#", "", attributes.get("style") or "")
    (policy,) = (str(a["content"]) for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    assert set(parsed.scripts) == {"None", "application/json"}
    digest = base64.b64encode(hashlib.sha256(parsed.scripts["None"].encode()).digest()).decode()
    assert policy.startswith(
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    )
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_report_asks_nothing_of_anyone(file: Path, parsed: Parsed) -> None:
    assert_asks_nothing(parsed)
    assert file.stat().st_size < LARGEST


def test_the_report_says_what_the_pages_say(tiny_store: Path, parsed: Parsed) -> None:
    store = open_store(tiny_store)
    assert Parsed(in_html(headline(store, "test").sentence)).text in parsed.text
    for cell in regime_table(store, "test", "macro").to_numpy().ravel():
        assert str(cell) in parsed.text
    for page in reported_pages(store):
        assert page.title in parsed.text
        assert [view.heading for view in page.views if view.heading not in parsed.text] == []
    for label in store.labels:
        assert label in parsed.text
    assert store.run_id in parsed.text
    assert "Not a medical device." in parsed.text
    assert sum(tag == "canvas" for tag, _ in parsed.tags) == len({space.name for space in store.spaces})


def test_films_and_reports_stay_out_unless_asked_for(
    tiny_store: Path, file: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tiny_store)
    text = file.read_text(encoding="utf-8")
    assert "image/jpeg" not in text
    reports = {report for report in store.samples["report"] if len(report) > 40}
    assert reports
    assert not [report for report in reports if report in text]

    out = tmp_path / "report.html"
    code, _, err = call("report", tiny_store, "--out", out, "--with-films")
    assert code == 1
    assert "you have not said that you may share it" in err
    assert store.manifest.dataset.licence in err
    assert not out.exists()
    assert "data:image/jpeg;base64," in made(store, monkeypatch, with_films=True)


def test_what_the_pages_process_meets_is_told(call: Call, tiny_store: Path, tmp_path: Path) -> None:
    code, _, err = call("report", tiny_store, "--out", tmp_path / "none", "--run", "absent")
    assert code == 1
    assert "no complete run 'absent'" in err


def test_texts_of_a_store_stay_texts(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Parsed(made(plant_store(tiny_store, tmp_path), monkeypatch, with_films=False))
    assert_asks_nothing(planted)
    for kind in ("link", "bare link", "img", "a", "formula", "icon", "colour"):
        assert PLANTS[kind][:20] in planted.text, kind
    words = ("aria-label", "title")  # which are read as they stand
    held = [(tag, a) for tag, a in planted.tags if HOST in str({n: v for n, v in a.items() if n not in words})]
    assert held == []
    review = Markup("audit", with_films=False).block(run_page("audit", {"audit": "labels"}).main)
    assert "reviewed so far" in review
    assert "reviewer" not in review, "what annotators said under their names stays in the store"


# --- in a browser ----------------------------------------------------------------------------------------------------


def test_the_report_opens_from_a_file_without_a_network(browser: Browser, file: Path) -> None:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(file.as_uri())
    canvas = page.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    tip = page.locator("#map-tip")
    for x in range(10, int(box["width"]), 6):  # over the map until a film is under the pointer
        page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
        if tip.is_visible():
            break
    films = page.evaluate("data.films")
    assert tip.inner_text().split("\n")[0] in films
    counts = page.locator("#map-counts").inner_text()
    page.locator("#map-label").select_option(index=3)
    assert page.locator("#map-counts").inner_text() != counts
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pages = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert pages >= 8, "each section begins on a page of its own"
    context.close()


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", lambda c: c == 255), ("dark", lambda c: c < 40)])
def test_the_report_is_light_or_dark_as_the_reader_likes(
    browser: Browser, file: Path, scheme: str, is_dark: Callable[[int], bool]
) -> None:
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(file.as_uri())
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert is_dark(int(re.findall(r"\d+", ground)[0]))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing reaches beyond a phone's side"
    context.close()
