"""A store that changes under visitors: they go on with their run, and are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import as_read, open_sound_page, said

NEW = "newer-run"


@pytest.fixture
def root(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the store, which the app opens."""
    shutil.copytree(tiny_store, tmp_path / "store")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def latest(root: Path) -> str:
    return (root / "LATEST").read_text().strip()


def shown_run(app: AppTest) -> str:
    return str(app.session_state["view-state"].written["run"][0])


def make_newer(root: Path) -> None:
    """Another run, complete from one moment to the next, that the store opens by default."""
    shutil.copytree(root / latest(root), root / "new.partial")
    rename(root / "new.partial", NEW)
    (root / "new.partial").rename(root / NEW)
    (root / "LATEST").write_text(NEW)


def rename(run: Path, run_id: str) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "run_id": run_id}))


def test_a_newer_run_is_offered_and_the_open_one_stays(root: Path) -> None:
    old, app = latest(root), open_sound_page("protocols")
    make_newer(root)
    app.run()
    assert shown_run(app) == old
    assert f"A newer run is in this store: {NEW}" in said(app)
    next(button for button in app.button if button.label == "Open it").click().run()
    assert shown_run(app) == NEW
    assert "newer run" not in said(app)
    assert "newer run" not in said(open_sound_page("protocols")), "who comes now has it at once"


def test_who_looks_at_a_run_that_is_taken_away_is_told(root: Path) -> None:
    old, app = latest(root), open_sound_page("protocols")
    make_newer(root)
    shutil.rmtree(root / old)
    app.run()
    assert not app.exception
    assert not app.error
    assert as_read(app.warning[0].value) == f"The run {old} is no longer in this store. This is {NEW}."
    assert not app.run().warning, "once"


def test_a_run_made_anew_under_its_name_is_opened_anew(root: Path) -> None:
    app = open_sound_page("protocols")
    file = root / latest(root) / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "created": "2031-01-01T00:00:00+00:00"}))
    app.run()
    assert not app.error
    assert app.info[0].value.startswith("This run was made anew")
    assert "made anew" not in said(app.run())


def test_a_file_that_is_damaged_while_people_look_is_named_and_the_rest_stays(root: Path) -> None:
    app = open_sound_page("protocols")
    (root / latest(root) / "metrics.parquet").write_bytes(b"PAR1 no more")
    app.switch_page("pages/overview.py").run()
    assert not app.exception
    assert "metrics.parquet" in as_read(" ".join(error.value for error in app.error))
    assert not app.switch_page("pages/protocols.py").run().exception
