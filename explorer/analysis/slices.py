"""Error slices: groups of films that nobody named, sought on validation and tested on test films.

The idea is Domino's (Eyuboglu et al., ICLR 2022): a mixture over embedding, label and score, so that the films of a
component look alike and err alike. Here a mixture is fitted within one label state, positive or negative. An error is
then held against that of films with the same answer. Films join a slice by their embedding alone: one that joined by
its own score would err because it was chosen to.

Films near the other answer err more in every regime, since its score is a direction of the embedding. That is no news:
their probabilities admit it. So a slice has to err beyond its probabilities as well: all films that look like it have
its answer more often than predicted, by more than other films do (multicalibration, Hébert-Johnson et al., ICML 2018).

Error is the log-loss of calibrated probabilities, which needs no threshold. The share of wrong films is not tested: it
can be 1 on ten films, and then has no spread to build an interval on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # scipy.stats takes a page's first second

from explorer.analysis.clusters import ALPHA, over_represented, report_words
from explorer.analysis.differences import holm
from explorer.analysis.evidence import ENOUGH
from explorer.analysis.jackknife import SILENT, groups_of, standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from explorer.analysis.subgroups import Attribute, Scores

State = Literal["positive", "negative"]
STATES: dict[State, int] = {"positive": 1, "negative": 0}
"""What a film's label is, where it is known; each has slices of its own."""

DIMENSIONS = 16
"""Principal components of the embedding that the mixture sees."""
PER_SLICE = 40
"""Validation patients for each component of a mixture."""
MOST = 6
"""Components of a mixture at most: each has films enough to look at."""
SCORE_WEIGHT = 8
"""How many dimensions of the embedding the score counts as."""
SPREAD = 0.1
"""Added to each component's variances, in units of the features' own: few films would else make needles of them."""
NAMES = 2
"""Over-represented traits of each kind that a slice is named by, at most."""
LIFT = 1.5
"""How many times more common in the slice a trait has to be: what most films have names none of them."""

SLICE_COLUMNS: tuple[str, ...] = (
    *("slice", "regime", "label", "state", "error", "elsewhere", "excess", "ci_low", "ci_high"),
    *("beyond", "beyond_low", "beyond_high", "p", "p_adjusted", "wrong", "wrong_elsewhere"),
    *("n_val", "n", "n_elsewhere", "n_alike", "patients", "patients_elsewhere"),
)
NAME_COLUMNS: tuple[str, ...] = ("slice", "kind", "name", "n_with", "n", "base", "lift")
FILM_COLUMNS: tuple[str, ...] = ("slice", "row")


@dataclass(frozen=True)
class Mixture:
    """Components over k dimensions of an embedding: weights (K,), means (K, k) and variances (K, k)."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    def assign(self, reduced: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) the likeliest component of films by their embedding (n, k), whatever their label or score."""
        whitened = 1 / self.variances
        distance = (
            (reduced**2) @ whitened.T - 2 * reduced @ (self.means * whitened).T + (self.means**2 * whitened).sum(1)
        )
        return np.asarray((np.log(self.weights) - np.log(self.variances).sum(1) / 2 - distance / 2).argmax(axis=1))


class Figure(NamedTuple):
    """A figure with its 95% interval and two-sided p."""

    value: float
    low: float
    high: float
    p: float

    @property
    def sureness(self) -> float:
        """The value in widths of its interval; -1 where it has none."""
        return self.value / (self.high - self.low) if self.high > self.low else -1.0


class Traits(NamedTuple):
    """What a slice can be named by, of N films and T traits.

    ``names`` are (kind, name), kind being finding, attribute or word; ``has`` and ``known`` are (N, T).
    """

    names: list[tuple[str, str]]
    has: NDArray[np.bool_]
    known: NDArray[np.bool_]


class Slices(NamedTuple):
    """Tables of SLICE_COLUMNS, the surest first, of NAME_COLUMNS, and of FILM_COLUMNS (val and test)."""

    slices: pd.DataFrame
    names: pd.DataFrame
    films: pd.DataFrame


def reduce(embeddings: NDArray[np.float32], fitted_on: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """(N, k) principal components of embeddings (N, D), of unit variance on the rows that they are fitted on."""
    from sklearn.decomposition import PCA

    sample = np.asarray(embeddings[fitted_on], np.float64)
    fewest = max(1, min(DIMENSIONS, sample.shape[1], len(sample) - 1))
    pca = PCA(fewest, svd_solver="randomized", random_state=seed).fit(sample)
    spread = np.sqrt(np.maximum(pca.explained_variance_, SILENT))
    axes = (pca.components_ / spread[:, None]).T.astype(np.float32)
    return np.asarray(embeddings @ axes - pca.mean_.astype(np.float32) @ axes)


def traits(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    ways: Sequence[Attribute],
    reports: Sequence[str],
    train: NDArray[np.bool_],
) -> Traits:
    """Findings, groups by what is known of patient and film, and words that train reports hold.

    Parameters
    ----------
    labels : C names
    targets : (N, C) 1, 0 or NaN
    ways : attributes of the N films
    reports : N texts, empty where there is none
    train : (N,) the films whose reports give the words
    """
    words, vocabulary = report_words(reports, train)
    reported = np.array([bool(report.strip()) for report in reports])
    groups = [(f"{way.name}: {group}", way.codes, i) for way in ways for i, group in enumerate(way.groups)]
    names = [
        *(("finding", label) for label in labels),
        *(("attribute", name) for name, *_ in groups),
        *(("word", word) for word in vocabulary),
    ]
    has = [targets == 1, *((codes == i)[:, None] for _, codes, i in groups), words]
    known = [
        ~np.isnan(targets),
        *((codes >= 0)[:, None] for _, codes, _ in groups),
        reported[:, None] & np.ones_like(words),
    ]
    return Traits(names, np.hstack(has), np.hstack(known))


def fit(reduced: NDArray[np.floating], score: NDArray[np.floating], patients: int, seed: int) -> Mixture:
    """A mixture of diagonal Gaussians over embedding (n, k) and score (n,), of films with one label state.

    A dimension that stands ``SCORE_WEIGHT`` times in a diagonal Gaussian weighs as many times in its log-likelihood.
    """
    from sklearn.mixture import GaussianMixture

    deviation = float(score.std())
    standard = (score - score.mean()) / (deviation if deviation > 0 else 1.0)
    features = np.column_stack([reduced, np.repeat(standard[:, None], SCORE_WEIGHT, axis=1)])
    components = int(np.clip(patients // PER_SLICE, 2, MOST))
    fitted = GaussianMixture(
        components, covariance_type="diag", reg_covar=SPREAD, n_init=2, max_iter=200, random_state=seed
    ).fit(features)
    k = reduced.shape[1]
    return Mixture(fitted.weights_, fitted.means_[:, :k], fitted.covariances_[:, :k])


def excess(
    values: NDArray[np.float64], inside: NDArray[np.bool_], patients: NDArray[np.int64], least: float = 0.0
) -> Figure:
    """Mean value (n,) of films inside less that of the others, patients (n,) left out in turn.

    The standard error is at least ``least``. Degrees of freedom are the fewer patients of both sides, less one.
    """
    without = groups_of(patients).astype(np.float64)
    parts = np.stack([inside, inside * values, ~inside, ~inside * values]) @ without
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = parts[1] / parts[0] - parts[3] / parts[2]
    value = float(values[inside].mean() - values[~inside].mean())
    error = max(float(standard_error(left_out[None, :, None])[0, 0]), least)  # NaN stays
    degrees = min(_people(patients[inside]), _people(patients[~inside])) - 1
    if not (error > SILENT and degrees > 0):
        return Figure(value, np.nan, np.nan, np.nan)
    reach = float(stdtrit(degrees, 0.975)) * error
    return Figure(value, value - reach, value + reach, 2 * float(stdtr(degrees, -abs(value) / error)))


def risk_error(
    answers: NDArray[np.floating], p: NDArray[np.float64], inside: NDArray[np.bool_], patients: NDArray[np.int64]
) -> Figure:
    """Share of (n,) answers less their mean probability p, of films inside, less the same of the others.

    The others take off what probabilities fitted on val are wrong by everywhere. The standard error is at least that of
    answers which come as p says: where a label is rare, all films may lack it by chance, and then show no spread.
    """
    variance = p * (1 - p)
    least = np.sqrt(sum(variance[side].sum() / side.sum() ** 2 for side in (inside, ~inside)))
    return excess(answers - p, inside, patients, float(least))


def _people(patients: NDArray[np.int64]) -> int:
    return len(np.unique(patients))


def find_slices(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    regimes: Mapping[str, Scores],
    reduced: Mapping[str, NDArray[np.floating]],
    patients: NDArray[np.int64],
    splits: NDArray[np.object_],
    traits: Traits,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Slices:
    """For each regime, label and state, the slice that errs most surely in val, tested on test.

    Parameters
    ----------
    labels : C names
    targets : (N, C) 1, 0 or NaN
        An unknown label takes no part in that label's slices.
    regimes : name to Scores of all N films, their probabilities fitted on val
    reduced : regime to (N, k), from :func:`reduce`
    patients, splits : (N,)
    traits : of the N films
    report : called with the regimes done, and all

    Returns
    -------
    Slices
        A slice has ENOUGH patients, and leaves as many outside, in val and in test. ``error`` is the mean log-loss on
        test, and ``excess`` how far it lies above ``elsewhere``, other films in the state. ``beyond`` is the share with
        this answer less its mean probability, of all ``n_alike`` test films that look like the slice, less the same of
        the others. ``p`` is that both are no more than 0: the larger of two, and 1 where either is below.
        ``p_adjusted`` allows by Holm for all slices. ``wrong`` is the share on the wrong side of the threshold. Names
        are of patients in train and val: ``n_with`` of the slice's ``n``, ``base`` of all in the state, and the ratio
        of the two shares, ``lift``.
    """
    rows: list[tuple[object, ...]] = []
    names: list[tuple[object, ...]] = []
    films: list[pd.DataFrame] = []
    for done, (regime, scores) in enumerate(regimes.items()):
        report(done, len(regimes))
        for c, label in enumerate(labels):
            known = np.flatnonzero(~np.isnan(targets[:, c]))
            data = _Known(
                targets[known, c],
                np.asarray(reduced[regime][known]),
                scores.logits[known, c],
                scores.probabilities[known, c],
                patients[known],
                splits[known],
            )
            for state, answer in STATES.items():
                inside = _worst(data, answer, seed)
                if inside is None:
                    continue
                number = len(rows) + 1
                mine, test = data.targets == answer, data.splits == "test"
                here, there = mine & test & inside, mine & test & ~inside
                more, beyond = data.figures(answer, inside, "test")
                p = float(np.maximum(more.p, beyond.p)) if min(more.value, beyond.value) > 0 else 1.0  # NaN stays
                loss, threshold = data.loss(answer), float(scores.thresholds[c])
                wrong = (data.logits >= threshold) != answer if np.isfinite(threshold) else np.full(len(known), np.nan)
                rows.append(
                    (
                        *(number, regime, label, state, loss[here].mean(), loss[there].mean(), *more[:3]),
                        *(*beyond[:3], p, np.nan, wrong[here].mean(), wrong[there].mean()),
                        *(
                            (mine & inside & (data.splits == "val")).sum(),
                            here.sum(),
                            there.sum(),
                            (test & inside).sum(),
                        ),
                        *(_people(data.patients[here]), _people(data.patients[there])),
                    )
                )
                chosen = mine & ~test
                names += [(number, *name) for name in _names(known[chosen], inside[chosen], patients, traits)]
                shown = mine & inside & (data.splits != "train")
                films.append(pd.DataFrame({"slice": number, "row": known[shown]}))
    report(len(regimes), len(regimes))
    frame = _frame(rows, SLICE_COLUMNS)
    frame["p_adjusted"] = holm(frame["p"].to_numpy())
    listed = pd.concat(films, ignore_index=True) if films else _frame([], FILM_COLUMNS)
    return Slices(frame.sort_values("p", kind="stable", ignore_index=True), _frame(names, NAME_COLUMNS), listed)


@dataclass(frozen=True)
class _Known:
    """The films whose answer for one label is known, and what a regime says of them; each (n, …)."""

    targets: NDArray[np.float32]
    reduced: NDArray[np.floating]
    logits: NDArray[np.floating]
    probabilities: NDArray[np.float64]
    patients: NDArray[np.int64]
    splits: NDArray[np.object_]

    def loss(self, answer: int) -> NDArray[np.float64]:
        """(n,) log-loss if this is the answer."""
        p = np.clip(self.probabilities, SILENT, 1 - SILENT)
        return np.asarray(-np.log(p if answer else 1 - p))

    def figures(self, answer: int, inside: NDArray[np.bool_], split: str) -> tuple[Figure, Figure]:
        """Excess of the films inside that have this answer, and how far all inside err beyond their probabilities."""
        part = self.splits == split
        mine = part & (self.targets == answer)
        answers = self.targets if answer else 1 - self.targets
        expected = self.probabilities if answer else 1 - self.probabilities
        return (
            excess(self.loss(answer)[mine], inside[mine], self.patients[mine]),
            risk_error(answers[part], expected[part], inside[part], self.patients[part]),
        )


def _worst(data: _Known, answer: int, seed: int) -> NDArray[np.bool_] | None:
    """(n,) the films of the component that errs most surely in val; None where none has enough patients."""
    mine, val, test = data.targets == answer, data.splits == "val", data.splits == "test"
    people = _people(data.patients[mine & val])
    if people < 2 * ENOUGH:
        return None
    mixture = fit(data.reduced[mine & val], data.logits[mine & val], people, seed)
    member = mixture.assign(data.reduced)
    worst, most = None, -np.inf
    for k in range(len(mixture.weights)):
        inside = member == k
        sides = (mine & side & part for side in (inside, ~inside) for part in (val, test))
        if min(_people(data.patients[side]) for side in sides) < ENOUGH:
            continue
        sureness = min(figure.sureness for figure in data.figures(answer, inside, "val"))
        if sureness > most:
            worst, most = inside, sureness
    return worst


def _names(
    rows: NDArray[np.int64], inside: NDArray[np.bool_], patients: NDArray[np.int64], traits: Traits
) -> list[tuple[object, ...]]:
    """Kind, name, n_with, n, base and lift of what the films inside have more of, one film of each patient counted."""
    _, first = np.unique(patients[rows], return_index=True)
    has, known, inside = traits.has[rows[first]], traits.known[rows[first]], inside[first]
    chosen = over_represented(has, known, inside, np.ones_like(inside), ALPHA / max(len(traits.names), 1))
    lines: list[tuple[object, ...]] = []
    for kind in ("finding", "attribute", "word"):
        for i in [i for i in chosen if traits.names[i][0] == kind][:NAMES]:
            n, n_with, base = known[inside, i].sum(), has[inside, i].sum(), has[:, i].sum() / known[:, i].sum()
            if n_with / n >= LIFT * base:
                lines.append((*traits.names[i], n_with, n, base, n_with / n / base))
    return lines


def _frame(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows with the kinds that their columns have also where there is none."""
    texts, whole = ("regime", "label", "state", "kind", "name"), ("slice", "row", "patients", "patients_elsewhere")
    kinds = {
        name: "str" if name in texts else "int64" if name in whole or name.split("_")[0] == "n" else "float64"
        for name in columns
    }
    return pd.DataFrame(list(rows), columns=list(columns)).astype(kinds)
