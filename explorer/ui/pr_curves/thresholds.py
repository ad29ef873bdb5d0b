"""The thresholds view: move a threshold and see which predictions change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.curves import pr_curve
from explorer.analysis.evidence import FEW
from explorer.analysis.operating import Estimate, at_threshold, outcome_cells
from explorer.data.reports import sentence_about
from explorer.data.text import in_markdown
from explorer.figures import curves as curve_figures
from explorer.figures import thresholds as threshold_figures
from explorer.figures.curves import Curve
from explorer.figures.maps import POSITIVE
from explorer.figures.style import GREY, number, with_interval
from explorer.tables import curves as curve_tables
from explorer.tables import styles
from explorer.tables.labels import label_counts
from explorer.tables.thresholds import (
    BY_HAND,
    PRESETS,
    RULE_TITLES,
    WITH_LEVEL,
    OperatingPoint,
    RuleChoice,
    operating_point,
    rule_text,
)
from explorer.ui.pr_curves.net_benefit import decision_curves
from explorer.ui.shared import address, choose, download, selection
from explorer.ui.shared.filter import narrowed
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.gallery import gallery
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from explorer.store.manifest import RegimeRecord
    from explorer.ui.shared.frame import View

FIGURES = {
    "recall": "Recall",
    "specificity": "Specificity",
    "precision": "Precision",
    "npv": "NPV",
    "f1": "F1",
    "mcc": "MCC",
}
COLOURS = (POSITIVE, GREY)
CELLS = ("tp", "fn", "fp", "tn", "gained", "lost", "up", "down")
"""Positive and negative films."""


@dataclass(frozen=True)
class Point:
    """What is looked at: a label and a rule in every regime, one regime in front."""

    label: str
    choice: RuleChoice
    regime: RegimeRecord
    by_regime: dict[str, OperatingPoint]


def thresholds(view: View) -> None:
    """All that depends on a threshold; redrawn alone when the threshold moves."""
    label = choose.label()
    with view.controls:
        regime = choose.regime(view)
    _turned(view, label, regime)
    decision_curves(view, label)


@st.fragment
def _turned(view: View, label: str, regime: RegimeRecord) -> None:
    with errors_shown():
        point = _ask(view, label, regime)
        left, right = st.columns([6, 5], gap="large")
        with left:
            _scores(view, point)
        with right:
            shown = _cells(view, point)
        _table(view, point)
        _gallery(view, point, shown)
        _labels_a_film(view, point)


def _ask(view: View, label: str, regime: RegimeRecord) -> Point:
    store, rows = view.store, view.store.rows(view.split)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=280):
            st.selectbox("Threshold", list(RULE_TITLES), format_func=RULE_TITLES.__getitem__, **address.control("rule"))
        rule = str(address.value("rule"))
        level, one_for_all = np.nan, False
        if rule in WITH_LEVEL:
            level = st.slider("At least", 0.05, 1.0, step=0.05, width=220, **address.control("level"))
        elif rule == "typed":
            with st.container(width=160):
                level = float(st.number_input("Logit", -1e6, 1e6, step=0.1, **address.control("cut")))
        elif rule == "share":
            percent = st.slider(
                "Films predicted positive, %",
                0.0,
                100.0,
                step=0.5,
                format="%.1f",
                width=320,
                **address.control("share"),
            )
            level = percent / 100
        if rule not in (*PRESETS, *BY_HAND):
            one_for_all = st.toggle(
                "One for all labels",
                help="A single threshold, chosen on all film-label pairs of val pooled.",
                **address.control("one-cut"),
            )
    choice = RuleChoice(rule, level, one_for_all, label)
    by_regime = {r.name: operating_point(store, r.name, choice, rows) for r in store.regimes}
    return Point(label, choice, regime, by_regime)


@panel
def _scores(view: View, point: Point) -> None:
    """Where the threshold parts positive films from negative ones, and where it lies on the curve."""
    store, c = view.store, view.store.labels.index(point.label)
    rows, operating = store.rows(view.split), point.by_regime[point.regime.name]
    scores, targets = operating.scores[rows, c], store.targets[rows, c]
    figure = threshold_figures.score_histogram(scores, targets, float(operating.thresholds[c]), operating.unit, COLOURS)
    cut = operating.thresholds[c]
    where = "val could not decide: no film is predicted positive" if np.isnan(cut) else f"at {number(cut)}"
    about = download.About(
        ("Scores and their threshold", point.label, point.regime.title, view.split),
        download.label_films(view, point.label),
        f"{point.regime.title}, {rule_text(point.choice, point.regime)}: {where} (line). Positive films above, "
        "negative ones below, each as a share of its own; beside them the threshold on the regime's curve.",
    )
    curve = _on_the_curve(view, point, targets, scores)
    films = pd.DataFrame({"sample_id": store.samples["sample_id"].to_numpy()[rows], "label": targets, "score": scores})
    download.heading(view, about, lambda: [download.panel(figure), download.panel(curve)], lambda: films, key="scores")
    wide, narrow = st.columns([5, 4], gap="small")
    with wide:
        download.draw_to_zoom(figure, key="scores", alt="Scores of films by their label")
    with narrow:
        download.draw_to_zoom(curve, key="on-the-curve", alt="The threshold on the precision-recall curve")
    download.caption(about)


def _on_the_curve(view: View, point: Point, targets: NDArray[np.float32], scores: NDArray[np.float32]) -> go.Figure:
    """The chosen regime's curve, with a mark at the threshold."""
    store, c = view.store, view.store.labels.index(point.label)
    rows = store.rows(view.split)
    positive, negative, _ = label_counts(store, view.split, point.label)
    calls = point.by_regime[point.regime.name].predicted(rows)[:, c]
    hits, predicted = int((calls & (targets == 1)).sum()), int((calls & ~np.isnan(targets)).sum())
    at = (hits / positive if positive else np.nan, hits / predicted if predicted else np.nan)
    line = curve_tables.corners(pr_curve(targets, scores), "pr")
    curve = Curve(point.regime.title, line[0], line[1], None, at)
    lines = [(curve, styles.of_regime(store, point.regime.name))] if positive >= FEW and negative else []
    prevalence = positive / max(positive + negative, 1)
    return curve_figures.small_curves([c for c, _ in lines], [style for _, style in lines], "pr", prevalence)


def _cells(view: View, point: Point) -> str:
    """The confusion matrix and the changed predictions as buttons; returns the chosen cell, kept in the address."""
    members = _members(view, point)
    chosen = str(address.value("cell"))
    first, last = view.store.regimes[0].title, view.store.regimes[-1].title
    grid = (
        (f"{point.regime.title}: predicted positive / negative", ("tp", "fn"), ("True positives", "Missed")),
        ("", ("fp", "tn"), ("False alarms", "True negatives")),
        (
            f"{first} against {last}",
            ("gained", "lost"),
            (f"Only {last} right", f"Only {first} right"),
        ),
        ("Against max F1 on val", ("up", "down"), ("Newly positive", "No longer positive")),
    )
    for title, names, captions in grid:
        if title:
            st.caption(title)
        with st.container(horizontal=True, gap="small"):
            for name, what in zip(names, captions, strict=True):
                st.button(
                    f"{what}: **{len(members[name]):,}**",
                    key=f"cell-{name}",
                    type="primary" if name == chosen else "secondary",
                    width="stretch",
                    on_click=partial(address.choose, cell=name),
                )
    unknown = int(np.isnan(view.store.targets[view.store.rows(view.split), view.store.labels.index(point.label)]).sum())
    st.caption(
        f"{unknown:,} films where {in_markdown(point.label)} is unknown are in no cell. Click one to see its "
        "films below."
    )
    return chosen


def _members(view: View, point: Point) -> dict[str, NDArray[np.int64]]:
    """Rows of every cell."""
    store, c = view.store, view.store.labels.index(point.label)
    rows, mine = store.rows(view.split), point.by_regime[point.regime.name]
    targets = store.targets[rows, c]
    calls = {name: operating.predicted(rows)[:, c] for name, operating in point.by_regime.items()}
    kinds = outcome_cells(targets, calls[point.regime.name])
    truth, known = targets == 1, ~np.isnan(targets)
    first, last = (calls[store.regimes[i].name] == truth for i in (0, -1))
    # the paper's zero-shot scores other prompts than the run's own: the stored threshold is in the run's own logits
    before = np.asarray(store.logits(point.regime.name)[rows, c] >= store.threshold_array(point.regime.name)[c])
    now = mine.predicted(rows)[:, c]
    masks = dict(zip(("tp", "fp", "fn", "tn"), kinds.T, strict=True))
    masks |= {"gained": known & ~first & last, "lost": known & first & ~last}
    masks |= {"up": known & now & ~before, "down": known & before & ~now}
    return {name: rows[mask] for name, mask in masks.items()}


@panel
def _table(view: View, point: Point) -> None:
    """Every regime's figures at the threshold."""
    store, c = view.store, view.store.labels.index(point.label)
    rows = store.rows(view.split)
    lines = []
    for regime in store.regimes:
        operating = point.by_regime[regime.name]
        calls = operating.predicted(rows)[:, c]
        figures = at_threshold(store.targets[rows, c], calls, store.patients[rows], seed=store.manifest.seed)
        cut = operating.thresholds[c]
        line = {
            "Regime": regime.title,
            "Threshold": "none" if np.isnan(cut) else number(cut),
            "Predicted positive": f"{int(calls.sum()):,}",
        }
        lines.append(line | {title: _figure_text(figures[name]) for name, title in FIGURES.items()})
    positive, negative, _ = label_counts(store, view.split, point.label)
    figure_title("Every regime at the threshold", point.label, view.split)
    show_table(pd.DataFrame(lines), hide_index=True, height="content")
    few = f" Fewer than {FEW} positives: too few to say." if positive < FEW else ""
    st.caption(
        f"{view.split}: {positive:,} positive, {negative:,} negative. Value [95% interval] · what random predictions "
        "at that rate reach. Wilson's interval for shares of films; resampled patients for F1 and MCC." + few
    )


def _figure_text(figure: Estimate) -> str:
    text = with_interval(figure.value, figure.low, figure.high)
    return text if np.isnan(figure.value) else f"{text} · {figure.baseline:.2f}"


@panel
def _gallery(view: View, point: Point, shown: str) -> None:
    """The films of a cell, the most confident first, with their reports and every regime's scores."""
    store, c = view.store, view.store.labels.index(point.label)
    rows = _members(view, point)[shown]
    names = {
        "tp": "true positives",
        "fp": "false alarms",
        "fn": "missed",
        "tn": "true negatives",
        "gained": f"only {store.regimes[-1].title} right",
        "lost": f"only {store.regimes[0].title} right",
        "up": "newly predicted positive",
        "down": "no longer predicted positive",
    }
    st.subheader(f"{in_markdown(point.label)}: {names[shown]}")
    every = len(rows)
    rows = narrowed(store, rows)
    if len(rows) < every:
        st.caption(f"The filter leaves {len(rows):,} of {every:,} films.")
    if not len(rows):
        st.caption("No film.")
        return
    mine = point.by_regime[point.regime.name]
    margin = mine.scores[rows, c] - mine.thresholds[c]
    rows = rows[np.argsort(-np.abs(np.nan_to_num(margin)), kind="stable")]
    selection.actions(view, rows, f"{point.label}, {names[shown]}, {point.regime.title}", "cell")

    def describe(row: int) -> str:
        scores = []
        for regime in store.regimes:
            operating = point.by_regime[regime.name]
            score, cut = operating.scores[row, c], operating.thresholds[c]
            predicted = score > cut if operating.strict else score >= cut
            scores.append(f"{regime.title} {number(score)}{' ●' if predicted else ''}")
        report = str(store.samples["report"].iat[row] or "")
        return f"{in_markdown(sentence_about(report, point.label), 300)}  \n" + "  \n".join(scores)

    gallery(store, [int(row) for row in rows], point.label, point.regime, "cell", describe)
    st.caption(f"Furthest from {point.regime.title}'s threshold first. ● is predicted positive.")


@panel
def _labels_a_film(view: View, point: Point) -> None:
    """How many labels the rule predicts per film, against how many there are."""
    store, rows = view.store, view.store.rows(view.split)
    true = (store.targets[rows] == 1).sum(axis=1)
    predicted = {regime.title: point.by_regime[regime.name].predicted(rows).sum(axis=1) for regime in store.regimes}
    hand = " Only the chosen label is set by hand; the others keep max F1." if point.choice.rule in BY_HAND else ""
    download.figure(
        view,
        threshold_figures.labels_per_film(true, predicted, styles.of_regimes(store)),
        download.About(
            ("Labels predicted per film", RULE_TITLES[point.choice.rule], view.split),
            download.films(view),
            f"All {len(store.labels)} labels by this rule, over {len(rows):,} {view.split} films.{hand}",
        ),
        lambda: pd.DataFrame({"sample_id": store.samples["sample_id"].to_numpy()[rows], "true": true, **predicted}),
        key="labels-a-film",
        zoom=True,
        alt="Labels predicted per film in every regime, and true labels",
    )
    st.caption("Switch to the paper's presets to see over-prediction come and go with the threshold.")
