"""The filter in an address: a short text for each condition, ``filter=fn.REGIME&filter=view.ap``.

    tp|fp|fn|tn . regime [. label]       positive|negative|unknown [. label]
    view|split|sex . value               patient_id|study_id|sample_id|image . id
    age|height|width . low..high         report . words

Labels and values have machine names. Without a label a condition is about the one that the page shows.
"""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, cast

from explorer.analysis.operating import CELLS
from explorer.tables.film_filter import (
    CATEGORIES,
    IDS,
    NUMBERS,
    STATES,
    OfLabel,
    OfNumber,
    OfRegime,
    OfText,
    categories,
    is_known,
)
from explorer.ui.shared.parameter import Parameter, Refused, number_text, slugs, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from explorer.store.reader import Store
    from explorer.tables.film_filter import Condition, Outcome

MOST = 12
"""Conditions that a filter may have."""
LONGEST_WORDS = 80
_NUMBER = r"-?\d{1,12}(?:\.\d{1,20})?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?", re.ASCII)
_WORDS = text(LONGEST_WORDS)


def read(store: Store, given: str) -> Condition:
    """The condition that a text means.

    Raises
    ------
    Refused
        Where it means nothing in this run.
    """
    kind, dot, rest = given.partition(".")
    condition: Condition | None = None
    if kind in CELLS:
        if rest in (pairs := _regimes_and_labels(store)):
            regime, label = pairs[rest]
            condition = OfRegime(cast("Outcome", kind), regime, label)
    elif kind in STATES:
        if bool(dot) == bool(rest) and rest in (labels := {"": None, **slugs(store.labels)}):
            condition = OfLabel(kind, labels[rest])
    elif kind in NUMBERS:
        condition = _read_range(kind, rest)
    elif kind in CATEGORIES:
        if dot and rest in (values := _values(store, kind)):
            condition = OfText(kind, values[rest])
    elif kind in IDS and rest:
        condition = OfText(kind, rest)
    elif kind == "report":
        condition = OfText(kind, _WORDS.read(store, rest))
    if condition is None or not is_known(store, condition):
        raise Refused
    return condition


def write(store: Store, condition: Condition) -> str:
    """The text of a condition."""
    match condition:
        case OfRegime(outcome, regime, label):
            return f"{outcome}.{_name(_regimes_and_labels(store), (regime, label))}"
        case OfLabel(state, None):
            return state
        case OfLabel(state, label):
            return f"{state}.{_name(slugs(store.labels), label)}"
        case OfNumber(column, low, high):
            ends = ("" if abs(end) == inf else number_text(end) for end in (low, high))
            return f"{column}.{'..'.join(ends)}"
        case OfText(column, value):
            return f"{column}.{_name(_values(store, column), value) if column in CATEGORIES else value}"


def _name(named: Mapping[str, object], value: object) -> str:
    return next(name for name, one in named.items() if one == value)


def _regimes_and_labels(store: Store) -> dict[str, tuple[str, str | None]]:
    pairs: dict[str, tuple[str, str | None]] = {}
    for regime in store.all_regimes:
        pairs |= {f"{regime.name}.{slug}": (regime.name, label) for slug, label in slugs(store.labels).items()}
        pairs[regime.name] = (regime.name, None)
    return pairs


def _values(store: Store, column: str) -> dict[str, str]:
    """Machine name to text of a column of few; empty where nothing is recorded."""
    there = categories(store, column)
    return {**slugs(value for value in there if value), **({"": ""} if "" in there else {})}


def _read_range(column: str, rest: str) -> OfNumber | None:
    ends = _RANGE.fullmatch(rest)
    if ends is None or not any(ends.groups()):
        return None
    low, high = (float(end) if end else missing for end, missing in zip(ends.groups(), (-inf, inf), strict=True))
    return OfNumber(column, low, high) if low <= high else None


IN_ADDRESS = Parameter(
    read=read,
    write=write,
    fits=lambda store, condition, _: is_known(store, condition),
    default=lambda *_: None,
    several=MOST,
    least=1,
)
"""The filter as a parameter of a page's address: a tuple of conditions, or None."""
