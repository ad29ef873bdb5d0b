"""The spaces of a store, and what lies near a film in one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.neighbours import comparable, search
from explorer.analysis.operating import wilson
from explorer.figures.case import PointGroup
from explorer.figures.maps import POSITIVE
from explorer.figures.style import GREY
from explorer.store.manifest import FROZEN
from explorer.tables.labels import label_states

if TYPE_CHECKING:
    from collections.abc import Sequence

    import faiss
    from numpy.typing import NDArray

    from explorer.store.manifest import SpaceKind, SpaceRecord
    from explorer.store.reader import Store


def regimes_of_space(store: Store, space: SpaceRecord) -> list[str]:
    """Titles of the regimes that have this space."""
    return [r.title for r in store.regimes if space.name in (r.embedding_space, r.decision_space)]


def space_title(store: Store, space: SpaceRecord) -> str:
    """What a space is called: after the one regime it belongs to; that of the frozen encoder after the encoder."""
    owners = [r for r in store.all_regimes if space.name in (r.embedding_space, r.decision_space)]
    if space.kind == "embedding" and all(regime.encoder == FROZEN for regime in owners):
        return "Frozen encoder"
    return " and ".join(regime.title for regime in owners)


def distinct_spaces(store: Store, kind: SpaceKind) -> list[tuple[SpaceRecord, list[str]]]:
    """The distinct spaces of a kind, each with the titles of the regimes that share it."""
    names = dict.fromkeys(store.space_of(regime.name, kind).name for regime in store.regimes)
    return [(store.space(name), regimes_of_space(store, store.space(name))) for name in names]


def all_spaces(store: Store) -> list[SpaceRecord]:
    """The distinct spaces of the regimes shown, embeddings first."""
    kinds: tuple[SpaceKind, ...] = ("embedding", "decision")
    return [space for kind in kinds for space, _ in distinct_spaces(store, kind)]


def point_groups_by_label(store: Store, rows: NDArray[np.int64], label: str) -> list[PointGroup]:
    """Unknown beneath, then negative, positive on top."""
    state = label_states(store, label)[rows]
    return [
        PointGroup("unknown", rows[state == "unknown"], GREY, "circle-open", 5, 0.45),
        PointGroup("negative", rows[state == "negative"], GREY, "circle", 4, 0.5),
        PointGroup("positive", rows[state == "positive"], POSITIVE, "circle", 8, 0.95),
    ]


def map_frame(store: Store, spaces: Sequence[SpaceRecord], rows: NDArray[np.int64], label: str) -> pd.DataFrame:
    """Where films lie on the maps of some spaces, and what is known of a label: a row for each space and film."""
    films = pd.DataFrame(
        {
            "sample_id": store.samples["sample_id"].to_numpy()[rows],
            "split": store.samples["split"].to_numpy()[rows],
            label: label_states(store, label)[rows],
        }
    )
    places = {space.name: store.map(space.name)[rows] for space in spaces}
    return pd.concat([films.assign(space=name, x=xy[:, 0], y=xy[:, 1]) for name, xy in places.items()])


def nearest_films(
    store: Store, index: faiss.Index, space: str, row: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k films most similar to one, of other patients and of a comparable view."""
    excluded = (store.patients == store.patients[row]) | ~comparable(store.views, str(store.views[row]))
    return search(index, store.vectors(space)[row], k, excluded)


def label_agreement(
    store: Store, known: NDArray[np.float32], candidates: NDArray[np.bool_], rows: NDArray[np.int64], series: str
) -> pd.DataFrame:
    """For each label of the query: the share of retrieved films that have it too, as ``dots`` draws it.

    Parameters
    ----------
    known : (C,) 1 for the query's labels
    candidates : (N,)
        What could have been retrieved; its prevalence is the baseline. Unknown films do not count.
    rows : (k,) the films retrieved
    """
    out = []
    for c in np.flatnonzero(known == 1):
        labelled = store.targets[rows, c]
        k, n = int((labelled == 1).sum()), int((~np.isnan(labelled)).sum())
        low, high = wilson(k, n)
        others = store.targets[candidates, c]
        positive, n_known = int((others == 1).sum()), int((~np.isnan(others)).sum())
        base = positive / n_known if n_known else np.nan
        out.append((series, store.labels[c], k / n if n else np.nan, low, high, base, positive))
    return pd.DataFrame(out, columns=["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"])
