"""What the PR page's views draw: curves, differences and the report's table, from a store. No Streamlit here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.curves import gain, gain_interval, pr_curve
from explorer.analysis.differences import holm
from explorer.analysis.metrics import MACRO
from explorer.analysis.pooled import MICRO, domains, tasks
from explorer.figures.common import Style, regime_style, with_interval
from explorer.figures.curves import Curve, Shown
from explorer.tables import derive
from explorer.tables.report import Forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.tables.derive import Merit

Sort = Literal["prevalence", "ap", "lift", "difference"]
SORTS: dict[str, str] = {
    "prevalence": "Prevalence",
    "ap": "AP",
    "lift": "AP lift",
    "difference": "Regime difference",
}
POOLED = {MACRO: "Mean over labels", MICRO: "All film-label pairs"}
THIN = 400
"""Points kept of a long curve: more than a screen shows."""


class Panel(NamedTuple):
    """One label or pool of the small multiples: its counts, and its curves where there are positives enough."""

    name: str
    note: str
    curves: tuple[Curve, ...]
    prevalence: float


def pooled(store: Store) -> list[str]:
    """Names of what the run scored beside single labels."""
    scored = set(store.tables.metrics["label"])
    return [name for name in (MACRO, MICRO, *domains(store.labels)) if name in scored]


def title(name: str) -> str:
    """What a label or a pool is called on the page."""
    return POOLED.get(name, name)


def counts(store: Store, split: Split, name: str) -> tuple[int, int, int]:
    """Positive, negative and unknown films of a label or domain; film-label pairs of MACRO and MICRO."""
    frame = store.tables.metrics
    row = frame[(frame["split"] == split) & (frame["label"] == name)].iloc[0]
    return int(row["n_pos"]), int(row["n_neg"]), int(row["n_unknown"])


def lift(merit: Merit) -> float:
    """How many times its baseline a figure is."""
    return merit.value / merit.baseline if merit.baseline else np.nan


def order(store: Store, split: Split, by: Sort, few: int) -> list[str]:
    """Labels, the foremost first; those with fewer than ``few`` positives last, by prevalence."""
    names = derive.by_prevalence(store, split)
    found = derive.merits(store, split)
    rank: dict[str, float] = {}
    for name in names:
        ap = [found[regime.name, name, "average_precision"] for regime in store.regimes]
        values = np.array([lift(m) if by == "lift" else m.value for m in ap])
        if np.isnan(values).all() or by == "prevalence":
            rank[name] = 0.0
        else:
            rank[name] = float(np.nanmax(values) - (np.nanmin(values) if by == "difference" else 0))
    here = store.tables.metrics[store.tables.metrics["split"] == split]
    positives = dict(zip(here["label"], here["n_pos"], strict=True))
    return sorted(names, key=lambda name: (positives[name] < few, -rank[name]))


def styles(store: Store) -> list[Style]:
    """How each regime is drawn."""
    return [regime_style(i) for i in range(len(store.regimes))]


# --- curves ----------------------------------------------------------------------------------------------------------


def panels(store: Store, split: Split, shown: Shown, by: Sort, few: int, *, with_bands: bool) -> list[Panel]:
    """Every pool, then every label in order, drawn from the precomputed grids."""
    frame = store.tables.bands
    kind = "roc" if shown == "roc" else "pr"
    frame = frame[(frame["split"] == split) & (frame["curve"] == kind)]
    grids = {key: part[["x", "y", "low", "high"]].to_numpy().T for key, part in frame.groupby(["label", "regime"])}
    found = derive.merits(store, split)
    drawn = []
    for name in [*pooled(store), *order(store, split, by, few)]:
        positive, negative, unknown = counts(store, split, name)
        note = f"+ {positive:,}  − {negative:,}" + (f"  ? {unknown:,}" if unknown else "")
        prevalence = found[store.regimes[0].name, name, "average_precision"].baseline
        curves = []
        for regime in store.regimes if positive >= few and not np.isnan(prevalence) else ():
            x, y, low, high = grids[name, regime.name]
            at = operating_point(found, regime.name, name, shown, (positive, negative))
            curves.append(_shown(regime.title, np.stack([x, y]), np.stack([x, low, high]), at, shown, prevalence))
        if not with_bands:
            curves = [Curve(c.name, c.x, c.y, None, c.at) for c in curves]
        drawn.append(Panel(name, note, tuple(curves), prevalence))
    return drawn


def curves(store: Store, split: Split, name: str, shown: Shown) -> list[Curve]:
    """Every regime's whole curve of a label or pool, with what the legend says of it."""
    rows = store.rows(split)
    found = derive.merits(store, split)
    bands = store.tables.bands[(store.tables.bands["split"] == split) & (store.tables.bands["label"] == name)]
    bands = bands[bands["curve"] == ("roc" if shown == "roc" else "pr")]
    drawn = []
    for regime in store.regimes:
        asked = tasks(
            store.labels,
            store.targets[rows],
            np.asarray(store.logits(regime.name)[rows]),
            store.threshold_array(regime.name),
            only=None if name == MACRO else name,
        )
        if shown == "gain":
            pool = asked[: len(store.labels)] if name == MACRO else asked
            merit = derive.Merit(*gain_interval(pool, store.patients[rows], seed=store.manifest.seed), 0.0)
        else:
            merit = found[regime.name, name, "auroc" if shown == "roc" else "average_precision"]
        band = bands[bands["regime"] == regime.name][["x", "y", "low", "high"]].to_numpy().T
        line = band[:2] if name == MACRO else corners(pr_curve(asked[0].targets, asked[0].scores), shown)
        at = operating_point(found, regime.name, name, shown, counts(store, split, name)[:2])
        prevalence = found[regime.name, name, "average_precision"].baseline
        drawn.append(_shown(f"{regime.title} ({merit})", line, band[[0, 2, 3]], at, shown, prevalence))
    return drawn


def corners(frame: pd.DataFrame, shown: Shown) -> NDArray[np.float64]:
    """(2, p) the curve's corners: one for each positive found, thinned to about THIN."""
    x, y = ("fpr", "recall") if shown == "roc" else ("recall", "precision")
    points = frame[[x, y]].to_numpy().T
    if shown == "roc":
        points = np.column_stack([[0.0, 0.0], points])
    else:  # a step function whose area is the average precision
        points = points[:, np.diff(points[0], prepend=0.0) > 0]
        points = np.column_stack([[0.0, points[1, 0]], points]) if points.shape[1] else points
    if points.shape[1] > THIN:
        points = points[:, np.unique(np.linspace(0, points.shape[1] - 1, THIN).round().astype(int))]
    return points


def _shown(
    name: str,
    line: NDArray[np.float64],
    band: NDArray[np.float64],
    at: tuple[float, float],
    shown: Shown,
    prevalence: float,
) -> Curve:
    """A curve in the coordinates shown; on the gain axes what is worse than calling every film lies outside."""
    if shown == "gain":
        inside, banded = line[:, line[0] >= prevalence], band[:, band[0] >= prevalence]
        line, band = gain(inside, prevalence), np.clip(gain(banded, prevalence), -0.1, 1)
        line = np.stack([line[0], np.maximum(line[1], -0.1)])
        x, y = (float(value) for value in gain(np.array(at), prevalence))
        at = (x, y) if x >= 0 and y >= 0 else (np.nan, np.nan)
    return Curve(name, line[0], line[1], band, at)


def operating_point(
    found: dict[tuple[str, str, str], Merit], regime: str, name: str, shown: Shown, known: tuple[int, int]
) -> tuple[float, float]:
    """Where the threshold chosen on validation lies on a label's curve; NaN for pools of labels and without one."""
    if name in POOLED:  # each label has its own threshold, so that the point lies off the pooled curve
        return np.nan, np.nan
    precision, recall = (found[regime, name, metric].value for metric in ("precision", "recall"))
    if shown != "roc":
        return recall, precision
    positive, negative = known
    hits = recall * positive
    return (hits / precision - hits) / negative if precision else np.nan, recall


# --- differences -----------------------------------------------------------------------------------------------------


def pairs(store: Store) -> dict[str, tuple[str, str]]:
    """Title to (regime, against) of every pair compared, the widest apart first."""
    titles = {regime.name: regime.title for regime in store.regimes}
    names = list(titles)
    wide = [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    wide.sort(key=lambda pair: names.index(pair[1]) - names.index(pair[0]))
    return {f"{titles[b]} − {titles[a]}": (b, a) for b, a in wide}


def differences(store: Store, split: Split, metric: str, pair: tuple[str, str], few: int) -> pd.DataFrame:
    """One pair's differences in a metric: pools first, then labels by difference, those too few to say last.

    ``p_holm`` allows for all labels with enough positives; a pool is one question, and keeps its own p.
    """
    frame = store.tables.differences
    regime, against = pair
    chosen = (frame["split"] == split) & (frame["metric"] == metric)
    frame = frame[chosen & (frame["regime"] == regime) & (frame["against"] == against)].copy()
    frame["few"] = frame["n_pos"] < few
    frame["pool"] = ~frame["label"].isin(store.labels)
    frame["p_holm"] = np.where(frame["pool"], frame["p"], np.nan)
    tested = (~frame["pool"] & ~frame["few"]).to_numpy()
    frame.loc[tested, "p_holm"] = holm(frame.loc[tested, "p"].to_numpy(dtype=float))
    frame["place"] = frame["label"].map({name: i for i, name in enumerate(pooled(store))})
    frame = frame.sort_values(["few", "place", "difference"], ascending=[True, True, False], na_position="last")
    frame["label"] = frame["label"].map(title)
    return frame


def difference_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences as text: interval, p, Holm's p and, for AUROC, DeLong's."""
    auroc = bool((frame["metric"] == "auroc").all())
    text = frame["label"].tolist()
    numbers = frame[["difference", "ci_low", "ci_high"]].to_numpy(dtype=float)
    tests = frame[["p", "p_holm", "p_delong"]].to_numpy(dtype=float)
    rows = []
    for i, (few, pool, positives) in enumerate(frame[["few", "pool", "n_pos"]].to_numpy().tolist()):
        nothing = few or np.isnan(numbers[i, 0])
        said = with_interval(*numbers[i])
        cells: dict[str, object] = {
            "Label": text[i],
            "Positives": positives,
            "Difference": "too few to say" if nothing else f"+{said}" if numbers[i, 0] >= 0 else said,
            "p": "—" if nothing else p_text(tests[i, 0]),
            "Holm's p": "—" if nothing else "one test" if pool else p_text(tests[i, 1]),
        }
        if auroc:
            cells["DeLong's p"] = "—" if nothing else p_text(tests[i, 2])
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


def report(store: Store, split: Split, few: int) -> pd.DataFrame:
    """One row a label or pool: counts, then ``regime: figure`` for AP, its lift over prevalence, AUROC and F1, as text.

    A label with fewer than ``few`` positives has its counts alone.
    """
    found = derive.merits(store, split)
    rows = []
    for name in [*order(store, split, "prevalence", few), *pooled(store)]:
        positive, negative, unknown = counts(store, split, name)
        cells = {"Label": title(name), "Positive": f"{positive:,}", "Negative": f"{negative:,}"}
        cells["Unknown"] = f"{unknown:,}"
        for regime in store.regimes:
            ap, auroc, f1 = (found[regime.name, name, metric] for metric in PICTURED)
            said = (str(ap), f"{lift(ap):.1f}×" if not np.isnan(lift(ap)) else "—", str(auroc), str(f1))
            if positive < few:
                said = ("too few to say", "", "", "")
            cells |= {f"{regime.title}: {figure}": text for figure, text in zip(REPORTED, said, strict=True)}
        rows.append(cells)
    return pd.DataFrame(rows)


def forest(store: Store, split: Split, few: int) -> Forest:
    """The report's rows and its metrics, for a picture; lift is AP against its baseline there."""
    found = derive.merits(store, split)
    rows = []
    for name in [*order(store, split, "prevalence", few), *pooled(store)]:
        positive = counts(store, split, name)[0]
        mine = tuple(tuple(found[regime.name, name, metric] for regime in store.regimes) for metric in PICTURED)
        rows.append((title(name), positive, mine if positive >= few else None))
    titles = tuple(regime.title for regime in store.regimes)
    return Forest(tuple(PICTURED.values()), titles, tuple(styles(store)), tuple(rows))
