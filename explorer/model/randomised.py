"""Towers whose last layers know nothing: what a map must not survive (Adebayo et al., NeurIPS 2018)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from timm.models import group_parameters
from torch import nn

from explorer.model.encoder import ImageTower
from explorer.model.saliency.tokens import is_vit, map_trunk

if TYPE_CHECKING:
    from collections.abc import Iterable


def with_random_blocks(tower: ImageTower, blocks: int | None, seed: int) -> ImageTower:
    """A copy of a tower with everything from its last ``blocks`` blocks on randomised; None: everything.

    With all blocks, what comes before them is random too: patch embedding, class token and position embedding. Blocks
    of a convolutional network are timm's layers of it, as a ResNet's residual blocks.

    Every weight matrix is drawn from a normal distribution of its own trained spread, so that activations keep their
    size; biases become 0, normalisation the identity, but that batch normalisation keeps its running statistics.
    """
    visual = copy.deepcopy(tower.visual)
    trunk = map_trunk(visual)
    generator = torch.Generator(tower.device).manual_seed(seed)
    if is_vit(visual):
        count = len(trunk.blocks) if blocks is None else blocks
        _randomise(trunk.blocks[len(trunk.blocks) - count :].modules(), generator)
        for part in (trunk.norm, trunk.fc_norm):
            _randomise(part.modules(), generator)
        if count == len(trunk.blocks):
            _randomise([*trunk.patch_embed.modules(), *trunk.norm_pre.modules()], generator)
            for token in (trunk.cls_token, trunk.reg_token, trunk.pos_embed):
                if token is not None:
                    _draw(token, generator)
    else:
        layers = group_parameters(trunk, trunk.group_matcher(coarse=False))
        last = sorted(layers)[-blocks:] if blocks else sorted(layers)
        owners = dict.fromkeys(name.rpartition(".")[0] for layer in last for name in layers[layer])
        _randomise([trunk.get_submodule(owner) for owner in owners], generator)
    _randomise(visual.get_submodule("head").modules(), generator)
    return ImageTower(visual, tower.config, tower.device, unit=tower.unit)


def _randomise(modules: Iterable[nn.Module], generator: torch.Generator) -> None:
    for module in modules:
        if isinstance(module, nn.Linear | nn.Conv2d):
            _draw(module.weight, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d) and module.weight is not None:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _draw(weight: torch.Tensor, generator: torch.Generator) -> None:
    with torch.no_grad():
        weight.normal_(0, float(weight.std()), generator=generator)
