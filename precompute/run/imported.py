"""Embeddings made elsewhere, as a run takes them in place of an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 65536
"""Films copied at once, so that memory does not grow with the set."""


@dataclass(frozen=True)
class ImportedText:
    """What zero-shot's head is made of.

    Attributes
    ----------
    vectors : (2, C, D) float32
        Unit norm, the positive side first; zeros for a label without a negative side.
    scale : float
        The temperature s of cosine similarities.
    file, sha256 : str
    """

    vectors: NDArray[np.float32]
    scale: float
    file: str
    sha256: str


@dataclass(frozen=True)
class ImportedLogits:
    """Every film's logits by a model of which nothing else is known.

    Attributes
    ----------
    values : (M, C) float32
        In the order of the vectors' file.
    file, sha256 : str
    """

    values: NDArray[np.float32]
    file: str
    sha256: str


@dataclass(frozen=True)
class Imported:
    """Embeddings made elsewhere, checked, and what came with them.

    Attributes
    ----------
    title : str
        What made the vectors, in words.
    file, sha256 : str
    vectors : (M, D) floats
        As the file has them, memory-mapped where it allows it.
    norms : (M,) float32
        Their lengths; 1 where all are of unit norm already.
    order : (N,)
        By row of the source, the place of its film in ``vectors``.
    text, logits : optional
    """

    title: str
    file: str
    sha256: str
    vectors: NDArray[np.floating]
    norms: NDArray[np.float32]
    order: NDArray[np.int64]
    text: ImportedText | None = None
    logits: ImportedLogits | None = None

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def identity(self) -> dict[str, object]:
        """All that decides the result of a run made of it."""
        return {
            "vectors": self.sha256,
            "order": self.order.tolist(),
            "text": self.text and [self.text.sha256, self.text.scale],
            "logits": self.logits and self.logits.sha256,
        }

    def unit_vectors(self, places: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """The vectors at these places, brought to unit norm, some at a time: (n, D) each."""
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            yield (self.vectors[block] / self.norms[block, None]).astype(np.float32)
