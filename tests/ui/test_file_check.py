"""The run's card says whether its files are what the manifest says, and a damaged one stops what needs it alone."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from explorer.store.reader import Store
from explorer.ui.shared import cache
from explorer.ui.shared.file_check import FileCheck
from tests.conftest import IN_DEPTH
from tests.pages import TITLES, as_read, assert_whole, open_page


@pytest.fixture
def no_file_check() -> None:
    """Here files are hashed, as in the app."""


@pytest.fixture
def run(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run in a copy of the store, which the app opens."""
    shutil.copytree(tiny_store, tmp_path / "store")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    return tmp_path / "store" / (tiny_store / "LATEST").read_text().strip()


def ended(check: FileCheck) -> FileCheck:
    while not check.done:
        time.sleep(0.01)
    return check


def test_a_good_run_is_verified_once_for_all_visitors(run: Path) -> None:
    check = ended(cache.file_check(Store(run)))
    assert cache.file_check(Store(run)) is check
    assert check.damaged == []
    assert f"{len(Store(run).artefacts)} files verified" in [text.value for text in open_page("map").caption]


def test_a_flipped_figure_and_a_missing_file_are_named_in_the_card(run: Path) -> None:
    logits = np.load(run / "regimes/fine_tune/logits.npy")
    logits[3, 2] = np.nan
    np.save(run / "regimes/fine_tune/logits.npy", logits)
    (run / "spaces/frozen/trust.json").unlink()
    check = ended(cache.file_check(Store(run)))
    assert check.damaged == ["regimes/fine_tune/logits.npy", "spaces/frozen/trust.json"]
    app = open_page("separability")
    assert not app.exception
    (warning,) = app.warning
    assert warning.value == "damaged: `regimes/fine_tune/logits.npy` and 1 more"


def test_while_files_are_checked_the_card_says_how_many(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.Thread.start", lambda thread: None)
    assert FileCheck(Store(run)).verdict == f"checking files, 0 of {len(Store(run).artefacts)}"


@pytest.mark.parametrize(
    ("file", "down"),
    [
        ("metrics.parquet", {"overview", "pr_curves", "board"}),
        ("spaces/frozen/map.npy", {"map"}),
        ("spaces/zero_shot-decision/index.faiss", set()),
        ("samples.parquet", set(TITLES)),
    ],
)
def test_only_what_needs_a_damaged_file_is_down(run: Path, file: str, down: set[str]) -> None:
    (run / file).write_bytes((run / file).read_bytes()[:-1])
    broken = set()
    for name in TITLES if IN_DEPTH else {*down, "overview", "neighbours", "grad_cam"}:
        app = open_page(name)
        assert not app.exception, app.exception
        if app.error:
            assert all(f"The file {file} of the run {run.name} is damaged" in error.value for error in app.error)
            broken.add(name)
        else:
            assert_whole(app, TITLES[name])
    assert broken == down


def test_a_run_with_a_damaged_manifest_leaves_the_others_to_choose(run: Path) -> None:
    other = Path(shutil.copytree(run, run.with_name("other")))
    (run / "manifest.json").write_text("{")
    app = open_page("overview")
    assert not app.exception
    assert "manifest.json is damaged" in as_read(app.error[0].value)
    assert set(app.selectbox(key="run").options) == {"Run other", f"Run {run.name}"}
    app.selectbox(key="run").select(other.name).run()
    assert_whole(app, "Overview")
