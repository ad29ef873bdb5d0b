"""Encoders load from a folder wherever it lies, with their own preprocessing, and never with random weights."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from explorer.data import tower_files
from explorer.errors import UserError
from explorer.model import compat
from explorer.model.device import choose_device
from explorer.model.encoder import ImageTower, load_clip
from explorer.model.hub import BIOMEDBERT, BIOMEDCLIP, CONFIG, KNOWN, MODEL_CONFIG, locate
from precompute.encoder.pack_encoder import copy_encoder
from tests.conftest import ENCODER, SHARED

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

CPU = torch.device("cpu")
WEIGHTS = "open_clip_model.safetensors"


def pixels(clip: Clip, n: int = 3, seed: int = 0) -> np.ndarray:
    size = clip.tower.fit.size
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the encoder that may be spoiled."""
    return Path(shutil.copytree(ENCODER, tmp_path / "elsewhere" / "model"))


# --- what is loaded ------------------------------------------------------------------------------------------


def test_embeddings_are_open_clips_own(clip: Clip) -> None:
    import open_clip
    from PIL import Image

    batch = pixels(clip)
    model, _, transform = open_clip.create_model_and_transforms(
        f"local-dir:{ENCODER}",
        pretrained_hf=False,
        text_cfg={**_text_cfg(ENCODER), "hf_model_name": str(ENCODER), "hf_model_pretrained": False},
    )
    model.eval()
    with torch.inference_mode():
        theirs = model.encode_image(torch.stack([transform(Image.fromarray(p)) for p in batch]), normalize=True)
    ours = clip.tower.embed(batch, 2)
    assert ours.shape == (3, clip.tower.dim)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)
    assert clip.logit_scale == pytest.approx(float(model.logit_scale.exp()))
    assert np.abs(ours[0] - ours[1]).max() > 1e-4  # it looks at the film


def _text_cfg(folder: Path) -> dict[str, object]:
    config: dict[str, object] = json.loads((folder / CONFIG).read_text())["model_cfg"]["text_cfg"]
    return config


def test_preprocessing_comes_from_the_config(clip: Clip, folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["preprocess_cfg"] |= {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1], "resize_mode": "squash"}
    config |= {"title": "Another", "licence": "MIT"}
    (folder / CONFIG).write_text(json.dumps(config))
    other = load_clip(f"local-dir:{folder}", CPU)
    assert (other.title, other.licence) == ("Another", "MIT")
    assert other.tower.fit.resize_mode == "squash"
    assert other.tower.config.mean == (0.5, 0.4, 0.3)
    black = other.tower.normalise(torch.zeros(1, 2, 2))
    assert black[0, :, 0, 0].tolist() == pytest.approx([-2.5, -2.0, -3.0])
    assert np.abs(other.tower.embed(pixels(clip), 3) - clip.tower.embed(pixels(clip), 3)).max() > 1e-4


def test_a_short_text_is_the_same_beside_a_long_one(clip: Clip) -> None:
    short, longest = "edema", "no pleural effusion, " * 60
    assert clip.tokenizer([short]).shape[1] > 90
    together = clip.embed_text([short, longest])
    np.testing.assert_allclose(clip.embed_text([short]), together[:1], atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_batches_and_reports_change_nothing(clip: Clip) -> None:
    batch, told = pixels(clip, 5), []
    one = clip.tower.embed(batch, 2, lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(one, clip.tower.embed(batch, 5), atol=1e-6)
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert clip.tower.embed(batch[:0], 2).shape == (0, clip.tower.dim)


def test_a_saved_tower_comes_back_bit_for_bit(clip: Clip, tmp_path: Path) -> None:
    clip.tower.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {tower_files.CONFIG, tower_files.WEIGHTS}
    again = ImageTower.load(tmp_path)
    assert again.config == clip.tower.config
    assert np.array_equal(again.embed(pixels(clip), 3), clip.tower.embed(pixels(clip), 3))


def test_open_clips_own_towers_load_too(tmp_path: Path) -> None:
    """No timm, no transformers, open_clip's own tokenizer: as most of its pretrained models are built."""
    import open_clip

    model_cfg = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    }
    model = open_clip.CLIP(**model_cfg).eval()
    save_file(model.state_dict(), tmp_path / WEIGHTS)
    config = {"model_cfg": model_cfg, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    own = load_clip(f"local-dir:{tmp_path}", CPU)
    batch = pixels(own)
    with torch.inference_mode():
        theirs = model.encode_image(own.tower.normalise(torch.from_numpy(batch)), normalize=True).numpy()
        texts = model.encode_text(open_clip.tokenize(["edema"]), normalize=True).numpy()
    np.testing.assert_allclose(own.tower.embed(batch, 3), theirs, atol=1e-6)
    np.testing.assert_allclose(own.embed_text(["edema"]), texts, atol=1e-6)
    own.tower.save(tmp_path / "store")
    assert np.array_equal(ImageTower.load(tmp_path / "store").embed(batch, 3), own.tower.embed(batch, 3))


def test_a_folder_works_wherever_it_lies(clip: Clip, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = clip.embed_text(["there is edema"])
    monkeypatch.chdir(folder.parent)
    for spec in (f"local-dir:{folder}", "local-dir:model", "local-dir:./model"):
        np.testing.assert_array_equal(load_clip(spec, CPU).embed_text(["there is edema"]), expected)


def test_a_pickled_state_of_plain_tensors_loads_and_is_the_file_hashed(clip: Clip, folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    other = load_clip(f"local-dir:{folder}", CPU)
    assert other.weights == folder / "open_clip_pytorch_model.bin"
    assert np.array_equal(other.tower.embed(pixels(clip), 3), clip.tower.embed(pixels(clip), 3))


def test_the_first_of_two_weights_is_loaded_and_hashed(clip: Clip, folder: Path) -> None:
    torch.save({name: t * 0 for name, t in load_file(folder / WEIGHTS).items()}, folder / "open_clip_pytorch_model.bin")
    other = load_clip(f"local-dir:{folder}", CPU)
    assert other.weights == folder / WEIGHTS
    assert np.array_equal(other.tower.embed(pixels(clip), 3), clip.tower.embed(pixels(clip), 3))


# --- what is refused -----------------------------------------------------------------------------------------


def refused(spec: str, what: str) -> UserError:
    with pytest.raises(UserError, match=what) as caught:
        load_clip(spec, CPU)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("spec", ["phantom-clip", "ViT-B-32", "local_dir:x", "hf_hub:x/y", "", "https://x"])
def test_another_spelling_is_told(spec: str) -> None:
    assert "local-dir:DIR" in refused(spec, "is not an encoder").fix


def test_no_weights_is_an_error_and_never_random_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "random" in refused(f"local-dir:{folder}", "no weights").fix
    (folder / "model.ckpt").touch()
    refused(f"local-dir:{folder}", "no weights")


@pytest.mark.parametrize("part", ["clip", "tower"])
def test_every_weight_is_the_files(clip: Clip, tmp_path: Path, part: str) -> None:
    """A model is built without drawing weights, so that one no file gave would hold whatever was in memory."""
    if part == "clip":
        file, model = ENCODER / WEIGHTS, load_clip(f"local-dir:{ENCODER}", CPU).model
    else:
        clip.tower.save(tmp_path)
        file, model = tmp_path / tower_files.WEIGHTS, ImageTower.load(tmp_path).visual
    stored = load_file(file)
    held = dict(model.named_parameters())
    assert set(held) <= set(stored)
    for name, weight in held.items():
        torch.testing.assert_close(weight.detach(), stored[name].to(weight.dtype), rtol=0, atol=0)


def test_no_folder_no_config(folder: Path) -> None:
    refused(f"local-dir:{folder / 'none'}", "has no open_clip_config")
    refused("local-dir:", "has no open_clip_config")
    (folder / CONFIG).unlink()
    refused(f"local-dir:{folder}", "has no open_clip_config")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"model_cfg": {}}', '{"model_cfg": 3}', '{"model_cfg": {"embed_dim": 2}}']
)
def test_a_config_that_is_none(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    refused(f"local-dir:{folder}", "not an open_clip config")


def spoil_truncate(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def spoil_empty(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def spoil_shape(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    name = next(n for n in state if n.endswith("head.proj.weight"))
    state[name] = state[name][:-1].contiguous()
    save_file(state, folder / WEIGHTS)


def spoil_missing_tensor(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    state.pop(next(n for n in state if "blocks.0" in n))
    save_file(state, folder / WEIGHTS)


def spoil_other_model(folder: Path) -> None:
    save_file({"weight": torch.zeros(3)}, folder / WEIGHTS)


def spoil_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"garbage" * 40)


def spoil_empty_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("unpickled",))


def spoil_evil_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"weight": Evil()}, folder / "open_clip_pytorch_model.bin")


def spoil_text_config(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def spoil_unknown_trunk(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "no_such_model"
    (folder / CONFIG).write_text(json.dumps(config))


def spoil_unknown_key(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["vision_cfg"]["no_such_key"] = 1
    (folder / CONFIG).write_text(json.dumps(config))


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


@pytest.mark.parametrize("spoil", [value for name, value in sorted(globals().items()) if name.startswith("spoil_")])
def test_what_does_not_belong_together_is_one_message(
    folder: Path, spoil: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    spoil(folder)  # type: ignore[operator]
    refused(f"local-dir:{folder}", "cannot be loaded")
    assert not (folder / "unpickled").exists()


def test_an_unusual_input_is_refused_not_guessed(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["preprocess_cfg"] |= {"resize_mode": "longest", "fill_color": 127}
    (folder / CONFIG).write_text(json.dumps(config))
    refused(f"local-dir:{folder}", "not supported: .*fill 127")


@pytest.mark.parametrize("spoil", ["encoder.json", "image_tower.safetensors"])
def test_a_damaged_tower_is_one_message(clip: Clip, tmp_path: Path, spoil: str) -> None:
    clip.tower.save(tmp_path)
    (tmp_path / spoil).write_bytes(b"{")
    with pytest.raises(UserError, match=spoil):
        ImageTower.load(tmp_path)
    (tmp_path / spoil).unlink()
    with pytest.raises(UserError, match=spoil):
        ImageTower.load(tmp_path)


# --- the hub's cache -----------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An empty cache and no network; the fixture fills the cache as huggingface_hub does."""

    def refuse(*where: object) -> None:
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def fill(name: str, files: list[Path], commit: str = COMMIT) -> Path:
        repository = tmp_path / f"cache/models--{name.replace('/', '--')}"
        snapshot = repository / f"snapshots/{commit}"
        for made in (repository / "blobs", repository / "refs", snapshot):
            made.mkdir(parents=True)
        (repository / "refs/main").write_text(commit)
        for file in files:
            shutil.copyfile(file, repository / "blobs" / file.name)
            (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
        return snapshot

    return fill


def test_a_filled_cache_needs_no_network(clip: Clip, hub: Callable[..., Path]) -> None:
    hub("someone/phantom", [file for file in ENCODER.iterdir() if file.is_file()])
    for spec in ("hf-hub:someone/phantom", f"hf-hub:someone/phantom@{COMMIT}", "hf-hub:someone/phantom@main"):
        other = load_clip(spec, CPU)
        assert other.source == f"hf-hub:someone/phantom@{COMMIT}", "whatever was asked for, the commit is recorded"
        assert np.array_equal(other.tower.embed(pixels(clip), 3), clip.tower.embed(pixels(clip), 3))
    refused(f"hf-hub:someone/phantom@{'f' * 40}", "neither in the hub's cache nor to be fetched at its revision ffff")


def test_the_known_models_revision_is_taken_where_none_is_named(hub: Callable[..., Path]) -> None:
    hub(BIOMEDCLIP, [ENCODER / name for name in (CONFIG, WEIGHTS)])  # of another commit
    refused(f"hf-hub:{BIOMEDCLIP}", f"revision {KNOWN[BIOMEDCLIP].revision}")
    assert locate(f"hf-hub:{BIOMEDCLIP}@{COMMIT}").source.endswith(COMMIT)


def test_a_cache_without_weights_is_not_an_encoder(hub: Callable[..., Path]) -> None:
    hub("someone/phantom", [file for file in ENCODER.iterdir() if file.is_file() and file.name != WEIGHTS])
    refused("hf-hub:someone/phantom", "neither in the hub's cache nor to be fetched")
    refused(f"hf-hub:someone/phantom@{COMMIT}", "neither in the hub's cache nor to be fetched")


def test_open_clips_models_by_name_and_tag(hub: Callable[..., Path]) -> None:
    name = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    hub(name, [ENCODER / CONFIG, ENCODER / WEIGHTS])
    assert locate("open-clip:ViT-B-32/laion2b_s34b_b79k").source == f"hf-hub:{name}@{COMMIT}"
    for spec in ("open-clip:ViT-B-32/none", "open-clip:none/openai", "open-clip:ViT-B-32", "open-clip:"):
        assert "list_pretrained" in refused(spec, "open_clip has no model").fix
    refused("open-clip:ViTamin-S/datacomp1b", "in its own layout")  # weights alone: no preprocessing


def other_text_tower(folder: Path, name: str) -> Path:
    """Let the folder's config name a text tower that lies elsewhere, as BiomedCLIP's does; return that one's config."""
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = name
    (folder / CONFIG).write_text(json.dumps(config))
    return (folder / MODEL_CONFIG).rename(folder.parent / MODEL_CONFIG)


def test_pack_makes_a_folder_that_needs_nothing_else(
    clip: Clip, folder: Path, hub: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = other_text_tower(folder, BIOMEDBERT)
    hub("someone/phantom", [file for file in folder.iterdir() if file.is_file()])
    spec, out = "hf-hub:someone/phantom", tmp_path / "packed"
    with pytest.raises(UserError, match=r"has no config\.json, and that of its text tower .* is neither"):
        copy_encoder(spec, out)
    assert not out.exists()
    hub(BIOMEDBERT, [tower], KNOWN[BIOMEDBERT].revision)
    names = copy_encoder(spec, out)
    assert {CONFIG, MODEL_CONFIG, WEIGHTS, "tokenizer.json"} <= set(names)
    assert not any(file.is_symlink() for file in out.iterdir())
    assert (out / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none"))
    packed = load_clip(f"local-dir:{out}", CPU)
    assert packed.source == f"hf-hub:someone/phantom@{COMMIT}", "the folder says where it came from"
    np.testing.assert_array_equal(packed.embed_text(["edema"]), clip.embed_text(["edema"]))
    with pytest.raises(UserError, match="is there already"):
        copy_encoder(spec, out)


def test_a_cache_that_open_clip_filled_has_the_tokenizer_with_the_text_tower(
    clip: Clip, folder: Path, hub: Callable[..., Path], tmp_path: Path
) -> None:
    tower = other_text_tower(folder, BIOMEDBERT)
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = BIOMEDBERT
    (folder / CONFIG).write_text(json.dumps(config))
    hub("someone/phantom", [folder / CONFIG, folder / WEIGHTS])
    refused(f"hf-hub:someone/phantom@{COMMIT}", "has no config.json")
    words = [file for file in folder.iterdir() if file.name.startswith(("tokenizer", "vocab"))]
    hub(BIOMEDBERT, [tower, *words], KNOWN[BIOMEDBERT].revision)
    cached = load_clip("hf-hub:someone/phantom", CPU)
    np.testing.assert_array_equal(cached.embed_text(["edema", "no"]), clip.embed_text(["edema", "no"]))
    assert "tokenizer.json" in copy_encoder("hf-hub:someone/phantom", tmp_path / "packed")


# --- geometry ------------------------------------------------------------------------------------------------


def test_crop_or_pad_in_place_of_the_models_own_way(clip: Clip, tmp_path: Path) -> None:
    assert clip.tower.fit.resize_mode == "shortest"
    padded = load_clip(f"local-dir:{ENCODER}", CPU, "pad").tower
    assert padded.fit == clip.tower.fit.model_copy(update={"resize_mode": "longest"})
    assert load_clip(f"local-dir:{ENCODER}", CPU, "crop").tower.fit == clip.tower.fit
    padded.save(tmp_path)
    assert ImageTower.load(tmp_path).fit == padded.fit, "the store keeps it, and Grad-CAM reads it there"


def test_in_a_fresh_process_torchvision_imports_and_without_network_and_cache_the_hub_answers_at_once(
    tmp_path: Path,
) -> None:
    code = (
        "import explorer.model, torchvision, timm, open_clip, pytorch_grad_cam\n"
        "import torch\nfrom explorer.errors import UserError\nfrom explorer.model.encoder import load_clip\n"
        "for name in ('no-one/no-such-model', 'no-one/no-such-model@abc', 'bad name', ''):\n"
        "    try: load_clip('hf-hub:' + name, torch.device('cpu'))\n"
        "    except UserError as error: print('UserError' if 'local-dir' in error.fix else error.fix)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["UserError"] * 4, done.stderr
    assert time.monotonic() - start < 60


def test_the_real_biomedclip_config_is_understood() -> None:
    from explorer.model.hub import read_config

    shared = SHARED / "biomedclip"
    if not shared.is_dir():
        pytest.skip("BiomedCLIP's config is not here: CXR_SHARED names no folder with biomedclip")
    assert read_config(shared)["model_cfg"]["embed_dim"] == 512
    refused(f"local-dir:{shared}", "no weights")


# --- devices and torchvision ---------------------------------------------------------------------------------


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "", "cuda:99", "tpu"):
        with pytest.raises(UserError, match="device"):
            choose_device(name)


def simulate(monkeypatch: pytest.MonkeyPatch, errors: list[Exception | None]) -> list[tuple[str, ...]]:
    """Let each import of torchvision end as given; return what is declared."""
    declared: list[tuple[str, ...]] = []

    class Library:
        def __init__(self, *given: str) -> None:
            declared.append(given)

        def define(self, schema: str) -> None:
            declared.append((schema,))

    def import_module(name: str) -> None:
        assert name == "torchvision"
        error = errors.pop(0)
        if error:
            raise error

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(torch.library, "Library", Library)
    monkeypatch.setattr(torch.ops, "torchvision", type("Empty", (), {})(), raising=False)
    return declared


def test_where_torchvision_imports_nothing_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = simulate(monkeypatch, [None])
    assert compat.import_torchvision() is None
    assert declared == []


def test_where_its_operators_are_missing_they_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = simulate(monkeypatch, [RuntimeError("operator torchvision::nms does not exist"), None])
    assert compat.import_torchvision() is not None
    assert declared[0] == ("torchvision", "FRAGMENT")
    assert [schema.split("(")[0] for (schema,) in declared[1:]] == ["nms", "qnms"]  # type: ignore[misc]


@pytest.mark.parametrize("error", [RuntimeError("another matter"), ImportError("no torchvision")])
def test_any_other_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    declared = simulate(monkeypatch, [error])
    with pytest.raises(type(error), match=str(error)):
        compat.import_torchvision()
    assert declared == []
