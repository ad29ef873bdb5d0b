"""The zero-shot regime: a head from prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import UserError
from explorer.model.encoder import Clip
from precompute.prompts import Prompts, PromptSet

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embed_prompts(clip: Clip, prompts: dict[str, Prompts]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(C, D) positive and (C, D) negative prompt embeddings, each label's averaged and renormalised.

    A label without negative prompts has zeros there: its logit is then the scaled cosine to the positive alone.

    Raises
    ------
    UserError
        Where the tokenizer reads different prompts as the same tokens. A vocabulary that does not know the words would
        otherwise silently score every label alike.
    """
    texts = sorted({text for p in prompts.values() for text in (*p.positive, *p.negative)})
    tokens = clip.tokenizer(texts).tolist()
    seen: dict[tuple[int, ...], str] = {}
    for text, ids in zip(texts, tokens, strict=True):
        same = seen.setdefault(tuple(ids), text)
        if same.lower() != text.lower():
            raise UserError(
                f"The encoder's tokenizer reads {same!r} and {text!r} as the same tokens.",
                "Check that its vocabulary belongs to it, or choose prompts in words it knows.",
            )
    return (
        np.stack([_mean_direction(clip, p.positive) for p in prompts.values()]),
        np.stack([_mean_direction(clip, p.negative) for p in prompts.values()]),
    )


def sentences(prompt_sets: Sequence[PromptSet]) -> list[str]:
    """Every sentence of the sets once, sorted: what the store keeps embedded, so that they can be combined anew."""
    prompts = [p for prompt_set in prompt_sets for p in prompt_set.labels.values()]
    return sorted({text for p in prompts for text in (*p.positive, *p.negative)})


def _mean_direction(clip: Clip, texts: tuple[str, ...]) -> NDArray[np.float32]:
    if not texts:
        return np.zeros(clip.tower.dim, dtype=np.float32)
    mean = clip.embed_text(texts).mean(axis=0)
    direction: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return direction
