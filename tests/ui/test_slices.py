"""The part of the audit page on slices says what the store's tables say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.store import layout, open_store
from explorer.store.reader import Store
from explorer.tables import slices
from tests.conftest import vouch
from tests.pages import as_read, assert_sound, open_page, open_sound_page, said


@pytest.fixture
def store(own_store: Store) -> Store:
    """A copy of the tiny store, whose tables may be changed."""
    return own_store


def test_the_page_shows_the_slices_of_the_table(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    assert len(store.tables.slices), "a store without slices shows nothing here"
    app = open_sound_page("audit", audit="slices")
    assert as_read(slices.answer(store)) in said(app)
    assert len(slices.answer(store).split()) <= 25
    table = slices.slice_table(store)
    assert len(table) == len(store.tables.slices)
    assert any(table.equals(frame.value) for frame in app.dataframe)


def test_every_slice_has_films_of_its_answer_the_largest_error_first(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    for row in store.tables.slices.to_dict("records"):
        c = store.labels.index(row["label"])
        for split, count in (("val", row["n_val"]), ("test", row["n"])):
            rows = slices.rows_of(store, split, row["slice"])
            assert len(rows) == count
            assert set(store.samples["split"].iloc[rows]) == {split}
            positive = row["state"] == "positive"
            assert set(store.targets[rows, c]) == {float(positive)}
            logits = np.asarray(store.logits(row["regime"])[rows, c])
            assert (np.diff(logits if positive else -logits) >= 0).all()


def test_a_sure_slice_is_named_and_none_is_said_so(store: Store) -> None:
    frame = pd.read_parquet(store.path / layout.SLICES)
    frame["p_adjusted"] = 0.06

    def write() -> Store:
        frame.to_parquet(store.path / layout.SLICES, index=False)
        vouch(store.path, layout.SLICES)
        return open_store(store.path.parent)

    assert slices.answer(write()) == f"No slice errs surely more, of **{len(frame)}** tried."
    frame.loc[1, ["error", "elsewhere", "excess", "p_adjusted"]] = [5.0, 0.5, 4.5, 0.01]
    sentence = slices.answer(write())
    assert sentence.startswith(f"**1** of {len(frame)} slices surely err more. Worst: **{frame.at[1, 'label']}**")
    assert "log-loss **5.00** there, **0.50** elsewhere" in sentence
    assert len(sentence.split()) <= 25
    app = open_page("audit", audit="slices")
    assert_sound(app)
    assert as_read(sentence) in said(app)


def test_a_run_without_slices_says_so(store: Store) -> None:
    for file in (layout.SLICES, layout.SLICE_NAMES, layout.SLICE_FILMS):
        pd.read_parquet(store.path / file).iloc[:0].to_parquet(store.path / file, index=False)
        vouch(store.path, file)
    app = open_sound_page("audit", audit="slices")
    assert "No slice was tried" in said(app)


def test_a_run_of_an_earlier_version_says_what_to_do(store: Store) -> None:
    manifest = json.loads((store.path / "manifest.json").read_text())
    for file in (layout.SLICES, layout.SLICE_NAMES, layout.SLICE_FILMS):
        del manifest["artefacts"][file]
        (store.path / file).unlink()
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    app = open_page("audit", audit="slices")
    assert "Run precompute again" in said(app)
