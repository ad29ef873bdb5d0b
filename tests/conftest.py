"""One real store for the whole session, made by the real command on a tiny phantom set."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from PIL import Image
from xdist.scheduler import LoadFileScheduling

from explorer.store.files import sha256_file

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

ROOT = Path(__file__).resolve().parents[1]
ENCODER = ROOT / "encoders" / "phantom-clip"
SHARED = Path(os.environ.get("CXR_SHARED", ROOT / "../shared/data"))

# The workers fill the processors: where matrices are small, further threads only wait for each other.
# Workers and the commands they start inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # umap would give torch as many threads as numba has

IN_DEPTH = "FUZZ_CASES" in os.environ
"""As ``make fuzz`` sets it: every case; else the part of them that the suite has time for."""

# a busy machine is not a wrong program: examples have no deadline
settings.register_profile("suite", deadline=None, max_examples=25)
settings.register_profile("in depth", deadline=None, max_examples=1000)
settings.load_profile("in depth" if IN_DEPTH else "suite")

BROWSER = "tests/browser"
LONG = (
    "tests/ui/test_pages.py",  # makes the tiny store, while the other worker has work that needs none
    "tests/model/test_biomedclip.py",
    "tests/model/test_families.py",
    BROWSER,
    "tests/precompute/saliency/test_saliency.py",
    "tests/ui/test_regimes.py",
    "tests/precompute/test_cli.py",
    "tests/store/test_store.py",
    "tests/precompute/test_twice.py",
    "tests/store/test_remote.py",
    "tests/fuzz/test_resume.py",
    "tests/ui/test_neighbours.py",
    "tests/model/test_encoder.py",
    "tests/ui/test_planted.py",
    "tests/precompute/test_publish.py",
    "tests/ui/test_grad_cam.py",
    "tests/precompute/sources/test_iu_xray.py",
    "tests/ui/test_download.py",
    "tests/test_notebooks.py",
    "tests/test_wheel.py",
    "tests/figures/test_print.py",
    "tests/ui/test_address.py",
    "tests/model/test_saliency.py",
    "tests/fuzz/test_stores.py",
    "tests/fuzz/test_towers.py",
    "tests/analysis/test_coverage.py",
)
"""The files that take longest: they start first, so that no worker ends long after the other."""

Call = Callable[..., tuple[int, str, str]]


def unit(nodeid: str) -> str:
    """What is run by one worker in one go: a file; of the browser's tests all, which share a browser and a server."""
    return BROWSER if nodeid.startswith(f"{BROWSER}/") else nodeid.split("::", 1)[0]


class ByUnit(LoadFileScheduling):
    """The first unit in order that no worker has goes to the first worker that is free."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit:
    return ByUnit(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(unit(item.nodeid), len(LONG)))


gc.disable()  # importing all libraries leaves no garbage worth walking them for again and again


def pytest_collection_finish() -> None:
    """Streamlit collects garbage after every run of a page, which would walk all imported libraries each time."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What runs note of this machine stays out of the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """No power is cut here: nobody waits for the disk, but for the commands that tests start as processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def no_file_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages do not hash all files of a run in the background, which takes as long as drawing them."""
    monkeypatch.setattr(
        "explorer.ui.shared.file_check.FileCheck._check", lambda self, store: setattr(self, "checked", self.total)
    )


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a complete store of 96 phantom films; tests that damage one take a copy.

    The first worker to ask makes it, in its own process, which has imported the libraries already. A command that was
    cut off is resumed by the same command.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny/store"
    root.parent.mkdir(exist_ok=True)
    with FileLock(root.with_name("lock")):
        if not (root / "LATEST").exists():
            with pytest.MonkeyPatch.context() as patch:
                # without the sample's maps, which would stand for those that the pages compute
                patch.setattr("precompute.saliency.sample.make_sample", lambda *_: None)
                patch.setattr("explorer.analysis.subgroups.FEWEST", 5)  # else 96 films have no groups to show
                patch.setattr("explorer.analysis.subgroups.ENOUGH", 2)
                patch.setattr("explorer.analysis.slices.ENOUGH", 2)
                take_few_draws(patch, resamples=100, penalties=(0.01, 0.1, 1.0))  # shuffles stay: few separate nothing
                assert run_command(patch, "demo", "--n", 96, "--epochs", 1, "--out", root) == 0
    before = os.environ.get("EXPLORER_STORE")
    os.environ["EXPLORER_STORE"] = str(root)
    yield root
    if before is None:
        del os.environ["EXPLORER_STORE"]
    else:
        os.environ["EXPLORER_STORE"] = before


def vouch(run: Path, file: str) -> None:
    """Let a run's manifest describe a file as it is now."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["artefacts"][file].update(bytes=(run / file).stat().st_size, sha256=sha256_file(run / file))
    (run / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process, which knows torch already: exit code, stdout, stderr."""
    from precompute.commands.console import RESULTS

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(RESULTS, "width", 200)
        code = run_command(monkeypatch, *arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def run_command(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command line in this process; its exit code."""
    from precompute.__main__ import main

    patch.setattr(sys, "argv", ["precompute", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def take_few_draws(patch: pytest.MonkeyPatch, **few: object) -> None:
    """Let runs of this process take other settings than a command can ask for."""
    from precompute.commands import run

    checked = run.checked_settings
    patch.setattr(run, "checked_settings", lambda given: checked({**given, **few}))


FEWEST = {"permutations": 5, "resamples": 20, "penalties": (0.1,), "losses": ("plain",)}
"""Few draws and one setting of the probe: for tests that look at no figure."""


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    take_few_draws(monkeypatch, **FEWEST)


@pytest.fixture(scope="session")
def clip() -> Clip:
    """The demo encoder, loaded as any encoder is."""
    import torch

    from explorer.model.encoder import load_clip

    return load_clip(f"local-dir:{ENCODER}", torch.device("cpu"))


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo encoder's texts and an untrained image tower of two blocks: for runs whose figures nobody looks at."""
    import torch
    from safetensors.torch import load_file, save_file

    from explorer.model.hub import CONFIG, WEIGHTS

    import open_clip  # isort: skip  (after explorer.model, which lets torchvision be imported)

    folder = Path(shutil.copytree(ENCODER, tmp_path_factory.mktemp("small") / "encoder"))
    config = json.loads((folder / CONFIG).read_text())
    vision = {"image_size": 64, "patch_size": 16, "layers": 2, "width": 64, "head_width": 32}
    config["model_cfg"]["vision_cfg"] = vision
    config["preprocess_cfg"]["size"] = 64
    (folder / CONFIG).write_text(json.dumps(config))
    torch.manual_seed(0)
    visual = open_clip.CLIP(config["model_cfg"]["embed_dim"], vision, {"width": 8, "heads": 1, "layers": 1}).visual
    kept = {name: tensor for name, tensor in load_file(ENCODER / WEIGHTS[0]).items() if not name.startswith("visual.")}
    save_file(kept | {f"visual.{name}": tensor for name, tensor in visual.state_dict().items()}, folder / WEIGHTS[0])
    return folder


@pytest.fixture(scope="session")
def few_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labels.csv and 16 small noise films of 16 patients, two labels, given splits."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = ["image,patient_id,split,Edema,Fracture"]
    for i in range(16):
        Image.fromarray(rng.integers(0, 256, (40 + i, 50), dtype=np.uint8)).save(folder / f"images/{i}.png")
        split = "train" if i < 8 else "val" if i < 12 else "test"
        lines.append(f"{i}.png,p{i},{split},{i % 2},{int(i % 4 == 1)}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder
