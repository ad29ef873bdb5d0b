"""Map requests: the request is the key of its answer, so every part of it must tell two requests apart."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.ui.models.heatmaps import LabelLogits, Likeness, MapRequest, _TokensRequest
from explorer.ui.models.inference import Upload
from explorer.ui.shared import cache
from explorer.ui.shared.queue import ModelQueue
from tests.conftest import vouch
from tests.pages import as_read, open_page, panes

VECTOR = np.eye(4, dtype=np.float32)


def upload() -> Upload:
    return Upload("mine.png", b"", {}, None, (1, 1), {})


CHANGES: tuple[tuple[object, dict[str, object]], ...] = (
    (
        MapRequest(("store/run", "2026"), 3, LabelLogits("probe", ("Edema",)), "grad_cam", (11,)),
        {
            "run": ("store/run", "2027"),
            "film": 4,
            "target": Likeness.to("frozen", VECTOR[0]),
            "method": "layer_cam",
            "blocks": (10, 11),
            "against": True,
        },
    ),
    (LabelLogits("probe", ("Edema",)), {"regime": "fine_tune", "labels": ("Fracture",)}),
    (Likeness.to("frozen", VECTOR[0]), {"space": "fine_tune", "vector": VECTOR[1].tobytes()}),
    (_TokensRequest(("store/run", "2026"), 3, "frozen"), {"run": ("b", "2026"), "film": 4, "encoder": "fine_tune"}),
)


@pytest.mark.parametrize(("request_", "changes"), CHANGES, ids=lambda value: type(value).__name__)
def test_a_change_of_any_field_is_another_key(request_: object, changes: dict[str, object]) -> None:
    assert {field.name for field in fields(request_)} == set(changes), "a new field needs a change here"  # type: ignore[arg-type]
    queue = ModelQueue(2**20)
    queue.answers.put(request_, VECTOR)
    assert queue.answers.get(replace(request_)) is VECTOR, "equal requests share an answer"  # type: ignore[type-var]
    for name, other in changes.items():
        changed = replace(request_, **{name: other})  # type: ignore[type-var]
        assert changed != request_, name
        assert hash(changed) != hash(request_), name
        assert queue.answers.get(changed) is None, name


def test_two_uploads_never_share_a_key_even_where_they_are_alike() -> None:
    target = LabelLogits("probe", ("Edema",))
    mine, theirs = (MapRequest(("a", "b"), film, target, "grad_cam", (11,)) for film in (upload(), upload()))
    assert mine != theirs
    assert mine == replace(mine)


@pytest.mark.parametrize("regime", ["zero_shot", "fine_tune"])
def test_a_model_that_scores_a_film_otherwise_than_the_run_shows_no_map(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regime: str
) -> None:
    shutil.copytree(tiny_store, tmp_path / "store")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    store = open_store(tmp_path / "store")
    row, label = int(store.rows("test")[0]), store.labels[2]
    logits, sample_id = np.array(store.logits(regime)), str(store.samples["sample_id"].iat[row])
    length = float(np.linalg.norm(store.head(regime)[0][2]))
    logits[row, 2] += np.float32(5e-3 * length)
    np.save(store.path / f"regimes/{regime}/logits.npy", logits)
    vouch(store.path, f"regimes/{regime}/logits.npy")
    app = open_page("grad_cam", film=sample_id, label=label, cam="true")
    assert not app.exception
    (error,) = app.error
    assert f"where the run has {logits[row, 2]:.4g}" in as_read(error.value)
    assert "a map would explain another score" in error.value
    shown = {pane["title"]: pane["map"]["source"] for pane in panes(app)}
    assert {title for title, source in shown.items() if not source} == {store.regime(regime).title}, "others are drawn"


def test_a_run_made_again_under_its_name_is_read_again(tiny_store: Path) -> None:
    st.cache_resource.clear()
    store = open_store(tiny_store)
    text = cache.hover_text(store)
    assert cache.hover_text(Store(store.path)) is text, "the same run, opened twice, is read once"
    again = Store(store.path)
    again.manifest = store.manifest.model_copy(update={"created": "later"})
    assert cache.hover_text(again) is not text
