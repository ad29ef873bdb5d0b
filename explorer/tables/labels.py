"""What the labels of a store are: prevalence, counts, and what is known of each film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis.joint_labels import cooccurrence
from explorer.data.samples import SPLITS, Split
from explorer.data.text import in_html, in_markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from explorer.store.reader import Store


State = Literal["positive", "negative", "unknown"]

ONE_LABEL = "This run has one label, so there are no pairs of labels."


def by_prevalence(store: Store, split: Split) -> list[str]:
    """Labels, the most frequent in the split first; ties and labels never known keep the run's order."""
    targets = store.targets[store.rows(split)]
    known = (~np.isnan(targets)).sum(0)
    share = np.where(known > 0, (targets == 1).sum(0) / np.maximum(known, 1), -1.0)
    return [store.labels[i] for i in np.argsort(-share, kind="stable")]


def label_table(store: Store, split: Split) -> pd.DataFrame:
    """One row per label: its prevalence in the split, and positives / negatives / unknown in every split."""
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


def cooccurrence_in_split(store: Store, split: Split) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """How often labels occur together in a split.

    Returns
    -------
    share : (C, C)
        P(column positive | row positive) over films where both are known; NaN where no film has the row.
    both : (C, C)
        Films positive for both.
    labels : C names, the most frequent first
    """
    labels = by_prevalence(store, split)
    targets = store.targets[store.rows(split)][:, [store.labels.index(label) for label in labels]]
    share, both = cooccurrence(targets == 1, ~np.isnan(targets))
    return share, both, labels


def cooccurrence_frame(share: NDArray[np.float64], both: NDArray[np.int64], labels: Sequence[str]) -> pd.DataFrame:
    """A row for each pair of labels: films with both, and their share of the films with the first.

    Parameters
    ----------
    share, both : (C, C), as :func:`explorer.analysis.joint_labels.cooccurrence` gives them
    """
    first, second = np.meshgrid(labels, labels, indexing="ij")
    cells = {"label": first.ravel(), "with": second.ravel(), "films_with_both": both.ravel(), "share": share.ravel()}
    return pd.DataFrame(cells)


def label_counts(store: Store, split: Split, label: str) -> tuple[int, int, int]:
    """Positive, negative and unknown films of a label in a split."""
    targets = store.targets[store.rows(split), store.labels.index(label)]
    positive, negative = int((targets == 1).sum()), int((targets == 0).sum())
    return positive, negative, len(targets) - positive - negative


def label_states(store: Store, label: str) -> NDArray[np.str_]:
    """(N,) positive, negative or unknown."""
    targets = store.targets[:, store.labels.index(label)]
    return np.where(np.isnan(targets), "unknown", np.where(targets == 1, "positive", "negative"))


def positive_labels(store: Store, row: int) -> list[str]:
    """The labels a film is known to have."""
    return [label for label, value in zip(store.labels, store.targets[row], strict=True) if value == 1]


def findings_text(store: Store, row: int, shown: Callable[[str], str] = in_markdown) -> str:
    """A film's positive labels in one line, each as a function of :mod:`explorer.data.text` shows it."""
    positives = ", ".join(map(shown, positive_labels(store, row)))
    if positives:
        return positives
    return "labels unknown" if np.isnan(store.targets[row]).all() else "no positive label"


def rows_in_state(store: Store, split: Split, label: str, state: State | None) -> NDArray[np.int64]:
    """Rows of a split whose label is in a state; all of them where ``state`` is None."""
    rows = store.rows(split)
    return rows if state is None else rows[label_states(store, label)[rows] == state]


def film_captions(store: Store) -> NDArray[np.str_]:
    """(N,) each film's id, split and findings."""
    ids, parts = store.samples["sample_id"], store.samples["split"]
    return np.array(
        [
            f"{in_html(i)} · {s}<br>{findings_text(store, row, in_html)}"
            for row, (i, s) in enumerate(zip(ids, parts, strict=True))
        ],
        dtype=str,
    )
