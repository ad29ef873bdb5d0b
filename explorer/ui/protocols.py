"""The protocols page's panels: one run scored by the paper's rules and by sound ones, beside trivial baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.calibration import probabilities
from explorer.analysis.metrics import patient_weights
from explorer.analysis.multilabel import (
    MULTILABEL,
    centroid_distances,
    complete,
    f1,
    first_positive,
    min_max,
    outcome,
    trivial_baselines,
)
from explorer.data.labels import DOMAINS
from explorer.ui import derive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.frame import View

RESAMPLES = 1000
BARE = "names"
"""The prompt set of the paper's zero-shot."""
TITLES = {
    "macro_f1": "Macro F1",
    "exact_match": "Exact match",
    "lrap": "LRAP",
    "coverage_error": "Coverage error (lower is better)",
}
PAPER: dict[str, dict[str, float]] = {
    "zero_shot": {
        "macro_f1": 0.105,
        "exact_match": 0.0,
        "lrap": 0.250,
        "coverage_error": 7.70,
        "inter": 31.890,
        "intra": 21.160,
        "ratio": 1.506,
    },
    "linear_probe": {
        "macro_f1": 0.183,
        "exact_match": 0.143,
        "lrap": 0.741,
        "coverage_error": 3.08,
        "inter": 31.894,
        "intra": 21.160,
        "ratio": 1.507,
    },
    "fine_tune": {
        "macro_f1": 0.235,
        "exact_match": 0.134,
        "lrap": 0.779,
        "coverage_error": 2.75,
        "inter": 22.754,
        "intra": 12.756,
        "ratio": 1.784,
    },
}
"""Sadman et al., BIOKDD 2025, arXiv 2506.14136: BiomedCLIP on IU-Xray, 572 test films."""


@dataclass(frozen=True)
class Prediction:
    """What one rule makes of one regime's logits: which labels it calls, and what it ranks them by."""

    calls: NDArray[np.bool_]
    scores: NDArray[np.floating]


# --- panels ----------------------------------------------------------------------------------------------------------


def table(view: View) -> None:
    """The paper's table, this run by both rules, and the baselines."""
    store, split = view.store, view.split
    whole = int(complete(store.targets[store.rows(split)]).sum())
    st.dataframe(
        _table(store.path, store.manifest.created, split, store),
        hide_index=True,
        height="content",
        column_config={"Regime or rule": st.column_config.Column(width=190)},
    )
    st.caption(
        f"95% intervals from resampling patients. Exact match, LRAP and coverage error need every label of a film: "
        f"{whole:,} of {len(store.rows(split)):,} {split} films have them. The paper's rows are of BiomedCLIP on 572 "
        "IU-Xray films, printed without intervals; other films, so compare each row with its own baselines. "
        "Paper's rules: zero-shot from bare names, each film's scores stretched to 0..1 and called above 0.5; trained "
        "regimes called above probability 0.5. Sound rules: thresholds of largest F1 and probabilities "
        "to rank by (Platt), both from val. Both score this run's own training."
    )
    if whole:
        found = baselines(store, split)
        st.markdown(
            f"On {split}, ranking all films alike by how frequent labels are in train reaches LRAP "
            f"{found['prevalence ranking']['lrap']:.2f}, and a random ranking {found['random ranking']['lrap']:.2f}. "
            "A regime has learnt to rank only as far as it beats the first."
        )
    st.caption(
        "In the paper, zero-shot's LRAP of 0.250 is a random ranking's (0.244 there); the trained regimes' 0.741 and "
        "0.779 lie below the prevalence ranking's (about 0.79). Its exact match of 0.14 lies below always saying No "
        "Finding (about 0.63). Pneumothorax has about 3 test positives and Consolidation about 5: their figures alone "
        "say nothing."
    )


def steps(view: View) -> None:
    """From the paper's first rule to the fine-tune, one change at a time."""
    store, split = view.store, view.split
    st.subheader("What changed the figure")
    if not _has_bare_names(store):
        st.caption("This run was made before prompt sets were kept. Run precompute again to see the steps.")
        return
    frame, true = _steps(store.path, store.manifest.created, split, store)
    st.dataframe(frame, hide_index=True, height="content")
    st.caption(
        f"One change a row, against the row above; the change's interval is paired. A {split} film has {true:.1f} "
        "positive labels on average: calling many more is the threshold's doing before it is the model's."
    )


def domains(view: View) -> None:
    """F1 by the paper's four domains."""
    store, split = view.store, view.split
    frame = _domains(store.path, store.manifest.created, split, store)
    if frame.empty:
        return
    st.subheader("By domain")
    st.dataframe(frame, hide_index=True, height="content")
    st.caption(
        "Mean F1 of a domain's labels at thresholds from val, 95% intervals; the baseline calls all films positive."
    )


def distances(view: View) -> None:
    """The paper's embedding distances, and why two regimes share them."""
    store, split = view.store, view.split
    st.subheader("Distances between classes")
    st.dataframe(_distances(store.path, store.manifest.created, split, store), hide_index=True, height="content")
    st.caption(
        f"The paper's measure: a film's class is its first positive label in label order; Euclidean, {split} films. "
        "inter is between class centroids, intra from a film to its own. This run's embeddings have unit length, the "
        "paper's have not: compare ratios, not lengths. No interval: the measure has no baseline of its own, and one "
        "class for a film of several labels is a simplification."
    )


# --- what they draw --------------------------------------------------------------------------------------------------


def paper_rule(store: Store, regime: str, rows: NDArray[np.int64]) -> Prediction | None:
    """The paper's rule: per-image min-max above 0.5 for zero-shot from bare names, probability above 0.5 else.

    None for the zero-shot of a run made before prompt sets were kept: other prompts would be another rule.
    """
    if regime == "zero_shot":
        if not _has_bare_names(store):
            return None
        logits = np.asarray(store.prompt_logits(BARE)[rows])
        return Prediction(min_max(logits) > 0.5, logits)
    logits = np.asarray(store.logits(regime)[rows])
    return Prediction(logits > 0, logits)


def sound_rule(store: Store, regime: str, rows: NDArray[np.int64]) -> Prediction:
    """Called by thresholds and ranked by calibrated probability, both from validation."""
    val, logits = store.rows("val"), store.logits(regime)
    scores = probabilities("platt", store.targets[val], np.asarray(logits[val]), np.asarray(logits[rows]))
    return Prediction(sound_calls(store, regime, rows), scores)


def sound_calls(store: Store, regime: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, C) logits that reach their label's threshold; a label that has none is never called."""
    return np.asarray(store.logits(regime)[rows] >= store.threshold_array(regime))


def baselines(store: Store, split: Split) -> dict[str, dict[str, float]]:
    """The trivial baselines of a split, with prevalences from train."""
    return trivial_baselines(store.labels, store.targets[store.rows("train")], store.targets[store.rows(split)])


@st.cache_data(max_entries=16, show_spinner="Scoring by both rules")
def _table(path: Path, made: str, split: Split, _store: Store) -> pd.DataFrame:
    store, rows = _store, _store.rows(split)
    targets, weights = store.targets[rows], _weights(_store, split)
    lines: list[dict[str, str]] = []
    for regime in store.regimes:
        if regime.name in PAPER:
            known = PAPER[regime.name]
            lines.append(_line("Paper, IU-Xray", regime.title, {m: f"{known[m]:g}" for m in MULTILABEL}))
    for regime in store.regimes:
        prediction = paper_rule(store, regime.name, rows)
        if prediction:
            lines.append(_line("This run, paper's rules", regime.title, _figures(targets, prediction, weights)))
    for regime in store.regimes:
        sound = sound_rule(store, regime.name, rows)
        lines.append(_line("This run, sound rules", regime.title, _figures(targets, sound, weights)))
    for name, found in baselines(store, split).items():
        cells = {m: f"{found[m]:.2f}" if m in found else "—" for m in MULTILABEL}
        lines.append(_line("Never looks at a film", name[0].upper() + name[1:], cells))
    return pd.DataFrame(lines)


@st.cache_data(max_entries=16, show_spinner="Scoring the steps")
def _steps(path: Path, made: str, split: Split, _store: Store) -> tuple[pd.DataFrame, float]:
    store, rows = _store, _store.rows(split)
    targets, weights = store.targets[rows], _weights(_store, split)
    bare = np.asarray(store.prompt_logits(BARE)[rows])
    ladder = [
        ("Zero-shot, bare names, cosine above 0", "the paper's predictions", bare > 0),
        ("Zero-shot, bare names, min-max above 0.5", "threshold", min_max(bare) > 0.5),
        ("Zero-shot, bare names, thresholds from val", "threshold", bare >= store.prompt_thresholds(BARE)),
    ]
    own = store.manifest.prompt_sets[0]
    for regime in store.regimes:
        zero_shot = regime.name == "zero_shot"
        prompts = f", {own.title.lower()}" if zero_shot else ""
        ladder.append(
            (
                f"{regime.title}{prompts}, thresholds from val",
                "prompt" if zero_shot else "training",
                sound_calls(store, regime.name, rows),
            )
        )
    lines, before = [], None
    for name, changed, calls in ladder:
        drawn = f1(targets, calls, weights).mean(axis=1)  # first the point, then the resamples
        change = "" if before is None else _interval(drawn - before, sign=True)
        called = calls.sum(axis=1).mean()
        lines.append(
            {
                "Rule": name,
                "What changed": changed,
                "Macro F1": _interval(drawn),
                "Change": change,
                "Labels called a film": f"{called:.1f}",
            }
        )
        before = drawn
    return pd.DataFrame(lines), float((targets == 1).sum(axis=1).mean())


@st.cache_data(max_entries=16, show_spinner="Scoring the domains")
def _domains(path: Path, made: str, split: Split, _store: Store) -> pd.DataFrame:
    store, rows = _store, _store.rows(split)
    targets, weights = store.targets[rows], _weights(_store, split)
    everything = f1(targets, np.ones(targets.shape, dtype=bool), weights[:1])[0]
    drawn = {regime.title: f1(targets, sound_calls(store, regime.name, rows), weights) for regime in store.regimes}
    lines = []
    for domain, names in DOMAINS.items():
        columns = [store.labels.index(name) for name in names if name in store.labels]
        if columns:
            line = {
                "Domain": domain,
                "Labels": str(len(columns)),
                "Positives": f"{int((targets[:, columns] == 1).sum()):,}",
            }
            line |= {title: _interval(values[:, columns].mean(axis=1)) for title, values in drawn.items()}
            lines.append({**line, "Baseline": f"{everything[columns].mean():.2f}"})
    return pd.DataFrame(lines)


@st.cache_data(max_entries=16, show_spinner="Measuring distances")
def _distances(path: Path, made: str, split: Split, _store: Store) -> pd.DataFrame:
    store, rows = _store, _store.rows(split)
    classes = first_positive(store.targets[rows])
    lines = []
    for regime in store.regimes:
        known = PAPER.get(regime.name)
        embedding = centroid_distances(np.asarray(store.vectors(regime.embedding_space)[rows]), classes)
        decision = centroid_distances(np.asarray(store.logits(regime.name)[rows]), classes)
        lines.append(
            {
                "Regime": regime.title,
                "Embedding: inter": f"{embedding['inter']:.3f}",
                "intra": f"{embedding['intra']:.3f}",
                "ratio": f"{embedding['ratio']:.2f}",
                "Logits: ratio": f"{decision['ratio']:.2f}",
                "Paper, embedding: inter / intra": f"{known['inter']:.2f} / {known['intra']:.2f}" if known else "",
                "Paper: ratio": f"{known['ratio']:.2f}" if known else "",
            }
        )
    return pd.DataFrame(lines)


def _has_bare_names(store: Store) -> bool:
    return any(record.name == BARE for record in store.manifest.prompt_sets)


def _weights(store: Store, split: Split) -> NDArray[np.float64]:
    """(1 + B, n): every film once, then the resamples."""
    patients = store.patients[store.rows(split)]
    drawn = patient_weights(patients, RESAMPLES, store.manifest.seed)
    return np.vstack([np.ones((1, len(patients))), drawn])


def _figures(targets: NDArray[np.float32], prediction: Prediction, weights: NDArray[np.float64]) -> dict[str, str]:
    result = outcome(targets, prediction.calls, prediction.scores, weights)
    return {name: _interval(getattr(result, name)) for name in MULTILABEL}


def _line(group: str, name: str, cells: dict[str, str]) -> dict[str, str]:
    return {"Figures of": group, "Regime or rule": name, **{TITLES[m]: cells[m] for m in MULTILABEL}}


def _interval(values: NDArray[np.float64], sign: bool = False) -> str:
    """The point, which comes first, and the 95% interval of the resamples after it."""
    text = derive.drawn_text(values)
    return f"+{text}" if sign and values[0] >= 0 else text
