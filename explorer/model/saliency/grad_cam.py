"""Saliency maps for a regime's logits, through pytorch-grad-cam on what follows a film's cached tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from explorer.data.saliency_map import METHODS, MethodName, Saliency
from explorer.model.saliency.attention import gradient_attention, rollout
from explorer.model.saliency.tokens import Tail, Tokens, Whole, depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.model.encoder import ImageTower

COPIES = 16
"""Copies of a film times blocks held in one graph: bounds memory at about 1 GB for a ViT-B."""


class _Raw(BaseCAM):  # type: ignore[misc]  # the library is untyped
    """The library's maps without its stretch to 0..1: a map of next to nothing must stay next to nothing."""

    def compute_cam_per_layer(
        self, input_tensor: torch.Tensor, targets: list[nn.Module], eigen_smooth: bool
    ) -> list[NDArray[np.float32]]:
        kept = self.activations_and_grads
        activations = [a.cpu().numpy() for a in kept.activations]  # ScoreCAM's own passes will add to the list
        gradients = [g.cpu().numpy() for g in kept.gradients] or [None] * len(activations)
        return [
            np.maximum(self.get_cam_image(input_tensor, layer, targets, a, g, eigen_smooth), 0)
            for layer, a, g in zip(self.target_layers, activations, gradients, strict=True)
        ]

    def aggregate_multi_layers(self, cam_per_target_layer: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(cam_per_target_layer, axis=1)  # (K, B, g, g)


class _GradCAM(_Raw, GradCAM):  # type: ignore[misc]
    pass


class _GradCAMPlusPlus(_Raw):
    def get_cam_weights(
        self,
        input_tensor: torch.Tensor,
        target_layers: list[nn.Module],
        targets: list[nn.Module],
        activations: NDArray[np.float32],
        grads: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        return plus_plus_weights(activations, grads)


class _LayerCAM(_Raw, LayerCAM):  # type: ignore[misc]
    pass


class _EigenCAM(_Raw, EigenCAM):  # type: ignore[misc]
    pass


class _ScoreCAM(_Raw, ScoreCAM):  # type: ignore[misc]
    pass


def plus_plus_weights(activations: NDArray[np.floating], gradients: NDArray[np.floating]) -> NDArray[np.float64]:
    """Channel weights of Grad-CAM++, well conditioned for layers whose activations are not rectified.

    Parameters
    ----------
    activations, gradients : (K, D, g, g)
        Of the layer, for each logit.

    Returns
    -------
    weights : (K, D)

    Notes
    -----
    Equation 19 of Chattopadhay et al. (WACV 2018) gives ``relu(g) g² / (2 g² + S g³)``, S being the channel's
    summed activation. That is ``p / (2 + S p)`` with ``p = relu(g)``. The paper takes a rectified layer, where S is not
    negative. A ViT's tokens are signed, and where S is near -2/p the weight has a pole. pytorch-grad-cam adds 1e-6 to
    the denominator, which moves the pole and damps gradients below 1e-3. On the demo encoder's last block, a change of
    the inputs by 1e-6 then moves the map by 1e-3 of its maximum.

    Here S is 0 where it is negative, so the denominator is at least 2, and nothing is added to it. A relative error e
    of activations and gradients changes a weight by at most ``e (1 + p Σ|A| / 2)`` of itself. On rectified layers the
    weights are the library's, but for its 1e-6.
    """
    rising = np.maximum(gradients.astype(np.float64), 0)
    summed = np.maximum(activations.sum(axis=(2, 3), dtype=np.float64), 0)[:, :, None, None]
    weights: NDArray[np.float64] = (rising / (2 + summed * rising)).sum(axis=(2, 3))
    return weights


_BY_GRADIENT: dict[MethodName, type[_Raw]] = {
    "grad_cam": _GradCAM,
    "grad_cam_pp": _GradCAMPlusPlus,
    "layer_cam": _LayerCAM,
}


def explain(
    tower: ImageTower,
    tokens: Tokens,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    method: MethodName = "grad_cam",
    blocks: Sequence[int] = (-1,),
) -> Saliency:
    """Maps of one film for K logits at B blocks.

    Class activation maps are taken at ``blocks[b].norm1``. CLS pooling leaves no gradient on the patch tokens after the
    last block's attention, so later layers would give a map of zeros. One backward pass a logit gives all blocks. Of a
    convolutional network they are taken at its last feature map, its only block.
    Evidence against a label is evidence for its negated head row.

    Parameters
    ----------
    tower : ImageTower
        With a timm ViT or convolutional network inside.
    tokens : Tokens
        The film, as :func:`explorer.model.saliency.tokens.read_tokens` gives it.
    weight, bias : (K, D), (K,)
        Head rows to explain.
    method : str
        One of METHODS.
    blocks : sequence of int
        Transformer blocks, ascending, counted as Python counts.
    """
    count = depth(tower.visual)
    at = [range(count)[block] for block in blocks]
    if METHODS[method].by_label:
        step = max(1, COPIES // (count - at[0]))
        maps = np.concatenate(
            [
                _for_labels(tower, tokens, weight[k : k + step], bias[k : k + step], method, at)
                for k in range(0, len(weight), step)
            ]
        )
    else:
        once = rollout(tower, tokens, at) if method == "rollout" else _eigen_cam(tower, tokens, weight, bias, at)
        maps = np.repeat(once, len(weight), axis=0)
    embedding = tokens.projected.cpu().numpy()
    logits = weight @ (embedding / np.linalg.norm(embedding) if tower.unit else embedding) + bias
    return Saliency(maps.astype(np.float32), logits.astype(np.float32))


def _for_labels(
    tower: ImageTower,
    tokens: Tokens,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    method: MethodName,
    at: list[int],
) -> NDArray[np.float32]:
    """(K, B, g, g) maps of a method that asks about a label."""
    if method == "attention":
        return gradient_attention(tower, tokens, weight, bias, at)
    if method == "score_cam":
        return _score_cam(tower, tokens, weight, bias, at)
    # one copy of the film for each logit: the library backpropagates one target a copy
    before = tokens.before[at[0]]
    copies = before.expand(len(weight), *before.shape).clone().requires_grad_()
    return _run(_BY_GRADIENT[method], Tail(tower, tokens, at[0], weight, bias), at, copies)


def _eigen_cam(
    tower: ImageTower, tokens: Tokens, weight: NDArray[np.float32], bias: NDArray[np.float32], at: list[int]
) -> NDArray[np.float32]:
    return _run(_EigenCAM, Tail(tower, tokens, at[0], weight[:1], bias[:1]), at, tokens.before[at[0]][None])


def _score_cam(
    tower: ImageTower, tokens: Tokens, weight: NDArray[np.float32], bias: NDArray[np.float32], at: list[int]
) -> NDArray[np.float32]:
    """The one method that masks the film itself: it runs the whole model once for each channel of the layer."""
    film = tower.normalise(torch.from_numpy(np.array(tokens.pixels))[None])
    rows = [Whole(tower, tokens, weight[k : k + 1], bias[k : k + 1]) for k in range(len(weight))]
    with torch.no_grad():
        return np.stack([np.stack([_run(_ScoreCAM, row, [block], film)[0, 0] for block in at]) for row in rows])


def _run(kind: type[_Raw], model: Tail, at: list[int], inputs: torch.Tensor) -> NDArray[np.float32]:
    """(K, B, g, g) maps by the library; the k-th copy of the inputs is asked for the k-th logit."""
    layers = [model.layer(block) for block in at]
    cam = kind(model=model, target_layers=layers, reshape_transform=model.fold)
    try:
        maps: NDArray[np.float32] = cam(inputs, [ClassifierOutputTarget(k) for k in range(len(inputs))])
    finally:
        cam.activations_and_grads.release()
    return maps
