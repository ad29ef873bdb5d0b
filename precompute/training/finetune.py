"""Full fine-tune: encoder and head trained together, early-stopped on validation, resumable by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn
from torch.nn import functional

from explorer.model.encoder import ImageTower
from explorer.model.head import Head
from explorer.model.towers import layered, patches_dropped
from precompute.settings import Settings
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.loop import TrainingCurve, autocast, steps_of, train_epochs
from precompute.training.losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Classifier(nn.Module):
    """Encoder and head as one trainable module."""

    def __init__(self, tower: ImageTower, head: Head) -> None:
        super().__init__()
        self.visual = tower.visual
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight))
            self.head.bias.copy_(torch.from_numpy(head.bias))

    def trained_head(self) -> Head:
        return Head(self.head.weight.detach().cpu().numpy(), self.head.bias.detach().cpu().numpy())


def fine_tune(
    tower: ImageTower,
    start: Head,
    loss: Loss,
    data: TrainingData,
    run: TrainingRun,
    groups: Callable[[Classifier, Settings], list[dict[str, Any]]] | None = None,
) -> tuple[Head, TrainingCurve]:
    """Train the tower in place and return its head.

    The head starts from the linear probe's, so that the first steps do not distort the pretrained features (LP-FT,
    Kumar et al., ICLR 2022). Lower layers hold what is most general and move less (layer-wise decay, as in BEiT, Bao et
    al., ICLR 2022). Rates warm up and fall as a cosine. The epoch of least validation loss is kept. Epoch 0 is the
    probe itself, so the fine-tune's validation loss is never above its start.

    Parameters
    ----------
    tower : ImageTower
        Giving unit-norm embeddings.
    loss : Loss
        The probe's, chosen on validation.
    data : TrainingData
        Its inputs are pixels.
    run : TrainingRun
    groups : callable, optional
        AdamW's groups, each with its ``peak`` rate; by default :func:`parameter_groups`, which trains all weights.

    Returns
    -------
    Head
    TrainingCurve
    """
    settings = run.settings
    model = Classifier(tower, start).to(tower.device)
    optimizer = torch.optim.AdamW((groups or parameter_groups)(model, settings), fused=True)
    steps = settings.epochs * steps_of(data.train, settings)

    def batch_loss(done: int, rows: NDArray[np.int64]) -> tuple[torch.Tensor, int]:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _schedule(done, steps)
        rows = np.sort(rows)  # read in the order of the file
        inputs = tower.normalise(_augment(torch.from_numpy(data.inputs[rows]).to(tower.device, torch.float32)))
        with autocast(tower.device):
            embedded = model.visual(inputs)
        logits = model.head(functional.normalize(embedded.float(), dim=-1))
        return loss(logits, torch.from_numpy(data.targets[rows]).to(tower.device))

    with patches_dropped(model.visual, settings.patch_dropout):
        curve = train_epochs(
            model,
            optimizer,
            data.train,
            run,
            batch_loss=batch_loss,
            val_loss=lambda: validation_loss(model, tower, loss, data, settings.batch_size),
            clip=1.0,
        )
    return model.trained_head(), curve


def parameter_groups(model: Classifier, settings: Settings) -> list[dict[str, Any]]:
    """AdamW's groups, each with its ``peak`` rate: lower layers less, the head its own; no decay of one-dimensional
    weights (norms, biases)."""
    groups = param_groups_layer_decay(layered(model.visual), settings.weight_decay, layer_decay=settings.layer_decay)
    rated = [(group["params"], group["weight_decay"], settings.learning_rate * group["lr_scale"]) for group in groups]
    inside = {id(parameter) for parameters, _, _ in rated for parameter in parameters}
    for module, rate in ((model.visual, settings.learning_rate), (model.head, settings.head_learning_rate)):
        others = [parameter for parameter in module.parameters() if id(parameter) not in inside]
        matrices = [parameter for parameter in others if parameter.ndim > 1]
        vectors = [parameter for parameter in others if parameter.ndim <= 1]
        rated += [(matrices, settings.weight_decay, rate), (vectors, 0.0, rate)]
    return [{"params": params, "weight_decay": decay, "peak": peak} for params, decay, peak in rated if params]


def _schedule(step: int, total: int) -> float:
    """Linear warm-up over the first tenth, then cosine to 0."""
    warm = max(1, total // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


@torch.inference_mode()
def validation_loss(model: Classifier, tower: ImageTower, loss: Loss, data: TrainingData, batch_size: int) -> float:
    """Mean loss per known validation cell; the head reads what the tower gives, unit-norm or not."""
    model.eval()
    embedded = torch.from_numpy(tower.at("float32").embed(data.inputs[data.val], batch_size)).to(tower.device)
    summed, known = loss(model.head(embedded), torch.from_numpy(data.targets[data.val]).to(tower.device))
    return summed.item() / max(known, 1)


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
