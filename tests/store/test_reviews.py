"""A reviewer's verdicts: kept whole beside the runs, exported, and taken by the next precompute."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from explorer.errors import UserError
from explorer.store.files import sha256_file
from explorer.store.layout import reviews_file
from explorer.store.reviews import Review, Verdict, add_review, as_csv, latest, read_reviews
from explorer.store.runs import open_store
from explorer.store.verify import verify_store
from precompute.demo import _planned, draw_films
from precompute.reporter import DRAW, Reporter
from precompute.sources import CsvOptions, Source, read_csv
from precompute.sources.corrections import correct, read_corrections
from tests.conftest import Call


@pytest.fixture
def source(few_films: Path) -> Source:
    return read_csv(CsvOptions(csv=few_films / "labels.csv", images=few_films / "images"))


def said(sample_id: str, verdict: Verdict, label: str = "Edema", note: str = "") -> Review:
    return Review(sample_id=sample_id, label=label, verdict=verdict, given=1, note=note, reviewer="R. Eader")


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "corrections.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_verdicts_are_kept_and_the_last_one_counts(tmp_path: Path) -> None:
    file = reviews_file(tmp_path, "run-1")
    assert read_reviews(file) == []
    add_review(file, said("7", "wrong", note='a "note", with\nlines – and ü'))
    add_review(file, said("8", "unsure"))
    add_review(file, said("7", "keep"))
    kept = read_reviews(file)
    assert [review.verdict for review in kept] == ["wrong", "unsure", "keep"], "nothing said is lost"
    assert latest(kept)["7", "Edema"].verdict == "keep"
    assert all(review.time and review.reviewer for review in kept)
    assert not list(file.parent.glob(".*.tmp"))


def test_reviewers_at_once_lose_nothing(tmp_path: Path) -> None:
    file = reviews_file(tmp_path, "run-1")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_review(file, said(str(i), "wrong")), range(40)))
    assert sorted(int(review.sample_id) for review in read_reviews(file)) == list(range(40))


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    file = reviews_file(tmp_path, "run-1")
    add_review(file, said("7", "wrong"))
    file.write_text(file.read_text() + '{"sample_id": "8"}\n')
    with pytest.raises(UserError, match="line 2 is no review"):
        read_reviews(file)


def test_an_export_corrects_the_source(tmp_path: Path, source: Source) -> None:
    file = reviews_file(tmp_path, "run-1")
    before = source.frame["Edema"]
    assert before.iloc[[1, 3, 5]].tolist() == [1, 1, 1]
    for sample_id, verdict in (("1", "wrong"), ("3", "unsure"), ("5", "keep")):
        add_review(file, said(sample_id, verdict, note="=1+1, twice\nseen"))  # type: ignore[arg-type]
    export = tmp_path / "export.csv"
    export.write_bytes(as_csv(read_reviews(file)))
    corrected = correct(source, export)
    after = corrected.frame["Edema"]
    assert after.iat[1] == 0
    assert np.isnan(after.iat[3])
    assert after.iat[5] == 1
    untouched = [i for i in range(16) if i not in (1, 3)]
    pd.testing.assert_series_equal(after.iloc[untouched], before.iloc[untouched])
    assert before.iat[1] == 1, "the source given is left as it was"
    assert "corrected by export.csv (1 keep, 1 wrong, 1 unsure; sha256 " in corrected.label_origin
    assert corrected.sha256 != source.sha256, "another run, not a resumed one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample_id,label\n1,Edema\n", "no column verdict"),
        ("sample_id,label,verdict\n1,Edema,wrong\nnobody,Edema,wrong\n", "row 3: no film 'nobody'"),
        ("sample_id,label,verdict\n1,Asthma,wrong\n", "row 2: 'Asthma' is not one of the labels"),
        ("sample_id,label,verdict\n1,Edema,maybe\n", "row 2: verdict is 'maybe'"),
        ("sample_id,label,verdict\n1,Edema,wrong\n1,Edema,keep\n", "row 3 judges 'Edema' of '1' a second time"),
        (
            "sample_id,label,verdict,given\n1,Edema,wrong,0\n",
            "row 2: 'Edema' of '1' was 0 when it was judged, and is 1",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, source: Source, text: str, message: str) -> None:
    file = table(tmp_path, text)
    with pytest.raises(UserError, match=message) as caught:
        correct(source, file)
    assert str(file) in caught.value.what
    assert caught.value.fix


def test_an_unknown_label_cannot_be_wrong(tmp_path: Path, source: Source) -> None:
    source.frame.loc[1, "Edema"] = np.nan
    with pytest.raises(UserError, match="is unknown, so it cannot be wrong"):
        correct(source, table(tmp_path, "sample_id,label,verdict\n1,Edema,wrong\n"))
    with pytest.raises(UserError, match="is unknown in"):
        correct(source, table(tmp_path, "sample_id,label,verdict,given\n1,Edema,keep,1\n"))


def test_the_command_refuses_bad_corrections_before_any_work(tmp_path: Path, few_films: Path, call: Call) -> None:
    file = table(tmp_path, "sample_id,label,verdict\n1,Edema,perhaps\n")
    given = ("--csv", few_films / "labels.csv", "--images", few_films / "images", "--encoder", "local-dir:nowhere")
    code, _, err = call("run", *given, "--out", tmp_path / "store", "--corrections", file)
    assert code == 1
    assert f"{file} row 2: verdict is 'perhaps'" in err
    assert "Fix" in err


@pytest.mark.usefixtures("few_draws")
def test_a_review_corrects_the_next_run_there_and_nowhere_else(
    source: Source, few_films: Path, small_encoder: Path, tmp_path: Path, call: Call
) -> None:
    export, expected = tmp_path / "export.csv", source.frame[list(source.labels)].to_numpy(np.float32, copy=True)
    export.write_bytes(as_csv(judged(source.frame, source.labels, expected)))
    films = ("--csv", few_films / "labels.csv", "--images", few_films / "images")
    given = (*films, "--encoder", f"local-dir:{small_encoder}")
    code, _, err = call("run", *given, "--epochs", 1, "--out", tmp_path / "store", "--corrections", export)
    assert code == 0, err
    run = open_store(tmp_path / "store")
    np.testing.assert_array_equal(run.targets, expected)
    for column in ("sample_id", "split"):
        assert run.samples[column].tolist() == source.frame[column].tolist()
    assert run.manifest.dataset.label_origin == f"{source.label_origin}; {corrected_by(export)}"
    metrics = run.tables.metrics[run.tables.metrics["split"] == "test"].drop_duplicates("label").set_index("label")
    positives = (expected[(source.frame["split"] == "test").to_numpy()] == 1).sum(axis=0)
    assert metrics.loc[list(run.labels), "n_pos"].tolist() == positives.tolist(), "later stages read what was corrected"
    assert verify_store(run) == []


def judged(frame: pd.DataFrame, labels: Sequence[str], expected: np.ndarray) -> list[Review]:
    """A review of each kind, of another cell each; ``expected``, the labels as they are, becomes what they ask for."""
    reviews, before = [], expected.copy()
    verdicts: tuple[tuple[str, int, Verdict, float], ...] = (
        ("train", 1, "wrong", 0),
        ("test", 0, "wrong", 1),
        ("val", 0, "unsure", np.nan),
        ("test", 1, "keep", 1),
    )
    for split, given, verdict, after in verdicts:
        row, c = np.argwhere((frame["split"] == split).to_numpy()[:, None] & (before == given))[-1]
        review = said(str(frame["sample_id"].iat[row]), verdict, labels[c])
        reviews.append(review.model_copy(update={"given": given}))
        expected[row, c] = after
    return reviews


def corrected_by(export: Path) -> str:
    return f"corrected by export.csv (1 keep, 2 wrong, 1 unsure; sha256 {sha256_file(export)[:12]})"


def test_a_review_corrects_the_films_of_the_demo(tiny_store: Path, tmp_path: Path) -> None:
    store = open_store(tiny_store)
    export, expected = tmp_path / "export.csv", store.targets.copy()
    export.write_bytes(as_csv(judged(store.samples, store.labels, expected)))
    source = draw_films(tiny_store, 96, 0, Reporter(Console(quiet=True), DRAW), export)
    np.testing.assert_array_equal(source.frame[list(store.labels)].to_numpy(np.float32, na_value=np.nan), expected)
    assert source.frame["sample_id"].tolist() == store.samples["sample_id"].tolist()
    assert source.label_origin == f"{store.manifest.dataset.label_origin}; {corrected_by(export)}"


def test_the_demo_refuses_bad_corrections_before_it_draws(tmp_path: Path, call: Call) -> None:
    file = table(tmp_path, "sample_id,label,verdict\ntarget-00059,Edema,keep\ntarget-00060,Edema,keep\n")
    code, _, err = call("demo", "--n", 60, "--out", tmp_path / "store", "--corrections", file)
    assert code == 1
    assert f"{file} row 3: no film 'target-00060'" in err
    assert not list((tmp_path / "store").rglob("*.png"))


def test_what_the_demo_checks_against_is_what_it_draws(tiny_store: Path) -> None:
    planned, drawn = _planned(96, 0), open_store(tiny_store)
    assert planned["sample_id"].tolist() == drawn.samples["sample_id"].tolist()
    np.testing.assert_array_equal(planned[list(drawn.labels)].to_numpy(np.float32), drawn.targets)


@pytest.mark.parametrize(
    "cut", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\r\n", "\n"]
)
def test_a_note_with_any_kind_of_line_end_is_one_review(tmp_path: Path, cut: str) -> None:
    file = reviews_file(tmp_path, "run-1")
    for place in range(3):
        add_review(file, said(str(place), "wrong", label=f"a{cut}b", note=f"before{cut}after"))
    assert [(review.label, review.note) for review in read_reviews(file)] == [(f"a{cut}b", f"before{cut}after")] * 3


@pytest.mark.parametrize(
    ("number", "word"), [(errno.ENOSPC, "Make room"), (errno.EROFS, "may write"), (errno.EIO, "Try")]
)
def test_a_review_that_cannot_be_written_says_why_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, word: str
) -> None:
    file = reviews_file(tmp_path, "run-1")
    add_review(file, said("7", "wrong"))
    whole = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("explorer.store.files.os.replace", full)
    with pytest.raises(UserError, match=re.escape(os.strerror(number))) as caught:
        add_review(file, said("8", "wrong"))
    assert word in caught.value.fix
    assert file.read_bytes() == whole
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".tmp"] == []


def test_a_spreadsheet_runs_nothing_of_an_export_and_precompute_reads_it_back(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@x", "'=1", "'plain", "7"]
    file = tmp_path / "corrections.csv"
    file.write_bytes(as_csv([said(name, "wrong", note="=HYPERLINK(1)") for name in names]))
    cells = pd.read_csv(file, dtype=str)
    assert not cells.map(lambda cell: str(cell).startswith(("=", "+", "-", "@"))).any(axis=None)
    samples = pd.DataFrame({"sample_id": names, "Edema": np.ones(len(names), np.float32)})
    verdicts = read_corrections(file, samples, ["Edema"], tmp_path / "labels.csv")
    assert [sample_id for sample_id, _ in verdicts] == names
