"""What every page begins with: settings, navigation, the open store and the sidebar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from explorer.data.samples import Split
from explorer.environment import APP, store_root
from explorer.errors import UserError
from explorer.store.reader import Store
from explorer.store.runs import latest_run, list_runs
from explorer.tables.training import protocol_title
from explorer.ui.shared import cache
from explorer.ui.shared.build import offer_demo
from explorer.ui.shared.file_check import FileCheck

PAGES: tuple[tuple[str, str], ...] = (
    ("pages/overview.py", "Overview"),
    ("pages/map.py", "Map"),
    ("pages/separability.py", "Separability"),
    ("pages/neighbours.py", "Neighbours"),
    ("pages/pr_curves.py", "PR curves"),
    ("pages/grad_cam.py", "Grad-CAM"),
    ("pages/case.py", "Case"),
    ("pages/audit.py", "Audit"),
    ("pages/protocols.py", "Protocols"),
)

# Drawn here, because a named icon would be fetched from a font server: the app must ask nothing of the internet.
FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="10" cy="11" r="7" fill="#D55E00"/>'
    '<circle cx="23" cy="12" r="6" fill="#0072B2"/><circle cx="17" cy="24" r="6" fill="#009E73"/></svg>'
)


@dataclass(frozen=True)
class View:
    """What a page draws from: the open run and the split whose films are shown and scored."""

    store: Store
    split: Split


def navigation() -> Page:
    """Declare the pages.

    The entry point does, and every page does again: on a fresh server the first visit to a page's own address runs the
    page without the entry point, and would stand there without this menu.
    """
    (first, title), *others = PAGES
    pages = [st.Page(APP / first, title=title, url_path="home", default=True)]
    pages += [st.Page(APP / file, title=title) for file, title in others]
    # the default page lives at the root alone; its own name must not be "page not found"
    pages += [st.Page(APP / first, title=title, visibility="hidden")]
    return st.navigation(pages)


@contextmanager
def page(title: str) -> Iterator[View]:
    """Frame a page's body.

    A problem the user can mend is shown in place of what follows it, never as a traceback.

    Examples
    --------
    ::

        with page("Map") as view:
            ...
    """
    st.set_page_config(page_title=f"{title} · Embedding explorer", page_icon=FAVICON, layout="wide")
    navigation()
    view, n = None, 0
    with errors_shown():
        opened = _open(title)
        n = len(opened.store.rows(opened.split)) if opened else 0  # of the samples, without which no page is drawn
        view = opened
    if view is None:
        st.stop()
    st.title(title)
    st.caption(f"{n:,} films in {view.split}. Research use only. Not a medical device.")
    with errors_shown():
        yield view


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a UserError as what is wrong and what to do. Fragments wrap themselves in it: they run on their own."""
    try:
        yield
    except UserError as error:
        st.error(f"{error.what}\n\n{error.fix}", icon=":material/error:")


def _open(title: str) -> View | None:
    """Open the chosen run and draw the sidebar; None where there is no store yet, after saying so."""
    root = store_root()
    if latest_run(root) is None:
        st.title(title)
        offer_demo(root, APP, sys.executable)
        return None
    store = cache.store(root, _choose_run(root))
    return View(store, _sidebar(store))


def _choose_run(root: Path) -> str:
    runs = list_runs(root)
    default = latest_run(root)
    if len(runs) == 1 or default is None:
        return runs[0]
    chosen = st.sidebar.selectbox("Run", runs, index=runs.index(default), key="run", bind="query-params")
    return chosen


def _sidebar(store: Store) -> Split:
    dataset = store.manifest.dataset
    with st.sidebar:
        splits: list[Split] = ["test", "val"]
        split = st.segmented_control(
            "Split",
            splits,
            default="test",
            required=True,
            key="split",
            bind="query-params",
            help="Films shown and scored. Thresholds were chosen on val: its figures are optimistic.",
        )
        st.markdown(f"**{dataset.name}**  \n{store.n:,} films  \n{protocol_title(store)}")
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
