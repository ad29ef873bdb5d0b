"""The texts for users: they build as a site without a broken link or a foreign request, and name what the code has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer

from explorer.analysis import joint_labels, localisation, multilabel, ranking, retrieval, subgroups, weak_calibration
from explorer.store import layout
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables.separability import MEASURES
from precompute.__main__ import app
from tests.conftest import ROOT
from tests.store.test_layout import NAME, OWNERS, literals

DOCS = ROOT / "docs"
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "embed": "src", "object": "data"}
"""The elements whose address a browser fetches unasked. A link element is fetched whatever it is for."""
PLANTED = {
    "a page that is not there": ("faq.md", "[no page](none.md)"),
    "a heading that is not there": ("api.md", "[no heading](pages.md#none)"),
    "a page that the navigation lacks": ("lost.md", "# Lost"),
}


def build(docs: Path, site: Path) -> tuple[int, str]:
    """Build a folder of docs strictly: the exit status and what was printed."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", docs / "site/mkdocs.yml", "-d", site]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


class Fetches(HTMLParser):
    """The addresses that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = "href" if tag == "link" else FETCHED.get(tag)
        self.addresses += [value or "" for key, value in attrs if key == name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    site = tmp_path_factory.mktemp("docs") / "site"
    status, printed = build(DOCS, site)
    assert status == 0, printed
    return site


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    for page in pages:
        parser = Fetches()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses, page
        assert [address for address in parser.addresses if re.match(r"(?:\w+:)?//", address)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_a_broken_link_or_a_lost_page_fails_the_build(site: Path, tmp_path: Path) -> None:
    """Without the site of the docs as they are, this would only show that nothing builds."""
    shutil.copytree(DOCS, tmp_path / "docs")
    for file, text in PLANTED.values():
        with (tmp_path / "docs" / file).open("a", encoding="utf-8") as page:
            page.write(f"\n{text}\n")
    status, printed = build(tmp_path / "docs", tmp_path / "site")
    assert status == 1
    for named in ("none.md", "#none", "lost.md"):
        assert named in printed


def rows_of(page: str) -> dict[str, tuple[str, ...]]:
    """The rows of a page's tables whose first cell is code, by that cell."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| `")]
    return {first.strip("`"): tuple(rest) for first, *rest in cells}


FORMAT = {name: row for name, row in rows_of("store-format.md").items() if "." in name}
PATTERNS = {name: re.compile(re.sub(r"<[^>]+>", "[^/]+", re.escape(name))) for name in FORMAT}


def described(path: str) -> tuple[str, ...]:
    """The page's row on a file of a run."""
    (name,) = (name for name, pattern in PATTERNS.items() if pattern.fullmatch(path))
    return FORMAT[name]


@pytest.fixture
def store(tiny_store: Path) -> Store:
    return open_store(tiny_store)


def test_every_name_of_the_layout_is_in_the_store_format() -> None:
    page = (DOCS / "store-format.md").read_text(encoding="utf-8")
    names = {name for owner in OWNERS for text in literals(owner) for name in NAME.findall(text)}
    assert len(names) > 40
    assert [name for name in sorted(names) if name not in page] == []


def test_every_array_of_a_run_has_the_dtype_and_shape_that_the_page_says(store: Store) -> None:
    dims = {encoder.id: encoder.dim for encoder in store.manifest.encoders}
    texts = len(json.loads((store.path / layout.TEXTS).read_text())["texts"])
    train = int((store.samples["split"] == "train").sum())
    arrays = {path: artefact for path, artefact in store.artefacts.items() if artefact.shape is not None}
    assert len(arrays) > 30
    for path, artefact in arrays.items():
        dtype, shape, *_ = described(path)
        known = {"N": store.n, "C": len(store.labels), "T": texts, "train": train, "N + 1": store.n + 1}
        known["D"] = next((dim for encoder, dim in dims.items() if f"encoders/{encoder}/" in path), dims["frozen"])
        sides = [side.strip() for side in shape.strip("()").rstrip(",").split(",")]
        assert artefact.shape == tuple(known[side] if side in known else int(side) for side in sides), path
        assert artefact.dtype == dtype, path


def test_every_file_of_a_run_is_on_the_page_and_every_table_with_its_columns(store: Store) -> None:
    tables = 0
    for path in store.artefacts:
        row = described(path)
        if path.endswith(".parquet") and path != layout.shortcut_table("attributes"):
            tables += 1
            columns = set(pq.read_schema(store.path / path).names) - set(store.labels)  # type: ignore[no-untyped-call]
            named = set(re.findall(r"`(\w+)`", row[-1]))
            assert columns <= named, (path, columns - named)
    assert tables > 15


METRICS = {
    "One label": tuple(ranking.BINARY_METRICS),
    "Calibration": ("brier", "ece", *weak_calibration.PERFECT),
    "Whole films": (*multilabel.MULTILABEL, *joint_labels.WHOLE_FILM),
    "Neighbours": retrieval.RETRIEVAL_METRICS,
    "Separability": tuple(MEASURES),
    "Saliency against annotations": tuple(localisation.METRICS),
    "Groups of films": subgroups.GAP_METRICS,
}


@pytest.mark.parametrize("section", METRICS)
def test_every_metric_has_a_row_in_its_section(section: str) -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", text.split(f"\n## {section}\n")[1].split("\n## ")[0], re.MULTILINE)
    assert set(rows) == set(METRICS[section])


TEXTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
CALLS = [
    pytest.param(call, id=f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, call.start()) + 1}")
    for file in TEXTS
    for text in [file.read_text(encoding="utf-8").replace("\\\n", "  ")]
    for call in re.finditer(r"python -m precompute ([a-z][a-z-]*)([^`#\n]*)", text)
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", CALLS)
def test_a_command_in_the_docs_exists_with_its_options(call: re.Match[str]) -> None:
    command, rest = call.groups()
    known = {option for parameter in COMMANDS[command].params for option in parameter.opts}
    assert set(re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", rest)) <= known


@pytest.mark.parametrize("place", range(2))
def test_the_tutorials_lines_of_python_run(place: int, tiny_store: Path, tmp_path: Path) -> None:
    lines = re.findall(
        r"```python\n(.*?)```", (DOCS / "tutorials/researcher.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(lines) == 2
    (tmp_path / "store").symlink_to(tiny_store)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", lines[place]], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = done.stdout if place == 0 else (tmp_path / "curves.pdf").read_bytes()[:5].decode()
    assert shown.startswith("%PDF-") if place else "linear_probe" in shown
