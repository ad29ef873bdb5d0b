"""The first page: what the set and its regimes say, in a headline and three strips of sentences and pictures."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from explorer.analysis.evidence import FEW
from explorer.data.images import thumbnail
from explorer.data.text import plain
from explorer.figures import story as pictures
from explorer.figures.curve_pictures import key, mark, small_curves
from explorer.figures.dots import dots
from explorer.figures.maps import POSITIVE
from explorer.figures.style import GREY, number, with_interval
from explorer.store import layout
from explorer.tables import story, styles, subgroups
from explorer.tables.glossary import hint
from explorer.tables.results import (
    METRIC_TITLES,
    mean_of_labels,
    metric_frame,
    metric_summary,
    missing_results,
    regime_table,
)
from explorer.tables.spaces import space_title
from explorer.tables.training import start_of
from explorer.ui import story_downloads
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.parameter import slugs
from explorer.ui.shared.show import SMALL_CURVES, show_table

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

STYLE = f"<style>{Path(__file__).with_suffix('.css').read_text(encoding='utf-8')}{SMALL_CURVES}</style>"
FORWARD: dict[str, Any] = {"icon": ":material/arrow_forward:", "icon_position": "right"}
THUMBNAIL_SIDE = 160
"""Pixels of a thumbnail on a small map: twice what it takes on the screen."""


@panel
def opening(view: View) -> None:
    """How well each regime ranks films, and where to go from here."""
    store, split = view.store, view.split
    st.html(STYLE)
    left, right = st.columns([5, 2], gap="large", vertical_alignment="center")
    with left:
        _headline_panel(view)
    with right, st.container(key="story-calls", gap="small"):
        st.page_link("pages/map.py", label="Open the map", width="stretch", query_params=address.link())
        st.page_link("pages/case.py", label="Look at a film", width="stretch", query_params=address.link())
        st.page_link(
            "pages/pr_curves.py", label="Get a figure", width="stretch", query_params=address.link(view="report")
        )
    if notice := missing_results(store, split):
        st.warning(notice, icon=":material/warning:")
    for regime in store.regimes:
        if store.training(regime.name).get("best_epoch") == 0:
            st.warning(
                f"No epoch of {regime.title} had a lower loss on val than its start, {start_of(store, regime)}, "
                "which was kept in its place: it learnt nothing. Try more epochs, or another learning rate.",
                icon=":material/warning:",
            )


@panel
def _headline_panel(view: View) -> None:
    store = view.store
    headline, picture, marks = _headline(store, view.split)
    st.markdown(
        f"{store.n:,} chest films, {_count(len(store.labels), 'label')}, {_count(len(store.regimes), 'regime')}. "
        f"{headline.sentence}",
        help=hint("average precision"),
    )
    if picture:
        with st.container(gap=None):
            st.html(picture)
            with _foot():
                st.html(marks, width="content")
                story_downloads.headline(view, headline)


@panel
def predicted(view: View) -> None:
    """Labels predicted per film against how many are true, and one film."""
    store = view.store
    labels, counts, film = _predicted(store, view.split)
    with _strip("labels", labels.title):
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(labels.sentence)
            with st.container(key="story-card-counts"):
                st.html(counts)
                regime = (labels.prompted or store.regimes[0]).name
                asked = address.link(view="thresholds", regime=regime, rule="cosine")
                with _foot():
                    st.page_link("pages/pr_curves.py", label="Thresholds", query_params=asked, **FORWARD)
                    story_downloads.predicted(view, labels)
        if labels.film:
            with right:
                st.markdown(labels.film.sentence)
                with st.container(key="story-card-film"):
                    st.html(film)
                    sample_id = str(store.samples["sample_id"].iat[labels.film.row])
                    st.page_link(
                        "pages/case.py", label="This film", query_params=address.link(film=sample_id), **FORWARD
                    )


@panel
def training(view: View) -> None:
    """Small maps of the label that gathers most of those that surely do."""
    store = view.store
    apart, maps = _apart(store, view.split)
    with _strip("maps", apart.title):
        if apart.label is None:
            st.markdown(apart.sentence)
            st.page_link("pages/separability.py", label="Separability", query_params=address.link(), **FORWARD)
            return
        columns = st.columns(2, gap="large")
        for i, (answer, picture) in enumerate(zip(apart.spaces, maps, strict=True)):
            with columns[i]:
                st.markdown(answer.sentence, help=None if i else hint("purity lift", "embedding"))
                with st.container(key=f"story-card-map-{i}"):
                    st.html(picture)
                    asked = address.link(label=_slug(store, apart.label), space="embedding")
                    with _foot():
                        st.page_link("pages/map.py", label="Map", query_params=asked, **FORWARD)
                        story_downloads.small_map(view, apart, answer)


@panel
def same_embedding(view: View) -> None:
    """One label's curves, and the two labels that are confused or overlap."""
    store = view.store
    same, curves, pair, bars = _same(store, view.split)
    if same is None:
        return
    with _strip("curves", same.title):
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(same.sentence)
            with st.container(key="story-card-curves"):
                st.html(curves)
                asked = address.link(view="one", label=_slug(store, same.label))
                with _foot():
                    st.page_link("pages/pr_curves.py", label="PR curves", query_params=asked, **FORWARD)
                    story_downloads.curves(view, same)
        if pair:
            with right:
                st.markdown(pair.sentence)
                with st.container(key="story-card-pair"):
                    st.html(bars)
                    with _foot():
                        _link_to_pair(store, pair)
                        story_downloads.pair(view, pair)


def _foot() -> DeltaGenerator:
    """The row below a card's picture: the page behind it, and the picture's download."""
    return st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")


def _link_to_pair(store: Store, pair: story.LabelPair) -> None:
    if pair.confused:
        place = {"space": "decision", "decision_space": pair.regime.decision_space, "label": _slug(store, pair.one)}
        st.page_link("pages/separability.py", label="Separability", query_params=address.link(**place), **FORWARD)
    else:
        asked = address.link(view="together", regime=pair.regime.name)
        st.page_link("pages/pr_curves.py", label="Labels together", query_params=asked, **FORWARD)


@panel
def gaps(view: View) -> None:
    """The largest gap between groups of films that is beyond chance, in one line."""
    if layout.SUBGROUP_GAPS not in view.store.artefacts:
        return  # a run of an earlier version; Audit says what to do
    sentence = subgroups.gap_sentence(view.store, view.split, subgroups.RANKED)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**For whom it is worse.** {sentence}", width="stretch")
        asked = address.link(audit="subgroups", figure=subgroups.RANKED)
        st.page_link("pages/audit.py", label="Subgroups", query_params=asked, **FORWARD)


@panel
def limits(view: View) -> None:
    """What cannot be concluded, in one line."""
    store, split = view.store, view.split
    same = _same(store, split)[0]
    doubts = (_apart(store, split)[0].doubt, same.doubt if same else "")
    phrases = story.not_concluded(store, split, _headline(store, split)[0], *doubts)
    st.markdown(f"**What cannot be concluded.** {'. '.join(phrases)}.")


def method() -> None:
    """How the sentences are computed."""
    with st.expander("Method"):
        st.markdown(
            "Every sentence is computed from the run that is open. Thresholds come from validation, by largest F1. "
            "The paper's rule predicts a label where the cosine of film and bare label name is above 0; for a trained "
            "regime, where its probability is above 0.5. Predictions count on unknown labels too; a false one is on a "
            "label known to be absent. The film shown is the first whose number of false predictions is the median.\n\n"
            f"Lift is the share of a label among the nearest films of other patients, over its prevalence. A label "
            f"surely gathers where it has {FEW} positives, its adjusted p against shuffled labels is below 0.05, and "
            "its interval lies above theirs; the one with the largest lift is shown. Maps leave out "
            "films whose label is unknown. A line leads from each thumbnail to its film.\n\n"
            "The curves are of the label whose paired gain is largest where Holm's p is below 0.05; without one, of "
            "the most frequent finding. Bands are pointwise. Two labels overlap most where films with both exceed most "
            "what independent labels would give; that interval is Wilson's. All intervals are of 95%."
        )


@panel
def all_figures(view: View) -> None:
    """Every metric of every regime, and one metric label by label; computed only while open."""
    choose.drawer("All metrics", "figures", partial(_all_metrics, view))


def _all_metrics(view: View) -> None:
    store, split = view.store, view.split
    mean = mean_of_labels(store, split)
    show_table(regime_table(store, split, mean.name), hide_index=True)
    st.caption(
        f"{mean.note} Each with its 95% interval from leaving out patients in turn, then its trivial baseline. "
        f"{len(store.rows(split)):,} films. Precision, recall and F1 at thresholds chosen on val."
    )
    metric = choose.metric()
    st.markdown(metric_summary(store, split, metric))
    frame = metric_frame(store, split, metric)
    download.figure(
        view,
        dots(frame, styles.by_title(store), METRIC_TITLES[metric], FEW),
        download.About(
            (METRIC_TITLES[metric], split),
            download.films(view),
            f"In brackets the positives in {split}. Whiskers are 95% intervals, the grey tick is the trivial "
            f"baseline; grey marks have fewer than {FEW} positives.",
        ),
        lambda: frame,
        key="dots",
        alt=f"{METRIC_TITLES[metric]} of each label and regime with 95% intervals and baselines",
    )


# --- the pictures ----------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _headline(store: Store, split: Split) -> tuple[story.Headline, str, str]:
    headline = story.headline(store, split)
    lines = [
        pictures.Row(regime.title, styles.of_regime(store, regime.name), str(merit), merit.value, merit.low, merit.high)
        for regime, merit in headline.means
    ]
    if not lines:
        return headline, "", ""
    baseline = headline.means[0][1].baseline
    picture = pictures.rows(lines, 1.0, baseline, "Mean average precision of each regime, with 95% intervals")
    return headline, picture, key([(pictures.tick(), f"random ranking {number(baseline)}")])


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _predicted(store: Store, split: Split) -> tuple[story.PredictedLabels, str, str]:
    labels = story.predicted_labels(store, split)
    lines, before = [], None
    for one in labels.predicted:
        name = one.regime.title if one.regime != before else ""
        text, before = with_interval(*one.per_film), one.regime
        style = styles.of_regime(store, one.regime.name)
        lines.append(pictures.Row(name, style, text, *one.per_film, filled=not one.paper))
    alt = "Labels predicted per film, by regime and rule"
    counts = pictures.rows(lines, float(len(store.labels)), labels.true[0], alt)
    first = styles.of_regime(store, (labels.prompted or store.regimes[0]).name)
    entries = [(pictures.tick(), f"true {with_interval(*labels.true)}"), (mark(first), "val thresholds")]
    if any(one.paper for one in labels.predicted):
        rule = "cosine" if labels.by_cosine else "logit"
        entries.append((mark(first, filled=False), f"paper's rule: {rule} > 0"))
    if labels.unknown:
        entries.append(("", f"unknown {number(labels.unknown)}"))
    entries.append(("", f"{labels.n:,} films"))
    film = ""
    if labels.film:
        wrong = labels.film
        colour = styles.of_regime(store, wrong.regime.name).colour
        jpeg = store.thumbnail(wrong.row) if store.has_films else None
        film = pictures.film(jpeg, wrong.true, wrong.false, wrong.missed, colour)
    return labels, counts + key(entries), film


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _apart(store: Store, split: Split) -> tuple[story.PulledApart, tuple[str, ...]]:
    apart = story.pulled_apart(store, split)
    if apart.label is None:
        return apart, ()
    targets = store.targets[:, store.labels.index(apart.label)]
    rows = store.rows(split)
    rows = rows[~np.isnan(targets[rows])]
    has = targets[rows] == 1
    chosen = story.core_films(store.map(apart.spaces[-1].space.name), rows[has])
    shown = [(int(np.searchsorted(rows, row)), _thumbnail(store, row)) for row in chosen if store.has_films]
    maps = []
    for answer in apart.spaces:
        lift = answer.lift
        alt = f"Map of {space_title(store, answer.space)}: {apart.label}"
        picture = pictures.small_map(np.asarray(store.map(answer.space.name))[rows], has, shown, alt)
        positive, negative = apart.counts
        entries = [
            (pictures.dot(POSITIVE), f"{plain(apart.label)} {positive:,}"),
            (pictures.dot(GREY), f"without {negative:,}"),
            ("", f"lift {lift}"),
            ("", f"shuffled {number(lift.baseline)}"),
        ]
        maps.append(picture + key(entries))
    return apart, tuple(maps)


def _thumbnail(store: Store, row: int) -> bytes:
    with Image.open(io.BytesIO(store.thumbnail(row))) as picture:
        return thumbnail(picture, THUMBNAIL_SIDE)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _same(store: Store, split: Split) -> tuple[story.SameEmbedding | None, str, story.LabelPair | None, str]:
    same = story.same_embedding(store, split)
    if same is None:
        return None, "", None, ""
    curves = small_curves(same.curves, styles.of_regimes(store), "pr", same.prevalence, f"PR curves: {same.label}")
    positive, negative, _ = same.counts
    entries = [(mark(styles.of_regime(store, regime.name)), f"{regime.title} {merit}") for regime, merit in same.scores]
    entries += [(pictures.tick(), f"prevalence {number(same.prevalence)}")]
    entries += [("", f"{positive:,} of {positive + negative:,} films"), ("", same.gain)]
    curves += key([entry for entry in entries if entry[1]])
    pair = story.label_pair(store, split, same.fitted or store.regimes[-1])
    if pair is None:
        return same, curves, None, ""
    alt = f"Films with {pair.one}, with {pair.other} and with both"
    bars = pictures.overlap([("true", *pair.true), ("predicted", *pair.predicted)], alt) + key(
        [
            (pictures.dot(GREY), f"{plain(pair.one)} alone"),
            (pictures.dot(POSITIVE), "both"),
            (pictures.dot(f"{GREY}80"), f"{plain(pair.other)} alone"),
            ("", pair.evidence),
        ]
    )
    return same, curves, pair, bars


# --- helpers ---------------------------------------------------------------------------------------------------------


def _strip(key: str, title: str) -> DeltaGenerator:
    strip = st.container(border=True, key=f"story-strip-{key}")
    strip.subheader(title)
    return strip


def _slug(store: Store, label: str) -> str:
    """A label's machine name in addresses."""
    return next(slug for slug, name in slugs(store.labels).items() if name == label)


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"
