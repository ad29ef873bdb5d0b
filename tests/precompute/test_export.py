"""A run as one table: what other tools read is what the store holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from explorer.store import open_store
from precompute.exchange import export
from tests.conftest import run_command


@pytest.fixture(scope="module")
def table(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "run.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_ROWS", 50)  # several blocks, the last one short
        assert run_command(patch, "export", tiny_store, "--out", out) == 0
    return out


def test_the_table_has_every_film_with_its_labels_vectors_logits_and_places(tiny_store: Path, table: Path) -> None:
    store, frame = open_store(tiny_store), pd.read_parquet(table)
    assert frame["sample_id"].tolist() == store.samples["sample_id"].tolist()
    assert frame["split"].tolist() == store.samples["split"].tolist()
    labels = frame[list(store.labels)].astype("float32").to_numpy()
    np.testing.assert_array_equal(labels, store.targets)
    assert np.isnan(labels).any()  # unknown stays unknown
    for space in store.spaces:
        np.testing.assert_array_equal(np.stack(frame[f"map/{space.name}"]), store.map(space.name))
        if space.kind == "embedding":
            np.testing.assert_array_equal(np.stack(frame[f"embedding/{space.name}"]), store.vectors(space.name))
    for regime in store.regimes:
        np.testing.assert_array_equal(np.stack(frame[f"logits/{regime.name}"]), store.logits(regime.name))


def test_the_table_says_which_run_it_is_and_the_order_of_its_labels(tiny_store: Path, table: Path) -> None:
    store = open_store(tiny_store)
    about = json.loads(pq.read_schema(table).metadata[export.METADATA])
    assert about["run_id"] == store.run_id
    assert about["labels"] == list(store.labels)


@pytest.mark.parametrize("name", ["run.csv", "there.parquet"])
def test_no_file_is_replaced_and_no_other_kind_is_written(
    tiny_store: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.parquet").write_bytes(b"mine")
    assert run_command(monkeypatch, "export", tiny_store, "--out", tmp_path / name) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there.parquet": b"mine"}
