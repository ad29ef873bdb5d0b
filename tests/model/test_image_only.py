"""Folders in timm's and transformers' layout: embeddings are the library's own, and maps pytorch-grad-cam's."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from explorer.errors import UserError
from explorer.model.encoder import Clip, Encoder, ImageTower, TowerConfig, load_clip, load_encoder
from explorer.model.hub import MODEL_CONFIG, MODEL_WEIGHTS, PROCESSOR
from explorer.model.randomised import with_random_blocks
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import depth, read_tokens
from explorer.model.towers import layered
from precompute.encoder.pack_encoder import copy_encoder
from precompute.regimes import recipes
from tests.conftest import ENCODER
from tests.image_models import SIDE, TIMM, save_dinov2, save_timm, shaken

CPU = torch.device("cpu")
VIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
LAST = {"resnet": "layer4", "densenet": "features"}
"""The module of a convolutional network that gives its last feature map."""
FILM = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 64), dtype=np.uint8))


def load(folder: Path) -> Encoder:
    return load_encoder(f"local-dir:{folder}", CPU)


def seen(tower: ImageTower, film: Image.Image = FILM) -> torch.Tensor:
    """(1, 3, S, S) what a tower is fed with."""
    return tower.normalise(torch.from_numpy(np.array(tower.fit.apply(film)))[None])


def refused(folder: Path, what: str) -> UserError:
    with pytest.raises(UserError, match=what) as caught:
        load(folder)
    return caught.value


# --- timm ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TIMM)
def test_a_timm_model_embeds_as_timm_does(kind: str, tmp_path: Path) -> None:
    import timm

    model = save_timm(kind, tmp_path / "model")
    encoder = load(tmp_path / "model")
    assert not isinstance(encoder, Clip)
    tower = encoder.tower
    data = json.loads((tmp_path / "model" / MODEL_CONFIG).read_text())["pretrained_cfg"]
    transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=data))
    theirs = transform(FILM.convert("RGB"))[None]
    np.testing.assert_allclose(seen(tower), theirs, atol=1e-6)
    model.reset_classifier(0)
    with torch.inference_mode():
        np.testing.assert_allclose(tower.unnormalised().forward(theirs), model(theirs), rtol=1e-5, atol=1e-6)
    tower.save(tmp_path / "tower")
    pixels = tower.fit.apply(FILM)[None]
    assert np.array_equal(ImageTower.load(tmp_path / "tower").embed(pixels, 1), tower.embed(pixels, 1))
    assert (tower.config.mean, tower.config.std) == (tuple(data["mean"]), tuple(data["std"]))
    assert tower.fit.interpolation == data["interpolation"]


def test_an_older_config_without_arguments_is_read_as_timm_reads_it(tmp_path: Path) -> None:
    """As the hub's: sizes are the architecture's own, at the input size of the config."""
    import timm

    model = timm.create_model("test_vit", img_size=96)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    config = json.loads((tmp_path / MODEL_CONFIG).read_text())
    del config["model_args"]
    config["pretrained_cfg"] |= {"fixed_input_size": True, "input_size": [3, 96, 96]}
    (tmp_path / MODEL_CONFIG).write_text(json.dumps(config))
    assert load(tmp_path).tower.fit.size == 96
    (tmp_path / MODEL_CONFIG).write_text(json.dumps({**config.pop("pretrained_cfg"), **config}))
    assert load(tmp_path).tower.fit.size == 96


def test_a_timm_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    save_timm("vit", tmp_path)
    config = json.loads((tmp_path / MODEL_CONFIG).read_text())

    def changed(**change: object) -> None:
        (tmp_path / MODEL_CONFIG).write_text(json.dumps({**config, **change}))

    changed(architecture="no_such_model")
    refused(tmp_path, "names no model that timm has: 'no_such_model'")
    changed(pretrained_cfg={**config["pretrained_cfg"], "mean": None})
    refused(tmp_path, "does not state the preprocessing: no mean")
    changed(pretrained_cfg={**config["pretrained_cfg"], "input_size": [1, 32, 32]})
    refused(tmp_path, "input is 1 x 32 x 32")
    changed(pretrained_cfg={**config["pretrained_cfg"], "crop_mode": "border"})
    refused(tmp_path, r"not supported: .*border")
    changed(model_args={**config["model_args"], "depth": 2})
    refused(tmp_path, "(?s)cannot be loaded: .*blocks.2")
    changed(model_args={**config["model_args"], "depth": 10**6})
    refused(tmp_path, "cannot be loaded: ")
    changed(pretrained_cfg=[])
    refused(tmp_path, "is not a model's config")
    changed()
    state = load_file(tmp_path / MODEL_WEIGHTS)
    save_file({key: value for key, value in state.items() if key != "norm.bias"}, tmp_path / MODEL_WEIGHTS)
    refused(tmp_path, r"(?s)cannot be loaded: .*norm\.bias")
    (tmp_path / MODEL_WEIGHTS).unlink()
    assert "random weights is never used" in refused(tmp_path, "has no weights").fix


@pytest.mark.parametrize("args", [{"checkpoint_path": "/etc/passwd"}, {"pretrained": True}, {"depth": 10**6}, []])
def test_a_stored_config_may_name_sizes_alone(args: object, tmp_path: Path) -> None:
    save_timm("vit", tmp_path / "model")
    config = load(tmp_path / "model").tower.config.model_dump()
    config["vision_cfg"]["model_args"] = args
    with pytest.raises(ValueError, match=r"model_args|depth is"):
        TowerConfig.model_validate(config)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """An empty hub cache and no network; the fixture puts a folder's files into the cache."""
    from huggingface_hub import constants

    def refuse(*_: object) -> None:
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def fill(name: str, folder: Path) -> None:
        commit = "0123456789abcdef0123456789abcdef01234567"
        repository = tmp_path / f"cache/models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs/main").write_text(commit)
        shutil.copytree(folder, repository / "snapshots" / commit)

    return fill


def test_a_timm_name_is_taken_from_the_cache_or_refused(tmp_path: Path, cache: Callable[[str, Path], None]) -> None:
    import timm

    with pytest.raises(UserError, match=r"timm:test_resnet is neither in the hub's cache") as caught:
        load_encoder("timm:test_resnet", CPU)
    assert "copy the model into a folder and name it local-dir:DIR" in caught.value.fix
    for name in ("timm:no_such_model", "timm:resnet18.no_such_tag", "timm:"):
        with pytest.raises(UserError, match="timm has no weights"):
            load_encoder(name, CPU)
    timm.models.save_for_hf(timm.create_model("test_resnet"), tmp_path / "made", safe_serialization=True)
    cache("timm/test_resnet.r160_in1k", tmp_path / "made")
    encoder = load_encoder("timm:test_resnet", CPU)
    assert encoder.source.startswith("hf-hub:timm/test_resnet.r160_in1k@0123456789")
    copied = copy_encoder("timm:test_resnet", tmp_path / "packed")
    assert copied == [MODEL_CONFIG, MODEL_WEIGHTS]
    packed = load(tmp_path / "packed")
    assert (packed.source, packed.title) == (encoder.source, encoder.title)


# --- transformers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("registers", "size"), [(0, 42), (0, 56), (4, 42), (4, 56)])
def test_dinov2_embeds_as_transformers_does(registers: int, size: int, tmp_path: Path) -> None:
    """Also where the input is not of the size it was trained at, as of most of its folders."""
    model = save_dinov2(tmp_path / "model", registers=registers, size=size)
    encoder = load(tmp_path / "model")
    assert not isinstance(encoder, Clip)
    tower = encoder.tower
    assert (tower.fit.size, tower.fit.resize_to, tower.fit.interpolation) == (size, size + 6, "bicubic")
    with torch.inference_mode():
        theirs = model(pixel_values=seen(tower)).pooler_output
    np.testing.assert_allclose(tower.unnormalised().forward(seen(tower)).detach(), theirs, rtol=1e-4, atol=1e-5)
    assert (tower.embed(np.stack([tower.fit.apply(FILM), tower.fit.apply(FILM.rotate(180))]), 2).std(axis=0) > 0).any()
    tower.save(tmp_path / "tower")
    pixels = tower.fit.apply(FILM)[None]
    assert np.array_equal(ImageTower.load(tmp_path / "tower").embed(pixels, 1), tower.embed(pixels, 1))


@pytest.mark.parametrize("height", [90, 91])
def test_films_are_prepared_as_by_transformers(height: int, tmp_path: Path) -> None:
    """Its cut of an odd rest lies a pixel above open_clip's, timm's and ours; all else is the same, bit for bit."""
    from transformers import BitImageProcessorPil

    save_dinov2(tmp_path)
    tower = load(tmp_path).tower
    film = Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, 64), dtype=np.uint8))
    processor = BitImageProcessorPil.from_pretrained(tmp_path)
    theirs = processor(film.convert("RGB"), return_tensors="pt")["pixel_values"]
    ours = seen(tower, film)
    tall, _ = tower.fit.resized(height, 64)
    top, _ = tower.fit.offset(height, 64)
    shift = top - (tall - tower.fit.size) // 2
    assert shift in (0, 1)
    np.testing.assert_allclose(ours[:, :, : 42 - shift], theirs[:, :, shift:], atol=1e-5)


def save_clip(kind: str, folder: Path, activation: str) -> Any:
    import transformers

    text = {**VIT, "vocab_size": 3000, "max_position_embeddings": 16, "hidden_act": activation}
    vision = {**VIT, "hidden_act": activation}
    if kind == "clip":
        text |= {"eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        model = transformers.CLIPModel(config)
    else:
        model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    shaken(model).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(ENCODER).save_pretrained(folder)
    size = {"shortest_edge": SIDE} if kind == "clip" else {"height": SIDE, "width": SIDE}
    processor = transformers.CLIPImageProcessor if kind == "clip" else transformers.SiglipImageProcessor
    given = {"crop_size": {"height": SIDE, "width": SIDE}} if kind == "clip" else {}
    processor(size=size, **given).save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("kind", "activation"), [("clip", "quick_gelu"), ("clip", "gelu"), ("siglip", "gelu_pytorch_tanh")]
)
def test_a_clip_folder_of_transformers_embeds_as_transformers_does(kind: str, activation: str, tmp_path: Path) -> None:
    model = save_clip(kind, tmp_path / "model", activation)
    clip = load_clip(f"local-dir:{tmp_path / 'model'}", CPU)
    texts = ["there is edema", "no pleural effusion"]
    ids = clip.tokenizer(texts)
    with torch.inference_mode():
        films = model.get_image_features(pixel_values=seen(clip.tower)).pooler_output
        words = model.get_text_features(input_ids=ids).pooler_output
    np.testing.assert_allclose(
        clip.tower.unnormalised().forward(seen(clip.tower)).detach(), films, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(clip.embed_text(texts), nn.functional.normalize(words, dim=-1), atol=1e-6)
    assert np.abs(np.subtract(*clip.embed_text(texts))).max() > 1e-3
    assert clip.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))
    assert clip.tower.fit.resize_mode == ("shortest" if kind == "clip" else "squash")
    assert depth(clip.tower.visual) == 2
    grid = explain(clip.tower, read_tokens(clip.tower, clip.tower.fit.apply(FILM)), *heads(clip.tower, 1)).maps
    assert grid.max() > 0
    copied = copy_encoder(f"local-dir:{tmp_path / 'model'}", tmp_path / "packed")
    assert {MODEL_CONFIG, MODEL_WEIGHTS, PROCESSOR, "tokenizer.json"} <= set(copied)
    np.testing.assert_array_equal(
        load_clip(f"local-dir:{tmp_path / 'packed'}", CPU).embed_text(texts), clip.embed_text(texts)
    )


def test_a_transformers_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    save_dinov2(tmp_path)
    processor = json.loads((tmp_path / PROCESSOR).read_text())
    for change in ({"do_resize": False}, {"rescale_factor": 1.0}, {"crop_size": {"height": 42, "width": 28}}):
        (tmp_path / PROCESSOR).write_text(json.dumps({**processor, **change}))
        refused(tmp_path, r"preprocessing of .* is not supported")
    (tmp_path / PROCESSOR).write_text(json.dumps({**processor, "resample": 1}))
    refused(tmp_path, "preprocessing is not supported")
    (tmp_path / PROCESSOR).unlink()
    refused(tmp_path, "has no preprocessor_config.json")
    (tmp_path / PROCESSOR).write_text(json.dumps(processor))
    config = json.loads((tmp_path / MODEL_CONFIG).read_text())
    (tmp_path / MODEL_CONFIG).write_text(json.dumps({**config, "hidden_act": "relu"}))
    refused(tmp_path, "comes out .* from that of its own library")
    (tmp_path / MODEL_CONFIG).write_text(json.dumps({**config, "model_type": "bert"}))
    error = refused(tmp_path, "has no open_clip_config.json, and its config.json is of .*'bert'")
    assert "clip, siglip, dinov2" in error.fix
    (tmp_path / MODEL_CONFIG).write_text(json.dumps(config))
    state = load_file(tmp_path / MODEL_WEIGHTS)
    save_file({k: v for k, v in state.items() if k != "layernorm.bias"}, tmp_path / MODEL_WEIGHTS, {"format": "pt"})
    refused(tmp_path, r"not all of the model .* layernorm\.bias")


def test_an_image_model_has_no_text_tower(tmp_path: Path) -> None:
    save_dinov2(tmp_path)
    with pytest.raises(UserError, match="has no text tower"):
        load_clip(f"local-dir:{tmp_path}", CPU)


# --- maps and training -----------------------------------------------------------------------------------------------


def heads(tower: ImageTower, rows: int = 3) -> tuple[np.ndarray, np.ndarray]:
    weight = np.random.default_rng(1).normal(size=(rows, tower.dim)).astype(np.float32)
    return weight, np.zeros(rows, np.float32)


@pytest.fixture(params=LAST)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, ImageTower]]:
    save_timm(request.param, tmp_path)
    yield request.param, load(tmp_path).tower


@pytest.mark.parametrize(
    ("method", "name"), [("grad_cam", "GradCAM"), ("layer_cam", "LayerCAM"), ("score_cam", "ScoreCAM")]
)
def test_maps_of_a_network_are_the_librarys_at_its_last_feature_map(
    network: tuple[str, ImageTower], method: Any, name: str
) -> None:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kind, tower = network
    weight, bias = heads(tower)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower.visual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(self.visual(x), dim=-1) @ torch.from_numpy(weight).T

    ours = explain(tower, read_tokens(tower, tower.fit.apply(FILM)), weight, bias, method).maps
    assert ours.shape == (3, 1, 2, 2)
    assert (ours.max(axis=(1, 2, 3)) > 0).any()
    layer = tower.visual.get_submodule(f"trunk.{LAST[kind]}")
    for k in range(3):
        with getattr(pytorch_grad_cam, name)(model=Model(), target_layers=[layer]) as cam:
            theirs = cam(input_tensor=seen(tower), targets=[ClassifierOutputTarget(k)])[0]
        stretched = scale_cam_image(scale_cam_image(ours[k], (tower.fit.size,) * 2))[0]
        np.testing.assert_allclose(stretched, theirs, atol=1e-4)


def test_a_network_has_no_attention(network: tuple[str, ImageTower]) -> None:
    _, tower = network
    tokens = read_tokens(tower, tower.fit.apply(FILM))
    for method in ("attention", "rollout"):
        with pytest.raises(UserError, match="CLS token"):
            explain(tower, tokens, *heads(tower), method=method)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="LoRA changes attention weights"):
        recipes()["lora"].check(Encoder(tower, "", "", "", Path()))


def test_layers_of_a_network_have_rates_and_can_be_randomised(network: tuple[str, ImageTower]) -> None:
    kind, tower = network
    assert callable(layered(tower.visual).group_matcher)
    pixels = tower.fit.apply(FILM)[None]
    whole = tower.embed(pixels, 1)
    changed = {}
    for blocks in (1, None):
        random = with_random_blocks(tower, blocks, seed=0)
        pairs = zip(tower.visual.named_parameters(), random.visual.parameters(), strict=True)
        changed[blocks] = {name for (name, mine), theirs in pairs if not torch.equal(mine, theirs)}
        other = random.embed(pixels, 1)
        assert np.isfinite(other).all()
        assert not np.allclose(other, whole, atol=1e-3)
    first = next(iter(dict(tower.visual.named_parameters())))
    assert first in changed[None] - changed[1]
    assert changed[1] < changed[None]
    if kind == "resnet":
        assert {name.split(".")[1] for name in changed[1]} == {"layer4"}


def test_dinov2_has_maps_of_every_block_and_attention(tmp_path: Path) -> None:
    save_dinov2(tmp_path, registers=4)
    tower = load(tmp_path).tower
    tokens = read_tokens(tower, tower.fit.apply(FILM))
    for method in ("grad_cam", "attention", "rollout"):
        maps = explain(tower, tokens, *heads(tower), method=method, blocks=[0, 1]).maps  # type: ignore[arg-type]
        assert maps.shape == (3, 2, 3, 3)
        assert maps.max() > 0
    recipes()["lora"].check(Encoder(tower, "", "", "", Path()))


def test_weights_by_their_former_names_are_the_same(tmp_path: Path) -> None:
    """As RAD-DINO's file has them: queries, keys and values one level deeper."""
    save_dinov2(tmp_path)
    pixels = np.asarray(load(tmp_path).tower.fit.apply(FILM))[None]
    before = load(tmp_path).tower.embed(pixels, 1)
    former = {".q_proj.": ".attention.query.", ".k_proj.": ".attention.key.", ".v_proj.": ".attention.value."}
    former |= {".o_proj.": ".output.dense."}
    state = {}
    for key, weight in load_file(tmp_path / MODEL_WEIGHTS).items():
        for new, old in former.items():
            key = key.replace(new, old)
        state[key] = weight
    assert "encoder.layer.0.attention.attention.query.weight" in state
    assert not any("_proj." in key for key in state)
    save_file(state, tmp_path / MODEL_WEIGHTS, {"format": "pt"})
    np.testing.assert_array_equal(load(tmp_path).tower.embed(pixels, 1), before)
