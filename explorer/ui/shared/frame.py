"""What every page begins with: settings, navigation, the open store and the sidebar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, cast

import streamlit as st
from streamlit.navigation.page import Page

from explorer.data.samples import Split
from explorer.data.text import in_markdown, whole
from explorer.environment import APP, store_root
from explorer.errors import UserError
from explorer.store.reader import Store
from explorer.store.runs import latest_run, list_runs
from explorer.tables.training import protocol_title
from explorer.ui.shared import address, cache, choose
from explorer.ui.shared.build import offer_demo
from explorer.ui.shared.file_check import FileCheck
from explorer.ui.shared.parameter import Parameter, one_of

P = ParamSpec("P")

SHOWN_SPLITS: tuple[Split, ...] = ("test", "val")
LONGEST_ERROR = 1000
"""Characters of each half of an error that a page shows."""

PAGES: tuple[tuple[str, str], ...] = (
    ("pages/overview.py", "Overview"),
    ("pages/map.py", "Map"),
    ("pages/separability.py", "Separability"),
    ("pages/neighbours.py", "Neighbours"),
    ("pages/pr_curves.py", "PR curves"),
    ("pages/grad_cam.py", "Grad-CAM"),
    ("pages/case.py", "Case"),
    ("pages/dataset.py", "Data set"),
    ("pages/audit.py", "Audit"),
    ("pages/protocols.py", "Protocols"),
)

# Drawn here, because a named icon would be fetched from a font server: the app must ask nothing of the internet.
FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="10" cy="11" r="7" fill="#D55E00"/>'
    '<circle cx="23" cy="12" r="6" fill="#0072B2"/><circle cx="17" cy="24" r="6" fill="#009E73"/></svg>'
)

WORKING = f"<style>{Path(__file__).with_name('working.css').read_text(encoding='utf-8')}</style>"
"""What is being made anew is dim, and a thin bar runs: nothing old stands clear under a new name."""


@dataclass(frozen=True)
class View:
    """What a page draws from: the open run and the split whose films are shown and scored."""

    store: Store
    split: Split


def navigation() -> Page:
    """Declare the pages.

    The entry point does, and every page does again. On a fresh server the first visit to a page's own address runs the
    page without the entry point; this menu would then be missing.
    """
    (first, title), *others = PAGES
    pages = [st.Page(APP / first, title=title, url_path="home", default=True)]
    pages += [st.Page(APP / file, title=title) for file, title in others]
    # the default page lives at the root alone; its own name must not be "page not found"
    pages += [st.Page(APP / first, title=title, visibility="hidden")]
    return st.navigation(pages)


@contextmanager
def page(title: str, parameters: Mapping[str, Parameter]) -> Iterator[View]:
    """Frame a page's body; ``parameters`` are what its address says beside the run.

    A problem the user can mend is shown in place of the panel that meets it, never as a traceback. What a control meets
    is shown in place of all that follows.

    Examples
    --------
    ::

        with page("Map", parameters.MAP) as view:
            ...
    """
    st.set_page_config(page_title=f"{title} · Embedding explorer", page_icon=FAVICON, layout="wide")
    navigation()
    st.html(WORKING)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title(title, width="content")
        link = st.container(width="content")
    view, n = None, 0
    with errors_shown():
        opened = _open(title, parameters)
        n = len(opened.store.rows(opened.split)) if opened else 0  # of the samples, without which no page is drawn
        view = opened
    if view is None:
        st.stop()
    st.set_page_config(page_title=address.title(title))
    with link:
        address.bar()
    address.notice()
    st.caption(f"{n:,} films in {view.split}. Research use only. Not a medical device.")
    with errors_shown():
        yield view


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a UserError as what is wrong and what to do. Fragments wrap themselves in it: they run on their own."""
    try:
        yield
    except UserError as error:
        st.error(error_text(error), icon=":material/error:")


def panel(draw: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that the others do not need: where it cannot be drawn, the reason stands in its place."""

    @wraps(draw)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        with errors_shown():
            draw(*args, **kwargs)

    return guarded


def error_text(error: UserError) -> str:
    """What is wrong and what to do, as Markdown: both may quote a file's name or what is in it."""
    return f"{in_markdown(error.what, LONGEST_ERROR)}\n\n{in_markdown(error.fix, LONGEST_ERROR)}"


def _open(title: str, parameters: Mapping[str, Parameter]) -> View | None:
    """Open the chosen run and draw the sidebar; None where there is no store yet, after saying so."""
    root = store_root()
    default = latest_run(root)
    if default is None:
        offer_demo(root, APP, sys.executable)
        return None
    runs = list_runs(root)
    run = address.asked_run(runs, default)
    try:
        store = cache.store(root, run)
        address.open_page(store, title, {"run": one_of(runs, run), **parameters})
    finally:
        _choose_run(runs, run)  # where one run is damaged, the others can still be chosen
    return View(store, _sidebar(store))


def _choose_run(runs: list[str], run: str) -> None:
    if len(runs) == 1:
        return
    st.session_state["run"] = run
    st.sidebar.selectbox("Run", runs, key="run", on_change=lambda: address.choose(run=st.session_state["run"]))


def _sidebar(store: Store) -> Split:
    dataset = store.manifest.dataset
    with st.sidebar:
        chosen = choose.pick_one(
            "Split",
            SHOWN_SPLITS,
            "split",
            help="Films shown and scored. Thresholds were chosen on val: its figures are optimistic.",
        )
        split = cast("Split", chosen)
        st.markdown(
            f"**{in_markdown(dataset.name)}**  \n{store.n:,} films  \n{protocol_title(store)}",
            help=whole(dataset.name),
        )
        _file_verdict(cache.file_check(store))
        if split == "val":
            st.caption("Thresholds and stopping were chosen on val: its figures are optimistic.")
    return split


def _file_verdict(check: FileCheck) -> None:
    """Whether the run's files are what its manifest says; followed until all are checked."""
    if not check.done:
        _follow(check)
    elif check.damaged:
        st.warning(check.verdict, icon=":material/warning:")
    else:
        st.caption(check.verdict)


@st.fragment(run_every=2)
def _follow(check: FileCheck) -> None:
    if check.done:
        st.rerun()
    st.caption(check.verdict)
