"""Grad-CAM (Selvaraju et al., ICCV 2017) for a regime's logits, through pytorch-grad-cam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from explorer.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.model.encoder import ImageTower


@dataclass(frozen=True)
class Saliency:
    """Maps over the model's patch grid.

    Attributes
    ----------
    maps : (K, g, g) float32
        Evidence for each head row, 0 or more, in logit units a patch; all 0 where there is no evidence.
    logits : (K,) float32
    """

    maps: NDArray[np.float32]
    logits: NDArray[np.float32]


class _Regime(nn.Module):
    """An image tower and head rows as one module, as the library wants it."""

    def __init__(self, tower: ImageTower, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.visual = tower.visual
        self.tower_forward = tower.forward
        self.weight = weight
        self.bias = bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.tower_forward(inputs) @ self.weight.T + self.bias


class _RawGradCAM(GradCAM):  # type: ignore[misc]  # the library is untyped
    """Grad-CAM without the library's stretch to 0..1: a map of next to nothing must stay next to nothing."""

    def compute_cam_per_layer(
        self, input_tensor: torch.Tensor, targets: list[nn.Module], eigen_smooth: bool
    ) -> list[NDArray[np.float32]]:
        activations = self.activations_and_grads.activations[0].cpu().numpy()
        gradients = self.activations_and_grads.gradients[0].cpu().numpy()
        cam = self.get_cam_image(input_tensor, self.target_layers[0], targets, activations, gradients, eigen_smooth)
        return [np.maximum(cam, 0)]

    def aggregate_multi_layers(self, cam_per_target_layer: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return cam_per_target_layer[0]


def grad_cam(
    tower: ImageTower,
    pixels: NDArray[np.uint8],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    block: int = -1,
) -> Saliency:
    """Grad-CAM maps of one film for K logits.

    The map is taken at ``blocks[block].norm1``. CLS pooling leaves no gradient on the patch tokens after the last
    block's attention, so later layers would give a map of zeros.

    Parameters
    ----------
    tower : ImageTower
        With a timm ViT trunk.
    pixels : (S, S) uint8
        The film as :meth:`explorer.data.geometry.Fit.apply` gives it.
    weight, bias : (K, D), (K,)
        Head rows to explain.
    block : int
        Transformer block, counted as Python counts; the last by default.
    """
    trunk: Any = getattr(tower.visual, "trunk", None)
    if not hasattr(trunk, "blocks"):
        raise UserError("Grad-CAM here needs a timm ViT image tower.", "Use an encoder such as BiomedCLIP's ViT-B/16.")
    regime = _Regime(tower, torch.from_numpy(weight).to(tower.device), torch.from_numpy(bias).to(tower.device))
    side = trunk.patch_embed.grid_size[0]

    def fold(tokens: torch.Tensor) -> torch.Tensor:
        patches = tokens[:, -side * side :]  # prefix tokens (CLS) come first
        return patches.transpose(1, 2).reshape(len(tokens), -1, side, side)

    # one copy of the film for each target: the library backpropagates one target a copy
    inputs = tower.normalise(torch.from_numpy(pixels)[None]).expand(len(weight), -1, -1, -1)
    targets = [ClassifierOutputTarget(k) for k in range(len(weight))]
    cam = _RawGradCAM(model=regime, target_layers=[trunk.blocks[block].norm1], reshape_transform=fold)
    try:
        maps = cam(input_tensor=inputs, targets=targets)
    finally:
        cam.activations_and_grads.release()
    logits = cam.outputs.detach().diagonal().cpu().numpy()
    return Saliency(maps.astype(np.float32), logits.astype(np.float32))
