"""What maps are painted with: who is on top, what is hidden, and the bytes the browser reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.figures.maps import (
    CONTEXT,
    HIDDEN,
    SPAN,
    UNKNOWN,
    Frame,
    Mark,
    Points,
    geometry_bytes,
    graded,
    layered,
    on_ground,
    paint_bytes,
    pies,
)
from explorer.tables.map_colours import match


def read(content: bytes) -> tuple[dict, list[bytes]]:
    """As map_view/codec.js reads it."""
    length = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + length])
    at, arrays = 4 + length, []
    for size in header["arrays"]:
        arrays.append(content[at : at + size])
        at += size + (-size % 4)
    assert at == len(content)
    assert length % 4 == 0, "16-bit numbers begin at an even byte"
    return header, arrays


def test_what_is_in_no_layer_is_hidden_and_later_layers_lie_on_top() -> None:
    paint = layered(6, [Points("a", np.array([0, 1, 2]), CONTEXT), Points("b", np.array([2, 4]), Mark(("#E69F00",)))])
    assert paint.codes.tolist() == [0, 0, 1, HIDDEN, 1, HIDDEN]
    assert [entry.name for entry in paint.legend] == ["b (2)", "a (3)"]


def test_the_ground_lies_beneath_all_layers_and_cannot_be_reached() -> None:
    layers = [Points("a", np.array([0, 1]), CONTEXT), Points("b", np.array([2]), Mark(("#E69F00",)))]
    paint = on_ground(layered(5, layers), np.array([3]), "outside")
    assert paint.codes.tolist() == [1, 1, 2, 0, HIDDEN]
    assert [mark.ground for mark in paint.marks] == [True, False, False]
    assert [entry.name for entry in paint.legend] == ["b (1)", "a (2)", "outside (1)"]


def test_a_grade_puts_the_highest_on_top_and_unknown_beneath() -> None:
    values = np.array([0.0, 1.0, 0.5, np.nan, 9.0, -9.0])
    paint = graded(6, np.array([0, 1, 2, 3, 4]), values, (0.0, 1.0), ("#000000", "#ffffff"), ("low", "high"))
    codes = paint.codes.tolist()
    assert codes[3] == 0
    assert paint.marks[0] == UNKNOWN
    assert codes[0] < codes[2] < codes[1] == codes[4] < len(paint.marks)
    assert codes[5] == HIDDEN
    assert paint.marks[codes[0]].colours == ("#000000",)
    assert paint.marks[codes[1]].colours == ("#ffffff",)


def test_a_film_with_several_labels_is_a_pie_and_the_rarest_lies_on_top() -> None:
    has = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]], dtype=bool)
    rows = np.arange(6)
    paint = pies(7, rows, has, ("x", "y"), ("#111111", "#222222"), [Points("rest", np.array([6]), CONTEXT)], "both")
    marks = [paint.marks[code].colours for code in paint.codes]
    assert marks == [("#111111",)] * 3 + [("#222222",)] * 2 + [("#111111", "#222222"), CONTEXT.colours]
    assert paint.codes[6] < paint.codes[0] < paint.codes[3] < paint.codes[5]
    assert [entry.name for entry in paint.legend] == ["x (4)", "y (3)", "both (1)", "rest (1)"]


labels = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=4, max_size=4)


@given(st.lists(labels, min_size=1, max_size=20), st.sampled_from(["any", "all", "only"]))
def test_a_match_is_what_every_way_of_filling_in_the_unknown_agrees_on(films: list[list[float]], how: str) -> None:
    targets = np.array(films, dtype=np.float32)
    columns = [0, 2]
    matched, unknown = match(targets, columns, how)  # type: ignore[arg-type]
    for film, is_matched, is_unknown in zip(targets, matched, unknown, strict=True):
        gaps = np.flatnonzero(np.isnan(film))
        answers = set()
        for fill in range(2 ** len(gaps)):
            whole = film.copy()
            whole[gaps] = [(fill >> i) & 1 for i in range(len(gaps))]
            chosen, others = whole[columns] == 1, np.delete(whole, columns) == 1
            given = {"any": chosen.any(), "all": chosen.all(), "only": chosen.any() and not others.any()}
            answers.add(bool(given[how]))
        assert is_matched == (answers == {True})
        assert is_unknown == (len(answers) == 2)


def test_bytes_carry_every_place_and_code() -> None:
    rng = np.random.default_rng(0)
    maps = {"one": rng.normal(size=(7, 2)).astype(np.float32), "two": rng.normal(size=(7, 2)).astype(np.float32) * 50}
    header, arrays = read(geometry_bytes("id", maps))
    assert (header["id"], header["n"], header["maps"]) == ("id", 7, ["one", "two"])
    for xy, array in zip(maps.values(), arrays, strict=True):
        units = np.frombuffer(array, dtype="<u2").reshape(7, 2).astype(float)
        width = np.ptp(xy, axis=0).max()
        # one scale for both axes: distances keep their ratios
        apart = np.linalg.norm(xy[:, None] - xy[None], axis=2)
        on_screen = np.linalg.norm(units[:, None] - units[None], axis=2)
        assert on_screen == pytest.approx(apart * SPAN / width, abs=2)
    paint = layered(7, [Points("all", np.arange(7), CONTEXT)])
    flags = {"zero_shot": np.arange(7, dtype=np.uint8) % 4}
    header, arrays = read(paint_bytes("paint", {"zero_shot": paint}, flags))
    assert [list(array) for array in arrays] == [[0] * 7, [0, 1, 2, 3, 0, 1, 2]]
    assert header["styles"][0][0] == {
        "c": list(CONTEXT.colours),
        "s": "disc",
        "r": CONTEXT.radius,
        "a": CONTEXT.opacity,
    }
    assert header["flags"]


def test_a_map_of_one_point_has_a_frame() -> None:
    xy = np.array([[3.0, 4.0]], dtype=np.float32)
    assert Frame.around(xy).units(xy).tolist() == [[32768, 32768]]
