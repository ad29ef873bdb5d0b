"""Groups of films in a space, and their names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIZES = (6, 8, 10, 12, 14)
"""Numbers of clusters tried: more could not be told apart by colour and name."""

SAMPLE = 3000
ALPHA = 0.05
_WORD = re.compile(r"[a-z]{4,}")


class Finding(BaseModel):
    """A label that a cluster has more of than the rest."""

    model_config = ConfigDict(frozen=True)

    label: str
    lift: float
    purity: float
    n_pos: int
    n: int
    base: float


class Cluster(BaseModel):
    """One cluster: its name and how far the name holds.

    ``findings`` are chosen on train and measured on the other splits. ``purity`` is the share of the cluster that has
    the label, ``base`` the share of all films, and ``lift`` their ratio.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    findings: tuple[Finding, ...]
    words: tuple[str, ...]


def find_clusters(vectors: NDArray[np.float32], seed: int) -> NDArray[np.int16]:
    """k-means in the full space, never on the map; the number of clusters by cosine silhouette on a seeded sample.

    Parameters
    ----------
    vectors : (N, dim) unit norm, so that Euclidean distance ranks as cosine does

    Returns
    -------
    (N,) int16, 0 the largest cluster
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    rng = np.random.default_rng(seed)
    rows = np.arange(len(vectors))
    sample = np.sort(rng.choice(rows, SAMPLE, replace=False)) if len(rows) > SAMPLE else rows
    best, best_score = None, -np.inf
    for size in SIZES:
        if size > len(sample) // 4:
            break
        fitted = KMeans(size, n_init=2, random_state=seed).fit(vectors[sample])
        score = silhouette_score(vectors[sample], fitted.labels_, metric="cosine")
        if score > best_score:
            best, best_score = fitted, score
    if best is None:
        return np.zeros(len(vectors), dtype=np.int16)
    assigned = best.predict(np.ascontiguousarray(vectors))
    order = np.argsort(-np.bincount(assigned), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[assigned], dtype=np.int16)


def describe_clusters(
    codes: NDArray[np.int16],
    targets: NDArray[np.float32],
    labels: Sequence[str],
    reports: Sequence[str],
    train: NDArray[np.bool_],
) -> list[Cluster]:
    """Name every cluster after the findings it has more of than the rest.

    A label counts where the hypergeometric test on train rejects chance at 5% after Bonferroni over labels and
    clusters, and films outside train can tell how far the name holds. The name takes the two with the largest lift.
    Report words are over-represented by the same test.

    Parameters
    ----------
    codes : (N,) 0..K-1
    targets : (N, C) 1, 0 or NaN: unknown films count neither for nor against
    labels : C names
    reports : N texts, empty where there is none
    train : (N,) films the names are chosen on
    """
    n_clusters = int(codes.max()) + 1
    has = targets == 1
    known = ~np.isnan(targets)
    words, vocabulary = report_words(reports, train)
    out = []
    for c in range(n_clusters):
        here = codes == c
        chosen = over_represented(has, known, here & train, train, ALPHA / (n_clusters * len(labels)))
        measured = known[here & ~train].any(axis=0)
        findings = []
        for i in [i for i in chosen if measured[i]][:2]:
            n, n_pos = int(known[here & ~train, i].sum()), int(has[here & ~train, i].sum())
            purity, base = n_pos / n, int(has[~train, i].sum()) / int(known[~train, i].sum())
            lift = purity / base if n_pos else 0.0
            findings.append(Finding(label=labels[i], lift=lift, purity=purity, n_pos=n_pos, n=n, base=base))
        frequent = over_represented(
            words, np.ones_like(words), here & train, train, ALPHA / (n_clusters * max(1, len(vocabulary)))
        )
        name = " + ".join(f.label for f in findings) or "Mixed"
        out.append(
            Cluster(
                name=name, n=int(here.sum()), findings=tuple(findings), words=tuple(vocabulary[i] for i in frequent[:3])
            )
        )
    return out


def over_represented(
    has: NDArray[np.bool_], known: NDArray[np.bool_], here: NDArray[np.bool_], among: NDArray[np.bool_], alpha: float
) -> list[int]:
    """Columns over-represented among some rows, the largest lift first."""
    from scipy.stats import hypergeom

    total, total_pos = known[among].sum(axis=0), has[among].sum(axis=0)
    n, n_pos = known[here].sum(axis=0), has[here].sum(axis=0)
    chance = hypergeom.sf(n_pos - 1, total, total_pos, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        lift = (n_pos / n) / (total_pos / total)
    return [int(i) for i in np.argsort(-np.nan_to_num(lift), kind="stable") if chance[i] < alpha and n_pos[i] > 2]


def report_words(reports: Sequence[str], train: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], list[str]]:
    """(N, W) which report holds which word, of the 300 words in most train reports but not in nearly all."""
    sets = [set(_WORD.findall(report.lower())) for report in reports]
    counts = Counter(word for words, counted in zip(sets, train, strict=True) if counted for word in words)
    n_train = max(1, int(train.sum()))
    vocabulary = [w for w, m in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if 3 <= m < 0.8 * n_train]
    vocabulary = vocabulary[:300]
    return np.array([[w in words for w in vocabulary] for words in sets], dtype=bool).reshape(
        len(sets), len(vocabulary)
    ), vocabulary
