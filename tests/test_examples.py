"""The examples in docstrings give what stands below them."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.conftest import ROOT

FILES = [path.relative_to(ROOT) for room in ("explorer", "precompute") for path in sorted((ROOT / room).rglob("*.py"))]
MODULES = [".".join(file.with_suffix("").parts) for file in FILES if ">>> " in (ROOT / file).read_text("utf-8")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
