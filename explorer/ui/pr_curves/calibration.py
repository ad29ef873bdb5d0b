"""The calibration view: how far a probability can be trusted, before and after fitting on validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from explorer.analysis.calibration import BINS, METHODS, TEMPERATURES, Method, at_bound, fit, reliability, temperature
from explorer.analysis.weak_calibration import weak_calibration
from explorer.data.text import in_markdown, plain
from explorer.figures import thresholds as threshold_figures
from explorer.figures.style import difference_with_interval, with_interval
from explorer.tables import styles
from explorer.tables.labels import by_prevalence, label_counts
from explorer.ui.pr_curves import curves
from explorer.ui.shared import choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

METRICS = {"brier": "Brier score", "ece": "ECE"}
WEAK = {"in_the_large": "Calibration in the large", "intercept": "Intercept", "slope": "Slope"}
ECE_INTERVAL = (
    "The ECE's interval is of the mean ECE on so many films, which chance keeps above 0. It does not hold 0 for a "
    "perfectly calibrated model either: compare it with its baseline."
)

AT_BOUND = (
    f"A temperature T at an end of its search, {TEMPERATURES[0]:.2g} or {TEMPERATURES[1]:.0f}, is no fit. At the low "
    "end, a logit of 0 separates val's films; at the high end, larger logits do not mean the label."
)


def calibration_view(view: View) -> None:
    """One label's reliability in every regime, its figures by method, and every label's."""
    store, split, label = view.store, view.split, choose.label()
    with view.controls:
        titles = {str(key): title for key, title in METHODS.items()}
        method = cast("Method", choose.pick_one("Probabilities", list(titles), "fitted", titles))
        choose.options(curves.choose_fewest)
    few = curves.fewest()
    positive, negative, unknown = label_counts(store, split, label)
    st.markdown(
        f"**{in_markdown(label)}** in {split}: {positive:,} positive, {negative:,} negative, {unknown:,} unknown."
    )
    if positive < few or negative == 0:
        st.info(f"Fewer than {few} positives: too few to say.", icon=":material/hourglass_empty:")
    else:
        left, right = st.columns([4, 5], gap="medium")
        with left:
            _diagram(view, label, method)
        with right:
            _label_figures(view, label)
        _weak(view, label, method)
    _all_labels(view, method, few)


@panel
def _diagram(view: View, label: str, method: Method) -> None:
    diagrams, figure = _reliability(view.store, view.split, label, method)
    download.figure(
        view,
        figure,
        download.About(
            ("Reliability", METHODS[method], label, view.split),
            download.label_films(view, label),
            f"{BINS} bins of equal number of films, with Wilson's 95% intervals; below them, films per bin. "
            "On the dashed line the predicted probability equals the observed rate.",
            ("reliability", "wilson interval"),
        ),
        lambda: pd.concat([frame.assign(regime=regime) for regime, frame in diagrams.items()]).rename(
            columns={"said": "predicted", "seen": "observed"}
        ),
        key="reliability",
        zoom=True,
        alt=f"Reliability of {plain(label)} in every regime",
    )


@panel
def _label_figures(view: View, label: str) -> None:
    store, split = view.store, view.split
    show_table(_by_method(store, split, label), hide_index=True, height="content")
    st.caption(
        "Lower is better. Value [95% interval from leaving out patients in turn] · baseline. For the Brier "
        "score: predicting val's rate for every film. For ECE: what perfectly calibrated probabilities show on "
        f"so many films by chance. {ECE_INTERVAL} Temperature, Platt and isotonic are fitted on val"
        + (", the films shown here, which is optimistic." if split == "val" else ".")
        + (f" {AT_BOUND}" if any(map(at_bound, _temperatures(store, label).values())) else "")
    )


@panel
def _weak(view: View, label: str, method: Method) -> None:
    """Whether probabilities are right on average, and neither too extreme nor too timid."""
    figure_title("Weak calibration", METHODS[method], label, view.split, terms=("calibration slope",))
    frame = _weak_figures(view.store, view.split, label, method)
    show_table(frame, hide_index=True, height="content")
    st.caption(
        "Value [95% interval by patient] · perfect. In the large: mean probability less the share positive. Intercept: "
        "above 0 where log odds are understated. Slope: below 1 where they are too extreme (Van Calster et al. 2019). "
        "A constant probability has no slope; nor has one of 0 or 1."
    )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _weak_figures(store: Store, split: Split, label: str, method: Method) -> pd.DataFrame:
    rows, val, c = store.rows(split), store.rows("val"), store.labels.index(label)
    lines = []
    for regime in store.regimes:
        logits = store.logits(regime.name)
        p = fit(method, store.targets[val, c], logits[val, c])(np.asarray(logits[rows, c]))
        figures = weak_calibration(store.targets[rows, c], p, store.patients[rows])
        cells = {
            title: f"{difference_with_interval(*figures[name])} · 0"
            if name != "slope"
            else f"{with_interval(*figures[name])} · 1"
            for name, title in WEAK.items()
        }
        lines.append({"Regime": regime.title, **cells})
    return pd.DataFrame(lines)


@panel
def _all_labels(view: View, method: Method, few: int) -> None:
    store, split = view.store, view.split
    st.subheader(f"All labels: {METHODS[method].lower()}, {split}")
    frame = store.tables.calibration
    frame = frame[(frame["split"] == split) & (frame["method"] == method)]
    texts = _texts(frame)
    rows = []
    for label in by_prevalence(store, split):
        positive = label_counts(store, split, label)[0]
        cells: dict[str, object] = {"Label": label, "Positives": positive}
        for metric, title in METRICS.items():
            for regime in store.regimes:
                text = texts.get((regime.name, label, method, metric), "—")
                cells[f"{title}: {regime.title}"] = text if positive >= few else "too few to say"
        if method == "temperature":
            temperatures = _temperatures(store, label)
            cells |= {f"T: {regime.title}": _temperature_text(temperatures[regime.name]) for regime in store.regimes}
        rows.append(cells)
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption("Value [95% interval] · baseline, as above." + (f" {AT_BOUND}" if method == "temperature" else ""))


def _by_method(store: Store, split: Split, label: str) -> pd.DataFrame:
    """One row per regime and method: Brier score and ECE."""
    frame = store.tables.calibration
    texts = _texts(frame[(frame["split"] == split) & (frame["label"] == label)])
    temperatures = _temperatures(store, label)
    rows = []
    for regime in store.regimes:
        for method, name in METHODS.items():
            if method == "temperature":
                name += f", T = {_temperature_text(temperatures[regime.name])}"
            cells = {title: texts.get((regime.name, label, method, metric), "—") for metric, title in METRICS.items()}
            rows.append({"Regime": regime.title, "Probabilities": name, **cells})
    return pd.DataFrame(rows)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _temperatures(store: Store, label: str) -> dict[str, float]:
    """Each regime's temperature of a label, fitted on val."""
    val, c = store.rows("val"), store.labels.index(label)
    targets = store.targets[val, c]
    return {r.name: temperature(targets, np.asarray(store.logits(r.name)[val, c])) for r in store.regimes}


def _temperature_text(t: float) -> str:
    """A temperature, and whether it is an end of its search.

    Examples
    --------
    >>> _temperature_text(1.234), _temperature_text(TEMPERATURES[0]), _temperature_text(float("nan"))
    ('1.23', '0.0025 (end of search)', 'not fitted')
    """
    if np.isnan(t):
        return "not fitted"
    return f"{t:.2g} (end of search)" if at_bound(t) else f"{t:.2f}"


def _texts(frame: pd.DataFrame) -> dict[tuple[str, str, str, str], str]:
    """Figures as text by (regime, label, method, metric)."""
    keys = frame[["regime", "label", "method", "metric"]].itertuples(index=False, name=None)
    numbers = frame[["value", "ci_low", "ci_high", "baseline"]].to_numpy(dtype=float).tolist()
    return {
        key: "—" if np.isnan(value) else f"{with_interval(value, low, high, 3)} · {base:.3f}"
        for key, (value, low, high, base) in zip(keys, numbers, strict=True)
    }


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _reliability(store: Store, split: Split, label: str, method: Method) -> tuple[dict[str, pd.DataFrame], go.Figure]:
    """Each regime's bins, and their figure."""
    c = store.labels.index(label)
    rows, val = store.rows(split), store.rows("val")
    diagrams = {}
    for regime in store.regimes:
        logits = store.logits(regime.name)
        p = fit(method, store.targets[val, c], logits[val, c])(np.asarray(logits[rows, c]))
        diagrams[regime.title] = reliability(store.targets[rows, c], p)
    return diagrams, threshold_figures.reliability_diagram(diagrams, styles.of_regimes(store))
