"""The Protocols page's tables: the paper's figures beside a run's, and how far each of them carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis import paper
from explorer.analysis.centroid import centroid_distances, first_positive, resampled_distances
from explorer.analysis.metrics import patient_weights
from explorer.analysis.multilabel import HIGHER_IS_BETTER, MULTILABEL, by_domain, f1, outcome
from explorer.analysis.operating import wilson
from explorer.analysis.patients import shuffles
from explorer.data.labels import DOMAINS
from explorer.data.text import in_markdown
from explorer.figures.style import difference_with_interval, with_interval
from explorer.tables.protocol_scores import (
    film_weights,
    predict,
    predict_as_paper,
    predict_sound_protocol,
    split_baselines,
)
from explorer.tables.results import resampled_interval
from explorer.tables.thresholds import max_f1_rule
from explorer.tables.training import protocol_title

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.tables.protocol_scores import RuleSet, Step

DISTANCE_RESAMPLES = 200
"""Distances cost more than other figures."""


METRIC_TITLES = {
    "macro_f1": "Macro F1",
    "exact_match": "Exact match",
    "lrap": "LRAP",
    "coverage_error": "Coverage error",
}

BASELINES: dict[str, dict[str, str]] = {
    "random": {
        "macro_f1": "prevalence-matched random",
        "exact_match": "prevalence-matched random",
        "lrap": "random ranking",
        "coverage_error": "random ranking",
    },
    "constant": {
        "macro_f1": "all positive",
        "exact_match": "always No Finding",
        "lrap": "prevalence ranking",
        "coverage_error": "prevalence ranking",
    },
}
"""Which trivial baseline belongs to which figure."""

WIDE = 0.5
"""An interval that spans more than half of the range says next to nothing."""


@dataclass(frozen=True)
class ScoredGroup:
    """A block of the page's table: whose figures, by which rules."""

    title: str
    frame: pd.DataFrame
    """One row per regime and metric: regime, metric, value, ci_low, ci_high, printed (by others), random, constant."""


def printed_figures(store: Store) -> ScoredGroup:
    """The paper's own table, for the regimes this run has too."""
    lines = [
        {
            "regime": regime.title,
            "metric": metric,
            "value": paper.TABLE[regime.kind][metric],
            "ci_low": np.nan,
            "ci_high": np.nan,
            "printed": True,
            **{kind: paper.BASELINES[kind][metric] for kind in BASELINES},
        }
        for regime in store.regimes
        if regime.kind in paper.TABLE
        for metric in MULTILABEL
    ]
    return ScoredGroup("Printed in the paper", pd.DataFrame(lines))


def scored_figures(store: Store, split: Split, rules: RuleSet) -> ScoredGroup:
    """A run's figures by one set of rules, with intervals and baselines."""
    rows = store.rows(split)
    targets, weights = store.targets[rows], film_weights(store, rows)
    trivial = split_baselines(store, split)
    lines = []
    for regime in store.regimes:
        prediction = predict(store, regime.name, rows, rules)
        if prediction is None:
            continue
        figures = outcome(targets, prediction.predicted, prediction.scores, weights)
        for metric in MULTILABEL:
            values = getattr(figures, metric)
            low, high = resampled_interval(values, len(np.unique(store.patients[rows])))
            lines.append(
                {
                    "regime": regime.title,
                    "metric": metric,
                    "value": float(values[0]),
                    "ci_low": low,
                    "ci_high": high,
                    "printed": False,
                    **{kind: trivial.get(names[metric], {}).get(metric, np.nan) for kind, names in BASELINES.items()},
                }
            )
    return ScoredGroup(
        f"{protocol_title(store)}, {'paper’s' if rules == 'paper' else 'sound'} rules", pd.DataFrame(lines)
    )


def figures_table(groups: list[ScoredGroup], runs: dict[str, dict[str, dict[str, float]]]) -> pd.DataFrame:
    """Everything as text: one row per group and regime, then the trivial baselines of each run's films."""
    lines = []
    for group in groups:
        for regime, part in group.frame.groupby("regime", sort=False):
            columns = (
                part[column].tolist() for column in ("metric", "value", "ci_low", "ci_high", "printed", *BASELINES)
            )
            cells = {}
            for metric, value, low, high, by_others, *trivial in zip(*columns, strict=True):
                text = f"{value:g}" if by_others else with_interval(value, low, high)
                cells[METRIC_TITLES[metric]] = text + ("" if _beyond(metric, value, low, high, trivial) else " ‡")
            lines.append({"Figures of": group.title, "Regime or rule": regime, **cells})
    for title, baselines in runs.items():
        for name, figures in baselines.items():
            cells = {METRIC_TITLES[m]: f"{figures[m]:.2f}" if m in figures else "" for m in MULTILABEL}
            lines.append({"Figures of": title, "Regime or rule": name[0].upper() + name[1:], **cells})
    return pd.DataFrame(lines)


def _beyond(metric: str, value: float, low: float, high: float, trivial: list[float]) -> bool:
    """Whether a figure, with the whole of its interval if it has one, is better than its trivial baselines."""
    if HIGHER_IS_BETTER[metric]:
        return bool((value if np.isnan(low) else low) > np.nanmax(trivial))
    return bool((value if np.isnan(high) else high) < np.nanmin(trivial))


def beyond_sentence(group: ScoredGroup) -> str:
    """In how many measures each regime surely beats every baseline that never looks at a film, as Markdown."""
    counts = []
    for regime, part in group.frame.groupby("regime", sort=False):
        columns = (part[column].tolist() for column in ("metric", "value", "ci_low", "ci_high"))
        better = map(_beyond, *columns, part[list(BASELINES)].to_numpy().tolist())
        counts.append(f"{in_markdown(regime)} in **{sum(better)}**")
    return f"Of {len(METRIC_TITLES)} measures, better than never looking at a film: {', '.join(counts)}."


def step_table(steps: list[Step]) -> pd.DataFrame:
    """The steps as text."""
    return pd.DataFrame(
        {
            "Rule": [step.rule for step in steps],
            "What changed": [step.change or "start" for step in steps],
            "Macro F1": [with_interval(*step.macro_f1) for step in steps],
            "Change": ["" if not step.change else difference_with_interval(*step.difference) for step in steps],
            "Exact match": ["—" if np.isnan(step.exact_match) else f"{step.exact_match:.2f}" for step in steps],
            "Labels predicted per film": [f"{step.labels_per_film:.1f}" for step in steps],
        }
    )


def support_table(store: Store, split: Split) -> pd.DataFrame:
    """How far each label's positives can tell anything: the paper's test split, and this run's."""
    rows = store.rows(split)
    last = store.regimes[-1]
    predicted = max_f1_rule(store, np.asarray(store.logits(last.name))).predicted(rows)
    f1_values = f1(store.targets[rows], predicted, film_weights(store, rows))
    lines = []
    for label in sorted(store.labels, key=lambda label: (-paper.POSITIVES.get(label, 0), label)):
        c = store.labels.index(label)
        n = int((store.targets[rows, c] == 1).sum())
        holders = len(np.unique(store.patients[rows][store.targets[rows, c] == 1]))
        theirs = paper.in_test(label) if label in paper.POSITIVES else None
        low, high = resampled_interval(f1_values[:, c], holders)
        wide = np.isnan(low) or high - low > WIDE
        lines.append(
            {
                "Label": label,
                "Paper: test positives, about": "" if theirs is None else f"{theirs}",
                "Sensitivity 0.5 would mean": "" if theirs is None else _half(theirs),
                f"Here: {split} positives": f"{n}",
                f"{last.title} F1": with_interval(float(f1_values[0, c]), low, high) + (" †" if wide else ""),
            }
        )
    return pd.DataFrame(lines)


def _half(n: int) -> str:
    low, high = wilson(n / 2, n)
    return f"{low:.2f} to {high:.2f}" + (" †" if high - low > WIDE else "")


def domain_table(store: Store, split: Split) -> pd.DataFrame:
    """F1 of the paper's four domains: is any of a domain's labels there?"""
    rows = store.rows(split)
    names, targets, _ = by_domain(store.labels, store.targets[rows], np.zeros((len(rows), len(store.labels)), bool))
    weights = film_weights(store, rows)
    by_regime = {}
    for regime in store.regimes:
        predicted = max_f1_rule(store, np.asarray(store.logits(regime.name))).predicted(rows)
        by_regime[regime.title] = f1(targets, by_domain(store.labels, store.targets[rows], predicted)[2], weights)
    everything = f1(targets, np.ones(targets.shape, dtype=bool), weights[:1])[0]
    patients = store.patients[rows]
    lines = []
    for k, name in enumerate(names):
        holders = len(np.unique(patients[targets[:, k] == 1]))
        lines.append(
            {
                "Domain": name,
                "Labels": str(sum(label in store.labels for label in DOMAINS[name])),
                "Films with any": f"{int((targets[:, k] == 1).sum()):,}",
                **{
                    title: with_interval(float(values[0, k]), *resampled_interval(values[:, k], holders))
                    for title, values in by_regime.items()
                },
                "All positive": f"{everything[k]:.2f}",
            }
        )
    return pd.DataFrame(lines)


def distance_table(store: Store, split: Split) -> pd.DataFrame:
    """The paper's embedding distances, of projections as they come where the run kept them.

    Each ratio with its 95% interval over patients, and the mean ratio of shuffled classes.
    """
    rows = store.rows(split)
    classes, patients = first_positive(store.targets[rows]), store.patients[rows]
    weights = np.vstack([np.ones((1, len(rows))), patient_weights(patients, DISTANCE_RESAMPLES, store.manifest.seed)])
    dealt = classes[shuffles(patients, DISTANCE_RESAMPLES, store.manifest.seed)]

    def ratio(vectors: NDArray[np.floating]) -> tuple[str, str]:
        ratios = resampled_distances(vectors, classes[None], weights)["ratio"]
        null = resampled_distances(vectors, dealt, np.ones((1, len(rows))))["ratio"]
        return with_interval(
            float(ratios[0]), *resampled_interval(ratios, len(np.unique(patients)))
        ), f"{null.mean():.2f}"

    lines = []
    for regime in store.regimes:
        known = paper.TABLE.get(regime.kind)
        projections = store.projections(regime.encoder)
        vectors = np.asarray((store.vectors(regime.embedding_space) if projections is None else projections)[rows])
        logits = np.asarray(store.logits(regime.name)[rows])
        embedding = centroid_distances(vectors, classes)
        (embedding_ratio, by_chance), (logit_ratio, logits_by_chance) = ratio(vectors), ratio(logits)
        lines.append(
            {
                "Regime": regime.title,
                "inter": f"{embedding['inter']:.2f}",
                "intra": f"{embedding['intra']:.2f}",
                "ratio": embedding_ratio,
                "ratio by chance": by_chance,
                "Logits: ratio": logit_ratio,
                "by chance": logits_by_chance,
                "Paper: inter / intra": f"{known['inter']:.2f} / {known['intra']:.2f}" if known else "",
                "Paper: ratio": f"{known['ratio']:.2f}" if known else "",
            }
        )
    return pd.DataFrame(lines)


def seed_table(store: Store, split: Split) -> pd.DataFrame:
    """Figures over seeds by the run's own rules; empty where a single seed was trained."""
    rows = store.rows(split)
    targets = store.targets[rows]
    one = np.ones((1, len(rows)))
    lines = []
    for regime in store.regimes:
        if not regime.seeds:
            continue
        by_metric: dict[str, list[float]] = {metric: [] for metric in MULTILABEL}
        for logits in store.seed_logits(regime.name):
            values = np.asarray(logits)
            prediction = (
                predict_as_paper(values, rows)
                if store.manifest.protocol == "paper"
                else predict_sound_protocol(store, values, rows)
            )
            figures = outcome(targets, prediction.predicted, prediction.scores, one)
            for metric in MULTILABEL:
                by_metric[metric].append(float(getattr(figures, metric)[0]))
        cells = {
            METRIC_TITLES[
                metric
            ]: f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} ({min(values):.3f} to {max(values):.3f})"
            for metric, values in by_metric.items()
        }
        lines.append({"Regime": regime.title, "Seeds": str(1 + len(regime.seeds)), **cells})
    return pd.DataFrame(lines)
