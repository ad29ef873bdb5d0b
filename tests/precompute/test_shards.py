"""Decoding and embedding in parts: an array of jobs that need no Ray, jobs that are killed, parts that are damaged."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import sha256_file
from explorer.store.writer import RunWriter
from precompute.faults import Stopped
from precompute.run import films as run_films
from precompute.run import shards
from precompute.run.films import FilmDecoder, film_versions
from precompute.run.shards import DamagedShard, Share, read_shard, write_shard
from precompute.stages import embed
from tests.conftest import ENCODER

if TYPE_CHECKING:
    from tests.conftest import Call

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sixteen films are six parts."""
    monkeypatch.setattr(shards, "ROWS", 3)


@pytest.fixture(autouse=True)
def until_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end once films are embedded, as if killed."""
    made = RunWriter.stage

    def stopped(self: RunWriter, name: str, *more: object) -> bool:
        if name == "zero-shot_head" and type(self) is RunWriter:
            raise Stopped(15)
        return made(self, name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(RunWriter, "stage", stopped)


@pytest.fixture
def films(few_films: Path, tmp_path: Path) -> Path:
    """A copy of the few films that may be spoiled."""
    return Path(shutil.copytree(few_films, tmp_path / "films"))


@pytest.fixture
def run(call: Call, films: Path) -> Run:
    def command(root: Path, *more: object) -> tuple[int, str, str]:
        given = ["--csv", films / "labels.csv", "--images", films / "images", "--out", root, "--device", "cpu"]
        return call("run", *given, "--encoder", f"local-dir:{ENCODER}", "--precision", "float32", *more)

    return command


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The films that are decoded, by name; threads may change their order within a part."""
    names: list[str] = []
    prepare = run_films.prepare_film

    def noted(images: Path, relative: str, *more: object, **others: object) -> object:
        names.append(relative)
        return prepare(images, relative, *more, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(run_films, "prepare_film", noted)
    return names


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many films each embedding takes."""
    sizes: list[int] = []
    part = embed.embed_part

    def noted(tower: object, pixels: np.ndarray, *more: object) -> None:
        sizes.append(len(pixels))
        part(tower, pixels, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(embed, "embed_part", noted)
    return sizes


def names(*rows: range) -> set[str]:
    return {f"{row}.png" for part in rows for row in part}


def made(root: Path) -> dict[str, str]:
    """The hashes of what the stages in parts have made."""
    (partial,) = layout.partial_folders(root)
    frozen = layout.encoder_files("frozen")
    pictures = [layout.THUMBNAILS, layout.THUMBNAIL_OFFSETS, layout.PIXELS, layout.FILMS]
    return {path: sha256_file(partial / path) for path in (*pictures, frozen.embeddings, frozen.norms)}


def shard_files(root: Path, stage: str) -> list[Path]:
    """In the order of their making."""
    return sorted(layout.shards_folder(root).glob(f"{stage}-*"), key=lambda file: file.stat().st_mtime_ns)


# --- an array of jobs ----------------------------------------------------------------------------------------


def test_shards_are_put_together_and_what_is_missing_or_damaged_is_named_and_made(
    run: Run, tmp_path: Path, decoded: list[str], embedded: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(tmp_path / "whole")[0] == 143
    whole, root = made(tmp_path / "whole"), tmp_path / "shared"
    assert not layout.shards_folder(tmp_path / "whole").exists()
    assert sorted(decoded) == sorted(names(range(16)))
    assert embedded == [3, 3, 3, 3, 3, 1]

    decoded.clear(), embedded.clear()
    assert run(root, "--shard", "3/3")[0] == 0  # in any order
    assert set(decoded) == names(range(6, 9), range(15, 16)) and embedded == [3, 1]
    assert run(root, "--shard", "1/3")[0] == 0
    assert len(shard_files(root, "films")) == len(shard_files(root, "embed")) == 4
    decoded.clear(), embedded.clear()
    assert run(root, "--shard", "1/3")[0] == 0  # as a scheduler that starts a job again
    assert (decoded, embedded) == ([], [])

    damaged = shard_files(root, "films")[0], shard_files(root, "embed")[0]
    for file in damaged:
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert run(root)[0] == 143
    assert "4 of 6 parts are there already. Missing are films 4 to 6, 13 to 15." in caplog.text
    for file in damaged:
        assert f"{file} is damaged. Films 7 to 9 are done again." in caplog.text
    assert set(decoded) == names(range(3, 9), range(12, 15)) and len(decoded) == 9
    assert embedded == [3, 3, 3]
    assert made(root) == whole
    assert not layout.shards_folder(root).exists()

    decoded.clear()
    code, _, err = run(root, "--shard", "1/3")
    assert code == 0 and "decoded and embedded already; nothing to do" in err
    assert decoded == []


@pytest.mark.parametrize("shard", ["9/8", "0/4", "1/0", "2", "-1/4", "1/2/3"])
def test_a_share_that_is_not_there_is_refused(run: Run, tmp_path: Path, shard: str) -> None:
    code, _, err = run(tmp_path / "store", f"--shard={shard}")
    assert code == 1
    assert f"--shard is '{shard}'" in err and "from 1 to N" in err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--shard", "1/2", "--engine", "ray"], "--shard has nothing to do with --engine ray"),
        (["--shard", "1/2", "--dry-run"], "--shard has nothing to do with --dry-run"),
        (["--address", "auto"], "--address is for --engine ray"),
        (["--num-workers", "2"], "--num-workers is for --engine ray"),
        (["--gpus-per-worker", "0.5"], "--gpus-per-worker is for --engine ray"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run: Run, tmp_path: Path, given: list[str], words: str) -> None:
    code, _, err = run(tmp_path / "store", *given)
    assert code == 1 and words in err
    assert not (tmp_path / "store").exists()


def test_a_share_cannot_choose_the_precision(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "multiplies_bfloat16", lambda device: True)
    code, _, err = run(tmp_path / "store", "--shard", "1/2", "--precision", "auto")
    assert code == 1 and "--precision auto" in err and "--precision bfloat16" in err
    assert not layout.shards_folder(tmp_path / "store").exists()


def test_ray_that_is_not_installed_names_its_list_of_packages(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = run(tmp_path / "store", "--engine", "ray")
    assert code == 1 and "requirements-cluster.txt" in err
    assert (Path(__file__).parents[2] / "requirements-cluster.txt").is_file()


# --- jobs that end early -------------------------------------------------------------------------------------


def test_a_killed_job_loses_the_part_at_hand(
    run: Run, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path / "whole")[0] == 143
    root, write = tmp_path / "store", run_films.write_shard

    def killed(file: Path, arrays: dict[str, np.ndarray]) -> None:
        if len(shard_files(root, "films")) == 2:
            raise Stopped(9)
        write(file, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(run_films, "write_shard", killed)
        assert run(root)[0] == 137
    decoded.clear()
    assert run(root)[0] == 143
    assert set(decoded) == names(range(6, 16))
    assert made(root) == made(tmp_path / "whole")


def test_films_before_a_bad_one_are_not_decoded_again(
    run: Run, films: Path, tmp_path: Path, decoded: list[str]
) -> None:
    film = films / "images/7.png"
    good, times = film.read_bytes(), (film.stat().st_atime_ns, film.stat().st_mtime_ns)
    film.write_bytes(bytes(len(good)))
    os.utime(film, ns=times)
    code, _, err = run(tmp_path / "store")
    assert code == 1 and "row 9" in err and "7.png" in err
    decoded.clear()
    assert run(tmp_path / "store", "--skip-bad")[0] == 143
    assert set(decoded) == names(range(6, 16))
    assert kept_rows(tmp_path / "store") == [row for row in range(16) if row != 7]

    # a job that skips nothing names the film, though another has made its part, and tries it again
    root = tmp_path / "shared"
    assert run(root, "--skip-bad", "--shard", "1/1")[0] == 0
    code, _, err = run(root)
    assert code == 1 and "7.png" in err
    film.write_bytes(good)
    os.utime(film, ns=times)  # as if it could not be reached before
    decoded.clear()
    assert run(root)[0] == 143
    assert set(decoded) == names(range(6, 9))
    assert kept_rows(root) == list(range(16))


def kept_rows(root: Path) -> list[int]:
    """The rows of the films that the one decoded run has kept."""
    (listed,) = (file for folder in layout.partial_folders(root) if (file := folder / layout.FILMS).is_file())
    return [film["row"] for film in json.loads(listed.read_text())["kept"]]


def test_a_film_that_changes_under_a_job_is_refused(films: Path, tmp_path: Path, clip: object) -> None:
    images = films / "images"
    found = sorted(path.name for path in images.iterdir())
    decoder = FilmDecoder(images, clip.tower.fit, 32, code=1, skip_bad=True)  # type: ignore[attr-defined]
    part = decoder.parts(found, film_versions(images, found), tmp_path)[0]
    for change in (lambda file: os.utime(file, ns=(0, 1)), Path.unlink):
        change(images / found[1])
        with pytest.raises(UserError, match=f"does not see .*{found[1]} as it was"):
            decoder(part, Share(), lambda rows: None)
        assert not part.file.exists()


def test_gc_removes_shards_that_no_job_goes_on_with(run: Run, call: Call, tmp_path: Path) -> None:
    root = tmp_path / "store"
    assert run(root, "--shard", "1/3")[0] == 0
    assert "Nothing to remove" in call("gc", root)[2]
    folder = layout.shards_folder(root)
    for path in (folder, *folder.iterdir()):
        os.utime(path, (0, 0))
    code, out, _ = call("gc", root, "--yes")
    assert code == 0 and str(folder) in out
    assert not folder.exists()


# --- the file of a part --------------------------------------------------------------------------------------


def test_a_shard_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.shard"
    arrays = {"pixels": np.zeros((0, 4, 4), np.uint8), "lengths": np.arange(3)}
    write_shard(file, arrays)
    for name, array in read_shard(file).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with pytest.raises(DamagedShard, match=r"a\.shard is damaged"):
            read_shard(file)
        file.write_bytes(whole[:place])
        with pytest.raises(DamagedShard, match=r"a\.shard is damaged"):
            read_shard(file)
    file.unlink()
    with pytest.raises(DamagedShard, match="cannot be read"):
        read_shard(file)
