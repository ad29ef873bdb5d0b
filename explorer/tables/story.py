"""What the first page tells: four answers in numbers and sentences, each computed from the store. No Streamlit here.

Regimes are asked for what their records say, never for their names: one whose head is made of prompts, one that shares
its encoder, the last one of another encoder. Where a store cannot answer, the answer is None
or a sentence that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.evidence import FEW
from explorer.analysis.jackknife import mean_of_films
from explorer.analysis.operating import wilson
from explorer.analysis.separability import NEIGHBOURS
from explorer.data.text import in_markdown
from explorer.figures.style import number, with_interval
from explorer.tables.curves import p_text, pair_differences, regime_curves
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.results import Merit, difference_excludes_zero, mean_of_labels, merits
from explorer.tables.separability import LEVEL, Row, figures, separates
from explorer.tables.spaces import distinct_spaces, space_title
from explorer.tables.thresholds import BARE_NAMES, OperatingPoint, above, has_bare_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.figures.curves import Curve
    from explorer.store.manifest import RegimeRecord, SpaceRecord
    from explorer.store.reader import Store

SHOWN_FILMS = 3
"""Thumbnails on a small map."""
MOST_COMPARED = 500
"""Films whose distances to each other are compared, evenly thinned."""
HEADLINE = "average_precision"


def from_prompts(store: Store) -> RegimeRecord | None:
    """The regime whose head is made of prompts alone; None where none is shown."""
    return next((regime for regime in store.regimes if regime.from_prompts), None)


# --- the headline ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """Each regime's mean average precision over labels; ``means`` lacks regimes without a figure."""

    means: tuple[tuple[RegimeRecord, Merit], ...]
    sentence: str


def headline(store: Store, split: Split) -> Headline:
    """How well each regime ranks films, averaged over labels."""
    by_key, mean = merits(store, split), mean_of_labels(store, split)
    means = tuple((regime, by_key[regime.name, mean.name, HEADLINE]) for regime in store.regimes)
    means = tuple((regime, merit) for regime, merit in means if not np.isnan(merit.value))
    if not means:
        return Headline((), f"This store has no mean average precision for {split}.")
    best, merit = max(means, key=lambda one: one[1].value)
    highest = "has the highest average precision:" if len(means) > 1 else "has average precision"
    sentence = f"**{best.title}** {highest} {number(merit.value)}, {mean.title}."
    return Headline(means, sentence)


# --- 1: what zero-shot does ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predicted:
    """Labels per film that a regime predicts positive, with a 95% interval.

    Attributes
    ----------
    paper : bool
        By the paper's rule: cosine above 0 of bare names, for trained regimes probability above 0.5. Else thresholds of
        largest F1 on validation.
    """

    regime: RegimeRecord
    paper: bool
    per_film: tuple[float, float, float]


@dataclass(frozen=True)
class WrongFilm:
    """A film whose number of false positives is the middle one, and what one regime predicts of it."""

    row: int
    regime: RegimeRecord
    true: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class PredictedLabels:
    """How many labels each regime predicts of a film, against how many are known to be true."""

    prompted: RegimeRecord | None
    predicted: tuple[Predicted, ...]
    true: tuple[float, float, float]
    unknown: float
    n: int
    film: WrongFilm | None
    title: str
    sentence: str

    @property
    def by_cosine(self) -> bool:
        """Whether the paper's rule for prompts is among the rules."""
        return any(one.paper and one.regime == self.prompted for one in self.predicted)


def paper_point(store: Store, regime: RegimeRecord, prompted: RegimeRecord | None) -> OperatingPoint | None:
    """The paper's rule for one regime; None for prompts where the run has no bare names."""
    if prompted is None or regime.name != prompted.name:
        return above(np.asarray(store.logits(regime.name)), 0)
    return above(np.asarray(store.prompt_logits(BARE_NAMES)), 0) if has_bare_names(store) else None


def predicted_labels(store: Store, split: Split) -> PredictedLabels:
    """What zero-shot does: labels predicted per film by regime and rule, and one film of the middle."""
    rows, prompted = store.rows(split), from_prompts(store)
    targets, patients = store.targets[rows], store.patients[rows]

    def per_film(what: NDArray[np.bool_]) -> tuple[float, float, float]:
        mean, low, high = mean_of_films(what.sum(axis=1).astype(np.float64), patients)
        return mean, max(low, 0.0), high  # max keeps NaN, its first argument

    predicted = []
    shown: tuple[RegimeRecord, NDArray[np.bool_]] | None = None
    for regime in store.regimes:
        chosen = OperatingPoint(np.asarray(store.logits(regime.name)), store.threshold_array(regime.name))
        for point, paper in ((paper_point(store, regime, prompted), True), (chosen, False)):
            if point is not None:
                calls = point.predicted(rows)
                predicted.append(Predicted(regime, paper, per_film(calls)))
                if shown is None and regime == (prompted or store.regimes[0]):
                    shown = regime, calls
    true, unknown = per_film(targets == 1), float(np.isnan(targets).sum(axis=1).mean())
    assert shown is not None, "a run has a regime, and each has thresholds"
    title = f"What {_lower(prompted.title)} does" if prompted else "How many labels are predicted"
    sentence = _predicted_sentence(predicted, shown[0], true[0], len(store.labels))
    film = _middle_film(store, rows, *shown)
    return PredictedLabels(prompted, tuple(predicted), true, unknown, len(rows), film, title, sentence)


def _predicted_sentence(predicted: list[Predicted], regime: RegimeRecord, true: float, n_labels: int) -> str:
    own = {one.paper: number(one.per_film[0]) for one in predicted if one.regime == regime}
    of = f"{own.get(True, own[False])} of {n_labels} {'label' if n_labels == 1 else 'labels'}"
    by = "the paper's rule" if True in own else "thresholds from validation"
    sentence = f"By {by}, **{regime.title}** predicts {of} per film, where {number(true)} are true"
    return f"{sentence}; by thresholds from validation, {own[False]}." if True in own else f"{sentence}."


def _middle_film(
    store: Store, rows: NDArray[np.int64], regime: RegimeRecord, calls: NDArray[np.bool_]
) -> WrongFilm | None:
    """The first film with a true label whose false positives are nearest to their median; None without any."""
    targets = store.targets[rows]
    false, has = calls & (targets == 0), targets == 1
    counts = false.sum(axis=1)
    wrong = counts > 0
    if not wrong.any():
        return None
    middle, with_label = float(np.median(counts)), wrong & has.any(axis=1)
    suited = np.flatnonzero(with_label if with_label.any() else wrong)
    i = int(suited[np.argmin(np.abs(counts[suited] - middle))])
    one = int(counts[i])
    names = np.array(store.labels, dtype=object)
    sentence = (
        f"On this film {one} of {int(calls[i].sum())} predicted labels {'is' if one == 1 else 'are'} false; "
        f"the median is {number(middle, 0 if middle % 1 == 0 else 1)}."
    )
    true, missed, wrongly = (tuple(names[mask].tolist()) for mask in (has[i] & calls[i], has[i] & ~calls[i], false[i]))
    return WrongFilm(int(rows[i]), regime, true, missed, wrongly, sentence)


# --- 2: what training pulls apart ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpaceAnswer:
    """How far one label gathers in one embedding: neighbourhood purity over prevalence."""

    space: SpaceRecord
    lift: Merit
    sentence: str


@dataclass(frozen=True)
class PulledApart:
    """The label that gathers most of those that surely do, in the first embedding and in the last.

    Attributes
    ----------
    label : str or None
        None where no label surely gathers in any embedding; ``spaces`` is then empty.
    counts : positive and negative films
    doubt : what the two figures do not show; empty where there is none
    """

    title: str
    sentence: str
    label: str | None = None
    spaces: tuple[SpaceAnswer, ...] = ()
    counts: tuple[int, int] = (0, 0)
    doubt: str = ""


def pulled_apart(store: Store, split: Split) -> PulledApart:
    """What training pulls apart: the label of the largest sure lift, before and after."""
    by_key, spaces = figures(store, split, "lift"), distinct_spaces(store, "embedding")
    spaces = spaces[:1] + spaces[-1:] if len(spaces) > 1 else spaces
    title = "What training pulls apart" if len(spaces) > 1 else "What lies together"
    enough = [label for label in by_prevalence(store, split) if label_counts(store, split, label)[0] >= FEW]
    for space, _ in reversed(spaces):
        sure = [label for label in enough if separates(by_key[label, space.name])]
        if sure:
            label = max(sure, key=lambda label: float(by_key[label, space.name]["value"]))
            break
    else:
        if not enough:
            return PulledApart(title, f"No label has {FEW} positive films, so none can be judged.")
        none = f"None of {len(enough)} labels" if len(enough) > 1 else f"{in_markdown(enough[0])} is the one label"
        verb = "gathers its films surely" if len(enough) > 1 else "and does not gather them surely"
        return PulledApart(title, f"{none} with {FEW} or more positive films {verb}, after correction.")
    answers: list[SpaceAnswer] = []
    for space, _ in spaces:
        row = by_key[label, space.name]
        lift = Merit(*(float(row[name]) for name in ("value", "ci_low", "ci_high", "baseline")))
        sentence = _lift_sentence(label, space_title(store, space), row, first=not answers)
        answers.append(SpaceAnswer(space, lift, sentence))
    first, last = answers[0].lift, answers[-1].lift
    doubt = ""
    if len(answers) > 1 and not (last.low > first.high or last.high < first.low):
        why = "an interval is missing" if np.isnan([first.low, last.low]).any() else "the intervals overlap"
        doubt = f"Whether training pulls {in_markdown(label)} further apart: {why}"
    positive, negative, _ = label_counts(store, split, label)
    return PulledApart(title, "", label, tuple(answers), (positive, negative), doubt)


def _lift_sentence(label: str, title: str, row: Row, *, first: bool) -> str:
    """What one embedding does; only the first sentence says in full what is counted."""
    where = f"**{in_markdown(title)}**"
    if np.isnan(row["value"]):
        return f"{where}: this store has no figure for {in_markdown(label)}."
    shared = f"around {in_markdown(label)} films, {NEIGHBOURS} neighbours share it " if first else ""
    sentence = f"{where}: {shared}{number(row['value'])} times as often as chance"
    return f"{sentence}." if separates(row) else f"{sentence}, not surely more than shuffled labels."


def core_films(xy: NDArray[np.floating], rows: NDArray[np.int64], n: int = SHOWN_FILMS) -> list[int]:
    """Some of the rows: the one nearest to all others on a map, then those of the nearer half farthest from each other.

    Parameters
    ----------
    xy : (N, 2)
    rows : (m,) at least one
    """
    rows = rows[:: -(-len(rows) // MOST_COMPARED)]
    places = np.asarray(xy[rows], dtype=np.float64)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    core = np.argsort(np.median(apart, axis=1), kind="stable")[: max(n, (len(rows) + 1) // 2)]
    chosen = [core[0]]
    while len(chosen) < min(n, len(core)):
        chosen.append(core[apart[np.ix_(core, chosen)].min(axis=1).argmax()])
    return [int(row) for row in rows[chosen]]


# --- 3: what the probe gets from the same embedding ------------------------------------------------------------------


@dataclass(frozen=True)
class SameEmbedding:
    """One label's curves in every regime, and what a fitted head gains over prompts on one embedding.

    Attributes
    ----------
    fitted : RegimeRecord or None
        The regime compared with the first of its embedding; None where no two share one.
    scores : every regime's average precision
    """

    label: str
    fitted: RegimeRecord | None
    curves: tuple[Curve, ...]
    scores: tuple[tuple[RegimeRecord, Merit], ...]
    prevalence: float
    counts: tuple[int, int, int]
    title: str
    sentence: str
    gain: str
    doubt: str


def sharing(store: Store) -> tuple[RegimeRecord, RegimeRecord] | None:
    """The first two regimes of one embedding, the one from prompts before the other; None where no two share one."""
    prompted = from_prompts(store)
    for one, other in combinations(store.regimes, 2):
        if one.embedding_space == other.embedding_space:
            return (other, one) if other == prompted else (one, other)
    return None


def same_embedding(store: Store, split: Split) -> SameEmbedding | None:
    """What the probe gets from the same embedding; None where no label has enough positives and negatives."""
    counts = {label: label_counts(store, split, label) for label in by_prevalence(store, split)}
    enough = [label for label, (positive, negative, _) in counts.items() if positive >= FEW and negative > 0]
    if not enough:
        return None
    pair = sharing(store)
    label = next((name for name in enough if name != "No Finding"), enough[0])
    gain = doubt = ""
    if pair:
        frame = pair_differences(store, split, HEADLINE, (pair[1].name, pair[0].name), FEW)
        if frame.empty:  # stored the other way round, or not at all
            doubt = f"Whether {pair[1].title} gains over {pair[0].title} on a label: this store has no difference"
        frame = frame[frame["label"].isin(enough) & ~frame["pool"]]
        sure = frame[(frame["p_holm"] < LEVEL) & (frame["ci_low"] > 0)]
        if len(sure):
            best = sure.sort_values("difference", ascending=False, kind="stable").to_dict("records")[0]
            label = best["label"]
            size = with_interval(best["difference"], best["ci_low"], best["ci_high"], signed=True)
            gain = f"Gain {size}, Holm's p {p_text(best['p_holm'])}."
        elif not doubt:
            doubt = f"Whether {pair[1].title} gains over {pair[0].title} on any one label: none is sure"
    by_key = merits(store, split)
    scores = tuple((regime, by_key[regime.name, label, HEADLINE]) for regime in store.regimes)
    curves = tuple(regime_curves(store, split, label, "pr"))
    prevalence = counts[label][0] / (counts[label][0] + counts[label][1])
    title = f"What the {_lower(pair[1].title)} gets from the same embedding" if pair else "How well a label is ranked"
    sentence = _ranking_sentence(label, scores, pair)
    fitted = pair[1] if pair else None
    return SameEmbedding(label, fitted, curves, scores, prevalence, counts[label], title, sentence, gain, doubt)


def _ranking_sentence(
    label: str,
    scores: tuple[tuple[RegimeRecord, Merit], ...],
    pair: tuple[RegimeRecord, RegimeRecord] | None,
) -> str:
    known = {regime.name: merit.value for regime, merit in scores if not np.isnan(merit.value)}
    if not known:
        return f"This store has no average precision for {in_markdown(label)}."
    chance = f"random ranking has {number(max(merit.baseline for regime, merit in scores if regime.name in known))}"
    if pair and all(regime.name in known for regime in pair):
        first, fitted = pair
        return (
            f"For {in_markdown(label)}, **{fitted.title}** has average precision {number(known[fitted.name])}, "
            f"**{first.title}** {number(known[first.name])}; {chance}."
        )
    best = max((regime for regime, _ in scores if regime.name in known), key=lambda regime: known[regime.name])
    return f"For {in_markdown(label)}, **{best.title}** has average precision {number(known[best.name])}; {chance}."


@dataclass(frozen=True)
class LabelPair:
    """Two labels that one regime confuses, or that truly overlap, over the films where both are known.

    Attributes
    ----------
    confused : bool
        Whether they are surely confused; else they are those that overlap most.
    n : films where both are known
    true, predicted : films with the first alone, with both, with the other alone
    by_chance : films that would have both if the labels were independent
    """

    one: str
    other: str
    regime: RegimeRecord
    confused: bool
    n: int
    true: tuple[int, int, int]
    predicted: tuple[int, int, int]
    by_chance: float
    sentence: str
    evidence: str


def label_pair(store: Store, split: Split, regime: RegimeRecord) -> LabelPair | None:
    """The pair of labels a regime confuses most of those it surely does, else the pair that truly overlaps most.

    None where the run has one label, or no two labels occur together more often than by chance.
    """
    rows = store.rows(split)
    targets = store.targets[rows]
    point = OperatingPoint(np.asarray(store.logits(regime.name)), store.threshold_array(regime.name))
    calls = point.predicted(rows)
    frame = store.tables.confusability
    frame = frame[(frame["split"] == split) & (frame["space"] == regime.decision_space)]
    frame = frame[(frame[["n_label", "n_other"]] >= FEW).all(axis=1) & (frame["p_adjusted"] < LEVEL)]
    frame = frame[frame["ci_low"] > frame["baseline"]]
    if len(frame):
        row = frame.sort_values("value", ascending=False, kind="stable").to_dict("records")[0]
        one, other = row["label"], row["other"]
        size = with_interval(row["value"], row["ci_low"], row["ci_high"])
        evidence = f"{size} times · shuffled {number(row['baseline'])}"
        sentence = (
            f"**{regime.title}** confuses {in_markdown(one)} with {in_markdown(other)} most: around films of one "
            f"alone, the other is {number(row['value'])} times as frequent as chance."
        )
    else:
        both = {pair: _both(targets, store.labels, *pair) for pair in combinations(store.labels, 2)}
        excess = {pair: together - chance for pair, (_, together, chance) in both.items() if together > chance}
        if not excess:
            return None
        one, other = max(excess, key=lambda pair: excess[pair])
        n, together, chance = both[one, other]
        low, high = (n * end for end in wilson(together, n))
        evidence = f"{with_interval(together, low, high, 0)} of {n:,} films"
        sentence = (
            f"**{regime.title}** surely confuses no pair. {in_markdown(one)} and {in_markdown(other)} truly overlap "
            f"most: {together:,} films, {number(chance)} by chance."
        )
    n, _, chance = _both(targets, store.labels, one, other)
    places = [store.labels.index(one), store.labels.index(other)]
    known = ~np.isnan(targets[:, places]).any(axis=1)
    true, predicted = (_alone_and_both(what[known][:, places]) for what in (targets == 1, calls))
    return LabelPair(one, other, regime, len(frame) > 0, n, true, predicted, chance, sentence, evidence)


def _both(targets: NDArray[np.float32], labels: tuple[str, ...], one: str, other: str) -> tuple[int, int, float]:
    """Films where two labels are known, films with both, and how many would have both by chance."""
    pair = targets[:, [labels.index(one), labels.index(other)]]
    has = pair[~np.isnan(pair).any(axis=1)] == 1
    chance = float(has[:, 0].sum() * has[:, 1].sum() / len(has)) if len(has) else 0.0
    return len(has), int(has.all(axis=1).sum()), chance


def _alone_and_both(has: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Films of the first of two labels alone, of both, of the second alone; ``has`` (n, 2)."""
    return int((has[:, 0] & ~has[:, 1]).sum()), int(has.all(axis=1).sum()), int((has[:, 1] & ~has[:, 0]).sum())


# --- what cannot be concluded ----------------------------------------------------------------------------------------


def not_concluded(store: Store, split: Split, shown: Headline, *doubts: str) -> list[str]:
    """What the figures do not show, one phrase each."""
    phrases = []
    few = sum(label_counts(store, split, label)[0] < FEW for label in store.labels)
    if few:
        phrases.append(f"{few} of {len(store.labels)} labels: under {FEW} positives")
    ranked = sorted(shown.means, key=lambda one: -one[1].value)
    if len(ranked) > 1:
        (best, _), (second, _) = ranked[:2]
        mean = mean_of_labels(store, split).name
        if not difference_excludes_zero(store, split, HEADLINE, mean, {best.name, second.name}):
            phrases.append(f"Whether {best.title} ranks better than {second.title}: it may be chance")
    return [*phrases, *(doubt for doubt in doubts if doubt), "How films from elsewhere would fare"]


def _lower(title: str) -> str:
    """A regime's title within a sentence: an abbreviation keeps its capitals."""
    return title[0].lower() + title[1:] if title.split()[0][1:].islower() else title
