"""The selection of films: it goes from page to page, stands in the link where it fits, and can be taken away.

``sel`` in the address is ``run.rows``: eight hexadecimal digits that name the run, and the rows with the selection's
name, packed. One too large for a link still travels between pages, as all choices of a session do.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.data.text import csv, in_markdown
from explorer.ui.shared import address
from explorer.ui.shared.links import DAMAGED, BadLink, from_text, most_bytes, row_forms, to_text, unpack_rows
from explorer.ui.shared.parameter import Parameter, Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

LONGEST_LINK = 4000
"""Characters a selection may add to a link: proxies and mail programs cut addresses off beyond about 8,000."""
LONGEST_NAME = 60
EXPORTED = ("sample_id", "study_id", "patient_id", "split", "view")
_NOT_PLAIN = re.compile(r"[^\w ,:;+\-=()%·.]|\.(?!\d)")
"""What a name may not hold: it comes from a link and is shown, so it must not be read as Markdown or as an address."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Some films of one run and what they are called; no rows where nothing is selected."""

    run_id: str
    rows: NDArray[np.int64]
    """(m,) ascending."""
    name: str
    token: str
    """What stands in the link; empty where it would be too long."""


def current(view: View) -> Selection:
    """The films selected."""
    held: Selection | None = address.value("sel")
    return held or Selection(view.store.manifest.run_id, np.zeros(0, np.int64), "", "")


def put(store: Store, rows: NDArray[np.int64], name: str) -> None:
    """Select these rows (any order, repeats allowed) on every page and in the link; no rows clears the selection.

    Call it before :func:`current` in a run of the script, or from a widget's callback.
    """
    address.choose(sel=make(store, rows, name) if len(rows) else None)


def clear() -> None:
    """Select nothing."""
    address.choose(sel=None)


def actions(view: View, rows: NDArray[np.int64], name: str, key: str) -> None:
    """Draw what can be done with these rows: open them on another page, or save them.

    Parameters
    ----------
    rows : (m,) rows of the run, at least one
    name : str
        What the selection is to be called.
    key : str
        Tells these buttons from others on the page.
    """
    selected = make(view.store, rows, name)
    store, films = view.store, counted(len(selected.rows))
    targets = [("pages/map.py", "Map", ":material/scatter_plot:", f"Light up {films} on the maps.")]
    first = str(store.samples["sample_id"].iat[selected.rows[0]])
    for file, title, icon in (
        ("pages/neighbours.py", "Neighbours", ":material/hub:"),
        ("pages/grad_cam.py", "Grad-CAM", ":material/center_focus_strong:"),
        ("pages/case.py", "Case", ":material/assignment_ind:"),
    ):
        targets.append((file, title, icon, f"Opens {in_markdown(first)}; the selection goes along."))
    with st.container(horizontal=True, gap="small"):
        for file, title, icon, text in targets:
            if st.button(title, icon=icon, help=text, key=f"{key}-{file}"):
                put(store, selected.rows, selected.name)
                _open(file, selected, None if title == "Map" else first)
        offer_files(store, selected, key)
    if not selected.token:
        st.caption(
            f"{in_markdown(selected.name)}: {films} are too many for a link. They stay selected while this "
            "tab is open; "
            "to pass them on, save them as CSV or Parquet."
        )


def offer_files(store: Store, selected: Selection, key: str) -> None:
    """Two buttons: a selection as CSV and as Parquet; ``key`` tells them from others on the page."""
    stem = re.sub(r"\W+", "-", selected.name).strip("-") or "selection"
    for title, kind, mime in (("CSV", "csv", "text/csv"), ("Parquet", "parquet", "application/octet-stream")):
        st.download_button(
            title,
            partial(exported, store, selected.rows, kind),
            file_name=f"{stem}.{kind}",
            mime=mime,
            icon=":material/download:",
            help=f"Ids, split, labels and every regime's logits of {counted(len(selected.rows))}.",
            on_click="ignore",
            key=f"{key}-{kind}",
        )


def counted(n: int) -> str:
    """A number of films in words."""
    return f"{n:,} film{'' if n == 1 else 's'}"


def exported(store: Store, rows: NDArray[np.int64], kind: str) -> bytes:
    """A selection as a file: ids, split, labels (empty where unknown) and logits named ``logit:regime:label``.

    Parameters
    ----------
    rows : (m,)
    kind : "csv" or "parquet"
    """
    frame = store.samples.loc[rows, [*EXPORTED, *store.labels]].reset_index(names="row")
    logits = [
        pd.DataFrame(store.logits(regime.name)[rows], columns=[f"logit:{regime.name}:{c}" for c in store.labels])
        for regime in store.regimes
    ]
    frame = pd.concat([frame, *logits], axis=1)
    if kind == "csv":
        return csv(frame)
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


# --- in the link -----------------------------------------------------------------------------------------------------


def pack(run_id: str, n: int, rows: NDArray[np.int64], name: str) -> str:
    """A selection as the text of a link; empty where it would exceed LONGEST_LINK.

    Parameters
    ----------
    n : int
        Films of the run.
    rows : (m,) ascending, distinct, in 0..n-1
    name : str
    """
    title = name.encode()
    packed = (to_text(bytes([len(title)]) + title + body) for body in row_forms(rows, n))
    token = f"{_mark(run_id)}.{min(packed, key=len)}"
    return token if len(token) <= LONGEST_LINK else ""


def unpack(token: str, run_id: str, n: int) -> tuple[NDArray[np.int64], str]:
    """Rows, ascending, and name of a link's selection.

    Raises
    ------
    BadLink
        Where it was made in another run, or is not whole.
    """
    mark, _, text = token.partition(".")
    if mark != _mark(run_id) and re.fullmatch(r"[0-9a-f]{8}", mark):
        raise BadLink("it was made in another run")
    if len(token) > LONGEST_LINK or mark != _mark(run_id):
        raise BadLink(DAMAGED)
    # a bomb must not unpack to more than the longest honest content
    content = from_text(text, 1 + 4 * LONGEST_NAME + most_bytes(n))
    stop = 1 + content[0]
    try:
        return unpack_rows(content[stop:], n), _plain(content[1:stop].decode())
    except UnicodeDecodeError as error:
        raise BadLink(DAMAGED) from error


def _mark(run_id: str) -> str:
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def _read(store: Store, token: str) -> Selection:
    run_id = store.manifest.run_id
    try:
        rows, name = unpack(token, run_id, store.n)
    except BadLink as error:
        raise Refused(str(error)) from error
    return Selection(run_id, rows, name, token)


IN_ADDRESS = Parameter(
    read=_read,
    write=lambda _, selected: selected.token,
    fits=lambda store, selected, _: selected.run_id == store.manifest.run_id,
    default=lambda *_: None,
)
"""The selection as a parameter of a page's address."""

# --- in the session --------------------------------------------------------------------------------------------------


def make(store: Store, rows: NDArray[np.int64], name: str) -> Selection:
    """Rows, in any order, as a selection; its name loses what could be read as markup."""
    distinct = np.unique(rows).astype(np.int64)
    run_id, title = store.manifest.run_id, _plain(name)
    return Selection(run_id, distinct, title, pack(run_id, store.n, distinct, title))


def _plain(name: str) -> str:
    return " ".join(_NOT_PLAIN.sub("", name).split())[:LONGEST_NAME].strip()


def _open(file: str, selected: Selection, film: str | None) -> None:
    """Go to a page with a selection and a film."""
    kept = {"sel": selected.token} if selected.token else {}
    if film is not None:
        address.choose(film=film)
        kept["film"] = film
    st.switch_page(file, query_params=address.link(**kept))
