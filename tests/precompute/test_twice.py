"""Nothing is computed twice across the runs of a store: which stages run, and which are taken from where they are."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file, save_file

from explorer.data.images import read_for
from explorer.errors import UserError
from explorer.model.encoder import ImageTower, load_clip
from explorer.store import layout, list_runs, open_store
from explorer.store.film_folders import film_folder
from explorer.store.scores import BFLOAT16, FLOAT32, check_scores
from explorer.store.verify import verify_store
from explorer.store.writer import RunWriter
from precompute import pipeline
from precompute.commands.options import DEFAULT_REGIMES
from precompute.faults import Stopped
from precompute.regimes import choose_recipes
from precompute.settings import Settings
from precompute.stages import embed
from precompute.training import precision
from tests.conftest import ENCODER, FEWEST, take_few_draws

if TYPE_CHECKING:
    from tests.conftest import Call

ARGUMENTS = ("--device", "cpu", "--macro-patients", 2)
JOINT = {"score", "metrics", "curves", "calibration", "separability", "retrieval", "subgroups", "slices"}
"""Stages that compare all regimes."""


def of_space(name: str) -> set[str]:
    """The stages of one space alone."""
    return {f"{stage}_{name}" for stage in ("maps", "map_trust", "clusters")}


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        take_few_draws(patch, **FEWEST)
        yield


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that runs of this test really make, in order."""
    names: list[str] = []
    make = RunWriter._make

    def noted(self: RunWriter, name: str, *more: Any) -> Any:
        names.append(name)
        return make(self, name, *more)

    monkeypatch.setattr(RunWriter, "_make", noted)
    return names


@pytest.fixture
def run(call: Call, few_films: Path, small_encoder: Path) -> Callable[..., tuple[int, str, str]]:
    """Run the command over the few films into a store."""

    def command(
        root: Path, *more: object, encoder: Path = small_encoder, epochs: int | None = 1
    ) -> tuple[int, str, str]:
        given = ["--csv", few_films / "labels.csv", "--images", few_films / "images", "--out", root, *ARGUMENTS]
        given += ["--epochs", epochs] if epochs else []
        return call("run", *given, "--encoder", f"local-dir:{encoder}", *more)

    return command


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def whole(few_films: Path, small_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one complete run; tests take a copy, in whose folders no test writes in place."""
    from precompute.commands.run import run as command
    from precompute.sources import CsvOptions

    root = tmp_path_factory.mktemp("twice") / "store"
    given = CsvOptions(csv=few_films / "labels.csv", images=few_films / "images").model_dump(exclude_unset=True)
    command.__wrapped__(  # type: ignore[attr-defined]
        encoder=f"local-dir:{small_encoder}",
        source_options=given,
        out=root,
        training={"epochs": 1, "macro_patients": 2},
        device="cpu",
    )
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text('title = "Mine"\n[default]\npositive = ["{} is seen"]\nnegative = ["{} is not seen"]\n')
    return file


def stop_after(patch: pytest.MonkeyPatch, stage: str) -> None:
    """Runs end after a stage, as if killed; their plans go on."""
    made = RunWriter.stage

    def stopped(self: RunWriter, name: str, *more: Any) -> bool:
        ran = made(self, name, *more)
        if name == stage:
            raise Stopped(15)
        return ran

    patch.setattr(RunWriter, "stage", stopped)


def hashes(root: Path, run_id: str | None = None) -> dict[str, str]:
    store = open_store(root, run_id)
    assert verify_store(store) == []
    return {path: artefact.sha256 for path, artefact in store.artefacts.items()}


def spoil(file: Path) -> None:
    """Another content in a new file: what links to the old one keeps it."""
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def tree(root: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in root.rglob("*")}


# --- what runs again -----------------------------------------------------------------------------------------


def test_the_same_command_again_makes_nothing_and_says_so(root: Path, run: Command, ran: list[str]) -> None:
    code, _, err = run(root)
    assert code == 0
    assert "complete already; nothing to do" in err
    assert ran == []


def test_other_prompts_make_only_the_zero_shot_head_and_what_follows(
    root: Path, run: Command, call: Call, ran: list[str], prompts: Path, tmp_path: Path
) -> None:
    first = open_store(root).run_id
    before = hashes(root)
    code, _, err = run(root, "--prompts", prompts)
    assert code == 0
    assert set(ran) == {"zero-shot_head", *JOINT, *of_space("zero_shot-decision")}
    assert "films: taken from the cache" in err
    assert f"embed frozen: taken from run {first}" in err
    second = open_store(root).run_id
    assert second != first
    embeddings = layout.encoder_files("frozen").embeddings
    assert (root / second / embeddings).samefile(root / first / embeddings)
    linked = hashes(root, second)
    assert hashes(root, first) == before

    # a run from nothing holds the same
    assert run(tmp_path / "new", "--prompts", prompts)[0] == 0
    assert hashes(tmp_path / "new") == linked

    # one run goes, and the other stays whole
    code, out, err = call("delete", root, second)
    assert code == 0 and second in out and "--yes" in err
    assert set(list_runs(root)) == {first, second}
    assert call("delete", root, first, "--yes")[0] == 0
    assert list_runs(root) == [second]
    assert hashes(root) == linked
    code, _, err = call("gc", root)
    assert "Nothing to remove" in err, "the films are the second run's, too"
    code, _, err = call("delete", root, first)
    assert code == 1 and second in err


def test_the_other_protocol_decodes_and_embeds_nothing(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, "linear_probe")
    assert run(root, "--protocol", "paper", epochs=None)[0] == 143
    assert ran == ["samples", "annotations", "zero-shot_head", "linear_probe"]


def test_more_epochs_make_only_the_fine_tune(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, "full_fine-tune")
    assert run(root, epochs=2)[0] == 143
    assert ran == ["full_fine-tune"]


def test_other_bands_of_age_make_only_subgroups_and_slices(root: Path, run: Command, ran: list[str]) -> None:
    code, _, err = run(root, "--age-cuts", 0)
    assert code == 1
    assert "--age-cuts is [0]" in err
    assert run(root, "--age-cuts", 50, "--age-cuts", 30)[0] == 0
    assert ran == ["subgroups", "slices"]
    assert open_store(root).manifest.age_cuts == (30, 50)


def test_a_further_seed_trains_that_seed_alone(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(root, "--seeds", 2, "--dry-run")
    assert code == 0
    assert re.search(r"^seed 1 fine tune +runs: the store has none; about [\d,]+ s, an estimate$", out, re.MULTILINE)
    stop_after(monkeypatch, "seed_1_fine_tune")
    assert run(root, "--seeds", 2)[0] == 143
    assert ran == ["seed_1_fine_tune"]


def test_a_second_encoder_of_the_same_geometry_decodes_nothing(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch, small_encoder: Path, tmp_path: Path
) -> None:
    encoder = Path(shutil.copytree(small_encoder, tmp_path / "encoder"))
    weights = next(encoder.glob("*.safetensors"))
    tensors = load_file(weights)
    name = next(name for name, tensor in tensors.items() if name.startswith("visual.") and tensor.ndim > 1)
    tensors[name] = tensors[name] * torch.tensor(1.01, dtype=tensors[name].dtype)
    weights.unlink()
    save_file(tensors, weights, metadata={"format": "pt"})
    stop_after(monkeypatch, "embed_frozen")
    assert run(root, encoder=encoder)[0] == 143
    assert ran == ["embed_frozen"]
    run(root, "--fit", "pad", encoder=encoder)
    assert ran == ["embed_frozen", "films", "embed_frozen"], "another geometry"


def test_films_decoded_fast_are_the_runs_own_and_every_reader_decodes_them_alike(
    call: Call, few_films: Path, tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i, file in enumerate(sorted((few_films / "images").iterdir())):
        grey = Image.open(file).resize((12, 14)).resize((903 + i, 1101), Image.Resampling.BICUBIC)
        grey.save(images / file.name, "JPEG" if i % 2 else "PNG")
    given = ["--csv", few_films / "labels.csv", "--images", images, "--out", tmp_path / "store", *ARGUMENTS]
    stop_after(monkeypatch, "embed_frozen")
    files = layout.encoder_files("frozen")
    vectors = {}
    for decode in ("exact", "fast"):
        assert call("run", *given, "--encoder", f"local-dir:{ENCODER}", "--decode", decode)[0] == 143
        folder = max((tmp_path / "store").glob("*.partial"), key=lambda path: path.stat().st_mtime_ns)
        vectors[decode] = np.load(folder / files.embeddings)
    assert ran == ["films", "samples", "annotations", "embed_frozen", "films", "samples", "embed_frozen"]
    tower = ImageTower.load(folder / files.folder)
    assert tower.fit.decode == "fast"
    names = pd.read_parquet(folder / layout.SAMPLES)["image"]
    pixels = np.stack([read_for(tower.fit, images / name).fitted(tower.fit) for name in names])
    np.testing.assert_allclose(tower.embed(pixels, 32), vectors["fast"], atol=FLOAT32)
    cosine = (vectors["exact"] * vectors["fast"]).sum(axis=1)
    assert 0.999 <= cosine.min() < 1 - 1e-7, "near the exact pixels, and not those themselves"


def test_on_a_device_without_bfloat16_auto_is_float32(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "multiplies_bfloat16", lambda device: False)
    stop_after(monkeypatch, "linear_probe")
    run(root, "--precision", "float32", epochs=2)
    made = list(ran)
    run(root, "--precision", "auto", epochs=2)
    assert ran == made, "the keys are the same"


@pytest.mark.parametrize("least", [0.9, 1.1])
def test_auto_takes_bfloat16_where_the_films_bear_it_and_says_what_it_measured(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    monkeypatch.setattr(embed, "multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "LEAST_COSINE", least)
    monkeypatch.setattr(precision, "MOST_MOVED", 1.0)
    code, _, err = run(root, "--regimes", "zero_shot,linear_probe")
    assert code == 0, err
    assert ran[0] == "embed_frozen"
    record = open_store(root).encoder("frozen")
    assert record.precision == ("bfloat16" if least < 1 else "float32")
    assert re.match(r"on 16 of the films the least cosine to float32 is 0\.99\d+, and", record.precision_origin)
    assert record.precision_origin.endswith("which is too much") == (least > 1)


def test_a_run_in_bfloat16_is_scored_alike_by_every_reader(
    root: Path, run: Command, ran: list[str], small_encoder: Path
) -> None:
    exact = np.array(open_store(root).embeddings("frozen"))
    assert run(root, "--regimes", "zero_shot,linear_probe", "--precision", "bfloat16")[0] == 0
    assert ran[:2] == ["embed_frozen", "zero-shot_head"]
    store = open_store(root)
    stored = store.embeddings("frozen")
    assert 0 < np.linalg.norm(stored - exact, axis=1).max() < 0.045
    tower = ImageTower.load(store.encoder_folder("frozen"))
    weight, bias = store.head("linear_probe")
    for row in range(0, store.n, 5):
        embedding = tower.embed(read_for(tower.fit, store.film(row)).fitted(tower.fit)[None], 1)[0]
        stored_logits = np.array(store.logits("linear_probe")[row])
        check_scores(store, "frozen", weight, stored[row], weight @ embedding + bias, stored_logits)
    texts = load_clip(f"local-dir:{small_encoder}", torch.device("cpu")).at("bfloat16").embed_text(store.texts)
    assert np.linalg.norm(texts - store.text_vectors(), axis=1).max() < BFLOAT16


def test_a_stages_number_redoes_the_stage_and_no_other(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, "linear_probe")
    monkeypatch.setitem(pipeline.VERSIONS, "embed frozen", 2)
    assert run(root)[0] == 143
    assert ran == ["embed_frozen"], "its result is the same, so that the probe is taken"


def test_every_stage_has_a_number() -> None:
    chosen, settings = choose_recipes(DEFAULT_REGIMES), Settings(seeds=2)
    assert set(pipeline.versions_of(chosen)) == set(pipeline.stages_of(chosen, settings))


# --- what is not taken ---------------------------------------------------------------------------------------


def test_a_damaged_file_is_not_taken(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(root)
    embeddings = layout.encoder_files("frozen").embeddings
    whole = (store.path / embeddings).read_bytes()
    spoil(store.path / embeddings)
    stop_after(monkeypatch, "linear_probe")
    assert run(root, epochs=2)[0] == 143
    assert ran == ["embed_frozen"]
    assert f"{embeddings} of run {store.run_id} is missing or damaged" in caplog.text
    partial = next(root.glob("*.partial"))
    assert (partial / embeddings).read_bytes() == whole
    assert (store.path / embeddings).read_bytes() != whole, "the damaged run is as it was"


def test_damaged_films_in_the_cache_are_decoded_again_and_replaced(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, "films")
    pixels = next(layout.cache_folder(root).glob(f"*/{layout.PIXELS}"))
    whole = pixels.read_bytes()
    spoil(pixels)
    assert run(root, epochs=2)[0] == 143
    assert ran == ["films"]
    assert pixels.read_bytes() == whole


def test_where_links_cannot_be_files_are_copied(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> None:
        raise OSError("no links here")

    stop_after(monkeypatch, "linear_probe")
    monkeypatch.setattr(os, "link", unsupported)
    assert run(root, epochs=2)[0] == 143
    assert ran == []
    partial, store = next(root.glob("*.partial")), open_store(root)
    embeddings = layout.encoder_files("frozen").embeddings
    assert (partial / embeddings).stat().st_nlink == 1
    assert (partial / embeddings).read_bytes() == (store.path / embeddings).read_bytes()


def test_a_stage_done_again_leaves_the_run_it_was_taken_from_whole(
    root: Path, run: Command, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(root)
    stop_after(monkeypatch, "zero-shot_head")
    assert run(root, epochs=2)[0] == 143
    partial = next(root.glob("*.partial"))
    for record in (partial / layout.stage_record("")).parent.iterdir():
        record.unlink()
    shutil.rmtree(layout.cache_folder(root))
    monkeypatch.setattr(layout, "stage_folders", lambda root, stage: [])  # every stage writes over linked files
    assert run(root, epochs=2)[0] == 143
    assert {"films", "embed_frozen", "zero-shot_head"} <= set(ran)
    assert hashes(root) == before


# --- the plan ------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_run_and_writes_nothing(
    root: Path, run: Command, ran: list[str], prompts: Path, tmp_path: Path
) -> None:
    before, first = tree(root), open_store(root).run_id
    code, out, _ = run(root, "--prompts", prompts, "--dry-run")
    assert code == 0
    lines = dict(line.split("  ", 1) for line in out.splitlines() if "  " in line)
    lines = {name: does.strip() for name, does in lines.items()}
    assert lines["films"] == "taken from the cache"
    assert lines["embed frozen"] == f"taken from run {first}"
    assert lines["zero-shot head"].startswith(f"runs: run {first} has other prompts; about ")
    assert lines["maps frozen"] == f"taken from run {first}"
    assert lines["maps zero shot-decision"].startswith("runs: what it is made from is made again; about ")
    assert "Up to 19 of 35 stages run. They take about" in out and "an estimate" in out
    assert "of disk" in out
    assert ran == []
    assert tree(root) == before

    code, out, _ = run(root, "--dry-run")
    assert "complete already" in out
    code, out, _ = run(tmp_path / "nowhere", "--dry-run")
    assert code == 0
    assert re.search(r"^films +runs: the store has none$", out, re.MULTILINE)
    assert "Up to 35 of 35 stages run.\n" in out, "no seconds: no run has measured any"
    assert not (tmp_path / "nowhere").exists()


def test_timings_are_those_of_the_manifest(root: Path, call: Call) -> None:
    manifest = open_store(root).manifest
    code, out, _ = call("timings", root)
    assert code == 0
    row = next(line for line in out.splitlines() if "embed frozen" in line)
    assert f"{manifest.seconds['embed_frozen']:,.1f}" in row
    assert f"{manifest.n / manifest.seconds['embed_frozen']:,.1f}" in row


# --- what goes -----------------------------------------------------------------------------------------------


def abandon(folder: Path) -> None:
    """Let a folder look two days old."""
    then = time.time() - 2 * 24 * 3600
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


def test_gc_shows_and_then_removes_what_no_run_uses(root: Path, call: Call) -> None:
    kept = open_store(root).run_id
    for name in ("fresh", "old", "held"):
        (root / f"{name}.partial").mkdir()
        (root / f"{name}.partial/file").write_bytes(b"x" * 3_000_000)
    abandon(root / "old.partial")
    abandon(root / "held.partial")
    orphan = layout.cache_folder(root) / "films-0"
    shutil.copytree(next(layout.cache_folder(root).iterdir()), orphan)
    record = orphan / layout.stage_record("films")
    record.write_text(record.read_text().replace('"side": "', '"side": "0'))
    unfinished = layout.cache_folder(root) / "films-1"
    unfinished.mkdir()
    abandon(unfinished)
    before = tree(root)
    with FileLock(layout.lock_file(root, "held")):
        code, out, err = call("gc", root)
        assert code == 0 and "Nothing is removed yet" in err
        shown = {line.split("  ")[0]: line.split("  ")[1] for line in out.splitlines()}
        assert shown.keys() == {str(root / "old.partial"), str(orphan), str(unfinished)}
        assert shown[str(root / "old.partial")] == "an abandoned job, 3 MB"
        assert shown[str(orphan)].startswith("films of no run, ")
        assert {path for path, _ in tree(root)} >= {path for path, _ in before}
        assert call("gc", root, "--yes")[0] == 0
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == sorted(
        ["cache", kept, "fresh.partial", "held.partial"]
    )
    assert not orphan.exists() and not unfinished.exists()
    assert verify_store(open_store(root)) == []


def test_deleting_the_only_run_leaves_its_films_to_gc(root: Path, call: Call) -> None:
    run_id = open_store(root).run_id
    (root / f"{run_id}.saliency").mkdir()
    review = layout.reviews_file(root, run_id)
    review.parent.mkdir()
    review.write_text("")
    code, _, err = call("delete", root, run_id, "--yes")
    assert code == 0 and "no complete run" in err
    assert list_runs(root) == []
    assert not layout.latest_file(root).exists()
    assert not (root / f"{run_id}.saliency").exists()
    assert review.exists(), "people's work"
    assert call("gc", root, "--yes")[0] == 0
    assert list(layout.cache_folder(root).iterdir()) == []


def test_a_run_that_a_job_writes_is_not_deleted(root: Path, call: Call) -> None:
    run_id = open_store(root).run_id
    with FileLock(layout.lock_file(root, run_id)):
        code, _, err = call("delete", root, run_id, "--yes")
    assert code == 75 and "Another job" in err
    assert list_runs(root) == [run_id]


def test_the_cache_is_no_folder_of_films(root: Path) -> None:
    run = open_store(root).path
    assert film_folder(run, "../films") == Path(os.path.realpath(root / "films"))
    for images in ("../cache", "../cache/films-0/thumbnails"):
        with pytest.raises(UserError, match="does not let"):
            film_folder(run, images)


# --- its parts -----------------------------------------------------------------------------------------------


def write_one(folder: Path) -> list[str]:
    (folder / "one.json").write_text("1")
    return ["one.json"]


def test_a_stage_is_taken_from_an_interrupted_run(tmp_path: Path) -> None:
    assert RunWriter(tmp_path, "killed").stage("one", {"value": 1}, lambda folder: written(folder))
    other = RunWriter(tmp_path, "other")
    assert not other.stage("one", {"value": 1}, lambda folder: pytest.fail("made twice"))
    assert other.taken == {"one": "run killed.partial"}
    assert (other.folder / "one.json").read_text() == "1"
    assert RunWriter(tmp_path, "third").stage("one", {"value": 2}, lambda folder: written(folder))


def written(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return write_one(folder)


def test_a_record_that_names_files_outside_its_run_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = RunWriter(tmp_path, "killed")
    killed.stage("one", {"value": 1}, written)
    record = killed.folder / layout.stage_record("one")
    record.write_text(record.read_text().replace("one.json", "../../one.json"))
    caplog.set_level(logging.WARNING)
    assert RunWriter(tmp_path, "other").stage("one", {"value": 1}, written)
    assert not (tmp_path.parent / "one.json").exists()
