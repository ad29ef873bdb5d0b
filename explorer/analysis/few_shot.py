"""How a head's figures grow with the positives it was fitted to: draws of patients, and figures with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import stdtr

from explorer.analysis.metrics import interval, mean_defined, units_left, weight_blocks
from explorer.analysis.ranking import baselines, rank, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL_SHOTS = -1
"""In place of a number of positives: every film of train."""
MACRO = "macro"
"""The mean over the labels that have the largest number of positives tried, the same labels for every number."""
METRICS = ("average_precision", "auroc")
FEW_SHOT_COLUMNS = (
    *("regime", "label", "shots", "metric", "value", "ci_low", "ci_high", "baseline"),
    *("difference", "difference_low", "difference_high", "p", "n_films", "n_pos", "n_neg", "n_draws"),
)


def nested_draws(
    targets: NDArray[np.float32], patients: NDArray[np.int64], shots: Sequence[int], seed: int
) -> dict[int, NDArray[np.int64]]:
    """Films of patients drawn so that each label has k positive and k negative patients, for each k.

    Patients come in one random order. For each label in turn, the rarest first, the next patients who have it are taken
    until it has k, and so for those who are known not to have it. A label with fewer takes all that it has. The films
    for a smaller k are among those for a larger one.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
    patients : (n,)
    shots : the numbers k, ascending

    Returns
    -------
    dict
        By k, the places of the films, ascending.
    """
    names, member = np.unique(patients, return_inverse=True)
    has = np.zeros((2, len(names), targets.shape[1]), dtype=bool)  # negative, positive
    for state in (0, 1):
        np.logical_or.at(has[state], member, targets == state)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = np.zeros(len(names), dtype=bool)
    drawn = {}
    for k in shots:
        for state in (1, 0):
            for c in np.argsort(has[state].sum(axis=0), kind="stable"):
                waiting = order[has[state, order, c] & ~taken[order]]
                taken[waiting[: max(k - int(has[state, taken, c].sum()), 0)]] = True
        drawn[k] = np.flatnonzero(taken[member])
    return drawn


def patients_with(targets: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C,) patients who have each label on a film."""
    return np.array([len(np.unique(patients[column == 1])) for column in targets.T], dtype=np.int64)


def few_shot_frame(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    patients: NDArray[np.int64],
    by_shots: Mapping[int, Sequence[NDArray[np.float32]]],
    enough: Mapping[int, NDArray[np.bool_]],
    averaged: NDArray[np.bool_],
    reference: NDArray[np.float32] | None,
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """One regime's average precision and AUROC for each number of positives, and their difference from a reference.

    A figure is the mean over draws. Its interval resamples draws and patients together, and so does that of the
    difference, where both heads score the same resampled films. ``p`` is of a t test with the resamples' spread.

    Parameters
    ----------
    targets : (n, C) 1, 0 or NaN
        Of the films that are scored.
    patients : (n,)
    by_shots : number of positives to (n, C) logits for each draw
    enough : number of positives to (C,) whether train has so many of the label
    averaged : (C,)
        The labels of the mean.
    reference : (n, C), optional
        Logits of the regime to compare with.

    Returns
    -------
    DataFrame
        FEW_SHOT_COLUMNS but for regime and n_films.
    """
    (weights,) = weight_blocks(patients, resamples, seed, resamples)
    weights = np.hstack([np.ones((len(targets), 1), np.float32), weights])  # (n, 1 + B): the films themselves first
    against = None if reference is None else _figures(targets, reference, weights)
    counts = np.stack([(targets == 1).sum(axis=0), (targets == 0).sum(axis=0)], axis=1)
    units = np.minimum(patients_with(targets, patients), patients_with(1 - targets, patients))
    units = np.append(units, len(np.unique(patients)))
    trivial = np.stack([baselines(rank(column, np.zeros(len(column))), METRICS) for column in targets.T])
    trivial = np.vstack([trivial, mean_defined(trivial[averaged])])
    rows = []
    for shots, draws in by_shots.items():
        figures = np.stack([_figures(targets, logits, weights) for logits in draws])  # (D, C, 1 + B, M)
        figures = _with_macro(figures, averaged)
        value, spread = _over_draws(figures, seed)
        pairs = [(value, *interval(value, spread, units))]
        if against is not None:
            difference, apart = _over_draws(figures - _with_macro(against[None], averaged), seed)
            resampled = np.moveaxis(apart, 1, 0)
            error = np.sqrt(mean_defined((resampled - mean_defined(resampled)) ** 2))
            with np.errstate(divide="ignore", invalid="ignore"):
                p = 2 * stdtr(units_left(units)[:, None], -np.abs(difference) / error)
            pairs.append((difference, *interval(difference, apart, units)))
        for c, label in enumerate([*labels, MACRO]):
            if label != MACRO and not enough[shots][c]:
                continue
            for m, metric in enumerate(METRICS):
                of_value, *of_difference = [[float(part[c, m]) for part in pair] for pair in pairs]
                lacking = [np.nan] * 4
                rows.append(
                    [
                        *(label, shots, metric, *of_value, trivial[c, m]),
                        *([*of_difference[0], float(p[c, m])] if of_difference else lacking),
                        *(counts[c] if label != MACRO else (0, 0)),
                        len(draws),
                    ]
                )
    return pd.DataFrame(rows, columns=[name for name in FEW_SHOT_COLUMNS if name not in ("regime", "n_films")])


def _figures(
    targets: NDArray[np.float32], logits: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(C, 1 + B, M) of each label on each resample."""
    pairs = zip(targets.T, logits.T, strict=True)
    return np.stack([score(rank(truth, scores), weights, METRICS) for truth, scores in pairs])


def _with_macro(figures: NDArray[np.float64], averaged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(D, C + 1, 1 + B, M): the mean over some labels comes last."""
    mean = mean_defined(np.moveaxis(figures[:, averaged], 1, 0))
    return np.concatenate([figures, mean[:, None]], axis=1)


def _over_draws(figures: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C + 1, M) means over draws on the films themselves, and (C + 1, B, M) on resampled draws and patients."""
    n_draws, _, n_resamples, _ = figures.shape
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=n_resamples - 1) / n_draws  # (B, D)
    spread = np.einsum("bd,dcbm->cbm", counts, figures[:, :, 1:])
    return figures[:, :, 0].mean(axis=0), spread
