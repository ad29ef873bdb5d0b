"""Every term of the glossary is explained on a page where it stands, and all of them in one list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Node

from explorer.store.reader import Store
from explorer.tables.glossary import TERMS, definition
from tests.conftest import ROOT
from tests.pages import as_read, open_sound_page, said

SHOWN: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("overview", {}, ("average precision",)),
    ("map", {}, ("purity lift", "embedding")),
    ("map", {"trust": "true"}, ("trustworthiness", "continuity")),
    ("neighbours", {}, ("wilson interval", "prevalence", "hub")),
    ("pr_curves", {}, ("average precision", "threshold", "holm's p", "paired difference", "auroc")),
    ("pr_curves", {"curve-kind": "gain"}, ("pr gain",)),
    ("pr_curves", {"view": "calibration", "label": "no-finding"}, ("reliability", "calibration slope")),
    ("pr_curves", {"view": "thresholds", "label": "no-finding"}, ("net benefit",)),
    ("pr_curves", {"view": "elsewhere", "label": "no-finding"}, ("prior shift", "ppv", "npv")),
    ("pr_curves", {"view": "triage", "label": "no-finding"}, ("guarantee",)),
    ("pr_curves", {"view": "abstain", "label": "no-finding"}, ("coverage", "augrc")),
    ("separability", {}, ("shuffled labels", "adjusted p", "purity lift")),
    ("separability", {"part": "spaces"}, ("cka", "modality gap")),
    ("board", {}, ("average precision", "brier score", "paired difference", "holm's p")),
    ("case", {}, ("threshold", "logit")),
    ("dataset", {}, ("prevalence",)),
    ("protocols", {}, ("macro f1", "exact match", "lrap", "coverage error")),
)
WITH_MAPS = ("pointing game", "insertion", "deletion", "block")
"""Terms of views that need a model or saliency maps of the run."""


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in getattr(node, "children", {}).values():
        yield from nodes(child)


def hints(app: AppTest) -> str:
    """Every hint of a page, and what the columns of its tables say of themselves."""
    protos = [proto for node in nodes(app._tree) if (proto := getattr(node, "proto", None)) is not None]
    texts = [getattr(proto, "help", "") for proto in protos] + [getattr(proto, "columns", "") for proto in protos]
    return "\n".join(map(str, texts))


@pytest.mark.parametrize(("page", "query", "terms"), SHOWN)
def test_a_page_explains_the_terms_on_it(
    store: Store, page: str, query: dict[str, str], terms: tuple[str, ...]
) -> None:
    text = hints(open_sound_page(page, **query))
    for term in terms:
        assert TERMS[term].meaning in text, term


def test_each_term_stands_on_some_page() -> None:
    shown = {term for _, _, terms in SHOWN for term in terms}
    assert shown | set(WITH_MAPS) == set(TERMS)
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "explorer/ui/grad_cam").glob("*.py"))
    assert [term for term in WITH_MAPS if f'"{term}"' not in source and f"'{term}'" not in source] == []


def test_the_list_has_all_terms(store: Store) -> None:
    app = open_sound_page("dataset")
    assert definition(TERMS["hub"]) not in said(app)
    app.button(key="glossary").click().run()
    text = as_read("\n".join(part.value for part in app.markdown))
    for term in TERMS.values():
        assert f"**{term.name}.** {as_read(definition(term))}" in text
