"""Where to compute."""

from __future__ import annotations

import torch

from explorer.errors import UserError


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has bfloat16 in hardware. A processor that imitates it is five times slower than in float32."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


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
