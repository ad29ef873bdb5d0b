"""When to abstain: how the risk falls as the films a regime is least sure of are left to a reader.

AURC averages the selective risk, errors among the films kept, over all coverages (Geifman & El-Yaniv, NeurIPS 2017).
AUGRC averages the generalised risk, errors that are kept as a share of all films (Traub et al., NeurIPS 2024): it does
not count the first few kept films as much as all others together. Random abstention leaves the selective risk as it
is. Films of equal confidence are kept in random order, as an expectation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.jackknife import SILENT, standard_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

AREAS: tuple[str, ...] = ("aurc", "augrc")
_CHUNK = 2**22


def areas(
    loss: NDArray[np.floating], confidence: NDArray[np.floating], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """AURC and AUGRC under weights.

    Parameters
    ----------
    loss : (n,)
        1 where a film's prediction is wrong, else 0.
    confidence : (n,)
        The least sure films are left out first.
    weights : (n, B)
        How often each film counts: whole numbers.

    Returns
    -------
    (B, 2)
        NaN where no film counts.
    """
    starts, order = _ties(confidence)
    block = max(1, _CHUNK // max(len(loss), 1))
    parts = [
        _areas(loss[order], starts, weights[order, start : start + block].astype(np.float64))
        for start in range(0, weights.shape[1], block)
    ]
    return np.concatenate(parts)


def _areas(loss: NDArray[np.floating], starts: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of films already in order, by groups of equal confidence."""
    films = np.add.reduceat(weights, starts, axis=0)  # (K, B)
    errors = np.add.reduceat(weights * loss[:, None], starts, axis=0)
    before, errors_before = np.cumsum(films, axis=0) - films, np.cumsum(errors, axis=0) - errors
    total = films.sum(axis=0)
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, int(total.max(initial=0)) + 1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        # the mean of (errors_before + errors * j / films) / (before + j) over the group's films j, times their number
        slope = np.where(films > 0, errors / films, 0)
        steps = harmonic[(before + films).astype(np.int64)] - harmonic[before.astype(np.int64)]
        aurc = (errors + (errors_before - slope * before) * steps).sum(axis=0) / total
        augrc = (films * (errors_before + errors / 2)).sum(axis=0) / total**2
    return np.stack([aurc, augrc], axis=1)


def random_areas(loss: NDArray[np.floating], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B, 2) AURC and AUGRC of random abstention: the risk, and half of it; arguments as in :func:`areas`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        risk = loss @ weights.astype(np.float64) / weights.sum(axis=0)
    return np.stack([risk, risk / 2], axis=1)


def selective_risk(
    loss: NDArray[np.floating],
    confidence: NDArray[np.floating],
    weights: NDArray[np.float32],
    coverages: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(B, T) the share of errors among the films kept, at each coverage; other arguments as in :func:`areas`."""
    starts, order = _ties(confidence)
    out = np.full((weights.shape[1], len(coverages)), np.nan)
    for b, column in enumerate(weights.T.astype(np.float64)):
        mine = column[order]
        films = np.append(0, np.cumsum(np.add.reduceat(mine, starts)))
        errors = np.append(0, np.cumsum(np.add.reduceat(mine * loss[order], starts)))
        if films[-1] > 0:
            kept = coverages * films[-1]
            out[b] = np.interp(kept, films, errors) / kept
    return out


def kept_films(confidence: NDArray[np.floating], coverage: float) -> NDArray[np.bool_]:
    """(n,) the films that are kept at a coverage; of equal ones the earlier."""
    kept = np.zeros(len(confidence), bool)
    kept[np.argsort(-confidence, kind="stable")[: round(coverage * len(confidence))]] = True
    return kept


def jackknife_interval(
    value: NDArray[np.float64], left_out: NDArray[np.float64], units: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% intervals of figures, or of paired differences, from leaving out patients in turn.

    Parameters
    ----------
    value : (M,)
    left_out : (G, M)
        The same without each group of patients.
    units : int
        Patients with an error or without one, whichever are fewer.

    Returns
    -------
    low, high : (M,)
        NaN where no patient left out changes the figure, or it rests on one.
    """
    error = standard_error(left_out[None])[0]
    reach = stdtrit(max(units - 1, 1), 0.975) * np.where((error > SILENT) & (units > 1), error, np.nan)
    return value - reach, value + reach


def fewer_patients(loss: NDArray[np.floating], patients: NDArray[np.int64]) -> int:
    """Patients with an error or without one, whichever are fewer: what an interval rests on."""
    return min(len(np.unique(patients[loss == side])) for side in (0, 1))


def _ties(confidence: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each group of equal confidence starts in falling order, and that order (n,)."""
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    return np.flatnonzero(np.append(True, falling[1:] != falling[:-1])), order
