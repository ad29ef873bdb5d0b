"""Every figure of the pages: its title, beside it *Download*, the figure itself, and how to read it.

*Download* gives the figure for print, its data and its citation. Nothing of that is made before it is asked for: the
popover is filled when it is opened, in a fragment of its own, and a file is drawn when its button is pressed.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from explorer.data.text import csv, in_markdown, plain
from explorer.figures.print import MIME, WIDTHS, Kind, Panel, Width, Words, picture
from explorer.figures.print_plotly import PlotlyPanel
from explorer.figures.still import still
from explorer.tables import cite
from explorer.tables.labels import label_counts
from explorer.ui.shared import address
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.parameter import slugs
from explorer.ui.shared.show import figure_title

if TYPE_CHECKING:
    import pandas as pd

    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

Data = Callable[[], "pd.DataFrame"]
Panels = Callable[[], Sequence[Panel]]


@dataclass(frozen=True)
class About:
    """The words of a figure, as plain text.

    Attributes
    ----------
    title : what it shows, then whose it is: label, regime, split
    n : what is counted in it
    caption : how to read it, with what its intervals are
    terms : of the glossary, explained beside the title
    """

    title: tuple[str, ...]
    n: str
    caption: str = ""
    terms: tuple[str, ...] = ()


def figure(view: View, chart: go.Figure, about: About, data: Data, *, key: str, alt: str, zoom: bool = False) -> None:
    """A figure with its title, its download and its caption.

    Parameters
    ----------
    data : makes the table behind the figure when it is asked for
    key : of its own on the page
    zoom : whether it is drawn by plotly's script, which lets one zoom and read off
    """
    heading(view, about, lambda: [Panel(PlotlyPanel(chart))], data, key=key)
    if zoom:
        draw_to_zoom(chart, key=key, alt=alt)
    else:
        draw(chart, alt=alt)
    caption(about)


def heading(view: View, about: About, panels: Panels, data: Data, *, key: str) -> None:
    """A title and its download, above figures that the caller draws.

    Parameters
    ----------
    panels : makes the parts of the printed figure when it is asked for
    """
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        with st.container(width="stretch"):
            figure_title(*about.title, terms=about.terms)
        with st.container(width="content"):
            offer(view, about, panels, data, key=key)


def draw(chart: go.Figure, *, alt: str) -> None:
    """A figure as HTML, without a script."""
    st.html(still(chart, alt))


def draw_to_zoom(chart: go.Figure, *, key: str, alt: str) -> None:
    """A figure drawn by plotly, without its own buttons: one of them would save an unlabelled picture.

    Its script weighs 6 MB: no page's first view has one.
    """
    st.plotly_chart(chart, key=key, config={"displayModeBar": False}, alt=alt)


def caption(about: About) -> None:
    """How to read a figure."""
    st.caption(in_markdown(about.caption, None))


def panel(chart: go.Figure, title: str = "", note: str = "") -> Panel:
    """A figure of plotly as one part of a printed figure."""
    return Panel(PlotlyPanel(chart), plain(title, None), note)


def films(view: View) -> str:
    """The number of films that a figure counts."""
    return f"n = {len(view.store.rows(view.split)):,} {view.split} films"


def label_films(view: View, label: str) -> str:
    """The number of films that a figure of one label counts, by what is known of them."""
    positive, negative, unknown = label_counts(view.store, view.split, label)
    return f"{films(view)}: {positive:,} positive, {negative:,} negative, {unknown:,} unknown"


@st.fragment
def offer(view: View, about: About, panels: Panels, data: Data, *, key: str) -> None:
    """The button that opens a figure's downloads and citation."""
    popover = st.popover(
        "Download", icon=":material/download:", type="tertiary", key=f"download-{key}", on_change="rerun"
    )
    if not popover.open:
        return
    with popover, errors_shown():
        store = view.store
        hashes = cite.hashes(store)
        link = f"{st.context.url or ''}?{address.query()}"
        run = f"Run {store.manifest.run_id}, SHA-256 of its manifest {hashes['manifest, SHA-256']}"
        words = Words(" · ".join(map(plain, about.title)), plain(about.n, None), plain(about.caption, None), run, link)
        stem = file_stem(store, about.title)
        for width in WIDTHS:
            _pictures(panels, words, stem, width, key)
        _button("CSV, the data", f"{stem}.csv", "text/csv", lambda: codecs.BOM_UTF8 + csv(data()), f"{key}-csv")
        _cite(store, words, hashes, key)


def _pictures(panels: Panels, words: Words, stem: str, width: Width, key: str) -> None:
    """The three files of one width."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=64):
            st.markdown(f"{width} mm")
        for kind, mime in MIME.items():
            content = partial(_picture, panels, words, kind, width)
            _button(kind.upper(), f"{stem}.{kind}", mime, content, f"{key}-{width}-{kind}")


def _picture(panels: Panels, words: Words, kind: Kind, width: Width) -> bytes:
    return picture(panels(), words, kind, width)


def _cite(store: Store, words: Words, hashes: dict[str, str], key: str) -> None:
    """Texts to copy: the caption, the link, what identifies the run, BibTeX."""
    bibtex = cite.bibtex(store.manifest)
    identity = "\n".join(f"{name}: {text}" for name, text in hashes.items())
    for title, text in (
        ("Caption", f"{words.title}. {words.n}. {words.caption} {words.run}."),
        ("Link to this view", words.link),
        ("Run and hashes", identity),
        ("BibTeX", bibtex),
    ):
        st.markdown(f"**{title}**")
        st.code(text, language=None, wrap_lines=True, height=110)
    _button("BibTeX", f"{store.manifest.run_id}.bib", "text/plain", lambda: bibtex, f"{key}-bib")


def _button(title: str, name: str, mime: str, content: Callable[[], bytes | str], key: str) -> None:
    st.download_button(title, content, name, mime, key=f"download-{key}", on_click="ignore")


def files(stem: str, kinds: Sequence[tuple[str, str, str, Callable[[], bytes]]], key: str) -> None:
    """A row of buttons for a table's files; each is made when its button is pressed.

    Parameters
    ----------
    kinds : title, ending, MIME type and content of each
    """
    with st.container(horizontal=True, gap="small"):
        for title, ending, mime, content in kinds:
            st.download_button(
                title,
                content,
                file_name=f"{stem}.{ending}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                key=f"{key}-{ending}",
            )


def file_stem(store: Store, title: Sequence[str]) -> str:
    """A file's name without its ending: what the figure shows, whose it is, and the run."""
    parts = [next(iter(slugs([part]))) for part in title]
    return "_".join([*parts, store.manifest.run_id])
