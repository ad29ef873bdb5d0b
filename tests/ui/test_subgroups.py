"""The part of the audit page on groups says what the store's tables say."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from explorer.store import layout, open_store
from explorer.store.reader import Store
from explorer.tables import subgroups
from tests.conftest import vouch
from tests.pages import address_of, as_read, assert_sound, open_page, open_sound_page, said


@pytest.fixture
def store(own_store: Store) -> Store:
    """A copy of the tiny store, whose tables may be changed."""
    return own_store


def test_every_group_in_the_table_has_the_films_that_the_page_sends_on(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    frame = store.tables.subgroups
    for split in ("test", "val"):
        groups = subgroups.groups(store, split)
        assert groups, "a store without groups shows nothing here"
        for attribute, group in groups.values():
            rows = subgroups.rows_of(store, split, attribute, group)
            assert set(store.samples["split"].iloc[rows]) == {split}
            one = frame[(frame["attribute"] == attribute) & (frame["group"] == group) & (frame["split"] == split)]
            counts = one[["n_pos", "n_neg", "n_unknown"]].sum(axis=1)
            assert set(counts) == {len(rows)}
    assert len(subgroups.rows_of(store, "test", "attribute", "of another version")) == 0


@pytest.mark.parametrize("figure", list(subgroups.FIGURES))
def test_the_page_shows_the_gaps_of_the_table(tiny_store: Path, figure: str) -> None:
    store = open_store(tiny_store)
    app = open_sound_page("audit", audit="subgroups", figure=figure, label="no-finding")
    assert as_read(subgroups.gap_sentence(store, "test", figure)) in said(app)
    table = subgroups.gap_table(store, "test", figure)
    shown = [frame.value for frame in app.dataframe]
    assert (len(table) == 0 and not shown) or table.equals(shown[0])
    told = subgroups.gap_frame(store, "test", figure)
    assert len(table) == len(told.groupby(["label", "attribute", "group"]))


def test_a_sure_gap_is_named_and_one_that_is_not_is_not(store: Store) -> None:
    file = layout.SUBGROUP_GAPS
    frame = pd.read_parquet(store.path / file)
    frame["p_adjusted"] = 0.5
    named = frame.index[(frame["metric"] == "auroc") & (frame["split"] == "test")][0]
    keys = ["gap", "ci_low", "ci_high", "p", "p_adjusted", "group"]
    frame.loc[named, keys] = [-0.25, -0.4, -0.1, 0.001, 0.02, "a_b *c* [d](e)"]
    frame.to_parquet(store.path / file, index=False)
    vouch(store.path, file)
    sentence = subgroups.gap_sentence(open_store(store.path.parent), "test", "auroc")
    app = open_page("audit", audit="subgroups")
    assert_sound(app)
    assert as_read(sentence) in said(app)
    assert "−0.25 [−0.40, −0.10] against other films" in said(app).replace("**", "")
    frame.loc[named, "p_adjusted"] = 0.06
    frame.to_parquet(store.path / file, index=False)
    vouch(store.path, file)
    assert "beyond chance" in subgroups.gap_sentence(open_store(store.path.parent), "test", "auroc")
    assert subgroups.gap_sentence(open_store(store.path.parent), "test", "auroc").startswith("No gap of AUROC")


def test_a_link_to_a_group_that_the_split_lacks_shows_another_and_says_so(tiny_store: Path) -> None:
    app = open_page("audit", audit="subgroups", group="age-under-900")
    assert_sound(app)
    assert address_of(app)["group"] != ["age-under-900"]
    assert "age-under-900" in said(app)


def test_a_run_of_an_earlier_version_says_what_to_do(store: Store) -> None:
    manifest = json.loads((store.path / "manifest.json").read_text())
    for file in (layout.SUBGROUPS, layout.SUBGROUP_GAPS):
        del manifest["artefacts"][file]
        (store.path / file).unlink()
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    app = open_page("audit", audit="subgroups")
    assert "Run precompute again" in said(app)
