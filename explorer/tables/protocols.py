"""What the protocols page compares: runs scored by the paper's rules and by sound ones. No Streamlit here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from explorer.analysis import paper
from explorer.analysis.calibration import probabilities
from explorer.analysis.metrics import interval, patient_weights
from explorer.analysis.multilabel import (
    HIGHER_IS_BETTER,
    MULTILABEL,
    by_domain,
    centroid_distances,
    f1,
    first_positive,
    min_max,
    outcome,
    resampled_distances,
    trivial_baselines,
)
from explorer.analysis.operating import wilson
from explorer.analysis.patients import shuffles
from explorer.analysis.thresholds import choose_max_f1
from explorer.data.labels import DOMAINS
from explorer.data.samples import SPLITS
from explorer.figures.common import with_interval
from explorer.tables import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

Rules = Literal["paper", "sound"]
RULES: tuple[Rules, ...] = ("paper", "sound")

RESAMPLES, DRAWS = 1000, 200
"""Of figures, and of distances, which cost more."""
BARE = "names"
"""The prompt set of the paper's zero-shot."""
TITLES = {
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
"""Which trivial baseline stands beside which figure."""
WIDE = 0.5
"""An interval that spans more than half of the range says next to nothing."""


@dataclass(frozen=True)
class Prediction:
    """What one rule makes of one regime's logits: which labels it calls, and what it ranks them by."""

    calls: NDArray[np.bool_]
    scores: NDArray[np.floating]


@dataclass(frozen=True)
class Group:
    """A block of the page's table: whose figures, by which rules."""

    title: str
    frame: pd.DataFrame
    """A row a regime and metric: regime, metric, value, ci_low, ci_high, printed (by others), random, constant."""


def printed(store: Store) -> Group:
    """The paper's own table, for the regimes this run has too."""
    lines = [
        {
            "regime": regime.title,
            "metric": metric,
            "value": paper.TABLE[regime.name][metric],
            "ci_low": np.nan,
            "ci_high": np.nan,
            "printed": True,
            **{kind: paper.BASELINES[kind][metric] for kind in BASELINES},
        }
        for regime in store.regimes
        if regime.name in paper.TABLE
        for metric in MULTILABEL
    ]
    return Group("Printed in the paper", pd.DataFrame(lines))


def scored(store: Store, split: Split, rules: Rules) -> Group:
    """A run's figures by one set of rules, with intervals and baselines."""
    rows = store.rows(split)
    targets, weights = store.targets[rows], weights_of(store, rows)
    trivial = baselines(store, split)
    lines = []
    for regime in store.regimes:
        prediction = predict(store, regime.name, rows, rules)
        if prediction is None:
            continue
        drawn = outcome(targets, prediction.calls, prediction.scores, weights)
        for metric in MULTILABEL:
            values = getattr(drawn, metric)
            low, high = ends(values, len(np.unique(store.patients[rows])))
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
    return Group(f"{derive.trained(store)}, {'paper’s' if rules == 'paper' else 'sound'} rules", pd.DataFrame(lines))


def baselines(store: Store, split: Split) -> dict[str, dict[str, float]]:
    """The trivial baselines of a split, with prevalences from train."""
    return trivial_baselines(store.labels, store.targets[store.rows("train")], store.targets[store.rows(split)])


def in_figures(groups: list[Group], runs: dict[str, dict[str, dict[str, float]]]) -> pd.DataFrame:
    """Everything as text: a row a group and regime, then the trivial baselines of each run's films."""
    lines = []
    for group in groups:
        for regime, part in group.frame.groupby("regime", sort=False):
            columns = (
                part[column].tolist() for column in ("metric", "value", "ci_low", "ci_high", "printed", *BASELINES)
            )
            cells = {}
            for metric, value, low, high, by_others, *trivial in zip(*columns, strict=True):
                text = f"{value:g}" if by_others else with_interval(value, low, high)
                cells[TITLES[metric]] = text + ("" if _beyond(metric, value, low, high, trivial) else " ‡")
            lines.append({"Figures of": group.title, "Regime or rule": regime, **cells})
    for title, found in runs.items():
        for name, figures in found.items():
            cells = {TITLES[m]: f"{figures[m]:.2f}" if m in figures else "" for m in MULTILABEL}
            lines.append({"Figures of": title, "Regime or rule": name[0].upper() + name[1:], **cells})
    return pd.DataFrame(lines)


def _beyond(metric: str, value: float, low: float, high: float, trivial: list[float]) -> bool:
    """Whether a figure, with the whole of its interval if it has one, is better than its trivial baselines."""
    if HIGHER_IS_BETTER[metric]:
        return bool((value if np.isnan(low) else low) > np.nanmax(trivial))
    return bool((value if np.isnan(high) else high) < np.nanmin(trivial))


# --- rules -----------------------------------------------------------------------------------------------------------


def predict(store: Store, regime: str, rows: NDArray[np.int64], rules: Rules) -> Prediction | None:
    """One regime's prediction by a set of rules.

    The paper's, from its notebook's table: each film's scores stretched to 0..1 and called above 0.5, in every regime;
    zero-shot from bare names. None for the zero-shot of a run made before prompt sets were kept. Sound: called by
    thresholds and ranked by calibrated probability, both from validation.
    """
    if rules == "paper":
        if regime == "zero_shot" and not has_bare_names(store):
            return None
        logits = np.asarray((store.prompt_logits(BARE) if regime == "zero_shot" else store.logits(regime))[rows])
        return Prediction(min_max(logits) > 0.5, logits)
    return sound(store, np.asarray(store.logits(regime)), rows)


def sound(store: Store, logits: NDArray[np.float32], rows: NDArray[np.int64]) -> Prediction:
    """Thresholds of largest F1 and Platt's probabilities, both from validation; of any logits (N, C) of the run."""
    val = store.rows("val")
    cuts = choose_max_f1(store.labels, store.targets[val], logits[val]).values(store.labels)
    scores = probabilities("platt", store.targets[val], logits[val], logits[rows])
    return Prediction(logits[rows] >= cuts, scores)  # a label without a threshold (NaN) is never called


def has_bare_names(store: Store) -> bool:
    return any(record.name == BARE for record in store.manifest.prompt_sets)


# --- one change at a time --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One rule, and what it changes against the rule before it; ``kind`` is empty for the first of a ladder."""

    kind: Literal["", "Threshold", "Prompt", "Training"]
    name: str
    called: float
    """Labels called a film."""
    value: tuple[float, float, float]
    """Macro F1 with its interval."""
    change: tuple[float, float, float]
    """Paired, with its interval; NaN for the first."""
    exact: float
    """Exact match, over films whose labels are all known."""

    @property
    def told(self) -> bool:
        """Whether the change's interval leaves out 0."""
        return bool(self.change[1] > 0 or self.change[2] < 0)


def ladder(store: Store, split: Split) -> list[Step]:
    """From the paper's table to the fine-tune, on one run's films; needs the bare names' logits."""
    rows = store.rows(split)
    bare = np.asarray(store.prompt_logits(BARE))
    own = store.manifest.prompt_sets[0]
    found: list[tuple[Literal["", "Threshold", "Prompt", "Training"], str, NDArray[np.bool_]]] = [
        ("", "Zero-shot, bare names, each film stretched to 0..1, above 0.5", min_max(bare[rows]) > 0.5),
        ("Threshold", "… cosine above 0", bare[rows] > 0),
        ("Threshold", "… thresholds from val", sound(store, bare, rows).calls),
    ]
    if own.name != BARE:
        zero_shot = np.asarray(store.logits("zero_shot"))
        found.append(("Prompt", f"… {own.title[0].lower()}{own.title[1:]}", sound(store, zero_shot, rows).calls))
    for regime in store.regimes:
        if regime.name != "zero_shot":
            calls = sound(store, np.asarray(store.logits(regime.name)), rows).calls
            found.append(("Training", f"{regime.title}, thresholds from val", calls))
    return _steps(store, rows, found)


def training_ladder(mine: Store, other: Store, split: Split, regime: str) -> tuple[list[Step], int]:
    """One regime trained as the paper and then soundly, on the films neither run trained on or chose by.

    Parameters
    ----------
    mine, other : Store
        Trained as the paper, and soundly; of the same films in the same order.

    Returns
    -------
    list of Step
    int
        How many films.
    """
    rows = np.intersect1d(mine.rows(split), other.rows(split))
    logits = np.asarray(mine.logits(regime))
    title = mine.regime(regime).title
    return (
        _steps(
            mine,
            rows,
            [
                ("", f"{title} as the paper, each film stretched to 0..1, above 0.5", min_max(logits[rows]) > 0.5),
                ("Threshold", "… probability above 0.5", logits[rows] > 0),
                ("Threshold", "… thresholds from val", sound(mine, logits, rows).calls),
                (
                    "Training",
                    f"{title} trained soundly, thresholds from val",
                    sound(other, np.asarray(other.logits(regime)), rows).calls,
                ),
            ],
        ),
        len(rows),
    )


def _steps(
    store: Store,
    rows: NDArray[np.int64],
    found: list[tuple[Literal["", "Threshold", "Prompt", "Training"], str, NDArray[np.bool_]]],
) -> list[Step]:
    targets, weights = store.targets[rows], weights_of(store, rows)
    patients = len(np.unique(store.patients[rows]))
    steps, before = [], None
    for kind, name, calls in found:
        drawn = f1(targets, calls, weights).mean(axis=1)  # first the point, then the resamples
        change = drawn - (drawn if before is None else before)
        steps.append(
            Step(
                kind,
                name,
                float(calls.sum(axis=1).mean()),
                (float(drawn[0]), *ends(drawn, patients)),
                (float(change[0]), *ends(change, patients)) if before is not None else (np.nan, np.nan, np.nan),
                float(outcome(targets, calls, None, weights[:1]).exact_match[0]),
            )
        )
        before = drawn
    return steps


def step_table(steps: list[Step]) -> pd.DataFrame:
    """The steps as text."""
    return pd.DataFrame(
        {
            "Rule": [step.name for step in steps],
            "What changed": [step.kind or "start" for step in steps],
            "Macro F1": [with_interval(*step.value) for step in steps],
            "Change": ["" if not step.kind else signed(*step.change) for step in steps],
            "Exact match": ["—" if np.isnan(step.exact) else f"{step.exact:.2f}" for step in steps],
            "Labels called a film": [f"{step.called:.1f}" for step in steps],
        }
    )


# --- other tables ----------------------------------------------------------------------------------------------------


def support(store: Store, split: Split) -> pd.DataFrame:
    """How far each label's positives can tell anything: the paper's test split, and this run's."""
    rows = store.rows(split)
    last = store.regimes[-1]
    calls = sound(store, np.asarray(store.logits(last.name)), rows).calls
    drawn = f1(store.targets[rows], calls, weights_of(store, rows))
    lines = []
    for label in sorted(store.labels, key=lambda label: (-paper.POSITIVES.get(label, 0), label)):
        c = store.labels.index(label)
        n = int((store.targets[rows, c] == 1).sum())
        holders = len(np.unique(store.patients[rows][store.targets[rows, c] == 1]))
        theirs = paper.in_test(label) if label in paper.POSITIVES else None
        low, high = ends(drawn[:, c], holders)
        wide = np.isnan(low) or high - low > WIDE
        lines.append(
            {
                "Label": label,
                "Paper: test positives, about": "" if theirs is None else f"{theirs}",
                "Sensitivity 0.5 would mean": "" if theirs is None else _half(theirs),
                f"Here: {split} positives": f"{n}",
                f"{last.title} F1": with_interval(float(drawn[0, c]), low, high) + (" †" if wide else ""),
            }
        )
    return pd.DataFrame(lines)


def _half(n: int) -> str:
    low, high = wilson(n / 2, n)
    return f"{low:.2f} to {high:.2f}" + (" †" if high - low > WIDE else "")


def domains(store: Store, split: Split) -> pd.DataFrame:
    """F1 of the paper's four domains: is any of a domain's labels there?"""
    rows = store.rows(split)
    names, targets, _ = by_domain(store.labels, store.targets[rows], np.zeros((len(rows), len(store.labels)), bool))
    weights = weights_of(store, rows)
    drawn = {}
    for regime in store.regimes:
        calls = sound(store, np.asarray(store.logits(regime.name)), rows).calls
        drawn[regime.title] = f1(targets, by_domain(store.labels, store.targets[rows], calls)[2], weights)
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
                    title: with_interval(float(values[0, k]), *ends(values[:, k], holders))
                    for title, values in drawn.items()
                },
                "All positive": f"{everything[k]:.2f}",
            }
        )
    return pd.DataFrame(lines)


def distances(store: Store, split: Split) -> pd.DataFrame:
    """The paper's embedding distances, of projections as they come where the run kept them.

    Each ratio with its 95% interval over patients, and the mean ratio of classes dealt out anew.
    """
    rows = store.rows(split)
    classes, patients = first_positive(store.targets[rows]), store.patients[rows]
    weights = np.vstack([np.ones((1, len(rows))), patient_weights(patients, DRAWS, store.manifest.seed)])
    dealt = classes[shuffles(patients, DRAWS, store.manifest.seed)]

    def ratio(vectors: NDArray[np.floating]) -> tuple[str, str]:
        drawn = resampled_distances(vectors, classes[None], weights)["ratio"]
        null = resampled_distances(vectors, dealt, np.ones((1, len(rows))))["ratio"]
        return with_interval(float(drawn[0]), *ends(drawn, len(np.unique(patients)))), f"{null.mean():.2f}"

    lines = []
    for regime in store.regimes:
        known = paper.TABLE.get(regime.name)
        projections = store.projections(regime.encoder)
        vectors = np.asarray((store.vectors(regime.embedding_space) if projections is None else projections)[rows])
        logits = np.asarray(store.logits(regime.name)[rows])
        embedding = centroid_distances(vectors, classes)
        (found, chance), (decision, decision_chance) = ratio(vectors), ratio(logits)
        lines.append(
            {
                "Regime": regime.title,
                "inter": f"{embedding['inter']:.2f}",
                "intra": f"{embedding['intra']:.2f}",
                "ratio": found,
                "ratio by chance": chance,
                "Logits: ratio": decision,
                "by chance": decision_chance,
                "Paper: inter / intra": f"{known['inter']:.2f} / {known['intra']:.2f}" if known else "",
                "Paper: ratio": f"{known['ratio']:.2f}" if known else "",
            }
        )
    return pd.DataFrame(lines)


def losses(store: Store) -> pd.DataFrame | None:
    """Each loss tried for the probe, at its own best penalty; None where the run tried none."""
    tried = store.training("linear_probe").get("tried")
    if not tried:
        return None
    chosen = store.training("linear_probe")["loss"]
    frame = pd.DataFrame(tried)
    best = frame.loc[frame.groupby("loss", sort=False)["val_loss"].idxmin()]
    return pd.DataFrame(
        {
            "Loss": best["loss"].map(LOSSES).to_numpy(),
            "C": [f"{value:g}" for value in best["C"]],
            "Val macro AP": [f"{value:.3f}" for value in best["val_macro_ap"]],
            "": ["chosen" if name == chosen else "" for name in best["loss"]],
        }
    )


def learning(store: Store) -> pd.DataFrame:
    """Loss by epoch of every regime trained in epochs: regime, epoch, train_loss, val_loss, kept."""
    frames = []
    for regime in store.regimes:
        training = store.training(regime.name)
        if "curve" in training:
            frame = pd.DataFrame(training["curve"], columns=["epoch", "train_loss", "val_loss"])
            frames.append(frame.assign(regime=regime.title, kept=frame["epoch"] == training["best_epoch"]))
    return pd.concat(frames, ignore_index=True)


LOSSES = {
    "plain": "Cross-entropy",
    "weighted": "Cross-entropy, positives weighted by negatives per positive",
    "focal": "Focal, γ = 2",
    "asymmetric": "Asymmetric, γ− = 4, margin 0.05",
}


def recipe(store: Store) -> dict[str, str]:
    """How a run was split and trained, in words."""
    settings, paper_way = store.manifest.settings, store.manifest.protocol == "paper"
    sizes = " / ".join(f"{len(store.rows(part)):,}" for part in SPLITS)
    rate, head = (f"{float(str(settings[name])):g}" for name in ("learning_rate", "head_learning_rate"))
    batch, epochs, patience = (settings[name] for name in ("train_batch_size", "epochs", "patience"))
    stop = f"batches of {batch}, at most {epochs} epochs, patience {patience} on val loss"
    if paper_way:
        return {
            "Split": f"{sizes}; {store.manifest.dataset.split_origin}",
            "Prompts": "bare names",
            "Loss": "cross-entropy; every label and class alike",
            "Linear probe": f"on the projection before unit norm; Xavier start; AdamW, {head}, cosine; {stop}",
            "Fine-tune": f"a new head; one constant rate of {rate}, a new AdamW every epoch; {stop}",
            "Augmentation": "none",
        }
    chosen = store.training("linear_probe")
    decay = f", each lower layer {settings['layer_decay']} of the next" if "layer_decay" in settings else ""
    return {
        "Split": f"{sizes}; {store.manifest.dataset.split_origin}",
        "Prompts": store.manifest.prompt_sets[0].title if store.manifest.prompt_sets else "",
        "Loss": LOSSES.get(str(chosen.get("loss")), LOSSES["plain"]) + ", chosen on val",
        "Linear probe": f"on the unit-norm embedding; L-BFGS, L2 penalty C = {chosen['C']:g} chosen on val",
        "Fine-tune": f"from the probe's head; rates {rate}{decay} and {head} (head), warm-up and cosine; {stop}",
        "Augmentation": "small turns, shifts, zooms and exposure; no mirroring",
    }


def seeds(store: Store, split: Split) -> pd.DataFrame:
    """Figures over seeds by the run's own rules; empty where a single seed was trained."""
    rows = store.rows(split)
    targets = store.targets[rows]
    one = np.ones((1, len(rows)))
    lines = []
    for regime in store.regimes:
        if not regime.seeds:
            continue
        found: dict[str, list[float]] = {metric: [] for metric in MULTILABEL}
        for logits in store.seed_logits(regime.name):
            values = np.asarray(logits)
            by = (
                Prediction(min_max(values[rows]) > 0.5, values[rows])
                if store.manifest.protocol == "paper"
                else sound(store, values, rows)
            )
            drawn = outcome(targets, by.calls, by.scores, one)
            for metric in MULTILABEL:
                found[metric].append(float(getattr(drawn, metric)[0]))
        cells = {
            TITLES[
                metric
            ]: f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} ({min(values):.3f} to {max(values):.3f})"
            for metric, values in found.items()
        }
        lines.append({"Regime": regime.title, "Seeds": str(1 + len(regime.seeds)), **cells})
    return pd.DataFrame(lines)


# --- intervals -------------------------------------------------------------------------------------------------------


def weights_of(store: Store, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1 + B, n): every film once, then the resamples."""
    drawn = patient_weights(store.patients[rows], RESAMPLES, store.manifest.seed)
    return np.vstack([np.ones((1, len(rows))), drawn])


def ends(values: NDArray[np.float64], units: int) -> tuple[float, float]:
    """The 95% interval of a figure from its value, which comes first, and its resamples."""
    low, high = interval(values[:1, None], values[None, 1:, None], np.array([units]))
    return float(low[0, 0]), float(high[0, 0])


def plain(value: float) -> str:
    """A difference alone."""
    return f"{value:+.2f}".replace("-", "−")


def signed(value: float, low: float, high: float) -> str:
    """A difference and its interval.

    Examples
    --------
    >>> signed(0.05, 0.01, 0.09), signed(-0.2, -0.3, -0.1)
    ('+0.05 [+0.01, +0.09]', '−0.20 [−0.30, −0.10]')
    """
    one, *two = (plain(x) for x in (value, low, high))
    return f"{one} [{', '.join(two)}]" if not np.isnan(low) else f"{one} [no interval]"
