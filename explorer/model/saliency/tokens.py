"""A film inside an image tower: what enters each block, computed once, and what follows from there.

Of a convolutional network there is one such place, its last feature map.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from explorer.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.model.encoder import ImageTower

REPLAY = {"float32": 1e-3, "bfloat16": 4.5e-2}
"""How far the embedding of a tail may lie from the whole tower's, relative to its length, by the tower's precision.

A tail computes in float32. Rounding moves a tower in float32 by 1e-6, and one in bfloat16 by up to a cosine of 0.999.
"""

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True)
class Tokens:
    """One film as an image tower sees it.

    Attributes
    ----------
    pixels : (S, S) uint8
        The film as :meth:`explorer.data.geometry.Fit.apply` gives it.
    before : (L, T, W) or (1, W, g, g) tensor
        The input of each of L blocks: T tokens (prefix tokens first) of width W. Or a network's last feature map.
    beside : L mappings
        What each block is given besides its tokens, such as rotary positions.
    projected : (D,) tensor
        The embedding before it is brought to unit norm.
    """

    pixels: NDArray[np.uint8]
    before: torch.Tensor
    beside: tuple[Mapping[str, Any], ...]
    projected: torch.Tensor

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + self.before.nbytes + self.projected.nbytes


def frozen_twin(module: _Module) -> _Module:
    """A module of its own over the same weights: hooks and flags set on it reach nobody else, and no weight asks for
    a gradient. Costs milliseconds and no memory to speak of."""
    shared: dict[int, Any] = {
        id(weight): nn.Parameter(weight.detach(), requires_grad=False) for weight in module.parameters()
    }
    shared |= {id(buffer): buffer for buffer in module.buffers()}
    return copy.deepcopy(module, shared)


def is_vit(visual: nn.Module) -> bool:
    """Whether an image tower holds a timm vision transformer, whose every block begins with a norm."""
    trunk: Any = getattr(visual, "trunk", None)
    parts = ("blocks", "patch_embed", "norm", "forward_head")
    return all(hasattr(trunk, part) for part in parts) and all(hasattr(block, "norm1") for block in trunk.blocks)


def map_trunk(visual: nn.Module) -> Any:
    """The timm model inside an image tower: a vision transformer, or a network whose features are (B, W, g, g).

    Raises
    ------
    UserError
        Where the tower is built otherwise.
    """
    trunk: Any = getattr(visual, "trunk", None)
    convolutional = hasattr(trunk, "forward_features") and getattr(trunk, "output_fmt", "NCHW") == "NCHW"
    if not (is_vit(visual) or convolutional):
        raise _unfit()
    return trunk


def _unfit() -> UserError:
    return UserError(
        "Saliency maps here need a timm ViT or convolutional network as image tower.",
        "Use an encoder of a family with Grad-CAM in docs/encoders.md, such as BiomedCLIP's ViT-B/16.",
    )


def depth(visual: nn.Module) -> int:
    """At how many blocks maps can be made: 1 for a convolutional network, its last feature map."""
    trunk = map_trunk(visual)
    return len(trunk.blocks) if is_vit(visual) else 1


def read_tokens(tower: ImageTower, pixels: NDArray[np.uint8]) -> Tokens:
    """Run a film through the whole tower, once, in the tower's own precision; what is kept of it is float32.

    Parameters
    ----------
    pixels : (S, S) uint8
    """
    visual = frozen_twin(tower.network)
    seen: list[torch.Tensor] = []
    beside: list[Mapping[str, Any]] = []

    def keep(_block: nn.Module, given: tuple[torch.Tensor, ...], named: Mapping[str, Any]) -> None:
        (tokens,) = given
        seen.append(tokens[0])
        beside.append({name: value.float() if _is_lower(value) else value for name, value in named.items()})

    trunk = map_trunk(visual)
    if is_vit(visual):
        for block in trunk.blocks:
            block.register_forward_pre_hook(keep, with_kwargs=True)
    else:
        keep_features(trunk).register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():  # not inference mode: these tensors enter a graph later
        inputs = tower.normalise(torch.from_numpy(np.array(pixels))[None])
        projected = visual(inputs.to(tower.dtype)).float()[0]
    if not is_vit(visual) and (len(seen) != 1 or seen[0].ndim != 3):
        raise _unfit()
    return Tokens(pixels, torch.stack(seen).float(), tuple(beside), projected)


def _is_lower(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16


def keep_features(trunk: Any) -> nn.Module:
    """A module that the last feature map of a convolutional network passes from now on, to hang hooks on."""
    door, features_of = nn.Identity(), trunk.forward_features
    trunk.forward_features = lambda inputs: door(features_of(inputs))
    return door


class Tail(nn.Module):
    """Everything after the input of block ``start``, ending in head rows' logits: ``Tokens.before`` to (B, K).

    It computes in float32, whatever the tower's precision: a map needs finer gradients than bfloat16 has.

    Parameters
    ----------
    tokens : Tokens
        The film whose tokens will come.
    start : int
        0 to L - 1.
    weight, bias : (K, D), (K,)
    """

    def __init__(
        self, tower: ImageTower, tokens: Tokens, start: int, weight: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self.visual = frozen_twin(tower.visual)
        self.trunk = map_trunk(self.visual)
        self.is_vit = is_vit(self.visual)
        self.door: nn.Module = nn.Identity()
        self.tokens = tokens
        self.start = start
        self.unit = tower.unit
        self.allowed = REPLAY[tower.config.precision]
        self.weight = torch.from_numpy(weight).to(tower.device)
        self.bias = torch.from_numpy(bias).to(tower.device)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of copies of the film.

        Raises
        ------
        UserError
            Where the embedding is not the whole tower's: a map would be of another network.
        """
        if self.is_vit:
            for block, beside in zip(self.trunk.blocks[self.start :], self.tokens.beside[self.start :], strict=True):
                tokens = block(tokens, **beside)
            features = self.trunk.norm(tokens)
        else:
            features = self.door(tokens)
        projected: torch.Tensor = self.visual.head(self.trunk.forward_head(features))  # type: ignore[operator]
        whole = self.tokens.projected
        apart = (projected.detach().float() - whole).norm(dim=-1).max() / whole.norm()
        if not apart < self.allowed:
            raise UserError(
                f"What follows block {self.start + 1} of this image tower cannot be computed alone: its embedding is "
                f"{float(apart):.1%} from the whole tower's.",
                "Use an encoder of a family with Grad-CAM in docs/encoders.md.",
            )
        return self.logits(projected)

    def logits(self, projected: torch.Tensor) -> torch.Tensor:
        """(B, D) projections to (B, K), as the regime's head reads them."""
        embedded = functional.normalize(projected.float(), dim=-1) if self.unit else projected.float()
        return embedded @ self.weight.T + self.bias

    def layer(self, block: int) -> nn.Module:
        """The module at whose output a class activation map is taken."""
        layer: nn.Module = self.trunk.blocks[block].norm1 if self.is_vit else self.door
        return layer

    def fold(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, W) tokens to (B, W, g, g): prefix tokens come first and have no place."""
        if not self.is_vit:
            return tokens
        rows, columns = self.trunk.patch_embed.grid_size
        patches = tokens[:, -rows * columns :]
        return patches.transpose(1, 2).reshape(len(tokens), -1, rows, columns)


class Whole(Tail):
    """The whole tower with head rows: (B, 3, S, S) to (B, K)."""

    def __init__(
        self, tower: ImageTower, tokens: Tokens, weight: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> None:
        super().__init__(tower, tokens, 0, weight, bias)
        if not self.is_vit:
            self.door = keep_features(self.trunk)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.logits(self.visual(inputs))
