"""The few-shot command: what it refuses, and that nothing half-written is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from explorer.analysis.few_shot import ALL_SHOTS
from explorer.errors import UserError
from explorer.store import layout, open_store
from explorer.store.few_shot import read_few_shot
from explorer.store.folder import DamagedFile
from explorer.tables.few_shot import label_sentence, sure_from, sure_table
from precompute.few_shot import parse_shots
from tests.conftest import Call


@pytest.fixture
def root(tiny_store: Path, tmp_path: Path) -> Path:
    """A copy of the tiny store's run alone: heads need no film."""
    store = open_store(tiny_store)
    shutil.copytree(store.path, tmp_path / "store" / store.run_id)
    shutil.copy(tiny_store / "LATEST", tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize(("text", "numbers"), [("all,4,1", (1, 4, ALL_SHOTS)), ("2, 2", (2,)), ("all", (ALL_SHOTS,))])
def test_numbers_ascend_and_all_comes_last(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_shots(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1,,2", "every"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no number of positives"):
        parse_shots(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--shots", "1,90000"), ("no label has 90,000 positive patients", "at most")),
        (("--regimes", "fine_tune"), ("'fine_tune' is no regime with a head on stored embeddings", "linear_probe")),
        (("--regimes", "nonsense"), ("'nonsense'", "text_probe")),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    root: Path, call: Call, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    code, _, err = call("few-shot", root, *options)
    assert code == 1
    for word in words:
        assert word in " ".join(err.split())
    assert read_few_shot(open_store(root)) is None
    assert not layout.few_shot_folder(open_store(root).path).exists()


def test_the_curve_is_made_read_and_goes_with_its_run(root: Path, call: Call) -> None:
    code, _, err = call("few-shot", root, "--shots", "1,4,all", "--draws", 3)
    assert code == 0, err
    store = open_store(root)
    curve = read_few_shot(store)
    assert curve is not None
    assert curve.record.titles == {"linear_probe": "Linear probe", "text_probe": "Text-informed probe"}
    assert curve.record.reference == "Zero-shot"
    frame = curve.frame
    assert set(frame["shots"]) == {0, 1, 4, ALL_SHOTS}
    ap = frame[frame["metric"] == "average_precision"].set_index(["regime", "label", "shots"])
    stored = store.tables.metrics
    stored = stored[(stored["split"] == "test") & (stored["metric"] == "average_precision")]
    values = stored.set_index(["regime", "label"])["value"]
    label = store.labels[0]
    assert ap.loc[("zero_shot", label, 0), "value"] == pytest.approx(values["zero_shot", label])
    grown = frame[frame["regime"] == "linear_probe"].groupby("shots")["n_films"].first()
    assert grown[1] < grown[4] < grown[ALL_SHOTS] == len(store.rows("train"))
    assert set(sure_from(curve)) == {(r, la) for r, la, k in ap.index[ap["difference"].notna()] if k != 0}
    assert label_sentence(curve, label).startswith(f"{label}: surely above Zero-shot")
    assert set(sure_table(curve)["Label"]) <= {*store.labels, "Mean over labels"}

    table = layout.few_shot_folder(store.path) / layout.FEW_SHOT_TABLE
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(DamagedFile):
        read_few_shot(store)
    assert call("delete", root, store.run_id, "--yes")[0] == 0
    assert not layout.few_shot_folder(store.path).exists()


def test_the_same_seed_gives_the_same_curve(root: Path, call: Call) -> None:
    frames = []
    for _ in range(2):
        assert call("few-shot", root, "--regimes", "text_probe", "--shots", "2", "--draws", 2)[0] == 0
        curve = read_few_shot(open_store(root))
        assert curve is not None
        frames.append(curve.frame)
    np.testing.assert_array_equal(frames[0]["value"], frames[1]["value"])
