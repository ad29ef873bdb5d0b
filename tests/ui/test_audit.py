"""The audit page over a real store: every section, and a review from the queue to the corrections' file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from explorer.analysis.leaks import leaking
from explorer.store.layout import reviews_file
from explorer.store.reader import Store
from explorer.store.reviews import read_reviews
from explorer.store.verify import verify_store
from tests.conftest import vouch
from tests.pages import as_read, assert_sound, open_page, said

SECTIONS = {
    "Leaks": "In two splits",
    "subgroups": "Gaps, the surest first",
    "slices": "Slices, the surest first",
    "Shortcuts": "Is a label's separability mostly a shortcut?",
    "Label errors": "The queue",
    "Out of distribution": "Most outlying films in test",
    "Hard cases": "Regimes disagree most on",
}


@pytest.fixture
def store(own_store: Store) -> Store:
    """A copy of the tiny store, so that reviews do not stay in it."""
    return own_store


def open_audit(section: str, **query: str) -> AppTest:
    return open_page("audit", audit=section, **query)


def whole(app: AppTest) -> str:
    assert_sound(app)
    return said(app)


@pytest.mark.parametrize("split", ["test", "val"])
def test_every_section_draws_whole(store: Store, split: str) -> None:
    for section, heading in SECTIONS.items():
        text = whole(open_audit(section, split=split))
        assert heading.replace("in test", f"in {split}") in text


def test_a_review_is_saved_exported_and_leaves_the_queue(store: Store) -> None:
    app = open_audit("Label errors")
    queue = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    first = queue.iloc[0]
    film, label = str(first["film"]), str(first["label"])
    row, column = store.row_of(film), store.labels.index(label)
    assert row is not None
    audit = store.audit.labels("linear_probe")
    assert audit.flagged[row, column]
    assert audit.quality[row, column] == np.nanmin(np.where(audit.flagged, audit.quality, np.nan))

    next(b for b in app.button if b.label == "Save").click().run()
    assert "give your name" in as_read(app.warning[0].value), "nothing is saved without a verdict and a name"
    file = reviews_file(store.path.parent, store.manifest.run_id)
    assert not file.exists()

    next(group for group in app.segmented_control if group.label == "The label is").set_value("wrong")
    next(box for box in app.text_input if box.label == "Note").set_value("seen, thrice")
    next(box for box in app.text_input if box.label == "Your name").set_value("R. Eader")
    next(b for b in app.button if b.label == "Save").click().run()
    assert "1 reviewed so far" in whole(app)
    (review,) = read_reviews(file)
    assert (review.sample_id, review.label, review.verdict) == (film, label, "wrong")
    assert review.given == int(store.targets[row, column])
    assert (review.note, review.reviewer) == ("seen, thrice", "R. Eader")
    left = next(frame.value for frame in app.dataframe if "place" == frame.value.index.name)
    assert not ((left["film"] == film) & (left["label"] == label)).any()
    assert verify_store(store) == [], "the run itself is as it was"


def test_the_page_says_how_far_flags_can_be_trusted(store: Store) -> None:
    app = open_audit("Label errors")
    assert "How far flags can be trusted" in whole(app)
    table = next(frame.value for frame in app.dataframe if "Wrong that are flagged" in frame.value)
    assert list(table["Given as"]) == ["any", "positive", "negative"] * 2
    audit = store.audit.labels("linear_probe")
    wrong, flags = ~np.isnan(audit.quality) & (store.targets != store.audit.truth), audit.flagged
    hits = int((wrong & flags).sum())
    own = table.iloc[3]
    assert own["Flags that are wrong"].endswith(f"({hits} of {int(flags.sum())})")
    assert own["Wrong that are flagged"].endswith(f"({hits} of {int(wrong.sum())})")
    tuned = open_audit("Label errors", doubter="Full fine-tune")
    table = next(frame.value for frame in tuned.dataframe if "Wrong that are flagged" in frame.value)
    assert len(table) == 3, "the trial is the probe's alone"


def test_a_read_only_viewer_cannot_review(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_READONLY", "1")
    app = open_audit("Label errors")
    assert "read-only" in whole(app)
    assert not [b for b in app.button if b.label == "Save"]


def test_a_copy_in_train_is_counted_and_scored_without(store: Store) -> None:
    train, test = int(store.rows("train")[0]), int(store.rows("test")[0])
    frame = pd.concat(
        [
            store.audit.copies,
            pd.DataFrame([{"a": min(train, test), "b": max(train, test), "kind": "exact", "correlation": 1.0}]),
        ]
    )
    pairs = store.path / "audit/copies/pairs.parquet"
    frame.to_parquet(pairs, index=False)
    vouch(store.path, "audit/copies/pairs.parquet")
    app = open_audit("Leaks")
    copies = frame[frame["kind"] != "alike"][["a", "b"]].to_numpy(np.int64)
    leaks = leaking(copies, store.samples["split"].to_numpy(object), "test")
    assert test in leaks
    assert f"with and without films copied in another split ({len(leaks)})" in whole(app)
    table = next(f.value for f in app.dataframe if "Difference" in f.value)
    n = len(store.rows("test"))
    assert list(table.columns[2:]) == ["Labels", f"With (n = {n})", f"Without (n = {n - len(leaks)})", "Difference"]
    assert len(table) == 2 * len(store.regimes)
    n = (frame["kind"] == "exact").sum()
    assert f"**{n}** of {n} exact copies" in whole(app)


def test_a_run_of_an_earlier_version_says_what_is_missing(store: Store) -> None:
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest["artefacts"] = {k: v for k, v in manifest["artefacts"].items() if not k.startswith("audit/")}
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    for section in ("Leaks", "Shortcuts", "Label errors", "Out of distribution"):
        app = open_audit(section)
        assert not app.exception
        assert "an earlier version made it" in as_read(app.error[0].value)
        assert "precompute" in as_read(app.error[0].value)
