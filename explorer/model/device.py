"""Where to compute."""

from __future__ import annotations

import torch

from explorer.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device asked for, or with ``auto`` a GPU where there is one.

    Raises
    ------
    UserError
        Where the device asked for is not there.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device {name!r} cannot be used: {error}", "Use --device auto or --device cpu.") from error
    return device
