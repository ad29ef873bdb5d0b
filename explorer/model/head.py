"""Linear heads: what turns an embedding into logits, the same for every regime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Head:
    """A linear map from unit-norm embeddings to logits.

    Attributes
    ----------
    weight : (C, D) float32
    bias : (C,) float32
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) embeddings to (N, C) logits."""
        return embeddings @ self.weight.T + self.bias

    def save(self, path: Path) -> None:
        """Write a new file: another run may hold a link to the old one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        save_file({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}, path)


def prompt_head(positive: NDArray[np.float32], negative: NDArray[np.float32], logit_scale: float) -> Head:
    """The zero-shot classifier as a linear head.

    A softmax over the pair (positive, negative) of cosine similarities at scale s is a sigmoid of s(p - n). So the
    head's weight is s(p - n) and its bias 0 (CheXzero, Tiu et al., Nature BME 2022, Methods).

    Parameters
    ----------
    positive, negative : (C, D) unit norm
        One averaged and renormalised prompt embedding per label.
    logit_scale : float
        The model's trained s.

    Examples
    --------
    >>> import numpy as np
    >>> head = prompt_head(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), logit_scale=10)
    >>> head.logits(np.array([[0.6, 0.8]])).round(3).tolist()
    [[-2.0]]
    """
    weight = (logit_scale * (positive - negative)).astype(np.float32)
    return Head(weight, np.zeros(len(weight), dtype=np.float32))
