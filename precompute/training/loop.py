"""The epochs of a training: early stop on validation, and a checkpoint after each, so that a killed one resumes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from explorer.model.device import multiplies_bfloat16
from precompute.settings import Settings
from precompute.training.checkpoint import DamagedCheckpoint, load_checkpoint, read_checkpoint, restore, save_checkpoint
from precompute.training.data import TrainingRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)

TrainingCurve = list[dict[str, float]]
"""One point per epoch, epoch 0 being the start: epoch, train_loss, val_loss (per known cell), learning_rate."""


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device multiplies it; else float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bfloat16(device))


def steps_of(train: NDArray[np.int64], settings: Settings) -> int:
    """Batches per epoch."""
    return math.ceil(len(train) / settings.train_batch_size)


def train_epochs(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: NDArray[np.int64],
    run: TrainingRun,
    *,
    batch_loss: Callable[[int, NDArray[np.int64]], tuple[torch.Tensor, int]],
    val_loss: Callable[[], float],
    gain: float = 0.0,
    clip: float = math.inf,
) -> TrainingCurve:
    """Train in place, and leave the model at its best epoch.

    Parameters
    ----------
    train : rows
        Each epoch takes them in another order, which follows from the seed.
    run : TrainingRun
        Its folder gets two checkpoints: ``last`` with the optimiser's state, from which a killed training resumes, bit
        for bit, and ``best`` with the weights alone.
    batch_loss : callable
        Given how many steps are done and the rows, the loss summed over known cells, and how many there are. Torch is
        seeded anew before each epoch.
    val_loss : callable
    gain : float
        A validation loss is better if it is lower by more than this.
    clip : float
        The largest norm of a step's gradient.
    """
    settings = run.settings
    last, best = _checkpoints(run.work)
    steps = steps_of(train, settings)
    curve = _resume(run, model, optimizer)
    if not curve:
        curve.append({"epoch": 0, "val_loss": val_loss()})
        save_checkpoint(best, model, None, {})
    for epoch in range(len(curve), settings.epochs + 1):
        if epoch - 1 - best_epoch(curve, gain) >= settings.patience:
            break
        torch.manual_seed(run.seed * 1000 + epoch)  # a resumed epoch repeats its random numbers
        order = np.random.default_rng([run.seed, epoch]).permutation(train)
        model.train()
        total, cells = 0.0, 0
        for i in range(steps):
            done = (epoch - 1) * steps + i
            rows = order[i * settings.train_batch_size : (i + 1) * settings.train_batch_size]
            summed, known = batch_loss(done, rows)
            optimizer.zero_grad(set_to_none=True)
            (summed / max(known, 1)).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            total, cells = total + summed.item(), cells + known
            run.report(done + 1, settings.epochs * steps)
        point = {"train_loss": total / max(cells, 1), "learning_rate": optimizer.param_groups[-1]["lr"]}
        curve.append({"epoch": epoch, **point, "val_loss": val_loss()})
        if best_epoch(curve, gain) == epoch:
            save_checkpoint(best, model, None, {})
        save_checkpoint(last, model, optimizer, {"curve": curve, "made_from": run.made_from})
    load_checkpoint(best, model, None)
    model.eval()
    run.report(settings.epochs * steps, settings.epochs * steps)  # also where it stopped early
    return curve


def _checkpoints(work: Path) -> tuple[Path, Path]:
    return work / "last.safetensors", work / "best.safetensors"


def clear_checkpoints(work: Path) -> None:
    """Delete the checkpoints of a training whose result is kept; they take four times its weights."""
    for checkpoint in _checkpoints(work):
        checkpoint.unlink(missing_ok=True)


def _resume(run: TrainingRun, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingCurve:
    """The curve so far of a training that can go on, its state restored; an empty one where it must start."""
    last, best = _checkpoints(run.work)
    if not last.is_file():
        return []
    try:
        tensors, state = read_checkpoint(last)
        read_checkpoint(best)  # what the training ends with must be whole, too
    except DamagedCheckpoint as error:
        _LOG.warning("%s The training starts again.", error.what)
        return []
    if state["made_from"] != run.made_from:
        _LOG.warning("The checkpoint %s is of other inputs. The training starts again.", last)
        return []
    restore(tensors, model, optimizer)
    return state["curve"]  # type: ignore[return-value]


def best_epoch(curve: TrainingCurve, gain: float = 0.0) -> int:
    """The last epoch whose validation loss was better than the best before it by more than ``gain``."""
    best = 0
    for epoch, point in enumerate(curve):
        if point["val_loss"] < curve[best]["val_loss"] - gain:
            best = epoch
    return best
