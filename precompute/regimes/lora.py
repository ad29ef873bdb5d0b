"""LoRA: low-rank changes of the attention weights, trained with the head and merged into the tower."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from explorer.errors import UserError
from explorer.model.encoder import Encoder, ImageTower
from explorer.model.head import Head
from explorer.store import layout
from explorer.store.files import sha256_json
from explorer.store.manifest import FROZEN
from precompute.reporter import ReportProgress
from precompute.run.recipe import Fitted, Recipe, epochs_record, stopping_words, training_data, training_settings
from precompute.run.run import Run
from precompute.settings import Settings
from precompute.training.data import TrainingRun
from precompute.training.finetune import Classifier, fine_tune
from precompute.training.loop import clear_checkpoints
from precompute.training.losses import make_loss

RANKS = (4, 16)
RATES = (5.0, 20.0)
"""Times the full fine-tune's rate: few weights move, so each may move further."""


class LoRA(Recipe):
    """From the probe's head and with its loss, as the full fine-tune; rank and rate by validation loss."""

    name = "lora"
    title = "LoRA"
    kind = "adapted"
    summary = "low-rank changes of the attention weights, trained from the probe's head; rank and rate chosen on val"
    stage = "LoRA"
    share = 100.0 * len(RANKS) * len(RATES)
    needs = ("linear_probe",)
    own_encoder = "LoRA"

    def check(self, encoder: Encoder) -> None:
        super().check(encoder)
        attention_weights(encoder.tower.visual)

    def inputs(self, run: Run) -> dict[str, object]:
        encoder, probe = layout.encoder_files(FROZEN), layout.regime_files(self.needs[0])
        files = (encoder.config, encoder.weights, probe.head, probe.training, layout.PIXELS, layout.SAMPLES)
        return {**run.hashes(*files), **training_settings(run.settings)}

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        data, probe = training_data(run, run.pixels), self.needs[0]
        loss = make_loss(run.training(probe)["loss"], data.targets[data.train])
        tried: list[dict[str, float]] = []
        best: Fitted | None = None
        candidates = list(product(RANKS, RATES))
        for i, (rank, times) in enumerate(candidates):
            tower = ImageTower.load(run.path / layout.encoder_files(FROZEN).folder, run.tower.device)
            torch.manual_seed(seed)
            low_rank(tower.visual, rank)
            made_from = sha256_json([self.inputs(run), rank, times])
            part = _part_of(report, i, len(candidates))
            training = TrainingRun(run.settings, seed, work / f"{rank}-{times:g}", part, made_from)
            head, curve = fine_tune(tower, Head(*run.head(probe)), loss, data, training, _groups(times))
            merge(tower.visual)
            record = epochs_record(run, curve)
            tried.append({"rank": rank, "times": times, "val_loss": curve[record["best_epoch"]]["val_loss"]})
            if best is None or tried[-1]["val_loss"] < best.training["val_loss"]:
                best = Fitted(head, {**record, **tried[-1]}, tower.at(tower.config.precision))  # of the new weights
        assert best is not None
        for rank, times in candidates:
            clear_checkpoints(work / f"{rank}-{times:g}")
        return best._replace(training={**best.training, "tried": tried})

    def depends_on_seed(self, settings: Settings) -> bool:
        return True

    def words(self, run: Run) -> str:
        settings, training = run.settings, run.training(self.name)
        rate = training["times"] * settings.learning_rate
        return (
            f"from the probe's head, with its loss; changes of rank {training['rank']:g} on the attention weights at "
            f"rate {rate:g}: of ranks {_listed(RANKS)} and of {_listed(RATES)} times the full fine-tune's rate, those "
            f"of least val loss; merged into the tower; {stopping_words(settings)}"
        )


class LowRank(nn.Module):
    """A weight plus a product of two thin matrices, of which one starts at 0 (Hu et al., ICLR 2022)."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))
        self.down = nn.Parameter(torch.empty(rank, columns, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.up @ self.down


def low_rank(visual: nn.Module, rank: int) -> None:
    """Freeze a tower in place, but for low-rank changes of its attention weights.

    torch's own parametrisation serves: it knows linear layers as timm has them and ``MultiheadAttention`` as open_clip
    has it, and merges exactly. ``peft`` would wrap the tower in classes that the store does not save.

    Raises
    ------
    UserError
        Where the tower has no attention.
    """
    visual.requires_grad_(requires_grad=False)
    for module, name in attention_weights(visual):
        parametrize.register_parametrization(module, name, LowRank(getattr(module, name), rank))


def merge(visual: nn.Module) -> None:
    """Put the changes into the weights themselves, in place: the tower is as it was, with other numbers."""
    for module in list(visual.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def attention_weights(visual: nn.Module) -> list[tuple[nn.Module, str]]:
    """Every matrix of every module that is named as attention; a ``UserError`` where there is none."""
    inside = [module for name, module in visual.named_modules() if name.split(".")[-1] in ("attn", "attention")]
    matrices: dict[int, tuple[nn.Module, str]] = {}
    for attention in inside:
        for module in attention.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 2:
                    matrices[id(parameter)] = module, name
    if not matrices:
        raise UserError(
            "LoRA changes attention weights, of which this image tower has none.",
            "Use a vision transformer (docs/encoders.md), or leave lora out of --regimes.",
        )
    return list(matrices.values())


def _groups(times: float) -> Callable[[Classifier, Settings], list[dict[str, Any]]]:
    """AdamW's groups: the changes at so many times the fine-tune's rate, the head at its own; neither decays."""

    def groups(model: Classifier, settings: Settings) -> list[dict[str, Any]]:
        changes = [parameter for parameter in model.visual.parameters() if parameter.requires_grad]
        return [
            {"params": changes, "weight_decay": 0.0, "peak": times * settings.learning_rate},
            {"params": list(model.head.parameters()), "weight_decay": 0.0, "peak": settings.head_learning_rate},
        ]

    return groups


def _part_of(report: ReportProgress, place: int, parts: int) -> ReportProgress:
    """A report of one of several trainings as part of them all."""
    return lambda done, total: report(place * total + done, parts * total)


def _listed(values: tuple[float, ...]) -> str:
    return " and ".join(f"{value:g}" for value in values)


RECIPE = LoRA()
