"""The batch job on Ray: a cluster of two machines, workers that are killed, a machine that goes away."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from explorer.store import layout, open_store
from explorer.store.files import sha256_file
from explorer.store.writer import RunWriter
from precompute.faults import Stopped
from precompute.run import on_ray, shards
from precompute.run.on_ray import OnRay
from precompute.run.shards import Advance, Part, Share, Work
from tests.conftest import ENCODER, FEWEST, IN_DEPTH, take_few_draws

if TYPE_CHECKING:
    from tests.conftest import Call

ray = pytest.importorskip("ray", reason="Ray is not installed: requirements-cluster.txt")
from ray.cluster_utils import Cluster  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
FROZEN = layout.encoder_files("frozen")
PICTURES = (layout.THUMBNAILS, layout.THUMBNAIL_OFFSETS, layout.PIXELS, layout.FILMS)


@pytest.fixture(scope="module", autouse=True)
def by_value() -> None:
    """What this file sends to workers needs no file of the tests there."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two machines of one processor each, as far as Ray can tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        machine = {"num_cpus": 1, "object_store_memory": 2**27}
        cluster = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
        cluster.add_node(**machine)
        yield cluster
        cluster.shutdown()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sixteen films are four parts."""
    monkeypatch.setattr(shards, "ROWS", 4)


@pytest.fixture
def until_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end once films are embedded, as if killed."""
    made = RunWriter.stage

    def stopped(self: RunWriter, name: str, *more: Any) -> bool:
        if name == "zero-shot_head" and type(self) is RunWriter:
            raise Stopped(15)
        return made(self, name, *more)

    monkeypatch.setattr(RunWriter, "stage", stopped)


@pytest.fixture
def run(call: Call, few_films: Path) -> Run:
    def command(root: Path, *more: object) -> tuple[int, str, str]:
        given = ["--csv", few_films / "labels.csv", "--images", few_films / "images", "--out", root, "--device", "cpu"]
        return call("run", *given, "--encoder", f"local-dir:{ENCODER}", "--precision", "float32", *more)

    return command


@pytest.fixture
def on_cluster(run: Run, cluster: Cluster) -> Run:
    return lambda root, *more: run(root, "--engine", "ray", "--address", cluster.address, *more)


def through(patch: pytest.MonkeyPatch, work_of: Callable[[Work[Any]], Work[Any]], after: Callable[[], None]) -> None:
    """Let the engine do other work, and let something happen once a first part is done."""
    each = OnRay.each

    def changed(
        self: OnRay, work: Work[Any], parts: Sequence[Part], advance: Advance, *, encodes: bool = False
    ) -> None:
        def advanced(rows: int) -> None:
            after()
            advance(rows)

        each(self, work_of(work), parts, advanced, encodes=encodes)

    patch.setattr(OnRay, "each", changed)


class DiesOnce:
    """Work whose process is killed in its second part, as one is that takes too much memory."""

    def __init__(self, work: Work[Any], marks: Path) -> None:
        self.work = work
        self.mark = marks / type(work).__name__

    def __call__(self, part: Part, share: Share, advance: Advance) -> None:
        if part.first == 4 and not self.mark.exists():
            self.mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        self.work(part, share, advance)


class Slow:
    """Work that takes long enough for a machine to go away in it."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work

    def __call__(self, part: Part, share: Share, advance: Advance) -> None:
        time.sleep(1)
        self.work(part, share, advance)


def assert_same(root: Path, other: Path) -> None:
    """The stages in parts have the same result, film by film."""
    (one,), (two,) = layout.partial_folders(root), layout.partial_folders(other)
    assert one.name == two.name
    for path in PICTURES:
        assert sha256_file(one / path) == sha256_file(two / path), path
    for path in (FROZEN.embeddings, FROZEN.norms):
        np.testing.assert_allclose(np.load(one / path), np.load(two / path), atol=1e-5, rtol=0)


@pytest.fixture
def local(run: Run, until_embedded: None, tmp_path: Path) -> Path:
    root = tmp_path / "local"
    assert run(root)[0] == 143
    return root


def test_a_cluster_gives_what_one_process_gives_though_a_worker_is_killed(
    on_cluster: Run, run: Run, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, marks = tmp_path / "ray", tmp_path / "marks"
    marks.mkdir()
    with monkeypatch.context() as patch:
        through(patch, lambda work: DiesOnce(work, marks), lambda: None)
        assert on_cluster(root)[0] == 143
    assert {mark.name for mark in marks.iterdir()} == {"FilmDecoder", "Embedder"}
    assert str(os.getpid()) not in {mark.read_text() for mark in marks.iterdir()}
    assert_same(root, local)
    assert not layout.shards_folder(root).exists()

    # what one engine has made, the other takes
    code, _, err = run(root)
    assert code == 143
    assert "films: there already" in err and "embed frozen: there already" in err


def test_a_signal_ends_a_job_on_ray_as_any_other(
    on_cluster: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray puts its own handlers in place of the batch job's, which end it without a word."""
    through(monkeypatch, Slow, lambda: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = on_cluster(tmp_path / "store")
    assert code == 143 and "SIGTERM" in err and "goes on where it stopped" in err
    kept = [file.name for file in layout.shards_folder(tmp_path / "store").iterdir()]
    assert 1 <= len(kept) < 4 and all(name.startswith("films-") for name in kept)


def test_a_bad_film_and_a_folder_that_is_not_shared_are_named(
    on_cluster: Run, few_films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until_embedded: None
) -> None:
    film = few_films / "images/9.png"
    good = film.read_bytes()
    film.write_bytes(b"")
    try:
        code, _, err = on_cluster(tmp_path / "store")
    finally:
        film.write_bytes(good)
    assert code == 1 and "row 11" in err and "9.png" in err and "--skip-bad" in err

    monkeypatch.setattr(on_ray, "write_text", lambda path, text: None)
    code, _, err = on_cluster(tmp_path / "store")
    assert code == 1 and "does not see the store's folder" in err and str(tmp_path / "store") in err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--address", "127.0.0.1:1"], "No Ray cluster answers at 127.0.0.1:1"),
        (["--address", "no.such.host.invalid"], "No Ray cluster answers at no.such.host.invalid"),
    ],
)
def test_an_address_without_a_cluster_is_named(run: Run, tmp_path: Path, given: list[str], words: str) -> None:
    code, _, err = run(tmp_path / "store", "--engine", "ray", *given)
    assert code == 1 and words in err and "ray start --head" in err


def test_more_gpus_than_a_machine_has_are_refused(on_cluster: Run, tmp_path: Path, until_embedded: None) -> None:
    code, _, err = on_cluster(tmp_path / "store", "--gpus-per-worker", 1)
    assert code == 1 and "--gpus-per-worker 1" in err


@pytest.mark.parametrize(
    ("machines", "workers", "gpus", "expected"),
    [
        ([{"CPU": 8}, {"CPU": 8}], None, 0, (2, 8, 0)),
        ([{"CPU": 8}, {"CPU": 8}], 4, 0, (4, 4, 0)),
        ([{"CPU": 8}, {"CPU": 8}], 99, 0, (99, 1, 0)),
        ([{"CPU": 64}, {"CPU": 8}], None, 0, (9, 8, 0)),  # a part fits the smallest machine, too
        ([{"CPU": 8}, {"CPU": 8}], 1, 0, (1, 8, 0)),
        ([{}, {"CPU": 4}], None, 0, (1, 4, 0)),  # a head that is given no work
        ([{"CPU": 8, "GPU": 2}, {"CPU": 8}], None, 0.5, (4, 1, 0.5)),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], None, 1, (2, 1, 1)),
    ],
)
def test_workers_share_the_machines(
    monkeypatch: pytest.MonkeyPatch,
    machines: list[dict[str, float]],
    workers: int | None,
    gpus: float,
    expected: tuple[int, int, float],
) -> None:
    gone = {"Alive": False, "Resources": {"CPU": 99, "GPU": 9}}
    monkeypatch.setattr(ray, "nodes", lambda: [gone, *({"Alive": True, "Resources": one} for one in machines)])
    assert OnRay(Path(), workers, gpus)._shape(gpus) == expected


@pytest.mark.skipif(not IN_DEPTH, reason="two whole runs: make fuzz")
def test_a_whole_run_has_the_same_metrics(
    on_cluster: Run, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_few_draws(monkeypatch, **FEWEST)
    more = ("--epochs", 1, "--macro-patients", 2)
    assert run(tmp_path / "local", *more)[0] == on_cluster(tmp_path / "ray", *more)[0] == 0
    one, two = open_store(tmp_path / "local"), open_store(tmp_path / "ray")
    assert one.samples.equals(two.samples)
    for encoder in ("frozen", "fine_tune"):
        np.testing.assert_allclose(one.embeddings(encoder), two.embeddings(encoder), atol=1e-5)
    for table in (layout.METRICS, layout.SEPARABILITY, layout.RETRIEVAL):
        assert_frame_equal(*(pd.read_parquet(store.path / table) for store in (one, two)), atol=1e-5)


def test_a_machine_that_goes_away_changes_nothing(
    on_cluster: Run, cluster: Cluster, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (worker,) = cluster.worker_nodes

    def remove() -> None:
        if cluster.worker_nodes:
            cluster.remove_node(worker, allow_graceful=False)

    through(monkeypatch, Slow, remove)
    assert on_cluster(tmp_path / "ray")[0] == 143
    assert not cluster.worker_nodes
    assert_same(tmp_path / "ray", local)
