"""The browser's JavaScript without a browser: modules join into one, and its row codec is Python's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from explorer.ui.components.modules import joined
from explorer.ui.shared.links import BadLink, row_forms, rows_from_text, rows_to_text
from tests.conftest import ROOT

COMPONENTS = ROOT / "explorer/ui/components"
ENTRIES = ("map_view/maps.js", "viewer.js", "pencil.js")
NODE = shutil.which("node")
with_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")


def node(program: str, *, given: object = None, folder: Path = ROOT) -> object:
    """What a module prints as JSON; ``given`` is there as ``given``."""
    text = f"const given = {json.dumps(given)};\n{program}"
    ran = subprocess.run(
        [str(NODE), "--input-type=module", "-"], input=text, cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def selections() -> list[tuple[int, list[int]]]:
    """Hand cases, then random ones: runs of 1 to 5,000 films, from few to nearly all of them."""
    cases: list[tuple[int, list[int]]] = [
        (10, []),
        (10, list(range(10))),
        (1, [0]),
        (10, [3]),
        (10, [2, 9]),  # gaps and bitmap are of one length
        (1_000_000, [0, 127, 128, 256, 16_640, 999_999]),  # gaps of one, two and three bytes
        (100_000, [99_999]),
        (100_000, list(range(0, 100_000, 2))),
    ]
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 5000))
        m = int(n ** rng.random())
        cases.append((n, np.sort(rng.choice(n, m, replace=False)).tolist()))
    return cases


@with_node
def test_python_and_javascript_write_and_read_the_same_rows() -> None:
    cases = selections()
    texts = [rows_to_text(np.array(rows, dtype=np.int64), n) for n, rows in cases]
    assert {text[:1] for text in texts} == {"", "b", "d"}
    codec = (COMPONENTS / "map_view/codec.js").read_text(encoding="utf-8")
    written, read = node(  # type: ignore[misc]
        codec
        + """
        const { cases, texts } = given;
        console.log(JSON.stringify([cases.map(([n, rows]) => packRows(rows, n)), texts.map(unpackRows)]));
        """,
        given={"cases": cases, "texts": texts},
    )
    assert written == texts
    assert read == [rows for _, rows in cases]
    for text, (n, rows) in zip(written, cases, strict=True):
        assert rows_from_text(text, n).tolist() == rows


def test_rows_as_text_by_hand() -> None:
    # 2 is skipped to from 0 over one film: gaps 0, 1; as a bitmap 1010 0000
    assert row_forms(np.array([0, 2]), 8) == (b"d\x00\x01", b"b\xa0")
    assert rows_to_text(np.array([0, 2]), 8) == "boA=="
    assert rows_to_text(np.array([300]), 10_000) == "drAI=", "300 is 0xAC 0x02 in LEB128"


@pytest.mark.parametrize("text", ["b", "x", "d!", "dé", "\ud800", "b////", "None", "d" + "gICAgICA" * 1000 + "AA=="])
def test_nonsense_is_no_rows(text: str) -> None:
    with pytest.raises(BadLink):
        rows_from_text(text, 10)


@with_node
@pytest.mark.parametrize("entry", ENTRIES)
def test_joined_modules_offer_what_the_modules_offer(entry: str, tmp_path: Path) -> None:
    shutil.copytree(COMPONENTS, tmp_path / "modules")
    (tmp_path / "modules/package.json").write_text('{"type": "module"}')
    text = joined(COMPONENTS / entry)

    (tmp_path / "modules/joined.js").write_text(text, encoding="utf-8")
    program = """
        const { default: act } = await import(`./modules/${given}`);
        console.log(JSON.stringify([act.toString(), Object.keys(globalThis.cxrMaps?.parts ?? {})]));
        """
    whole = node(program, given="joined.js", folder=tmp_path)
    assert whole == node(program, given=entry, folder=tmp_path)
    parts = ["geometry", "paint", "maps", "side", "films"] if "map_view" in entry else []
    assert whole[1] == parts  # type: ignore[index]


@with_node
def test_thumbnails_stand_apart_on_the_stage_and_cover_no_film_they_belong_to() -> None:
    rng = np.random.default_rng(0)
    stages = [(rng.uniform(-20, [320, 560], size=(int(rng.integers(1, 9)), 2)).tolist(), 48) for _ in range(40)]
    placed: list[list[dict]] = node(  # type: ignore[type-arg, assignment]
        (COMPONENTS / "map_view/thumbs.js").read_text(encoding="utf-8")
        + """
        const found = ([spots, side]) => placed(spots.map((at) => ({ at })), side, 300, 540, ({ left }) => left);
        console.log(JSON.stringify(given.map(found)));
        """,
        given=stages,
    )
    assert sum(map(len, placed)) > 100
    for (spots, side), thumbs in zip(stages, placed, strict=True):
        inside = [spot for spot in spots if 0 <= spot[0] <= 300 and 0 <= spot[1] <= 540]
        assert [thumb["at"] for thumb in thumbs] == [spot for spot in inside if spot in [t["at"] for t in thumbs]]
        boxes = [thumb["box"] for thumb in thumbs]
        for i, box in enumerate(boxes):
            assert 0 <= box["left"] < box["right"] <= 300
            assert 0 <= box["top"] < box["bottom"] <= 540
            assert box["right"] - box["left"] == pytest.approx(side)
            assert not any(box["left"] < x < box["right"] and box["top"] < y < box["bottom"] for x, y in spots)
            for other in boxes[:i]:
                across = box["left"] < other["right"] and other["left"] < box["right"]
                assert not (across and box["top"] < other["bottom"] and other["top"] < box["bottom"])


POINTS = """
    const xy = new Uint16Array(given.xy.flat()), points = new Points(xy, new Uint8Array(given.codes), given.styles);
    const stage = scale({ clientWidth: 400, clientHeight: 500 }, [layout(xy)], { k: 1, x: 0, y: 0 });
    const spots = given.xy.map(([x, y]) => [stage.x + stage.k * x, stage.y - stage.k * y]);
    """


@with_node
@pytest.mark.parametrize("ground", [False, True])
def test_films_near_a_place_inside_a_line_and_in_a_direction_are_those_of_a_plain_search(ground: bool) -> None:
    rng = np.random.default_rng(1)
    xy, codes = rng.integers(0, 65536, size=(400, 2)), rng.choice([0, 1, 255], size=400)
    angles = np.linspace(0, 2 * np.pi, 13)[:-1]
    line = np.stack([200 + 120 * np.cos(angles), 250 + 150 * np.sin(angles)], axis=1)
    spots, near, inside, right, all_of_one_place = node(  # type: ignore[misc]
        (COMPONENTS / "map_view/points.js").read_text(encoding="utf-8")
        + POINTS
        + """
        const one = new Points(new Uint16Array(8).fill(9), new Uint8Array([0, 1, 1, 0]), given.styles.slice(1));
        console.log(JSON.stringify([spots, points.near(stage, 210, 240, 80, 5), [...points.inside(stage, given.line)],
            points.towards(20000, 30000, 1, 0), one.near({ k: 1, x: 0, y: 0 }, 9, -9, 3, 4)]));
        """,
        given={
            "xy": xy.tolist(),
            "codes": codes.tolist(),
            "line": line.tolist(),
            "styles": [{"ground": ground}, {"ground": False}],
        },
    )
    shown = np.flatnonzero(codes == 1 if ground else codes != 255)
    far = np.linalg.norm(np.array(spots)[shown] - [210, 240], axis=1)
    assert near == shown[np.argsort(far)][:5].tolist()
    assert inside == [row for row in shown.tolist() if Outline(line).contains_point(spots[row])]
    ahead = xy[shown] - [20000, 30000]
    way = np.where((ahead[:, 0] > 0) & (abs(ahead[:, 1]) <= ahead[:, 0]), ahead[:, 0] + 2 * abs(ahead[:, 1]), np.inf)
    assert right == shown[way.argmin()]
    assert all_of_one_place == [2, 1, 3, 0], "the upper one first"


@with_node
def test_films_as_pixels_lie_over_one_another_and_the_faded_beneath() -> None:
    marks = (COMPONENTS / "map_view/marks.js").read_text(encoding="utf-8")
    draw = """
        const createImageData = (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) });
        const putImageData = (image) => (ctx.out = [...image.data]);
        const ctx = { canvas: { width: 4, height: 1 }, createImageData, putImageData };
        const styles = [{ c: ["#ff0000"], a: 0.5 }, { c: ["#0000ff"], a: 0.5 }];
        const points = { xy: [0, 0, 0, 0, 2, 0], codes: [0, 1, 1], order: [0, 1, 2] };
        const drawn = (chosen) => (splat(ctx, points, styles, { k: 1, x: 0.5, y: 0.5 }, 1, 0, chosen, 0.2), ctx.out);
        console.log(JSON.stringify([drawn(null), drawn([1, 0, 0])]));
        """
    plain, chosen = node(marks + draw)  # type: ignore[misc]
    # an opacity of 0.9 · 0.5 = 0.45 over one of 0.45: blue 0.45, red 0.45 · 0.55, together 0.6975
    assert plain[:4] == pytest.approx([255 * 0.2475 / 0.6975, 0, 255 * 0.45 / 0.6975, 255 * 0.6975], abs=1)
    assert plain[4:8] == [0, 0, 0, 0]
    assert plain[8:12] == pytest.approx([0, 0, 255, 255 * 0.45], abs=1)
    # the chosen red lies on top of the faded blue
    together = 0.45 + 0.09 * 0.55
    assert chosen[:4] == pytest.approx([255 * 0.45 / together, 0, 255 * 0.09 * 0.55 / together, 255 * together], abs=1)
    assert chosen[8:12] == pytest.approx([0, 0, 255, 255 * 0.09], abs=1)


def test_modules_are_joined_once_each_and_after_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "base.js").write_text("export const base = 1;\n")
    (tmp_path / "part/left.js").write_text('import { base } from "../base.js";\nexport function left() {}\n')
    entry = tmp_path / "entry.js"
    entry.write_text('import { base } from "./base.js"\nimport { left } from "./part/left.js";\nexport default left;\n')
    lines = [line for line in joined(entry).splitlines() if line]
    assert lines == ["const base = 1;", "function left() {}", "export default left;"]


@pytest.mark.parametrize(
    "line", ['import * as all from "./other.js";', 'import "other";', "export { a };", 'export * from "./other.js";']
)
def test_what_cannot_be_joined_is_refused(line: str, tmp_path: Path) -> None:
    entry = tmp_path / "entry.js"
    entry.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"entry\.js: a line that cannot be joined"):
        joined(entry)


def test_modules_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match=r"a\.js → b\.js → a\.js"):
        joined(tmp_path / "a.js")
