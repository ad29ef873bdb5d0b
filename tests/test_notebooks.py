"""The notebooks run as they stand, and the package exports what they and the docs name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import explorer
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_from_top_to_bottom(
    file: Path, tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    monkeypatch.setenv("EXPLORER_STORE", str(tiny_store))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "outputs are made, not kept"
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert notebook.cells[-1]["outputs"], "it ends with something to see"


def test_there_are_three_short_notebooks() -> None:
    assert len(NOTEBOOKS) == 3
    for file in NOTEBOOKS:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        assert sum(len(cell["source"]) for cell in cells if cell["cell_type"] == "code") < 50


def test_all_that_is_exported_is_there_and_in_the_docs() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    table = " ".join(line for line in text.split("\n") if line.startswith("|"))
    for name in explorer.EXPORTED:
        assert callable(getattr(explorer, name))
        assert re.search(rf"\b{name}\b", table), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        explorer.nothing  # noqa: B018


def test_opening_a_store_imports_no_page_and_no_model() -> None:
    code = (
        "import sys, explorer; explorer.open_store; "
        "print({'torch', 'streamlit', 'plotly', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
