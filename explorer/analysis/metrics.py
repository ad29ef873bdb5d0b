"""Multi-label metrics with patient-level bootstrap intervals and trivial baselines.

Each label is scored on the rows where it is known. Intervals come from a cluster bootstrap over patients (Efron &
Tibshirani 1993, chapter 8): a patient drawn k times counts k times, with all of their films. The same draws serve all
labels and regimes, so that differences between regimes are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.pooled import tasks, units
from explorer.analysis.ranking import BINARY_METRICS, baselines, rank, score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

METRIC_COLUMNS: tuple[str, ...] = (
    "regime",
    "label",
    "split",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n_pos",
    "n_neg",
    "n_unknown",
    "baseline",
)
MACRO = "macro"
"""The pseudo-label of figures averaged over labels."""

METRICS: tuple[str, ...] = tuple(BINARY_METRICS)
"""Names of the figures; the last axis of every array of them."""

_CHUNK = 2**22
"""Numbers handled at once: bounds memory at about 32 MB an array whatever the films and resamples."""


class Scored(NamedTuple):
    """One regime's scores of n films: logits (n, C), and thresholds (C,) in their units, NaN where there is none."""

    logits: NDArray[np.float32]
    thresholds: NDArray[np.float32]


@dataclass(frozen=True)
class Draws:
    """A regime's figures on the films and on each resample of them.

    Attributes
    ----------
    names : T labels, domains, MICRO and last MACRO
    value, baseline : (T, M)
    drawn : (T, B, M)
        NaN where a resample does not define a figure.
    counts : (T, 3)
        Rows known positive, known negative and unknown; MACRO and MICRO count film-label pairs.
    units : (T,)
        Independent pieces of evidence: patients with a positive or with a negative, whichever are fewer.
    """

    names: tuple[str, ...]
    value: NDArray[np.float64]
    baseline: NDArray[np.float64]
    drawn: NDArray[np.float64]
    counts: NDArray[np.int64]
    units: NDArray[np.int64]


def weight_blocks(patients: NDArray[np.int64], resamples: int, seed: int, block: int) -> Iterator[NDArray[np.float32]]:
    """Film weights of a cluster bootstrap over patients, ``block`` resamples at a time.

    Parameters
    ----------
    patients : (N,) int
        Which patient each film belongs to.

    Yields
    ------
    (N, b) float32
        How often each film counts; a patient's films always count alike.
    """
    _, member = np.unique(patients, return_inverse=True)
    n = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, block):
        drawn = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(min(block, resamples - start))]
        yield np.stack(drawn, axis=1).astype(np.float32)[member]


def patient_weights(patients: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.float64]:
    """(B, N) the same weights, a resample a row, all at once."""
    (weights,) = weight_blocks(patients, resamples, seed, resamples)
    return weights.T.astype(np.float64)


def resample(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Draws]:
    """Every metric of every label in every regime, on the films and on the same resamples of their patients.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN for unknown
    regimes : name to Scored
    patients : (n,) int

    Returns
    -------
    dict
        Regime to Draws. A value is NaN where the films hold no positive or no negative. MACRO averages the labels whose
        value exists; a resample may lose a rare label, and its average then runs over those it kept.
    """
    if len(targets) == 0:
        raise ValueError("metrics need at least one row")
    asked = {name: tasks(labels, targets, *scored) for name, scored in regimes.items()}
    ranked = {
        name: [rank(t.targets, t.scores, t.calls, t.films, len(targets)) for t in found]
        for name, found in asked.items()
    }
    largest = max(ranking.size for rankings in ranked.values() for ranking in rankings)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in regimes}  # each (T, b, M)
    for weights in weight_blocks(patients, resamples, seed, max(1, _CHUNK // largest)):
        for name, rankings in ranked.items():
            parts[name].append(np.stack([score(ranking, weights) for ranking in rankings]))
    once = np.ones((len(targets), 1), dtype=np.float32)
    n_labels = len(labels)
    draws = {}
    for name, found in asked.items():
        value = np.concatenate([score(ranking, once) for ranking in ranked[name]])  # (T, M)
        baseline = np.stack([baselines(ranking) for ranking in ranked[name]])
        drawn = np.concatenate(parts[name], axis=1)
        counts = np.stack([_counts(task.targets) for task in found])
        evidence = np.array([units(task, patients) for task in found])
        draws[name] = Draws(
            names=(*(task.name for task in found), MACRO),
            value=np.vstack([value, mean_defined(value[:n_labels])]),
            baseline=np.vstack([baseline, mean_defined(baseline[:n_labels])]),
            drawn=np.concatenate([drawn, mean_defined(drawn[:n_labels])[None]]),
            counts=np.vstack([counts, counts[:n_labels].sum(0)]),
            units=np.append(evidence, len(np.unique(patients))),
        )
    return draws


def summarise(draws: Draws) -> pd.DataFrame:
    """METRIC_COLUMNS without regime and split: every figure with its 95% interval, counts and trivial baseline."""
    low, high = interval(draws.value, draws.drawn, draws.units)
    frame = pd.DataFrame(
        {
            "label": np.repeat(draws.names, len(METRICS)),
            "metric": np.tile(METRICS, len(draws.names)),
            "value": draws.value.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
            "baseline": draws.baseline.ravel(),
        }
    )
    frame[["n_pos", "n_neg", "n_unknown"]] = np.repeat(draws.counts, len(METRICS), axis=0)
    return frame[[column for column in METRIC_COLUMNS if column in frame]]


def evaluate(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    logits: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    patients: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """One regime's :func:`summarise` from its scores; see :func:`resample`."""
    regimes = {"only": Scored(logits, thresholds)}
    return summarise(resample(labels, targets, regimes, patients, resamples=resamples, seed=seed)["only"])


def interval(
    value: NDArray[np.float64], drawn: NDArray[np.float64], units: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% bootstrap intervals: bias-corrected percentiles, expanded for few units.

    Parameters
    ----------
    value : (T, M)
        The figures on the films themselves.
    drawn : (T, B, M)
        The figures on each resample, NaN where it does not define one.
    units : (T,)
        How many independent pieces of evidence each row rests on.

    Returns
    -------
    low, high : (T, M)
        NaN where there is none to give: the value is NaN, fewer than half of the resamples define it, they are all
        alike (no hit in any, say), or there is a single unit. What shows no spread does not show how sure it is.

    Notes
    -----
    Resampling a few positives repeats some of them, which raises average precision: plain percentiles sit too high and,
    with t quantiles missing, too narrow. The bias correction is Efron's (1981, Canadian Journal of Statistics 9), the
    expansion Hesterberg's (2015, The American Statistician 69, section on small samples). ``tests/test_coverage.py``
    holds their coverage.
    """
    shift, spread = _shift(value, drawn), _expansion(units)
    reach = stdtrit(units_left(units), 0.975) * spread
    known = np.sort(drawn, axis=1)  # NaN last
    n = (~np.isnan(known)).sum(axis=1)  # (T, M)
    enough = _enough(value, drawn, units)

    def quantile(share: NDArray[np.float64]) -> NDArray[np.float64]:
        place = share * np.maximum(n - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(n - 1, 0))
        low, high = (np.take_along_axis(known, at[:, None], axis=1)[:, 0] for at in (below, above))
        return np.where(enough, low + (place - below) * (high - low), np.nan)

    return quantile(ndtr(2 * shift - reach[:, None])), quantile(ndtr(2 * shift + reach[:, None]))


def p_value(value: NDArray[np.float64], drawn: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T, M) two-sided p of the figure being 0: the level at which :func:`interval` would just reach 0.

    Where no resample lies on the other side of 0, their spread is taken for a normal one's. NaN where the interval is.
    """
    n = (~np.isnan(drawn)).sum(axis=1)
    share, ends = _share_below(np.zeros_like(value), drawn), 1 / (n + 1)
    distance = np.abs(ndtri(np.clip(share, ends, 1 - ends)) - 2 * _shift(value, drawn))
    centred = drawn - mean_defined(np.moveaxis(drawn, 1, 0))[:, None]
    spread = np.sqrt(np.nansum(centred**2, axis=1) / np.maximum(n - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = np.where(np.isin(share, (0, 1)) & (spread > 0), np.abs(value) / spread, 0)
    p = 2 * stdtr(units_left(units)[:, None], -np.maximum(distance, tail) / _expansion(units)[:, None])
    return np.where(_enough(value, drawn, units), p, np.nan)


def units_left(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Degrees of freedom."""
    return np.maximum(units, 2) - 1


def _enough(value: NDArray[np.float64], drawn: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T, M) where the resamples can say how sure a figure is."""
    known = ~np.isnan(drawn)
    spread = np.where(known, drawn, -np.inf).max(axis=1) > np.where(known, drawn, np.inf).min(axis=1)
    often = known.sum(axis=1) * 2 >= drawn.shape[1]
    return np.asarray(often & spread & ~np.isnan(value) & (units[:, None] > 1))


def _expansion(units: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(1 + 1 / units_left(units)))


def _shift(value: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the draws' median lies from the value, in normal quantiles."""
    n = np.maximum((~np.isnan(drawn)).sum(axis=1), 1)
    return np.asarray(ndtri(np.clip(_share_below(value, drawn), 1 / (n + 1), 1 - 1 / (n + 1))))


def _share_below(value: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the defined draws below a value; those equal to it count half."""
    n = np.maximum((~np.isnan(drawn)).sum(axis=1), 1)
    at = value[:, None]
    return np.asarray(((drawn < at).sum(axis=1) + (drawn == at).sum(axis=1) / 2) / n)


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _counts(targets: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.array([(targets == 1).sum(), (targets == 0).sum(), np.isnan(targets).sum()])
