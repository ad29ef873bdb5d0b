"""The epochs of a training: early stop on validation, and a checkpoint after each, so that a killed one resumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from precompute.checkpoint import load_checkpoint, save_checkpoint

Curve = list[dict[str, float]]
"""A point an epoch, epoch 0 being the start: epoch, train_loss, val_loss (a known cell), learning_rate."""


def train_epochs(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    work: Path,
    *,
    epochs: int,
    patience: int,
    seed: int,
    one_epoch: Callable[[int], dict[str, float]],
    val_loss: Callable[[], float],
    gain: float = 0.0,
) -> Curve:
    """Train in place, and leave the model at its best epoch.

    Parameters
    ----------
    work : Path
        Folder of the two checkpoints, ``last`` and ``best``; a killed training resumes from ``last``, bit for bit.
    patience : int
        Epochs without a better validation loss before it stops.
    one_epoch : callable
        Given the epoch from 1, trains it and returns its part of the curve. Torch is seeded anew before each.
    val_loss : callable
    gain : float
        A validation loss is better if it is lower by more than this.
    """
    last, best = work / "last.safetensors", work / "best.safetensors"
    curve: Curve
    if last.is_file():
        curve = load_checkpoint(last, model, optimizer)["curve"]  # type: ignore[assignment]
    else:
        curve = [{"epoch": 0, "val_loss": val_loss()}]
        save_checkpoint(best, model, optimizer, {"curve": curve})
    for epoch in range(len(curve), epochs + 1):
        if epoch - 1 - best_epoch(curve, gain) >= patience:
            break
        torch.manual_seed(seed * 1000 + epoch)  # whatever the epoch draws is drawn again after a resume
        point = one_epoch(epoch)
        curve.append({"epoch": epoch, **point, "val_loss": val_loss()})
        if best_epoch(curve, gain) == epoch:
            save_checkpoint(best, model, optimizer, {"curve": curve})
        save_checkpoint(last, model, optimizer, {"curve": curve})
    load_checkpoint(best, model, None)
    model.eval()
    return curve


def best_epoch(curve: Curve, gain: float = 0.0) -> int:
    """The last epoch whose validation loss was better than the best before it by more than ``gain``."""
    best = 0
    for epoch, point in enumerate(curve):
        if point["val_loss"] < curve[best]["val_loss"] - gain:
            best = epoch
    return best
