"""Every page over a store whose texts are Markdown, HTML and worse: each is shown as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

from explorer.store.reader import Store
from explorer.store.runs import open_store
from tests.conftest import IN_DEPTH
from tests.pages import open_page
from tests.planted import KINDS, PLANTS, VIEWS, plant_store, read_plants

SOME = KINDS if IN_DEPTH else KINDS[::3]
"""Kinds for the page that shows them among others."""


@pytest.fixture
def fresh_caches() -> None:
    """All tests read one store, which none changes."""


@pytest.fixture(scope="module")
def planted(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    st.cache_data.clear()
    st.cache_resource.clear()
    root = tmp_path_factory.mktemp("planted")
    plant_store(tiny_store, root)
    return root


@pytest.fixture
def store(planted: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("EXPLORER_STORE", str(planted))
    return open_store(planted)


def film_of(store: Store, kind: str) -> str:
    ids = store.samples["sample_id"]
    return str(ids[ids.str.startswith(PLANTS[kind])].iat[0])


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_no_view_reads_a_text_of_the_store(store: Store, page: str, query: dict[str, str]) -> None:
    app = open_page(page, **query)
    assert not app.exception
    assert read_plants(app) == {}


@pytest.mark.parametrize(
    ("page", "kind"), [*(("case", kind) for kind in KINDS), *(("neighbours", kind) for kind in SOME)]
)
def test_no_page_of_a_film_reads_its_texts(store: Store, page: str, kind: str) -> None:
    drawers = {"maps": "true", "scores": "true"} if page == "case" else {}
    app = open_page(page, film=film_of(store, kind), label=store.labels[1 + KINDS.index(kind) % 13], **drawers)
    assert not app.exception
    assert read_plants(app) == {}


def test_no_filter_reads_the_texts_of_its_conditions(store: Store) -> None:
    ids = store.samples["patient_id"]
    plants = [str(ids[ids.str.startswith(PLANTS[kind])].iat[0]) for kind in KINDS]
    for some in (plants[:9], plants[9:]):
        app = open_page("case", filter=[*(f"patient_id.{one}" for one in some), "positive"])
        assert len([button for button in app.button if button.help == "Take this condition away."]) == 10
        app.session_state["filter-open"] = True
        app.run()
        app.selectbox(key="filter-column").set_value("patient_id").run()
        assert not app.exception
        assert read_plants(app) == {}


NAMES = ("film", "label", "split", "sel", "explain", "edits", "view", "show", "run", "text", "unheard", "")


@pytest.mark.parametrize("shift", range(0, len(KINDS), 1 if IN_DEPTH else 5))
def test_no_page_reads_what_its_address_holds(store: Store, shift: int) -> None:
    """A plant in each parameter, and one as a name; with ``make fuzz`` each plant in each place."""
    plants = [PLANTS[kind] for kind in (KINDS * 2)[shift:]]
    app = open_page("case", **{name or plant: plant for name, plant in zip(NAMES, plants, strict=False)})
    assert not app.exception
    assert read_plants(app) == {}
    assert len([box for box in app.warning if "This address" in box.value]) == 1
