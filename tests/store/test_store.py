"""The store: whole or not at all, resumable by stage, checked on opening and by its hashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.analysis.metrics import METRIC_COLUMNS
from explorer.data.samples import SAMPLE_COLUMNS
from explorer.errors import UserError
from explorer.store import Store, latest_run, list_runs, open_store
from explorer.store.files import atomic_path, sha256_file, sha256_json, write_array, write_json
from explorer.store.film_folders import note_films
from explorer.store.folder import DamagedFile
from explorer.store.manifest import SCHEMA_VERSION, Dataset, EncoderRecord, Manifest, RegimeRecord, SpaceRecord
from explorer.store.verify import verify_store
from explorer.store.writer import RunWriter
from tests.conftest import IN_DEPTH, vouch

# --- writing -------------------------------------------------------------------------------------------------


def manifest(writer: RunWriter) -> Manifest:
    dataset = Dataset(
        name="x",
        licence="x",
        source="x",
        images=".",
        fingerprint="x",
        label_columns=("A",),
        n_read=3,
        n_skipped=0,
        split_origin="x",
    )
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=writer.run_id,
        title="x",
        created="x",
        seed=0,
        settings={},
        versions={},
        device="cpu",
        seconds=writer.seconds,
        dataset=dataset,
        labels=("A",),
        n=3,
        encoders=(EncoderRecord(id="e", title="x", source="x", licence="x", weights_sha256="x", dim=2),),
        regimes=(
            RegimeRecord(
                name="r", title="x", kind="probe", encoder="e", embedding_space="e", decision_space="r-decision"
            ),
        ),
        spaces=(
            SpaceRecord(name="e", title="x", kind="embedding", dim=2),
            SpaceRecord(name="r-decision", title="x", kind="decision", dim=1),
        ),
        artefacts=writer.kept(),
    )


class Job:
    """Two stages, the second made from the first; remembers which ran."""

    def __init__(self, root: Path, value: int = 1) -> None:
        self.writer = RunWriter(root, "run")
        self.value = value
        self.ran: list[str] = []

    def stages(self, after_first: Callable[[], None] = lambda: None) -> None:
        def first(folder: Path) -> list[str]:
            self.ran.append("first")
            write_array(folder / "a.npy", np.full(3, self.value, np.float32))
            write_json(folder / "scratch/note.json", self.value)
            return ["a.npy", "scratch/note.json"]

        def second(folder: Path) -> list[str]:
            self.ran.append("second")
            write_array(folder / "b/b.npy", np.load(folder / "a.npy") * 2)
            return ["b/b.npy"]

        self.writer.stage("first", {"value": self.value}, first)
        after_first()
        self.writer.stage("second", {"a": self.writer.sha256("a.npy")}, second)

    def all(self) -> Path:
        with self.writer.locked():
            self.stages()
            return self.writer.finish(manifest(self.writer))


def test_a_finished_run_has_its_name_its_files_and_no_scratch(tmp_path: Path) -> None:
    job = Job(tmp_path)
    path = job.all()
    assert path == tmp_path / "run"
    assert job.ran == ["first", "second"]
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["LATEST", "cache", "run"]
    assert sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()) == [
        "a.npy",
        "b/b.npy",
        "manifest.json",
        "stages/first.json",
        "stages/second.json",
    ]
    store = open_store(tmp_path)
    assert store.path == path
    artefact = store.manifest.artefacts["b/b.npy"]
    assert (artefact.dtype, artefact.shape, artefact.stage) == ("float32", (3,), "second")
    assert artefact.sha256 == sha256_file(path / "b/b.npy")
    assert artefact.made_from == sha256_json({"a": store.manifest.artefacts["a.npy"].sha256})
    assert set(store.manifest.seconds) == {"first", "second"}


def test_a_stage_that_is_there_is_not_run_again(tmp_path: Path) -> None:
    Job(tmp_path).stages()
    again = Job(tmp_path)
    again.stages()
    assert again.ran == []
    assert again.writer.seconds.keys() == {"first", "second"}


def test_another_input_runs_the_stage_and_what_was_made_from_it(tmp_path: Path) -> None:
    Job(tmp_path).stages()
    other = Job(tmp_path, value=2)
    other.stages()
    assert other.ran == ["first", "second"]
    assert np.load(tmp_path / "run.partial/b/b.npy").tolist() == [4, 4, 4]


@pytest.mark.parametrize("damage", [Path.unlink, lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\x07")])
@pytest.mark.parametrize(
    ("file", "ran"), [("a.npy", ["first"]), ("scratch/note.json", ["first"]), ("b/b.npy", ["second"])]
)
def test_a_damaged_file_is_made_again(
    tmp_path: Path, damage: Callable[[Path], object], file: str, ran: list[str]
) -> None:
    Job(tmp_path).stages()
    shutil.rmtree(tmp_path / "cache")  # which would give the first back
    damage(tmp_path / "run.partial" / file)
    again = Job(tmp_path)
    again.stages()
    assert again.ran == ran  # the second is not: what the first made is the same again
    assert np.load(tmp_path / "run.partial/b/b.npy").tolist() == [2, 2, 2]


def test_a_stage_that_fails_leaves_nothing_to_resume_from(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, "run")

    def fails(folder: Path) -> list[str]:
        with atomic_path(folder / "a.npy") as temp:
            temp.write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        writer.stage("first", {"value": 1}, fails)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    again = Job(tmp_path)
    again.stages()
    assert again.ran == ["first", "second"]


def test_litter_of_a_killed_job_does_not_reach_the_run(tmp_path: Path) -> None:
    litter = tmp_path / "run.partial/b/.b.npy.123.tmp"
    litter.parent.mkdir(parents=True)
    litter.write_bytes(b"half")
    path = Job(tmp_path).all()
    assert not [p for p in path.rglob("*") if p.name.endswith(".tmp")]


def test_a_partial_run_never_opens(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.stages()
    write_json(tmp_path / "run.partial/manifest.json", manifest(job.writer).model_dump(mode="json"))  # killed just here
    assert list_runs(tmp_path) == []
    assert latest_run(tmp_path) is None
    with pytest.raises(UserError, match="no store"):
        open_store(tmp_path)
    for name in ("run", "run.partial", "../run", "nothing"):
        with pytest.raises(UserError, match="no complete run"):
            open_store(tmp_path, name)
    with pytest.raises(UserError, match="no store"):
        open_store(tmp_path / "nowhere")
    (tmp_path / "LATEST").write_text("run.partial\n")
    with pytest.raises(UserError, match="no store"):
        open_store(tmp_path)


def test_the_old_run_opens_while_another_is_made(tmp_path: Path) -> None:
    old = Job(tmp_path).all()
    job = Job(tmp_path, 5)
    job.writer = RunWriter(tmp_path, "newer")
    seen = []
    with job.writer.locked():
        job.stages(after_first=lambda: seen.append(open_store(tmp_path).path))
        assert open_store(tmp_path).path == old
        new = job.writer.finish(manifest(job.writer))
    assert seen == [old]
    assert open_store(tmp_path).path == new
    assert set(list_runs(tmp_path)) == {"run", "newer"}
    assert open_store(tmp_path, "run").path == old
    (tmp_path / "LATEST").write_bytes(b"\xff\xfe")  # a pointer gone wrong: the newest then
    os.utime(old / "manifest.json", (1, 1))
    assert latest_run(tmp_path) == "newer"


def test_a_kill_between_the_renaming_and_the_pointer_is_settled(tmp_path: Path) -> None:
    job = Job(tmp_path)
    path = job.all()
    (tmp_path / "LATEST").unlink()
    (path / "scratch").mkdir()
    job.writer.settle()
    assert (tmp_path / "LATEST").read_text().strip() == "run"
    assert not (path / "scratch").exists()


def test_a_second_writer_is_refused_and_the_lock_is_given_back(tmp_path: Path) -> None:
    caught: list[UserError] = []

    def second() -> None:
        try:
            with RunWriter(tmp_path, "run").locked():
                pytest.fail("two writers at once")
        except UserError as error:
            caught.append(error)

    with RunWriter(tmp_path, "run").locked():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        with RunWriter(tmp_path, "other").locked():
            pass
    assert "Another job" in caught[0].what
    with RunWriter(tmp_path, "run").locked():
        pass


def test_a_writer_of_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom explorer.store.writer import RunWriter\n"
        f"with RunWriter(Path({str(tmp_path)!r}), 'run').locked(): print('in', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(UserError, match="Another job"), RunWriter(tmp_path, "run").locked():
        pass
    holder.kill()
    holder.communicate()
    with RunWriter(tmp_path, "run").locked():  # a dead process holds no lock
        pass


def test_a_folder_in_the_way_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="in the way"), RunWriter(tmp_path, "run").locked():
        pytest.fail("work begun")


def test_files_are_whole_or_absent_and_readable_by_all(tmp_path: Path) -> None:
    write_json(tmp_path / "sub/a.json", {"x": 1})
    assert (tmp_path / "sub/a.json").stat().st_mode & 0o777 == 0o644
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "sub/a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "sub/a.json").read_text()) == {"x": 1}
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "b.npy", np.array([{}], dtype=object))
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.json"]
    assert sha256_json({"a": 1, "b": (2,)}) == sha256_json({"b": [2], "a": 1}) != sha256_json({"a": 1, "b": [3]})


# --- the real store: what it holds ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tiny_store: Path) -> Store:
    return open_store(tiny_store)


def test_every_array_has_the_row_order_and_shape_it_says(store: Store) -> None:
    n, c = store.n, len(store.labels)
    assert n == 96
    assert store.samples.columns.tolist() == [*SAMPLE_COLUMNS, *store.labels]
    assert store.samples.index.tolist() == list(range(n))
    assert set(np.unique(store.targets[~np.isnan(store.targets)])) == {0, 1}
    assert np.isnan(store.targets).any()  # some labels are unknown
    rows = np.concatenate([store.rows("train"), store.rows("val"), store.rows("test")])
    assert np.array_equal(np.sort(rows), store.rows())
    for regime in store.regimes:
        assert store.logits(regime.name).shape == (n, c)
        assert np.isfinite(store.logits(regime.name)).all()
        assert store.threshold_array(regime.name).shape == (c,)
        assert store.thresholds(regime.name).split == "val"
        weight, bias = store.head(regime.name)
        assert (weight.shape, bias.shape) == ((c, store.encoder(regime.encoder).dim), (c,))
        embeddings = store.vectors(store.space_of(regime.name, "embedding").name)
        np.testing.assert_allclose(embeddings @ weight.T + bias, store.logits(regime.name), atol=1e-4)
        assert store.space_of(regime.name, "decision").dim == c
    for space in store.manifest.spaces:
        vectors = store.vectors(space.name)
        assert vectors.shape == (n, space.dim)
        assert store.map(space.name).shape == (n, 2)
        index, note = store.index(space.name)
        assert (index.ntotal, note) == (n, "")
        np.testing.assert_allclose(index.reconstruct_n(0, n), vectors)
        assert {"method", "seed", "trustworthiness", "knn_overlap", "knn_overlap_baseline"} <= set(
            store.trust(space.name)
        )


def test_progress_counts_the_stages_in_the_order_they_ran(store: Store) -> None:
    from precompute.commands.options import DEFAULT_REGIMES
    from precompute.pipeline import stages_of
    from precompute.regimes import choose_recipes
    from precompute.settings import Settings

    expected: list[str] = []
    for stage in stages_of(choose_recipes(DEFAULT_REGIMES), Settings()):
        in_parts = stage in ("maps", "map trust", "clusters")
        names = [f"{stage} {space.name}" for space in store.spaces] if in_parts else [stage]
        expected += [name.replace(" ", "_") for name in names]
    assert list(store.manifest.seconds) == expected


def test_projections_are_what_the_tower_gives_before_they_are_brought_to_unit_norm(store: Store) -> None:
    from explorer.data.images import read_film
    from explorer.model.encoder import ImageTower

    for encoder in store.manifest.encoders:
        tower = ImageTower.load(store.encoder_folder(encoder.id)).unnormalised()
        pixels = np.stack([np.array(tower.fit.apply(read_film(store.film(row)))) for row in (0, 7)])
        projections = store.projections(encoder.id)
        assert projections is not None
        np.testing.assert_allclose(tower.embed(pixels, 2), projections[[0, 7]], rtol=1e-3, atol=1e-3)


def test_two_regimes_share_a_space_and_three_have_their_own_decisions(store: Store) -> None:
    assert store.space_of("zero_shot", "embedding") == store.space_of("linear_probe", "embedding")
    assert store.space_of("fine_tune", "embedding") != store.space_of("linear_probe", "embedding")
    assert len({store.space_of(r.name, "decision").name for r in store.regimes}) == 3


def test_metrics_are_the_logits_own(store: Store) -> None:
    from sklearn.metrics import average_precision_score, f1_score

    assert store.tables.metrics.columns.tolist() == list(METRIC_COLUMNS)
    frame = store.tables.metrics.set_index(["regime", "split", "label", "metric"])["value"]
    checked = 0
    for regime in store.regimes:
        for split in ("val", "test"):
            rows = store.rows(split)  # type: ignore[arg-type]
            for c, label in enumerate(store.labels):
                known = rows[~np.isnan(store.targets[rows, c])]
                y, x = store.targets[known, c], store.logits(regime.name)[known, c]
                value = frame[regime.name, split, label, "average_precision"]
                if len(set(y)) < 2:
                    assert np.isnan(value)
                    continue
                assert value == pytest.approx(average_precision_score(y, x))
                cut = store.threshold_array(regime.name)[c]
                if np.isfinite(cut):
                    assert frame[regime.name, split, label, "f1"] == pytest.approx(f1_score(y, x >= cut))
                    checked += 1
    assert checked > 10


def test_thumbnails_films_and_boxes_belong_to_their_rows(store: Store) -> None:
    import io

    from PIL import Image

    from explorer.data.images import read_film

    for row in (0, 40, store.n - 1):
        film = read_film(store.film(row))
        assert (film.height, film.width) == tuple(store.samples.loc[row, ["height", "width"]])
        small = Image.open(io.BytesIO(store.thumbnail(row)))
        assert max(small.size) == 256
        shrunk = np.asarray(film.resize(small.size), np.float32)
        assert np.abs(shrunk - np.asarray(small, np.float32)).mean() < 6
    boxes = store.tables.annotations
    assert len(boxes)
    assert (store.samples["sample_id"].to_numpy()[boxes["row"]] == boxes["sample_id"]).all()
    widths = store.samples["width"].to_numpy()[boxes["row"]]
    assert (boxes["x"] + boxes["w"] <= widths + 1).all()
    assert set(boxes["label"]) <= set(store.labels)
    assert store.row_of(store.samples["sample_id"][7]) == 7
    assert store.row_of("nobody") is None
    assert store.tables.skipped.empty
    assert "phantom" in repr(store)


def test_a_store_may_be_moved_with_its_films(tiny_store: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_store, tmp_path / "moved")
    moved = open_store(tmp_path / "moved")
    assert moved.film(0).is_relative_to((tmp_path / "moved").resolve())
    shutil.rmtree(tmp_path / "moved/films")
    assert open_store(tmp_path / "moved").thumbnail(0)
    with pytest.raises(UserError, match="not on this machine"):
        moved.film(0)


def test_opening_and_reading_needs_no_torch(tiny_store: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom explorer.store import open_store\n"
        "from explorer.store.verify import verify_store\n"
        f"store = open_store(Path({str(tiny_store)!r}))\n"
        "store.samples, store.tables.metrics, store.tables.annotations, store.thumbnail(0), store.logits('zero_shot')\n"
        "store.index('frozen'), store.head('zero_shot'), store.thresholds('zero_shot'), verify_store(store)\n"
        "print(sorted({'torch', 'transformers', 'umap', 'numba', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the real store, damaged ---------------------------------------------------------------------------------


@pytest.fixture
def copy(tiny_store: Path, tmp_path: Path) -> Path:
    """The latest run's folder in a copy of the store without its films."""
    shutil.copytree(tiny_store, tmp_path / "store", ignore=shutil.ignore_patterns("films"))
    return tmp_path / "store" / (tiny_store / "LATEST").read_text().strip()


def edit(copy: Path, change: Callable[[dict], object]) -> None:
    raw = json.loads((copy / "manifest.json").read_text())
    change(raw)
    (copy / "manifest.json").write_text(json.dumps(raw))


def test_a_good_copy_verifies(copy: Path) -> None:
    assert verify_store(Store(copy)) == []
    assert verify_store(open_store(copy)) == []  # a run's own folder opens as well


def test_every_file_is_vouched_for(copy: Path) -> None:
    files = {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file() and p.parent.name != "stages"}
    files -= {"manifest.json"}
    assert files == set(Store(copy).manifest.artefacts)


def files_of(store: Path) -> list[str]:
    return sorted(json.loads((store / "manifest.json").read_text())["artefacts"])


def test_an_absent_or_truncated_file_is_refused_by_name_and_the_rest_is_read(copy: Path) -> None:
    for relative in files_of(copy):
        path = copy / relative
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(DamagedFile, match="is missing") as caught:
            Store(copy).check_hash(relative)
        assert caught.value.file == relative
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(DamagedFile, match=f"{len(content):,}") as caught:
            Store(copy).check_hash(relative)
        assert caught.value.file == relative
        other = (
            "regimes/fine_tune/logits.npy" if relative != "regimes/fine_tune/logits.npy" else "spaces/frozen/map.npy"
        )
        Store(copy).check_hash(other)
        path.write_bytes(content)
    assert verify_store(Store(copy)) == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("space", ["frozen", "linear_probe-decision"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(Path.unlink, "is missing"), (flip, "is not what the manifest says"), (cut, "it has 100 bytes")],
)
def test_a_lost_index_is_built_again_and_finds_the_same(
    store: Store, copy: Path, space: str, damage: Callable[[Path], object], said: str
) -> None:
    file = f"spaces/{space}/index.faiss"
    damage(copy / file)
    again, note = Store(copy).index(space)
    assert note.startswith(f"{file} is damaged: ")
    assert said in note
    queries = np.array(store.vectors(space)[:20])
    for ours, theirs in zip(again.search(queries, 9), store.index(space)[0].search(queries, 9), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    problems = verify_store(Store(copy))
    assert len(problems) == 1
    assert problems[0].startswith(f"{file}: ")
    assert said in problems[0]


@pytest.mark.parametrize(
    ("space", "vectors"),
    [
        ("frozen", "encoders/frozen/embeddings.npy"),
        ("linear_probe-decision", "spaces/linear_probe-decision/vectors.npy"),
    ],
)
def test_no_index_is_built_from_damaged_vectors(copy: Path, space: str, vectors: str) -> None:
    (copy / f"spaces/{space}/index.faiss").unlink()
    flip(copy / vectors)
    with pytest.raises(UserError, match="damaged") as caught:
        Store(copy).index(space)
    assert vectors in caught.value.what


def test_a_flipped_byte_anywhere_is_found_by_verify(copy: Path) -> None:
    for relative in files_of(copy)[:: 1 if IN_DEPTH else 5]:
        flip(copy / relative)
        problems = verify_store(Store(copy))
        assert len(problems) == 1
        assert relative in problems[0]
        flip(copy / relative)


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


@pytest.mark.parametrize(
    ("relative", "read"),
    [
        ("samples.parquet", lambda s: s.samples),
        ("metrics.parquet", lambda s: s.tables.metrics),
        ("annotations.parquet", lambda s: s.tables.annotations),
        ("skipped.parquet", lambda s: s.tables.skipped),
        ("regimes/zero_shot/head.safetensors", lambda s: s.head("zero_shot")),
        ("regimes/zero_shot/thresholds.json", lambda s: s.thresholds("zero_shot")),
        ("regimes/zero_shot/training.json", lambda s: s.training("zero_shot")),
        ("spaces/frozen/trust.json", lambda s: s.trust("frozen")),
    ],
)
def test_a_file_of_the_right_size_and_wrong_content_is_one_message(
    copy: Path, relative: str, read: Callable[[Store], object]
) -> None:
    zeros(copy / relative)
    with pytest.raises(DamagedFile) as caught:
        read(Store(copy))
    assert relative in caught.value.what
    assert copy.name in caught.value.what
    assert str(copy) not in caught.value.what + caught.value.fix, "no visitor is shown a path of the host"
    assert "verify" in caught.value.fix


def test_an_array_of_another_kind_is_not_read(copy: Path) -> None:
    path = copy / "regimes/zero_shot/logits.npy"
    good = np.load(path)
    for other in (
        good.view(np.int32),  # as many bytes
        np.ascontiguousarray(good.T),  # as many bytes again
        good[:, :-1],
        good.astype(np.float64),
        good.astype(">f4"),
        good[None],
        good.reshape(-1),
        np.float32(1),
    ):
        np.save(path, other)
        with pytest.raises(DamagedFile, match=r"in place of 96 × 14 of float32|no header"):
            Store(copy).logits("zero_shot")
    zeros(path)
    with pytest.raises(DamagedFile, match="no header"):
        Store(copy).logits("zero_shot")
    np.save(path, np.asfortranarray(good))
    np.testing.assert_array_equal(Store(copy).logits("zero_shot"), good)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (96, __import__('os')), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (96L, 14L), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 99999999999999), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (96, 14), " + b"(" * 5000,
        b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (96, 14), }",
    ],
)
def test_a_header_is_matched_and_never_evaluated(copy: Path, header: bytes) -> None:
    path = copy / "regimes/zero_shot/logits.npy"
    body = np.load(path).tobytes()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header + b"\n").to_bytes(2, "little") + header + b"\n" + body)
    with pytest.raises(DamagedFile):
        Store(copy).logits("zero_shot")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("unpickled",))


def test_a_pickle_is_never_read(copy: Path) -> None:
    relative = "spaces/frozen/map.npy"
    np.save(copy / relative, np.array([Evil()], dtype=object), allow_pickle=True)
    edit(
        copy,
        lambda m: m["artefacts"][relative].update(bytes=(copy / relative).stat().st_size, dtype="object", shape=[1]),
    )
    with pytest.raises(DamagedFile, match="no header"):
        Store(copy).map("frozen")


@pytest.mark.parametrize("version", ["0.9", "2.0", "10.0", "2", ""])
def test_another_major_version_is_refused(copy: Path, version: str) -> None:
    edit(copy, lambda m: m.update(schema_version=version))
    with pytest.raises(UserError, match="schema version") as caught:
        open_store(copy.parent)
    assert "precompute" in caught.value.fix


def test_a_newer_minor_version_opens_and_its_new_keys_are_passed_over(copy: Path) -> None:
    def newer(raw: dict) -> None:
        raw.update(schema_version="1.9", new_key={"a": 1})
        raw["regimes"][0]["new_key"] = 1
        raw["artefacts"]["samples.parquet"]["new_key"] = 1

    edit(copy, newer)
    assert verify_store(open_store(copy.parent)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"schema_version": "1.0"}', "\xff"])
def test_a_damaged_manifest_is_one_message(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        open_store(copy.parent)


@pytest.mark.parametrize("escape", ["../LATEST", "/etc/hostname", "thumbnails/../../LATEST", "a\0b", "a\\b", ""])
def test_a_manifest_may_not_point_outside(copy: Path, escape: str) -> None:
    edit(copy, lambda m: m["artefacts"].update({escape: {**m["artefacts"]["samples.parquet"], "path": escape}}))
    with pytest.raises(UserError, match="outside the run"):
        Store(copy)


def test_a_link_may_not_lead_outside(copy: Path, tmp_path: Path) -> None:
    file = copy / "regimes/zero_shot/training.json"
    outside = Path(shutil.move(file, tmp_path / "training.json"))
    file.symlink_to(outside)
    with pytest.raises(DamagedFile, match="a link leads out of the run"):
        Store(copy).training("zero_shot")
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(DamagedFile):
        Store(copy).training("zero_shot")
    file.unlink()
    os.mkfifo(file)  # to open it would wait for ever
    with pytest.raises(DamagedFile, match="not a plain file"):
        Store(copy).training("zero_shot")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(labels=[]), "labels: "),
        (lambda m: m.update(labels=[m["labels"][0]] * 14), "two of one name: label"),
        (lambda m: m.update(labels=m["labels"][1:]), "is no space of 13 labels"),
        (lambda m: m.update(regimes=[]), "regimes: "),
        (lambda m: m.update(regimes=m["regimes"] * 2), "two of one name: regime"),
        (lambda m: m.update(encoders=m["encoders"][:1]), "the encoder or a space of fine_tune is not listed"),
        (lambda m: m["spaces"].pop(0), "is not listed"),
        (lambda m: m["spaces"][0].update(dim=3), "is no space of the encoder frozen"),
        (lambda m: m.update(n=95), "is not of 95 films"),
        (lambda m: m.update(n=0), "n: "),
        (lambda m: m.update(run_id="../other"), "is no name of a folder"),
        (lambda m: m["encoders"][0].update(id="../../tower"), "is no name of a folder"),
        (lambda m: m["regimes"][0].update(name="a/b"), "is no name of a folder"),
        (lambda m: m["artefacts"]["samples.parquet"].update(path="skipped.parquet"), "is listed as"),
        (lambda m: m["artefacts"]["samples.parquet"].update(bytes=-1), "bytes: "),
        (lambda m: m["dataset"].update(images="films\0"), "is no path"),
    ],
)
def test_a_manifest_whose_parts_do_not_agree_is_refused(
    copy: Path, change: Callable[[dict], object], said: str
) -> None:
    edit(copy, change)
    with pytest.raises(UserError, match=r"manifest\.json is damaged") as caught:
        Store(copy)
    assert said in caught.value.what
    assert "\n" not in caught.value.what, "one line, not pydantic's page"


def test_a_deep_manifest_is_refused(copy: Path) -> None:
    (copy / "manifest.json").write_text('{"a":' * 100_000)
    with pytest.raises(UserError, match="recursion limit"):
        Store(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.assign(sample_id="one"), "a sample_id occurs twice"),
        (lambda f: f.assign(split="dev"), "a split is other than train, val, test"),
        (lambda f: f.assign(Edema=2), "a label is other than 1, 0 or blank"),
        (lambda f: f.assign(Edema="yes"), "column 'Edema' is large_string in place of number"),
        (lambda f: f.assign(height=0), "a film has no size"),
        (lambda f: f.assign(patient_id=None), "column 'patient_id' has blanks"),
        (lambda f: f.drop(columns="view"), "it has 0 columns 'view' in place of one"),
        (lambda f: f[:-1], "it has 95 rows in place of 96"),
    ],
)
def test_a_table_that_the_manifest_vouches_for_is_checked_all_the_same(
    copy: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    change(pd.read_parquet(copy / "samples.parquet")).to_parquet(copy / "samples.parquet")
    vouch(copy, "samples.parquet")
    with pytest.raises(DamagedFile) as caught:
        assert Store(copy).samples is None
    assert caught.value.why == said


@pytest.mark.parametrize(
    ("file", "column", "value", "said"),
    [
        ("annotations.parquet", "row", 96, "it names films that the run has not"),
        ("audit/copies/pairs.parquet", "b", -1, "it names films that the run has not"),
        ("metrics.parquet", "regime", "x", "column 'regime' names what the run has not"),
        ("likeness.parquet", "other", "x", "column 'other' names what the run has not"),
        ("confusability.parquet", "label", "x", "column 'label' names what the run has not"),
    ],
)
def test_a_table_may_not_name_what_the_run_has_not(
    copy: Path, file: str, column: str, value: object, said: str
) -> None:
    pd.read_parquet(copy / file).assign(**{column: value}).to_parquet(copy / file)
    vouch(copy, file)
    assert f"{file}: {said}" in verify_store(Store(copy))


def test_an_index_that_the_manifest_vouches_for_is_not_trusted(copy: Path) -> None:
    """FAISS would end the process over some bytes."""
    file = "spaces/frozen/index.faiss"
    content = bytearray((copy / file).read_bytes())
    content[37] ^= 64  # of the count of numbers
    (copy / file).write_bytes(content)
    vouch(copy, file)
    index, note = Store(copy).index("frozen")
    assert "it is no flat index of 96 vectors" in note
    assert index.ntotal == 96


# --- films ---------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tiny_store: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The films' folder beside the store, and a host on which nothing is noted yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("EXPLORER_FILMS", raising=False)
    (films,) = (tiny_store / "films").iterdir()
    return Path(shutil.copytree(films, tmp_path / "films of ours"))


def films_lie(copy: Path, images: str) -> Store:
    edit(copy, lambda m: m["dataset"].update(images=images))
    return Store(copy)


@pytest.mark.parametrize("images", ["/", "/etc", "../../..", "../../films of ours", "../films/../.."])
def test_a_manifest_cannot_open_the_hosts_folders(copy: Path, outside: Path, images: str) -> None:
    with pytest.raises(UserError, match="outside the store") as caught:
        films_lie(copy, images).film(0)
    assert "EXPLORER_FILMS" in caught.value.fix


def test_a_link_in_the_store_is_no_way_out(copy: Path, outside: Path) -> None:
    (copy.parent / "films").symlink_to(outside)
    with pytest.raises(UserError, match="outside the store"):
        films_lie(copy, "../films").film(0)


@pytest.mark.parametrize("root", ["films of ours", "."])
def test_the_host_names_folders_of_films(
    copy: Path, outside: Path, tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = films_lie(copy, str(outside))
    monkeypatch.setenv("EXPLORER_FILMS", os.pathsep.join(("", str(tmp_path / "others"), str(tmp_path / root))))
    assert store.film(0).is_relative_to(outside)
    monkeypatch.setenv("EXPLORER_FILMS", str(tmp_path / "others"))
    with pytest.raises(UserError, match="outside the store"):
        store.film(0)


def test_the_run_that_this_user_made_reads_its_films_and_no_other_run_does(copy: Path, outside: Path) -> None:
    store = films_lie(copy, str(outside))
    note_films(copy, outside)
    assert store.film(0).is_relative_to(outside)
    moved = Path(shutil.copytree(copy.parent, copy.parents[1] / "moved")) / copy.name
    assert Store(moved).film(0).is_relative_to(outside), "the same run elsewhere is the same run"
    edit(copy, lambda m: m.update(title="another"))  # as a stranger's that goes by the same name
    with pytest.raises(UserError, match="outside the store"):
        Store(copy).film(0)


def test_a_note_opens_the_folder_that_was_named_and_no_other(copy: Path, outside: Path, tmp_path: Path) -> None:
    store = films_lie(copy, "/etc")
    note_films(copy, outside)
    with pytest.raises(UserError, match="outside the store"):
        store.film(0)


def test_films_in_the_store_need_no_note(tiny_store: Path, copy: Path, tmp_path: Path, outside: Path) -> None:
    note_films(copy, copy.parent / "films")
    assert not (tmp_path / "state").exists()
    assert open_store(tiny_store).film(0).is_file()


def test_a_user_without_a_home_is_told(copy: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    with pytest.raises(OSError, match="no home folder"):
        note_films(copy, outside)


def test_a_film_may_not_lie_outside_the_films(copy: Path) -> None:
    frame = pd.read_parquet(copy / "samples.parquet")
    frame.loc[0, "image"] = "../../../secret.png"
    frame.loc[1, "image"] = "/etc/hostname"
    frame.to_parquet(copy / "samples.parquet")
    vouch(copy, "samples.parquet")
    for row in (0, 1):
        with pytest.raises(UserError, match="leaves"):
            Store(copy).film(row)


def test_verify_looks_at_contents_as_well(copy: Path) -> None:
    frame = pd.read_parquet(copy / "samples.parquet")
    frame.loc[1, "sample_id"] = frame.loc[0, "sample_id"]
    frame.to_parquet(copy / "samples.parquet")
    vouch(copy, "samples.parquet")
    shutil.copy(copy / "spaces/frozen/map.npy", copy / "spaces/fine_tune/map.npy")
    (problem,) = verify_store(Store(copy))
    assert problem == "spaces/fine_tune/map.npy: its content is not what the manifest says"
    vouch(copy, "spaces/fine_tune/map.npy")
    assert verify_store(Store(copy)) == ["samples.parquet: a sample_id occurs twice"]


def test_verify_looks_at_figures_once_every_file_is_read(copy: Path) -> None:
    frame = pd.read_parquet(copy / "samples.parquet").assign(patient_id="p")
    frame.to_parquet(copy / "samples.parquet")
    for file, change in (
        ("encoders/frozen/embeddings.npy", lambda a: a * 2),
        ("regimes/zero_shot/logits.npy", lambda a: np.where(a == a.max(), np.nan, a)),
        ("spaces/frozen/map.npy", lambda a: np.where(a == a.max(), np.inf, a)),
    ):
        np.save(copy / file, change(np.load(copy / file)))
        vouch(copy, file)
    vouch(copy, "samples.parquet")
    assert verify_store(Store(copy)) == [
        "samples.parquet: 1 patients are in more than one split",
        "regimes/zero_shot/logits.npy: not all numbers are finite",
        "spaces/frozen: vectors are not of unit norm",
        "spaces/frozen/map.npy: not all numbers are finite",
    ]
