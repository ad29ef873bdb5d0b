"""What a run can say of itself, one paragraph for each fact; a fact that it does not know is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.calibration import METHODS
from explorer.analysis.evidence import FEW
from explorer.analysis.ranking import BINARY_METRICS
from explorer.data.samples import SPLITS
from explorer.store import layout
from explorer.store.saliency import list_saliency

if TYPE_CHECKING:
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from precompute.sheet.items import Fact

LEVEL = 0.05
"""A gap whose adjusted p is below this is beyond chance."""
PERFORMANCE = (
    "See Figures above: every figure with its 95% interval and its trivial baseline. "
    f"Single labels: {layout.METRICS}. Groups of films: {layout.SUBGROUPS}."
)


def facts(store: Store) -> dict[Fact, str]:
    """Every answer of a run, as plain text, by the fact's name.

    Raises
    ------
    UserError
        Where a file that an answer needs is damaged.
    """
    manifest = store.manifest
    dataset = manifest.dataset
    frozen = manifest.encoders[0]
    regimes = "; ".join(f"{regime.title} on the {store.encoder(regime.encoder).title}" for regime in store.regimes)
    licences = "; ".join(f"{title}: {licence or 'not recorded'}" for title, licence in _licences(store).items())
    answers: dict[Fact, str] = {
        "aim": f"To compare {_names(store)} on {len(store.labels)} labels of chest radiographs.",
        "design": "Retrospective: films and labels existed before the run.",
        "data": f"{dataset.name}, from {dataset.source}.",
        "films": f"{dataset.n_read:,} films were read, {dataset.n_skipped:,} could not be used and were left out "
        f"({layout.SKIPPED} gives the reasons), {store.n:,} stayed. See Counts above.",
        "missing": f"{int(np.isnan(store.targets).sum()):,} of {store.targets.size:,} labels are unknown. They count "
        "neither as positive nor as negative, and no figure includes them.",
        "labels": f"{dataset.label_origin}.",
        "split": f"{dataset.split_origin}. All parts are of one data set.",
        "split level": _split_level(store),
        "model": f"A regime is an encoder and a linear head on its embedding of {frozen.dim} numbers: {regimes}.",
        "output": f"A logit and a probability for each label. {_thresholds(store)}",
        "software": "; ".join(f"{name} {version}" for name, version in manifest.versions.items())
        + f". Run {manifest.run_id}.",
        "training": f"Protocol: {manifest.protocol}; seed {manifest.seed}. "
        + " ".join(_training(store, regime) for regime in store.regimes),
        "selection": "Settings, the epoch to stop at and thresholds were chosen on val alone, nothing on test.",
        "measures": "; ".join(metric.title for metric in BINARY_METRICS.values())
        + "; calibration error, Brier score, separability and retrieval.",
        "uncertainty": "95% intervals that leave out patients in turn, or resample patients; differences between "
        "regimes are paired by patient; p values over labels are adjusted by Holm's method.",
        "imbalance": _imbalance(store),
        "performance": PERFORMANCE,
        "failures": _failures(store),
        "robustness": _robustness(store),
        "licences": f"{licences}.",
    }
    if "weights" not in manifest.never_had:
        answers |= {
            "pixels": f"8-bit grey; the encoder sees {store.fit(frozen.id).words}.",
            "initial weights": f"{frozen.title} ({frozen.source}), SHA-256 {frozen.weights_sha256}.",
        }
    answers |= _demographics(store) | _marks(store) | _explanations(store) | _fairness(store) | _updating(store)
    return answers


def _names(store: Store) -> str:
    titles = [regime.title.lower() for regime in store.regimes]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _licences(store: Store) -> dict[str, str]:
    manifest = store.manifest
    return {manifest.dataset.name: manifest.dataset.licence} | {one.title: one.licence for one in manifest.encoders}


def _split_level(store: Store) -> str:
    splits = store.samples.groupby("patient_id")["split"].nunique()
    shared = int((splits > 1).sum())
    return "Patients: none is in two parts." if not shared else f"Films. Patients in more than one part: {shared:,}."


def _thresholds(store: Store) -> str:
    rules = {(chosen.rule, chosen.split) for chosen in (store.thresholds(regime.name) for regime in store.regimes)}
    return " ".join(
        f"It is predicted positive from a threshold on ({rule}, chosen on {split})." for rule, split in sorted(rules)
    )


def _training(store: Store, regime: RegimeRecord) -> str:
    """Every setting of a regime that is one value."""
    record = store.training(regime.name)
    values = {**record, **record.get("settings", {})}
    plain = [
        f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
        if isinstance(value, (bool, int, float, str))
    ]
    return f"{regime.title}: {', '.join(plain) or 'no setting'}."


def _imbalance(store: Store) -> str:
    test = store.targets[store.rows("test")]
    shares = np.nansum(test, axis=0) / np.maximum((~np.isnan(test)).sum(axis=0), 1)
    few = [label for label, n in zip(store.labels, np.nansum(test, axis=0), strict=True) if n < FEW]
    rare = f" Fewer than {FEW} positives in test: {', '.join(few)}." if few else ""
    return (
        f"Prevalence in test is {shares.min():.1%} to {shares.max():.1%} by label. Films are neither repeated nor "
        f"left out to balance labels. Average precision stands beside what random rankings reach.{rare}"
    )


def _failures(store: Store) -> str:
    rows = store.rows("test")
    targets = store.targets[rows]
    parts = []
    for regime in store.regimes:
        predicted = store.logits(regime.name)[rows] >= store.threshold_array(regime.name)
        wrong = int((predicted & (targets == 0)).sum()), int((~predicted & (targets == 1)).sum())
        parts.append(f"{regime.title} {wrong[0]:,} false positives and {wrong[1]:,} false negatives")
    return (
        f"Over all labels of {len(rows):,} test films: {'; '.join(parts)}. "
        "The pages show every such film with its maps and neighbours."
    )


def _robustness(store: Store) -> str:
    copies = "Without films, no copies were sought."
    if store.has_films:
        kinds, splits = store.audit.copies, store.samples["split"].to_numpy()
        across = kinds[(kinds["kind"] != "alike") & (splits[kinds["a"]] != splits[kinds["b"]])]
        copies = f"{len(across):,} pairs of exact or near copies lie in two parts."
    seeds = [f"{regime.title} with {len(regime.seeds) + 1} seeds" for regime in store.regimes if regime.seeds]
    return (
        f"{copies} Trained again: {'; '.join(seeds) or 'with no other seed'}. "
        f"Sets of prompts: {len(store.manifest.prompt_sets)}. "
        "Shortcuts, label errors and outliers: the Audit page."
    )


def _demographics(store: Store) -> dict[Fact, str]:
    frame = store.samples
    parts = []
    for split in SPLITS:
        part = frame[frame["split"] == split].drop_duplicates("patient_id")
        ages, sexes = pd.to_numeric(part["age"], errors="coerce").dropna(), part["sex"].replace("", None).dropna()
        told = []
        if len(ages):
            low, middle, high = np.percentile(ages, (25, 50, 75))
            told.append(f"age {middle:.0f} ({low:.0f} to {high:.0f}), known of {len(ages):,}")
        if len(sexes):
            counts = ", ".join(f"{sex} {n:,}" for sex, n in sexes.value_counts().sort_index().items())
            told.append(f"sex {counts}")
        if told:
            parts.append(f"{split}, {len(part):,} patients: {'; '.join(told)}")
    if not parts:
        return {}
    return {"demographics": "Median (quartiles) of each patient's first film. " + ". ".join(parts) + "."}


def _marks(store: Store) -> dict[Fact, str]:
    marks = store.tables.annotations
    if marks.empty:
        return {}
    return {
        "marks": f"Readers: {marks['annotator'].nunique():,}. They marked {marks['row'].nunique():,} films "
        "(boxes and polygons). Their qualification is not recorded."
    }


def _explanations(store: Store) -> dict[Fact, str]:
    sets = list_saliency(store)
    if not sets:
        return {}
    titles = "; ".join(f"{one.title} on {one.record.split}" for one in sets)
    return {"explanations": f"{titles}, compared with readers' marks and with sanity checks."}


def _fairness(store: Store) -> dict[Fact, str]:
    """Gaps between groups of films in test; runs of early versions have none."""
    if layout.SUBGROUP_GAPS not in store.manifest.artefacts:
        return {}
    groups = store.tables.subgroups
    gaps = store.tables.subgroup_gaps
    gaps = gaps[(gaps["split"] == "test") & gaps["gap"].notna()]
    attributes = ", ".join(groups.loc[groups["split"] == "test", "attribute"].unique())
    sure = int((gaps["p_adjusted"] < LEVEL).sum())
    return {
        "fairness": f"Figures of test by group ({attributes or 'no group has enough films'}). Of {len(gaps):,} gaps in "
        "AUROC, sensitivity, specificity and calibration in the large, adjusted by Holm's method, "
        f"{sure:,} are beyond chance. Nothing was done to close them. {layout.SUBGROUP_GAPS} has all."
    }


def _updating(store: Store) -> dict[Fact, str]:
    """What refitting probabilities on val does to their calibration on test."""
    if layout.CALIBRATION not in store.manifest.artefacts:
        return {}
    frame = store.tables.calibration
    frame = frame[(frame["split"] == "test") & (frame["metric"] == "ece") & (frame["n_pos"] >= FEW)]
    means = frame.groupby(["regime", "method"])["value"].mean()
    parts = []
    for regime in store.regimes:
        values = [
            f"{title.lower()} {means[regime.name, method]:.3f}"
            for method, title in METHODS.items()
            if (regime.name, method) in means.index
        ]
        parts.append(f"{regime.title}: {', '.join(values) or 'too few positives'}")
    return {
        "updating": "Weights are not updated. Probabilities are fitted again on val by temperature, Platt and isotonic "
        "scaling. The pages move them, and the threshold, to another prevalence under prior shift.",
        "updated figures": f"Expected calibration error on test, mean over labels with {FEW} positives or more. "
        f"{'; '.join(parts)}. {layout.CALIBRATION} has every label with its interval.",
    }
