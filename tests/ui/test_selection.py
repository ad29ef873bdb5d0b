"""Selections in links: what is packed comes back, and nothing else opens."""

from __future__ import annotations

import base64
import zlib
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.ui.shared import selection
from explorer.ui.shared.links import BadLink, row_forms, rows_from_text, rows_to_text, unpack_rows
from explorer.ui.shared.selection import LONGEST_LINK, LONGEST_NAME, pack, unpack

RUN = "phantom-demo-1234"


@st.composite
def selections(draw: st.DrawFn) -> tuple[int, np.ndarray]:
    n = draw(st.integers(1, 5000))
    rows = draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=200))
    return n, np.array(sorted(rows), dtype=np.int64)


@given(selections(), st.text(alphabet="abc é漢 1.5 :=", max_size=LONGEST_NAME))
def test_what_is_packed_comes_back(selected: tuple[int, np.ndarray], text: str) -> None:
    n, rows = selected
    name = selection._plain(text)
    token = pack(RUN, n, rows, name)
    assert 0 < len(token) <= LONGEST_LINK
    opened, said = unpack(token, RUN, n)
    assert opened.tolist() == rows.tolist()
    assert opened.dtype == np.int64
    assert said == name
    with pytest.raises(BadLink, match="another run"):
        unpack(token, "other-run", n)


@given(selections(), st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_a_damaged_link_opens_nothing_or_films_that_exist(
    selected: tuple[int, np.ndarray], place: int, other: bytes
) -> None:
    n, rows = selected
    token = pack(RUN, n, rows, "name")
    at = place % len(token)
    changed = token[:at] + other.hex() + token[at + 1 :]
    try:
        opened, _ = unpack(changed, RUN, n)
    except BadLink:
        return
    assert (opened >= 0).all()
    assert (opened < n).all()


@given(selections())
def test_rows_come_back_from_both_forms_and_text_takes_the_shorter(selected: tuple[int, np.ndarray]) -> None:
    n, rows = selected
    for content in row_forms(rows, n):
        assert unpack_rows(content, n).tolist() == rows.tolist()
    text = rows_to_text(rows, n)
    assert rows_from_text(text, n).tolist() == rows.tolist()
    assert len(text) <= 1 + 4 * ceil(ceil(n / 8) / 3), "never longer than a bitmap"


@given(st.text(max_size=300))
def test_nonsense_opens_nothing(token: str) -> None:
    with pytest.raises(BadLink):
        unpack(token, RUN, 100)


def test_a_large_scattered_selection_has_no_link_and_a_large_regular_one_has() -> None:
    rng = np.random.default_rng(0)
    scattered = np.sort(rng.choice(100_000, 20_000, replace=False))
    assert pack(RUN, 100_000, scattered, "many") == ""
    assert len(pack(RUN, 100_000, np.arange(50_000), "half")) < 200
    assert unpack(pack(RUN, 100_000, np.arange(50_000), "half"), RUN, 100_000)[0].tolist() == list(range(50_000))
    # any selection of a set of IU-Xray's size fits, and its length is the bitmap's at most
    for m in (1, 100, 2000, 3818):
        assert 0 < len(pack(RUN, 3818, np.sort(rng.choice(3818, m, replace=False)), "x")) < 720


def test_a_link_that_unpacks_to_too_much_is_refused() -> None:
    bomb = zlib.compress(b"\x00b" + b"\xff" * 10_000_000, 9)
    text = base64.urlsafe_b64encode(bomb[:2900]).decode().rstrip("=")
    with pytest.raises(BadLink):
        unpack(f"{selection._mark(RUN)}.{text}", RUN, 1000)
    for content in (b"", b"\x00", b"\x00b", b"\x00d" + b"\xff" * 400 + b"\x01", b"\x00b" + b"\xff" * 200, b"\x00x\x01"):
        token = f"{selection._mark(RUN)}.{base64.urlsafe_b64encode(zlib.compress(content)).decode().rstrip('=')}"
        with pytest.raises(BadLink):
            unpack(token, RUN, 1000)


def test_a_name_from_a_link_is_plain_text() -> None:
    assert selection._plain("[x](http://evil.example) **b** `c` $d$ <i>") == "x(http:evilexample) b c d i"
    assert selection._plain("  Edema, lift 6.1 (n = 20) ") == "Edema, lift 6.1 (n = 20)"
    assert len(selection._plain("a" * 500)) == LONGEST_NAME
