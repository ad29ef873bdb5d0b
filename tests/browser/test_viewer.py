"""The film viewer in a real browser, on films made by hand and without a server: pixels, keys, measures, turns."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from explorer.data.stored_film import Spacing, StoredFilm
from explorer.data.viewer_film import for_viewer
from explorer.figures.overlay import MapStyle, map_layers
from explorer.ui.components.modules import joined
from explorer.ui.components.viewer import FILM_CSS, Film, Pane, film_html, films_data
from tests.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

WIDTH, HEIGHT = 600, 400
WINDOW: ViewportSize = {"width": WIDTH, "height": 700}
Pixel = Callable[[float, float], list[int]]


def deep_film(name: str = "film") -> dict[str, Any]:
    """12 bits: the value rises by 6 with each column, to 3594; rows lie 0.2 mm apart, columns 0.1 mm."""
    values = np.broadcast_to(np.arange(WIDTH, dtype=np.uint16) * 6, (HEIGHT, WIDTH)).copy()
    grey = (np.arange(2**16) >> 4).astype(np.uint8)
    film = for_viewer(StoredFilm(values, grey, 12, spacing=Spacing(0.2, 0.1, at_detector=True)))
    facts = {
        "name": name,
        "width": WIDTH,
        "height": HEIGHT,
        "poster": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==",
        "about": film.words(),
        "columns": WIDTH,
        "rows": HEIGHT,
        "n": len(film.grey),
        "deep": True,
        "slope": film.slope,
        "intercept": film.intercept,
        "padded": film.padded,
        "inverted": film.inverted,
        "windows": {"default": film.window, "lung": film.lung, "bone": film.bone},
        "spacing": asdict(film.spacing) if film.spacing else None,
    }
    return {"facts": facts, "url": "data:application/octet-stream;base64," + base64.b64encode(film.packed()).decode()}


def data_of(*panes: Pane, url: str) -> dict[str, Any]:
    data: dict[str, Any] = {**films_data(panes), "steps": True, "compact": False}
    for film in data["films"].values():
        film["url"] = url
    return data


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for all tests here; each opens the viewer anew."""
    opened = browser.new_page(viewport=WINDOW)
    opened.set_default_timeout(20_000)
    yield opened
    opened.close()


def show(tab: Page, data: dict[str, Any]) -> Pixel:
    """Open the viewer; gives what reads a pixel of the first film's canvas."""
    script = joined(ROOT / "explorer/ui/components/viewer.js").replace(
        "export default function", "window.act = function"
    )
    css = ":root { --st-font: sans-serif; } body { margin: 0; }" + FILM_CSS
    tab.set_content(f"<input id=typed><style>{css}</style><div id=root>{film_html()}</div>")
    tab.evaluate(
        """([script, data]) => {
            (0, eval)(`{${script}}`);
            window.sent = [];
            const parentElement = document.getElementById("root");
            const setTriggerValue = (name, value) => sent.push([name, value]);
            window.again = () => act({ data, parentElement, setTriggerValue });
            again();
        }""",
        [script, data],
    )
    tab.wait_for_selector("canvas[data-painted=values]")

    def pixel(x: float, y: float) -> list[int]:
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        read = "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
        return tab.evaluate(read, [x, y])[:3]  # type: ignore[no-any-return]

    return pixel


def test_the_films_own_bits_are_windowed_by_keys_presets_and_the_right_button(tab: Page) -> None:
    film = deep_film()
    pixel = show(tab, data_of(Pane(Film(0, film["facts"])), url=film["url"]))
    note = tab.locator(".note")
    # column x holds 6 (x + 0.5) or so; the model's grey is its upper 8 bits
    assert pixel(300, 200)[0] == pytest.approx(1800 / 16, abs=1)
    assert "12 grey bits" in note.inner_text()
    tab.keyboard.press("2")  # lung: from the darkest 2% of the columns to the brightest 30%
    assert tab.get_by_label("Grey", exact=True).input_value() == "lung"
    assert pixel(300, 200)[0] == pytest.approx(255 * (300 - 12) / (420 - 12), abs=2)
    assert pixel(500, 200) == [255, 255, 255]
    tab.keyboard.press("i")
    assert pixel(500, 200) == [0, 0, 0]
    tab.keyboard.press("0")
    assert pixel(300, 200)[0] == pytest.approx(1800 / 16, abs=1)

    # a window of 200 values, of which 8 bits would leave 12 steps: neighbouring columns differ
    tab.get_by_label("Window", exact=True).fill("200")
    tab.get_by_label("Level", exact=True).fill("1800")
    greys = [pixel(x, 200)[0] for x in range(290, 310)]
    assert len(set(greys)) == 20
    assert tab.get_by_label("Grey", exact=True).input_value() == "hand"
    box = tab.locator("svg.film").bounding_box()
    assert box
    tab.mouse.move(box["x"] + 100, box["y"] + 100)
    tab.mouse.down(button="right")
    tab.mouse.move(box["x"] + 200, box["y"] + 100)
    tab.mouse.up(button="right")
    playwright.expect(note).to_contain_text("window 1,099 · level 1,800")  # 400 pixels are the film's range, 3,594

    tab.locator("#typed").focus()
    tab.keyboard.type("0i3")
    assert tab.get_by_label("Grey", exact=True).input_value() == "hand", "keys typed elsewhere do nothing"


def test_a_length_and_the_ratio_are_in_millimetres_and_follow_the_turn(tab: Page) -> None:
    film = deep_film()
    show(tab, data_of(Pane(Film(0, film["facts"])), url=film["url"]))
    box = tab.locator("svg.film").bounding_box()
    assert box
    measured = tab.locator(".measured")
    tab.keyboard.press("l")
    tab.mouse.move(box["x"] + 100, box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 400, box["y"] + 300, steps=3)
    tab.mouse.up()
    tab.evaluate("() => again()")  # as Streamlit runs it again
    tab.mouse.click(box["x"] + 300, box["y"] + 50)  # too short to be a length
    playwright.expect(tab.get_by_role("button", name="Length")).to_have_attribute("aria-pressed", "true")
    # 300 columns of 0.1 mm, 200 rows of 0.2 mm
    playwright.expect(measured).to_have_text("50.0 mm (at the detector)")
    tab.get_by_role("slider", name="Length: Second end").press("Shift+ArrowRight")
    playwright.expect(measured).to_have_text("50.6 mm (at the detector)")  # 310 columns: 31 mm
    tab.keyboard.press("t")
    playwright.expect(measured).to_have_text("50.6 mm (at the detector)")
    assert tab.locator("svg.film").get_attribute("viewBox") == f"0 0 {HEIGHT} {WIDTH}"
    tab.locator("svg.film").focus()
    tab.keyboard.press("Delete")
    playwright.expect(measured).to_have_text("")
    tab.keyboard.press("t")
    tab.keyboard.press("t")
    tab.keyboard.press("t")
    tab.keyboard.press("h")
    tab.get_by_text("CTR").first.wait_for()
    handle = tab.get_by_role("slider", name="Inner edge of the ribs, left in the picture").bounding_box()
    assert handle
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    # template: 0.1 and 0.17 of the width from the midline to the heart's borders, 0.72 of it for the thorax
    playwright.expect(measured).to_have_text("CTR 0.38 = 16.2 mm / 43.2 mm (at the detector)")
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 60, y, steps=2)
    tab.mouse.up()
    playwright.expect(measured).to_have_text("CTR 0.33 = 16.2 mm / 49.2 mm (at the detector)")


def test_marks_and_map_turn_and_zoom_with_the_film(tab: Page) -> None:
    film = deep_film()
    grid = np.zeros((10, 10), np.float32)
    grid[:, 8:] = 1  # the film's last columns
    layers = map_layers(grid, (0.0, 0.0, float(WIDTH), float(HEIGHT)), (WIDTH, HEIGHT), MapStyle("heat", 1.0, 0.5))
    mark = {"points": [[60, 40], [120, 40], [120, 80], [60, 80]], "label": "Edema", "reader": "R", "colour": "#00e6ff"}
    pixel = show(tab, data_of(Pane(Film(0, film["facts"]), marks=[mark], map=layers), url=film["url"]))

    def box_of(selector: str) -> list[int]:
        read = (
            "(each) => { const { x, y, width, height } = each.getBoundingClientRect(); return [x, y, width, height]; }"
        )
        stage = tab.locator("svg.film").bounding_box()
        assert stage
        x, y, width, height = tab.locator(selector).first.evaluate(read)
        return [round(x - stage["x"]), round(y - stage["y"]), round(width), round(height)]

    tab.wait_for_function("() => document.querySelector('svg.film').mapPicture")
    assert box_of("polygon:has(title)") == pytest.approx([60, 40, 60, 40], abs=3)
    assert max(pixel(570, 200)) - min(pixel(570, 200)) > 60, "heat over the last columns"
    assert max(pixel(100, 200)) == min(pixel(100, 200)), "grey elsewhere"
    tab.keyboard.press("t")
    stage = tab.locator("svg.film").bounding_box()
    assert stage
    k = min(stage["width"] / HEIGHT, stage["height"] / WIDTH)
    beside = (stage["width"] - k * HEIGHT) / 2
    # clockwise: the film's left is up, and a place (x, y) lies at (HEIGHT - y, x)
    turned = [beside + k * (HEIGHT - 80), k * 60, k * 40, k * 60]
    assert box_of("polygon:has(title)") == pytest.approx(turned, abs=3)
    hot, cold = pixel(beside + k * 200, k * 570), pixel(beside + k * 200, k * 100)
    assert max(hot) - min(hot) > 60
    assert max(cold) == min(cold)
    assert cold[0] == pytest.approx(600 / 16, abs=2)
    tab.keyboard.press("+")
    assert box_of("polygon:has(title)")[2:] == pytest.approx([k * 40 * 1.5, k * 60 * 1.5], abs=3)
    name = tab.locator("svg.film .names text").evaluate("(text) => text.getScreenCTM().b")
    assert name == 0, "the label's name stays upright"


def test_panes_of_one_film_move_together_and_others_do_not(tab: Page) -> None:
    film, other = deep_film("one"), deep_film("two")
    tab.set_viewport_size({"width": 1000, "height": 700})  # narrower, the first film takes a row of its own
    panes = [Pane(Film(0, film["facts"]), title="A"), Pane(Film(0, film["facts"]), title="B")]
    show(tab, data_of(*panes, Pane(Film(1, other["facts"]), title="C", opens=True), url=film["url"]))
    boxes = [tab.locator("svg.film").nth(i) for i in range(3)]
    heights = [box.evaluate("(svg) => svg.getBoundingClientRect().height") for box in boxes]
    assert heights == pytest.approx([heights[0]] * 3, abs=1)
    tab.set_viewport_size(WINDOW)
    tab.keyboard.press("+")
    views = [box.get_attribute("viewBox") for box in boxes]
    assert views[0] == views[1] != views[2]
    tab.get_by_role("button", name="C", exact=True).click()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("() => sent") == [["opened", "two"], ["step", 1]]
    tab.keyboard.press("?")
    sheet = tab.get_by_role("dialog", name="Keys and gestures")
    assert "cardiothoracic ratio" in sheet.inner_text()
    assert "previous, next film" in sheet.inner_text()
    tab.keyboard.press("+")
    assert [box.get_attribute("viewBox") for box in boxes] == views, "while the sheet is open"
    tab.keyboard.press("Escape")
    playwright.expect(sheet).to_be_hidden()


def test_tools_have_names_and_are_large_enough_for_fingers(browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    film = deep_film()
    show(page, data_of(Pane(Film(0, film["facts"])), url=film["url"]))
    tools = page.locator(".viewer :is(.bar, .levels) :is(button, select, input)")
    for each in tools.all():
        box = each.bounding_box()
        assert box
        assert box["height"] > 43.9, each.inner_text()
        assert box["width"] > 43.9
        named = each.evaluate(
            "(tool) => tool.getAttribute('aria-label') || tool.innerText || tool.labels?.[0]?.innerText"
        )
        assert named
    context.close()
