"""Models in transformers' layout: their image half as a timm model, which maps and LoRA know; their text half as it is.

transformers itself reads the files. Its weights are renamed, and queries, keys and values put together, as timm has
them. One film is then run through both, so that a model built in some other way is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from open_clip.tokenizer import HFTokenizer
from PIL import Image
from torch import nn
from transformers import AutoImageProcessor, AutoModel

from explorer.errors import UserError
from explorer.model.hub import MODEL_CONFIG, PROCESSOR
from explorer.model.trunk import Parts, fit_of, vision_cfg

State = dict[str, torch.Tensor]
_ACTIVATIONS = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_pytorch_tanh": "gelu_tanh"}
"""Activations by transformers' names, in timm's."""


class TextHalf(nn.Module):
    """The text tower of a CLIP or SigLIP model, with the names by which open_clip's models are asked."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        del model.vision_model
        self.model = model
        self.logit_scale = model.logit_scale

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """(T, L) token ids to (T, D) embeddings, unnormalised."""
        embedded: torch.Tensor = self.model.get_text_features(input_ids=tokens).pooler_output
        return embedded


class ImageHalf(NamedTuple):
    """The image half in timm's terms."""

    name: str
    model_args: dict[str, Any]
    state: State


def read_transformers(folder: Path) -> tuple[Parts, TextHalf | None, HFTokenizer | None]:
    """What a folder of one of ``hub.TRANSFORMERS`` holds; text half and tokenizer are None for a model of images alone.

    Raises
    ------
    UserError
        Weights are missing, or the preprocessing is not supported.
    """
    model, report = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
    )
    if lacking := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise UserError(
            f"The weights in {folder} are not all of the model in its {MODEL_CONFIG}: {str(lacking[0])[:80]}"
            f"{' and more' if len(lacking) > 1 else ''} is missing or has another shape.",
            "Copy the model again; an encoder with random weights is never used.",
        )
    model.eval()
    fit, mean, std = _preprocessing(folder)
    sample = torch.randn(1, 3, fit.size, fit.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        name, args, state = _CONVERTERS[model.config.model_type](model, fit.size)
        theirs = _embed(model, sample)
    projects = "head.weight" in state
    parts = Parts(vision_cfg(name, args, projects=projects), theirs.shape[1], fit, mean, std, state, (sample, theirs))
    if not hasattr(model, "text_model"):
        return parts, None, None
    context = model.config.text_config.max_position_embeddings
    return parts, TextHalf(model), HFTokenizer(str(folder), context_length=context, local_files_only=True)


def _embed(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    """(B, D) as the model's own interface gives it: for an image model the normalised class token."""
    if hasattr(model, "get_image_features"):
        projected: torch.Tensor = model.get_image_features(pixel_values=inputs).pooler_output
        return projected
    pooled: torch.Tensor = model(pixel_values=inputs).pooler_output
    return pooled


def _preprocessing(folder: Path) -> tuple[Any, tuple[float, float, float], tuple[float, float, float]]:
    """Fit, mean and std, as transformers reads them from the folder."""
    if not (folder / PROCESSOR).is_file():
        raise UserError(
            f"The encoder folder {folder} has no {PROCESSOR}, so that its preprocessing is unknown.",
            "Copy that file of the model, too.",
        )
    processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True)  # type: ignore[no-untyped-call]
    size, crop = dict(processor.size or {}), dict(getattr(processor, "crop_size", None) or {})
    short = size.get("shortest_edge")
    resize = short or size.get("height")
    side = crop.get("height") if getattr(processor, "do_center_crop", False) else size.get("height")
    square = crop.get("width") == side if crop and processor.do_center_crop else size.get("width") == side
    scaled = processor.do_rescale and abs(processor.rescale_factor * 255 - 1) < 1e-6
    if not (processor.do_resize and scaled and side and resize and square and (short or size["width"] == resize)):
        raise UserError(
            f"The preprocessing of {folder / PROCESSOR} is not supported.",
            "Use an encoder that resizes, cuts out the middle or squashes, and brings grey values from 0..255 to 0..1.",
        )
    filters = {Image.Resampling.BICUBIC: "bicubic", Image.Resampling.BILINEAR: "bilinear"}
    interpolation = filters.get(processor.resample, str(processor.resample))
    fit = fit_of(int(side), int(resize), "shortest" if short else "squash", interpolation)
    if not processor.do_normalize:
        return fit, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return fit, tuple(processor.image_mean), tuple(processor.image_std)


# --- weights ---------------------------------------------------------------------------------------------------------


def _dinov2(model: Any, size: int) -> ImageHalf:
    """DINOv2 with or without registers; RAD-DINO and others trained on films have its shape."""
    config, embeddings = model.config, model.embeddings
    patches = (size // config.patch_size) ** 2
    # as the model itself brings its positions to the size of its input
    positions = embeddings.interpolate_pos_encoding(torch.empty(1, patches + 1, config.hidden_size), size, size)
    args = _sizes(config, size) | {"mlp_ratio": config.mlp_ratio, "init_values": 1.0}
    state = _renamed(
        model,
        ("encoder.layer.", "blocks."),
        ("layernorm.", "norm."),
        (".attention.", ".attn."),
        (".o_proj.", ".proj."),
        (".layer_scale1.lambda1", ".ls1.gamma"),
        (".layer_scale2.lambda1", ".ls2.gamma"),
        ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    )
    state |= {"trunk.cls_token": embeddings.cls_token, "trunk.pos_embed": positions}
    registers = getattr(config, "num_register_tokens", 0)
    if registers:
        args |= {"reg_tokens": registers, "no_embed_class": True}
        state |= {
            "trunk.reg_token": embeddings.register_tokens,
            "trunk.cls_token": embeddings.cls_token + positions[:, :1],
            "trunk.pos_embed": positions[:, 1:],
        }
    return ImageHalf("vit_base_patch14_dinov2", args, state)


def _clip(model: Any, size: int) -> ImageHalf:
    config, embeddings = model.config.vision_config, model.vision_model.embeddings
    state = _renamed(model, *_OF_CLIP, ("visual_projection.", "head."), ("pre_layrnorm.", "norm_pre."))
    state |= {
        "trunk.cls_token": embeddings.class_embedding[None, None],
        "trunk.pos_embed": embeddings.position_embedding.weight[None],
    }
    return ImageHalf("vit_base_patch16_clip_224", _sizes(config, size) | _mlp(config), state)


def _siglip(model: Any, size: int) -> ImageHalf:
    config, embeddings = model.config.vision_config, model.vision_model.embeddings
    state = _renamed(
        model,
        *_OF_CLIP,
        ("head.probe", "attn_pool.latent"),
        ("head.attention.in_proj_", "attn_pool.qkv."),
        ("head.attention.out_proj.", "attn_pool.proj."),
        ("head.layernorm.", "attn_pool.norm."),
        ("head.mlp.", "attn_pool.mlp."),
    )
    for kind in ("weight", "bias"):
        query, key, value = state.pop(f"trunk.attn_pool.qkv.{kind}").chunk(3)
        state |= {f"trunk.attn_pool.q.{kind}": query, f"trunk.attn_pool.kv.{kind}": torch.cat([key, value])}
    state["trunk.pos_embed"] = embeddings.position_embedding.weight[None]
    return ImageHalf("vit_base_patch16_siglip_224", _sizes(config, size) | _mlp(config), state)


_OF_CLIP = (
    ("vision_model.", ""),
    ("encoder.layers.", "blocks."),
    (".layer_norm", ".norm"),
    (".self_attn.", ".attn."),
    (".attn.out_proj.", ".attn.proj."),
    ("post_layernorm.", "norm."),
    ("embeddings.patch_embedding.", "patch_embed.proj."),
)


def _sizes(config: Any, size: int) -> dict[str, Any]:
    return {
        "img_size": size,
        "patch_size": config.patch_size,
        "embed_dim": config.hidden_size,
        "depth": config.num_hidden_layers,
        "num_heads": config.num_attention_heads,
    }


def _mlp(config: Any) -> dict[str, Any]:
    activation = _ACTIVATIONS.get(config.hidden_act, config.hidden_act)
    return {"mlp_ratio": config.intermediate_size / config.hidden_size, "act_layer": activation}


def _renamed(model: nn.Module, *names: tuple[str, str]) -> State:
    """The weights of the image half by the names of a ``TimmTower``; what a model embeds with is left to its caller."""
    state: State = {}
    for key, weight in model.state_dict().items():
        if key.startswith(("text_", "logit_")):
            continue
        for theirs, ours in names:
            key = key.replace(theirs, ours)
        if not key.startswith("embeddings."):
            state[key if key == "head.weight" else f"trunk.{key}"] = weight
    for key in [key for key in state if ".q_proj." in key]:
        three = [state.pop(key.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
        state[key.replace(".q_proj.", ".qkv.")] = torch.cat(three)
    return state


_CONVERTERS: Mapping[str, Callable[[Any, int], ImageHalf]] = {
    "clip": _clip,
    "siglip": _siglip,
    "dinov2": _dinov2,
    "dinov2_with_registers": _dinov2,
}
