"""The real app in a real browser: what only a browser can show."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from explorer.store.marks import read_marks
from explorer.store.runs import open_store
from explorer.ui.shared import selection
from explorer.ui.shared.frame import PAGES as MENU
from tests.browser.conftest import IN_DEPTH, WAIT, serve, settle
from tests.pages import TITLES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

PAGES = tuple(TITLES)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def assert_whole(page: Page) -> None:
    settle(page)
    on_phone = page.get_by_test_id("stExpandSidebarButton").count() == 1
    assert on_phone or page.get_by_test_id("stTopNavLink").count() == len(MENU[""]) + 1
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert "Research use only" in page.inner_text("[data-testid=stMain]")


@pytest.mark.parametrize("name", PAGES if IN_DEPTH else ("overview",))
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
    page.goto(f"{address}/pr_curves?view=one")
    assert_whole(page)
    box = page.get_by_role("combobox", name="Label")
    shown = box.input_value()
    wanted = next(label for label in reversed(labels) if label not in shown)
    box.click()
    box.fill(wanted)
    page.get_by_role("option", name=wanted, exact=True).click()
    page.wait_for_url(f"**label={wanted.lower().replace(' ', '-')}&**")
    settle(page)
    link = page.url

    page.goto("about:blank")
    page.goto(link)
    assert_whole(page)
    assert f"{wanted} in test" in page.inner_text("[data-testid=stMain]")


def test_an_empty_split_leaves_the_page_and_the_session_whole(page: Page, address: str) -> None:
    page.goto(f"{address}/case?split=")
    assert_whole(page)
    assert page.get_by_text("This address asks for what this page does not know: split (empty)").count() == 1
    page.get_by_test_id("stTopNavLink").filter(has_text="Overview").click()
    page.get_by_role("heading", name="Overview").wait_for()
    assert_whole(page)


def place(page: Page, panel: int, layouts: list[np.ndarray], row: int) -> tuple[float, float]:
    """Where a film lies on the screen: the maps of one size, 12 pixels off the edges, in the middle, y up."""
    box = page.locator("canvas.top").nth(panel).bounding_box()
    assert box
    room = np.array([box["width"] - 24, box["height"] - 24])
    spans = [np.ptp(xy, axis=0) for xy in layouts]
    side = min((room / (span / span.max())).min() for span in spans)  # pixels of a map's longer side
    xy = layouts[panel]
    dx, dy = ((xy[row] - (xy.min(axis=0) + xy.max(axis=0)) / 2) / spans[panel].max()).tolist()
    return box["x"] + box["width"] / 2 + dx * side, box["y"] + box["height"] / 2 - dy * side


def lonely(xy: np.ndarray, rows: np.ndarray) -> list[int]:
    """The rows that lie farthest from their nearest other, so that nothing else can be under the cursor."""
    apart = np.linalg.norm(xy[rows][:, None] - xy[rows][None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return rows[np.argsort(-apart.min(axis=1))].tolist()


def test_the_film_under_the_cursor_is_the_film_opened_on_a_filtered_and_recoloured_map(
    page: Page, address: str, tiny_store: Path
) -> None:
    store = open_store(tiny_store)
    layouts = [np.asarray(store.map(store.space_of(regime.name, "decision").name)) for regime in store.regimes]
    page.goto(f"{address}/map?split=val&space=Decision+(logits)")
    assert_whole(page)
    for colour, name in (("Score", "score"), ("Right across regimes", "right")):
        page.get_by_role("combobox", name="Colour by").click()
        page.get_by_role("option", name=f"Colour: {colour.lower()}", exact=True).click()
        page.wait_for_url(f"**colour={name}&**")
        settle(page)
        for panel in range(len(layouts)):
            row = lonely(layouts[panel], store.rows("val"))[panel]
            sample_id = str(store.samples["sample_id"].iat[row])
            page.mouse.move(*place(page, panel, layouts, row))
            page.locator(".tip img").wait_for()
            assert page.locator(".tip").inner_text().startswith(sample_id)
            page.mouse.click(*place(page, panel, layouts, row))
            page.wait_for_url(f"**film={sample_id}**")
            page.get_by_role("heading", name=f"Film {sample_id}").wait_for()
    page.reload()
    page.get_by_role("heading", name=f"Film {sample_id}").wait_for()


def test_a_box_lights_up_its_films_and_its_link_opens_them_again(page: Page, address: str, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    page.goto(f"{address}/map")
    assert_whole(page)
    page.get_by_role("button", name="Box").click()
    assert page.locator("canvas.top").count() == 2, "zero-shot and linear probe share one map"
    layouts = [np.asarray(store.map(name)) for name in ("frozen", "fine_tune")]
    rows = store.rows("test")
    picture = page.locator("canvas.top").nth(1)
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box
    left = [row for row in rows if place(page, 1, layouts, row)[0] < box["x"] + box["width"] / 2]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=5)
    page.mouse.up()
    page.get_by_text(f"{len(left)} films selected").wait_for()
    page.get_by_role("button", name=f"{len(left)} films", exact=True).wait_for()
    page.wait_for_url("**sel=**")
    token = page.url.split("sel=")[1].split("&")[0]
    assert selection.unpack(token, store.manifest.run_id, store.n)[0].tolist() == sorted(int(row) for row in left)
    thumbnails = page.locator(".sheet button:has(img)")
    playwright.expect(thumbnails).to_have_count(min(24, len(left)))
    first = store.samples["sample_id"].iat[min(left)]
    thumbnails.first.click()
    page.get_by_role("heading", name=f"Film {first}").wait_for()
    page.wait_for_url(f"**film={first}**")
    page.get_by_role("button", name="Selection", exact=True).click()
    playwright.expect(thumbnails.first).to_be_visible()
    page.goto(f"{address}/neighbours?sel={token}")
    settle(page)
    page.goto(f"{address}/map?sel={token}")
    page.get_by_text(f"{len(left)} films selected").wait_for()


def test_films_are_stepped_selected_and_opened_with_the_keyboard(page: Page, address: str, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    page.goto(f"{address}/map?split=val")
    assert_whole(page)
    picture, status = page.locator("canvas.top").first, page.locator(".maps [role=status]")
    assert "Arrow keys" in (picture.get_attribute("aria-label") or "")
    assert picture.get_attribute("role") == "application"
    picture.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(status).to_have_text(re.compile(r".+: .+"))
    first = status.inner_text()
    page.keyboard.press("ArrowLeft")
    playwright.expect(status).not_to_have_text(first)
    name = status.inner_text().split(": ")[0]
    xy, rows = np.asarray(store.map("frozen")), store.rows("val")
    here, there = (int(store.row_of(text.split(": ")[0]) or 0) for text in (first, name))
    assert {here, there} <= set(rows.tolist())
    assert xy[there, 0] < xy[here, 0], "the arrow to the left leads to the left"
    page.keyboard.press("Space")
    page.get_by_text("1 film selected").wait_for()
    page.keyboard.press("Escape")
    playwright.expect(page.get_by_text("1 film selected")).to_have_count(0)
    picture.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(status).to_have_text(re.compile(r".+: .+"))
    name = status.inner_text().split(": ")[0]
    page.keyboard.press("Enter")
    page.wait_for_url("**/case?**")
    assert f"film={name}" in page.url


def test_a_film_beside_the_maps_leads_to_its_pages(page: Page, address: str, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    film = str(store.samples["sample_id"].iat[store.rows("test")[0]])
    page.goto(f"{address}/map?film={film}&label=fracture")
    assert_whole(page)
    for title, file in (("Neighbours", "neighbours"), ("Grad-CAM", "grad_cam")):
        page.get_by_role("heading", name=f"Film {film}").wait_for()
        link = page.locator(".links").get_by_role("link", name=title)
        assert f"film={film}" in (link.get_attribute("href") or "")
        link.click()
        page.wait_for_url(f"**/{file}?**film={film}**")
        assert_whole(page)
        page.go_back()


def test_coordinates_are_sent_once(page: Page, address: str) -> None:
    """A new colour and a selection are told in messages smaller than any that carries the maps."""
    frames: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(len(frame))))
    page.goto(f"{address}/map")
    assert_whole(page)
    page.locator("canvas.top").first.wait_for()
    page.wait_for_timeout(500)
    geometry = max(frames)
    frames.clear()
    page.get_by_role("combobox", name="Colour by").click()
    page.get_by_role("option", name="Colour: score", exact=True).click()
    page.wait_for_url("**colour=score&**")
    settle(page)
    page.wait_for_timeout(500)
    assert frames
    assert max(frames) < geometry / 2


def test_a_film_is_zoomed_windowed_and_stepped_with_the_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}/case")
    assert_whole(page)
    film = page.locator("svg[role=img]")
    film.wait_for()
    name = film.get_attribute("aria-label")
    whole = film.get_attribute("viewBox")
    tools = page.locator(".bar")
    tools.get_by_role("button", name="Zoom in").click()
    assert film.get_attribute("viewBox") != whole
    page.locator("canvas[data-painted=values]").wait_for(state="attached")
    page.get_by_label("Window", exact=True).fill("60")
    note = page.locator(".note")
    assert "window 60 · level 128 · 8 grey bits" in note.inner_text()
    tools.get_by_role("button", name="Reset").click()
    assert film.get_attribute("viewBox") == whole
    assert "100% · window 255 · level 128" in note.inner_text()
    page.get_by_label("Level", exact=True).press("ArrowRight")
    assert film.get_attribute("aria-label") == name, "an arrow key in a slider moves the slider"
    film.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**film=**")
    playwright.expect(film).not_to_have_attribute("aria-label", name or "")
    page.keyboard.press("ArrowLeft")
    playwright.expect(film).to_have_attribute("aria-label", name or "")


def test_a_phone_has_the_open_view_in_sight_in_its_row(phone: Page, address: str) -> None:
    phone.goto(f"{address}/pr_curves?view=elsewhere")
    assert_whole(phone)
    chosen = phone.get_by_role("radio", name="Another hospital", exact=True)
    playwright.expect(chosen).to_be_in_viewport(ratio=0.9)
    phone.get_by_role("radio", name="Overview", exact=True).click()
    settle(phone)
    phone.go_back()
    playwright.expect(chosen).to_be_checked()
    playwright.expect(chosen).to_be_in_viewport(ratio=0.9)


def test_two_fingers_zoom_the_film_and_the_maps(phone: Page, address: str) -> None:
    touch = phone.context.new_cdp_session(phone)

    def spread(box: FloatRect | None) -> None:
        """Two fingers, from 40 to 80 pixels apart about the middle."""
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind, half in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40)):
            fingers = [{"x": x - half, "y": y, "id": 0}, {"x": x + half, "y": y, "id": 1}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    phone.goto(f"{address}/case")
    assert_whole(phone)
    film = phone.locator("svg[role=img]")
    film.scroll_into_view_if_needed()
    whole = [float(number) for number in (film.get_attribute("viewBox") or "").split()]
    spread(film.bounding_box())
    x, y, w, h = (float(number) for number in (film.get_attribute("viewBox") or "").split())
    assert w == pytest.approx(whole[2] / 2, rel=0.02)
    assert (x + w / 2, y + h / 2) == pytest.approx((whole[2] / 2, whole[3] / 2), rel=0.05)

    phone.goto(f"{address}/map")
    assert_whole(phone)
    top = phone.locator("canvas.top").first
    top.scroll_into_view_if_needed()
    before = top.screenshot()
    spread(top.bounding_box())
    phone.wait_for_timeout(500)
    assert top.screenshot() != before


def test_a_box_drawn_on_a_film_is_saved_in_the_films_own_pixels(
    browser: Browser, tiny_store: Path, tmp_path: Path
) -> None:
    original = open_store(tiny_store)
    shutil.copytree(original.path, tmp_path / "store" / original.path.name)
    shutil.copytree(tiny_store / "films", tmp_path / "store/films")
    server, url = serve(tmp_path / "store")
    page = browser.new_page(viewport={"width": 1280, "height": 1100})
    page.set_default_timeout(WAIT)
    try:
        page.goto(f"{url}/grad_cam?show=Mark")
        assert_whole(page)
        page.get_by_placeholder("name or initials").fill("Dr A")
        page.keyboard.press("Enter")
        page.get_by_text("marks are").wait_for()
        settle(page)
        film = page.locator("svg[role=img]")
        box, size = film.bounding_box(), film.get_attribute("viewBox").split()  # type: ignore[union-attr]
        scale = float(size[3]) / box["height"]  # black bars are beside the film
        beside = (box["width"] - float(size[2]) / scale) / 2
        assert box["height"] >= 0.7 * 1100

        def draw() -> None:
            page.mouse.move(box["x"] + beside + 50, box["y"] + 60)
            page.mouse.down()
            page.mouse.move(box["x"] + beside + 130, box["y"] + 180, steps=3)
            page.mouse.up()

        draw()
        playwright.expect(film.locator("polygon")).to_have_count(1)
        page.get_by_role("button", name="All 1 mark of 1 annotator").wait_for()
        store = open_store(tmp_path / "store")
        (mark,) = read_marks(store).to_dict("records")
        assert [mark[side] for side in "xywh"] == pytest.approx([v * scale for v in (50, 60, 80, 120)], abs=1)
        assert mark["annotator"] == "Dr A"
        assert mark["blind"]
        settle(page)
        playwright.expect(film.locator("polygon.waiting")).to_have_count(0)

        page.keyboard.press("Control+z")
        playwright.expect(film.locator("polygon")).to_have_count(0)
        settle(page)
        page.get_by_role("button", name="Zoom in").click()
        draw()
        page.get_by_role("button", name="All 1 mark of 1 annotator").wait_for()
        settle(page)
        (zoomed,) = read_marks(store).to_dict("records")
        assert [zoomed["w"], zoomed["h"]] == pytest.approx([80 * scale / 1.5, 120 * scale / 1.5], abs=1)

        page.mouse.click(box["x"] + beside + 90, box["y"] + 120)
        page.get_by_role("button", name="Delete", exact=True).click()
        playwright.expect(film.locator("polygon")).to_have_count(0)
        settle(page)
        assert read_marks(store).empty
    finally:
        page.close()
        server.terminate()
        server.wait(20)


def test_the_boards_links_carry_the_chosen_label(page: Page, address: str) -> None:
    for name, file in (("on the map", "map"), ("PR curves", "pr_curves")):
        page.goto(f"{address}/separability?label=Fracture")
        assert_whole(page)
        page.get_by_test_id("stMain").get_by_role("link", name=name).click()
        page.wait_for_url(f"**/{file}?**")
        assert_whole(page)
        assert "label=fracture" in page.url


def test_a_click_on_a_labels_small_curves_opens_it(page: Page, address: str) -> None:
    page.goto(f"{address}/pr_curves?few=1")  # in 24 films no finding has 5 positives
    assert_whole(page)
    page.get_by_role("button", name="Lung Opacity").click()
    page.wait_for_url("**view=one&label=lung-opacity&**")
    assert_whole(page)
