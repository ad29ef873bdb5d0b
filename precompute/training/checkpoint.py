"""Training state in safetensors: resumable after a kill, and no pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from explorer.store.files import atomic_path

_STATE = "state"


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, object]) -> None:
    """Write weights, optimiser state and a small JSON state to one file, atomically.

    Parameters
    ----------
    state : dict
        Anything JSON holds: the epoch done, the curve so far, the best value.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temp:
        save_file(tensors, temp, metadata={_STATE: json.dumps(state)})


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, object]:
    """Restore what :func:`save_checkpoint` wrote, in place; return its JSON state.

    The optimiser keeps its own parameter groups (learning rates belong to the schedule, not to the checkpoint).
    """
    with safe_open(path, framework="pt") as file:
        state: dict[str, object] = json.loads(file.metadata()[_STATE])
        names = list(file.keys())
        model.load_state_dict(
            {name.removeprefix("model."): file.get_tensor(name) for name in names if name.startswith("model.")}
        )
        if optimizer is not None:
            slots: dict[int, dict[str, torch.Tensor]] = {}
            for name in names:
                if name.startswith("optimizer."):
                    _, index, slot = name.split(".")
                    slots.setdefault(int(index), {})[slot] = file.get_tensor(name)
            optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return state
