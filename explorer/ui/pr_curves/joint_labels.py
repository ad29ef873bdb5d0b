"""The joint-labels view: which labels are predicted together, and figures that judge whole films."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.joint_labels import WHOLE_FILM, cooccurrence, pairs, whole_film
from explorer.analysis.metrics import patient_weights
from explorer.analysis.multilabel import complete
from explorer.figures.cooccurrence import cooccurrence_heatmap
from explorer.figures.style import with_interval
from explorer.tables.labels import ONE_LABEL, by_prevalence, cooccurrence_frame
from explorer.tables.protocol_scores import predict_sound_protocol
from explorer.tables.results import mean_of_labels, merits, resampled_interval
from explorer.ui.shared import choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

RESAMPLES = 1000
SHOWN_PAIRS = 12


def joint_labels(view: View) -> None:
    """Whole-film figures, then co-prediction beside co-occurrence in one regime."""
    with view.controls:
        regime = choose.regime(view)
    st.subheader(f"All labels of a film, {view.split}")
    _whole_films(view)
    _pairs(view, regime)


@panel
def _whole_films(view: View) -> None:
    store, split = view.store, view.split
    show_table(_whole(store, split), hide_index=True, height="content")
    whole = int(complete(store.targets[store.rows(split)]).sum())
    st.caption(
        "95% intervals from resampling patients. Predicted at thresholds of largest F1, ranked by Platt "
        "probabilities, both from val; baselines never look at a film. Exact match, LRAP and coverage error need "
        f"every label of a film, known for {whole:,} of {len(store.rows(split)):,}. mAP's interval is from "
        f"leaving out patients in turn. {mean_of_labels(store, split).note} ↓ lower is better."
    )


@panel
def _pairs(view: View, regime: RegimeRecord) -> None:
    store, split = view.store, view.split
    if len(store.labels) == 1:
        st.markdown(ONE_LABEL)
        return
    rows = store.rows(split)
    order = by_prevalence(store, split)
    columns = [store.labels.index(label) for label in order]
    targets = store.targets[rows][:, columns]
    calls = np.asarray(store.logits(regime.name)[rows] >= store.threshold_array(regime.name))[:, columns]
    known = ~np.isnan(targets)
    left, right = st.columns(2, gap="medium")
    for side, title, positive, word in (
        (left, ("Predicted together", regime.title, split), calls, "predicted"),
        (right, ("Occur together", split), targets == 1, "positive"),
    ):
        with side:
            share, both = cooccurrence(positive, known)
            caption = f"Of the {split} films {word} for the row's label, the percentage {word} for the column's too."
            download.figure(
                view,
                cooccurrence_heatmap(share, both, order),
                download.About(title, download.films(view), caption),
                partial(cooccurrence_frame, share, both, order),
                key=f"pairs-{word}",
                alt=", ".join(title),
            )
    frame = pairs(order, targets, calls)
    frame = frame[frame["predicted"] + frame["true"] > 0]
    excess = frame["predicted"] - frame["true"]
    st.subheader(f"Predicted together in most excess: {regime.title}, {split}")
    show_table(
        pd.DataFrame(
            {
                "Labels": frame["one"] + " + " + frame["other"],
                "Films known": frame["n"],
                "Occur together": frame["true"],
                "Predicted together": frame["predicted"],
                "Excess": excess,
                "Expected by chance": frame["by_chance"].round(1),
            }
        ).head(SHOWN_PAIRS),
        hide_index=True,
        height="content",
    )
    st.caption(
        f"{regime.title} at thresholds of largest F1 from val. By chance: what independent predictions at the "
        "two labels' rates would give. Far above it, the model has tied the labels to one another."
    )


@st.cache_data(max_entries=8, show_spinner="Scoring whole films", hash_funcs=HASH_FUNCS)
def _whole(store: Store, split: Split) -> pd.DataFrame:
    rows = store.rows(split)
    targets = store.targets[rows]
    draws = patient_weights(store.patients[rows], RESAMPLES, store.manifest.seed)
    weights = np.vstack([np.ones((1, len(rows))), draws])
    by_key, mean = merits(store, split), mean_of_labels(store, split)
    lines = []
    for regime in store.regimes:
        prediction = predict_sound_protocol(store, np.asarray(store.logits(regime.name)), rows)
        figures = whole_film(targets, prediction.predicted, prediction.scores, weights)
        line = {
            "": regime.title,
            **{
                WHOLE_FILM[name]: with_interval(float(values[0]), *resampled_interval(values))
                for name, values in figures.items()
            },
        }
        lines.append({**line, "mAP": str(by_key[regime.name, mean.name, "average_precision"])})
    chance = by_key[store.regimes[0].name, mean.name, "average_precision"].baseline
    for name, points in _baselines(store, targets).items():
        line = {WHOLE_FILM[key]: f"{values[0]:.2f}" for key, values in points.items()}
        lines.append({"": name, **line, **({"mAP": f"{chance:.2f}"} if name == "Ranked by prevalence" else {})})
    return pd.DataFrame(lines).fillna("—")


def _baselines(store: Store, targets: NDArray[np.float32]) -> Mapping[str, dict[str, NDArray[np.float64]]]:
    """What predictions that never look at a film reach."""
    once = np.ones((1, len(targets)))
    train = store.targets[store.rows("train")]
    known = (~np.isnan(train)).sum(axis=0)
    rate = (train == 1).sum(axis=0) / np.maximum(known, 1)
    alike = {
        "All labels predicted": np.ones(targets.shape, dtype=bool),
        "No label predicted": np.zeros(targets.shape, dtype=bool),
    }
    if "No Finding" in store.labels:
        always = np.zeros(targets.shape, dtype=bool)
        always[:, store.labels.index("No Finding")] = True
        alike["Always No Finding"] = always
    figures = {name: whole_film(targets, calls, None, once) for name, calls in alike.items()}
    figures["Ranked by prevalence"] = whole_film(targets, None, np.tile(rate, (len(targets), 1)), once)
    return figures
