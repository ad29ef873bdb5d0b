"""The paper's own training, from its text (section 3) and its published notebook, so that its figures can be remade.

Sadman et al., BIOKDD 2025, arXiv 2506.14136; github.com/Nafiz95/BioVLM_Eval_CXR, ``train_eval_biomedclip``. What the
notebook does that one would not guess:

- The head reads the projection before it is normalised.
- The fine-tune's head is new, not the probe's, and learns at the encoder's rate.
- A new AdamW is made at every epoch of the fine-tune, so its moments start anew and its rate stays constant.
- A validation loss must be lower by 1e-4 to count as better.

Two departures: unknown cells are masked (the paper's labels have none). CPUs and GPUs alike train the fine-tune in
bfloat16 autocast, where the notebook has float16.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn

from explorer.model.encoder import ImageTower
from explorer.model.head import Head
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.finetune import Classifier, validation_loss
from precompute.training.loop import TrainingCurve, autocast, steps_of, train_epochs
from precompute.training.losses import make_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAIN = 1e-4


def split(patients: NDArray[np.object_], fractions: tuple[float, float, float], seed: int) -> NDArray[np.object_]:
    """(N,) train, val or test: the patients in the order they come, cut twice by scikit-learn, not stratified."""
    unique = np.array(list(dict.fromkeys(patients)), dtype=object)
    train, rest = train_test_split(unique, test_size=round(1 - fractions[0], 9), random_state=seed)
    val, _ = train_test_split(rest, test_size=round(fractions[2] / sum(fractions[1:]), 9), random_state=seed)
    part = dict.fromkeys(unique, "test") | dict.fromkeys(train, "train") | dict.fromkeys(val, "val")
    return np.array([part[patient] for patient in patients], dtype=object)


def new_head(dim: int, n_labels: int, seed: int) -> Head:
    """Xavier's weights (uniform) and PyTorch's own bias, as ``nn.Linear`` is made."""
    torch.manual_seed(seed)
    layer = nn.Linear(dim, n_labels)
    nn.init.xavier_uniform_(layer.weight)
    return Head(layer.weight.detach().numpy(), layer.bias.detach().numpy())


def fit_probe(data: TrainingData, run: TrainingRun) -> tuple[Head, TrainingCurve]:
    """A linear layer on the frozen, unnormalised projections: AdamW, the rate a cosine over epochs.

    Parameters
    ----------
    data : TrainingData
        Its inputs are (N, D) projections.
    run : TrainingRun
    """
    settings = run.settings
    start = new_head(data.inputs.shape[1], data.targets.shape[1], run.seed)
    layer = nn.Linear(*reversed(start.weight.shape))
    layer.load_state_dict({"weight": torch.from_numpy(start.weight), "bias": torch.from_numpy(start.bias)})
    loss = make_loss("plain", data.targets[data.train])
    rate = settings.head_learning_rate
    optimizer = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=settings.weight_decay)
    inputs, truth = torch.from_numpy(np.array(data.inputs)), torch.from_numpy(data.targets)

    steps = steps_of(data.train, settings)

    def batch_loss(done: int, rows: NDArray[np.int64]) -> tuple[torch.Tensor, int]:
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * (done // steps) / settings.epochs)) / 2
        return loss(layer(inputs[rows]), truth[rows])

    @torch.no_grad()
    def val_loss() -> float:
        summed, known = loss(layer(inputs[data.val]), truth[data.val])
        return summed.item() / max(known, 1)

    curve = train_epochs(
        layer,
        optimizer,
        data.train,
        run,
        batch_loss=batch_loss,
        val_loss=val_loss,
        gain=GAIN,
    )
    return Head(layer.weight.detach().numpy(), layer.bias.detach().numpy()), curve


def fine_tune(tower: ImageTower, data: TrainingData, run: TrainingRun) -> tuple[Head, TrainingCurve]:
    """Train the tower and a new head in place: one constant rate for all, AdamW made anew at every epoch.

    Parameters
    ----------
    tower : ImageTower
        Giving projections as they come.
    data : TrainingData
        Its inputs are pixels.
    run : TrainingRun
    """
    settings = run.settings
    model = Classifier(tower, new_head(tower.dim, data.targets.shape[1], run.seed)).to(tower.device)
    loss = make_loss("plain", data.targets[data.train])
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = steps_of(data.train, settings)

    def batch_loss(done: int, rows: NDArray[np.int64]) -> tuple[torch.Tensor, int]:
        if done % steps == 0:
            optimizer.state.clear()  # as a new AdamW
        rows = np.sort(rows)  # read in the order of the file
        with autocast(tower.device):
            projected = model.visual(tower.normalise(torch.from_numpy(data.inputs[rows])))
        return loss(model.head(projected.float()), torch.from_numpy(data.targets[rows]).to(tower.device))

    curve = train_epochs(
        model,
        optimizer,
        data.train,
        run,
        batch_loss=batch_loss,
        val_loss=lambda: validation_loss(model, tower, loss, data, settings.batch_size),
        gain=GAIN,
    )
    return model.trained_head(), curve
