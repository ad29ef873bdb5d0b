"""Hundreds of hostile addresses, each from its seed: a page draws itself, and one notice names what it does not know.

``FUZZ_CASES`` sets how many (``make fuzz``: many more), ``FUZZ_FIRST`` the first seed.
"""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from explorer.store.reader import Store
from explorer.store.runs import open_store
from tests.pages import TITLES, address_of, open_page
from tests.views import OF_PAGE, known_texts, meaning

CASES = int(os.environ.get("FUZZ_CASES", "15"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
DRAWN = CASES // 10
"""Cases in which the whole page is drawn; in the others only its frame, which checks the address."""

HOSTILE = (
    "",
    " ",
    "0",
    "-1",
    "1e309",
    "nan",
    "inf",
    "9" * 400,
    "0x10",
    "1_000",
    "٣",
    "None",
    "TRUE",
    "true",
    "false",
    "\x00",
    "a\r\nb",
    "a\u2028b",
    "\u202etset",
    "\ufeff",
    "../../etc/passwd",
    "<script>",
    "![x](http://host.invalid/x.png)",
    "%00%ff",
    "x" * 5_000,
    "[]",
    "{}",
    "*",
    "test",
    "val",
    "train",
    "🩻" * 300,
)


@dataclass(frozen=True, eq=False)
class Known:
    """What the controls of every page know of a store: the texts that mean something to each parameter."""

    store: Store
    fitting: dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def known(tiny_store: Path) -> Known:
    st.cache_data.clear()
    st.cache_resource.clear()
    store = open_store(tiny_store)
    pool = [*known_texts(store), *HOSTILE]
    fitting = {
        (page, name): [text for text in pool if meaning(store, parameter, text) is not None]
        for page, declared in OF_PAGE.items()
        for name, parameter in declared.items()
    }
    return Known(store, fitting)


def an_address(seed: int, known: Known) -> tuple[str, dict[str, list[str]]]:
    """A page and what its address says."""
    rng = random.Random(seed)
    page = rng.choice(tuple(TITLES))
    names = [*OF_PAGE[page], "run", "unheard", "film ", "\u202eeman", "x" * 300]
    address = {}
    for name in rng.sample(names, rng.randint(1, min(8, len(names)))):
        fitting = known.fitting.get((page, name), [])
        values = [
            rng.choice(fitting if fitting and rng.random() < 0.5 else HOSTILE) for _ in range(rng.choice((1, 1, 2)))
        ]
        address[name] = values
    return page, address


def framed(page: str, address: dict[str, list[str]]) -> AppTest:
    """A page's frame alone."""

    def body(name: str) -> None:
        from explorer.ui import parameters
        from explorer.ui.shared import frame
        from tests.pages import TITLES

        with frame.page(TITLES[name], getattr(parameters, name.upper())):
            pass

    app = AppTest.from_function(body, args=(page,), default_timeout=60)
    for name, values in address.items():
        app.query_params[name] = values
    return app.run()


def unknown(page: str, address: dict[str, list[str]], known: Known) -> set[str]:
    """Names of the parameters that the page must refuse."""
    fitting = {**known.fitting, (page, "run"): [known.store.path.name]}
    declared = OF_PAGE[page]
    return {
        name
        for name, values in address.items()
        if not set(values) <= set(fitting.get((page, name), []))
        or (len(values) > 1 and not (name in declared and declared[name].several))
    }


def assert_whole(app: AppTest, page: str, address: dict[str, list[str]], known: Known) -> None:
    assert not app.exception, address
    assert app.title[0].value == TITLES[page]
    notices = [box.value for box in app.warning if box.value.startswith("This address")]
    refused = unknown(page, address, known)
    assert len(notices) == (1 if refused else 0), address
    for name in refused:
        assert address_of(app).get(name) != address[name], "it is gone from the address"
    app.run()
    assert not app.exception, "the session still works"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_the_frame_of_every_page_stands_any_address(known: Known, seed: int) -> None:
    page, address = an_address(seed, known)
    assert_whole(framed(page, address), page, address, known)


@pytest.mark.parametrize("seed", range(FIRST + CASES, FIRST + CASES + DRAWN))
def test_every_page_stands_any_address(known: Known, seed: int) -> None:
    page, address = an_address(seed, known)
    for model in ("cam", "explain", "by", "show", "prompts"):  # these may run a model: slow, and tested by themselves
        address.pop(model, None)
    assert_whole(open_page(page, **address), page, address, known)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("page", TITLES)
def test_an_empty_or_doubled_parameter_leaves_the_page_and_its_session_whole(page: str) -> None:
    values = itertools.cycle(("", ["test", "val"]) if list(TITLES).index(page) % 2 else (["test", "val"], ""))
    app = open_page(page, **dict(zip(OF_PAGE[page], values, strict=False)))
    assert not app.exception
    assert app.title[0].value == TITLES[page]
    assert address_of(app)["split"] == ["test"]
    assert not app.switch_page("pages/overview.py").run().exception
