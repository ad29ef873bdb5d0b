"""How far a label's films lie from the rest: silhouette, Fisher ratio and distances, from sums over pairs.

A label's two groups are its positives and its known negatives; films where it is unknown take no part. A film is in
one group of each label that is known for it. Only pairs of films of different patients count. So
neither a patient's similar films nor a film that a resample holds twice look like a cluster.

For unit-norm vectors the sum of cosines between two groups is the product of their vector sums. Everything here is such
products less the few pairs within patients: no matrix of all pairs is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ComparedFilms:
    """Films in one space.

    Attributes
    ----------
    vectors : (n, D) unit norm
    same : (n, n) sparse, 1 for two films of one patient
    cosines : (n, n) sparse, the cosine of two films of one patient
    """

    vectors: NDArray[np.floating]
    same: sparse.csr_array
    cosines: sparse.csr_array

    @classmethod
    def of(cls, vectors: NDArray[np.floating], same: sparse.csr_array) -> ComparedFilms:
        """Films of a space, their same-patient cosines worked out."""
        one = np.repeat(np.arange(len(vectors)), np.diff(same.indptr))
        values = np.einsum("ed,ed->e", vectors[one], vectors[same.indices])
        return cls(vectors, same, sparse.csr_array((values, same.indices, same.indptr), same.shape))

    def take(self, rows: NDArray[np.int64]) -> ComparedFilms:
        """Some of the films."""
        return ComparedFilms(self.vectors[rows], self.same[rows][:, rows], self.cosines[rows][:, rows])


class Contrast(NamedTuple):
    """(R,) each, one per shuffle or resample; larger is further apart.

    ``silhouette``: mean over positives of (b - a) / max(a, b). There a is the mean cosine distance to other patients'
    positives, b to their negatives (Rousseeuw 1987). Where no patient has two films, it is scikit-learn's
    ``silhouette_samples``.
    ``fisher``: squared distance of the two groups' means over the sum of their variances (Fisher 1936). It is unbiased,
    with the trace of the covariances; 0 for groups of one distribution.
    ``distance``: mean cosine distance of positives to negatives over that among positives. 1 for groups of one
    distribution.
    """

    silhouette: NDArray[np.float64]
    fisher: NDArray[np.float64]
    distance: NDArray[np.float64]


def contrast(
    films: ComparedFilms,
    positive: NDArray[np.floating],
    negative: NDArray[np.floating],
    rows: NDArray[np.int64] | None = None,
) -> Contrast:
    """All three of one label against its rest.

    Parameters
    ----------
    films : n films
    positive, negative : (n, R)
        How often each film counts as positive and as negative in each of R shuffles or resamples.
    rows : (m,), optional
        Where ``positive`` is not zero in some column; all by default.

    Returns
    -------
    Contrast
        NaN without positives of two patients, or without negatives of two.

    Notes
    -----
    With unit norms half the squared distance is 1 - cosine. So a group's variance is the mean cosine distance of two of
    its films. The squared distance of two means is twice the mean distance between the groups, less both variances.
    """
    x = films.vectors
    m = np.arange(len(x)) if rows is None else rows
    asked, x_m = positive[m], x[m]
    to_positive, to_negative = x_m.T @ asked, x.T @ negative  # (D, R) sums of vectors
    near = x_m @ to_positive - films.cosines[m] @ positive  # (m, R) sums of cosines to positives of other patients
    far = x_m @ to_negative - films.cosines[m] @ negative
    n_near = positive.sum(axis=0) - films.same[m] @ positive  # (m, R) how many those are
    n_far = negative.sum(axis=0) - films.same[m] @ negative
    a, b = 1 - _mean(near, n_near), 1 - _mean(far, n_far)
    each = _mean(b - a, np.maximum(a, b))
    counted = np.where(np.isfinite(each), asked, 0)
    silhouette = _mean((counted * np.nan_to_num(each)).sum(axis=0), counted.sum(axis=0))
    within = 1 - _mean((asked * near).sum(axis=0), (asked * n_near).sum(axis=0))
    between = 1 - _mean((asked * far).sum(axis=0), (asked * n_far).sum(axis=0))
    cosines = (to_negative**2).sum(axis=0) - (negative * (films.cosines @ negative)).sum(axis=0)
    pairs = negative.sum(axis=0) ** 2 - (negative * (films.same @ negative)).sum(axis=0)
    rest = 1 - _mean(cosines, pairs)
    fisher = 2 * _mean(between, within + rest) - 1
    distance = _mean(between, within)
    return Contrast(*(np.asarray(part, np.float64) for part in (silhouette, fisher, distance)))


def _mean(total: NDArray[np.floating], count: NDArray[np.floating]) -> NDArray[np.floating]:
    """NaN where nothing is counted."""
    some = count > 0
    return np.where(some, total / np.where(some, count, 1), np.nan)
