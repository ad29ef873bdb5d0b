"""Maps from attention itself: rollout, and attention weighted by gradients.

For a transformer's CLS token these follow what the token read from where; maintainers recommend them over Grad-CAM for
CLIP, whose patch features carry the whole film.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from explorer.errors import UserError
from explorer.model.saliency.tokens import Tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.model.encoder import ImageTower
    from explorer.model.saliency.tokens import Tokens


def rollout(tower: ImageTower, tokens: Tokens, at: list[int]) -> NDArray[np.float32]:
    """Attention rollout (Abnar & Zuidema, ACL 2020, section 3): the product of (A + I) / 2 from the first block on.

    Returns
    -------
    (1, B, g, g)
        How much of each patch's token had reached CLS after each block of ``at``; the same for every label.
    """
    tail = _explicit(tower, tokens, 0, np.zeros((1, len(tokens.projected)), np.float32), np.zeros(1, np.float32))
    with torch.no_grad():
        attention, _ = _attend(tail, tokens.before[0][None])
    eye = torch.eye(tokens.before.shape[1], device=tokens.before.device)
    flow, maps = eye, []
    for block in range(at[-1] + 1):
        flow = (attention[block][0].mean(dim=0) + eye) / 2 @ flow
        if block in at:
            maps.append(flow[:1, :, None])  # what CLS holds of each token
    return _patches(tail, maps)[None]


def gradient_attention(
    tower: ImageTower, tokens: Tokens, weight: NDArray[np.float32], bias: NDArray[np.float32], at: list[int]
) -> NDArray[np.float32]:
    """Gradient-weighted attention rollout: the self-attention rule of Generic Attention-model Explainability
    (Chefer, Gur & Wolf, ICCV 2021, equations 5 and 6).

    From each block of ``at`` to the last: R ← R + E_h[(∇A ⊙ A)⁺] R, starting from the identity; the map is CLS's row.
    From the first block on this is the paper's rule; from the last alone, what the authors' CLIP example shows.

    Returns
    -------
    (K, B, g, g)
    """
    tail = _explicit(tower, tokens, at[0], weight, bias)
    copies = tokens.before[at[0]].expand(len(weight), -1, -1).clone().requires_grad_()
    attention, logits = _attend(tail, copies)
    gradients = torch.autograd.grad(logits.diagonal().sum(), attention)
    steps = [(a * g).clamp(min=0).mean(dim=1) for a, g in zip(attention, gradients, strict=True)]  # (K, T, T) each
    maps = []
    for block in at:
        # CLS's row alone, from the last block back: row · (I + S_last) … (I + S_block)
        row = torch.zeros_like(steps[0][:, :1])
        row[:, 0, 0] = 1
        for step in reversed(steps[block - at[0] :]):
            row = row + row @ step
        maps.append(row.transpose(1, 2).detach())
    return np.stack([_patches(tail, [one[k : k + 1] for one in maps]) for k in range(len(weight))])


def _explicit(
    tower: ImageTower, tokens: Tokens, start: int, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> Tail:
    """A tail whose attention is computed in the open, in place of one fused step that hides it."""
    tail = Tail(tower, tokens, start, weight, bias)
    if not tail.is_vit or tail.trunk.global_pool != "token":
        raise UserError(
            "Attention maps need an encoder whose embedding is read from its CLS token.", "Choose Grad-CAM instead."
        )
    for block in tail.trunk.blocks:
        block.attn.fused_attn = False
    return tail


def _attend(tail: Tail, tokens: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Each block's attention (K, heads, T, T), still in the graph, and the logits (K, K)."""
    seen: list[torch.Tensor] = []

    def keep(_module: Any, _given: Any, attention: torch.Tensor) -> None:
        seen.append(attention)

    for block in tail.trunk.blocks:
        block.attn.attn_drop.register_forward_hook(keep)
    logits = tail(tokens)
    return seen, logits


def _patches(tail: Tail, rows: list[torch.Tensor]) -> NDArray[np.float32]:
    """(B, g, g) from B rows of (1, T, 1), the prefix tokens left out."""
    folded: NDArray[np.float32] = torch.cat([tail.fold(row)[:, 0] for row in rows]).cpu().numpy()
    return folded
