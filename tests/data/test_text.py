"""Data as text, with a Markdown parser and an HTML parser as the oracles."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from explorer.data.text import csv, from_csv, in_html, in_markdown, listed, plain, plain_table, whole

SIGNS = "\\`*_{}[]()<>#+-.!|$~:^&=@/\"' \t\n\r\u2028\u202e\u200b\u2066\x00\ufeffaw1א"
TEXTS = st.one_of(
    st.text(SIGNS, max_size=40),
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            ("http://", "www.", "a@b.c", ":red[", "]", ":a:", "$x$", "- ", "1. ", "# ", "> ", "&lt;", "\n")
        ),
        max_size=6,
    ).map("".join),
)
MARKDOWN = MarkdownIt("commonmark").enable(["strikethrough", "table"])


@given(TEXTS)
def test_a_markdown_parser_reads_back_one_paragraph_of_the_plain_text(text: str) -> None:
    tokens = MARKDOWN.parse(in_markdown(text, None))
    expected = plain(text, None)
    if not expected:
        assert tokens == []
        return
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children).replace("\u2060", "") == expected


@given(TEXTS)
def test_after_the_backslashes_nothing_is_left_that_streamlit_looks_for(text: str) -> None:
    shown = MARKDOWN.renderInline(in_markdown(text, None))
    for meaning in ("http://", "https://", "www.", "a@b", ":a:", ":material_x:"):
        assert meaning not in shown


@given(TEXTS)
def test_an_html_parser_reads_back_the_plain_text(text: str) -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            raise AssertionError(tag)

        def handle_data(self, data: str) -> None:
            seen.append(data)

    reader = Reader()
    reader.feed(in_html(text, None))
    reader.close()
    assert "".join(seen) == plain(text, None)


@given(TEXTS, st.integers(1, 30))
def test_plain_text_is_one_short_line_without_hidden_characters(text: str, longest: int) -> None:
    line = plain(text, longest)
    assert len(line) <= longest + 2, "two more that isolate what is written from the right"
    assert not set(line) & set("\n\r\t\u2028\u202e\u200b\u2066\x00\ufeff")
    assert plain(plain(text, None).strip("\u2068\u2069"), None) == plain(text, None)


def test_two_names_that_differ_in_a_hidden_character_look_different() -> None:
    assert plain("a\u200bb") != plain("ab")


def test_what_is_written_from_the_right_is_isolated() -> None:
    assert plain("אב") == "\u2068אב\u2069"
    assert listed(["אב", "b_c"]) == "\u2068אב\u2069, b\\_c"


def test_a_shortened_text_stands_whole_in_its_tooltip() -> None:
    assert in_markdown("x" * 61) == "x" * 59 + "…"
    assert whole("x" * 61) == "x" * 61
    assert whole("x" * 60) is None


def test_a_table_keeps_numbers_and_missing_cells() -> None:
    frame = pd.DataFrame(
        {"a\u202e": ["b\nc", None, 3], "n": [1.5, None, 2.0], "flag": [True, False, True]}, index=[4, 5, 6]
    )
    shown = plain_table(frame)
    assert list(shown.columns) == ["a\ufffd", "n", "flag"]
    assert shown["a\ufffd"].tolist() == ["b c", None, 3]
    pd.testing.assert_frame_equal(shown[["n", "flag"]], frame[["n", "flag"]])
    assert frame["a\u202e"].iat[0] == "b\nc", "the frame itself is as it was"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "'tis", "Edema", ""])
def test_a_spreadsheet_runs_no_cell_and_the_text_comes_back(text: str) -> None:
    frame = pd.DataFrame({text or "a": [text], "n": [-1.5], "i": [-3]})
    cells = pd.read_csv(io.BytesIO(csv(frame)), keep_default_na=False, dtype={0: str})
    written = str(cells.iloc[0, 0])
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_csv(written) == text
    assert (cells["n"].iat[0], cells["i"].iat[0]) == (-1.5, -3), "numbers stay numbers"
