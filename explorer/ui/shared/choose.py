"""Controls that define a view. Each stands in the address, so that a link opens the same view again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

import streamlit as st

from explorer.data.text import in_markdown, plain
from explorer.tables.labels import by_prevalence, findings_text, rows_in_state
from explorer.tables.results import METRIC_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from explorer.store.manifest import RegimeRecord, SpaceKind
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

Among = Literal["positive", "negative", "unknown", "any"]

SPACES: dict[str, str] = {"embedding": "Embedding", "decision": "Decision (logits)"}
PICKER_PAGE = 18


def pick_one(
    title: str,
    options: Sequence[str],
    default: str,
    key: str,
    names: Mapping[str, str] | None = None,
    help: str | None = None,
) -> str:
    """A segmented control that always has one option chosen; title and names are Markdown."""
    chosen = st.segmented_control(
        title,
        options,
        default=default,
        required=True,
        key=key,
        bind="query-params",
        format_func=lambda option: (names or {}).get(option, option),
        help=help,
    )
    return chosen if chosen in options else default


def label(view: View) -> str:
    """One label; by default the most frequent that names a finding."""
    options = by_prevalence(view.store, view.split)
    first = next((i for i, option in enumerate(options) if option != "No Finding"), 0)
    chosen = st.selectbox(
        "Label", options, index=first, key="label", bind="query-params", format_func=lambda name: plain(name, None)
    )
    return chosen


def regime(view: View) -> RegimeRecord:
    """One regime."""
    names = {record.name: in_markdown(record.title) for record in view.store.regimes}
    return view.store.regime(pick_one("Regime", list(names), next(iter(names)), "regime", names))


def space_kind() -> SpaceKind:
    """Embeddings or logits."""
    return cast("SpaceKind", pick_one("Space", list(SPACES), "embedding", "space", SPACES))


def metric() -> str:
    """One of the run's metrics."""
    names = METRIC_TITLES
    return pick_one("Metric", list(names), "average_precision", "metric", names)


def film(view: View, among_label: str) -> int:
    """One film by its id, which the address carries.

    Returns
    -------
    int
        Its row. Without an id, the first film of the split that has ``among_label``.
    """
    store = view.store
    start = rows_in_state(store, view.split, among_label, "positive")
    fallback = int(start[0] if len(start) else store.rows(view.split)[0])
    wanted = st.session_state["film_box"] = _film_in_address(store)
    with st.container(width=240):
        st.text_input(
            "Film",
            key="film_box",
            placeholder=plain(store.samples["sample_id"].iat[fallback]),
            help="A sample id. Or open the sheet below and choose by sight.",
            on_change=lambda: open_film(st.session_state["film_box"].strip()),
        )
    row = store.row_of(wanted)
    return fallback if row is None else row


def sheet(view: View, among_label: str) -> None:
    """Thumbnails to choose a film from, drawn only while open."""
    opened = st.expander("Choose a film by sight", icon=":material/grid_view:", key="sheet", on_change="rerun")
    if not opened.open:
        return
    with opened:
        among = cast("Among", pick_one(f"{in_markdown(among_label)} is", get_args(Among), "positive", "among"))
        rows = rows_in_state(view.store, view.split, among_label, None if among == "any" else among)
        if len(rows) == 0:
            st.caption(f"No film in {view.split} has {in_markdown(among_label)} {among}.")
            return
        pages = -(-len(rows) // PICKER_PAGE)
        number = st.pagination(pages, key=f"sheet-{among_label}-{among}-{view.split}") if pages > 1 else 1
        st.caption(f"{len(rows):,} films in {view.split}")
        with st.container(horizontal=True, gap="small"):
            for row in rows[(number - 1) * PICKER_PAGE : number * PICKER_PAGE]:
                sample_id = str(view.store.samples["sample_id"].iat[row])
                with st.container(width=118, gap="xxsmall"):
                    st.image(view.store.thumbnail(int(row)), width=118, alt=f"Film {plain(sample_id)}")
                    st.button(
                        in_markdown(sample_id),
                        key=f"open-{row}",
                        type="tertiary",
                        help=findings_text(view.store, int(row)),
                        on_click=open_film,
                        args=(sample_id,),
                    )


def open_film(sample_id: str) -> None:
    """Put a film into the address, and keep it for the other pages.

    The address is written by hand: a bound text box and a page link that names a film would both write it.
    """
    st.session_state["film"] = sample_id
    if sample_id:
        st.query_params["film"] = sample_id
    else:
        st.query_params.pop("film", None)


def _film_in_address(store: Store) -> str:
    """The film the address names; without one, the film of this run last looked at, which the address then names."""
    if "film" in st.query_params:
        st.session_state["film"] = st.query_params["film"]
    elif store.row_of(st.session_state.get("film", "")) is None:
        st.session_state["film"] = ""
    elif st.session_state["film"]:
        st.query_params["film"] = st.session_state["film"]
    return str(st.session_state["film"])
