"""What a page's address may say. Everything in it is checked here, before any control reads it.

Each page declares its parameters. A value that none of its films, labels or controls knows is taken out of the
address, and one notice names all of them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitAPIException

from explorer.data.text import in_markdown

if TYPE_CHECKING:
    from explorer.store.reader import Store

_NOTICE = "address-notice"
MOST_NAMED = 5
"""Values that a notice names; it counts the others."""


@dataclass(frozen=True)
class Parameter:
    """What a parameter may hold.

    Attributes
    ----------
    fits : callable
        Whether a store knows a value.
    several : bool
        Whether it may be there more than once.
    """

    fits: Callable[[Store, str], bool]
    several: bool = False


def one_of(values: Iterable[str]) -> Parameter:
    """One of these, the same for every store."""
    known = frozenset(values)
    return Parameter(lambda _, value: value in known)


def from_store(values: Callable[[Store], Iterable[str]], *, several: bool = False) -> Parameter:
    """One of what the store holds, or ``several`` of it."""
    return Parameter(lambda store, value: value in set(values(store)), several)


def several_of(values: Iterable[str]) -> Parameter:
    """Any of these, each in a parameter of its own."""
    return Parameter(one_of(values).fits, several=True)


def number(low: float, high: float, *, whole: bool = False) -> Parameter:
    """A finite number from ``low`` to ``high``."""
    form = re.compile(r"[+-]?\d{1,12}" if whole else r"[+-]?\d{0,12}\.?\d{0,12}(e[+-]?\d{1,3})?", re.ASCII)
    return Parameter(lambda _, value: bool(form.fullmatch(value)) and low <= _float(value) <= high)


def text(longest: int) -> Parameter:
    """A text of one line."""
    return Parameter(lambda _, value: 0 < len(value) <= longest and not any(map(_is_control, value)))


FLAG = one_of(("true", "false"))


def check(store: Store, parameters: Mapping[str, Parameter]) -> None:
    """Take out of the address what this page does not know; :func:`notice` then names it.

    The script starts again without it: a control reads the address as it was when the script started.

    Parameters
    ----------
    parameters : of this page, by name
    """
    refused = []
    for name in list(st.query_params):
        given = st.query_params.get_all(name)
        parameter = parameters.get(name)
        kept = [] if parameter is None else [value for value in given if parameter.fits(store, value)]
        if parameter and not parameter.several and len(given) > 1:
            kept = []
        if kept != given and _replace(name, kept):
            refused.append(_named(name, given, kept, known=parameter is not None))
    if refused:
        st.session_state[_NOTICE] = refused
        st.rerun()


def notice() -> None:
    """Name what :func:`check` took out of the address."""
    refused: list[str] = st.session_state.pop(_NOTICE, [])
    if refused:
        more = f"; and {len(refused) - MOST_NAMED:,} more" if len(refused) > MOST_NAMED else ""
        st.warning(
            f"This address asks for what this page does not know: {'; '.join(refused[:MOST_NAMED])}{more}. "
            "The page shows its defaults in their place.",
            icon=":material/link_off:",
        )


def _replace(name: str, values: list[str]) -> bool:
    """Put values in a parameter's place; False where a control holds it already, which then keeps its own value."""
    try:
        if values:
            st.query_params[name] = values
        else:
            del st.query_params[name]
    except StreamlitAPIException:
        return False
    return True


def _named(name: str, given: list[str], kept: list[str], *, known: bool) -> str:
    if not known:
        return f"a parameter {in_markdown(name)}"
    gone = [value for value in given if value not in kept]
    if not gone or (len(given) > 1 and not kept):
        return f"{in_markdown(name)} {len(given):,} times"
    return f"{in_markdown(name)} {', '.join(in_markdown(value) or '(empty)' for value in gone[:MOST_NAMED])}"


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
