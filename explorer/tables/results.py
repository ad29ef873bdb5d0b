"""The figures of a split: each with its interval and baseline, as tables and sentences."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from explorer.analysis.evidence import FEW
from explorer.analysis.metrics import MACRO, METRICS, LabelMean, interval, label_mean
from explorer.analysis.ranking import BINARY_METRICS
from explorer.data.samples import Split
from explorer.data.text import in_markdown
from explorer.figures.style import with_interval
from explorer.store.layout import METRICS as METRICS_FILE
from explorer.tables.labels import label_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.store.tables import Tables

T = TypeVar("T")

METRIC_TITLES = {name: metric.title for name, metric in BINARY_METRICS.items()}

MANY = 10_000
"""Units of evidence so many that t is the normal distribution."""

MISSING_NAMED = 3
"""How many missing figures a notice names."""


class Merit(NamedTuple):
    """One figure with its 95% interval and its trivial baseline; NaN where there is none."""

    value: float
    low: float
    high: float
    baseline: float

    def __str__(self) -> str:
        return with_interval(self.value, self.low, self.high)


NO_FIGURE = Merit(np.nan, np.nan, np.nan, np.nan)
"""Takes the place of a figure that the store lacks; prints as a dash."""


class Merits(dict[tuple[str, str, str], Merit]):
    """Figures by (regime, label, metric); one that the store lacks is without a value, and prints as a dash."""

    def __missing__(self, key: tuple[str, str, str]) -> Merit:
        return NO_FIGURE


def _once(compute: Callable[[Store, Split], T]) -> Callable[[Store, Split], T]:
    """Keep what is computed from a run's tables for a split: a page asks for it many times."""
    known: WeakKeyDictionary[Tables, dict[Split, T]] = WeakKeyDictionary()

    @wraps(compute)
    def kept(store: Store, split: Split) -> T:
        by_split = known.setdefault(store.tables, {})
        if split not in by_split:
            by_split[split] = compute(store, split)
        return by_split[split]

    return kept


@_once
def merits(store: Store, split: Split) -> Merits:
    """Every figure of a split; the label of means over labels is :func:`mean_of_labels`' name."""
    frame = store.tables.metrics[store.tables.metrics["split"] == split]
    numbers = frame[["value", "ci_low", "ci_high", "baseline"]].to_numpy(dtype=float).tolist()
    names = zip(frame["regime"], frame["label"], frame["metric"], strict=True)
    return Merits({name: Merit(*row) for name, row in zip(names, numbers, strict=True)})


@_once
def mean_of_labels(store: Store, split: Split) -> LabelMean:
    """The mean over labels that a split's tables show, and which labels it is over."""
    frame = store.tables.metrics
    return label_mean(frame[frame["split"] == split], store.manifest.macro_patients)


def missing_results(store: Store, split: Split) -> str:
    """The figures that a complete run has and this store lacks, with the next step; empty where there are none."""
    by_key = merits(store, split)
    missing = [
        f"{METRIC_TITLES[metric]} of {regime.title} ({'mean over labels' if label == MACRO else in_markdown(label)})"
        for metric in METRICS
        for regime in store.regimes
        for label in (*store.labels, MACRO)
        if (regime.name, label, metric) not in by_key
    ]
    if not missing:
        return ""
    named = "; ".join(missing[:MISSING_NAMED]) + (" and others" if len(missing) > MISSING_NAMED else "")
    return (
        f"{METRICS_FILE} has no {split} figure for {len(missing):,} of the run's results: {named}. They show as a "
        "dash. Run the same precompute command again to have them."
    )


def metric_frame(store: Store, split: Split, metric: str) -> pd.DataFrame:
    """One metric of every label and regime: the best label first, those with too few positives last."""
    frame = store.tables.metrics
    frame = frame[(frame["split"] == split) & (frame["metric"] == metric) & frame["label"].isin(store.labels)].copy()
    frame["series"] = frame["regime"].map({regime.name: regime.title for regime in store.regimes})
    best = frame.groupby("label").agg(value=("value", "max"), n_pos=("n_pos", "max"))
    best["few"] = best["n_pos"] < FEW
    order = best.sort_values(["few", "value"], ascending=[True, False], na_position="last", kind="stable").index
    return frame.sort_values("label", key=lambda names: names.map(order.get_loc), kind="stable")


def resampled_interval(values: NDArray[np.float64], units: int = MANY) -> tuple[float, float]:
    """The 95% interval of a figure from (1 + B,) values: the films' own first, then each resample's.

    ``units`` are the patients it rests on. For figures over all patients the default serves: with so many the interval
    needs no expansion for few.
    """
    low, high = interval(values[:1, None], values[None, 1:, None], np.array([units]))
    return float(low[0, 0]), float(high[0, 0])


def regime_table(store: Store, split: Split, label: str) -> pd.DataFrame:
    """One row per regime: every metric of a label or pool, with its 95% interval and its trivial baseline."""
    by_key = merits(store, split)
    rows = []
    for regime in store.regimes:
        cells = {"Regime": regime.title}
        for metric in METRICS:
            merit = by_key[regime.name, label, metric]
            cells[METRIC_TITLES[metric]] = str(merit) if np.isnan(merit.value) else f"{merit} · {merit.baseline:.2f}"
        rows.append(cells)
    return pd.DataFrame(rows)


def metric_summary(store: Store, split: Split, metric: str) -> str:
    """What a metric's intervals say, in two or three plain sentences."""
    by_key = merits(store, split)
    sentences = []
    mean = mean_of_labels(store, split)
    macro = {regime: by_key[regime.name, mean.name, metric] for regime in store.regimes}
    macro = {regime: merit for regime, merit in macro.items() if not np.isnan(merit.value)}
    if len(macro) > 1:
        best = max(macro, key=lambda regime: macro[regime].value)
        last = min(macro, key=lambda regime: macro[regime].value)
        difference = _difference_says(store, split, metric, mean.name, {best.name, last.name})
        sentences.append(
            f"In the {mean.title}, {best.title} is highest and {last.title} lowest in "
            f"{METRIC_TITLES[metric].replace('Average', 'average')}; {difference}."
        )
    above = []
    for regime in store.regimes:
        figures = [by_key[regime.name, label, metric] for label in store.labels]
        scored = [merit for merit in figures if not np.isnan(merit.value)]
        above.append(f"{regime.title} {sum(merit.low > merit.baseline for merit in scored)} of {len(scored)}")
    sentences.append(f"Labels whose whole interval lies above the baseline: {', '.join(above)}.")
    rare = sum(label_counts(store, split, label)[0] < FEW for label in store.labels)
    if rare:
        sentences.append(f"{rare} label{'s have' if rare > 1 else ' has'} fewer than {FEW} positives: too few to say.")
    return " ".join(sentences)


def difference_excludes_zero(store: Store, split: Split, metric: str, label: str, pair: set[str]) -> bool | None:
    """Whether the paired difference of two regimes differs from 0; None where it has no interval."""
    frame = store.tables.differences
    frame = frame[frame["regime"].isin(pair) & frame["against"].isin(pair)]
    frame = frame[(frame["split"] == split) & (frame["metric"] == metric) & (frame["label"] == label)]
    ends = frame[["ci_low", "ci_high"]].dropna().to_numpy(dtype=float)
    return bool((ends[:, 0] > 0).any() or (ends[:, 1] < 0).any()) if len(ends) else None


def _difference_says(store: Store, split: Split, metric: str, label: str, pair: set[str]) -> str:
    excludes = difference_excludes_zero(store, split, metric, label, pair)
    if excludes is None:
        return "their paired difference has no interval"
    return f"the 95% interval of their paired difference {'excludes' if excludes else 'includes'} 0"
