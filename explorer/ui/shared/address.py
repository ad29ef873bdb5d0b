"""What a view shows, and the address that says so: read once, kept for the session, written back complete.

Each page declares its parameters. When its script starts, :func:`open_page` reads the address and settles the value of
every parameter that the page shows: what the address says, else what this session chose before, else the default.
Controls show these values through :func:`control` and change them through :func:`choose`; none reads the address.

A choice is a step in the browser's history: Streamlit pushes an address that the server writes. An address that the
page completes by itself is replaced in the browser (``address_bar.js``): Back never leads to the same view again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from explorer.data.text import in_markdown, plain
from explorer.ui.shared.parameter import NONE, Parameter, Refused, Values

if TYPE_CHECKING:
    from explorer.store.reader import Store

SHARED = ("store", "run", "split", "label", "regimes", "film", "regime", "space", "sel", "filter")
"""Parameters that mean the same on every page: a choice goes along from page to page."""
MOST_NAMED = 5
"""Values that a notice names; it counts the others."""
_SESSION = "view-state"
_SCRIPT = Path(__file__).with_name("address_bar.js")

Parameters = Mapping[str, Parameter]
"""By name, each after those it depends on."""
Address = dict[str, list[str]]


@dataclass
class _Session:
    """What a visitor chose, by page and name, and the page now open."""

    began: float = field(default_factory=time.time)
    """The browser tells sessions apart by it: a page that goes on in a new one says so."""
    chosen: dict[tuple[str, str], Any] = field(default_factory=dict)
    page: str = ""
    parameters: Parameters = field(default_factory=dict)
    store: Store | None = None
    values: dict[str, Any] = field(default_factory=dict)
    written: Address = field(default_factory=dict)
    """The complete address of these values."""
    read: Address = field(default_factory=dict)
    """The address as the browser last gave it: until it gives another one, the session's choices hold."""
    refused: list[str] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)
    """Keys of the widgets drawn on this page. One of another page may linger under the same key: its value counts for
    nothing."""
    stepped: bool = False
    """Whether another store or run was chosen, whose address is still to be written."""


# --- without Streamlit -----------------------------------------------------------------------------------------------


def read(store: Store, parameters: Parameters, address: Mapping[str, list[str]]) -> tuple[Values, list[str]]:
    """The values that an address gives, and what of it means nothing here, as Markdown."""
    values: dict[str, Any] = {}
    refused = []
    for name, texts in address.items():
        parameter = parameters.get(name)
        if parameter is None:
            refused.append(f"a parameter {in_markdown(name)}")
        elif len(texts) > max(1, parameter.several):
            refused.append(f"{in_markdown(name)} {len(texts):,} times")
        else:
            meant, unknown = _meant(store, parameter, texts)
            if unknown:
                refused.append(f"{in_markdown(name)} {', '.join(unknown[:MOST_NAMED])}")
            if parameter.several and (meant or not unknown):
                values[name] = tuple(dict.fromkeys(meant))
            elif meant:
                values[name] = meant[0]
    return values, refused


def _meant(store: Store, parameter: Parameter, texts: list[str]) -> tuple[list[Any], list[str]]:
    """The values that texts mean, and the texts that mean nothing, as Markdown."""
    meant, unknown = [], []
    for text in texts:
        if parameter.several and texts == [NONE]:
            continue
        try:
            meant.append(parameter.read(store, text))
        except Refused as error:
            unknown.append(f"({error})" if str(error) else in_markdown(text) or "(empty)")
    return meant, unknown


def settle(store: Store, parameters: Parameters, chosen: Values) -> dict[str, Any]:
    """The value of every parameter that the page shows: the chosen one where it fits, else the default."""
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if not parameter.when(values):
            continue
        value = chosen.get(name)
        one_by_one = value if parameter.several and value is not None else (value,)
        enough = value is not None and len(one_by_one) >= parameter.least
        fits = enough and all(parameter.fits(store, one, values) for one in one_by_one)
        values[name] = value if fits else parameter.default(store, values)
        if name == "regimes":
            store = store.showing(values[name])  # what follows speaks of the regimes shown alone
    return values


def write(store: Store, parameters: Parameters, values: Values) -> Address:
    """The complete address of these values; a parameter without a value is left out."""
    address: Address = {}
    for name, value in values.items():
        parameter = parameters[name]
        if value is None:
            continue
        if parameter.several:
            address[name] = [parameter.write(store, one) for one in value] or [NONE]
        elif text := parameter.write(store, value):
            address[name] = [text]
    return address


def is_whole(store: Store, parameters: Parameters, address: Mapping[str, list[str]], given: Values) -> bool:
    """Whether an address says all that a page shows, so that what it leaves out is meant to be empty."""
    return set(write(store, parameters, settle(store, parameters, given))) <= set(address)


# --- of the page now open --------------------------------------------------------------------------------------------


def asked_run(runs: Sequence[str], default: str) -> str:
    """The run that the address names, else the one this session chose, else the default."""
    return next((str(run) for run in _asked("run") if run in runs), default)


def asked_store(stores: Collection[str]) -> str | None:
    """The store that the address names or, where it names none, the one this session chose; None where it is absent."""
    asked = next((store for store in _asked("store") if store), None)
    return asked if asked in stores else None


def _asked(name: str) -> tuple[str | None, str | None]:
    """What the address says of a parameter without which no page opens, and what this session chose."""
    session = _session()
    return st.query_params.get(name) if not _known(session) else None, session.chosen.get(("", name))


def open_page(store: Store, page: str, parameters: Parameters) -> None:
    """Settle what a page shows from the address and from this session's choices, before any control is drawn.

    Parameters
    ----------
    parameters : of the page by name, each after those it depends on
    """
    session = _session()
    known = page == session.page and _known(session)
    if page != session.page:
        session.drawn.clear()
    session.page, session.parameters, session.store = page, parameters, store
    session.read = _in_browser()
    if not known:
        _take(session, store, session.read)
    session.values = settle(store, parameters, _chosen(session, parameters))
    for name, value in session.values.items():
        if session.chosen.get(_place(session, name)) is None and not _is_apart(session, name):
            session.chosen[_place(session, name)] = value
    session.written = write(store, parameters, session.values)
    if session.stepped:
        session.stepped = False
        _push(session)


def _take(session: _Session, store: Store, address: Address) -> None:
    """Take over what an address says that the browser brought."""
    given, refused = read(store, session.parameters, address)
    session.refused += refused
    if address and is_whole(store, session.parameters, address, given):
        for name in settle(store, session.parameters, given).keys() - address.keys():
            session.chosen.pop(_place(session, name), None)
    for name in session.parameters:  # those before first: they say where the others are kept
        if name in given:
            _keep(session, name, given[name])
    session.values = settle(store, session.parameters, _chosen(session, session.parameters))
    for name in _misfits(session, given):
        session.refused.append(_named(name, address[name]))
        session.chosen.pop(_place(session, name))


def value(name: str) -> Any:
    """The value of a parameter that the open page shows."""
    return _session().values[name]


def shows(name: str) -> bool:
    """Whether the open page shows a parameter."""
    return name in _session().values


def options(name: str) -> list[Any]:
    """Every value that the open page could show for a parameter of the store's."""
    session = _session()
    assert session.store is not None, "a page is open"
    named, fits = session.parameters[name].named, session.parameters[name].fits
    return [value for value in named(session.store).values() if fits(session.store, value, session.values)]


def choose(**values: Any) -> None:
    """Change parameters, of this page or of others, and write the address: one step in the browser's history.

    A value that this page cannot show changes nothing and is named in the notice. Call it from a widget's callback, or
    before what it changes is drawn.

    Parameters
    ----------
    values : by name; None for the default
    """
    session = _session()
    before = dict(session.chosen)
    for name, value in values.items():
        _keep(session, name, value)
    if not {"store", "run"}.isdisjoint(values):
        session.stepped = True  # another run is opened when the page starts again
        session.read = _in_browser()  # which may name one that does not open: the choice holds
    elif session.store is not None:
        session.values = settle(session.store, session.parameters, _chosen(session, session.parameters))
        for name in _misfits(session, values):
            session.refused.append(_named(name, [str(values[name])]))
            session.chosen = before
            session.values = settle(session.store, session.parameters, _chosen(session, session.parameters))
        session.written = session.read = write(session.store, session.parameters, session.values)
        _push(session)


def control(name: str, key: str | None = None, on_change: Callable[[str, str], None] | None = None) -> dict[str, Any]:
    """The arguments by which a widget shows a parameter and changes it: ``st.toggle("Maps", **control("cam"))``.

    Parameters
    ----------
    key : str, optional
        The widget's key; by default the parameter's name.
    on_change : callable, optional
        Given both when the visitor changes the widget, in place of choosing its value.
    """
    key, shown = key or name, value(name)
    show(key, list(shown) if _session().parameters[name].several else shown)
    return {"key": key, "on_change": on_change or _changed, "args": (name, key)}


def show(key: str, value: Any) -> str:
    """Have the widget that is drawn next under a key show a value; gives the key."""
    drawn = _session().drawn
    if key not in drawn or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    drawn.add(key)
    return key


def _changed(name: str, key: str) -> None:
    shown = st.session_state[key]
    choose(**{name: tuple(shown) if isinstance(shown, list) else shown})


def link(**values: str) -> dict[str, str]:
    """The query of a link to another page's view of this store, run, split and label, and of what else is given."""
    session = _session()
    along = ("store", "run", "split", "label")
    return {name: session.written[name][0] for name in along if name in session.written} | values


# --- in the browser --------------------------------------------------------------------------------------------------

_bar = st.components.v2.component(
    "address_bar",
    html='<button type="button" title="The address of exactly this view">Copy link</button><span role="status"></span>',
    css=_SCRIPT.with_suffix(".css").read_text(encoding="utf-8"),
    js=_SCRIPT.read_text(encoding="utf-8"),
)


def bar() -> None:
    """The button that copies the link; it also completes the address in the browser."""
    data = {"query": query(), "at": time.time(), "session": _session().began}
    _bar(key="address-bar", data=data, width="content")


def query() -> str:
    """The complete query of the view that is open."""
    return urlencode(_session().written, doseq=True)


def title(page: str) -> str:
    """The browser's title: what is shown, the page, and the run."""
    values = _session().values
    parts = [values.get("label"), values.get("film"), page, values["run"]]
    return " · ".join(plain(part) for part in parts if part)


def notice() -> None:
    """Name what the address asked for in vain."""
    session = _session()
    refused, session.refused = session.refused, []
    if refused:
        more = f"; and {len(refused) - MOST_NAMED:,} more" if len(refused) > MOST_NAMED else ""
        st.warning(
            f"This address asks for what this page does not know: {'; '.join(refused[:MOST_NAMED])}{more}. "
            "The page shows its defaults in their place.",
            icon=":material/link_off:",
        )


def _session() -> _Session:
    session: _Session = st.session_state.setdefault(_SESSION, _Session())
    return session


def _misfits(session: _Session, wanted: Values) -> list[str]:
    """Names of the parameters on the page that do not show what was wanted."""
    return [
        name
        for name, value in wanted.items()
        if value is not None and name in session.values and session.values[name] != value
    ]


def _named(name: str, texts: list[str]) -> str:
    return f"{in_markdown(name)} {', '.join(map(in_markdown, texts[:MOST_NAMED]))}"


def _place(session: _Session, name: str) -> tuple[str, str]:
    """Where a choice is kept: for all pages, or for the open one."""
    return ("" if name in SHARED and not _is_apart(session, name) else session.page, name)


def _is_apart(session: _Session, name: str) -> bool:
    parameter = session.parameters.get(name)
    own = {other: value for (page, other), value in session.chosen.items() if page == session.page}
    return parameter is not None and parameter.apart(own)


def _keep(session: _Session, name: str, value: Any) -> None:
    """Keep a choice: a page that keeps its own takes none over from others, but they take over that one."""
    session.chosen[_place(session, name)] = value
    if name in SHARED:
        session.chosen["", name] = value


def _chosen(session: _Session, names: Iterable[str]) -> dict[str, Any]:
    places = {name: _place(session, name) for name in names}
    return {name: session.chosen[place] for name, place in places.items() if place in session.chosen}


def _in_browser() -> Address:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _known(session: _Session) -> bool:
    """Whether the browser gives the address that it gave before, or the one written since."""
    return _in_browser() in (session.read, session.written)


def _push(session: _Session) -> None:
    if _in_browser() != session.written:
        st.query_params.from_dict(session.written)
