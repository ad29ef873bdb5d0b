"""Selections kept for the session: named, combined, taken away; the current one alone stands in the address."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as hst
from streamlit.testing.v1 import AppTest

from explorer.store.reader import Store
from explorer.ui.shared import selection
from explorer.ui.shared.selections import COMBINED
from tests.pages import address_of, assert_sound, open_page

ROWS = hst.sets(hst.integers(0, 30)).map(lambda rows: np.array(sorted(rows), dtype=np.int64))


@given(ROWS, ROWS)
def test_combined_films_are_those_of_sets(one: np.ndarray, other: np.ndarray) -> None:
    first, second = set(one.tolist()), set(other.tolist())
    wanted = {"and": first & second, "or": first | second, "without": first - second}
    assert {word: combine(one, other).tolist() for word, combine in COMBINED.items()} == {
        word: sorted(rows) for word, rows in wanted.items()
    }


def link(store: Store, rows: list[int], name: str) -> str:
    return selection.pack(store.manifest.run_id, store.n, np.array(rows), name)


def current(app: AppTest, store: Store) -> tuple[list[int], str]:
    rows, name = selection.unpack(address_of(app)["sel"][0], store.manifest.run_id, store.n)
    return rows.tolist(), name


def opened(store: Store, rows: list[int], name: str) -> AppTest:
    """The Case page with a selection and the chip's list open."""
    return reopened(open_page("case", sel=link(store, rows, name)))


def reopened(app: AppTest) -> AppTest:
    """The list closes by itself where another number of films stands on the chip."""
    app.run().session_state["selections-open"] = True
    return app.run()


def keep(app: AppTest) -> AppTest:
    return next(button for button in app.button if button.label == "Keep in the list").click().run()


def test_two_kept_selections_are_combined_renamed_and_taken_away(store: Store) -> None:
    app = keep(opened(store, [1, 2, 3], "first"))
    assert_sound(app)
    assert app.text_input(key="kept-0").value == "first"
    app.query_params["sel"] = link(store, [3, 4], "second")
    app = keep(reopened(app))
    assert [app.text_input(key=f"kept-{place}").value for place in (0, 1)] == ["first", "second"]
    for word, rows in (("and", [3]), ("or", [1, 2, 3, 4]), ("without", [4])):  # the current one, "second", with "first"
        app.query_params["sel"] = link(store, [3, 4], "second")
        reopened(app)
        app.selectbox(key="combine-how").set_value(word).run()
        app.button(key="combine").click().run()
        assert_sound(app)
        assert current(app, store) == (rows, f"second {word} first")
    reopened(app)
    app.text_input(key="kept-0").set_value("[a](http://b.example) *c*").run()
    assert app.text_input(key="kept-0").value == "a(http:bexample) c", "a name is text"
    app.text_input(key="kept-0").set_value("***").run()
    assert app.text_input(key="kept-0").value == "a(http:bexample) c", "and is never empty"
    app.button(key="kept-select-0").click().run()
    assert current(app, store) == ([1, 2, 3], "a(http:bexample) c")
    reopened(app)
    app.button(key="kept-remove-0").click().run()
    assert app.text_input(key="kept-0").value == "second"
    app.button(key="kept-remove-0").click().run()
    assert not [box for box in app.text_input if str(box.key).startswith("kept-")]
    assert current(app, store)[0] == [1, 2, 3], "the current selection stays"


def test_the_current_selection_is_renamed_in_the_address(store: Store) -> None:
    app = opened(store, [1, 2], "first")
    app.text_input(key="selection-name").set_value("my films").run()
    assert current(app, store) == ([1, 2], "my films")


def test_the_list_stays_where_nothing_is_selected_and_on_other_pages(store: Store) -> None:
    app = keep(opened(store, [1, 2], "first"))
    app.button(key="selection-clear").click().run()
    assert "sel" not in address_of(app)
    reopened(app.switch_page("pages/map.py").run())
    app.button(key="kept-select-0").click().run()
    assert_sound(app)
    assert current(app, store) == ([1, 2], "first")
