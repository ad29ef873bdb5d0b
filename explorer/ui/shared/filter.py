"""The filter in the bar: which films a page shows, by conditions that all must hold.

It narrows maps, galleries and the films that Previous and Next step through. Figures stay those of the whole split.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import streamlit as st

from explorer.data.text import in_markdown, plain
from explorer.tables import film_filter
from explorer.tables.film_filter import (
    CATEGORIES,
    COLUMNS,
    NOT_RECORDED,
    NUMBERS,
    OUTCOMES,
    STATES,
    OfLabel,
    OfNumber,
    OfRegime,
    OfText,
    subject,
)
from explorer.tables.labels import by_prevalence
from explorer.ui.shared import address, cache, selection
from explorer.ui.shared.conditions import LONGEST_WORDS, MOST
from explorer.ui.shared.selection import counted

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.tables.film_filter import Condition, Conditions

MOST_PILLS = 6
"""Values that stand side by side; more are a list."""
UNTOLD = "A condition on labels"
"""What a condition is called where its words would tell a reader what a film has."""
_NOTE = "filter-note"
_NO_END = {-inf: None, inf: None}


# --- what it does ----------------------------------------------------------------------------------------------------


def conditions() -> Conditions:
    """The conditions on the films of the open page; none where it shows no films."""
    held: Conditions | None = address.value("filter") if address.shows("filter") else None
    return held or ()


def films(store: Store, split: Split) -> NDArray[np.int64]:
    """Rows of a split that the filter leaves, ascending; of all splits where the filter names its own."""
    return narrowed(store, film_filter.base_rows(store, split, conditions()))


def narrowed(store: Store, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows that the filter leaves, in their order."""
    return rows[_meets(store, conditions(), _label())[rows]] if conditions() else rows


def filtered(films: str) -> str:
    """What films are called, with a word where the filter leaves only some of them."""
    return f"{films}, filtered" if conditions() else films


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=cache.RUN_FUNCS)
def _meets(store: Store, conditions: Conditions, label: str) -> NDArray[np.bool_]:
    return film_filter.meets(store, conditions, label)


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=cache.RUN_FUNCS)
def _columns(store: Store) -> list[str]:
    return film_filter.columns(store)


def _label() -> str:
    return str(address.value("label"))


# --- in the bar ------------------------------------------------------------------------------------------------------


@st.fragment
def choose_filter(store: Store) -> None:
    """What conditions can be about, behind one button."""
    opened = st.popover("Filter", icon=":material/filter_alt:", key="filter-open", on_change="rerun")
    if opened.open:
        with opened:
            _choose_conditions(store)


def show_filter(store: Store) -> None:
    """How many films are left and a chip for every condition; where none is left, the reason and one tap back."""
    held, split = conditions(), address.value("split")
    if not held:
        return
    among, left = len(film_filter.base_rows(store, split, held)), len(films(store, split))
    with st.container(key="filter-chips", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{left:,} of {among:,} films", width="content")
        for place, condition in enumerate(held):
            st.button(
                in_markdown(_words(store, condition)),
                icon=":material/close:",
                icon_position="right",
                help="Take this condition away.",
                key=f"filter-{place}",
                on_click=_put,
                args=(subject(condition), None),
            )
    if not left:
        _say_empty(store, split)


def _say_empty(store: Store, split: Split) -> None:
    among = "the run" if film_filter.names_split(conditions()) else split
    without = film_filter.undecided(store, conditions(), _label())
    why = "".join(f" {regime} has no threshold for {in_markdown(label)}." for regime, label in without)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.info(f"No film of {among} meets all conditions of the filter.{why}", icon=":material/filter_alt_off:")
        st.button("Clear filter", key="filter-clear-empty", on_click=address.choose, kwargs={"filter": None})


def _words(store: Store, condition: Condition) -> str:
    """What a chip says; to a reader who marks films, nothing that tells of a label."""
    marks = address.shows("show") and address.value("show") == "mark"
    return UNTOLD if marks and film_filter.tells_label(condition) else film_filter.words(store, condition, _label())


def _choose_conditions(store: Store) -> None:
    label = _choose_label(store)
    for regime in store.all_regimes:
        outcomes = {title: OfRegime(outcome, regime.name, label) for outcome, title in OUTCOMES.items()}
        _choose_value(regime.name, in_markdown(regime.title), outcomes)
    _choose_value("known", "Known to be", {state: OfLabel(state, label) for state in STATES})
    there = _columns(store)
    if "view" in there:
        _choose_column(store, "view")
    others = [column for column in there if column != "view"]
    column = st.selectbox("Another column", others, None, COLUMNS.__getitem__, key="filter-column", placeholder="Any")
    if column:
        _choose_column(store, column)
    if note := st.session_state.pop(_NOTE, ""):
        st.info(note)
    st.caption("All conditions must hold. Figures stay those of the whole split.")
    if conditions():
        _actions(store, films(store, address.value("split")))


def _actions(store: Store, rows: NDArray[np.int64]) -> None:
    with st.container(horizontal=True, gap="small"):
        if len(rows):
            title = f"Select these {len(rows):,} films" if len(rows) > 1 else "Select this film"
            st.button(title, icon=":material/select_all:", on_click=_select, args=(store, rows))
        st.button("Clear filter", icon=":material/filter_alt_off:", key="filter-clear", on_click=_choose, args=((),))


def _choose_label(store: Store) -> str | None:
    """The label that predictions are about: None for the page's, whichever that is."""
    shown = _label()
    others = [label for label in by_prevalence(store, address.value("split")) if label != shown]
    return st.selectbox(
        "Label",
        [None, *others],
        format_func=lambda label: f"{plain(shown)}, as the page" if label is None else plain(label),
        key="filter-label",
    )


def _choose_column(store: Store, column: str) -> None:
    if column in NUMBERS:
        _choose_range(store, column)
    elif column in CATEGORIES:
        texts = film_filter.categories(store, column)
        _choose_value(column, COLUMNS[column], {text: OfText(column, text) for text in texts})
    else:
        _write_text(store, column)


def _choose_value(name: str, title: str, made: Mapping[str, Condition]) -> None:
    """One of several conditions about the same, or none.

    Parameters
    ----------
    name : str
        Tells the widget from the filter's others.
    title : str
        Markdown.
    made : by the text of the choice, which is empty where nothing is recorded
    """
    about = subject(next(iter(made.values())))
    held = next((option for option, one in made.items() if one in conditions()), None)
    widget: dict[str, Any] = {
        "key": (key := address.show(f"filter-{name}", held)),
        "on_change": lambda: _put(about, made.get(st.session_state[key])),
    }
    if len(made) <= MOST_PILLS:
        st.pills(title, list(made), format_func=lambda text: in_markdown(text) or NOT_RECORDED, **widget)
    else:
        st.selectbox(
            title, list(made), None, lambda text: plain(text, None) or NOT_RECORDED, placeholder="Any", **widget
        )


def _choose_range(store: Store, column: str) -> None:
    """The least and the largest number of a column."""
    about = subject(OfNumber(column))
    held = next((one for one in conditions() if isinstance(one, OfNumber) and one.column == column), OfNumber(column))
    ends = store.samples[column].agg(["min", "max"])
    keys = [
        address.show(f"filter-{column}-{side}", _NO_END.get(end, end))
        for side, end in (("low", held.low), ("high", held.high))
    ]

    def chosen() -> None:
        low, high = (st.session_state[key] for key in keys)
        if low is None and high is None:
            return _put(about, None)
        low, high = -inf if low is None else low, inf if high is None else high
        _put(about, OfNumber(column, min(low, high), max(low, high)))

    with st.container(horizontal=True, gap="small"):
        for key, side, end in zip(keys, ("at least", "at most"), ends, strict=True):
            st.number_input(
                f"{COLUMNS[column]} {side}",
                value=None,
                step=1.0,
                format="%g",
                placeholder=f"{end:g}",
                key=key,
                on_change=chosen,
            )


def _write_text(store: Store, column: str) -> None:
    """An id, or words of a report."""
    about = subject(OfText(column, ""))
    held = next((one.text for one in conditions() if isinstance(one, OfText) and one.column == column), "")
    key = address.show(f"filter-{column}", held)

    def written() -> None:
        text = str(st.session_state[key]).strip()
        condition = OfText(column, text)
        if text and not film_filter.is_known(store, condition):
            st.session_state[_NOTE] = f"No film has the {COLUMNS[column].lower()} {in_markdown(text)}."
        else:
            _put(about, condition if text else None)

    title = "Report says" if column == "report" else COLUMNS[column]
    st.text_input(title, max_chars=LONGEST_WORDS if column == "report" else None, key=key, on_change=written)


def _put(about: Hashable, condition: Condition | None) -> None:
    """Have a condition in the place of the one about the same, or none."""
    kept = {subject(one): one for one in conditions()}
    if condition is None:
        kept.pop(about, None)
    else:
        kept[about] = condition
    if len(kept) > MOST:
        st.session_state[_NOTE] = f"A filter has at most {MOST} conditions."
    else:
        _choose(tuple(kept.values()))


def _choose(chosen: Conditions) -> None:
    address.choose(filter=chosen or None)
    st.rerun()  # a widget of the popover would draw the popover alone


def _select(store: Store, rows: NDArray[np.int64]) -> None:
    selection.put(store, rows, film_filter.sentence(store, conditions(), _label()))
    st.session_state[_NOTE] = f"{counted(len(rows))} selected, on every page."
    st.rerun()
