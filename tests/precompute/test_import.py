"""A run from embeddings made elsewhere: what it holds, what it lacks, what it refuses, and every page over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import streamlit as st

from explorer.errors import UserError
from explorer.store import Store, list_runs, open_store
from explorer.store.folder import LeftOut
from explorer.store.verify import verify_store
from explorer.tables.cite import hashes
from explorer.tables.film_filter import OfLabel
from explorer.ui.models.inference import why_no_prompts
from explorer.ui.shared import conditions
from explorer.ui.shared.context import NEVER_HAD_PIXELS
from precompute.exchange.arrays import Place, check_lengths, read_floats, read_ids, read_place
from precompute.sheet.facts import facts
from tests.conftest import FEWEST, SHARED, Call, run_command, take_few_draws
from tests.pages import TITLES, assert_sound, open_page, open_sound_page, said
from tests.planted import VIEWS

LABELS = ("Effusion", "Nodule", "Hernia")
N, DIM, SCALE = 90, 12, 20.0
NIH = SHARED / "nih_cxr14"


def draw(folder: Path) -> None:
    """Labels, vectors that tell of them, text vectors and logits; the vectors are in another order than the labels."""
    rng = np.random.default_rng(0)
    ids = np.array([f"film{i:03d}" for i in range(N)])
    truth = (rng.random((N, 3)) < (0.5, 0.4, 0.3)).astype(int)
    table = pd.DataFrame({"sample_id": ids, "patient_id": [f"p{i // 2}" for i in range(N)]})
    table["sex"], table["age"] = rng.choice(["F", "M"], N), rng.integers(20, 90, N)
    for c, label in enumerate(LABELS):
        table[label] = np.where(rng.random(N) < 0.1, "", truth[:, c].astype(str))
    table.to_csv(folder / "labels.csv", index=False)
    directions = rng.normal(size=(3, DIM))
    vectors = 3 * (rng.normal(size=(N, DIM)) + truth @ directions)
    order = rng.permutation(N)
    np.save(folder / "vectors.npy", vectors[order].astype(np.float32))
    np.save(folder / "logits.npy", (vectors @ directions.T)[order].astype(np.float32))
    np.savez(folder / "text.npz", both=np.stack([directions, 2 - directions]).astype(np.float32), other=np.zeros(3))
    (folder / "ids.txt").write_text("\n".join(ids[order]) + "\n")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder)
    return folder


def asked(folder: Path, out: Path, *more: object) -> list[object]:
    given = ["import", "--vectors", folder / "vectors.npy", "--ids", folder / "ids.txt", "--csv", folder / "labels.csv"]
    return [*given, "--out", out, *more]


def everything(folder: Path, out: Path, *more: object) -> list[object]:
    text = ("--text-vectors", f"{folder / 'text.npz'}:both", "--scale", SCALE)
    return asked(folder, out, *text, "--logits", folder / "logits.npy", *more)


@pytest.fixture(scope="module")
def root(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an import of all that can be imported."""
    root = tmp_path_factory.mktemp("imported") / "store"
    with pytest.MonkeyPatch.context() as patch:
        take_few_draws(patch, **FEWEST)
        patch.setattr("explorer.analysis.subgroups.FEWEST", 5)
        patch.setattr("explorer.analysis.subgroups.ENOUGH", 2)
        assert run_command(patch, *everything(drawn, root)) == 0
        assert run_command(patch, "few-shot", root, "--shots", "1,2,all", "--draws", 2) == 0
    return root


@pytest.fixture(scope="module")
def store(root: Path) -> Store:
    return open_store(root)


def in_order(drawn: Path, store: Store, file: str) -> Any:
    """An array of the drawn folder, in the run's order."""
    place = {one: i for i, one in enumerate((drawn / "ids.txt").read_text().split())}
    return np.load(drawn / file)[[place[one] for one in store.samples["sample_id"]]]


# --- what the run holds ----------------------------------------------------------------------------------------------


def test_the_run_holds_vectors_logits_and_labels_by_id(drawn: Path, store: Store) -> None:
    vectors = in_order(drawn, store, "vectors.npy")
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(store.embeddings("frozen"), vectors / lengths[:, None], rtol=1e-5)
    np.testing.assert_allclose(store.norms("frozen"), lengths, rtol=1e-6)
    np.testing.assert_array_equal(store.logits("imported_logits"), in_order(drawn, store, "logits.npy"))
    given = pd.read_csv(drawn / "labels.csv").set_index("sample_id").loc[store.samples["sample_id"]]
    np.testing.assert_array_equal(store.targets, given[list(LABELS)].to_numpy(np.float32))
    assert np.isnan(store.targets).any(), "unknown stays unknown"
    assert store.samples["height"].isna().all()
    assert not set(store.samples.groupby("patient_id")["split"].nunique()) - {1}
    assert verify_store(store) == []


def test_each_regime_is_what_its_record_says(drawn: Path, store: Store) -> None:
    regimes = {regime.name: regime for regime in store.regimes}
    assert {name: regime.kind for name, regime in regimes.items()} == {
        "zero_shot": "zero-shot",
        "linear_probe": "probe",
        "text_probe": "adapted",
        "imported_logits": "imported",
    }
    assert {regime.embedding_space for regime in regimes.values()} == {"frozen"}
    text = np.load(drawn / "text.npz")["both"]
    positive, negative = text / np.linalg.norm(text, axis=2, keepdims=True)
    expected = SCALE * (store.embeddings("frozen") @ (positive - negative).T)
    np.testing.assert_allclose(store.logits("zero_shot"), expected, rtol=1e-4, atol=1e-4)
    assert store.logit_scale == SCALE
    assert "not known" in regimes["imported_logits"].recipe
    tried = store.training("linear_probe")["tried"]
    assert store.training("linear_probe")["C"] in [point["C"] for point in tried]
    assert store.audit.regimes[0].name == "linear_probe"
    train = store.rows("train")
    assert np.isnan(store.audit.labels("imported_logits").quality[train]).all(), "its model may have seen train"


def test_what_it_lacks_is_named_and_says_what_to_do(store: Store) -> None:
    assert store.manifest.never_had == ("pixels", "weights")
    for read, part, fix in (
        (lambda: store.film(0), "pixels", "--images"),
        (lambda: store.film_size(0), "pixels", "--images"),
        (lambda: store.film_files, "pixels", "--images"),
        (lambda: store.audit.copies, "pixels", "--images"),
        (lambda: store.weights("frozen"), "weights", "precompute run"),
        (lambda: store.fit("frozen"), "weights", "precompute run"),
    ):
        with pytest.raises(LeftOut) as raised:
            read()
        assert f"imported without {part}" in raised.value.what
        assert fix in raised.value.fix
    with pytest.raises(LeftOut, match="Imported logits has no head here"):
        store.head("imported_logits")
    assert store.audit.attribute_facts["lacking"]["film size"] == "not given"
    assert "vectors of vectors.npy" in hashes(store)
    assert "no copies were sought" in facts(store)["robustness"]


def test_the_same_command_does_nothing_and_other_vectors_are_another_run(
    drawn: Path, root: Path, tmp_path: Path, call: Call, few_draws: None
) -> None:
    (run,) = list_runs(root)
    code, _, err = call(*everything(drawn, root))
    assert code == 0
    assert f"The run {run} is complete already" in err
    other = Path(shutil.copytree(drawn, tmp_path / "other"))
    np.save(other / "vectors.npy", np.load(other / "vectors.npy") + 1)
    code, out, _ = call(*everything(other, root, "--dry-run"))
    assert code == 0
    assert f"taken from run {run}" in next(line for line in out.splitlines() if line.startswith("samples"))
    assert "runs: " in next(line for line in out.splitlines() if line.startswith("imported vectors"))
    assert f"taken from run {run}" in next(line for line in out.splitlines() if line.startswith("imported logits"))


def test_what_export_writes_comes_back(root: Path, store: Store, tmp_path: Path, call: Call, few_draws: None) -> None:
    table, again = tmp_path / "run.parquet", tmp_path / "again"
    assert call("export", root, "--out", table)[0] == 0
    parts = ("--vectors", f"{table}:embedding/frozen", "--logits", f"{table}:logits/linear_probe")
    code, _, err = call("import", *parts, "--csv", table, "--regimes", "imported_logits", "--out", again)
    assert code == 0, err
    assert "taken over bit for bit" in err
    back = open_store(again)
    assert back.labels == store.labels
    for column in ("sample_id", "patient_id", "split", "sex", "age"):
        assert back.samples[column].tolist() == store.samples[column].tolist(), column
    np.testing.assert_array_equal(back.targets, store.targets)
    np.testing.assert_array_equal(back.embeddings("frozen"), store.embeddings("frozen"))
    np.testing.assert_array_equal(back.logits("imported_logits"), store.logits("linear_probe"))
    assert "the table's split column" in back.manifest.dataset.split_origin


def test_vectors_and_labels_alone_make_a_run(
    drawn: Path, tmp_path: Path, call: Call, few_draws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of the films but patients and labels, and there is one regime."""
    code, _, err = call(*asked(drawn, tmp_path / "store", "--ignore", "sex", "--ignore", "age"))
    assert code == 0, err
    bare = open_store(tmp_path / "store")
    assert [regime.name for regime in bare.regimes] == ["linear_probe"]
    assert bare.audit.attribute_facts["kinds"] == {}
    assert verify_store(bare) == []
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    assert "Nothing is known of these films besides their labels" in said(open_sound_page("audit", audit="shortcuts"))
    open_sound_page("audit", audit="subgroups")
    open_sound_page("overview")


def test_films_that_are_given_are_shown(few_films: Path, tmp_path: Path, call: Call, few_draws: None) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "v.npz", rng.normal(size=(16, 4)))
    np.save(tmp_path / "ids.npy", np.arange(16))
    given = ("--ids", tmp_path / "ids.npy", "--csv", few_films / "labels.csv", "--images", few_films / "images")
    code, _, err = call("import", "--vectors", tmp_path / "v.npz", *given, "--allow-empty", "--out", tmp_path / "store")
    assert code == 0, err
    shown = open_store(tmp_path / "store")
    assert shown.manifest.never_had == ("weights",)
    assert verify_store(shown) == []
    assert shown.film(3).name == "3.png"
    assert shown.film_size(3) == (50, 43)
    assert shown.audit.copy_rule["n_pairs"] >= 0
    with pytest.raises(LeftOut, match="imported without weights"):
        shown.encoder_folder("frozen")


@pytest.mark.skipif(not (NIH / "labels.csv").is_file(), reason=f"no {NIH}: set CXR_SHARED")
def test_real_metadata_with_unlike_patients_views_and_ages(tmp_path: Path, call: Call, few_draws: None) -> None:
    table = pd.read_csv(NIH / "labels.csv")
    ids = [Path(name).stem for name in table["path"]]
    rng = np.random.default_rng(0)
    positive = table["Effusion"].to_numpy()
    vectors = rng.normal(size=(len(ids), 8)) + 2.0 * positive[:, None]
    pq.write_table(pa.table({"film": ids[::-1], "v": pa.array(list(vectors[::-1]))}), tmp_path / "v.parquet")
    given = ("--csv", NIH / "labels.csv", "--ignore", "orig_width", "--ignore", "orig_height", "--allow-empty")
    source = ("--vectors", tmp_path / "v.parquet", "--ids", "film", "--name", "NIH sample", "--encoder", "drawn")
    code, _, err = call("import", *source, *given, "--out", tmp_path / "store")
    assert code == 0, err
    nih = open_store(tmp_path / "store")
    assert nih.samples["sample_id"].tolist() == ids
    assert nih.samples["split"].tolist() == table["split"].tolist()
    np.testing.assert_allclose(
        nih.embeddings("frozen"), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rtol=1e-5
    )
    frame = nih.tables.metrics
    auroc = frame[(frame["label"] == "Effusion") & (frame["metric"] == "auroc") & (frame["split"] == "test")]
    assert (auroc["value"] > 0.9).all(), "what was planted is found"
    assert nih.manifest.encoders[0].title == "drawn"


# --- what is refused -------------------------------------------------------------------------------------------------


def set_rows(folder: Path, file: str, change: Callable[[Any], Any]) -> None:
    np.save(folder / file, change(np.load(folder / file)))


def with_nan(array: Any) -> Any:
    array[5, 2] = np.nan
    return array


def with_zeros(array: Any) -> Any:
    array[[7, 9]] = 0
    return array


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def pickled(folder: Path) -> None:
    np.save(folder / "vectors.npy", np.array([[1.0], "a"], dtype=object), allow_pickle=True)


Spoil = Callable[[Path], object]
REFUSED: dict[str, tuple[Spoil, str, str]] = {
    "NaN": (lambda f: set_rows(f, "vectors.npy", with_nan), "vectors.npy row 5 (from 0) holds NaN", "float32"),
    "zeros": (
        lambda f: set_rows(f, "vectors.npy", with_zeros),
        "row 7 (from 0) is all zeros, and so are 1",
        "leave it",
    ),
    "integers": (lambda f: set_rows(f, "vectors.npy", lambda v: v.astype(int)), "int64, no floating", "astype"),
    "three axes": (lambda f: set_rows(f, "vectors.npy", lambda v: v[:, None]), "must be (N, D)", "squeezed"),
    "one number": (lambda f: set_rows(f, "vectors.npy", lambda v: v[:, :1]), "has no direction", "(N, D)"),
    "fewer rows": (lambda f: set_rows(f, "vectors.npy", lambda v: v[1:]), "has 89 rows, and", "same order"),
    "objects": (pickled, "cannot be read as .npy", "pickled objects are never loaded"),
    "another kind": (lambda f: (f / "vectors.npy").write_bytes(b"abc"), "cannot be read as .npy", "numpy.save"),
    "id twice": (lambda f: edit(f, "ids.txt", "film003", "film004"), "have the same id 'film004'", "one row"),
    "id blank": (lambda f: edit(f, "ids.txt", "film003\n", " \n"), "the id is blank", "every row"),
    "id unknown": (
        lambda f: edit(f, "labels.csv", "film003", "filmX"),
        "labels.csv row 5: the film filmX is not among the ids",
        "compute the films' vectors",
    ),
    "label missing": (
        lambda f: (f / "labels.csv").write_text("".join((f / "labels.csv").read_text().splitlines(True)[:-1])),
        "has no film film089",
        "Add their labels",
    ),
    "no ids column": (
        lambda f: edit(f, "labels.csv", "sample_id", "film"),
        "labels.csv has no column sample_id",
        "Name the column",
    ),
    "a wrong cell": (lambda f: edit(f, "labels.csv", "Hernia", "weight\n"), "row 2 has", "cell"),
    "logits short": (lambda f: set_rows(f, "logits.npy", lambda v: v[:-1]), "logits.npy has 89 rows", "same order"),
    "logits wide": (
        lambda f: set_rows(f, "logits.npy", lambda v: v[:, :2]),
        "2 columns, and there are 3",
        "by that order",
    ),
    "logits NaN": (lambda f: set_rows(f, "logits.npy", with_nan), "logits.npy row 5 (from 0) holds NaN", "Compute"),
    "text shape": (
        lambda f: np.savez(f / "text.npz", both=np.ones((2, 3, 5), np.float32)),
        "need (2, 3, 12)",
        "positive and the negative side",
    ),
    "text zeros": (
        lambda f: np.savez(f / "text.npz", both=np.zeros((2, 3, DIM), np.float32)),
        "the positive side of Effusion is all zeros",
        "positive vector",
    ),
    "text array": (lambda f: np.savez(f / "text.npz", a=np.ones(1)), "has no 'both' among its arrays; it has a", "one"),
    "no positives": (
        lambda f: pd.read_csv(f / "labels.csv", dtype=str).assign(Hernia="0").to_csv(f / "labels.csv", index=False),
        "'Hernia' has none in train, val, test",
        "--allow-empty",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_file_row_and_fix(case: str, drawn: Path, tmp_path: Path, call: Call) -> None:
    spoil, what, fix = REFUSED[case]
    folder = Path(shutil.copytree(drawn, tmp_path / "spoiled"))
    spoil(folder)
    code, _, err = call(*everything(folder, tmp_path / "store"))
    assert code == 1
    assert "Traceback" not in err
    assert what in err, err
    assert fix in err.split("Fix")[1], err
    assert list_runs(tmp_path / "store") == []


@pytest.mark.parametrize(
    ("more", "what", "fix"),
    [
        (("--scale", 5), "--scale is the temperature", "--text-vectors"),
        (("--text-vectors", "{}/text.npz:both"), "needs the temperature", "100 for most"),
        (("--text-vectors", "{}/text.npz:both", "--scale", -1), "--scale is -1", "above 0"),
        (("--text-vectors", "{}/text.npz", "--scale", 5), "has 2 arrays; it has both, other", "text.npz:both"),
        (("--logits", "{}/none.npy"), "There is no file", "Check"),
        (("--ids", "{}/vectors.npy"), "ids are (N,) texts", "dtype=str"),
        (("--regimes", "fine_tune"), "fine_tune trains the encoder itself, so it needs the films", "precompute run"),
        (("--regimes", "linear_probe,lora"), "lora trains the encoder itself", "precompute run"),
        (("--regimes", "zero_shot"), "zero_shot needs text vectors", "--text-vectors"),
        (("--regimes", "imported_logits"), "takes over logits", "--logits"),
        (("--annotations", "{}/labels.csv"), "marks count pixels of films", "--images"),
        (("--label", "Mass"), "has no label column 'Mass'", "Hernia"),
    ],
)
def test_options_that_do_not_go_together_say_so(
    more: tuple[object, ...], what: str, fix: str, drawn: Path, tmp_path: Path, call: Call
) -> None:
    code, _, err = call(*asked(drawn, tmp_path / "store", *(str(part).format(drawn) for part in more)))
    assert code == 1
    assert what in err, err
    assert fix in err.split("Fix")[1], err
    assert not (tmp_path / "store").exists()


def test_a_run_with_films_takes_no_logits(few_films: Path, tmp_path: Path, call: Call) -> None:
    given = ("--csv", few_films / "labels.csv", "--images", few_films / "images", "--encoder", "local-dir:none")
    code, _, err = call("run", *given, "--regimes", "imported_logits", "--out", tmp_path / "store")
    assert code == 1
    assert "python -m precompute import --logits" in err


def test_what_needs_films_or_weights_says_so_on_the_command_line(root: Path, drawn: Path, call: Call) -> None:
    for arguments, part in ((("saliency", root), "weights"), (("annotate", root, drawn / "labels.csv"), "pixels")):
        code, _, err = call(*arguments)
        assert code == 1
        assert f"imported without {part}" in err
    assert call("verify", root)[0] == 0
    assert call("sheet", root)[0] == 0


def test_a_published_import_lacks_the_same_parts(root: Path, tmp_path: Path, call: Call) -> None:
    code, _, err = call("publish", root, tmp_path / "copy", "--i-may-share")
    assert code == 0, err
    copy = open_store(tmp_path / "copy")
    assert verify_store(copy) == []
    assert copy.manifest.publication is not None
    assert copy.manifest.publication.left_out == ("pixels", "weights")
    with pytest.raises(LeftOut, match="imported without pixels"):
        copy.film(0)
    assert "films and thumbnails" in (tmp_path / "copy/README.md").read_text()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_large_array_is_mapped_and_unit_vectors_keep_their_bits(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 300)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "v.npy", unit)
    place = read_place(str(tmp_path / "v.npy"))
    array = read_floats(place, "(N, D)")
    assert isinstance(array, np.memmap)
    assert (check_lengths(place, array) == 1).all()
    np.testing.assert_allclose(check_lengths(place, 2 * unit), 2, rtol=1e-6)


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 2), pa.large_list(pa.float16())])
def test_lists_of_a_parquet_table_become_an_array(tmp_path: Path, kind: pa.DataType) -> None:
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    cells = pa.array([list(map(np.float16, row)) for row in rows] if kind.value_type == pa.float16() else rows, kind)
    pq.write_table(pa.table({"v": cells, "id": [1, 2, 3]}), tmp_path / "t.parquet")
    np.testing.assert_array_equal(read_floats(Place(tmp_path / "t.parquet"), "(N, D)"), rows)
    assert read_ids(Place(tmp_path / "t.parquet", "id")) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ([[1.0, 2.0], [3.0]], "row 1 (from 0) is a list of 1 numbers, and row 0 a list of 2"),
        ([[1.0, 2.0], None], "row 1 (from 0) is null"),
        ([[1.0, 2.0], [3.0, None]], "row 1 (from 0) holds a null"),
        ([[1, 2]], "no lists of floats"),
    ],
)
def test_lists_that_are_no_vectors_are_refused_by_row(tmp_path: Path, cells: list[Any], what: str) -> None:
    pq.write_table(pa.table({"v": cells}), tmp_path / "t.parquet")
    with pytest.raises(UserError) as raised:
        read_floats(Place(tmp_path / "t.parquet"), "(N, D)")
    assert what in raised.value.what


def test_ids_of_a_csv_are_named_by_column(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("film;site\na;1\nb;2\n")
    assert read_ids(read_place(f"{tmp_path / 'ids.csv'}:film")) == ["a", "b"]
    with pytest.raises(UserError, match=r"has 2 columns; it has film, site(.|\n)*ids.csv:film"):
        read_ids(read_place(str(tmp_path / "ids.csv")))


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLORER_STORE", str(root))
    st.cache_data.clear()
    st.cache_resource.clear()
    return root


EVERY_VIEW = [*VIEWS, ("case", {}), *(("protocols", {"part": part}) for part in ("limits", "distances", "few-shot"))]


@pytest.mark.parametrize(("page", "query"), EVERY_VIEW, ids=lambda value: str(value))
def test_every_view_draws(opened: Path, page: str, query: dict[str, str]) -> None:
    app = open_page(page, **query)
    assert_sound(app)
    assert app.title[0].value == TITLES[page]
    assert said(app).count(NEVER_HAD_PIXELS) == 1


@pytest.mark.parametrize(
    ("page", "query", "text"),
    [
        ("grad_cam", {}, "This run was imported without weights: it has no encoder that could say what it looks at."),
        ("grad_cam", {"show": "mark"}, "This run was imported without pixels: it has no film film"),
        ("audit", {"audit": "leaks"}, "This run was imported without pixels: it has no pictures to seek copies among."),
        ("audit", {"audit": "leaks"}, "In two splits: 0 of 45 patients"),
        ("neighbours", {"by": "upload"}, "This run was imported without weights"),
        ("dataset", {}, "The embeddings were made elsewhere: how films were brought to the model is not known here."),
        ("protocols", {"part": "few-shot"}, "Text-informed probe"),
    ],
)
def test_a_page_says_what_is_missing_and_what_to_do(opened: Path, page: str, query: dict[str, str], text: str) -> None:
    assert text in said(open_sound_page(page, **query)).replace("**", "")


def test_without_a_text_tower_pages_say_so(opened: Path, store: Store) -> None:
    for page, query in (
        ("neighbours", {"show": "lab"}),
        ("neighbours", {"by": "words"}),
        ("map", {"signs": "prompts", "trust": "true"}),
        ("protocols", {"part": "changes"}),
    ):
        assert why_no_prompts(store) in said(open_sound_page(page, **query)), page


def test_neighbours_and_filter_work_on_ids_and_labels(opened: Path, store: Store) -> None:
    text = said(open_sound_page("neighbours", by="film", film="film004"))
    shown = [one for one in store.samples["sample_id"] if one in text]
    assert len(shown) > 6
    positive = conditions.write(store, OfLabel("positive", "Effusion"))
    n = int((store.targets[store.rows("test"), 0] == 1).sum())
    assert f"{n:,} of {len(store.rows('test')):,} films" in said(open_sound_page("case", filter=positive))
