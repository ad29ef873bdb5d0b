"""The Grad-CAM page over a real store: its views, its link, its export."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer.data.saliency_map import METHODS, Saliency
from explorer.figures.overlay import Box, MapStyle
from explorer.store.marks import all_annotations, read_marks
from explorer.store.progress import Progress
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.store.verify import verify_store
from explorer.ui.components.pencil import Act, Does
from explorer.ui.grad_cam import marking, pictures
from explorer.ui.grad_cam.controls import MapSettings, Question
from explorer.ui.grad_cam.strip import MOST
from explorer.ui.models import heatmaps, inference
from explorer.ui.shared import build, selection
from tests import pages
from tests.conftest import IN_DEPTH
from tests.pages import as_read, said

open_page = partial(pages.open_sound_page, "grad_cam")


def question(store: Store, **changes: object) -> Question:
    given = {
        "view_name": "regimes",
        "row": int(store.rows("test")[0]),
        "label": store.labels[2],
        "maps": True,
        "settings": MapSettings("grad_cam", 11, MapStyle(), outlines=True),
    }
    return Question(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("shown", ["Every block", "Every label"])
def test_no_model_runs_before_maps_are_asked_for_and_then_all_are_drawn(store: Store, shown: str) -> None:
    app = open_page(show=shown, regime="Linear probe")
    assert "b = 12" not in said(app) and "logit " not in said(app)
    app.toggle(key="cam").set_value(True).run()
    assert not app.exception
    assert app.query_params["cam"] == "true"
    text = said(app)
    if shown == "Every block":
        assert text.count("**12** · ") == len(store.regimes)
        assert "logit " in text
    else:
        assert all(f"**{label}** · " in text for label in store.labels)
        assert text.count("logit ") >= len(store.labels)


LINKED = ("grad_cam", "rollout")
"""One method that explains a label and one that does not; the others with ``make fuzz``, but for the slowest."""


@pytest.mark.parametrize(
    "method", [m.title for name, m in METHODS.items() if name != "score_cam" and (IN_DEPTH or name in LINKED)]
)
def test_the_link_chooses_method_block_and_sign(store: Store, method: str) -> None:
    text = said(open_page(cam="true", method=method, block="5", against="true"))
    assert f"{method} (" in text
    assert "block 5" in text
    assert ("lowers the label's logit" in text) == next(m.by_label for m in METHODS.values() if m.title == method)


def test_any_sentence_can_be_asked_about(store: Store) -> None:
    text = said(open_page(cam="true", words="an enlarged heart"))
    assert "Own words, frozen encoder" in text
    assert "cosine " in text


def test_a_models_folder_that_was_moved_is_told_and_the_maps_stay(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPLORER_ENCODER", raising=False)
    monkeypatch.setattr(inference, "SHIPPED", tmp_path)
    app = pages.open_page("grad_cam", cam="true", words="a ring of bright smoke")
    assert not app.exception
    (error,) = app.error
    assert "needs the text tower" in as_read(error.value)
    assert "EXPLORER_ENCODER=local-dir:DIR" in as_read(error.value)
    assert said(app).count("logit ") >= len(store.regimes)


def test_a_link_made_under_a_views_former_title_still_opens_it(store: Store) -> None:
    app = open_page(show="Proof")
    assert app.segmented_control(key="show").value == "sanity"
    assert "python -m precompute saliency" in app.code[0].value


def test_a_nonsense_link_falls_back(store: Store) -> None:
    text = said(open_page(cam="maybe", method="tea leaves", block="99", show="nothing", opacity="-3", colours="plaid"))
    assert "Colour shows where" not in text


def test_next_goes_to_the_next_film_with_the_label(store: Store) -> None:
    positive = store.targets[store.rows("test")] == 1
    c = 1 + int(positive[:, 1:].sum(axis=0).argmax())
    label, rows = store.labels[c], store.rows("test")[positive[:, c]]
    app = open_page(label=label)
    assert f"1 of {len(rows)} in test with {label}" in said(app)
    next(b for b in app.button if b.label == "Next").click().run()
    assert app.query_params["film"] == str(store.samples["sample_id"].iat[rows[1]])
    assert f"2 of {len(rows)}" in said(app)


def test_the_selections_stored_maps_stand_in_one_strip(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = store.rows("test")[:20]
    asked: list[heatmaps.MapRequest] = []

    def stored(_: Store, request: heatmaps.MapRequest) -> Saliency | None:
        asked.append(request)
        kept = request.film in rows[3:] and isinstance(request.target, heatmaps.LabelLogits)
        return Saliency(np.ones((1, 1, 14, 14), np.float32), np.zeros(1, np.float32)) if kept else None

    monkeypatch.setattr(heatmaps, "stored_maps", stored)
    token = selection.pack(store.manifest.run_id, store.n, rows, "twenty")
    film = str(store.samples["sample_id"].iat[rows[5]])
    app = open_page(sel=token, cam="true", film=film)
    assert "12 of the 17 films with stored maps, of 20 selected" in said(app)
    keys = [button.key for button in app.button if str(button.key).startswith("strip-")]
    assert keys == [f"strip-{row}" for row in rows[3 : 3 + MOST]]
    assert {len(request.blocks) for request in asked} == {1}
    next(button for button in app.button if button.key == keys[0]).click().run()
    assert film_shown(app) == str(store.samples["sample_id"].iat[rows[3]])
    app.segmented_control(key="show").set_value("mark").run()
    app.text_input(key="annotator").input("Dr A").run()
    app.text_input(key="film_box").set_value(film).run()
    assert "marks are **not blind**" in said(app), "the strip has shown a map of it"


def film_shown(app: AppTest) -> str:
    (film,) = pages.address_of(app)["film"]
    return str(film)


def test_the_export_holds_pictures_raw_maps_and_their_settings(store: Store) -> None:
    asked = question(store)
    grids = {regime.name: np.arange(196, dtype=np.float32).reshape(14, 14) for regime in store.regimes}
    with zipfile.ZipFile(io.BytesIO(pictures.export(store, asked, grids))) as archive:
        for regime in store.regimes:
            np.testing.assert_array_equal(np.load(io.BytesIO(archive.read(f"{regime.name}.npy"))), grids[regime.name])
            settings = json.loads(archive.read(f"{regime.name}.json"))
            assert settings["label"] == asked.label
            assert settings["method"] == "Grad-CAM"
            assert settings["block"] == 12
            sample = store.samples.iloc[asked.row]
            seen = store.fit(regime.encoder).window(int(sample["height"]), int(sample["width"]))
            assert settings["seen_by_the_model"] == dict(zip("xywh", seen, strict=True))
            drawn_film = Image.open(io.BytesIO(archive.read(f"{regime.name}.png")))
            assert drawn_film.size == (int(sample["width"]), int(sample["height"]))


def test_without_a_batch_of_maps_the_page_names_the_command(store: Store) -> None:
    app = open_page(show="Agreement")
    assert app.code[0].value == "python -m precompute saliency STORE --split test"
    assert f"{len(store.tables.annotations):,} annotations" in said(app)


def test_while_a_job_makes_the_maps_the_page_names_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Progress(
        state="running",
        pid=os.getpid(),
        stage="saliency maps",
        stage_number=24,
        stages=26,
        done=12,
        total=32,
        unit="films",
        elapsed=1,
        left=None,
    )
    monkeypatch.setattr(build, "read_progress", lambda root: job)
    for show in ("Agreement", "Sanity checks"):
        assert "Stage 24 of 26: saliency maps · 12 of 32 films" in as_read(open_page(show=show).info[0].value)


def test_an_annotator_is_asked_for_a_name_and_a_sample_is_selected(store: Store) -> None:
    app = open_page(show="Mark")
    assert "Name the annotator to draw" in said(app)
    app.text_input(key="annotator").input("Dr A").run()
    assert "marks are **blind**" in said(app)
    next(b for b in app.button if b.label == "Select them").click().run()
    assert "1 of 15 in the selection" in said(app)


def test_a_reader_is_not_told_which_films_have_the_label(store: Store) -> None:
    rows, label = store.rows("test"), store.labels[2]
    positive = rows[store.targets[rows, 2] == 1]
    assert 0 < len(positive) < len(rows)
    app = open_page(show="mark", label=label, sheet="true")
    assert app.text_input(key="film_box").value == str(store.samples["sample_id"].iat[rows[0]])
    assert f"1 of {len(rows)} in test" in said(app)
    assert "with " + label not in said(app)
    assert "among" not in [control.key for control in app.segmented_control]
    opened = [button for button in app.button if str(button.key).startswith("open-")]
    assert [button.key for button in opened] == [f"open-{row}" for row in rows[: len(opened)]]
    assert len(opened) > 1
    assert not any(button.help for button in opened), "elsewhere it names the film's findings"
    next(button for button in app.button if button.label == "Next").click().run()
    assert app.query_params["film"] == str(store.samples["sample_id"].iat[rows[1]])


def test_a_film_shown_elsewhere_is_not_the_film_to_mark(store: Store) -> None:
    rows, label = store.rows("test"), store.labels[2]
    ids, positive = store.samples["sample_id"], rows[store.targets[rows, 2] == 1]
    first, second, chosen = str(ids.iat[rows[0]]), str(ids.iat[rows[1]]), str(ids.iat[positive[-1]])
    assert len(positive) > 1 and not {rows[0], rows[1]} & set(positive.tolist())

    def film_of(app: AppTest) -> str:
        pages.assert_sound(app)
        (film,) = pages.address_of(app)["film"]
        assert app.text_input(key="film_box").value == film
        return film

    app = open_page(label=label)
    assert film_of(app) == str(ids.iat[positive[0]])
    for film in (None, chosen):  # the default, then one that the visitor chose
        if film:
            app.text_input(key="film_box").set_value(film).run()
        app.segmented_control(key="show").set_value("mark").run()
        assert film_of(app) == first
        app.segmented_control(key="show").set_value("regimes").run()
    assert film_of(app) == chosen

    app.switch_page("pages/case.py").run()
    app.switch_page("pages/grad_cam.py").run()
    app.segmented_control(key="show").set_value("mark").run()
    assert film_of(app) == first
    next(button for button in app.button if button.label == "Next").click().run()
    app.segmented_control(key="show").set_value("regimes").run()
    assert film_of(app) == second, "what was marked can be looked at"
    app.text_input(key="film_box").set_value(chosen).run()
    app.segmented_control(key="show").set_value("mark").run()
    assert film_of(app) == second, "the reader goes on where they were"

    token = selection.pack(store.manifest.run_id, store.n, rows[2:5], "three")
    assert film_of(open_page(show="mark", sel=token)) == str(ids.iat[rows[2]])
    assert film_of(open_page(show="mark", film=chosen)) == chosen, "a link that says which"


@pytest.fixture
def own_store(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy to mark in; its films stay where they are."""
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    shutil.copytree(store.path.parent / "films", tmp_path / "store/films")
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    return open_store(copy.parent)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    assert not app.error


def open_marking(store: Store, row: int, label: str, annotator: str) -> AppTest:
    sample_id = str(store.samples["sample_id"].iat[row])
    app = open_page(show="Mark", film=sample_id, label=label, alone="false")
    app.text_input(key="annotator").input(annotator).run()
    return app


def test_nothing_to_mark_is_recorded_and_taken_back(own_store: Store) -> None:
    row, label = int(own_store.rows("test")[0]), own_store.labels[3]
    app = open_marking(own_store, row, label, "Dr A")
    press(app, "Nothing to mark")
    (mark,) = read_marks(own_store).to_dict("records")
    assert (mark["row"], mark["label"], mark["annotator"], mark["blind"]) == (row, label, "Dr A", True)
    assert np.isnan(mark["x"])
    assert any(
        button.label.startswith("All 0 marks and 1 × nothing of 1 annotator") for button in app.get("download_button")
    )
    press(app, "Take back: nothing to mark")
    assert read_marks(own_store).empty


def test_acts_on_the_film_are_saved_undone_and_deleted_and_others_marks_stay(
    own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "has_seen_map", lambda row: False)
    monkeypatch.setattr(st, "session_state", {})
    row, label = int(own_store.rows("test")[0]), own_store.labels[3]
    film = str(own_store.samples["sample_id"].iat[row])

    def act(by: str, does: Does, box: Box | None = None, mark: str = "", on: str = film) -> list[str]:
        """Who marked what is left, in order."""
        marking._carry_out(own_store, by, Act(does, on, label, box, mark))
        return read_marks(own_store)["annotator"].tolist()

    assert act("Dr A", "undo") == []
    assert act("Dr A", "draw", (1.0, 2.0, 30.0, 40.0)) == ["Dr A"]
    assert act("Dr A", "draw", (1.0, 2.0, 30.0, 40.0)) == ["Dr A"], "one that is there already"
    assert act("Dr B", "draw", (5.0, 6.0, 30.0, 40.0)) == ["Dr A", "Dr B"]
    assert act("Dr A", "draw", (9.0, 9.0, 9.0, 9.0)) == ["Dr A", "Dr B", "Dr A"]
    first, other, last = read_marks(own_store)["mark_id"]
    assert act("Dr A", "delete", mark=other) == ["Dr A", "Dr B", "Dr A"], "not one's own"
    assert act("Dr A", "delete", mark=last) == ["Dr A", "Dr B"]
    assert act("Dr A", "undo") == ["Dr B"], "the step deleted is no step any more"
    assert first not in set(read_marks(own_store)["mark_id"])
    assert act("Dr A", "undo") == ["Dr B"]
    assert act("", "draw", (1.0, 2.0, 30.0, 40.0)) == ["Dr B"]
    assert act("Dr A", "draw", (1.0, 2.0, 30.0, 40.0), on="no such film") == ["Dr B"]
    assert act("Dr A", "draw", (1.0, 2.0, 3e6, 40.0)) == ["Dr B"]
    assert "reaches beyond" in as_read(st.session_state["marking_failed"])


def test_outlines_of_the_run_are_copied_to_be_corrected_and_the_run_stays(own_store: Store) -> None:
    own = own_store.tables.annotations.iloc[0]
    row, label, by = int(own["row"]), str(own["label"]), str(own["annotator"])
    n = int(((own_store.tables.annotations["row"] == row) & (own_store.tables.annotations["label"] == label)).sum())
    app = open_marking(own_store, row, label, by)
    press(app, f"Copy {n} to mine")
    copies = read_marks(own_store)
    assert copies["origin"].tolist() == [f"copy of {by}"] * n
    assert len(all_annotations(own_store)) == len(own_store.tables.annotations), (
        "in place of the run's, not beside them"
    )
    assert not any(button.label.startswith("Copy") for button in app.button)
    assert next(button for button in app.button if button.label == "Nothing to mark").disabled
    app = open_marking(own_store, row, label, "Dr A")
    press(app, f"Copy {n} to mine")
    assert len(all_annotations(own_store)) == len(own_store.tables.annotations) + n
    assert not any(button.label.startswith("Copy") for button in app.button), "one has one's own to correct now"
    assert verify_store(own_store) == []


def test_an_annotator_who_saw_a_map_is_not_blind(store: Store) -> None:
    app = open_page(cam="true")
    app.segmented_control(key="show").set_value("mark").run()
    app.text_input(key="annotator").input("Dr A").run()
    assert not app.exception
    assert "marks are **not blind**" in said(app)


def test_a_read_only_viewer_takes_no_marks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_READONLY", "1")
    assert "read-only" in said(open_page(show="Mark"))


def test_a_store_without_weights_says_how_to_get_them(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a store was thinned out to be passed on."""
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for encoder in ("frozen", "fine_tune"):
        (copy / f"encoders/{encoder}/image_tower.safetensors").unlink()
        del manifest["artefacts"][f"encoders/{encoder}/image_tower.safetensors"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    app = pages.open_page("grad_cam")
    assert not app.exception
    assert "holds no weights" in as_read(app.error[0].value)
    assert "image_tower.safetensors from the original run" in as_read(app.error[0].value)
