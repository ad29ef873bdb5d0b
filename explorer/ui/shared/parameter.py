"""A parameter of an address: its machine names, what each means in a store, and its default.

Machine names are short and never change: a title may be reworded, and links made before still open. Those that held
titles are read through ``former``.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.store.reader import Store

Values = Mapping[str, Any]
"""What a page shows: the values of its parameters by name."""
Named = Callable[["Store"], Mapping[str, Any]]
"""Machine name to value, of a store."""

NONE = "-"
"""In the address: none of several values. No slug is a hyphen."""
_LONGEST_SLUG = 60


class Refused(ValueError):
    """A text that means nothing here; the message says why, or is empty where the text says it all."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an address.

    Attributes
    ----------
    read : callable
        The value that a text means in a store. Raises :class:`Refused`.
    write : callable
        The machine name of a value; empty where the address leaves it out.
    fits : callable
        Whether a value can be shown, given the store and the parameters before it.
    default : callable
        The value where nothing was chosen, given the store and the parameters before it.
    several : int
        How often it may be there; its value is a tuple unless that is 0, for a parameter that is there once.
    least : int
        How many values it has at least, where it may be there several times.
    named : callable
        All values by machine name, of a parameter that has few.
    when : callable
        Whether the page shows it at all, given the parameters before it.
    apart : callable
        Whether the page takes over no other page's or view's choice, given the parameters of its own that were chosen.
    """

    read: Callable[[Store, str], Any]
    write: Callable[[Store, Any], str]
    fits: Callable[[Store, Any, Values], bool]
    default: Callable[[Store, Values], Any]
    several: int = 0
    least: int = 0
    named: Named = lambda _: {}
    when: Callable[[Values], bool] = lambda _: True
    apart: Callable[[Values], bool] = lambda _: False

    def shown(self, when: Callable[[Values], bool]) -> Parameter:
        """The same, on the page only where ``when`` holds."""
        return replace(self, when=when)


def shown(when: Callable[[Values], bool], parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The same parameters, on the page only where ``when`` and their own conditions hold."""

    def both(parameter: Parameter) -> Parameter:
        return parameter.shown(lambda values: when(values) and parameter.when(values))

    return {name: both(parameter) for name, parameter in parameters.items()}


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Short machine names of texts, each of its own: lower case, with hyphens between words, and without dots.

    Examples
    --------
    >>> slugs(["Lung Opacity", "lung opacity!", "漢字", "?"])
    {'漢字': '漢字', 'lung-opacity': 'Lung Opacity', 'lung-opacity-2': 'lung opacity!', 'x': '?'}
    """
    out: dict[str, str] = {}
    for name in sorted(names, key=lambda name: _slug(name) != name):  # a name that is its own slug keeps it
        slug, place = _slug(name), 1
        while (free := slug if place == 1 else f"{slug}-{place}") in out:
            place += 1
        out[free] = name
    return out


def _slug(name: str) -> str:
    words = re.sub(r"\W+", "-", unicodedata.normalize("NFKC", name).casefold())
    return words[:_LONGEST_SLUG].strip("-") or "x"


def from_store(
    named: Named,
    default: Callable[[Store, Values], Any] | None = None,
    *,
    former: Named = lambda _: {},
    several: int = 0,
    least: int = 0,
    fits: Callable[[Store, Any, Values], bool] = lambda *_: True,
) -> Parameter:
    """One of what the store holds, or ``least`` to ``several``; by default the first, or None if there is none."""

    def read(store: Store, text: str) -> Any:
        for known in (named(store), former(store)):
            if text in known:
                return known[text]
        raise Refused

    def write(store: Store, value: Any) -> str:
        return next((name for name, one in named(store).items() if one == value), "")

    def known_and_fitting(store: Store, value: Any, values: Values) -> bool:
        return value in named(store).values() and fits(store, value, values)

    def first(store: Store, _: Values) -> Any:
        return () if several else next(iter(named(store).values()), None)

    return Parameter(read, write, known_and_fitting, default or first, several, least, named)


def one_of(
    names: Iterable[str],
    default: str | tuple[str, ...] | None = None,
    *,
    former: Mapping[str, str] | None = None,
    several: int = 0,
) -> Parameter:
    """One of these machine names, or up to ``several``, the same for every store; by default the first, or none."""
    known = {name: name for name in names}
    chosen = default if default is not None else () if several else next(iter(known))
    return from_store(lambda _: known, lambda *_: chosen, former=lambda _: former or {}, several=several)


def flag(default: bool | Callable[[Store, Values], bool] = False) -> Parameter:
    """True or false."""
    known = {"true": True, "false": False}
    return from_store(lambda _: known, default if callable(default) else lambda *_: default)


def number(
    low: float,
    high: float | Callable[[Store], float],
    default: float | Callable[[Store, Values], float],
    *,
    whole: bool = False,
) -> Parameter:
    """A finite number from ``low`` to ``high``."""
    form = re.compile(r"[+-]?\d{1,12}" if whole else r"[+-]?\d{0,20}\.?\d{0,20}(e[+-]?\d{1,3})?", re.ASCII)

    def fits(store: Store, value: Any, _: Values) -> bool:
        return low <= float(value) <= (high(store) if callable(high) else high)

    def read(store: Store, text: str) -> float:
        try:
            value: float = int(text) if whole else float(text)
        except ValueError:
            raise Refused from None
        if not form.fullmatch(text) or not math.isfinite(value) or not fits(store, value, {}):
            raise Refused
        return value

    def write(_: Store, value: float) -> str:
        return number_text(value)

    return Parameter(read, write, fits, default if callable(default) else lambda *_: default)


def number_text(value: float) -> str:
    """A finite number as an address holds it.

    Examples
    --------
    >>> number_text(3.0), number_text(0.35)
    ('3', '0.35')
    """
    return str(int(value)) if value == int(value) else repr(float(value))


def text(longest: int) -> Parameter:
    """A text of one line; by default none, which the address leaves out."""

    def fits(_: Store, value: str, __: Values) -> bool:
        return len(value) <= longest and not any(map(_is_control, value))

    def read(store: Store, value: str) -> str:
        if not value or not fits(store, value, {}):
            raise Refused
        return value

    return Parameter(read, lambda _, value: value, fits, lambda *_: "")


def film(default: Callable[[Store, Values], str | None]) -> Parameter:
    """A film by its id."""

    def fits(store: Store, value: Any, _: Values) -> bool:
        return store.row_of(value) is not None

    def read(store: Store, value: str) -> str:
        if not fits(store, value, {}):
            raise Refused
        return value

    return Parameter(read, lambda _, value: value or "", fits, default)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
