"""What the PR page's views draw: curves, differences and the report's table, from a store. No Streamlit here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.curves import gain, gain_interval, pr_curve
from explorer.analysis.differences import holm
from explorer.analysis.metrics import MACRO, MACRO_ALL
from explorer.analysis.pooled import MICRO, domains, tasks
from explorer.data.text import plain
from explorer.errors import UserError
from explorer.figures.curves import AXES, Curve, CurveAxes
from explorer.figures.style import difference_with_interval
from explorer.store.layout import METRICS as METRICS_FILE
from explorer.tables import styles
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.report import Forest
from explorer.tables.results import Merit, Merits, mean_of_labels, merits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

Sort = Literal["prevalence", "ap", "lift", "difference"]
SORTS: dict[str, str] = {
    "prevalence": "Prevalence",
    "ap": "AP",
    "lift": "AP lift",
    "difference": "Regime difference",
}
MEANS = (MACRO, MACRO_ALL)
POOLED = {MACRO: "Mean over labels", MACRO_ALL: "Mean over all labels", MICRO: "All film-label pairs"}
THIN = 400
"""Points kept of a long curve: more than a screen shows."""


class SmallMultiple(NamedTuple):
    """One label or pool of the small multiples: its counts, and its curves where there are positives enough."""

    name: str
    note: str
    curves: tuple[Curve, ...]
    prevalence: float


def pool_names(store: Store, split: Split) -> list[str]:
    """Names of what the run scored beside single labels; of the means over labels, the one to show."""
    scored = set(store.tables.metrics.loc[store.tables.metrics["split"] == split, "label"])
    return [name for name in (mean_of_labels(store, split).name, MICRO, *domains(store.labels)) if name in scored]


def pool_title(name: str) -> str:
    """The page's name for a label or a pool."""
    return POOLED.get(name, name)


def scored_counts(store: Store, split: Split, name: str) -> tuple[int, int, int]:
    """Positive, negative and unknown films of a label or domain; film-label pairs of means over labels and MICRO."""
    if name in store.labels:
        return label_counts(store, split, name)
    frame = store.tables.metrics
    rows = frame[(frame["split"] == split) & (frame["label"] == name)]
    if rows.empty:
        raise UserError(
            f"{METRICS_FILE} has no {split} figure of {plain(pool_title(name))}.",
            "Choose another label, or run the same precompute command again.",
        )
    positive, negative, unknown = rows[["n_pos", "n_neg", "n_unknown"]].to_numpy(dtype=int)[0].tolist()
    return positive, negative, unknown


def lift_over_baseline(merit: Merit) -> float:
    """How many times its baseline a figure is."""
    return merit.value / merit.baseline if merit.baseline else np.nan


def prevalence_of(store: Store, by_key: Merits, name: str) -> float:
    """A label's or pool's prevalence, which is precision's baseline, from any regime; NaN where none has it."""
    baselines = [by_key[regime.name, name, "precision"].baseline for regime in store.regimes]
    return next((value for value in baselines if not np.isnan(value)), np.nan)


def sorted_labels(store: Store, split: Split, by: Sort, few: int) -> list[str]:
    """Labels in the chosen order; those with fewer than ``few`` positives last, by prevalence."""
    names = by_prevalence(store, split)
    by_key = merits(store, split)
    rank: dict[str, float] = {}
    for name in names:
        ap = [by_key[regime.name, name, "average_precision"] for regime in store.regimes]
        values = np.array([lift_over_baseline(m) if by == "lift" else m.value for m in ap])
        if np.isnan(values).all() or by == "prevalence":
            rank[name] = 0.0
        else:
            rank[name] = float(np.nanmax(values) - (np.nanmin(values) if by == "difference" else 0))
    positives = {name: label_counts(store, split, name)[0] for name in names}
    return sorted(names, key=lambda name: (positives[name] < few, -rank[name]))


# --- curves ----------------------------------------------------------------------------------------------------------


def small_multiples(
    store: Store, split: Split, axes: CurveAxes, by: Sort, few: int, *, with_bands: bool
) -> list[SmallMultiple]:
    """Every pool, then every label in order, drawn from the precomputed grids."""
    frame = store.tables.bands
    kind = "roc" if axes == "roc" else "pr"
    frame = frame[(frame["split"] == split) & (frame["curve"] == kind)]
    grids = {key: part[["x", "y", "low", "high"]].to_numpy().T for key, part in frame.groupby(["label", "regime"])}
    by_key = merits(store, split)
    multiples = []
    for name in [*pool_names(store, split), *sorted_labels(store, split, by, few)]:
        positive, negative, unknown = scored_counts(store, split, name)
        note = f"+ {positive:,}  − {negative:,}" + (f"  ? {unknown:,}" if unknown else "")
        prevalence = prevalence_of(store, by_key, name)
        curves = []
        for regime in store.regimes if positive >= few and not np.isnan(prevalence) else ():
            x, y, low, high = grids.get((name, regime.name), np.zeros((4, 0)))  # a regime may lack its curve
            at = point_on_curve(by_key, regime.name, name, axes, (positive, negative))
            curves.append(_named_curve(regime.title, np.stack([x, y]), np.stack([x, low, high]), at, axes, prevalence))
        if not with_bands:
            curves = [Curve(c.name, c.x, c.y, None, c.at) for c in curves]
        multiples.append(SmallMultiple(name, note, tuple(curves), prevalence))
    return multiples


def regime_curves(store: Store, split: Split, name: str, axes: CurveAxes) -> list[Curve]:
    """Every regime's whole curve of a label or pool, with what the legend says of it."""
    rows = store.rows(split)
    by_key = merits(store, split)
    bands = store.tables.bands[(store.tables.bands["split"] == split) & (store.tables.bands["label"] == name)]
    bands = bands[bands["curve"] == ("roc" if axes == "roc" else "pr")]
    lines = []
    for regime in store.regimes:
        asked = tasks(
            store.labels,
            store.targets[rows],
            np.asarray(store.logits(regime.name)[rows]),
            store.threshold_array(regime.name),
            only=None if name in MEANS else name,
        )
        if axes == "gain":
            averaged = mean_of_labels(store, split).labels
            pool = [task for task in asked if task.name in averaged] if name in MEANS else asked
            merit = Merit(*gain_interval(pool, store.patients[rows], seed=store.manifest.seed), 0.0)
        else:
            merit = by_key[regime.name, name, "auroc" if axes == "roc" else "average_precision"]
        band = bands[bands["regime"] == regime.name][["x", "y", "low", "high"]].to_numpy().T
        line = band[:2] if name in MEANS else corners(pr_curve(asked[0].targets, asked[0].scores), axes)
        at = point_on_curve(by_key, regime.name, name, axes, scored_counts(store, split, name)[:2])
        prevalence = prevalence_of(store, by_key, name)
        lines.append(_named_curve(f"{regime.title} ({merit})", line, band[[0, 2, 3]], at, axes, prevalence))
    return lines


def corners(frame: pd.DataFrame, axes: CurveAxes) -> NDArray[np.float64]:
    """(2, p) the curve's corners: one for each positive retrieved, thinned to about THIN."""
    x, y = ("fpr", "recall") if axes == "roc" else ("recall", "precision")
    points = frame[[x, y]].to_numpy().T
    if axes == "roc":
        points = np.column_stack([[0.0, 0.0], points])
    else:  # a step function whose area is the average precision
        points = points[:, np.diff(points[0], prepend=0.0) > 0]
        points = np.column_stack([[0.0, points[1, 0]], points]) if points.shape[1] else points
    if points.shape[1] > THIN:
        points = points[:, np.unique(np.linspace(0, points.shape[1] - 1, THIN).round().astype(int))]
    return points


def _named_curve(
    name: str,
    line: NDArray[np.float64],
    band: NDArray[np.float64],
    at: tuple[float, float],
    axes: CurveAxes,
    prevalence: float,
) -> Curve:
    """A curve on the chosen axes; what is worse than predicting every film positive lies outside the gain axes."""
    if axes == "gain":
        inside, banded = line[:, line[0] >= prevalence], band[:, band[0] >= prevalence]
        line, band = gain(inside, prevalence), np.clip(gain(banded, prevalence), -0.1, 1)
        line = np.stack([line[0], np.maximum(line[1], -0.1)])
        x, y = (float(value) for value in gain(np.array(at), prevalence))
        at = (x, y) if x >= 0 and y >= 0 else (np.nan, np.nan)
    return Curve(name, line[0], line[1], band, at)


def point_on_curve(
    by_key: Merits, regime: str, name: str, axes: CurveAxes, known: tuple[int, int]
) -> tuple[float, float]:
    """Where the threshold chosen on validation lies on a label's curve; NaN for pools of labels and without one."""
    if name in POOLED:  # each label has its own threshold, so that the point lies off the pooled curve
        return np.nan, np.nan
    precision, recall = (by_key[regime, name, metric].value for metric in ("precision", "recall"))
    if axes != "roc":
        return recall, precision
    positive, negative = known
    hits = recall * positive
    return (hits / precision - hits) / negative if precision else np.nan, recall


def curve_frame(curves: Sequence[Curve], axes: CurveAxes) -> pd.DataFrame:
    """The points of some curves, of their 95% bands (low, high) and of their thresholds: a row each."""
    x, y = (title.replace(" ", "_") for title in AXES[axes])
    parts = []
    for curve in curves:
        parts.append(pd.DataFrame({"curve": curve.name, "part": "curve", x: curve.x, y: curve.y}))
        if curve.band is not None:
            at, low, high = curve.band
            parts.append(pd.DataFrame({"curve": curve.name, "part": "band", x: at, "low": low, "high": high}))
        parts.append(pd.DataFrame({"curve": [curve.name], "part": "threshold", x: curve.at[0], y: curve.at[1]}))
    return pd.concat(parts, ignore_index=True)


# --- differences -----------------------------------------------------------------------------------------------------


def regime_pairs(store: Store) -> dict[str, tuple[str, str]]:
    """Title to (regime, against) of every pair compared, the widest apart first."""
    titles = {regime.name: regime.title for regime in store.regimes}
    names = list(titles)
    wide = [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    wide.sort(key=lambda pair: names.index(pair[1]) - names.index(pair[0]))
    return {f"{titles[b]} − {titles[a]}": (b, a) for b, a in wide}


def pair_differences(store: Store, split: Split, metric: str, pair: tuple[str, str], few: int) -> pd.DataFrame:
    """One pair's differences in a metric: pools first, then labels by difference, those too few to say last.

    ``p_holm`` allows for all labels with enough positives; a pool is one question, and keeps its own p.
    """
    frame = store.tables.differences
    regime, against = pair
    chosen = (frame["split"] == split) & (frame["metric"] == metric)
    pools = pool_names(store, split)
    chosen &= frame["label"].isin([*store.labels, *pools])
    frame = frame[chosen & (frame["regime"] == regime) & (frame["against"] == against)].copy()
    frame["few"] = frame["n_pos"] < few
    frame["pool"] = ~frame["label"].isin(store.labels)
    frame["p_holm"] = np.where(frame["pool"], frame["p"], np.nan)
    tested = (~frame["pool"] & ~frame["few"]).to_numpy()
    frame.loc[tested, "p_holm"] = holm(frame.loc[tested, "p"].to_numpy(dtype=float))
    frame["place"] = frame["label"].map({name: i for i, name in enumerate(pools)})
    frame = frame.sort_values(["few", "place", "difference"], ascending=[True, True, False], na_position="last")
    frame["label"] = frame["label"].map(pool_title)
    return frame


def difference_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences as text: interval, p, Holm's p and, for AUROC, DeLong's."""
    auroc = bool((frame["metric"] == "auroc").all())
    text = frame["label"].tolist()
    numbers = frame[["difference", "ci_low", "ci_high"]].to_numpy(dtype=float)
    tests = frame[["p", "p_holm", "p_delong"]].to_numpy(dtype=float)
    rows = []
    for i, (few, pool, positives) in enumerate(frame[["few", "pool", "n_pos"]].to_numpy().tolist()):
        too_few = few or np.isnan(numbers[i, 0])
        cells: dict[str, object] = {
            "Label": text[i],
            "Positives": positives,
            "Difference": "too few to say" if too_few else difference_with_interval(*numbers[i]),
            "p": "—" if too_few else p_text(tests[i, 0]),
            "Holm's p": "—" if too_few else "one test" if pool else p_text(tests[i, 1]),
        }
        if auroc:
            cells["DeLong's p"] = "—" if too_few else p_text(tests[i, 2])
        rows.append(cells)
    return pd.DataFrame(rows)


def p_text(p: float) -> str:
    """
    Examples
    --------
    >>> p_text(0.0002), p_text(0.042), p_text(float("nan"))
    ('< 0.001', '0.042', '—')
    """
    return "—" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


# --- the report ------------------------------------------------------------------------------------------------------

REPORTED = ("AP", "Lift", "AUROC", "F1")
PICTURED = {"average_precision": "average precision", "auroc": "AUROC", "f1": "F1"}


def report_table(store: Store, split: Split, few: int) -> pd.DataFrame:
    """One row per label or pool: counts, then ``regime: figure`` for AP, its lift, AUROC and F1, as text.

    A label with fewer than ``few`` positives has its counts alone.
    """
    by_key = merits(store, split)
    rows = []
    for name in [*sorted_labels(store, split, "prevalence", few), *pool_names(store, split)]:
        positive, negative, unknown = scored_counts(store, split, name)
        cells = {"Label": pool_title(name), "Positive": f"{positive:,}", "Negative": f"{negative:,}"}
        cells["Unknown"] = f"{unknown:,}"
        for regime in store.regimes:
            ap, auroc, f1 = (by_key[regime.name, name, metric] for metric in PICTURED)
            lift = lift_over_baseline(ap)
            texts = (str(ap), "—" if np.isnan(lift) else f"{lift:.1f}×", str(auroc), str(f1))
            if positive < few:
                texts = ("too few to say", "", "", "")
            cells |= {f"{regime.title}: {figure}": text for figure, text in zip(REPORTED, texts, strict=True)}
        rows.append(cells)
    return pd.DataFrame(rows)


def report_forest(store: Store, split: Split, few: int) -> Forest:
    """The report's rows and its metrics, for a picture; lift is AP against its baseline there."""
    by_key = merits(store, split)
    rows = []
    for name in [*sorted_labels(store, split, "prevalence", few), *pool_names(store, split)]:
        positive = scored_counts(store, split, name)[0]
        mine = tuple(tuple(by_key[regime.name, name, metric] for regime in store.regimes) for metric in PICTURED)
        rows.append((pool_title(name), positive, mine if positive >= few else None))
    titles = tuple(regime.title for regime in store.regimes)
    return Forest(tuple(PICTURED.values()), titles, tuple(styles.of_regimes(store)), tuple(rows))
