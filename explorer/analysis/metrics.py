"""Multi-label metrics with patient-level intervals and trivial baselines.

Each label is scored on the rows where it is known. Intervals of metrics come from leaving out patients in turn
(:mod:`explorer.analysis.jackknife`), the same for all labels and regimes, so that differences between regimes are
paired. The cluster bootstrap over patients here (Efron & Tibshirani 1993, chapter 8) serves figures of other kinds: a
patient drawn k times counts k times, with all of their films.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import Estimates, groups_of, intervals
from explorer.analysis.pooled import MICRO, evidence, tasks
from explorer.analysis.ranking import BINARY_METRICS, baselines, rank, score
from explorer.data.labels import DOMAINS

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
    "in_macro",
)
MACRO = "macro"
"""The pseudo-label of figures averaged over the labels with enough patients."""
MACRO_ALL = "macro over all labels"
"""The pseudo-label of figures averaged over every label that has one, as the paper does."""

METRICS: tuple[str, ...] = tuple(BINARY_METRICS)
"""Names of the figures; the last axis of every array of them."""

_CHUNK = 2**22
"""Numbers handled at once: bounds memory at about 32 MB an array whatever the films and resamples."""


class Scored(NamedTuple):
    """One regime's scores of n films: logits (n, C), and thresholds (C,) in their units, NaN where there is none."""

    logits: NDArray[np.float32]
    thresholds: NDArray[np.float32]


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
        resampled = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(min(block, resamples - start))]
        yield np.stack(resampled, axis=1).astype(np.float32)[member]


def patient_weights(patients: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.float64]:
    """(B, N) the same weights, a resample a row, all at once."""
    (weights,) = weight_blocks(patients, resamples, seed, resamples)
    return weights.T.astype(np.float64)


def well_known(targets: NDArray[np.float32], patients: NDArray[np.int64], enough: int = ENOUGH) -> NDArray[np.bool_]:
    """(C,) labels with a positive film in so many patients, and a negative one in so many: those a mean may rest on."""
    return np.array(
        [min(len(np.unique(patients[column == value])) for value in (0, 1)) >= enough for column in targets.T], bool
    )


def estimate(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scored],
    patients: NDArray[np.int64],
    averaged: NDArray[np.bool_] | None = None,
    *,
    pooled: bool = True,
) -> dict[str, Estimates]:
    """Every metric of every label in every regime, on the films and without each patient in turn.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN for unknown
    regimes : name to Scored
    patients : (n,) int
    averaged : (C,) bool, optional
        The labels that MACRO is over; by default :func:`well_known`. Figures to be compared need the same.
    pooled : bool
        Whether domains and MICRO, which take longest, are among the tasks.

    Returns
    -------
    dict
        Regime to Estimates; a value is NaN where the films hold no positive or no negative. The last two rows are MACRO
        and MACRO_ALL.
    """
    if len(targets) == 0:
        raise ValueError("metrics need at least one row")
    if averaged is None:
        averaged = well_known(targets, patients)
    without, once = groups_of(patients), np.ones((len(targets), 1), dtype=np.float32)
    by_metric = {}
    for name, scored in regimes.items():
        asked = tasks(labels, targets, *scored)[: None if pooled else len(labels)]
        parts = []
        for task in asked:
            ranking = rank(task.targets, task.scores, task.calls, task.films, len(targets))
            block = max(1, _CHUNK // ranking.size)
            blocks = (without[:, start : start + block] for start in range(0, without.shape[1], block))
            left_out = np.concatenate([score(ranking, np.ascontiguousarray(weights)) for weights in blocks])
            parts.append((score(ranking, once)[0], baselines(ranking), left_out))
        value, baseline, left_out = (np.stack(column) for column in zip(*parts, strict=True))
        counts = np.stack([_counts(task.targets) for task in asked])
        known = ~np.isnan(value[: len(labels)]).all(axis=1)
        members = np.zeros((len(asked) + 2, len(labels)), bool)
        members[-2:] = averaged & known, known

        def with_means(figures: NDArray[np.float64], members: NDArray[np.bool_] = members) -> NDArray[np.float64]:
            means = [mean_defined(figures[: members.shape[1]][row]) for row in members[-2:]]
            return np.concatenate([figures, np.stack(means)])

        by_metric[name] = Estimates(
            names=(*(task.name for task in asked), MACRO, MACRO_ALL),
            metrics=METRICS,
            value=with_means(value),
            baseline=with_means(baseline),
            left_out=with_means(left_out),
            counts=np.vstack([counts, *(counts[: len(labels)][row].sum(axis=0) for row in members[-2:])]),
            patients=np.array([*(evidence(task, patients) for task in asked), (0, 0, 0), (0, 0, 0)]),
            members=members,
        )
    return by_metric


def summarise(estimates: Estimates) -> pd.DataFrame:
    """METRIC_COLUMNS without regime and split: every figure with its 95% interval, counts and trivial baseline."""
    low, high = intervals(estimates)
    frame = pd.DataFrame(
        {
            "label": np.repeat(estimates.names, len(METRICS)),
            "metric": np.tile(METRICS, len(estimates.names)),
            "value": estimates.value.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
            "baseline": estimates.baseline.ravel(),
        }
    )
    frame[["n_pos", "n_neg", "n_unknown"]] = np.repeat(estimates.counts, len(METRICS), axis=0)
    averaged = np.zeros(len(estimates.names), bool)
    averaged[: estimates.members.shape[1]] = estimates.members[-2]
    frame["in_macro"] = np.repeat(averaged, len(METRICS))
    return frame[[column for column in METRIC_COLUMNS if column in frame]]


def of_older(frame: pd.DataFrame) -> pd.DataFrame:
    """METRIC_COLUMNS of a run of schema 1.3 or older, whose MACRO was over all labels that have a figure."""
    if "in_macro" in frame:
        return frame
    frame = frame.assign(in_macro=~frame["label"].isin([MACRO, MICRO, *DOMAINS]) & frame["value"].notna())
    return pd.concat([frame, frame[frame["label"] == MACRO].assign(label=MACRO_ALL)], ignore_index=True)


class LabelMean(NamedTuple):
    """The mean over labels that stands for a split.

    Attributes
    ----------
    name : str
        MACRO, or MACRO_ALL where no label has enough patients.
    labels : names of the labels that it is over
    title, note : str
        What it is over in a few words, and in full sentences with the labels left out.
    """

    name: str
    labels: tuple[str, ...]
    title: str
    note: str


def label_mean(frame: pd.DataFrame, enough: int = ENOUGH) -> LabelMean:
    """Which mean over labels to show, from a frame of METRIC_COLUMNS of one split; ``enough`` is the run's.

    Examples
    --------
    >>> import numpy as np
    >>> scores = Scored(np.zeros((40, 2), np.float32), np.zeros(2, np.float32))
    >>> targets = np.float32([[i % 2, i == 0] for i in range(40)])
    >>> frame = summarise(estimate("ab", targets, {"one": scores}, np.arange(40))["one"])
    >>> label_mean(frame).title, label_mean(frame).name
    ('mean over 1 of 2 labels', 'macro')
    >>> label_mean(frame[frame["label"] == "b"].assign(in_macro=False)).name
    'macro over all labels'
    """
    single = frame[~frame["label"].isin([MACRO, MACRO_ALL, MICRO, *DOMAINS])]
    names = single["label"].unique().tolist()
    chosen = set(single.loc[single["in_macro"].astype(bool), "label"])
    known = set(single.loc[single["value"].notna(), "label"])
    labels = tuple(label for label in names if label in (chosen or known))
    left_out = [label for label in names if label not in labels]
    title = f"mean over {len(labels)} of {len(names)} labels"
    note = f"{title[0].upper()}{title[1:]}."
    if chosen:
        if left_out:
            note += (
                f" Left out, with fewer than {enough} positive or {enough} negative patients: {', '.join(left_out)}."
            )
        return LabelMean(MACRO, labels, title, note)
    note += f" No label has {enough} positive and {enough} negative patients in val and test, so it rests on few."
    return LabelMean(MACRO_ALL, labels, title, note)


def evaluate(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    logits: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    patients: NDArray[np.int64],
) -> pd.DataFrame:
    """One regime's :func:`summarise` from its scores; see :func:`estimate`."""
    return summarise(estimate(labels, targets, {"only": Scored(logits, thresholds)}, patients)["only"])


def interval(
    value: NDArray[np.float64], resampled: NDArray[np.float64], units: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% bootstrap intervals: bias-corrected percentiles, expanded for few units.

    Parameters
    ----------
    value : (T, M)
        The figures on the films themselves.
    resampled : (T, B, M)
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
    shift, spread = _shift(value, resampled), _expansion(units)
    reach = stdtrit(units_left(units), 0.975) * spread
    known = np.sort(resampled, axis=1)  # NaN last
    n = (~np.isnan(known)).sum(axis=1)  # (T, M)
    enough = _enough(value, resampled, units)

    def quantile(share: NDArray[np.float64]) -> NDArray[np.float64]:
        place = share * np.maximum(n - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(n - 1, 0))
        low, high = (np.take_along_axis(known, at[:, None], axis=1)[:, 0] for at in (below, above))
        return np.where(enough, low + (place - below) * (high - low), np.nan)

    return quantile(ndtr(2 * shift - reach[:, None])), quantile(ndtr(2 * shift + reach[:, None]))


def units_left(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Degrees of freedom."""
    return np.maximum(units, 2) - 1


def _enough(value: NDArray[np.float64], resampled: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T, M) where the resamples can say how sure a figure is."""
    known = ~np.isnan(resampled)
    spread = np.where(known, resampled, -np.inf).max(axis=1) > np.where(known, resampled, np.inf).min(axis=1)
    often = known.sum(axis=1) * 2 >= resampled.shape[1]
    return np.asarray(often & spread & ~np.isnan(value) & (units[:, None] > 1))


def _expansion(units: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(1 + 1 / units_left(units)))


def _shift(value: NDArray[np.float64], resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the draws' median lies from the value, in normal quantiles."""
    n = np.maximum((~np.isnan(resampled)).sum(axis=1), 1)
    return np.asarray(ndtri(np.clip(_share_below(value, resampled), 1 / (n + 1), 1 - 1 / (n + 1))))


def _share_below(value: NDArray[np.float64], resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the defined draws below a value; those equal to it count half."""
    n = np.maximum((~np.isnan(resampled)).sum(axis=1), 1)
    at = value[:, None]
    return np.asarray(((resampled < at).sum(axis=1) + (resampled == at).sum(axis=1) / 2) / n)


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _counts(targets: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.array([(targets == 1).sum(), (targets == 0).sum(), np.isnan(targets).sum()])
