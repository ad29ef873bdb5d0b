"""Every family of open_clip's models, small and with random weights, does what docs/encoders.md says of it."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, M2M100Config, MT5Config, PretrainedConfig, RobertaConfig, XLMRobertaConfig

from explorer.errors import UserError
from explorer.model.encoder import Clip, ImageTower, load_clip
from explorer.model.head import Head
from explorer.model.hub import CONFIG
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import is_vit, read_tokens
from explorer.model.towers import patches_dropped
from precompute.settings import Settings
from precompute.training.finetune import Classifier, parameter_groups
from tests.conftest import ENCODER, ROOT

DIM, SIDE = 16, 32
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": SIDE, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8}
TIMM_VIT = {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2}
ALL = "embed fine-tune layers patches grad-cam"


@dataclass(frozen=True)
class Family:
    """What a small model of a family is made of, and what works with it.

    Attributes
    ----------
    works : words
        Of ALL.
    timm : mapping
        Sizes in place of the timm model's own.
    text : transformers config, optional
        In place of open_clip's own text tower.
    """

    vision: dict[str, Any]
    works: str
    timm: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    text: PretrainedConfig | None = None
    text_cfg: dict[str, Any] = field(default_factory=dict)


def a_timm(name: str, pool: str, proj: str | None) -> dict[str, Any]:
    return {"timm_model_name": name, "timm_pool": pool, "timm_proj": proj, "image_size": SIDE}


CUSTOM = {"custom_text": True}
HF = {"vocab_size": 3000, "pad_token_id": 0}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
COCA = {"multimodal_cfg": {"context_length": 15, "width": 16, "heads": 2, "layers": 1}, "custom_text": True}
FAMILIES = {
    "ViT of open_clip (OpenAI, LAION, DFN, MetaCLIP)": Family(VIT, "embed fine-tune layers patches"),
    "ViT of open_clip, CLIPA": Family(
        VIT | {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True, "pos_embed_type": "sin_cos_2d"},
        "embed fine-tune layers patches",
    ),
    "BiomedCLIP and other timm ViT": Family(
        a_timm("vit_base_patch16_224", "", "linear"),
        ALL,
        TIMM_VIT,
        text=BertConfig(**HF, **SMALL),
        text_cfg={"hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler"},
    ),
    "EVA02": Family(a_timm("eva02_base_patch16_clip_224", "token", None), ALL, TIMM_VIT, CUSTOM),
    "EVA01": Family(a_timm("eva_giant_patch14_clip_224", "token", None), ALL, TIMM_VIT, CUSTOM),
    "PE-Core": Family(
        a_timm("vit_pe_core_tiny_patch16_384", "map", None), ALL, TIMM_VIT | {"ref_feat_shape": (4, 4)}, CUSTOM
    ),
    "SigLIP, SigLIP2": Family(
        a_timm("vit_base_patch16_siglip_224", "map", "none"),
        ALL,
        TIMM_VIT | {"embed_dim": DIM},
        CUSTOM | {"init_logit_bias": -10},
    ),
    "CoCa": Family(
        VIT | {"output_tokens": True, "attentional_pool": True, "attn_pooler_queries": 4, "attn_pooler_heads": 2},
        "embed fine-tune layers patches",
        model=COCA,
        text_cfg={"embed_cls": True, "output_tokens": True},
    ),
    "ResNet of open_clip (RN50)": Family(
        {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16, "patch_size": None},
        "embed fine-tune layers",
    ),
    "ConvNeXt": Family(
        a_timm("convnext_tiny", "", "linear"),
        "embed fine-tune layers grad-cam",
        {"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 16)},
    ),
    "MobileCLIP S0 to S4": Family(
        a_timm("fastvit_mci1", "avg", None) | {"image_size": 2 * SIDE},
        "embed fine-tune layers grad-cam",
        {"layers": (1, 1, 1, 1), "embed_dims": (16, 16, 16, 32)},
        CUSTOM,
    ),
    "MobileCLIP B, L-14": Family(
        a_timm("vit_base_mci_224", "token", None) | {"image_size": 2 * SIDE},
        ALL,
        {"img_size": 2 * SIDE, "depth": 3},
        CUSTOM,
    ),
    "ViTamin": Family(
        a_timm("vitamin_small_224", "", "linear") | {"image_size": 2 * SIDE},
        ALL,
        {"img_size": 2 * SIDE, "embed_dim": 32, "depth": 3, "num_heads": 2, "embed_cfg": "small"},
    ),
    "Swin": Family(
        a_timm("swin_base_patch4_window7_224", "", "linear"),
        "embed fine-tune layers",
        {"img_size": SIDE, "window_size": 2, "embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2)},
    ),
    "ViT with relative positions": Family(
        a_timm("vit_relpos_medium_patch16_cls_224", "", "linear"), "embed fine-tune layers grad-cam", TIMM_VIT
    ),
    "NLLB-CLIP": Family(
        VIT,
        "embed fine-tune layers patches",
        text=M2M100Config(
            **HF,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
        ),
        text_cfg={"hf_proj_type": "linear", "hf_pooler_type": "cls_pooler"},
    ),
    "RoBERTa text": Family(
        VIT,
        "embed fine-tune layers patches",
        text=RobertaConfig(**HF, **SMALL),
        text_cfg={"hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler"},
    ),
    "XLM-RoBERTa text": Family(
        VIT,
        "embed fine-tune layers patches",
        text=XLMRobertaConfig(**HF, **SMALL),
        text_cfg={"hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler"},
    ),
    "mT5 text": Family(
        VIT,
        "embed fine-tune layers patches",
        text=MT5Config(**HF, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2),
        text_cfg={"hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler"},
    ),
}


@dataclass(frozen=True)
class Small:
    """A family's small model as open_clip makes it, and as the project loads it."""

    family: Family
    model: Any
    clip: Clip

    @property
    def tower(self) -> ImageTower:
        return self.clip.tower

    def works(self, what: str) -> bool:
        return what in self.family.works.split()

    def films(self, n: int = 3) -> np.ndarray:
        size = self.tower.fit.size
        return np.random.default_rng(0).integers(0, 256, (n, size, size), dtype=np.uint8)


@pytest.fixture(scope="module", params=FAMILIES)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import open_clip  # after explorer.model, which lets torchvision be imported
    import timm
    from timm.models.vitamin import VitCfg, VitConvCfg

    family, folder = FAMILIES[request.param], tmp_path_factory.mktemp("encoder")
    text_cfg: dict[str, Any] = {**family.text_cfg, "context_length": 16}
    if family.text is None:
        text_cfg = TEXT | text_cfg
    else:
        family.text.architectures = None
        family.text.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            if (ENCODER / name).is_file():
                shutil.copyfile(ENCODER / name, folder / name)
        text_cfg |= {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_model_pretrained": False}
    model_cfg = {"embed_dim": DIM, "vision_cfg": family.vision, "text_cfg": text_cfg, **family.model}
    if family.text is not None:
        model_cfg["custom_text"] = True
    create = timm.create_model
    patched = pytest.MonkeyPatch()
    request.addfinalizer(patched.undo)
    sizes = dict(family.timm)
    if "embed_cfg" in sizes:
        stem = VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6)
        sizes["embed_cfg"] = VitCfg((8, 8, 32), depths=(1, 1, 1), stem_width=8, conv_cfg=stem, head_type="1d")
    patched.setattr(timm, "create_model", lambda name, **given: create(name, **given, **sizes))
    kind: Callable[..., Any] = open_clip.CLIP
    if model_cfg.get("custom_text"):
        kind = open_clip.CoCa if "multimodal_cfg" in model_cfg else open_clip.CustomTextCLIP
    torch.manual_seed(0)
    model = kind(**{key: value for key, value in model_cfg.items() if key != "custom_text"}).eval()
    for name, parameter in model.visual.named_parameters():  # a new model's are so small that films hardly differ
        if parameter.ndim == 1 and name.endswith(("weight", "gamma")):
            nn.init.ones_(parameter)
        elif parameter.ndim > 1:
            nn.init.normal_(
                parameter, std=(parameter[0].numel() if len(parameter) > 1 else parameter.shape[-1]) ** -0.5
            )
    save_file({k: v.clone() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    size = family.vision["image_size"]
    config = {"model_cfg": model_cfg, "preprocess_cfg": {"size": size, "mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / CONFIG).write_text(json.dumps(config))
    return Small(family, model, load_clip(f"local-dir:{folder}", torch.device("cpu")))


def test_films_and_texts_are_embedded_as_by_open_clip(small: Small, tmp_path: Path) -> None:
    films = small.films()
    with torch.no_grad():
        theirs = small.model.encode_image(small.tower.normalise(torch.from_numpy(films)), normalize=True)
        texts = small.model.encode_text(small.clip.tokenizer(["edema", "no mass"]), normalize=True)
    ours = small.tower.embed(films, 2)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
    assert np.ptp(ours, axis=0).max() > 1e-4
    np.testing.assert_allclose(small.clip.embed_text(["edema", "no mass"]), texts.numpy(), atol=1e-5)
    small.tower.save(tmp_path)
    assert np.array_equal(ImageTower.load(tmp_path).embed(films, 2), ours)


def test_lower_layers_have_lower_rates(small: Small) -> None:
    model = Classifier(small.tower, Head(np.zeros((2, DIM), np.float32), np.zeros(2, np.float32)))
    groups = parameter_groups(model, Settings(learning_rate=1.0, layer_decay=0.5, head_learning_rate=7.0))
    rated = {id(parameter): group["peak"] for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rated) == len(list(model.parameters()))
    rates = sorted({rate for rate in rated.values() if rate != 7.0})
    assert len(rates) >= 4  # a stem, three blocks, what follows them
    assert rates == pytest.approx([0.5 ** (len(rates) - 1 - i) for i in range(len(rates))])
    first, *_, last = model.visual.parameters()
    assert (min(rated[id(first)], rates[1]), rated[id(last)]) == (rated[id(first)], 1.0)


def test_patches_are_dropped_or_the_tower_is_refused(small: Small) -> None:
    films = small.tower.normalise(torch.from_numpy(small.films()))
    visual = small.tower.visual
    with torch.no_grad():
        before = visual(films)
    if not small.works("patches"):
        with pytest.raises(UserError, match="no patch tokens"), patches_dropped(visual, 0.5):
            pass
        return
    seen: list[int] = []
    trunk: Any = getattr(visual, "trunk", visual)
    blocks = trunk.blocks if hasattr(trunk, "blocks") else trunk.transformer.resblocks
    hook = blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    with patches_dropped(visual, 0.5), torch.no_grad():
        visual.train()
        for module in visual.modules():
            module.training = not isinstance(module, nn.modules.batchnorm._BatchNorm)  # whose means would move
        visual(films)
        visual.eval()
        np.testing.assert_array_equal(visual(films), before)
    hook.remove()
    dropped, whole = seen
    prefix = whole % 16
    assert dropped - prefix == (whole - prefix) // 2
    with torch.no_grad():
        np.testing.assert_array_equal(visual.eval()(films), before)


def test_a_training_step_moves_every_weight(small: Small, tmp_path: Path) -> None:
    small.tower.save(tmp_path)
    tower = ImageTower.load(tmp_path)
    rng = np.random.default_rng(0)
    model = Classifier(tower, Head(rng.normal(size=(2, DIM)).astype(np.float32), np.zeros(2, np.float32))).train()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(parameter_groups(model, Settings(weight_decay=0.0)), lr=1e-3)
    with patches_dropped(tower.visual, 0.25 if small.works("patches") else 0.0):
        embedded = model.visual(tower.normalise(torch.from_numpy(small.films(4))))
        loss = model.head(nn.functional.normalize(embedded, dim=-1)).square().sum()
        loss.backward()
        optimizer.step()
    still = [name for name, weight in model.named_parameters() if name in before and torch.equal(weight, before[name])]
    assert [name for name in still if not SHIFTS_NOTHING.search(name)] == []


SHIFTS_NOTHING = re.compile(
    r"k_proj\.bias|k_norm|attn_pool\.(k|kv)\.bias|in_proj_bias|relative_position_bias_table|rel_pos\.mlp"
)
"""A key's bias moves all of a softmax's arguments alike, as a position's does in a window of one patch."""


def by_the_library(tower: ImageTower, film: np.ndarray, weight: np.ndarray, block: int) -> list[np.ndarray]:
    """pytorch-grad-cam on the whole model, not stretched to 0..1, one label at a time."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    trunk: Any = tower.visual.trunk
    if is_vit(tower.visual):
        layer, (rows, columns) = trunk.blocks[block].norm1, trunk.patch_embed.grid_size
    else:
        layer = trunk.final_conv if hasattr(trunk, "final_conv") else trunk.stages[-1]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower.visual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(self.visual(x), dim=-1) @ torch.from_numpy(weight).T

    def fold(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, -rows * columns :].reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)

    inputs = tower.normalise(torch.from_numpy(film)[None])
    maps = []
    for k in range(len(weight)):
        transform = fold if is_vit(tower.visual) else None
        with GradCAM(model=Model(), target_layers=[layer], reshape_transform=transform) as cam:
            maps.append(cam(input_tensor=inputs, targets=[ClassifierOutputTarget(k)])[0])
    return maps


@pytest.mark.parametrize("block", [0, -1])
def test_grad_cam_is_the_librarys_on_the_whole_model_or_refused(small: Small, block: int) -> None:
    from pytorch_grad_cam.utils.image import scale_cam_image

    (film,) = small.films(1)
    if not small.works("grad-cam"):
        with pytest.raises(UserError, match="timm ViT") as caught:
            read_tokens(small.tower, film)
        assert "docs/encoders.md" in caught.value.fix
        return
    weight = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    ours = explain(small.tower, read_tokens(small.tower, film), weight, np.zeros(3, np.float32), blocks=[block]).maps
    theirs = by_the_library(small.tower, film, weight, block)
    size = small.tower.fit.size
    assert (ours.max(axis=(1, 2, 3)) > 0).any()
    for k in range(3):
        stretched = scale_cam_image(scale_cam_image(ours[k, 0][None], (size, size)))[0]
        np.testing.assert_allclose(stretched, theirs[k], atol=1e-4)


def test_a_tail_that_is_another_network_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a block is replayed without its rotary positions."""
    if not small.works("grad-cam"):
        pytest.skip("this family has no Grad-CAM")
    (film,) = small.films(1)
    tokens = read_tokens(small.tower, film)
    weight = np.ones((1, DIM), np.float32)
    channels = -1 if is_vit(small.tower.visual) else 1
    monkeypatch.setitem(tokens.__dict__, "before", tokens.before.flip(channels))
    for method in ("grad_cam", "eigen_cam"):
        with pytest.raises(UserError, match="cannot be computed alone"):
            explain(small.tower, tokens, weight, np.zeros(1, np.float32), method=method)  # type: ignore[arg-type]


@functools.cache
def documented() -> dict[str, str]:
    """The table of docs/encoders.md: each family with the words of ALL that have a yes."""
    rows = [line.strip("| \n").split("|") for line in (ROOT / "docs/encoders.md").read_text().splitlines()]
    table = [[cell.strip() for cell in row] for row in rows if len(row) == 6]
    return {
        name: " ".join(word for word, cell in zip(ALL.split(), cells, strict=True) if cell == "yes")
        for name, *cells in table[2:]
    }


def test_the_table_of_the_documentation_is_what_is_tested() -> None:
    assert documented() == {name: family.works for name, family in FAMILIES.items()}
