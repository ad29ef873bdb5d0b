"""Losses over known cells: plain cross-entropy, and three answers to labels that are rarely positive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from precompute.settings import LossName

if TYPE_CHECKING:
    from numpy.typing import NDArray

Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, int]]
"""(n, C) logits and targets (1, 0 or NaN) to the sum over known cells, and how many there are."""

FOCAL_GAMMA = 2.0
ASYMMETRIC_GAMMA = 4.0
ASYMMETRIC_MARGIN = 0.05


def make_loss(name: LossName, targets: NDArray[np.float32]) -> Loss:
    """A loss that masks what is unknown.

    - ``plain``: binary cross-entropy.
    - ``weighted``: a positive counts as many times as the label has known negatives for each known positive.
    - ``focal``: each cell times (1 - p_t)^2, without class weights (Lin et al., ICCV 2017, equation 4).
    - ``asymmetric``: a positive as in cross-entropy. A negative of probability p costs q^4 (-log(1 - q)) with
      q = max(p - 0.05, 0). Easy ones then cost nothing (Ridnik et al., ICCV 2021, equation 7, gamma+ = 0).

    Parameters
    ----------
    name : LossName
    targets : (n, C) 1, 0 or NaN
        The training rows, for the weights.
    """
    cell = {"plain": _plain, "weighted": _weighted, "focal": _focal, "asymmetric": _asymmetric}[name]
    weights = torch.from_numpy(positive_weights(targets))

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, int]:
        known = ~targets.isnan()
        weight = weights.to(logits).expand_as(logits)[known]
        return cell(logits[known], targets[known], weight).sum(), int(known.sum())

    return loss


def positive_weights(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) known negatives for each known positive; 1 for a label that lacks either."""
    positive, negative = (targets == 1).sum(axis=0), (targets == 0).sum(axis=0)
    both = (positive > 0) & (negative > 0)
    return np.where(both, negative / np.maximum(positive, 1), 1).astype(np.float32)


def _plain(logits: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, y, reduction="none")


def _weighted(logits: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, y, reduction="none", pos_weight=weight)


def _focal(logits: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    nats = _plain(logits, y, weight)  # -log p_t
    return (1 - torch.exp(-nats)) ** FOCAL_GAMMA * nats


def _asymmetric(logits: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    shifted = (logits.sigmoid() - ASYMMETRIC_MARGIN).clamp(min=0)
    return -y * functional.logsigmoid(logits) - (1 - y) * shifted**ASYMMETRIC_GAMMA * torch.log1p(-shifted)
