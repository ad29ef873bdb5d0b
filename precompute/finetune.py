"""Full fine-tune: encoder and head trained together, early-stopped on validation, resumable by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timm.layers.patch_dropout import PatchDropout
from torch import nn
from torch.nn import functional

from explorer.model.encoder import ImageTower
from explorer.model.head import Head
from precompute.checkpoint import load_checkpoint, save_checkpoint
from precompute.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Regime(nn.Module):
    """Encoder and head as one trainable module."""

    def __init__(self, tower: ImageTower, head: Head) -> None:
        super().__init__()
        self.visual = tower.visual
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight))
            self.head.bias.copy_(torch.from_numpy(head.bias))


def fine_tune(
    tower: ImageTower,
    start: Head,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    train: NDArray[np.int64],
    val: NDArray[np.int64],
    settings: Settings,
    work: Path,
    report: Callable[[int, int], None],
) -> tuple[Head, list[dict[str, float]]]:
    """Train the tower in place and return its head.

    The head starts from the linear probe's (LP-FT, Kumar et al., ICLR 2022), so that the first steps do not distort
    the pretrained features. Loss is binary cross-entropy over known cells. The epoch of least validation loss is kept;
    epoch 0 is the probe itself, so the fine-tune is never worse than its start on validation loss.

    Parameters
    ----------
    pixels : (N, S, S) uint8
    targets : (N, C) 1, 0 or NaN
    train, val : row numbers
    work : Path
        Folder of the two checkpoints, ``last`` and ``best``; a killed training resumes from ``last``.

    Returns
    -------
    Head
    list of dict
        The training curve: epoch, train_loss, val_loss (nats a known cell), learning_rate.
    """
    torch.manual_seed(settings.seed)
    model = _Regime(tower, start).to(tower.device)
    if settings.patch_dropout:
        model.visual.trunk.patch_drop = PatchDropout(settings.patch_dropout)  # type: ignore[union-attr]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.visual.parameters()), "peak": settings.learning_rate},
            {"params": list(model.head.parameters()), "peak": settings.head_learning_rate},
        ],
        weight_decay=settings.weight_decay,
        fused=True,
    )
    last, best = work / "last.safetensors", work / "best.safetensors"
    steps = math.ceil(len(train) / settings.train_batch_size)
    curve: list[dict[str, float]]
    if last.is_file():
        curve = load_checkpoint(last, model, optimizer)["curve"]  # type: ignore[assignment]
    else:
        curve = [{"epoch": 0, "val_loss": _loss_on(model, tower, pixels, targets, val, settings)}]
        save_checkpoint(best, model, optimizer, {"curve": curve})
    for epoch in range(len(curve), settings.epochs + 1):
        if _stalled(curve) >= settings.patience:
            break
        rng = np.random.default_rng([settings.seed, epoch])
        torch.manual_seed(settings.seed * 1000 + epoch)  # patch dropout and augmentation repeat after a resume
        order = rng.permutation(train)
        model.train()
        total, cells = 0.0, 0
        for i in range(steps):
            rows = np.sort(order[i * settings.train_batch_size : (i + 1) * settings.train_batch_size])
            done = (epoch - 1) * steps + i
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(done, settings.epochs * steps)
            inputs = tower.normalise(_augment(torch.from_numpy(pixels[rows]).to(tower.device, torch.float32)))
            with torch.autocast(tower.device.type, torch.bfloat16):
                embedded = model.visual(inputs)
            logits = model.head(functional.normalize(embedded.float(), dim=-1))
            loss, known = _masked_loss(logits, torch.from_numpy(targets[rows]).to(tower.device))
            optimizer.zero_grad(set_to_none=True)
            (loss / max(known, 1)).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total, cells = total + loss.item(), cells + known
            report(done + 1, settings.epochs * steps)
        val_loss = _loss_on(model, tower, pixels, targets, val, settings)
        improved = val_loss < min(point["val_loss"] for point in curve)
        lr = optimizer.param_groups[0]["lr"]
        curve.append({"epoch": epoch, "train_loss": total / max(cells, 1), "val_loss": val_loss, "learning_rate": lr})
        if improved:
            save_checkpoint(best, model, optimizer, {"curve": curve})
        save_checkpoint(last, model, optimizer, {"curve": curve})
    load_checkpoint(best, model, None)
    if settings.patch_dropout:
        model.visual.trunk.patch_drop = nn.Identity()  # type: ignore[union-attr]
    model.eval()
    report(settings.epochs * steps, settings.epochs * steps)
    return Head(model.head.weight.detach().cpu().numpy(), model.head.bias.detach().cpu().numpy()), curve


def _stalled(curve: list[dict[str, float]]) -> int:
    """Epochs since the best validation loss."""
    losses = [point["val_loss"] for point in curve]
    return len(losses) - 1 - losses.index(min(losses))


def _schedule(step: int, total: int) -> float:
    """Linear warm-up over the first tenth, then cosine to 0."""
    warm = max(1, total // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _masked_loss(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Summed binary cross-entropy over known cells, and how many there were."""
    known = ~targets.isnan()
    loss = functional.binary_cross_entropy_with_logits(logits[known], targets[known], reduction="sum")
    return loss, int(known.sum())


@torch.inference_mode()
def _loss_on(
    model: _Regime,
    tower: ImageTower,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    rows: NDArray[np.int64],
    settings: Settings,
) -> float:
    model.eval()
    head: Any = model.head
    embedded = tower.embed(pixels[rows], settings.batch_size)
    logits = head(torch.from_numpy(embedded).to(tower.device))
    loss, known = _masked_loss(logits, torch.from_numpy(targets[rows]).to(tower.device))
    return loss.item() / max(known, 1)


def _augment(pixels: torch.Tensor) -> torch.Tensor:
    """Small turns, shifts, zooms and exposure changes, (B, S, S) in 0..255. No mirroring: the heart is on the left."""
    n = len(pixels)
    draw = torch.rand(n, 6, device=pixels.device) * 2 - 1
    angle, zoom = draw[:, 0] * math.radians(7), 1 + draw[:, 1] * 0.1
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = torch.stack(
        [torch.stack([cos, -sin, draw[:, 2] * 0.08], dim=1), torch.stack([sin, cos, draw[:, 3] * 0.08], dim=1)], dim=1
    )
    grid = functional.affine_grid(rows, [n, 1, *pixels.shape[1:]], align_corners=False)
    moved = functional.grid_sample(pixels[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    gain, lift = 1 + draw[:, 4] * 0.15, draw[:, 5] * 15
    return ((moved - 128) * gain[:, None, None] + 128 + lift[:, None, None]).clamp(0, 255)
