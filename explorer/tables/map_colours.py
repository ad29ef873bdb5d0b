"""What a map's colours can say: each a function of the store, the films drawn and the regime."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from explorer.analysis.map_trust import DENSITY
from explorer.data.text import AXIS, plain
from explorer.errors import UserError
from explorer.figures.maps import (
    CONTEXT,
    DIVERGING,
    OKABE_ITO,
    POSITIVE,
    SEQUENTIAL,
    UNKNOWN,
    Frame,
    Legend,
    Mark,
    Paint,
    Points,
    Shape,
    graded,
    layered,
    on_ground,
    pies,
    ramp,
)
from explorer.figures.style import number
from explorer.tables import styles
from explorer.tables.film_filter import names_split, rows_shown
from explorer.tables.labels import label_states
from explorer.tables.spaces import distinct_spaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.manifest import SpaceKind
    from explorer.store.reader import Store
    from explorer.tables.film_filter import Conditions

Colour = Literal[
    "label", "labels", "count", "score", "outcome", "right", "view", "split", "cluster", "density", "moved"
]
Match = Literal["any", "all", "only"]

COLOURS: dict[Colour, str] = {
    "label": "Label",
    "labels": "Several labels",
    "count": "Number of findings",
    "score": "Score",
    "outcome": "Outcome",
    "right": "Right across regimes",
    "view": "View",
    "split": "Split",
    "cluster": "Cluster",
    "density": "Density",
    "moved": "Moved between maps",
}
MATCHES: dict[str, str] = {"any": "any of them", "all": "all of them", "only": "only them"}
MOST_LABELS = 6
"""Colours that stay apart in one map for readers of every colour vision."""

_CLUSTER_SHAPES: tuple[Shape, ...] = ("disc", "diamond", "triangle")


@dataclass(frozen=True)
class Asked:
    """What the colours are to show, and the conditions on films; hashable, so that it keys the cache."""

    split: Split
    kind: SpaceKind
    colour: Colour
    label: str
    labels: tuple[str, ...]
    match: Match
    conditions: Conditions = ()

    @property
    def part(self) -> Split | None:
        """The split whose films are on the map; None for all splits."""
        return None if self.colour == "split" or names_split(self.conditions) else self.split


def paint(store: Store, asked: Asked, regime: str) -> Paint:
    """The points of one regime's map; films that do not meet the conditions are a pale ground beneath the others."""
    painted = _PAINTERS[asked.colour](store, asked, regime)
    if not asked.conditions:
        return painted
    every = store.rows(asked.part)
    return on_ground(painted, np.setdiff1d(every, rows_on_map(store, asked)), "outside the filter")


def rows_on_map(store: Store, asked: Asked) -> NDArray[np.int64]:
    """Rows that the colours are about: those that meet the conditions, of the split or of all films."""
    return rows_shown(store, asked.part, asked.conditions, asked.label)


def _label(store: Store, asked: Asked, regime: str) -> Paint:
    rows = rows_on_map(store, asked)
    state = label_states(store, asked.label)[rows]
    return layered(
        store.n,
        [
            Points("unknown", rows[state == "unknown"], UNKNOWN),
            Points("negative", rows[state == "negative"], CONTEXT),
            Points("positive", rows[state == "positive"], Mark((POSITIVE,), radius=4, opacity=0.95)),
        ],
    )


def _labels(store: Store, asked: Asked, regime: str) -> Paint:
    rows, names = rows_on_map(store, asked), [plain(label, AXIS) for label in asked.labels]
    columns = [store.labels.index(label) for label in asked.labels]
    matched, unknown = match(store.targets[rows], columns, asked.match)
    beneath = [
        Points("unknown", rows[unknown], UNKNOWN),
        Points("other films", rows[~matched & ~unknown], CONTEXT),
    ]
    has = store.targets[:, columns] == 1
    return pies(store.n, rows[matched], has, names, OKABE_ITO[: len(names)], beneath, "several: a slice each")


def match(targets: NDArray[np.float32], columns: list[int], how: Match) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Films that have any, all, or nothing but the chosen labels; and those of which it is not known.

    Parameters
    ----------
    targets : (m, C) 1, 0 or NaN
    columns : the chosen labels
    how : "only" wants at least one of them and no other label

    Returns
    -------
    matched, unknown : (m,) bool

    Examples
    --------
    >>> targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [np.nan, 0, 0]], dtype=np.float32)
    >>> [match(targets, [0, 1], how)[0].tolist() for how in ("any", "all")]
    [[True, True, True, False], [False, True, False, False]]
    >>> matched, unknown = match(targets, [0, 1], "only")
    >>> matched.tolist(), unknown.tolist()
    ([True, True, False, False], [False, False, False, True])
    """
    chosen = targets[:, columns]
    others = np.delete(targets, columns, axis=1)
    positive, open_ = (chosen == 1).any(axis=1), np.isnan(chosen).any(axis=1)
    if how == "any":
        return positive, ~positive & open_
    if how == "all":
        return (chosen == 1).all(axis=1), open_ & ~(chosen == 0).any(axis=1)
    clean, doubtful = (others == 0).all(axis=1), np.isnan(others).any(axis=1) & ~(others == 1).any(axis=1)
    return positive & clean, (positive & doubtful) | (~positive & open_ & (clean | doubtful))


def _count(store: Store, asked: Asked, regime: str) -> Paint:
    rows = rows_on_map(store, asked)
    findings = [c for c, name in enumerate(store.labels) if name != "No Finding"]
    known = ~np.isnan(store.targets[rows][:, findings]).all(axis=1)
    count = np.minimum((store.targets[rows][:, findings] == 1).sum(axis=1), 4)
    looks = ramp(SEQUENTIAL, 4)
    layers = [Points("unknown", rows[~known], UNKNOWN), Points("none", rows[known & (count == 0)], CONTEXT)]
    layers += [
        Points(
            f"{i}{' or more' if i == 4 else ''}", rows[known & (count == i)], Mark((looks[i - 1],), radius=3.2 + i / 4)
        )
        for i in (1, 2, 3, 4)
    ]
    return layered(store.n, layers)


def _score(store: Store, asked: Asked, regime: str) -> Paint:
    rows, c = rows_on_map(store, asked), store.labels.index(asked.label)
    values = np.asarray(store.logits(regime)[:, c])
    threshold = float(store.threshold_array(regime)[c])
    middle = float(np.median(values[rows])) if np.isnan(threshold) else threshold
    reach = float(np.quantile(np.abs(values[rows] - middle), 0.98)) if len(rows) else 1.0
    words = (f"logit {number(middle - reach, 1)}", f"{number(middle + reach, 1)}, grey at {number(middle, 1)}")
    return graded(store.n, rows, values, (middle - reach, middle + reach), DIVERGING, words)


def _outcome(store: Store, asked: Asked, regime: str) -> Paint:
    rows, c = rows_on_map(store, asked), store.labels.index(asked.label)
    predicted = store.logits(regime)[rows, c] >= store.threshold_array(regime)[c]
    state = label_states(store, asked.label)[rows]
    positive, negative = state == "positive", state == "negative"
    return layered(
        store.n,
        [
            Points("unknown", rows[state == "unknown"], UNKNOWN),
            Points("TN", rows[negative & ~predicted], CONTEXT),
            Points("FP", rows[negative & predicted], Mark(("#E69F00",), "triangle", 4, 0.85)),
            Points("FN", rows[positive & ~predicted], Mark((POSITIVE,), "cross", 4, 1)),
            Points("TP", rows[positive & predicted], Mark((POSITIVE,), radius=4, opacity=0.95)),
        ],
    )


def _right(store: Store, asked: Asked, regime: str) -> Paint:
    """A pie slice for each regime that is right; the same picture on every map."""
    rows, c = rows_on_map(store, asked), store.labels.index(asked.label)
    truth = store.targets[:, c]
    judged = [r for r in store.regimes if not np.isnan(store.threshold_array(r.name)[c])]
    if not judged:
        raise UserError(
            f"No regime has a threshold for {plain(asked.label)}.", "Choose another label or another colour."
        )
    right = np.stack(
        [(store.logits(r.name)[:, c] >= store.threshold_array(r.name)[c]) == (truth == 1) for r in judged], axis=1
    )
    known = ~np.isnan(truth[rows])
    all_right = rows[known & right[rows].all(axis=1)]
    beneath = [Points("unknown", rows[~known], UNKNOWN), Points("all right", all_right, CONTEXT)]
    beneath.append(Points("all wrong", rows[known & ~right[rows].any(axis=1)], Mark(("#b3346d",), "cross", 4, 1)))
    some = rows[known & right[rows].any(axis=1) & ~right[rows].all(axis=1)]
    colours = [styles.of_regime(store, r.name).colour for r in judged]
    names = [f"{r.title} right, another wrong" for r in judged]
    return pies(store.n, some, right, names, colours, beneath, "several right, another wrong")


def _view(store: Store, asked: Asked, regime: str) -> Paint:
    rows = rows_on_map(store, asked)
    views = store.samples["view"].fillna("").astype(str).str.strip().to_numpy()
    names = [name for name in dict.fromkeys(store.samples["view"].dropna().value_counts().index.astype(str)) if name]
    layers = [Points("not recorded", rows[views[rows] == ""], UNKNOWN)]
    for i, name in enumerate(names[: len(OKABE_ITO)]):
        layers.append(Points(name, rows[views[rows] == name], Mark((OKABE_ITO[(i + 1) % 7],))))
    layers.append(Points("other views", rows[np.isin(views[rows], names[len(OKABE_ITO) :])], CONTEXT))
    return layered(store.n, layers)


def _split(store: Store, asked: Asked, regime: str) -> Paint:
    rows, splits = rows_on_map(store, asked), store.samples["split"].to_numpy()
    looks = {
        "train": CONTEXT,
        "val": Mark(("#3a9bdc",), "diamond", 4, 0.85),
        "test": Mark(("#E69F00",), opacity=0.85),
    }
    return layered(
        store.n,
        [Points(part, rows[splits[rows] == part], look) for part, look in looks.items()],
    )


def _cluster(store: Store, asked: Asked, regime: str) -> Paint:
    rows = rows_on_map(store, asked)
    space = store.space_of(regime, asked.kind).name
    codes, clusters = store.clusters(space)
    names = [f"{i + 1} {plain(one.name, AXIS)}" for i, one in enumerate(clusters)]
    marks = cluster_marks(store, space)
    layers = [Points(name, rows[codes[rows] == i], marks[i]) for i, name in enumerate(names)]
    legend = [Legend(f"{layer.name} ({len(layer.rows):,})", layer.mark) for layer in layers if len(layer.rows)]
    return layered(store.n, layers, legend)


def cluster_marks(store: Store, space: str) -> list[Mark]:
    """The look of every cluster of a space: that of the cluster with most of its films in the first such space."""
    kind: SpaceKind = "embedding" if any(r.embedding_space == space for r in store.regimes) else "decision"
    codes, clusters = store.clusters(space)
    first, _ = store.clusters(distinct_spaces(store, kind)[0][0].name)
    return [_cluster_mark(place) for place in matched_places(codes, first, len(clusters))]


def _cluster_mark(place: int) -> Mark:
    """Seven colours, then the same with another shape."""
    return Mark((OKABE_ITO[place % 7],), _CLUSTER_SHAPES[place // 7 % 3], 3.7, 0.85)


def matched_places(codes: NDArray[np.int16], first: NDArray[np.int16], n_clusters: int) -> list[int]:
    """For each cluster the cluster of another clustering that it is paired with; those left over get further places.

    Pairs share as many films as any pairing can (Kuhn 1955).

    Parameters
    ----------
    codes, first : (N,) clusters of the films in this clustering and in the other
    n_clusters : of this clustering

    Examples
    --------
    >>> matched_places(np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0, 0]), 3)
    [1, 0, 2]
    """
    shared = np.zeros((n_clusters, int(first.max()) + 1), dtype=np.int64)
    np.add.at(shared, (codes, first), 1)
    pairs = dict(zip(*(side.tolist() for side in linear_sum_assignment(-shared)), strict=True))
    further = iter(range(shared.shape[1], shared.shape[1] + n_clusters))
    return [pairs[i] if i in pairs else next(further) for i in range(n_clusters)]


def _density(store: Store, asked: Asked, regime: str) -> Paint:
    rows = rows_on_map(store, asked)
    values = store.points(store.space_of(regime, asked.kind).name)[:, DENSITY]
    seen = values[rows][~np.isnan(values[rows])]
    low, high = (float(v) for v in np.quantile(seen, [0.02, 0.98])) if len(seen) else (0.0, 1.0)
    words = (f"sparse {low:.2f}", f"dense {high:.2f}")
    return graded(store.n, rows, values, (low, high), SEQUENTIAL, words)


def _moved(store: Store, asked: Asked, regime: str) -> Paint:
    rows, far = rows_on_map(store, asked), moved(store, asked.kind)
    high = float(np.quantile(far[rows], 0.98)) if len(rows) else 1.0
    return graded(store.n, rows, far, (0.0, high), SEQUENTIAL, ("stays", f"moves {high:.0%} of the map's width"))


def moved(store: Store, kind: SpaceKind) -> NDArray[np.float64]:
    """(N,) the farthest that a film lies from itself on two of the regimes' maps, as a share of a map's width."""
    places = [Frame.around(xy).share(xy) for xy in (store.map(space.name) for space, _ in distinct_spaces(store, kind))]
    far = np.zeros(store.n)
    for one, other in combinations(places, 2):
        far = np.maximum(far, np.linalg.norm(one - other, axis=1))
    return far


_PAINTERS: dict[Colour, Callable[[Store, Asked, str], Paint]] = {
    "label": _label,
    "labels": _labels,
    "count": _count,
    "score": _score,
    "outcome": _outcome,
    "right": _right,
    "view": _view,
    "split": _split,
    "cluster": _cluster,
    "density": _density,
    "moved": _moved,
}
