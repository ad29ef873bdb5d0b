"""What the pages compute from a store: small frames and sentences. No Streamlit here, so it is tested on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from explorer.analysis.metrics import MACRO, METRICS, interval
from explorer.analysis.neighbours import comparable, search
from explorer.analysis.operating import wilson
from explorer.analysis.ranking import BINARY_METRICS
from explorer.analysis.together import cooccurrence as together_shares
from explorer.data.samples import SPLITS, Split
from explorer.figures.common import Layer, with_interval

if TYPE_CHECKING:
    import faiss
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.store.schema import SpaceKind, SpaceRecord

FEW = 5
"""With fewer positives than this, a figure says next to nothing: its interval spans most of the range."""

METRIC_TITLES = {name: metric.title for name, metric in BINARY_METRICS.items()}

MANY = 10_000
"""Units of evidence so many that t is the normal distribution."""

State = Literal["positive", "negative", "unknown"]


# --- labels ----------------------------------------------------------------------------------------------------------


def by_prevalence(store: Store, split: Split) -> list[str]:
    """Labels, the most frequent in the split first; ties and labels never known keep the run's order."""
    targets = store.targets[store.rows(split)]
    known = (~np.isnan(targets)).sum(0)
    share = np.where(known > 0, (targets == 1).sum(0) / np.maximum(known, 1), -1.0)
    return [store.labels[i] for i in np.argsort(-share, kind="stable")]


def label_table(store: Store, split: Split) -> pd.DataFrame:
    """One row a label: its prevalence in the split, and positives / negatives / unknown in every split."""
    rows = []
    for label in by_prevalence(store, split):
        c = store.labels.index(label)
        cells: dict[str, object] = {"Label": label}
        for part in (split, *(s for s in SPLITS if s != split)):
            targets = store.targets[store.rows(part), c]
            positive, negative = int((targets == 1).sum()), int((targets == 0).sum())
            if part == split:
                cells["Prevalence"] = 100 * positive / (positive + negative) if positive + negative else np.nan
            cells[f"{part} pos / neg / ?"] = f"{positive:,} / {negative:,} / {len(targets) - positive - negative:,}"
        rows.append(cells)
    return pd.DataFrame(rows)


def cooccurrence(store: Store, split: Split) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """How often labels stand together in a split.

    Returns
    -------
    share : (C, C)
        P(column positive | row positive) over films where both are known; NaN where no film has the row.
    together : (C, C)
        Films positive for both.
    labels : C names, the most frequent first
    """
    labels = by_prevalence(store, split)
    targets = store.targets[store.rows(split)][:, [store.labels.index(label) for label in labels]]
    share, together = together_shares(targets == 1, ~np.isnan(targets))
    return share, together, labels


def states(store: Store, label: str) -> NDArray[np.str_]:
    """(N,) positive, negative or unknown."""
    targets = store.targets[:, store.labels.index(label)]
    return np.where(np.isnan(targets), "unknown", np.where(targets == 1, "positive", "negative"))


def positives(store: Store, row: int) -> list[str]:
    """The labels a film is known to have."""
    return [label for label, value in zip(store.labels, store.targets[row], strict=True) if value == 1]


def findings(store: Store, row: int) -> str:
    """A film's positive labels in one line."""
    found = ", ".join(positives(store, row))
    if found:
        return found
    return "labels unknown" if np.isnan(store.targets[row]).all() else "no positive label"


def films(store: Store, split: Split, label: str, state: State | None) -> NDArray[np.int64]:
    """Rows of a split whose label is in a state; all of them where ``state`` is None."""
    rows = store.rows(split)
    return rows if state is None else rows[states(store, label)[rows] == state]


# --- figures of merit ------------------------------------------------------------------------------------------------


def scores(store: Store, split: Split, metric: str) -> pd.DataFrame:
    """One metric of every label and regime: the best label first, those with too few positives last."""
    frame = store.metrics
    frame = frame[(frame["split"] == split) & (frame["metric"] == metric) & frame["label"].isin(store.labels)].copy()
    frame["series"] = frame["regime"].map({regime.name: regime.title for regime in store.regimes})
    best = frame.groupby("label").agg(value=("value", "max"), n_pos=("n_pos", "max"))
    best["few"] = best["n_pos"] < FEW
    order = best.sort_values(["few", "value"], ascending=[True, False], na_position="last", kind="stable").index
    return frame.sort_values("label", key=lambda names: names.map(order.get_loc), kind="stable")


class Merit(NamedTuple):
    """One figure with its 95% interval and its trivial baseline; NaN where there is none."""

    value: float
    low: float
    high: float
    baseline: float

    def __str__(self) -> str:
        return with_interval(self.value, self.low, self.high)


def merits(store: Store, split: Split) -> dict[tuple[str, str, str], Merit]:
    """Every figure of a split by (regime, label, metric); MACRO is the label of means over labels."""
    frame = store.metrics[store.metrics["split"] == split]
    numbers = frame[["value", "ci_low", "ci_high", "baseline"]].to_numpy(dtype=float).tolist()
    names = zip(frame["regime"], frame["label"], frame["metric"], strict=True)
    return {name: Merit(*row) for name, row in zip(names, numbers, strict=True)}


def drawn_text(values: NDArray[np.float64]) -> str:
    """A figure and its 95% interval from (1 + B,) values: the films' own, then each resample's.

    For figures over all patients: with so many the interval needs no expansion for few.
    """
    low, high = interval(values[None, :1], values[None, 1:, None], np.array([MANY]))
    return with_interval(float(values[0]), float(low[0, 0]), float(high[0, 0]))


def regime_table(store: Store, split: Split, label: str) -> pd.DataFrame:
    """One row a regime: every metric of a label, or of MACRO, with its 95% interval and its trivial baseline."""
    found = merits(store, split)
    rows = []
    for regime in store.regimes:
        cells = {"": "Mean over labels" if label == MACRO else label, "Regime": regime.title}
        for metric in METRICS:
            m = found[regime.name, label, metric]
            cells[METRIC_TITLES[metric]] = str(m) if np.isnan(m.value) else f"{m} · {m.baseline:.2f}"
        rows.append(cells)
    return pd.DataFrame(rows)


def counts(store: Store, split: Split, label: str) -> tuple[int, int, int]:
    """Positive, negative and unknown films of a label in a split."""
    targets = store.targets[store.rows(split), store.labels.index(label)]
    positive, negative = int((targets == 1).sum()), int((targets == 0).sum())
    return positive, negative, len(targets) - positive - negative


def verdict(store: Store, split: Split, metric: str) -> str:
    """What a metric's intervals say, in two or three plain sentences."""
    found = merits(store, split)
    sentences = []
    macro = {regime.title: found[regime.name, MACRO, metric] for regime in store.regimes}
    macro = {title: m for title, m in macro.items() if not np.isnan(m.value)}
    if len(macro) > 1:
        best = max(macro, key=lambda title: macro[title].value)
        last = min(macro, key=lambda title: macro[title].value)
        names = {regime.title: regime.name for regime in store.regimes}
        frame = store.differences
        pair = frame["regime"].isin([names[best], names[last]]) & frame["against"].isin([names[best], names[last]])
        of_macro = (frame["split"] == split) & (frame["metric"] == metric) & (frame["label"] == MACRO)
        ends = frame.loc[pair & of_macro, ["ci_low", "ci_high"]].to_numpy(dtype=float)
        apart = bool(((ends[:, 0] > 0) | (ends[:, 1] < 0)).any())
        told = "excludes 0" if apart else "holds 0" if len(ends) else "is not stored"
        sentences.append(
            f"On average over labels {best} is highest and {last} lowest in "
            f"{METRIC_TITLES[metric].replace('Average', 'average')}; the interval of their paired difference {told}."
        )
    above = []
    for regime in store.regimes:
        mine = [found[regime.name, label, metric] for label in store.labels]
        scored = [m for m in mine if not np.isnan(m.value)]
        above.append(f"{regime.title} {sum(m.low > m.baseline for m in scored)} of {len(scored)}")
    sentences.append(f"Labels whose whole interval lies above the baseline: {', '.join(above)}.")
    rare = sum(counts(store, split, label)[0] < FEW for label in store.labels)
    if rare:
        sentences.append(f"{rare} label{'s have' if rare > 1 else ' has'} fewer than {FEW} positives: too few to say.")
    return " ".join(sentences)


# --- maps ------------------------------------------------------------------------------------------------------------


def trained(store: Store) -> str:
    """Whose way a run was trained."""
    return "Trained as the paper" if store.manifest.protocol == "paper" else "Trained soundly"


def start(store: Store) -> str:
    """What the fine-tune starts from, at epoch 0."""
    return "an untrained head" if store.manifest.protocol == "paper" else "the linear probe"


def shared_by(store: Store, space: SpaceRecord) -> list[str]:
    """Titles of the regimes that have this space."""
    return [r.title for r in store.regimes if space.name in (r.embedding_space, r.decision_space)]


def spaces(store: Store, kind: SpaceKind) -> list[tuple[SpaceRecord, list[str]]]:
    """The distinct spaces of a kind, each with the titles of the regimes that share it."""
    names = dict.fromkeys(store.space_of(regime.name, kind).name for regime in store.regimes)
    return [(store.space(name), shared_by(store, store.space(name))) for name in names]


def layers_by_label(store: Store, rows: NDArray[np.int64], label: str) -> list[Layer]:
    """Unknown beneath, then negative, positive on top."""
    state = states(store, label)[rows]
    return [
        Layer("unknown", rows[state == "unknown"], "#8a8f98", "circle-open", 5, 0.45),
        Layer("negative", rows[state == "negative"], "#8a8f98", "circle", 4, 0.5),
        Layer("positive", rows[state == "positive"], "#E69F00", "circle", 8, 0.95),
    ]


def hover(store: Store) -> NDArray[np.str_]:
    """(N,) each film's id, split and findings."""
    ids, parts = store.samples["sample_id"], store.samples["split"]
    return np.array(
        [f"{i} · {s}<br>{findings(store, row)}" for row, (i, s) in enumerate(zip(ids, parts, strict=True))],
        dtype=str,
    )


# --- neighbours ------------------------------------------------------------------------------------------------------


def neighbours(
    store: Store, index: faiss.Index, space: str, row: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k films most similar to one, of other patients and of a comparable view."""
    barred = (store.patients == store.patients[row]) | ~comparable(store.views, str(store.views[row]))
    return search(index, store.vectors(space)[row], k, barred)


def agreement(
    store: Store, known: NDArray[np.float32], among: NDArray[np.bool_], found: NDArray[np.int64], series: str
) -> pd.DataFrame:
    """For each label asked for: the share of the films found that have it too, for figures.dots.

    Parameters
    ----------
    known : (C,) 1 for the labels asked for
    among : (N,)
        What could have been found; its prevalence is the baseline. Unknown films do not count.
    found : (k,) rows
    """
    out = []
    for c in np.flatnonzero(known == 1):
        have = store.targets[found, c]
        k, n = int((have == 1).sum()), int((~np.isnan(have)).sum())
        low, high = wilson(k, n)
        others = store.targets[among, c]
        positive, told = int((others == 1).sum()), int((~np.isnan(others)).sum())
        base = positive / told if told else np.nan
        out.append((series, store.labels[c], k / n if n else np.nan, low, high, base, positive))
    return pd.DataFrame(out, columns=["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"])
