"""Does a map lie where the readers marked? Figures of one film, and their means over films with intervals.

A map has one value a pixel of the film's picture, 0 or more. What the model never saw counts as 0: what was cropped
away before the model could look is missed. A map of zeros points nowhere and scores 0 in everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.evidence import FEW
from explorer.analysis.metrics import interval, patient_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

METRICS: dict[str, str] = {
    "pointing": "Pointing game",
    "energy": "Energy inside",
    "iou": "IoU",
    "dice": "Dice",
    "average_precision": "Pixel AP",
}
"""Pointing game without tolerance (Zhang et al., IJCV 2018); energy inside (Wang et al., CVPRW 2020, section 5.2)."""

SHARES = np.arange(0.05, 1.0, 0.05)
"""Thresholds tried for IoU and Dice, as shares of a map's maximum."""

CENTRE, LUNG, RANDOM, READER = "centre prior", "lung prior", "random", "another reader"
ALL = "all labels"
SIZES = ("small", "medium", "large")


def mean_map(regime: str) -> str:
    """The source that shows every film of a label the same map: the regime's mean over validation positives."""
    return f"mean map, {regime}"


def centre_prior(height: int, width: int) -> NDArray[np.float32]:
    """A Gaussian in the film's middle, its standard deviation a quarter of each side."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-8 * (y[:, None] ** 2 + x[None] ** 2)).astype(np.float32)


def lung_prior(height: int, width: int) -> NDArray[np.float32]:
    """1 inside two fixed upright ellipses where a frontal film has its lungs, 0 elsewhere; no film was looked at."""
    y = (np.arange(height) + 0.5)[:, None] / height
    x = (np.arange(width) + 0.5)[None] / width
    sides = [((x - centre) / 0.15) ** 2 + ((y - 0.47) / 0.3) ** 2 <= 1 for centre in (0.3, 0.7)]
    return (sides[0] | sides[1]).astype(np.float32)


def score_map(values: NDArray[np.float32], region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """All METRICS of one map.

    Parameters
    ----------
    values : (h, w)
        0 or more; NaN where the model never looked, which counts as 0.
    region : (h, w) bool, not empty
    share : float
        Threshold of IoU and Dice as a share of the map's maximum; NaN where there is none.

    Returns
    -------
    (5,)
        In the order of METRICS. Where several pixels share the maximum, pointing is the share of them inside.
    """
    flat, inside = np.nan_to_num(values).ravel(), region.ravel()
    top = flat.max()
    if top <= 0:
        return np.array([0.0, 0.0, *([0.0, 0.0] if np.isfinite(share) else [np.nan, np.nan]), 0.0])
    iou = dice = np.nan
    if np.isfinite(share):
        marked = flat >= share * top
        both = np.count_nonzero(marked & inside)
        sizes = np.count_nonzero(marked) + np.count_nonzero(inside)
        iou, dice = both / (sizes - both), 2 * both / sizes
    energy = flat[inside].sum(dtype=np.float64) / flat.sum(dtype=np.float64)
    return np.array([inside[flat == top].mean(), energy, iou, dice, _average_precision(flat, inside)])


def score_random(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What a map of even noise reaches on average: the region's share of the film; IoU and Dice call everything."""
    share = region.mean()
    return np.array([share, share, share, 2 * share / (1 + share), share])


def ious(values: NDArray[np.float32], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(len(SHARES),) IoU at every threshold tried."""
    return np.array([score_iou(values, region, share) for share in SHARES])


def score_iou(values: NDArray[np.float32], region: NDArray[np.bool_], share: float) -> float:
    """IoU of what reaches a share of the map's maximum; 0 for a map of zeros."""
    filled = np.nan_to_num(values)
    if filled.max() <= 0:
        return 0.0
    marked = filled >= share * filled.max()
    return float(np.count_nonzero(marked & region) / np.count_nonzero(marked | region))


def choose_shares(labels: Sequence[str], curves: NDArray[np.float64]) -> dict[str, float]:
    """Each label's threshold of largest mean IoU on validation films.

    Parameters
    ----------
    labels : n names
        The label of each annotated validation film.
    curves : (n, len(SHARES))
        As :func:`ious` gives them.

    Returns
    -------
    dict
        By label, and under ALL for labels with fewer than FEW such films; empty without any.
    """
    if len(labels) == 0:
        return {}
    names = np.asarray(labels)
    chosen = {ALL: float(SHARES[curves.mean(axis=0).argmax()])}
    for label in dict.fromkeys(labels):
        mine = names == label
        if mine.sum() >= FEW:
            chosen[label] = float(SHARES[curves[mine].mean(axis=0).argmax()])
    return chosen


def summarise_localisation(frame: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Means over films with 95% intervals, and how far each source lies above the centre prior.

    Parameters
    ----------
    frame : DataFrame
        One row per film, label and source: patient, row, label, source, silent and the METRICS.

    Returns
    -------
    DataFrame
        label (each, and ALL over every pair of film and label), source, metric, value, ci_low and ci_high. n films, of
        them n_silent with a map that said nothing. gain, gain_low, gain_high: the paired difference from the centre
        prior.
        Intervals come from a bootstrap over patients, the same draws for every source; NaN with fewer than two.
    """
    parts = []
    names = list(METRICS)
    for label in [*dict.fromkeys(frame["label"]), ALL]:
        part = frame if label == ALL else frame[frame["label"] == label]
        wide = {source: g.set_index(["row", "label"]) for source, g in part.groupby("source", sort=False)}
        prior = wide[CENTRE]
        _, patients = np.unique(prior["patient"], return_inverse=True)
        weights = patient_weights(patients, resamples, seed)  # (B, n)
        for source, mine in wide.items():
            shared = prior.index.isin(mine.index)
            values = mine.loc[prior.index[shared], names].to_numpy(dtype=float)  # (n, M)
            gains = values - prior.loc[shared, names].to_numpy(dtype=float)
            about = {"label": label, "source": source, "metric": names, "n": len(values)}
            about["n_silent"] = int(mine["silent"].sum())
            for what, of in (("value", values), ("gain", gains)):
                about[what] = of.mean(axis=0)
                ends = _interval(weights[:, shared], of, len(np.unique(patients[shared])))
                about[f"{what}_low"], about[f"{what}_high"] = ends
            parts.append(pd.DataFrame(about).rename(columns={"value_low": "ci_low", "value_high": "ci_high"}))
    return pd.concat(parts, ignore_index=True)


def by_size(frame: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """The figures in small, medium and large regions: tertiles of the region's share of the film.

    Parameters
    ----------
    frame : DataFrame
        As for :func:`summarise_localisation`; a map of even noise has the region's share as its energy.

    Returns
    -------
    DataFrame
        As there, with a size of SIZES in place of the label, and the ``smallest`` and ``largest`` share of its regions.
    """
    noise = frame[frame["source"] == RANDOM].set_index(["row", "label"])["energy"]
    sizes = np.array(SIZES)[np.searchsorted(noise.quantile([1 / 3, 2 / 3]), noise)]
    pair = noise.index.get_indexer(pd.MultiIndex.from_frame(frame[["row", "label"]]))
    # a film may have two findings of one size: its pairs are told apart by their number
    table = summarise_localisation(frame.assign(row=pair, label=sizes[pair]), resamples, seed)
    ends = noise.groupby(sizes).agg(smallest="min", largest="max")
    return table[table["label"] != ALL].join(ends, on="label").reset_index(drop=True)


def presence(annotations: pd.DataFrame, patients: NDArray[np.int64]) -> pd.DataFrame:
    """Whether readers agree that there is something to mark at all, on films that two or more looked at.

    Parameters
    ----------
    annotations : DataFrame
        row, label, annotator, x (NaN where the reader found nothing).
    patients : (N,)
        Each film's patient.

    Returns
    -------
    DataFrame
        label (each that a reader denied somewhere, and ALL over these), n pairs of film and label.
        agree, ci_low, ci_high: the mean share of pairs of readers who say the same.
        chance: the agreement of readers who say "there" as often, whatever the film.
        kappa (Fleiss 1971): NaN where chance agreement is whole.
    """
    marked = annotations.assign(marked=annotations["x"].notna()).groupby(["row", "label", "annotator"])["marked"].any()
    counts = marked.groupby(["row", "label"]).agg(["sum", "size"]).reset_index()
    counts = counts[counts["size"] > 1]
    denied = [label for label, part in counts.groupby("label") if (part["sum"] < part["size"]).any()]
    counts = counts[counts["label"].isin(denied)]
    rows = []
    for label in [*denied, *([ALL] if len(denied) > 1 else [])]:
        part = counts if label == ALL else counts[counts["label"] == label]
        yes, readers = part["sum"].to_numpy(dtype=float), part["size"].to_numpy(dtype=float)
        agree = (yes * (yes - 1) + (readers - yes) * (readers - yes - 1)) / (readers * (readers - 1))
        share = yes.sum() / readers.sum()
        chance = share**2 + (1 - share) ** 2
        _, units = np.unique(patients[part["row"]], return_inverse=True)
        (low,), (high,) = _interval(patient_weights(units, 1000, 0), agree[:, None], len(np.unique(units)))
        kappa = (agree.mean() - chance) / (1 - chance) if chance < 1 else np.nan
        rows.append((label, len(part), agree.mean(), low, high, chance, kappa))
    return pd.DataFrame(rows, columns=["label", "n", "agree", "ci_low", "ci_high", "chance", "kappa"])


def _interval(
    weights: NDArray[np.float64], values: NDArray[np.float64], patients: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% interval of the weighted mean of (n, M) values: (M,) low and high."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        means = weights @ values / total  # (B, M); NaN where a resample holds none of these films
    low, high = interval(values.mean(axis=0)[None], means[None], np.array([patients]))
    return low[0], high[0]


def _average_precision(flat: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """scikit-learn's ``average_precision_score``, without its checks: it runs once per film, label and source."""
    order = np.argsort(-flat, kind="stable")
    ranked, hits = flat[order], np.cumsum(inside[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    gained = np.diff(hits[ends], prepend=0)
    return float((gained * hits[ends] / (ends + 1)).sum() / hits[-1])
