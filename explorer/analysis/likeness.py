"""How alike two spaces are: do they hold the same films near each other?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

GROUPS = 20
"""Of patients, each left out once for CKA's interval."""


def cka(
    one: NDArray[np.float32], other: NDArray[np.float32], patients: NDArray[np.int64], seed: int
) -> tuple[float, float, float]:
    """Linear centred kernel alignment, debiased, of two spaces of the same films.

    Kornblith et al. (ICML 2019, section 3), with the unbiased estimate of HSIC (Song et al., JMLR 2012, equation 5).
    The plain estimate nears 1 for any two spaces with more dimensions than films. This one is 1 for spaces
    alike up to rotation and scale, and about 0 for unrelated ones.

    Parameters
    ----------
    one, other : (n, D), (n, E)
    patients : (n,)
    seed : int
        Shares patients out among GROUPS.

    Returns
    -------
    value, low, high
        95% interval from leaving out each group of patients in turn (jackknife, Efron & Tibshirani 1993, chapter 11). A
        bootstrap would pair a film with its own copy, which is alike in every space. NaN with fewer than 8 patients.
    """
    _, member = np.unique(patients, return_inverse=True)
    n_patients = int(member.max()) + 1
    if n_patients < 8:
        return np.nan, np.nan, np.nan
    x, y = (v.astype(np.float64) - v.mean(axis=0, dtype=np.float64) for v in (one, other))
    groups = min(GROUPS, n_patients)
    group = (np.random.default_rng(seed).permutation(n_patients) % groups)[member]
    pairs = ((x, y), (x, x), (y, y))
    whole = [a.T @ b for a, b in pairs]  # (D, E) each
    value = _aligned([_hsic(a, b, product) for (a, b), product in zip(pairs, whole, strict=True)])
    left_out = []
    for g in range(groups):
        out, kept = group == g, group != g
        rest = [product - a[out].T @ b[out] for (a, b), product in zip(pairs, whole, strict=True)]
        left_out.append(
            _aligned([_hsic(a[kept], b[kept], product) for (a, b), product in zip(pairs, rest, strict=True)])
        )
    error = np.sqrt((groups - 1) * np.var(left_out))
    half = float(stdtrit(groups - 1, 0.975) * error)
    return value, max(-1.0, value - half), min(1.0, value + half)


def _hsic(x: NDArray[np.float64], y: NDArray[np.float64], product: NDArray[np.float64]) -> float:
    """Unbiased HSIC of linear kernels from ``product`` = x.T @ y, without the (n, n) kernels."""
    n = len(x)
    own_x, own_y = (x**2).sum(axis=1), (y**2).sum(axis=1)
    row_x, row_y = x @ x.sum(axis=0) - own_x, y @ y.sum(axis=0) - own_y  # kernel row sums without the diagonal
    trace = (product**2).sum() - own_x @ own_y
    middle = row_x.sum() * row_y.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (row_x @ row_y)
    return float((trace + middle) / (n * (n - 3)))


def _aligned(hsic: list[float]) -> float:
    both, one, other = hsic
    return both / float(np.sqrt(one * other)) if one > 0 and other > 0 else np.nan


def shared_neighbours(near: sparse.csr_array, near_other: sparse.csr_array) -> NDArray[np.float64]:
    """(n,) the share of each film's nearest films in one space that are among its nearest in the other.

    Parameters
    ----------
    near, near_other : (n, n)
        Of :func:`explorer.analysis.neighbour_purity.neighbours_of_others`, with the same k.
    """
    shared = np.asarray(near.multiply(near_other).sum(axis=1), np.float64)
    return shared / np.maximum(np.asarray(near.sum(axis=1), np.float64), 1)
