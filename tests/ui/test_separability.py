"""The separability page: its figures from small cells, its sentences and links over a real store."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.figures.separability import Cell, board, confusion_heatmap, whiskers
from explorer.figures.style import GREY, regime_style
from explorer.store.reader import Store
from explorer.tables import separability as separability_board
from explorer.tables.labels import label_counts
from explorer.ui.maps.signs import gaps
from tests import pages
from tests.pages import as_read

# --- figures ---------------------------------------------------------------------------------------------------------

CELLS = [[Cell("3.1", 0.8, "far"), Cell("1.0", None, "near")], [Cell("(4)", None, "few"), Cell("1.5", 0.1, "a little")]]


def test_a_square_not_told_from_chance_is_not_filled() -> None:
    figure = board(["A (9)", "B (2)"], ["x", "y"], [("Embedding", 1), ("Logits", 1)], CELLS, 1)
    heat, marks = figure.data
    assert [list(row) for row in heat.z] == [[0.8, None], [None, 0.1]]
    colours = dict(zip(marks.text, marks.textfont.color, strict=True))
    assert colours["1.0"] == colours["(4)"] == GREY
    assert (colours["3.1"], colours["1.5"]) == ("#ffffff", "#000000")
    assert list(marks.customdata) == ["far", "near", "few", "a little"]
    assert list(zip(marks.x, marks.y, strict=True)) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    (frame,) = (shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (frame.y0, frame.y1) == (0.5, 1.5), "the chosen label's row is framed"


def test_whiskers_show_what_shuffled_labels_reach() -> None:
    frame = pd.DataFrame(
        {
            "series": ["one", "one"],
            "label": ["A", "B"],
            "value": [4.0, np.nan],
            "ci_low": [0.0, np.nan],
            "ci_high": [9.0, np.nan],
            "baseline": [1.0, np.nan],
            "null_low": [0.5, np.nan],
            "null_high": [1.5, np.nan],
            "n_pos": [9, 0],
        }
    )
    figure = whiskers(frame, {"one": regime_style(0)}, "Lift", 5, log=True)
    (bar,) = figure.layout.shapes
    assert (bar.x0, bar.x1) == (0.5, 1.5), "a label without a figure has no null"
    assert figure.data[0].x[0] == 0.25, "a logarithm has no 0: it is drawn at the edge"
    assert whiskers(frame, {"one": regime_style(0)}, "AP", 5, log=False).data[0].x[0] == 0


def test_confusions_leave_blank_what_cannot_be_said() -> None:
    cells = [[Cell("", None, "A"), Cell("2.0*", 0.5, "told")], [Cell("", None, "few"), Cell("", None, "B")]]
    figure = confusion_heatmap(["A", "B"], cells)
    assert list(figure.data[1].text) == ["", "2.0*", "", ""]


# --- words -----------------------------------------------------------------------------------------------------------


def a_row(**changes: float) -> dict[str, float]:
    row = {"n_pos": 30, "value": 3.0, "baseline": 1.0, "ci_low": 2.0, "ci_high": 4.0, "p_adjusted": 0.01}
    return row | changes


def test_separating_needs_positives_a_small_p_and_the_whole_interval() -> None:
    assert separability_board.separates(a_row())
    for changes in ({"n_pos": 4}, {"p_adjusted": 0.06}, {"ci_low": 0.9}, {"ci_low": np.nan}, {"p_adjusted": np.nan}):
        assert not separability_board.separates(a_row(**changes))


@pytest.mark.parametrize("measure", separability_board.MEASURES)
def test_strength_is_0_at_chance_and_grows(measure: str) -> None:
    chance = {"lift": 1.0, "distance": 1.0, "fisher": 0.0, "silhouette": 0.0, "average_precision": 0.1}[measure]
    shades = [
        separability_board.strength(measure, a_row(value=value, baseline=chance)) for value in (chance, 0.9 + chance)
    ]
    assert shades[0] == pytest.approx(0) and 0 < shades[1] <= 1


# --- over a real store -----------------------------------------------------------------------------------------------


open_page = partial(pages.open_page, "separability")


def test_every_space_stands_once_and_every_label_is_spoken_of_once(store: Store) -> None:
    spaces = separability_board.columns(store)
    assert len({column.space for column in spaces}) == len(spaces) == 5
    assert spaces[0].title == "Frozen encoder", "one encoder, one column"
    for measure in separability_board.MEASURES:
        for kind in ("embedding", "decision"):
            text = "\n".join(separability_board.measure_sentences(store, "test", kind, measure))
            assert [text.count(label) for label in store.labels] == [1] * len(store.labels)
            apart = [label for label in store.labels if f"**{label}** separates" in text]
            answer = separability_board.measure_sentence(store, "test", kind, measure)
            assert [label in answer for label in store.labels] == [label in apart for label in store.labels]
            assert answer.startswith(f"{len(apart)} of ") or not apart


def test_counts_on_the_board_are_the_stores(store: Store) -> None:
    frame = store.tables.separability
    for (label, split), part in frame[frame["label"].isin(store.labels)].groupby(["label", "split"]):
        assert set(zip(part["n_pos"], part["n_neg"], part["n_unknown"], strict=True)) == {
            label_counts(store, split, label)
        }


@pytest.mark.parametrize("measure", [measure.title for measure in separability_board.MEASURES.values()])
def test_every_measure_renders_whole(store: Store, measure: str) -> None:
    app = open_page(measure=measure, space="Decision (logits)", split="val", table="true")
    assert not app.exception and not app.error
    table = next(frame.value for frame in app.dataframe if "p adjusted" in frame.value)
    assert len(table) == 5 * len(store.labels)
    assert f"{measure} [95% interval]" in table


@pytest.mark.parametrize("part", ["measures", "confused", "spaces"])
def test_every_part_renders_whole(store: Store, part: str) -> None:
    pages.assert_whole(open_page(part=part), "Separability")


def test_every_prompt_set_has_its_gap(store: Store) -> None:
    by_prompt_set = gaps(store, "test")
    assert [one.title for one in by_prompt_set] == [record.title for record in store.manifest.prompt_sets]
    for one in by_prompt_set:
        value, low, high = one.apart
        assert low <= value <= high
        assert value > 2 * one.halves, "text lies further from the films than films from each other"
    table = next(frame.value for frame in open_page(part="spaces").dataframe if "Prompt set" in frame.value)
    assert table["Prompt set"].tolist() == [one.title for one in by_prompt_set]


def test_a_run_of_an_earlier_version_says_how_to_get_the_board(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["artefacts"]["separability.parquet"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    app = open_page()
    assert not app.exception
    assert "precompute" in as_read(app.error[0].value)
