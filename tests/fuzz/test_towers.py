"""Damaged and hostile image towers, each from its seed: loading raises UserError naming the file, or the tower works.

Nothing they name is fetched, and nothing is allocated that their weights do not fill.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from explorer.data import tower_files
from explorer.errors import UserError
from explorer.model.encoder import Clip, ImageTower
from tests.conftest import IN_DEPTH, vouch
from tests.fuzz.test_films import damaged_bytes
from tests.fuzz.test_stores import damaged_json
from tests.pages import as_read, open_page

CASES = int(os.environ.get("FUZZ_CASES", "500")) // 20
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))

HOSTILE: tuple[dict[str, Any], ...] = (
    {"timm_model_name": "hf-hub:timm/vit_tiny_patch16_224.augreg_in21k"},
    {"timm_model_name": "local-dir:/etc"},
    {"timm_model_name": "../../vit_tiny_patch16_224"},
    {"timm_model_name": "no_such_model"},
    {"timm_model_name": "eva_giant_patch14_clip_224"},  # a billion weights that the file does not have
    {"timm_model_name": ["vit_tiny_patch16_224"]},
    {"timm_model_name": None, "layers": 10**9},
    {"timm_model_name": None, "layers": 200, "width": 4096},
    {"timm_model_name": None, "layers": -1, "width": -8},
    {"timm_model_name": None, "width": 0, "head_width": 0},
    {"timm_model_name": None, "mlp_ratio": 1e300},
    {"timm_model_name": None, "patch_size": 0},
    {"image_size": 2**40},
    {"timm_model_name": None, "image_size": -16},
    {"image_size": [10**6, 10**6]},
    {"timm_pool": {"a": [[[[1e300]]]]}},
    {"model_args": {"pretrained": True}},
    {"model_args": {"checkpoint_path": "/etc/passwd"}},
    {"model_args": {"pretrained_cfg": {"hf_hub_id": "timm/vit_tiny_patch16_224.augreg_in21k"}}},
    {"model_args": {"depth": 10**9}},
    {"model_args": {"depth": 256, "embed_dim": 4096, "num_heads": 64}},
    {"model_args": {"depth_multiplier": 10**4}, "timm_model_name": "efficientnet_b0"},
    {"model_args": {"img_size": [10**6, 10**6]}},
    {"model_args": {}, "timm_proj": {}},
    {"model_args": 3},
)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to reach another machine; none succeeds."""
    attempts: list[object] = []

    def refuse(*where: object, **_: object) -> None:
        attempts.append(where)
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


@pytest.fixture
def folder(clip: Clip, tmp_path: Path) -> Path:
    clip.tower.save(tmp_path)
    return tmp_path


def load(folder: Path) -> str:
    """Load a tower and embed a film with it; what was refused."""
    try:
        tower = ImageTower.load(folder)
    except UserError as error:
        assert str(folder / tower_files.CONFIG) in error.what or str(folder / tower_files.WEIGHTS) in error.what
        return error.what
    assert tower.embed(np.zeros((2, tower.fit.size, tower.fit.size), np.uint8), 2).shape == (2, tower.dim)
    return ""


@pytest.mark.parametrize("change", HOSTILE, ids=str)
def test_a_hostile_config_is_refused_without_memory_or_network(
    folder: Path, change: dict[str, Any], connections: list[object]
) -> None:
    config = json.loads((folder / tower_files.CONFIG).read_text())
    config["vision_cfg"] |= change
    (folder / tower_files.CONFIG).write_text(json.dumps(config))
    tracemalloc.start()
    refused = load(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused
    assert not connections
    assert peak < 2**28


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("embed_dim", value) for value in (0, -1, 10**9, "16", None)),
        *(("fit", {"size": size}) for size in (0, -1, 7, 10**9, "a", None)),
        *(("std", std) for std in ([0, 1, 1], [1, 1], [float("nan"), 1, 1], ["a", 1, 1])),
        ("mean", [float("inf"), 0, 0]),
        ("quick_gelu", "perhaps"),
        ("vision_cfg", []),
    ],
)
def test_a_senseless_figure_is_refused(folder: Path, key: str, value: object) -> None:
    config = json.loads((folder / tower_files.CONFIG).read_text())
    (folder / tower_files.CONFIG).write_text(json.dumps({**config, key: value}))
    assert tower_files.CONFIG in load(folder) or (key, value) == ("fit", {"size": 7})


def test_damaged_towers_are_refused_by_name_or_work(folder: Path, connections: list[object]) -> None:
    files = {name: (folder / name).read_bytes() for name in (tower_files.CONFIG, tower_files.WEIGHTS)}
    refused = 0
    for seed in range(FIRST, FIRST + CASES):
        rng = random.Random(seed)
        name = tower_files.WEIGHTS if seed % 10 == 0 else tower_files.CONFIG
        in_json = name == tower_files.CONFIG and rng.random() < 0.8
        (folder / name).write_bytes((damaged_json if in_json else damaged_bytes)(rng, files[name]))
        try:
            refused += bool(load(folder))
        except Exception as error:
            error.add_note(f"Seed {seed}, {name}. Once more: FUZZ_FIRST={seed} FUZZ_CASES=20")
            raise
        finally:
            (folder / name).write_bytes(files[name])
    assert not connections
    assert CASES < 25 or 0.4 * CASES < refused < 0.97 * CASES, f"{refused} of {CASES} refused"


SOURCES = (
    "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    "open-clip:ViT-B-16/laion2b_s34b_b88k",
    "hf-hub:../../etc/passwd",
    "https://example.org/model",
    "local-dir:/etc",
)


@pytest.mark.parametrize("source", SOURCES if IN_DEPTH else SOURCES[::3])
def test_a_strangers_store_fetches_nothing(
    tiny_store: Path, tmp_path: Path, source: str, connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest names a model of the network, and a visitor types a sentence, or asks for a map."""
    shutil.copytree(tiny_store, tmp_path / "store")
    run = tmp_path / "store" / (tiny_store / "LATEST").read_text().strip()
    manifest = json.loads((run / "manifest.json").read_text())
    for encoder in manifest["encoders"]:
        encoder["source"] = source
    (run / "manifest.json").write_text(json.dumps(manifest))
    config = json.loads((run / "encoders/fine_tune/encoder.json").read_text())
    config["vision_cfg"]["timm_model_name"] = "hf-hub:timm/vit_tiny_patch16_224.augreg_in21k"
    (run / "encoders/fine_tune/encoder.json").write_text(json.dumps(config))
    vouch(run, "encoders/fine_tune/encoder.json")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("EXPLORER_ENCODER", raising=False)
    for app in (
        open_page("neighbours", by="Words", prompts="My own", text="a large heart"),
        open_page("grad_cam", cam="true"),
    ):
        assert not app.exception, app.exception
        assert errors(app)
    assert not connections


def errors(app: AppTest) -> list[str]:
    return [as_read(error.value) for error in app.error]
