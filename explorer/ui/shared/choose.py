"""Controls that define a view. What they show and change is a parameter of the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

import streamlit as st

from explorer.data.text import in_markdown
from explorer.tables.labels import findings_text, label_states
from explorer.tables.results import METRIC_TITLES
from explorer.ui.shared import address
from explorer.ui.shared.filter import films, filtered
from explorer.ui.shared.show import show_film

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from explorer.store.manifest import RegimeRecord, SpaceKind
    from explorer.ui.shared.frame import View

Among = Literal["positive", "negative", "unknown", "any"]

SPACES: dict[str, str] = {"embedding": "Embedding", "decision": "Decision (logits)"}
PICKER_PAGE = 18


def pick_one(
    title: str,
    options: Sequence[str],
    parameter: str,
    names: Mapping[str, str] | None = None,
    *,
    named: bool = False,
) -> str:
    """A segmented control that always has one option chosen; its title is shown only where it is ``named``.

    Title and names are Markdown.
    """
    st.segmented_control(
        title,
        options,
        required=True,
        format_func=lambda option: (names or {}).get(option, option),
        label_visibility="visible" if named else "collapsed",
        **address.control(parameter),
    )
    return str(address.value(parameter))


def label() -> str:
    """The label that the bar on top shows."""
    return str(address.value("label"))


def regime(view: View) -> RegimeRecord:
    """One regime."""
    names = {record.name: in_markdown(record.title) for record in view.store.regimes}
    return view.store.regime(pick_one("Regime", list(names), "regime", names))


def space_kind() -> SpaceKind:
    """Embeddings or logits."""
    return cast("SpaceKind", pick_one("Space", list(SPACES), "space", SPACES))


def metric() -> str:
    """One of the run's metrics."""
    return pick_one("Metric", list(METRIC_TITLES), "metric", METRIC_TITLES)


def part(view: View, title: str, parameter: str, names: Mapping[str, str]) -> str:
    """The part of the page that the link or the visitor asks for, in the page's row; the others are not computed."""
    with view.controls:
        return pick_one(title, list(names), parameter, names)


def options(draw: Callable[[], object]) -> None:
    """The controls of a view that are not needed at first, drawn only while the visitor sees them.

    A control that the browser has not shown yet loses the value that the server gave it.
    """
    popover = st.popover("Options", icon=":material/tune:", key="options", on_change="rerun")
    if popover.open:
        with popover:
            draw()


def drawer(title: str, parameter: str, draw: Callable[[], object], icon: str | None = None) -> None:
    """What is needed less often, drawn only while the visitor sees it."""
    box = st.expander(title, icon=icon, **address.control(parameter))
    if box.open:
        with box:
            draw()


def film(view: View, among_label: str | None = None) -> int:
    """One film, by its id or by sight.

    Parameters
    ----------
    among_label : str, optional
        The label whose films can be asked for by sight. Without one nothing tells which labels a film has.

    Returns
    -------
    int
        Its row.
    """
    with st.container(width=170):
        st.text_input(
            "Film",
            label_visibility="collapsed",
            placeholder="A sample id",
            **address.control("film", "film_box", on_change=_open_typed),
        )
    _sheet(view, among_label)
    row = view.store.row_of(address.value("film"))
    assert row is not None, "the address holds films of this run alone"
    return row


def _sheet(view: View, among_label: str | None) -> None:
    """Thumbnails to choose a film from, drawn only while open."""
    opened = st.popover("By sight", icon=":material/grid_view:", width="content", **address.control("sheet"))
    if not opened.open:
        return
    with opened:
        among: Among = "any"
        rows = films(view.store, view.split)
        if among_label is not None:
            among = cast("Among", pick_one(f"{in_markdown(among_label)} is", get_args(Among), "among"))
            if among != "any":
                rows = rows[label_states(view.store, among_label)[rows] == among]
            if len(rows) == 0:
                st.caption(f"No film with {in_markdown(among_label)} {among} in {filtered(view.split)}.")
                return
        pages = -(-len(rows) // PICKER_PAGE)
        number = st.pagination(pages, key=f"sheet-{among_label}-{among}-{view.split}") if pages > 1 else 1
        st.caption(f"{len(rows):,} films in {filtered(view.split)}")
        with st.container(horizontal=True, gap="small"):
            for row in rows[(number - 1) * PICKER_PAGE : number * PICKER_PAGE]:
                sample_id = str(view.store.samples["sample_id"].iat[row])
                with st.container(width=118, gap="xxsmall"):
                    show_film(view.store, int(row), 118)
                    st.button(
                        in_markdown(sample_id),
                        key=f"open-{row}",
                        type="tertiary",
                        help=None if among_label is None else findings_text(view.store, int(row)),
                        on_click=open_film,
                        args=(sample_id,),
                    )


def open_film(sample_id: str) -> None:
    """Show a film, here and on the other pages; without an id, the one a page shows by itself."""
    address.choose(film=sample_id or None)


def _open_typed(_: str, key: str) -> None:
    open_film(str(st.session_state[key]).strip())
