"""Does a model score a film as the run has it? A map of one that does not would explain another score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.store.reader import Store

FLOAT32, TF32, BFLOAT16 = 1e-3, 4e-3, 2e-2
"""How far an embedding made anew may lie from the stored one, as a share of its length, by what made the stored one.

In float32, processors and decoders differ by 1e-6 to 1e-4. A GPU multiplies in TF32, whose 10 bits round by 5e-4. The 7
bits of bfloat16 round by 4e-3 at every step.
"""


def stored_embedding(store: Store, encoder: str, row: int, unit: bool) -> NDArray[np.float32]:
    """(D,) a film's embedding as a head reads it: at unit norm, or as long as the encoder made it."""
    embedding = np.asarray(store.embeddings(encoder)[row])
    return embedding if unit else embedding * store.norms(encoder)[row]


def check_scores(
    store: Store,
    encoder: str,
    weight: NDArray[np.float32],
    embedding: NDArray[np.float32],
    scores: NDArray[np.float32],
    stored: NDArray[np.float32],
) -> None:
    """Refuse a model that does not score a film as the run has it.

    Parameters
    ----------
    store : Store
    encoder : str
        The id of the encoder, in whose record its precision is.
    weight : (K, D)
        Of the head.
    embedding : (D,)
        As the run has it and the head reads it.
    scores : (K,)
        What the model gives now.
    stored : (K,)
        What the run has.
    """
    share = FLOAT32 if store.manifest.device.startswith("cpu") else TF32
    if store.encoder(encoder).precision == "bfloat16":
        share = BFLOAT16
    allowed = share * np.linalg.norm(weight, axis=1) * np.linalg.norm(embedding)
    wrong = np.flatnonzero(~(np.abs(scores - stored) <= allowed))  # NaN is wrong, too
    if len(wrong):
        k = wrong[0]
        raise UserError(
            f"The model gives this film {scores[k]:.4g} where the run has {stored[k]:.4g}, and may differ by "
            f"{allowed[k]:.2g}: a map would explain another score.",
            "Run `python -m precompute verify` on the store; if all is well there, run precompute again.",
        )
