"""What every page begins with: settings, navigation, the open store and the sidebar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import NamedTuple, ParamSpec, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import Page

from explorer.data.samples import Split
from explorer.data.text import in_markdown
from explorer.environment import APP, MODEL_LIBRARIES, without_models, without_store_root
from explorer.errors import UserError
from explorer.store.folder import LeftOut
from explorer.store.reader import Store
from explorer.store.runs import latest_run, list_runs
from explorer.ui.shared import access, activity, address, cache, context, stores, telemetry
from explorer.ui.shared.build import offer_demo
from explorer.ui.shared.parameter import Parameter, one_of
from explorer.ui.shared.show import FIGURES

P = ParamSpec("P")

_OPENED, _SHOWN, _DEFAULT = "opened-runs", "shown-run", "default-run"

LONGEST_ERROR = 1000
"""Characters of each half of an error that a page shows."""

FIRST = ("pages/overview.py", "Overview")
PAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("pages/map.py", "Map"),
        ("pages/neighbours.py", "Neighbours"),
        ("pages/pr_curves.py", "PR curves"),
        ("pages/grad_cam.py", "Grad-CAM"),
    ),
    "More": (
        ("pages/separability.py", "Separability"),
        ("pages/board.py", "Board"),
        ("pages/case.py", "Case"),
        ("pages/dataset.py", "Data set"),
        ("pages/audit.py", "Audit"),
        ("pages/protocols.py", "Protocols"),
    ),
}
"""The menu by section: five pages one tap away, the rest under one word."""

# Drawn here, because a named icon would be fetched from a font server: the app must ask nothing of the internet.
FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="10" cy="11" r="7" fill="#D55E00"/>'
    '<circle cx="23" cy="12" r="6" fill="#0072B2"/><circle cx="17" cy="24" r="6" fill="#009E73"/></svg>'
)

STYLE = f"<style>{Path(__file__).with_name('frame.css').read_text(encoding='utf-8')}{FIGURES}</style>"


class _Shown(NamedTuple):
    """The run that a session's page showed."""

    root: Path
    run: str
    created: str


@dataclass(frozen=True)
class View:
    """What a page draws from: the open run, the split whose films are shown and scored, and where controls go."""

    store: Store
    split: Split
    controls: DeltaGenerator
    """The row below the bar, for the page's views and their controls; fragments have rows of their own."""


def navigation() -> Page:
    """Declare the pages.

    The entry point does, and every page does again. On a fresh server the first visit to a page's own address runs the
    page without the entry point; this menu would then be missing.
    """
    file, title = FIRST
    menu = {section: [st.Page(APP / file, title=title) for file, title in pages] for section, pages in PAGES.items()}
    menu[""].insert(0, st.Page(APP / file, title=title, url_path="home", default=True))
    # the default page lives at the root alone; its own name must not be "page not found"
    menu[""].append(st.Page(APP / file, title=title, visibility="hidden"))
    return st.navigation(menu, position="top" if access.visitor() else "hidden")


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
    st.html(STYLE)
    with telemetry.timed(title):
        visitor = access.admitted()
        view = None
        with errors_shown():
            view = _open(title, parameters)
        if view is None:
            st.stop()
        _log_opened(visitor, view.store)
        st.set_page_config(page_title=address.title(title))
        address.notice()
        with errors_shown():
            yield view


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a UserError as what is wrong and what to do. Fragments wrap themselves in it: they run on their own."""
    try:
        yield
    except LeftOut as error:
        st.info(error_text(error), icon=":material/info:")
    except UserError as error:
        telemetry.SHOWN.inc()
        st.error(error_text(error), icon=":material/error:")
    except ModuleNotFoundError as error:
        if error.name not in MODEL_LIBRARIES:
            raise
        st.info(error_text(without_models("What is asked for here")), icon=":material/info:")


def panel(draw: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that the others do not need: where it cannot be drawn, the reason stands in its place."""

    @wraps(draw)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        with errors_shown():
            draw(*args, **kwargs)

    return guarded


def error_text(error: UserError) -> str:
    """What is wrong and what to do, as Markdown: both may quote a file's name or what is in it."""
    return "\n\n".join(in_markdown(without_store_root(text), LONGEST_ERROR) for text in (error.what, error.fix))


def _file(title: str) -> str:
    return next(file for file, name in (FIRST, *sum(PAGES.values(), ())) if name == title)


def _changes(store: Store, runs: list[str], default: str | None) -> None:
    """Say what became of the store while this session was open; the session keeps its run as long as that is there."""
    here = _Shown(store.path.parent, store.run_id, store.manifest.created)
    before: _Shown = st.session_state.get(_SHOWN, here)
    st.session_state[_SHOWN] = here
    if before.root == here.root and before.run not in runs:
        gone, shown = in_markdown(before.run), in_markdown(here.run)
        st.warning(f"The run {gone} is no longer in this store. This is {shown}.", icon=":material/sync_problem:")
    elif before[:2] == here[:2] and before != here:
        st.info("This run was made anew while it was open. This is the new one.", icon=":material/sync:")
    first = st.session_state.setdefault(_DEFAULT, {}).setdefault(here.root, default)
    if default not in (None, first, here.run):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":material/sync: A newer run is in this store: {in_markdown(default)}")
            st.button("Open it", on_click=lambda: address.choose(run=default))


def _log_opened(visitor: access.Visitor, store: Store) -> None:
    """Once for each run that a session opens."""
    if store.run_id not in (opened := st.session_state.setdefault(_OPENED, set())):
        opened.add(store.run_id)
        activity.record("opened", visitor.address, run=store.run_id)


def _open(title: str, parameters: Mapping[str, Parameter]) -> View | None:
    """Open the chosen run and draw the bar; None where there is no store yet or none is chosen, after saying so."""
    offered = stores.offered()
    name = stores.asked(offered)
    if name is None:
        stores.chooser(offered, _file(title))
        return None
    several = list(offered) if len(offered) > 1 else []
    root = stores.root(offered[name])
    if root is None:  # it is being downloaded
        return None
    default = latest_run(root)
    if default is None and not several:
        st.title(title)
        offer_demo(root, APP, sys.executable)
        return None
    runs = list_runs(root)
    run = address.asked_run(runs, default or "")
    try:
        store = cache.store(root, run)
        which = {"store": one_of(several, name)} if several else {}
        address.open_page(store, title, {**which, "run": one_of(runs, run), **parameters})
        store.samples  # noqa: B018 without them no page is drawn
    except UserError:
        st.title(title)
        stores.choose(several, name)  # where one store or run is damaged, the others can still be chosen
        context.choose_run(runs, run)
        raise
    context.bar(title, store, runs, partial(stores.choose, several, name))
    _changes(store, runs, default)
    shown = cache.showing(store, address.value("regimes")) if address.shows("regimes") else store
    controls = st.container(key="controls", horizontal=True, vertical_alignment="center", gap="small")
    return View(shown, cast("Split", address.value("split")), controls)
