"""The browser's JavaScript without a browser: modules join into one, and its row codec is Python's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

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
    parts = ["geometry", "paint", "maps", "tips"] if "map_view" in entry else []
    assert whole[1] == parts  # type: ignore[index]


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
