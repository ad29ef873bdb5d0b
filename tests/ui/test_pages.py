"""Every page over a real store, through Streamlit's own test harness."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from explorer.analysis.metrics import METRICS
from explorer.store.progress import Progress, write_progress
from explorer.store.reader import Store
from explorer.tables.results import METRIC_TITLES
from explorer.tables.spaces import distinct_spaces, nearest_films
from explorer.ui.shared import selection
from tests.pages import TITLES, address_of, as_read, assert_whole, open_page, said

PAGES = tuple(TITLES)


@pytest.fixture(scope="module")
def fresh_caches() -> None:
    """No test changes a store: those that need another take a copy, in a folder of its own."""
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("split", ["test", "val"])
def test_every_page_renders_whole_for_every_kind_of_label_in_every_split(store: Store, name: str, split: str) -> None:
    """The first label with no positive film in the split, and the rarest or the most frequent."""
    in_train, in_split = ((store.targets[store.rows(part)] == 1).sum(axis=0) for part in ("train", split))  # type: ignore[arg-type]
    for kind in {np.flatnonzero(in_split == 0)[0], in_train.argmin() if split == "test" else in_train.argmax()}:
        assert_whole(open_page(name, label=store.labels[kind], split=split), TITLES[name])


def test_a_store_without_what_a_map_needs_says_how_to_make_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for name in [name for name in manifest["artefacts"] if name.endswith(("clusters.npy", "clusters.json"))]:
        del manifest["artefacts"][name]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    assert_whole(open_page("map"), "Map")
    app = open_page("map", colour="Cluster")
    assert not app.exception
    assert re.search(r"has no spaces/\S+/clusters", app.error[0].value)
    assert "python -m precompute demo" in as_read(app.error[0].value)


def test_the_overview_gives_every_metric_of_every_regime(store: Store) -> None:
    table = next(frame.value for frame in open_page("overview", figures="true").dataframe if "Regime" in frame.value)
    assert list(table["Regime"]) == [regime.title for regime in store.regimes]
    assert {METRIC_TITLES[metric] for metric in METRICS} <= set(table.columns)
    assert table["AUROC"].str.contains(r"\[.*\] · 0\.50").all(), "interval and baseline stand beside the value"


OPENED = {"map": {"trust": "true"}, "separability": {"details": "true"}}
"""The drawers that say it."""


def test_regimes_that_share_an_encoder_are_said_to(store: Store) -> None:
    titles = next(titles for _, titles in distinct_spaces(store, "embedding") if len(titles) > 1)
    for name in ("dataset", "map", "separability", "neighbours"):
        text = said(open_page(name, **OPENED.get(name, {})))
        assert " and ".join(titles) in text
        assert "frozen encoder" in text.lower()


def test_a_film_in_the_address_is_the_film_shown(store: Store) -> None:
    sample_id = str(store.samples["sample_id"].iat[store.rows("test")[-1]])
    for name in ("neighbours", "grad_cam"):
        assert f"**{sample_id}**" in said(open_page(name, film=sample_id))


def test_an_unknown_film_is_said_to_be_unknown(store: Store) -> None:
    app = open_page("neighbours", film="no-such-film")
    assert_whole(app, "Neighbours")
    assert "film no-such-film" in next(box.value for box in app.warning if box.value.startswith("This address"))


def test_neighbours_leave_the_patient_and_other_views_out(store: Store) -> None:
    codes, counts = np.unique(store.patients, return_counts=True)
    row = int(np.flatnonzero(store.patients == codes[counts.argmax()])[0])
    space = store.space_of(store.regimes[0].name, "embedding").name
    rows, _ = nearest_films(store, store.index(space)[0], space, row, store.n)
    assert (store.patients[rows] != store.patients[row]).all()
    assert (store.views[rows] == store.views[row]).all()
    assert len(rows) == ((store.patients != store.patients[row]) & (store.views == store.views[row])).sum()


def test_a_selection_that_cannot_be_opened_is_said_and_left(store: Store) -> None:
    rows = store.rows("test")[:3]
    foreign = selection.pack("another-run", store.n, rows, "three")
    damaged = selection.pack(store.manifest.run_id, store.n, rows, "three")[:-6]
    for token, why in ((foreign, "another run"), (damaged, "damaged"), ("../etc/passwd", "damaged")):
        app = open_page("map", sel=token)
        assert_whole(app, "Map")
        assert [why in warning.value for warning in app.warning] == [True]
        assert "sel" not in address_of(app)
        assert "films selected" not in said(app)


def test_a_selection_is_saved_with_its_labels_and_scores(store: Store) -> None:
    rows = store.rows("test")[[0, 2]]
    csv = pd.read_csv(io.BytesIO(selection.exported(store, rows, "csv")), dtype={"sample_id": str})
    parquet = pd.read_parquet(io.BytesIO(selection.exported(store, rows, "parquet")))
    for frame in (csv, parquet):
        assert frame["row"].tolist() == rows.tolist()
        assert frame["sample_id"].tolist() == store.samples["sample_id"].iloc[rows].tolist()
        np.testing.assert_array_equal(frame[list(store.labels)].to_numpy(np.float32), store.targets[rows])
        for regime in store.regimes:
            names = [f"logit:{regime.name}:{label}" for label in store.labels]
            np.testing.assert_allclose(frame[names].to_numpy(), store.logits(regime.name)[rows], rtol=1e-6)


def test_grad_cam_draws_every_regime(store: Store) -> None:
    app = open_page("grad_cam", cam="true")
    assert_whole(app, "Grad-CAM")
    for regime in store.regimes:
        assert regime.title in said(app)
    assert "the store says" not in said(app), "the model gives the logits that were stored"


def test_a_film_that_is_not_here_is_an_error_that_can_be_mended(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a store was copied without its films."""
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["dataset"]["images"] = str(tmp_path / "gone")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    app = open_page("grad_cam")
    assert not app.exception
    assert "where this host does not let a store read" in as_read(app.error[0].value)
    monkeypatch.setenv("EXPLORER_FILMS", str(tmp_path))
    app = open_page("grad_cam")
    assert not app.exception
    assert "is not on this machine" in as_read(app.error[0].value)


def test_without_a_store_the_page_offers_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    for name in PAGES:
        app = open_page(name)
        assert not app.exception
        assert [button.label for button in app.button] == ["Build the demo"]


def test_a_read_only_viewer_cannot_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    monkeypatch.setenv("EXPLORER_READONLY", "1")
    app = open_page("overview")
    assert not app.button
    assert "python -m precompute demo" in app.code[0].value


def a_job(state: str, pid: int) -> Progress:
    return Progress.model_validate(
        {
            "state": state,
            "pid": pid,
            "stage": "encode",
            "stage_number": 2,
            "stages": 9,
            "done": 30,
            "total": 120,
            "unit": "films",
            "elapsed": 65.0,
            "left": 190.0,
            "message": "the disk is full",
        }
    )


def test_a_running_job_is_followed_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    write_progress(tmp_path, a_job("running", os.getpid()))
    app = open_page("overview")
    assert not app.button
    assert "1 min 05 s so far · about 3 min 10 s left" in said(app)


def test_a_failed_job_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    write_progress(tmp_path, a_job("failed", os.getpid()))
    app = open_page("overview")
    assert "the disk is full" in as_read(app.error[0].value)
    assert [button.label for button in app.button] == ["Build the demo"]
