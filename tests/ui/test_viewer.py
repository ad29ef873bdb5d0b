"""The viewer without a browser: what Python sends, and the geometry, windows and measures of its JavaScript."""

from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.data.stored_film import StoredFilm
from explorer.data.viewer_film import ViewerFilm, for_viewer
from explorer.figures.overlay import MapStyle, compose, map_layers, to_canvas
from explorer.ui.components.viewer import Pane, films_data, uploaded_film
from tests.conftest import ROOT
from tests.ui.test_components import node, with_node

MODULES = ROOT / "explorer/ui/components/film_view"


def run(module: str, program: str, given: object) -> object:
    return node((MODULES / f"{module}.js").read_text(encoding="utf-8") + program, given=given)


def deep_film(**changes: object) -> ViewerFilm:
    """12 bits, 0 to 4095, of which the grey is the upper 8."""
    values = np.random.default_rng(0).permutation(np.arange(4096, dtype=np.uint16)).reshape(64, 64)
    given = {"values": values, "grey": (np.arange(2**16) >> 4).astype(np.uint8), "bits": 12}
    return for_viewer(StoredFilm(**{**given, **changes}))  # type: ignore[arg-type]


@with_node
@pytest.mark.parametrize("deep", [True, False])
def test_the_browser_unpacks_every_value(deep: bool) -> None:
    film = (
        deep_film()
        if deep
        else deep_film(values=deep_film().levels.astype(np.uint8), grey=np.arange(256, dtype=np.uint8), bits=8)
    )
    packed = base64.b64encode(zlib.decompress(film.packed())).decode()
    program = """
        const { grey, levels } = unpackLevels(new Uint8Array(Buffer.from(given.packed, "base64")), given.facts);
        console.log(JSON.stringify([[...grey], [...levels], levels.constructor.name]));
        """
    grey, levels, kind = run("values", program, {"packed": packed, "facts": film.facts()})  # type: ignore[misc]
    assert kind == ("Uint16Array" if deep else "Uint8Array")
    assert levels == film.levels.ravel().tolist()
    assert grey == film.grey.tolist()


@with_node
def test_windows_and_presets() -> None:
    program = """
        const looks = [presetLook(given, "default"), presetLook(given, "lung"), presetLook(given, "bone")];
        const tables = [...looks, { preset: "hand", low: 1000, high: 2000 }, { ...looks[0], inverted: true }]
            .map((look) => [...greyTable(given, given.own, look)]);
        console.log(JSON.stringify([looks, tables, unitRange(given), handLook(given, 800, 9999)]));
        """
    for inverted in (False, True):
        film = deep_film(inverted=inverted, grey=(np.arange(2**16) >> 4).astype(np.uint8)[:: -1 if inverted else 1])
        own = (255 - np.arange(4096) // 16 if inverted else np.arange(4096) // 16).astype(int)
        windows = {"default": (100, 4000), "lung": (200, 2000), "bone": (1500, 4000)}
        given = {**film.facts(), "n": 4096, "own": own.tolist(), "windows": windows, "inverted": inverted}
        looks, tables, ends, hand = run("window", program, given)  # type: ignore[misc]
        assert {look["preset"]: (look["low"], look["high"]) for look in looks} == windows
        assert tables[0] == own.tolist(), "the default is the model's own grey"
        assert tables[4] == (255 - own).tolist()
        shares = np.clip((np.arange(4096) - 1000) / 1000, 0, 1)
        assert tables[3] == pytest.approx(255 * (1 - shares if inverted else shares), abs=0.51)
        assert ends == [0, 4095]
        assert (hand["low"], hand["high"]) == (4095 - 400, 4095 + 400), "the level stays in the film's range"


@with_node
def test_padding_stays_black_when_inverted() -> None:
    program = (
        """console.log(JSON.stringify([...greyTable(given, [0, 9, 200], { preset: "default", inverted: true })]));"""
    )
    given = {"slope": 1, "intercept": 0, "n": 3, "padded": True, "inverted": False}
    assert run("window", program, given) == [0, 246, 55]


@with_node
def test_turned_places_lead_back_and_the_middle_stays() -> None:
    program = """
        const out = [];
        for (let turns = 0; turns < 4; turns++) {
            const frame = new Frame(300, 200);
            frame.zoom(2, frame.toFrame([60, 150]));
            const before = frame.toFilm(frame.middle);
            for (let i = 0; i < turns; i++) frame.turn(1);
            out.push([frame.whole, frame.toFrame([10, 20]), frame.toFilm(frame.toFrame([10, 20])), before,
                frame.toFilm(frame.middle), frame.scale]);
        }
        console.log(JSON.stringify(out));
        """
    turned = run("frame", program, None)
    # a film 300 wide and 200 high: a quarter clockwise brings (x, y) to (200 - y, x)
    assert [entry[1] for entry in turned] == [[10, 20], [180, 10], [290, 180], [20, 290]]  # type: ignore[attr-defined]
    for turns, (whole, _, back, before, after, scale) in enumerate(turned):  # type: ignore[arg-type, var-annotated]
        assert whole == ({"w": 200, "h": 300} if turns % 2 else {"w": 300, "h": 200})
        assert back == pytest.approx([10, 20])
        assert after == pytest.approx(before)
        assert scale == 2


@with_node
def test_lengths_and_the_ratio_in_millimetres() -> None:
    program = """
        const frame = { box: { x: 0, y: 0, w: 1000, h: 1000 }, matrix: null, toFilm: (at) => at, toFrame: (at) => at };
        const line = new Length([10, 20]), heart = new HeartRatio(frame);
        const spacing = { row: 0.2, column: 0.1, at_detector: true };
        line.drag("b", [310, 220]);
        const places = { middle: [500, 100], left: [440, 600], right: [600, 620], from: [300, 700], to: [720, 710] };
        for (const [handle, at] of Object.entries(places)) heart.drag(handle, at);
        console.log(JSON.stringify([line.text(spacing), line.text(null), heart.text(spacing), heart.text(null),
            heart.lines, whereOf(spacing), whereOf({ ...spacing, at_detector: false }), whereOf(null)]));
        """
    length, pixels, ratio, in_pixels, lines, *where = run("measures", program, None)  # type: ignore[misc]
    assert (length, pixels) == ("50.0 mm", "361 px"), "30 mm across and 40 mm down; 300 and 200 pixels"
    assert ratio == "CTR 0.38 = 16.0 mm / 42.0 mm", "6 + 10 mm of heart in 42 mm of thorax"
    assert in_pixels == "CTR 0.38 = 160 px / 420 px"
    assert all(start[1] == end[1] for start, end in lines[:3]), "horizontal"
    assert where == ["at the detector", "by PixelSpacing", "in pixels: the file has no spacing"]


@with_node
def test_the_sheet_names_every_key_once() -> None:
    rows, acts = run(
        "keys", "console.log(JSON.stringify([sheetRows([]), KEYS.map(({ keys }) => keys.map(actOf))]));", 0
    )  # type: ignore[misc]
    keys = [row[0] for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(act is not None and len(set(group)) == 1 for group in acts for act in group)
    html = (MODULES / "film.html").read_text(encoding="utf-8")
    for act in {act for group in acts for act in group}:
        assert f'"{act}"' in html or act in ("narrower", "wider", "brighter", "darker"), "sliders do these"


def test_a_tint_laid_on_by_the_browser_is_the_picture_that_python_draws() -> None:
    """CSS's ``color`` is B + (C - lum(C)) for a grey B (Compositing Level 1), which opacity mixes with B."""
    film = Image.fromarray(np.random.default_rng(0).integers(95, 185, (56, 64), dtype=np.uint8))
    grid, seen = np.random.default_rng(1).random((7, 7)).astype(np.float32), (4.0, 0.0, 56.0, 56.0)
    look = MapStyle(contour=0)
    nothing = pd.DataFrame(columns=["label", "annotator", "colour", "x", "y", "w", "h", "polygon"])
    drawn = np.asarray(compose(to_canvas(film, 64), grid, seen, nothing, look)).astype(float)
    layers = map_layers(grid, seen, film.size, look)
    assert layers.blend == "color"
    layer = np.asarray(Image.open(io.BytesIO(layers.png))).astype(float)
    alpha, colour = layer[..., 3:] / 255, layer[..., :3]
    back = np.asarray(film).astype(float)[..., None]
    mixed = back + alpha * (colour - colour @ np.array([[0.3], [0.59], [0.11]]))
    inside = slice(4, 60)
    assert np.abs(mixed - drawn)[:, inside].max() < 2.5


def test_contours_are_in_the_films_pixels() -> None:
    grid = np.zeros((8, 8), np.float32)
    grid[2:4, 4:6] = 1  # film pixels 400 to 600 across and 200 to 400 down, where a patch has 100
    layers = map_layers(grid, (0.0, 0.0, 800.0, 800.0), (800, 800), MapStyle(against=True))
    (line,) = layers.contours
    across, down = np.array(line).T
    assert (across.min(), across.max()) == pytest.approx((400, 600), abs=12)
    assert (down.min(), down.max()) == pytest.approx((200, 400), abs=12)
    assert layers.colour == "#0082ff"
    nothing = map_layers(None, (0.0, 0.0, 800.0, 800.0), (800, 800), MapStyle())
    assert (nothing.png, nothing.contours) == (b"", [])


def test_what_is_sent_is_json_and_holds_each_film_once() -> None:
    film = uploaded_film("a film", b"jpeg", (300, 200))
    layers = map_layers(None, (0.0, 0.0, 300.0, 200.0), (300, 200), MapStyle())
    data = json.loads(json.dumps(films_data([Pane(film), Pane(film, alt="other", map=layers)])))
    assert list(data["films"]) == ["a film"]
    assert data["films"]["a film"]["url"] == "", "nothing of an upload lies at an address"
    assert [pane["alt"] for pane in data["panes"]] == ["Film a film", "other"]
    assert data["panes"][1]["map"]["source"] == ""
