"""The import contracts refuse what they are for, and no modules import each other in a circle."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.conftest import ROOT

ONE_WAY = "Imports go one way: data, model, analysis, store, figures, ui, report"
EXPLORER = "The explorer never imports the batch job"
JOB = "The batch job never imports the interface"
TORCH = "Only explorer.model imports torch"
INSIDE_UI = "inside ui"
INSIDE_JOB = "inside precompute"
SCREEN = "tables know no screen"

PLANTED = [
    (ONE_WAY, "explorer/figures/maps.py", "import explorer.ui.overview"),
    (ONE_WAY, "explorer/data/labels.py", "import explorer.model.head"),
    (ONE_WAY, "explorer/ui/overview.py", "import explorer.report.markup"),
    (EXPLORER, "explorer/store/reader.py", "import precompute.settings"),
    (JOB, "precompute/run/summary.py", "import explorer.figures.curves"),
    (JOB, "precompute/run/summary.py", "import explorer.tables.report"),
    (JOB, "precompute/commands/report.py", "import explorer.report.document"),
    (JOB, "precompute/reporter.py", "import streamlit"),
    (JOB, "explorer/store/files.py", "import streamlit"),
    (TORCH, "explorer/figures/maps.py", "import torch"),
    (TORCH, "explorer/figures/curves.py", "import torch"),
    (TORCH, "explorer/tables/report.py", "import torch"),
    (TORCH, "explorer/analysis/ranking.py", "import explorer.model.encoder"),
    (INSIDE_UI, "explorer/ui/shared/cache.py", "import explorer.ui.overview"),
    (INSIDE_UI, "explorer/ui/overview.py", "import explorer.ui.case"),
    (INSIDE_JOB, "precompute/settings.py", "import precompute.pipeline"),
    (SCREEN, "explorer/tables/report.py", "import streamlit"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code and its contracts, to plant imports in."""
    root = tmp_path_factory.mktemp("walls")
    for name in ("explorer", "precompute"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def lint(root: Path) -> tuple[int, str]:
    """The exit status and the words of lint-imports."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def kept(copy: Path) -> tuple[int, str]:
    return lint(copy)


@pytest.fixture(scope="module")
def broken(copy: Path, kept: tuple[int, str]) -> tuple[int, dict[str, str]]:
    """With all imports planted: the exit status, and the section on every broken contract."""
    for _, file, line in PLANTED:
        with (copy / file).open("a") as module:
            module.write(f"\n{line}\n")
    status, words = lint(copy)
    parts = re.split(r"^(.+)\n-{3,}$", words, flags=re.MULTILINE)
    return status, {title.strip(): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def contracts() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}


def test_without_a_violation_every_contract_is_kept(kept: tuple[int, str]) -> None:
    status, words = kept
    assert status == 0, words
    assert f"Contracts: {len(contracts())} kept, 0 broken." in words


def test_a_violation_of_every_contract_is_planted() -> None:
    assert {contract for contract, _, _ in PLANTED} == contracts()


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    broken: tuple[int, dict[str, str]], contract: str, file: str, line: str
) -> None:
    status, sections = broken
    assert status == 1
    importer, imported = file.removesuffix(".py").replace("/", "."), line.removeprefix("import ")
    assert f"{importer} -> {imported} (l." in sections[contract]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports within functions count; what only a type checker reads does not."""
    graph = grimp.build_graph("explorer", "precompute", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(tuple(TopologicalSorter(imports).static_order())) > 200  # a CycleError names the circle
