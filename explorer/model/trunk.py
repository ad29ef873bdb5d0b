"""Image towers that are a timm model and nothing else but a projection; and what is read of a folder to build one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from safetensors.torch import load_file
from torch import nn

from explorer.data.geometry import Fit
from explorer.errors import UserError
from explorer.model.hub import MODEL_CONFIG, find_weights, read_model_config

RESERVED = frozenset(inspect.signature(timm.create_model).parameters) | {"num_classes", "in_chans", "features_only"}
"""Arguments that a folder's config may not set: they fetch files or change what the model gives."""
_MOST = {"img_size": 1024, "embed_dim": 4096, "dims": 4096, "channels": 4096, "depth": 256, "layers": 256}
"""The largest figures of a timm model's arguments; any other, which may count layers, is at most ``_MOST_ANY``."""
_MOST_ANY = 64
_CROPS = {"center": "shortest", "squash": "squash"}
"""timm's names of resizing, in ours; its third one pads with grey."""


def check_model_args(model_args: object) -> None:
    """Refuse arguments that are no sizes, or of a model that would take all memory: a ``ValueError``."""
    if not isinstance(model_args, dict) or RESERVED & set(model_args):
        raise ValueError("model_args are not a model's sizes")
    check_numbers(model_args, _MOST, _MOST_ANY)


def check_numbers(values: Mapping[str, Any], most: Mapping[str, int], most_any: int) -> None:
    """Refuse a number, however deep within a value, above the most of its key: a ``ValueError``."""
    for key, value in values.items():
        for number in _numbers(value):
            if not abs(number) <= most.get(key, most_any):
                raise ValueError(f"{key} is {number:g}")


def _numbers(value: object) -> Iterator[float]:
    """Every number within a value of JSON."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, list | tuple | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _numbers(one)


class TimmTower(nn.Module):
    """A timm model without its classifier: (B, 3, S, S) normalised pixels to (B, D) embeddings.

    Parameters
    ----------
    name : str
        As timm names the architecture.
    model_args : mapping
        In place of the architecture's own sizes.
    projection : int, optional
        D, where a linear projection follows the model.
    """

    def __init__(self, name: str, model_args: Mapping[str, Any], projection: int | None = None) -> None:
        super().__init__()
        self.trunk = timm.create_model(name, pretrained=False, num_classes=0, **model_args)
        width: int = self.trunk.num_features  # type: ignore[assignment]
        self.head = nn.Linear(width, projection, bias=False) if projection else nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.head(self.trunk(inputs))
        return embedded


class Parts(NamedTuple):
    """What a folder says of an image tower.

    Attributes
    ----------
    vision_cfg : dict
        As ``TowerConfig`` keeps it.
    embed_dim : int
    fit : Fit
    mean, std : sequences of 3
    state : mapping
        The weights of a :class:`TimmTower`.
    sample : tensor and tensor, optional
        One (1, 3, S, S) input, and what the library of the folder's layout makes of it.
    """

    vision_cfg: dict[str, Any]
    embed_dim: int
    fit: Fit
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    state: Mapping[str, torch.Tensor]
    sample: tuple[torch.Tensor, torch.Tensor] | None = None


def vision_cfg(name: str, model_args: Mapping[str, Any], *, projects: bool = False) -> dict[str, Any]:
    """A :class:`TimmTower` as ``TowerConfig`` keeps it."""
    return {"timm_model_name": name, "timm_proj": "linear" if projects else "none", "model_args": dict(model_args)}


def fit_of(size: int, resize: int, mode: str, interpolation: str) -> Fit:
    """The preprocessing that resizes to one size and cuts the middle out.

    Raises
    ------
    UserError
        Where the explorer has no such preprocessing.
    """
    if mode not in ("shortest", "squash") or interpolation not in ("bicubic", "bilinear") or resize < size:
        raise UserError(
            f"The encoder's preprocessing is not supported: input {size}, resize to {resize} ({mode}), "
            f"{interpolation}.",
            "Use an encoder with a square input, a crop or a squash, and a bicubic or bilinear resize.",
        )
    return Fit(
        size=size,
        interpolation=interpolation,  # type: ignore[arg-type]
        resize_mode=mode,  # type: ignore[arg-type]
        resize_to=None if resize == size else resize,
    )


def read_timm(folder: Path) -> Parts:
    """What a folder in timm's layout holds, as ``timm.models.save_for_hf`` writes it.

    Raises
    ------
    UserError
        The config names no known model, or not all of its preprocessing; or the model gives no embedding.
    """
    file, config = folder / MODEL_CONFIG, read_model_config(folder)
    name, data = config["architecture"], config.get("pretrained_cfg", config)
    if not (isinstance(name, str) and timm.is_model(name)):
        raise UserError(f"{file} names no model that timm has: {str(name)[:80]!r}.", "Check its architecture.")
    lacking = [key for key in ("input_size", "interpolation", "mean", "std", "crop_pct") if data.get(key) is None]
    if lacking:
        raise UserError(
            f"{file} does not state the preprocessing: no {', '.join(lacking)} in pretrained_cfg.",
            "Save the model with timm.models.save_for_hf, which writes it.",
        )
    channels, height, width = data["input_size"]
    if channels != 3 or height != width:
        raise UserError(
            f"{file}: the model's input is {channels} x {height} x {width}.", "Use a model of 3 channels and a square."
        )
    crop = data.get("crop_mode") or "center"
    fit = fit_of(width, math.floor(width / data["crop_pct"]), _CROPS.get(crop, crop), data["interpolation"])
    args = {key: value for key, value in (config.get("model_args") or {}).items() if key not in RESERVED}
    if data.get("fixed_input_size"):
        args.setdefault("img_size", width)
    check_model_args(args)
    with torch.device("meta"):
        embedding = TimmTower(name, args).eval()(torch.zeros(1, 3, width, width))
    if embedding.ndim != 2:
        raise UserError(f"{file}: the model gives {embedding.ndim - 1} axes for a film.", "Use a model that pools.")
    classifier = data.get("classifier") or ()
    ends = tuple(f"{part}." for part in ([classifier] if isinstance(classifier, str) else classifier))
    state = load_file(find_weights(folder))
    return Parts(
        vision_cfg(name, args),
        embedding.shape[1],
        fit,
        tuple(data["mean"]),
        tuple(data["std"]),
        {f"trunk.{key}": weight for key, weight in state.items() if not (ends and key.startswith(ends))},
    )
