"""The zero-shot regime: a head from prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.model.encoder import Clip
from precompute.prompts import Prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embed_prompts(clip: Clip, prompts: dict[str, Prompts]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(C, D) positive and (C, D) negative prompt embeddings, each label's averaged and renormalised."""
    return (
        np.stack([_mean_direction(clip, p.positive) for p in prompts.values()]),
        np.stack([_mean_direction(clip, p.negative) for p in prompts.values()]),
    )


def _mean_direction(clip: Clip, texts: tuple[str, ...]) -> NDArray[np.float32]:
    mean = clip.embed_text(texts).mean(axis=0)
    direction: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return direction
