"""For whom is it worse: figures of groups of films, gaps between them, and whether another regime changes a gap.

A group is told by what is known of the patient and of how the film was taken. AUROC, sensitivity, specificity and
calibration in the large do not depend on how many are ill; average precision does, so it stands beside its baseline and
has no gap (McDermott et al., NeurIPS 2024). Sensitivity lacks the under-diagnosed, specificity the over-diagnosed
(Seyyed-Kalantari et al., Nature Medicine 2021). Patients are left out in turn, the same for all groups and regimes.
Gaps and their changes are therefore paired where a patient has films in both groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.differences import holm
from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import Estimates, difference_intervals, groups_of, intervals
from explorer.analysis.ranking import BINARY_METRICS, Tally, rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 20
"""Films that a group needs, in the split, to be one."""
AGES = (40, 65)
"""Where age bands begin, in years."""
OUTLYING = 90.0
"""Percentile of held-out training films from which a film is among the outlying: more of them than the audit's 99."""

EXCESS = "calibration_in_the_large"
GAP_METRICS: tuple[str, ...] = ("auroc", "recall", "specificity", EXCESS)
"""Figures that groups of other prevalence can be compared by."""
_METRICS = ("average_precision", *GAP_METRICS)

GROUP_COLUMNS: tuple[str, ...] = (
    *("attribute", "group", "split", "regime", "label", "metric", "value", "ci_low", "ci_high", "baseline"),
    *("n_pos", "n_neg", "n_unknown", "patients_pos", "patients_neg"),
)
GAP_COLUMNS: tuple[str, ...] = (
    *("attribute", "group", "split", "regime", "label", "metric", "gap", "ci_low", "ci_high", "p", "p_adjusted"),
    *("against", "change", "change_low", "change_high", "change_p", "patients_pos", "patients_neg"),
)


class Attribute(NamedTuple):
    """A way to part films: ``groups`` are titles, ``codes`` (N,) their places, -1 where nothing is known."""

    name: str
    groups: tuple[str, ...]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """What one regime says of n films: logits (n, C), thresholds (C,), and calibrated probabilities (n, C)."""

    logits: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    probabilities: NDArray[np.float64]


def attributes(
    samples: pd.DataFrame,
    device: NDArray[np.float32] | None,
    outlying: NDArray[np.float32],
    age_cuts: Sequence[int] = AGES,
) -> list[Attribute]:
    """The ways to part a set's films, each with two groups or more.

    Parameters
    ----------
    samples : DataFrame
        sex, age, view, study_id, report.
    device : (N,) 1, 0 or NaN, optional
        The label of support devices, where the set has one.
    outlying : (N,) percentiles
    age_cuts : the years at which a band of ages begins, ascending
    """
    age = samples["age"].to_numpy(np.float64, na_value=np.nan)
    bands = [
        f"under {age_cuts[0]}",
        *(f"{a} to {b - 1}" if b > a + 1 else str(a) for a, b in pairwise(age_cuts)),
        f"{age_cuts[-1]} or more",
    ]
    per_study = samples.groupby("study_id")["study_id"].transform("size").to_numpy()
    has_study = (samples["study_id"].fillna("").astype(str) != "").to_numpy()
    words = np.array([len(str(report).split()) for report in samples["report"].fillna("")])
    told = words > 0
    half = np.median(words[told]) if told.any() else 0
    ways = [
        _of_words("sex", samples["sex"]),
        Attribute("age", tuple(bands), np.where(np.isnan(age), -1, np.digitize(age, age_cuts))),
        _of_words("view", samples["view"]),
        Attribute("films of the study", ("one", "several"), np.where(has_study, (per_study > 1) * 1, -1)),
        Attribute("outlying", ("no", "yes"), (outlying >= OUTLYING) * 1),
        Attribute("report", ("short", "long"), np.where(told, (words > half) * 1, -1)),
    ]
    if device is not None:
        ways.append(
            Attribute("device", ("without", "with"), np.where(np.isnan(device), -1, device == 1).astype(np.int64))
        )
    return [way for way in ways if len(np.unique(way.codes[way.codes >= 0])) > 1]


def _of_words(name: str, column: pd.Series[str]) -> Attribute:
    words = column.fillna("").astype(str).str.strip()
    groups = sorted({*words} - {""})
    return Attribute(
        name, tuple(groups), words.map({word: i for i, word in enumerate(groups)}).fillna(-1).to_numpy(np.int64)
    )


def measure(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scores],
    patients: NDArray[np.int64],
    ways: Sequence[Attribute],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every group's figures, and every gap between a group and the attribute's other films, on one split.

    Parameters
    ----------
    labels : C names
    targets : (n, C) 1, 0 or NaN for unknown
    regimes : name to Scores; the first is what a gap's change is measured from
    patients : (n,) int
    ways : attributes of these n films

    Returns
    -------
    groups : DataFrame
        GROUP_COLUMNS without split. ``baseline`` is the metric's trivial one; of calibration in the large it is 0.
    gaps : DataFrame
        GAP_COLUMNS without split. A gap is the group's figure less that of the attribute's other films; of two groups
        the larger one is what the other is held against. NaN, with ``patients_pos`` and ``patients_neg`` the fewer of
        both sides, where either has fewer than ENOUGH patients of the kinds that the figure needs. ``p_adjusted``
        allows by Holm for all gaps of a regime and metric. ``change`` is the gap less that of ``against``, the first
        regime.
    """
    without = groups_of(patients)
    groups, gaps = [], []
    for way in ways:
        sizes = np.bincount(way.codes[way.codes >= 0], minlength=len(way.groups))
        kept = [int(code) for code in np.flatnonzero(sizes >= FEWEST)]
        if len(kept) < 2:
            continue
        figures = {code: _figures(labels, targets, regimes, patients, without, way.codes == code) for code in kept}
        for code in kept:
            for regime, estimates in figures[code].items():
                groups.append(_group_frame(estimates).assign(attribute=way.name, group=way.groups[code], regime=regime))
        held = [code for code in kept if len(kept) > 2 or code != int(sizes.argmax())]
        for code in held:
            others = np.isin(way.codes, [other for other in kept if other != code])
            rest = _figures(labels, targets, regimes, patients, without, others)
            differences = {regime: _gap(figures[code][regime], rest[regime]) for regime in regimes}
            first = next(iter(regimes))
            for regime, gap in differences.items():
                frame = _gap_frame(gap, gap - differences[first] if regime != first else None, first)
                gaps.append(frame.assign(attribute=way.name, group=way.groups[code], regime=regime))
    if not groups:
        return _none(GROUP_COLUMNS), _none(GAP_COLUMNS)
    frame = pd.concat(gaps, ignore_index=True)
    frame["p_adjusted"] = frame.groupby(["regime", "metric"])["p"].transform(lambda p: holm(p.to_numpy()))
    return pd.concat(groups, ignore_index=True), frame


def _none(columns: Sequence[str]) -> pd.DataFrame:
    """No row, with the kinds of columns that rows would have."""
    texts = ("attribute", "group", "regime", "label", "metric", "against")
    kinds = {
        name: "str" if name in texts else "int64" if name.startswith(("n_", "patients_")) else "float64"
        for name in columns
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items() if name != "split"})


def _figures(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scores],
    patients: NDArray[np.int64],
    without: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> dict[str, Estimates]:
    """Every label's figures of the films inside, on them and without each group of patients, by regime."""
    rows = np.flatnonzero(inside)
    truth, weights, people = targets[rows], np.ascontiguousarray(without[rows]), patients[rows]
    once = np.ones((len(rows), 1), np.float32)
    by_regime = {}
    for name, scores in regimes.items():
        calls = scores.logits[rows] >= scores.thresholds
        parts = []
        for c in range(len(labels)):
            decided = None if np.isnan(scores.thresholds[c]) else calls[:, c]
            ranking = rank(truth[:, c], scores.logits[rows, c], decided)
            excess = scores.probabilities[rows, c] - truth[:, c]
            on_all = Tally.of(ranking, once)
            parts.append(
                (
                    _values(on_all, excess, once)[0],
                    _baselines(on_all),
                    _values(Tally.of(ranking, weights), excess, weights),
                )
            )
        value, baseline, left_out = (np.stack(column) for column in zip(*parts, strict=True))
        n_labels = len(labels)
        by_regime[name] = Estimates(
            names=tuple(labels),
            metrics=_METRICS,
            value=value,
            baseline=baseline,
            left_out=left_out,
            counts=np.stack([[(t == 1).sum(), (t == 0).sum(), np.isnan(t).sum()] for t in truth.T]),
            patients=np.stack([_people(truth[:, c], calls[:, c], people) for c in range(n_labels)]),
            members=np.zeros((n_labels, n_labels), bool),
        )
    return by_regime


def _values(tally: Tally, excess: NDArray[np.floating], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B, M) figures under weights (n, B), NaN where there is none."""
    known = ~np.isnan(excess)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [BINARY_METRICS[name].value(tally) for name in ("average_precision", "auroc", "recall")]
        columns.append(1 - tally.false_alarm / tally.negatives)
        columns.append((excess[known] @ weights[known]) / weights[known].sum(axis=0))
    figures = np.stack(columns, axis=1)
    both = (tally.positives > 0) & (tally.negatives > 0)
    figures[~both, :2] = np.nan
    figures[tally.positives == 0, 2] = np.nan
    figures[tally.negatives == 0, 3] = np.nan
    return np.asarray(figures)


def _baselines(tally: Tally) -> NDArray[np.float64]:
    """(M,) what random rankings and random calls at the same rate reach; 0 for calibration in the large."""
    with np.errstate(invalid="ignore", divide="ignore"):
        names = ("average_precision", "auroc", "recall")
        first = [float(BINARY_METRICS[name].baseline(tally)[0]) for name in names]
    return np.array([*first, 1 - first[-1], 0.0])


def _people(truth: NDArray[np.float32], calls: NDArray[np.bool_], patients: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([len(np.unique(patients[chosen])) for chosen in (truth == 1, truth == 0, calls)])


def _gap(group: Estimates, rest: Estimates) -> Estimates:
    """The group's figures less the rest's; it rests on the fewer patients of both."""
    return replace(group - rest, patients=np.minimum(group.patients, rest.patients))


def _group_frame(estimates: Estimates) -> pd.DataFrame:
    low, high = intervals(estimates)
    at = _METRICS.index(EXCESS)
    reach = stdtrit(estimates.degrees[:, at], 0.975) * estimates.error[:, at]
    low[:, at], high[:, at] = estimates.value[:, at] - reach, estimates.value[:, at] + reach
    frame = _long(estimates, _METRICS).assign(
        value=estimates.value.ravel(), ci_low=low.ravel(), ci_high=high.ravel(), baseline=estimates.baseline.ravel()
    )
    frame[["n_pos", "n_neg", "n_unknown"]] = np.repeat(estimates.counts, len(_METRICS), axis=0)
    return frame


def _gap_frame(gap: Estimates, change: Estimates | None, against: str) -> pd.DataFrame:
    frame = _long(gap, GAP_METRICS)
    enough = _enough(gap.patients)
    frame["against"] = against
    for prefix, two in (("", gap), ("change_", change)):
        names = ["change" if prefix else "gap", *(f"{prefix}{end}" for end in ("ci_low", "ci_high", "p"))]
        names = [name.replace("change_ci_", "change_") for name in names]
        if two is None:
            frame[names] = np.nan
            continue
        low, high, p = difference_intervals(two)
        for name, values in zip(names, (two.value, low, high, p), strict=True):
            shown = np.where(enough, values[:, len(_METRICS) - len(GAP_METRICS) :], np.nan)
            frame[name] = shown.ravel()
    return frame


def _enough(patients: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T, G) where both sides have enough patients of the kinds that each of GAP_METRICS needs."""
    positive, negative = patients[:, 0] >= ENOUGH, patients[:, 1] >= ENOUGH
    return np.stack([positive & negative, positive, negative, positive & negative], axis=1)


def _long(estimates: Estimates, metrics: Sequence[str]) -> pd.DataFrame:
    """One row for each label and metric, with the patients that it rests on."""
    frame = pd.DataFrame(
        {"label": np.repeat(estimates.names, len(metrics)), "metric": np.tile(metrics, len(estimates.names))}
    )
    frame[["patients_pos", "patients_neg"]] = np.repeat(estimates.patients[:, :2], len(metrics), axis=0)
    return frame
