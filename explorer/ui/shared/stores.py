"""Which store is open, where the host names several: each has a machine name, which stands in the address."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from explorer.data.text import in_markdown
from explorer.environment import is_remote, without_store_root
from explorer.errors import UserError
from explorer.store import remote
from explorer.store.places import Place, places, summary
from explorer.ui.shared import address
from explorer.ui.shared.parameter import slugs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def offered() -> dict[str, Place]:
    """The stores of this server by machine name, in the host's order."""
    by_name = {place.name: place for place in places()}
    machine_names = {name: slug for slug, name in slugs(by_name).items()}
    return {machine_names[name]: place for name, place in by_name.items()}


def asked(stores: Mapping[str, Place]) -> str | None:
    """The machine name of the store that is open; None where one has to be chosen first."""
    return next(iter(stores)) if len(stores) == 1 else address.asked_store(stores)


class Fetching:
    """The one download of a store, which all visitors follow; it goes on when they leave."""

    def __init__(self, address: str) -> None:
        self.done, self.total = 0, 0
        self.error: UserError | None = None
        self.thread = threading.Thread(target=self._fetch, args=(address,), daemon=True)
        self.thread.start()

    def _fetch(self, address: str) -> None:
        tenths = -1

        def report(done: int, total: int) -> None:
            nonlocal tenths
            self.done, self.total = done, total
            if total and 10 * done // total > tenths:
                tenths = 10 * done // total
                sys.stderr.write(f"{address}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB\n")

        try:
            remote.fetch(address, report)
        except UserError as error:
            self.error = error
        except OSError as error:
            self.error = UserError(f"{address} cannot be stored here: {error.strerror}.", "Make room or give rights.")
        if self.error is not None:
            sys.stderr.write(f"{self.error}\n")


@st.cache_resource(show_spinner=False)
def _fetching(address: str) -> Fetching:
    return Fetching(address)


def root(place: Place) -> Path | None:
    """The store's folder; None while it is fetched from elsewhere, which the page then follows."""
    if not is_remote(place.address):
        return Path(place.address)
    if folder := remote.fetched(place.address):
        return folder
    _follow(place)
    return None


@st.fragment(run_every=1)
def _follow(place: Place) -> None:
    """Show how far a download is; open the store when it is whole."""
    fetching = _fetching(place.address)
    st.title(in_markdown(place.name))
    if fetching.error is not None:
        st.error(
            "\n\n".join(
                in_markdown(without_store_root(text), 1000) for text in (fetching.error.what, fetching.error.fix)
            ),
            icon=":material/error:",
        )
        st.button("Try again", icon=":material/refresh:", on_click=_fetching.clear, args=(place.address,))
        return
    if not fetching.thread.is_alive():
        _fetching.clear(place.address)
        st.rerun()
    st.markdown("The store is fetched from elsewhere, once. This page opens it when it is whole.")
    share = fetching.done / fetching.total if fetching.total else 0.0
    st.progress(min(share, 1.0), text=f"{fetching.done / 1e6:,.0f} of {fetching.total / 1e6:,.0f} MB")


def choose(stores: Sequence[str], name: str) -> None:
    """Another store, where there are several."""
    if len(stores) < 2:
        return
    st.session_state["store"] = name
    with st.container(width=200):
        st.selectbox(
            "Store",
            stores,
            key="store",
            label_visibility="collapsed",
            on_change=lambda: address.choose(store=st.session_state["store"]),
        )


def chooser(stores: Mapping[str, Place], page: str) -> None:
    """Every store with what it is, as links to the same page; one that does not open says why.

    Parameters
    ----------
    page : the file of the page
    """
    st.title("Choose a store")
    if wanted := st.query_params.get("store"):
        st.warning(f"This server has no store {in_markdown(wanted)}.", icon=":material/link_off:")
    for name, place in stores.items():
        with st.container(border=True, gap="xsmall", key=f"store-{name}"):
            _offer(name, place, page)


def _offer(name: str, place: Place, page: str) -> None:
    query = {"store": name}
    folder = remote.fetched(place.address) if is_remote(place.address) else Path(place.address)
    if folder is None:
        st.page_link(page, label=f"**{in_markdown(place.name)}**", query_params=query, icon=":material/cloud_download:")
        st.caption("Elsewhere: it is fetched once, when it is first opened.")
        return
    try:
        store = summary(folder)
    except UserError as error:
        st.markdown(f"**{in_markdown(place.name)}**")
        st.caption(f":material/error: It does not open. {in_markdown(without_store_root(error.what), 300)}")
        return
    st.page_link(page, label=f"**{in_markdown(store.title)}**", query_params=query, icon=":material/database:")
    runs = f" · {store.runs} runs" if store.runs > 1 else ""
    st.caption(
        f"{in_markdown(place.name)} · {store.films:,} films · {store.labels} labels{runs} · made {store.made[:10]} · "
        f"{store.bytes / 1e6:,.0f} MB"
    )
