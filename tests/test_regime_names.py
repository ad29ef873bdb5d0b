"""Pages and the stages of all regimes know no regime by its name."""

from __future__ import annotations

import re

import pytest

from precompute.regimes import recipes
from tests.conftest import ROOT

GENERAL = ("explorer", "pages", "precompute/stages", "precompute/run", "precompute/pipeline.py", "precompute/saliency")


@pytest.mark.parametrize("name", recipes())
def test_no_regime_is_known_by_its_name(name: str) -> None:
    folders = [ROOT / part for part in GENERAL]
    files = [file for path in folders for file in ([path] if path.is_file() else path.rglob("*.py"))]
    assert len(files) > 100
    named = re.compile(rf"\b{name}\b")
    assert [str(file.relative_to(ROOT)) for file in files if named.search(file.read_text())] == []
