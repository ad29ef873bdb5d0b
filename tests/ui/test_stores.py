"""Several stores on one server: chosen, named in the address, and none in the way of another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from explorer.store.places import places, summary
from explorer.store.reader import Store
from tests.pages import address_of, assert_whole, open_page, said


@pytest.fixture
def several(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three stores: two that open, and one whose manifest is damaged."""
    folder = tmp_path / "stores"
    for name in ("IU X-ray", "phantoms"):
        shutil.copytree(tiny_store, folder / name, ignore=shutil.ignore_patterns("films", "cache"))
    (folder / "torn" / "run").mkdir(parents=True)
    (folder / "torn" / "run" / "manifest.json").write_text("{", encoding="utf-8")
    (folder / "notes").mkdir()
    monkeypatch.setenv("EXPLORER_STORE", str(folder))
    return folder


def test_the_chooser_says_what_each_store_is(several: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(several))
    app = open_page("pr_curves")
    assert not app.exception
    assert app.title[0].value == "Choose a store"
    facts = f"{store.n} films · {len(store.labels)} labels · made {store.manifest.created[:10]}"
    assert said(app).count(facts) == 2
    assert "torn" in said(app)
    assert "It does not open" in said(app)
    assert str(several) not in said(app)
    links = [(element.proto.page, element.proto.query_string) for element in app.get("page_link")]
    assert [query for _, query in links] == ["store=iu-x-ray", "store=phantoms"], "the damaged one has no link"
    assert summary(several / "phantoms").films == store.n


def test_a_link_opens_the_store_that_it_names_and_it_goes_along(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(several))
    app = open_page("pr_curves", store="phantoms")
    assert_whole(app, "PR curves")
    assert address_of(app)["store"] == ["phantoms"]
    assert app.selectbox(key="store").options == ["iu-x-ray", "phantoms", "torn"]
    app.switch_page("pages/dataset.py").run()
    assert_whole(app, "Data set")
    assert address_of(app)["store"] == ["phantoms"]
    app.selectbox(key="store").set_value("iu-x-ray").run()
    assert_whole(app, "Data set")
    assert address_of(app)["store"] == ["iu-x-ray"]
    queries = [element.proto.query_string for element in open_page("overview", store="phantoms").get("page_link")]
    assert queries
    assert all(query.startswith("store=phantoms&") for query in queries)


def test_a_store_that_is_not_there_is_named_and_a_damaged_one_leaves_the_others(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(several))
    app = open_page("map", store="elsewhere")
    assert app.title[0].value == "Choose a store"
    assert "This server has no store elsewhere." in said(app)
    app = open_page("dataset", store="torn")
    assert not app.exception
    assert "manifest.json is damaged" in app.error[0].value
    assert str(several) not in app.error[0].value
    app.selectbox(key="store").set_value("phantoms").run()
    assert_whole(app, "Data set")


def test_the_host_names_stores_in_a_list(tiny_store: Path, several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "EXPLORER_STORES", os.pathsep.join((str(several), "https://b.org:8443/d/phantoms.zip", "s3://e"))
    )
    assert [place.name for place in places()] == ["IU X-ray", "stores phantoms", "torn", "d phantoms", "e"]
    monkeypatch.setenv("EXPLORER_STORES", str(tiny_store))
    assert [place.address for place in places()] == [str(tiny_store)]


def test_one_store_is_opened_without_a_word(store: Store) -> None:
    app = open_page("overview")
    assert_whole(app, "Overview")
    assert "store" not in address_of(app)
    assert not [box for box in app.selectbox if box.key == "store"]
