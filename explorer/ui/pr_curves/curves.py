"""The PR page's first views: every label small, and one label large."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from explorer.analysis.differences import DELONG_FROM
from explorer.analysis.pooled import MICRO
from explorer.analysis.ranking import BINARY_METRICS
from explorer.data.text import in_markdown, plain
from explorer.figures import curves as curve_figures
from explorer.figures.curve_pictures import baseline_mark, key, line_mark, small_curves
from explorer.figures.curves import Curve, CurveAxes
from explorer.tables import curves as curve_tables
from explorer.tables import styles
from explorer.tables.curves import MEANS, SORTS, SmallMultiple, Sort
from explorer.tables.glossary import hint
from explorer.tables.results import mean_of_labels, merits, missing_results, regime_table
from explorer.tables.story import headline
from explorer.ui.components.curve_cards import CurveCard, curve_cards
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

SHOWN: dict[str, str] = {"pr": "PR", "roc": "ROC", "gain": "PR-gain"}
AREAS: dict[str, str] = {
    "pr": "average precision",
    "roc": "AUROC",
    "gain": "the area under the curve (1 is perfect; 0 is what one score for all films reaches)",
}
MOST_POSITIVES = 1000
"""The largest of the least numbers of positives that may be asked for."""
METRICS = {name: metric.short for name, metric in BINARY_METRICS.items() if metric.compared}


def overview(view: View) -> None:
    """Every label's curves, then what each regime gains over another."""
    with view.controls:
        axes = _curve_kind()
        choose.options(_options)
    few = fewest()
    _sheet(view, axes, cast("Sort", address.value("sort")), few, bool(address.value("bands")))
    gains(view, few)


def _options() -> None:
    choose.pick_one("Sort by", list(SORTS), "sort", SORTS, named=True)
    choose_fewest()
    st.toggle("Intervals", **address.control("bands"))


@panel
def gains(view: View, few: int) -> None:
    """What one regime gains over another, label by label."""
    store, split = view.store, view.split
    if len(store.regimes) < 2:
        return
    st.subheader("Differences between regimes")
    with st.container(horizontal=True, gap="medium"):
        metric = choose.pick_one("Metric", list(METRICS), "gain", METRICS)
        pairs = curve_tables.regime_pairs(store)
        titles = {pair: in_markdown(pair) for pair in pairs}
        chosen = choose.pick_one("Regimes", list(pairs), "pair", titles)
    frame, figure = _gains(store, split, metric, chosen, few)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        about = download.About(
            (f"Differences in {METRICS[metric]}", chosen, split),
            download.films(view),
            "Paired: both regimes are scored without each patient in turn; 95% intervals. A filled mark has Holm's p "
            "below 0.05, which allows for all labels tested at once. In brackets the positives; grey has fewer than "
            f"{few}.",
            ("holm's p", "paired difference", "auroc"),
        )
        download.heading(view, about, lambda: [download.panel(figure)], lambda: frame, key="gains")
        download.draw(figure, alt=f"Differences in {METRICS[metric]} with 95% intervals, {chosen}")
    with right:
        show_table(curve_tables.difference_table(frame), hide_index=True, height="content")
    download.caption(about)
    if metric == "auroc":
        st.caption(f"DeLong's p is an independent check, with sums over patients; none under {DELONG_FROM} patients.")


def one_label(view: View) -> None:
    """One label's or pool's counts, curves, figures and differences; counts alone where there are too few positives."""
    store, split = view.store, view.split
    name = choose.label()
    with view.controls:
        axes = _curve_kind()
        choose.options(choose_fewest)
    few = fewest()
    positive, negative, unknown = curve_tables.scored_counts(store, split, name)
    unit = "film-label pairs " if name in (*MEANS, MICRO) else ""
    st.markdown(
        f"**{in_markdown(curve_tables.pool_title(name))}** in {split}: {unit}{positive:,} positive, "
        f"{negative:,} negative, "
        f"{unknown:,} unknown."
    )
    if positive < few or negative == 0:
        st.info(
            f"Fewer than {few} positives: too few to say. No curve is drawn."
            if positive < few
            else "No negatives: nothing to tell positives from. No curve is drawn.",
            icon=":material/hourglass_empty:",
        )
        return
    _label_figures(view, name)
    left, right = st.columns([9, 11], gap="medium")
    with left:
        _label_curve(view, name, axes)
    if len(store.regimes) < 2:
        return
    with right:
        _label_differences(view, name, few)


@panel
def _label_figures(view: View, name: str) -> None:
    show_table(regime_table(view.store, view.split, name), hide_index=True)
    st.caption("Value [95% interval] · trivial baseline. Precision, recall and F1 at thresholds chosen on val.")


@panel
def _label_curve(view: View, name: str, axes: CurveAxes) -> None:
    lines, figure = _large(view.store, view.split, name, axes)
    about = download.About(
        (f"{SHOWN[axes]} curves", curve_tables.pool_title(name), view.split),
        _counts(view, name),
        f"In brackets, {AREAS[axes]}, with its 95% interval; bands are pointwise. "
        f"Marks are thresholds chosen on val. {_baseline(axes)} {_about(view.store, view.split, name)}".strip(),
    )
    download.figure(
        view,
        figure,
        about,
        lambda: curve_tables.curve_frame(lines, axes),
        key="curve",
        zoom=True,
        alt=f"Curves of every regime for {plain(curve_tables.pool_title(name))}",
    )


def _counts(view: View, name: str) -> str:
    """What a label's or a pool's figure counts."""
    positive, negative, unknown = curve_tables.scored_counts(view.store, view.split, name)
    unit = "film-label pairs" if name in (*MEANS, MICRO) else f"{view.split} films"
    total = positive + negative + unknown
    return f"n = {total:,} {unit}: {positive:,} positive, {negative:,} negative, {unknown:,} unknown"


@panel
def _label_differences(view: View, name: str, few: int) -> None:
    show_table(_own_differences(view, name, few), hide_index=True)
    st.caption("Differences are paired. Holm's p allows for all labels tested in this pair and metric.")


def fewest() -> int:
    """The least number of positives for which a figure is shown."""
    return int(address.value("few"))


def choose_fewest() -> None:
    """Its control."""
    st.number_input(
        "Least positives",
        min_value=1,
        max_value=MOST_POSITIVES,
        help="A label with fewer shows its counts and no figure.",
        **address.control("few"),
    )


def _curve_kind() -> CurveAxes:
    return cast("CurveAxes", choose.pick_one("Curve", list(SHOWN), "curve-kind", SHOWN))


def _baseline(axes: CurveAxes) -> str:
    return {
        "pr": "The dashed line is the prevalence, what a random ranking reaches; no ranking can reach into the grey "
        "foot (Boyd 2012).",
        "roc": "The dashed line is a random ranking.",
        "gain": "Precision and recall on a harmonic scale from prevalence to 1 (Flach & Kull 2015); the dashed line "
        "has the F1 of predicting every film positive.",
    }[axes]


def _about(store: Store, split: Split, name: str) -> str:
    if name in MEANS:
        return f"The mean of the labels' curves; each has its own threshold. {mean_of_labels(store, split).note}"
    if name == MICRO:
        return "All pairs ranked by logit: as good as the labels' common scale. Each label has its own threshold."
    return ""


def _own_differences(view: View, name: str, few: int) -> pd.DataFrame:
    rows = []
    for pair, names in curve_tables.regime_pairs(view.store).items():
        for metric, title in METRICS.items():
            frame = curve_tables.pair_differences(view.store, view.split, metric, names, few)
            row = curve_tables.difference_table(frame[frame["label"] == curve_tables.pool_title(name)])
            rows.append(row.drop(columns=["Label", "Positives"], errors="ignore").assign(Metric=title, Regimes=pair))
    table = pd.concat(rows, ignore_index=True)
    return table[["Regimes", "Metric", *[c for c in table if c not in ("Regimes", "Metric")]]].fillna("")


def _key(store: Store) -> str:
    """What the small curves' colours and dashes mean, once for all of them."""
    lines = [
        (line_mark(style), regime.title) for regime, style in zip(store.regimes, styles.of_regimes(store), strict=True)
    ]
    return key([*lines, (baseline_mark(), "baseline")])


@panel
def _sheet(view: View, axes: CurveAxes, by: Sort, few: int, with_bands: bool) -> None:
    store = view.store
    if notice := missing_results(store, view.split):
        st.warning(notice, icon=":material/warning:")
    st.markdown(headline(store, view.split).sentence, help=hint("average precision"))
    every = _small(store, view.split, axes, by, few, with_bands)
    small = [(one, html) for one, html in every if one.curves]
    without = [f"{curve_tables.pool_title(one.name)} ({one.note})" for one, _ in every if not one.curves]
    if not small:
        st.info(f"No label has {few} positives and a negative: no curve is drawn.", icon=":material/hourglass_empty:")
        return
    about = download.About(
        (f"{SHOWN[axes]} curves of every label", view.split),
        download.films(view),
        "Marks are thresholds chosen on val; bands are pointwise 95% intervals from "
        f"resampling patients. {_baseline(axes)} + positive, − negative, ? unknown; unknown never counts as negative. "
        f"Under {few} positives no curve is drawn. Pools come first; a domain of one label is that label. "
        f"{mean_of_labels(store, view.split).note}",
        ("threshold", *(("pr gain",) if axes == "gain" else ())),
    )
    download.heading(
        view,
        about,
        lambda: [
            download.panel(
                curve_figures.small_curves(one.curves, styles.of_regimes(store), axes, one.prevalence),
                curve_tables.pool_title(one.name),
                one.note,
            )
            for one, _ in small
        ],
        lambda: pd.concat(
            [
                curve_tables.curve_frame(one.curves, axes).assign(label=curve_tables.pool_title(one.name))
                for one, _ in small
            ]
        ),
        key="small",
    )
    st.html(_key(store))
    cards = [CurveCard(plain(curve_tables.pool_title(one.name), None), one.note, html) for one, html in small]
    curve_cards(cards, "small", lambda place: address.choose(label=small[place][0].name, view="one"))
    st.caption("Click a label to open it.")
    if without:
        st.markdown(f"Too few positives for a curve: {in_markdown('; '.join(without), None)}.")
    download.caption(about)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _large(store: Store, split: Split, name: str, axes: CurveAxes) -> tuple[list[Curve], go.Figure]:
    """Every regime's curve, and their figure."""
    lines = curve_tables.regime_curves(store, split, name, axes)
    prevalence = curve_tables.prevalence_of(store, merits(store, split), name)
    return lines, curve_figures.large_curves(lines, styles.of_regimes(store), axes, prevalence)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _gains(store: Store, split: Split, metric: str, chosen: str, few: int) -> tuple[pd.DataFrame, go.Figure]:
    """Differences of one pair of regimes, and their figure."""
    pair = curve_tables.regime_pairs(store)[chosen]
    frame = curve_tables.pair_differences(store, split, metric, pair, few)
    colour = styles.of_regime(store, pair[0]).colour
    known = frame[frame["difference"].notna()]
    return frame, curve_figures.difference_dots(known, colour, f"{METRICS[metric]}: {chosen}")


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _small(
    store: Store, split: Split, axes: CurveAxes, by: Sort, few: int, with_bands: bool
) -> list[tuple[SmallMultiple, str]]:
    """Curves and picture of every pool and label."""
    marks = styles.of_regimes(store)
    return [
        (one, small_curves(one.curves, marks, axes, one.prevalence, f"{SHOWN[axes]} curves"))
        for one in curve_tables.small_multiples(store, split, axes, by, few, with_bands=with_bands)
    ]
