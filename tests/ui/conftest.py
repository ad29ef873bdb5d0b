"""What every test of a page starts from: empty caches, and the tiny store."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st

from explorer.analysis.separability import SEPARABILITY_COLUMNS
from explorer.model import encoder
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.store.tables import Tables
from explorer.tables.labels import by_prevalence

SURE = {"value": 4.0, "ci_low": 3.0, "ci_high": 5.0, "baseline": 1.0, "p": 0.002, "p_adjusted": 0.01, "n_pos": 9}


@pytest.fixture(scope="module", autouse=True)
def encoders_loaded_once() -> Iterator[None]:
    """Caches are emptied for each test; an encoder, which takes a second to load, is the same for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "load_clip", functools.cache(encoder.load_clip))
        yield


@pytest.fixture(autouse=True)
def fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def store(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The tiny store as the pages open it; tests that write into it take a copy."""
    monkeypatch.setenv("EXPLORER_STORE", str(tiny_store))
    for name in ("EXPLORER_READONLY", "EXPLORER_ENCODER"):
        monkeypatch.delenv(name, raising=False)
    return open_store(tiny_store)


@pytest.fixture
def own_store(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the tiny store's run, for a test to change."""
    run = open_store(tiny_store).path
    shutil.copytree(run, tmp_path / run.name)
    (tmp_path / "LATEST").write_text(run.name)
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    monkeypatch.delenv("EXPLORER_READONLY", raising=False)
    return open_store(tmp_path)


@pytest.fixture
def sure_label(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A label that surely gathers in every embedding: in the tiny store, of 24 test films, none does."""
    label = by_prevalence(store, "test")[0]
    spaces = {regime.embedding_space for regime in store.regimes}
    rows = [{"space": space, "split": "test", "label": label, "measure": "lift", **SURE} for space in spaces]
    monkeypatch.setattr(Tables, "separability", pd.DataFrame(rows, columns=list(SEPARABILITY_COLUMNS)))
    return label
