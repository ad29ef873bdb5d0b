"""What ties films of one patient together: they never stand as evidence for each other, and labels are shuffled by
patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def same_patient(patients: NDArray[np.int64]) -> sparse.csr_array:
    """(n, n) sparse float32: 1 where two films are of one patient, each film with itself among them."""
    _, member = np.unique(patients, return_inverse=True)
    of = sparse.csr_array((np.ones(len(member), np.float32), (np.arange(len(member)), member)))
    return sparse.csr_array(of @ of.T)


def shuffles(patients: NDArray[np.int64], times: int, seed: int) -> NDArray[np.int64]:
    """Orders that shuffle label rows by patient.

    Patients in one random order lay their films' label rows end to end over the films of patients in another. Where all
    have as many films this exchanges whole patients; else a patient's rows still stay next to each other. Shuffling
    films one by one would pull a patient's like labels apart and make the null too narrow.

    Parameters
    ----------
    patients : (n,)
    times : int

    Returns
    -------
    (times, n) int64
        ``targets[order]`` is one labelling of the null.
    """
    _, member = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    n_patients = int(member.max()) + 1
    orders = np.empty((times, len(member)), np.int64)
    for order in orders:
        giver, taker = (np.argsort(rng.permutation(n_patients)[member], kind="stable") for _ in range(2))
        order[taker] = giver
    return orders
