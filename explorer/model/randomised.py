"""Towers whose last layers know nothing: what a map must not survive (Adebayo et al., NeurIPS 2018)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from explorer.model.encoder import ImageTower
from explorer.model.saliency.tokens import vit_trunk

if TYPE_CHECKING:
    from collections.abc import Iterable


def with_random_blocks(tower: ImageTower, blocks: int, seed: int) -> ImageTower:
    """A copy of a tower with everything from its last ``blocks`` blocks on randomised.

    Every weight matrix is drawn from a normal distribution of its own trained spread, so that activations keep their
    size; biases become 0, normalisation the identity.
    """
    visual = copy.deepcopy(tower.visual)
    trunk = vit_trunk(visual)
    torch.manual_seed(seed)
    _draw(trunk.blocks[len(trunk.blocks) - blocks :].modules())
    for part in (trunk.norm, trunk.fc_norm, visual.get_submodule("head")):
        _draw(part.modules())
    return ImageTower(visual, tower.config, tower.device, unit=tower.unit)


def _draw(modules: Iterable[nn.Module]) -> None:
    with torch.no_grad():
        for module in modules:
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, float(module.weight.std()))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
                module.weight.fill_(1)
                module.bias.zero_()
