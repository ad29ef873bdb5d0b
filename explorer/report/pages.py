"""Which views of which pages are in the report, and running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from explorer.data.text import plain
from explorer.environment import APP
from explorer.tables import curves as curve_tables
from explorer.tables.labels import by_prevalence
from explorer.tables.separability import MEASURES
from explorer.ui.audit.page import SECTIONS
from explorer.ui.pr_curves.page import VIEWS
from explorer.ui.protocols import PARTS as PROTOCOL_PARTS
from explorer.ui.separability import PARTS as SEPARABILITY_PARTS
from explorer.ui.shared.choose import SPACES
from explorer.ui.shared.parameter import slugs

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store

# every AppTest looks for components in all installed packages, which takes as long as a page; they stay the same
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

SPLIT: Split = "test"
LONGEST = 600
"""Seconds that one view may take."""
Query = Mapping[str, str]


class ReportedView(NamedTuple):
    """A view of a page: what its address says, and its heading in the report, as plain text."""

    heading: str
    query: Query


class ReportedPage(NamedTuple):
    """A page and its views, in the report's order."""

    file: str
    title: str
    views: tuple[ReportedView, ...]


def reported_pages(store: Store) -> tuple[ReportedPage, ...]:
    """Every page of the report with its views; all views that a page has, in short for the audit."""
    audit = [(name, title) for name, (title, _) in SECTIONS.items() if name != "hard"]  # which is films alone
    return (
        ReportedPage("overview", "Overview", (ReportedView("", {"figures": "true"}),)),
        ReportedPage("pr_curves", "PR curves", tuple(_curves(store))),
        ReportedPage("separability", "Separability", tuple(_separability())),
        ReportedPage(
            "protocols",
            "Protocols",
            tuple(ReportedView(title, {"part": part}) for part, (title, _) in PROTOCOL_PARTS.items()),
        ),
        ReportedPage("audit", "Audit", tuple(ReportedView(title, {"audit": name}) for name, title in audit)),
    )


def _curves(store: Store) -> Iterator[ReportedView]:
    """Both kinds of curves, every label and pool in large, then the page's other views."""
    for view, (title, _) in VIEWS.items():
        if view == "overview":
            yield ReportedView("Precision and recall of every label", {"view": view})
            yield ReportedView("ROC of every label", {"view": view, "curve-kind": "roc", "gain": "auroc"})
        elif view == "one":
            pools = {f".{slug}": name for slug, name in slugs(curve_tables.pool_names(store, SPLIT)).items()}
            names = {name: slug for slug, name in {**slugs(store.labels), **pools}.items()}
            for name in [*pools.values(), *by_prevalence(store, SPLIT)]:
                yield ReportedView(plain(curve_tables.pool_title(name)), {"view": view, "label": names[name]})
        else:
            yield ReportedView(title, {"view": view})


def _separability() -> Iterator[ReportedView]:
    for part, (title, _) in SEPARABILITY_PARTS.items():
        if part == "measures":
            for kind, space in SPACES.items():
                for measure, about in MEASURES.items():
                    query = {"part": part, "measure": measure, "space": kind}
                    yield ReportedView(f"{about.title}, {space.lower()}", query)
        elif part == "confused":
            for kind, space in SPACES.items():
                yield ReportedView(f"{title}, {space.lower()}", {"part": part, "space": kind})
        else:
            yield ReportedView(title, {"part": part})


def run_page(page: str, query: Query) -> AppTest:
    """A page as Streamlit draws it for this address, without a browser.

    Raises
    ------
    RuntimeError
        Where the page fails, which is a fault of the program.
    """
    app = AppTest.from_file(str(APP / "streamlit_app.py"), default_timeout=LONGEST)
    for name, text in query.items():
        app.query_params[name] = text
    app.switch_page(f"pages/{page}.py").run()
    if app.exception:
        raise RuntimeError(f"{page} {dict(query)}: {app.exception[0].message}")
    return app
