"""Small models of random weights in folders of timm's and transformers' layout, written by the libraries themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIDE = 32
TIMM: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "vit": (
        "vit_tiny_patch16_224",
        {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2},
        {"crop_pct": 0.9, "interpolation": "bicubic", "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
    ),
    "resnet": (
        "resnet18",
        {"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16), "num_classes": 5},
        {"input_size": (3, 64, 64), "crop_pct": 0.875, "interpolation": "bilinear"},
    ),
    "densenet": (
        "densenet121",
        {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
        {"input_size": (3, 64, 64), "crop_pct": 1.0, "crop_mode": "squash"},
    ),
}
"""By a short name: architecture, sizes, and preprocessing unlike its own."""
DINO = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 42, "patch_size": 14}


def shaken(model: Any) -> Any:
    """Random weights of a size at which films differ."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        with torch.no_grad():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5 if len(parameter) > 1 else 0.5, generator=generator)
            elif parameter.ndim:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def save_timm(kind: str, folder: Path) -> Any:
    import timm

    name, args, data = TIMM[kind]
    model = shaken(timm.create_model(name, **args))
    timm.models.save_for_hf(model, folder, safe_serialization=True, data_config=data)
    return model


def save_dinov2(folder: Path, *, registers: int = 0, size: int = 42) -> Any:
    import transformers

    if registers:
        config = transformers.Dinov2WithRegistersConfig(**DINO, num_register_tokens=registers)
        model = transformers.Dinov2WithRegistersModel(config)
    else:
        model = transformers.Dinov2Model(transformers.Dinov2Config(**DINO))
    shaken(model).save_pretrained(folder)
    transformers.BitImageProcessor(
        size={"shortest_edge": size + 6},
        crop_size={"height": size, "width": size},
        image_mean=[0.53, 0.53, 0.53],
        image_std=[0.26, 0.26, 0.26],
    ).save_pretrained(folder)
    return model
