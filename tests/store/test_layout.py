"""Only the layout spells a path of the store."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from explorer.data import tower_files
from explorer.store import layout

ROOT = Path(__file__).parents[2]
OWNERS = {Path(layout.__file__), Path(tower_files.__file__)}
NAME = re.compile(r"[\w-]+\.(?:npy|parquet|jsonl?|safetensors|bin|faiss)\b")


def literals(file: Path) -> list[str]:
    """Every string of a module but its docstrings; of an f-string, its fixed parts."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
    return [node.value for node in strings if isinstance(node.value, str)]


def test_no_other_module_spells_the_name_of_a_file_in_the_store() -> None:
    names = {m.group() for owner in OWNERS for text in literals(owner) for m in NAME.finditer(text)}
    assert {"metrics.parquet", "embeddings.npy", "manifest.json", "image_tower.safetensors"} <= names
    spelled = [
        (str(file.relative_to(ROOT)), name)
        for room in ("explorer", "precompute")
        for file in sorted((ROOT / room).rglob("*.py"))
        if file not in OWNERS
        for text in literals(file)
        for name in (m.group() for m in NAME.finditer(text))
        if name in names
    ]
    assert spelled == []
