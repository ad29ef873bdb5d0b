"""The case page: one film's scores as frames, the page itself, and the viewer in a browser."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.store.marks import NOTHING, add_marks
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables.film import Verdict, film_scores, score_table, verdicts
from explorer.ui.case import HUNG
from explorer.ui.components.viewer import shapes_to_draw
from explorer.ui.shared.annotators import film_annotations
from tests.pages import address_of, as_read, assert_sound, open_page, panes

open_case = partial(open_page, "case")


def test_a_box_becomes_its_corners_and_a_polygon_its_points() -> None:
    annotations = pd.DataFrame(
        {
            "label": ["Edema", "Fracture", "Pneumonia"],
            "annotator": ["R1", "R2", "R1"],
            "colour": ["#00e6ff", "#ffe600", "#00e6ff"],
            "x": [10.0, 0.0, np.nan],
            "y": [20.0, 0.0, np.nan],
            "w": [30.0, 5.0, np.nan],
            "h": [40.0, 5.0, np.nan],
            "polygon": [None, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), None],
        }
    )
    box = {"points": [[10, 20], [40, 20], [40, 60], [10, 60]], "label": "Edema", "reader": "R1", "colour": "#00e6ff"}
    outline = {"points": [[1, 2], [3, 4], [5, 6]], "label": "Fracture", "reader": "R2", "colour": "#ffe600"}
    assert shapes_to_draw(annotations) == [box, outline], "where nothing was found nothing is drawn"


def test_marks_made_in_the_app_are_drawn_beside_the_runs_each_reader_in_a_colour(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    shutil.copytree(store.path.parent / "films", tmp_path / "store/films")
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    here = open_store(copy.parent)
    own = here.tables.annotations.iloc[[0]]
    row, label = int(own["row"].iat[0]), str(own["label"].iat[0])
    other = next(name for name in here.labels if name != label)
    add_marks(here, own.assign(annotator="<Dr A>"), "app")
    add_marks(here, own.assign(annotator="<Dr A>", label=other, **NOTHING), "app")
    shapes = shapes_to_draw(film_annotations(here, row))
    assert {mark["reader"] for mark in shapes} == {"<Dr A>", str(own["annotator"].iat[0])}
    assert len({mark["colour"] for mark in shapes}) == 2
    app = open_case(film=str(here.samples["sample_id"].iat[row]))
    assert not app.exception
    legend = "".join(part.proto.body for part in app.get("html"))
    assert f"&lt;Dr A&gt;: {label}; nothing to mark: {other}" in legend
    assert f"{own['annotator'].iat[0]}: " in legend


def test_a_films_scores_are_the_stores(store: Store) -> None:
    row = int(store.rows("test")[3])
    frame = film_scores(store, row).set_index(["series", "label"])
    for regime in store.regimes:
        logits = np.asarray(store.logits(regime.name))
        for c, label in enumerate(store.labels):
            score = frame.loc[(regime.title, label)]
            assert score["logit"] == pytest.approx(logits[row, c])
            assert score["rank"] == 1 + (logits[store.rows("test"), c] > logits[row, c]).sum()
            threshold = store.threshold_array(regime.name)[c]
            if np.isnan(threshold):
                assert score["predicted"] is None
            else:
                assert score["predicted"] == (logits[row, c] >= threshold)
                assert np.sign(score["margin"]) == np.sign(logits[row, c] - threshold)
    states = frame.groupby("label")["state"].first()
    for c, label in enumerate(store.labels):
        value = store.targets[row, c]
        assert states[label] == ("unknown" if np.isnan(value) else "positive" if value == 1 else "negative")


def test_the_table_puts_what_the_film_has_first(store: Store) -> None:
    row = int(np.flatnonzero((store.targets == 1).sum(axis=1) > 0)[0])
    table = score_table(film_scores(store, row))
    assert list(table.columns) == ["Label", "Known", *(regime.title for regime in store.regimes)]
    n_positive = int((store.targets[row] == 1).sum())
    assert (table["Known"] == "positive").tolist() == [True] * n_positive + [False] * (len(table) - n_positive)


def test_next_and_previous_step_through_the_films_own_split(store: Store) -> None:
    order = store.rows("train")
    ids = store.samples["sample_id"]
    app = open_case(film=str(ids.iat[order[0]]))
    assert not app.exception
    assert not app.error
    buttons = {button.label: button for button in app.button}
    assert buttons["Previous"].disabled
    app = buttons["Next"].click().run()
    assert app.query_params["film"] == ids.iat[order[1]]
    assert any(f"**{ids.iat[order[1]]}**" in part.value for part in app.markdown)


def test_a_store_copied_without_its_films_shows_the_thumbnail_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: path.suffix != ".png" and is_file(path))
    app = open_case()
    assert not app.exception
    assert "is not on this machine" in as_read(app.warning[0].value)
    assert "Its thumbnail is shown" in as_read(app.warning[0].value)


def test_a_verdict_puts_every_label_where_its_outcome_is(store: Store) -> None:
    states = ["positive", "positive", "negative", "negative", "unknown", "negative"]
    frame = pd.DataFrame(
        {
            "label": list("abcdef"),
            "state": states,
            "series": "One",
            "predicted": [True, False, True, False, True, None],
        }
    )
    (verdict,) = verdicts(frame)
    assert verdict == Verdict("One", ("a",), ("b",), ("c",), ("e",), ("f",))
    scored = film_scores(store, 0)
    for verdict in verdicts(scored):
        outcomes = [*verdict.found, *verdict.missed, *verdict.false, *verdict.unconfirmed, *verdict.undecided]
        assert len(set(outcomes)) == len(outcomes), "no label twice"


def test_the_patients_films_hang_beside_the_film_those_of_its_study_first(store: Store) -> None:
    ids, studies = store.samples["sample_id"], store.samples["study_id"]
    patients, counts = np.unique(store.patients, return_counts=True)
    rows = np.flatnonzero(store.patients == patients[counts.argmax()])
    assert len(rows) > 1
    app = open_case(film=str(ids.iat[rows[0]]))
    assert_sound(app)
    own, *others = panes(app)
    assert (own["film"], own["opens"]) == (ids.iat[rows[0]], False)
    assert len(others) == min(HUNG, len(rows) - 1)
    order = sorted(rows[1:], key=lambda row: (studies.iat[row] != studies.iat[rows[0]], studies.iat[row], row))
    for pane, row in zip(others, order, strict=False):
        assert (pane["film"], pane["opens"], pane["map"]) == (ids.iat[row], True, None)
        assert pane["title"] == f"{store.samples['view'].iat[row]} · study {studies.iat[row]}"
    alone = np.flatnonzero(np.isin(store.patients, patients[counts == 1]))
    if len(alone):
        (pane,) = panes(open_case(film=str(ids.iat[alone[0]])))
        assert pane["title"] == ""


def test_a_regimes_map_lies_on_the_film(store: Store) -> None:
    film = str(store.samples["sample_id"].iat[store.rows("test")[0]])
    app = open_case(film=film, overlay="fine_tune")
    assert not app.exception
    assert not app.error
    assert panes(app)[0]["map"]["blend"] == "color"
    assert address_of(app)["overlay"] == ["fine_tune"]
    assert address_of(open_case(film=film, overlay="fine_tune", regimes="zero_shot"))["overlay"] == ["none"]
