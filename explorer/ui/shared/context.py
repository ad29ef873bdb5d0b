"""The bar on top of every page: what is shown, chosen there once for all pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.samples import Split
from explorer.data.text import in_markdown, plain, whole
from explorer.store.runs import short_names
from explorer.tables import styles
from explorer.tables.curves import pool_title
from explorer.tables.glossary import TERMS, definition
from explorer.tables.labels import by_prevalence
from explorer.tables.training import protocol_title
from explorer.ui.shared import access, address, cache, choose
from explorer.ui.shared.file_check import FileCheck
from explorer.ui.shared.filter import choose_filter, show_filter
from explorer.ui.shared.selections import choose_selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from explorer.store.reader import Store

SHOWN_SPLITS: tuple[Split, ...] = ("test", "val")
VAL_IS_OPTIMISTIC = "Thresholds and stopping were chosen on val: its figures are optimistic."
WITHOUT_PIXELS = "This store was published without pixels: films are shown as blanks."
NEVER_HAD_PIXELS = "This run was imported without films: no pictures are shown."
CSS = Path(__file__).with_name("frame.css").read_text(encoding="utf-8")


def bar(title: str, store: Store, runs: list[str], choose_store: Callable[[], None]) -> None:
    """The page's title, then store, run, split, label, regimes, selection and filter, each where the page has it."""
    split = address.value("split")
    with st.container(key="context-bar", horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(key="context-title", width="content", gap=None):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                st.title(title, width="content", anchor=False)
                st.caption(f"{len(store.rows(split)):,} films in {split}", width="content")
            st.caption("Research use only. Not a medical device.")
        with st.container(key="context-shown", horizontal=True, vertical_alignment="center", gap="small"):
            choose.pick_one("Split", SHOWN_SPLITS, "split")
            if address.shows("label"):
                _choose_label(store)
            if address.shows("filter"):
                choose_filter(store)
            if address.shows("sel"):
                choose_selection(store)
            if address.shows("regimes") and len(store.all_regimes) > 1:
                _choose_regimes(store)
            choose_store()
            choose_run(runs, store.run_id)
        with st.container(key="context-end", horizontal=True, width="content", gap="small"):
            address.bar()
            _about(store)
    if store.manifest.leaves_out("pixels"):
        st.caption(WITHOUT_PIXELS if store.has_films else NEVER_HAD_PIXELS)
    if split == "val":
        st.caption(VAL_IS_OPTIMISTIC)
    show_filter(store)
    check = cache.file_check(store)
    if check.done and check.damaged:
        st.warning(check.verdict, icon=":material/warning:")


def choose_run(runs: list[str], run: str) -> None:
    """Another run of the store, where there are several; what all their names begin with is left out."""
    if len(runs) < 2:
        return
    st.session_state["run"] = run
    names = short_names(runs)
    with st.container(width=180):
        st.selectbox(
            "Run",
            runs,
            key="run",
            format_func=lambda name: f"Run {names[name]}",
            label_visibility="collapsed",
            on_change=lambda: address.choose(run=st.session_state["run"]),
        )


def _choose_label(store: Store) -> None:
    """One label or, where the page has them, one pool; the most frequent first."""
    options = address.options("label")
    labels = [label for label in by_prevalence(store, address.value("split")) if label in options]
    with st.container(width=220):
        st.selectbox(
            "Label",
            [*labels, *(option for option in options if option not in labels)],
            format_func=lambda name: plain(pool_title(name), None),
            label_visibility="collapsed",
            **address.control("label"),
        )


def _choose_regimes(store: Store) -> None:
    titles = {regime.name: in_markdown(regime.title) for regime in store.all_regimes}
    st.html(f"<style>{_chip_colours(store)}</style>")
    st.pills(
        "Regimes shown",
        list(titles),
        selection_mode="multi",
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        **address.control("regimes", on_change=_regimes_chosen),
    )


def _regimes_chosen(name: str, key: str) -> None:
    chosen = st.session_state[key]
    address.choose(**{name: tuple(one for one in address.options(name) if one in chosen) or None})  # none: all of them


def _chip_colours(store: Store) -> str:
    """Each chip wears its regime's colour and mark, as all figures do."""
    rules = []
    for place, regime in enumerate(store.all_regimes, 1):
        style = styles.of_regime(store, regime.name)
        chip = f".st-key-context-bar .st-key-regimes button:nth-of-type({place})"
        rules.append(f"{chip}::before{{content:'{style.glyph}';color:{style.colour};margin-right:.35em}}")
    return "".join(rules)


def _about(store: Store) -> None:
    dataset = store.manifest.dataset
    check = cache.file_check(store)
    about = st.popover("About", icon=":material/info:", key="about", on_change="rerun")
    with about:
        st.markdown(
            f"**{in_markdown(dataset.name)}**  \n{store.n:,} films  \n{protocol_title(store)}",
            help=whole(dataset.name),
        )
        if st.button("Glossary", icon=":material/menu_book:", key="glossary"):
            _glossary()
        if store.manifest.never_had:
            st.caption(f"Made of imported embeddings, without: {', '.join(store.manifest.never_had)}.")
        if publication := store.manifest.publication:
            st.caption(f"A published copy, without: {', '.join(publication.left_out) or 'nothing'}.")
        if check.done:
            st.caption(check.verdict)
        elif about.open:  # followed only while seen: its end draws the whole page anew, in the middle of what one types
            _follow(check)
        if (visitor := access.visitor()) and visitor.address:
            st.caption(f"Signed in as {in_markdown(visitor.address)} ({visitor.role})")
            st.button("Sign out", icon=":material/logout:", on_click=st.logout)


@st.dialog("Glossary", width="large")
def _glossary() -> None:
    """Every term of art on the pages."""
    terms = sorted(TERMS.values(), key=lambda term: term.name.lower())
    st.markdown("\n".join(f"- **{term.name}.** {definition(term)}" for term in terms))


@st.fragment(run_every=2)
def _follow(check: FileCheck) -> None:
    if check.done:
        st.rerun()
    st.caption(check.verdict)
