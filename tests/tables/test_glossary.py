"""The glossary: plain, short definitions, each shown on a page where its term stands."""

from __future__ import annotations

import re

import pytest

from explorer.data.text import in_markdown
from explorer.tables.glossary import TERMS, definition, hint


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_a_definition_is_short_and_plain(term) -> None:
    sentences = re.split(r"(?<=\.)\s", term.meaning)
    assert len(term.meaning.split()) <= 25
    assert all((one[0].isupper() or one[0].isdigit()) and one.endswith(".") for one in sentences)
    assert in_markdown(term.meaning, None).replace("\\", "") == term.meaning, "no markup"
    words = set(re.findall(r"[\w']+", term.meaning.lower()))
    assert not words & {"logit", "embedding", "cka", "auroc", "lrap", "hub"} - {term.name.lower()}, (
        "no term explains another by a term"
    )


def test_a_hint_names_each_term_with_its_source() -> None:
    text = hint("cka", "hub")
    assert text.startswith("**CKA**: ")
    assert "(Kornblith et al. 2019)" in text
    assert f"**Hub**: {definition(TERMS['hub'])}" in text
    assert hint() == ""
