"""Training state in safetensors: resumable after a kill, hashed, and no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from explorer.errors import UserError
from explorer.store.files import atomic_path

_STATE = "state"
"""Its hash and, on the next line, the JSON: one value, since safetensors writes several in any order."""


class DamagedCheckpoint(UserError):
    """A checkpoint that is absent, cut or altered."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"The checkpoint {path} is damaged.", "Delete it, and train again from the start.")


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, state: dict[str, object]
) -> None:
    """Write weights, a small JSON state and, where there is one, the optimiser's state to one file, atomically.

    Parameters
    ----------
    state : dict
        Anything JSON holds: the epoch done, the curve so far, the best value.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if optimizer is not None:
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(state)
    with atomic_path(path) as temp:
        save_file(tensors, temp, metadata={_STATE: f"{_sha256(tensors, text)}\n{text}"})


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, object]:
    """Restore what :func:`save_checkpoint` wrote, in place; return its JSON state.

    The optimiser keeps its own parameter groups (learning rates belong to the schedule, not to the checkpoint).

    Raises
    ------
    DamagedCheckpoint
        Before anything is changed.
    """
    tensors, state = read_checkpoint(path)
    restore(tensors, model, optimizer)
    return state


def restore(tensors: Mapping[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Put what :func:`read_checkpoint` read into a model and its optimiser."""
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    if optimizer is not None:
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, slot = name.split(".")
                slots.setdefault(int(index), {})[slot] = tensor
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """The tensors and the JSON state of a checkpoint whose hash agrees."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            sha256, _, text = metadata[_STATE].partition("\n")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError, KeyError) as error:
        raise DamagedCheckpoint(path) from error
    if _sha256(tensors, text) != sha256:
        raise DamagedCheckpoint(path)
    state: dict[str, object] = json.loads(text)
    return tensors, state


def _sha256(tensors: Mapping[str, torch.Tensor], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
