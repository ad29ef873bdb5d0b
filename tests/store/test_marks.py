"""Marks beside a run: written atomically, read back exactly, never lost."""

from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from explorer.analysis.sampling import stratified_films
from explorer.data.regions import reader_masks
from explorer.errors import UserError
from explorer.store import marks
from explorer.store.reader import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """As much of a run as marks ask for: two films, two labels, one annotation of its own."""
    run = tmp_path / "run"
    run.mkdir()
    samples = pd.DataFrame(
        {"sample_id": ["a", "b"], "image": ["a.png", "b.png"], "height": [400, 300], "width": [500, 200]}
    )
    own = {"sample_id": "a", "row": 0, "label": "Edema", "annotator": "R0", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}
    return cast(
        "Store",
        SimpleNamespace(
            path=run,
            labels=("Edema", "Fracture"),
            samples=samples,
            tables=SimpleNamespace(annotations=pd.DataFrame([{**own, "polygon": None}])),
            manifest=SimpleNamespace(dataset=SimpleNamespace(name="My Films, v2")),
        ),
    )


def a_mark(row: int = 0, label: str = "Edema", x: float = 10, annotator: str = "R1", **more: object) -> pd.DataFrame:
    given = {
        "row": row,
        "label": label,
        "annotator": annotator,
        "x": float(x),
        "y": 20.0,
        "w": 30.0,
        "h": 40.0,
        "polygon": None,
    }
    return pd.DataFrame([{**given, **more}])


def test_a_mark_is_read_back_as_it_was_made(store: Store) -> None:
    assert marks.add_marks(store, a_mark(blind=True), "app") == 1
    polygon = [1.5, 2.5, 30.25, 2.5, 30.25, 40.0]
    assert marks.add_marks(store, a_mark(row=1, label="Fracture", polygon=polygon), "boxes.csv") == 1
    first, second = marks.read_marks(store).to_dict("records")
    assert (first["sample_id"], first["row"], first["x"], first["h"]) == ("a", 0, 10, 40)
    assert first["polygon"] is None
    assert bool(first["blind"]) is True
    assert first["origin"] == "app"
    assert second["polygon"].tolist() == polygon
    assert bool(second["blind"]) is False
    assert (second["height"], second["width"]) == (300, 200)
    assert marks.marks_file(store).parent == store.path.parent / "annotations", "outside the run and its hashes"
    assert list(store.path.iterdir()) == []


def test_the_same_mark_twice_is_one(store: Store) -> None:
    marks.add_marks(store, a_mark(), "app")
    assert marks.add_marks(store, pd.concat([a_mark(), a_mark(x=11)]), "again") == 1
    assert len(marks.read_marks(store)) == 2


def test_the_runs_own_and_the_added_stand_together(store: Store) -> None:
    assert len(marks.all_annotations(store)) == 1
    marks.add_marks(store, a_mark(), "app")
    both = marks.all_annotations(store)
    assert both["annotator"].tolist() == ["R0", "R1"]
    assert set(store.tables.annotations.columns) <= set(both.columns)


def test_marks_are_corrected_and_deleted(store: Store) -> None:
    marks.add_marks(store, pd.concat([a_mark(), a_mark(x=50)]), "app")
    before = marks.read_marks(store)
    moved = before.iloc[[0]].assign(x=99.0, label="Fracture")
    marks.edit_marks(store, moved)
    after = marks.read_marks(store)
    assert after["x"].tolist() == [99, 50]
    assert after["label"].tolist() == ["Fracture", "Edema"]
    marks.delete_marks(store, [before["mark_id"].iat[1]])
    assert marks.read_marks(store)["x"].tolist() == [99]
    marks.edit_marks(store, before.iloc[[1]])  # deleted meanwhile by another: nothing comes back
    assert len(marks.read_marks(store)) == 1


def test_an_outline_goes_with_its_box(store: Store) -> None:
    marks.add_marks(store, a_mark(x=10, polygon=[10.0, 20.0, 40.0, 20.0, 40.0, 60.0]), "app")
    before = marks.read_marks(store)
    marks.edit_marks(store, before.assign(x=100.0, y=200.0, w=60.0, h=20.0))  # moved, twice as wide, half as high
    (after,) = marks.read_marks(store).to_dict("records")
    assert after["polygon"].tolist() == [100, 200, 160, 200, 160, 220]


# --- nothing to mark ------------------------------------------------------------------------------------------------


def nothing(**more: object) -> pd.DataFrame:
    return a_mark(**{**marks.NOTHING, **more})  # type: ignore[arg-type]


def test_nothing_to_mark_is_a_reading(store: Store) -> None:
    assert marks.add_marks(store, nothing(blind=True), "app") == 1
    assert marks.add_marks(store, nothing(), "app") == 0, "said already"
    (mark,) = marks.read_marks(store).to_dict("records")
    assert np.isnan([mark[side] for side in "xywh"]).all()
    assert (mark["annotator"], mark["label"], mark["blind"], mark["polygon"]) == ("R1", "Edema", True, None)
    masks = reader_masks(marks.read_marks(store), 40, 50, 0.1)
    assert not masks["R1"].any()


def test_a_shape_takes_the_place_of_nothing_and_nothing_never_of_a_shape(store: Store) -> None:
    marks.add_marks(store, pd.concat([nothing(), nothing(label="Fracture"), nothing(annotator="R2")]), "app")
    marks.add_marks(store, a_mark(), "app")
    kept = marks.read_marks(store)
    assert kept[kept["x"].isna()][["label", "annotator"]].to_numpy().tolist() == [["Fracture", "R1"], ["Edema", "R2"]]
    with pytest.raises(UserError, match="R1 marked Edema on a, and says that there is nothing"):
        marks.add_marks(store, nothing(), "boxes.csv")
    assert len(marks.read_marks(store)) == 3
    relabelled = kept[kept["x"].notna()].assign(label="Fracture")
    marks.edit_marks(store, relabelled)
    after = marks.read_marks(store)
    assert after[["label", "annotator"]].to_numpy().tolist() == [["Edema", "R2"], ["Fracture", "R1"]]


# --- the run's own ---------------------------------------------------------------------------------------------------


def test_what_a_reader_says_again_stands_in_place_of_the_runs(store: Store) -> None:
    def said() -> list[list[object]]:
        return marks.all_annotations(store)[["label", "annotator", "x"]].to_numpy().tolist()

    own = marks.all_annotations(store)
    marks.add_marks(store, own.assign(annotator="R1"), "copy of R0")
    assert said() == [["Edema", "R0", 1], ["Edema", "R1", 1]], "another reader's copy stands beside it"
    marks.add_marks(store, own.assign(x=7.0), "copy of R0")
    assert said() == [["Edema", "R1", 1], ["Edema", "R0", 7]]
    copies = marks.read_marks(store)
    marks.delete_marks(store, copies.loc[copies["annotator"] == "R0", "mark_id"].tolist())
    assert said() == [["Edema", "R0", 1], ["Edema", "R1", 1]], "the run's was never gone"
    marks.add_marks(store, nothing(annotator="R0"), "app")
    np.testing.assert_array_equal(marks.all_annotations(store)["x"], [1, np.nan])


def test_marks_without_a_name_replace_no_ones(store: Store) -> None:
    store.tables.annotations["annotator"] = marks.UNNAMED
    marks.add_marks(store, a_mark(annotator=marks.UNNAMED), "boxes.csv")
    assert marks.all_annotations(store)["x"].tolist() == [1, 10]


def test_a_mark_of_a_film_that_changed_size_is_kept_but_not_drawn(store: Store) -> None:
    marks.add_marks(store, pd.concat([a_mark(), a_mark(row=1)]), "app")
    store.samples.loc[0, "height"] = 512
    assert marks.read_marks(store)["sample_id"].tolist() == ["b"]
    store.samples.loc[0, "height"] = 400
    assert len(marks.read_marks(store)) == 2, "nothing was lost"


def test_many_write_at_once_and_none_is_lost(store: Store) -> None:
    writers = [threading.Thread(target=marks.add_marks, args=(store, a_mark(x=i), "app")) for i in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(marks.read_marks(store)["x"]) == list(range(12))
    assert not list(marks.marks_file(store).parent.glob(".*.tmp"))


def test_a_damaged_file_is_told_and_left_alone(store: Store) -> None:
    marks.add_marks(store, a_mark(), "app")
    file = marks.marks_file(store)
    file.write_bytes(b"PAR1 no more")
    for act in (lambda: marks.read_marks(store), lambda: marks.add_marks(store, a_mark(x=3), "app")):
        with pytest.raises(UserError, match="damaged"):
            act()
    assert file.read_bytes() == b"PAR1 no more"


# --- the sampler -----------------------------------------------------------------------------------------------------


def test_a_sample_holds_every_label_and_repeats_with_its_seed() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((400, 14)) < np.linspace(0.01, 0.4, 14)).astype(np.float32)
    targets[0, 0] = 1
    targets[1:, 5] = np.nan  # hardly known at all
    targets[0, 5] = 0
    chosen = stratified_films(targets, 15, seed=3)
    assert len(chosen) == len(set(chosen.tolist())) == 15
    assert (np.diff(chosen) > 0).all()
    has = (targets[chosen] == 1).any(axis=0)
    assert has[[c for c in range(14) if c != 5]].all()
    np.testing.assert_array_equal(chosen, stratified_films(targets, 15, seed=3))
    assert not np.array_equal(chosen, stratified_films(targets, 15, seed=4))


def test_a_sample_of_more_films_than_there_are_is_all_of_them() -> None:
    targets = np.array([[1, 0], [np.nan, 0], [0, 0]], np.float32)
    assert stratified_films(targets, 9, 0).tolist() == [0, 1, 2]
    assert stratified_films(targets, 1, 0).tolist() == [0], "the one film with a positive first"


BOX = [10.0, 20.0, 40.0, 20.0, 40.0, 60.0]
IMPOSSIBLE = {
    "infinite": ({"x": np.inf}, "no finite number"),
    "no number beside numbers": ({"w": np.nan}, "no finite number"),
    "huge": ({"x": 1e308}, "reaches beyond the film of 500 × 400 pixels"),
    "negative": ({"y": -5.0}, "reaches beyond"),
    "below the edge": ({"h": 500.0}, "reaches beyond"),
    "flat": ({"w": 0.0}, "no area"),
    "turned round": ({"h": -3.0}, "no area"),
    "a million points": ({"polygon": [10.0, 20.0] * 1_000_000}, "an outline of 1,000,000 points, not 3 to 5,000"),
    "a line": ({"polygon": [10.0, 20.0, 30.0, 40.0]}, "an outline of 2 points"),
    "half a point": ({"polygon": [*BOX, 3.0]}, "an outline of 3 points"),
    "an infinite outline": ({"polygon": [*BOX[:5], np.inf]}, "no finite number"),
    "an outline elsewhere": ({"polygon": [*BOX[:5], 9e9]}, "reaches beyond"),
    "a megabyte of name": ({"annotator": "R" * 2**20}, "names an annotator of 1,048,576 characters"),
    "no name": ({"annotator": ""}, "names an annotator of 0 characters"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_a_mark_that_nobody_can_have_made_is_refused_and_nothing_is_saved(store: Store, kind: str) -> None:
    values, why = IMPOSSIBLE[kind]
    marks.add_marks(store, a_mark(label="Fracture"), "app")
    before = marks.marks_file(store).read_bytes()
    mark = a_mark(annotator=str(values.get("annotator", "R1")))
    for column, value in values.items():
        mark[column] = [value]
    with pytest.raises(UserError, match=re.escape(why)):
        marks.add_marks(store, pd.concat([a_mark(x=50), mark]), "app")
    if "annotator" not in values and "polygon" not in values:
        edited = marks.read_marks(store).assign(**values)
        with pytest.raises(UserError, match=re.escape(why)):
            marks.edit_marks(store, edited)
    assert marks.marks_file(store).read_bytes() == before


def test_a_mark_at_the_very_edge_is_taken(store: Store) -> None:
    assert (
        marks.add_marks(
            store, a_mark(x=0, y=0.0, w=500.0, h=400.0, polygon=[0.0, 0.0, 500.0, 0.0, 500.0, 400.0]), "app"
        )
        == 1
    )


def test_a_full_disk_is_said_and_keeps_every_mark(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    marks.add_marks(store, a_mark(), "app")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("explorer.store.files.os.replace", full)
        with pytest.raises(UserError, match="No space left") as caught:
            marks.add_marks(store, a_mark(x=99), "app")
    assert "Make room" in caught.value.fix
    assert len(marks.read_marks(store)) == 1
