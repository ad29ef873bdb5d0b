"""The report as one HTML document: sections, their order, and what encloses them."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.data.text import plain
from explorer.report import maps
from explorer.report.markup import Markup
from explorer.report.pages import SPLIT, ReportedPage, reported_pages, run_page
from explorer.tables import cite
from explorer.tables.training import protocol_title
from explorer.ui.overview import STYLE as PICTURES
from explorer.ui.shared.show import FIGURES

if TYPE_CHECKING:
    from explorer.store.reader import Store

STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
_EMPTY = re.compile(r"<h4>[^\n]*?</h4>(?=\s*(?:<h[1-4]|</section>))")
"""A heading of which nothing is left."""
Progress = Callable[[int, int], None]


def report(store: Store, with_films: bool, progress: Progress) -> str:
    """The whole document.

    The store is the one that ``EXPLORER_STORE`` names: the pages open it themselves.

    Parameters
    ----------
    with_films : bool
        Whether the pictures of films on Overview are in it.
    progress : callable
        Given how many views are done, and of how many.
    """
    pages = reported_pages(store)
    total = sum(len(page.views) for page in pages)
    sections, done = [], 0
    for page in pages:
        parts = []
        for part in _parts(store, page, with_films):
            parts.append(part)
            done += 1
            progress(done, total)
        sections.append(_section(page.file, page.title, "".join(parts)))
    sections.insert(1, _section("map", "Map", maps.maps(store, SPLIT)))
    sections.append(_section("cite", "Run and citation", _citation(store)))
    titles = [("map", "Map"), *((page.file, page.title) for page in pages), ("cite", "Run and citation")]
    titles.insert(0, titles.pop(1))
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in titles)
    return _document(store, f"<nav>{links}</nav>{''.join(sections)}")


def _parts(store: Store, page: ReportedPage, with_films: bool) -> Iterator[str]:
    """The views of a page."""
    markup = Markup(page.file, with_films)
    for view in page.views:
        app = run_page(page.file, {"run": store.run_id, "split": SPLIT, **view.query})
        heading = f"<h3>{html.escape(view.heading)}</h3>" if view.heading else ""
        yield heading + markup.block(app.main)


def _section(name: str, title: str, content: str) -> str:
    return _EMPTY.sub("", f'<section id="{name}"><h2>{title}</h2>{content}</section>')


def _citation(store: Store) -> str:
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in cite.hashes(store).items())
    lines = "\n".join(_text(line) for line in cite.bibtex(store.manifest).split("\n"))
    return f"<dl>{facts}</dl><h4>BibTeX</h4><pre>{lines}</pre>"


def _text(text: object) -> str:
    return html.escape(plain(text, None))


def _document(store: Store, body: str) -> str:
    manifest, title = store.manifest, _text(store.manifest.title)
    digest = base64.b64encode(hashlib.sha256(maps.SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    facts = {
        "Data set": f"{manifest.dataset.name}: {store.n:,} films, {len(store.rows(SPLIT)):,} of them in {SPLIT}",
        "Licence": manifest.dataset.licence or "not recorded",
        "Protocol": protocol_title(store),
        "Run": f"{manifest.run_id}, made {manifest.created}",
        "Made by": f"CXR Embedding Explorer {manifest.versions.get('explorer', '')}",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title} · report</title>{PICTURES}<style>{FIGURES}{STYLE}</style></head><body>"
        f"<header><h1>{title}</h1><p><strong>Research use only. Not a medical device.</strong></p>"
        f"<dl>{rows}</dl></header><main>{body}</main><script>{maps.SCRIPT}</script></body></html>\n"
    )
