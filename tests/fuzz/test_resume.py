"""A run is killed, its files are damaged, its films are changed: the same command completes it, with equal results.

``FUZZ_CASES`` sets how many damages (``make fuzz``: many more), ``FUZZ_FIRST`` the first seed.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from explorer.errors import UserError
from explorer.store import files, layout, list_runs, open_store
from explorer.store.files import write_array, write_json
from explorer.store.progress import read_progress
from explorer.store.verify import verify_store
from explorer.store.writer import RunWriter
from precompute import pipeline
from precompute.faults import Stopped
from precompute.run import disk
from precompute.run.plan import Planner
from precompute.run.run import Run
from precompute.settings import Settings
from precompute.training import loop
from precompute.training.data import TrainingRun
from precompute.training.loop import train_epochs
from tests.conftest import ENCODER, FEWEST, run_command, take_few_draws

CASES = int(os.environ.get("FUZZ_CASES", "800"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))


def damage(path: Path, rng: random.Random) -> str:
    """Spoil a file as a power cut or a bad disk does; what was done."""
    data = path.read_bytes()
    how = rng.choice(["empty", "cut", "zeros", "flip", "gone"])
    if how == "gone" or not data:
        path.unlink()
        return how
    if how == "flip":
        place = rng.randrange(len(data))
        data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    else:
        kept = 0 if how == "empty" else rng.randrange(len(data))
        data = data[:kept] + (bytes(len(data) - kept) if how == "zeros" else b"")
    path.write_bytes(data)
    return how


# --- a whole run ---------------------------------------------------------------------------------------------


def main(folder: Path, root: Path) -> int:
    """Run the command over a folder of few films, in this process; its exit code."""
    given = ["--csv", folder / "labels.csv", "--images", folder / "images", "--encoder", f"local-dir:{ENCODER}"]
    with pytest.MonkeyPatch.context() as patch:
        return run_command(patch, "run", *given, "--out", root, "--epochs", 2, "--device", "cpu")


def stop(*_: object) -> None:
    raise Stopped(signal.SIGTERM)


def stop_run(run: Run) -> None:
    """A stage that stops a run; its plan goes on."""
    if not isinstance(run.writer, Planner):
        stop()


def results(root: Path) -> dict[str, str]:
    store = open_store(root)
    assert verify_store(store) == []
    return {path: artefact.sha256 for path, artefact in store.artefacts.items()}


class Base:
    """A run that was stopped just before its manifest, and what an undisturbed end makes of it."""

    def __init__(self, films: Path, folder: Path, peak: int, needed: int) -> None:
        self.films, self.folder, self.peak, self.needed = films, folder, peak, needed
        shutil.copytree(folder / "partial", folder / "whole")
        assert main(films, folder / "whole") == 0
        self.results = results(folder / "whole")

    def partial(self, root: Path) -> Path:
        shutil.copytree(self.folder / "partial", root)
        return next(root.glob("*.partial"))


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        take_few_draws(patch, **FEWEST)
        yield


@pytest.fixture(scope="module")
def base(few_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("resume")
    films, root = Path(shutil.copytree(few_films, folder / "films")), folder / "partial"
    sizes, needs, replace, needed_bytes = [0], [0], os.replace, disk.needed_bytes

    def weighed(source: Path, target: Path) -> None:
        """When a file stands beside the one it replaces, the disk is fullest."""
        sizes.append(sum(file.stat().st_size for file in root.rglob("*") if file.is_file()))
        replace(source, target)

    def remembered(job: object, trained: bool) -> int:
        needs.append(needed_bytes(job, trained))  # type: ignore[arg-type]
        return needs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "replace", weighed)
        patch.setattr(disk, "needed_bytes", remembered)
        patch.setattr(RunWriter, "finish", stop)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, hard))  # the tower does not fit: a full disk, as it were
        try:
            assert main(films, root) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        ended = read_progress(root)
        assert ended is not None and (ended.state, ended.stage) == ("failed", "embed frozen")
        assert "disk is full" in ended.message
        assert main(films, root) == 128 + signal.SIGTERM
        ended = read_progress(root)
        assert ended is not None and (ended.state, ended.message) == ("stopped", "stopped by SIGTERM")
    assert list_runs(root) == []
    return Base(films, folder, max(sizes), needs[-1])


def test_the_room_a_run_is_said_to_need_is_about_what_it_takes(base: Base) -> None:
    assert base.peak <= base.needed <= 1.1 * base.peak
    weights = (base.folder / "whole").rglob("frozen/image_tower.safetensors")
    assert base.peak < 8.5 * next(weights).stat().st_size


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(2, CASES // 1000)))
def test_a_damaged_file_is_made_again(base: Base, tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(seed)
    partial = base.partial(tmp_path / "store")
    every = sorted(file for file in partial.rglob("*") if file.is_file())
    file = every[rng.randrange(len(every))]
    how = damage(file, rng)
    caplog.clear()
    assert main(base.films, tmp_path / "store") == 0, f"{how} {file}"
    assert results(tmp_path / "store") == base.results, f"{how} {file}"
    if how != "gone" and file.parent.name != "stages":
        assert str(file.relative_to(partial)) in caplog.text


def test_a_cut_list_of_films_and_record_are_made_again(base: Base, tmp_path: Path) -> None:
    partial = base.partial(tmp_path / "store")
    (partial / layout.FILMS).write_bytes(b"")
    (partial / layout.stage_record("films")).write_bytes(b"")
    (partial / layout.stage_record("samples")).write_bytes(b'{"made_from": {')
    assert main(base.films, tmp_path / "store") == 0
    assert results(tmp_path / "store") == base.results


def test_films_that_change_are_noticed(
    base: Base,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, store = base.films / "images/9.png", open_store(base.folder / "whole")
    scored, stat = image.read_bytes(), image.stat()
    assert store.film(9) == image.resolve()
    try:
        # only its time, between the kill and the resume
        partial = base.partial(tmp_path / "store")
        monkeypatch.setattr(pipeline, "STAGES", (*pipeline.STAGES[:4], stop_run))
        record = partial / layout.stage_record("embed_frozen")
        before = record.stat().st_mtime_ns
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        assert main(base.films, tmp_path / "store") == 143
        assert "films is done again: changed since: sizes or times of films" in caplog.text
        assert record.stat().st_mtime_ns == before  # what it shows is embedded already

        # the film itself
        Image.fromarray(np.full((49, 50), 90, np.uint8)).save(image)
        assert main(base.films, tmp_path / "store") == 143
        embeddings = np.load(partial / layout.encoder_files("frozen").embeddings)
        differs = (embeddings != store.embeddings("frozen")).any(axis=1)
        assert np.flatnonzero(differs).tolist() == [9]

        # after the end
        with pytest.raises(UserError, match=r"9\.png has changed since it was scored"):
            store.film(9)
        assert store.film(8).name == "8.png"
        capsys.readouterr()
        assert main(base.films, base.folder / "whole") == 1
        assert "1 of 16 films have changed" in capsys.readouterr().err
    finally:
        image.write_bytes(scored)
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))


# --- its parts, by the thousand ------------------------------------------------------------------------------


def two_stages(root: Path) -> RunWriter:
    writer = RunWriter(root, "run")

    def first(folder: Path) -> list[str]:
        write_array(folder / "a.npy", np.arange(40, dtype=np.float32))
        write_json(folder / layout.FILMS, {"kept": [1, 2]})
        return ["a.npy", layout.FILMS]

    def second(folder: Path) -> list[str]:
        write_array(folder / "b.npy", np.load(folder / "a.npy") * 2)
        return ["b.npy"]

    writer.stage("first", {"value": 1}, first)
    writer.stage("second", {"a": writer.sha256("a.npy"), "films": writer.sha256(layout.FILMS)}, second)
    return writer


def each(tmp_path: Path, cases: int, check: Callable[[Path, random.Random], None]) -> None:
    for seed in range(FIRST, FIRST + cases):
        folder = tmp_path / "case"
        shutil.copytree(tmp_path / "whole", folder)
        try:
            check(folder, random.Random(seed))
        except BaseException as error:
            error.add_note(f"Once more: FUZZ_FIRST={seed} FUZZ_CASES=1")
            raise
        shutil.rmtree(folder)


def test_any_damage_to_a_stage_is_mended(tmp_path: Path) -> None:
    whole = two_stages(tmp_path / "whole")

    def check(root: Path, rng: random.Random) -> None:
        every = sorted(file for file in root.rglob("*") if file.is_file())
        for _ in range(rng.randint(1, 3)):
            file = rng.choice(every)
            if file.is_file():
                damage(file, rng)
        again = two_stages(root)
        assert again.artefacts == whole.artefacts
        for path in whole.artefacts:
            assert (root / "run.partial" / path).read_bytes() == (whole.folder / path).read_bytes()

    each(tmp_path, max(1, CASES // 4), check)


def train(work: Path, kill_after: int | None = None) -> tuple[np.ndarray, loop.TrainingCurve]:
    torch.manual_seed(0)
    model, x = nn.Linear(3, 1), torch.arange(24.0).reshape(8, 3) / 24
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)

    def batch_loss(done: int, rows: np.ndarray) -> tuple[torch.Tensor, int]:
        if done == kill_after:
            raise Stopped(signal.SIGTERM)
        return (model(x[rows]) - 1).square().sum(), len(rows)

    run = TrainingRun(Settings(epochs=4, train_batch_size=4), 0, work, lambda done, total: None, "these films")
    curve = train_epochs(
        model,
        optimizer,
        np.arange(6),
        run,
        batch_loss=batch_loss,
        val_loss=lambda: float((model(x[6:]) - 1).square().mean().detach()),
    )
    return np.append(model.weight.detach().numpy(), model.bias.detach().numpy()), curve


def test_any_damage_to_a_checkpoint_is_mended(tmp_path: Path) -> None:
    weights, curve = train(tmp_path / "undisturbed")
    with pytest.raises(Stopped):
        train(tmp_path / "whole", kill_after=5)

    def check(work: Path, rng: random.Random) -> None:
        damage(work / rng.choice(["last.safetensors", "best.safetensors"]), rng)
        resumed = train(work)
        np.testing.assert_array_equal(resumed[0], weights)
        assert resumed[1] == curve

    each(tmp_path, max(1, CASES // 20), check)


def test_a_checkpoint_of_other_films_is_not_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights, curve = train(tmp_path / "undisturbed")
    with pytest.raises(Stopped):
        train(tmp_path / "work", kill_after=5)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    tensors, state = loop.read_checkpoint(tmp_path / "work/last.safetensors")
    loop.restore(tensors, model, optimizer)
    loop.save_checkpoint(tmp_path / "work/last.safetensors", model, optimizer, {**state, "made_from": "other films"})
    resumed = train(tmp_path / "work")
    np.testing.assert_array_equal(resumed[0], weights)
    assert resumed[1] == curve
    assert "of other inputs" in caplog.text
    assert json.dumps(curve)  # as the manifest keeps it
