"""The separability page's panels: how far each label stands apart in the full space of every regime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis.evidence import FEW
from explorer.analysis.separability import NEIGHBOURS
from explorer.data.text import in_markdown, on_axis
from explorer.figures import separability as figures
from explorer.figures.style import number, with_interval
from explorer.tables.glossary import hint
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.separability import (
    LEVEL,
    MEASURES,
    class_table,
    columns,
    confused_with,
    confusion_cells,
    confusion_frame,
    heatmap_cells,
    likeness_table,
    measure_sentence,
    measure_sentences,
    measure_table,
    whisker_frame,
)
from explorer.tables.spaces import distinct_spaces
from explorer.ui.maps.signs import gaps
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from explorer.data.samples import Split
    from explorer.store.manifest import SpaceKind
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

HEADINGS = {"embedding": "Embedding", "decision": "Logits"}


@dataclass(frozen=True)
class MeasureChoice:
    """The measure shown, its kind of space, and the label framed."""

    measure: str
    kind: SpaceKind
    label: str


def choose_part(view: View) -> str:
    """One of ``PARTS``."""
    return choose.part(view, "Part", "part", {key: title for key, (title, _) in PARTS.items()})


def measures(view: View) -> None:
    """One measure of every label in every space."""
    titles = {name: measure.title for name, measure in MEASURES.items()}
    with view.controls:
        measure = choose.pick_one("Measure", list(titles), "measure", titles)
        kind = choose.space_kind()
    choice = MeasureChoice(measure, kind, choose.label())
    measure_answer(view, choice)
    measure_heatmap(view, choice)
    measure_intervals(view, choice)
    measure_details(view, choice)


def confusions(view: View) -> None:
    """Which labels' films lie among another's."""
    with view.controls:
        kind = choose.space_kind()
        spaces = {column.space: in_markdown(column.title) for column in columns(view.store, kind)}
        space = choose.pick_one("In the space of", list(spaces), f"{kind}_space", spaces)
    confusable_labels(view, space, choose.label())


def spaces(view: View) -> None:
    """How the spaces differ, the paper's distances, and where the text lies."""
    space_similarity(view)
    class_distances(view)
    modality_gaps(view)


PARTS: dict[str, tuple[str, Callable[[View], None]]] = {
    "measures": ("Measures", measures),
    "confused": ("Confused labels", confusions),
    "spaces": ("Spaces", spaces),
}


@panel
def measure_answer(view: View, choice: MeasureChoice) -> None:
    """Which labels separate, in one sentence."""
    st.markdown(measure_sentence(view.store, view.split, choice.kind, choice.measure))


@panel
def measure_details(view: View, choice: MeasureChoice) -> None:
    """What the measure says of each label, and how it is made; in a drawer."""
    choose.drawer("Label by label, and how it is measured", "details", partial(_details, view, choice))


def _details(view: View, choice: MeasureChoice) -> None:
    store, split = view.store, view.split
    st.markdown("\n".join(f"- {line}" for line in measure_sentences(store, split, choice.kind, choice.measure)))
    shared = [titles for _, titles in distinct_spaces(store, "embedding") if len(titles) > 1]
    same = f" {' and '.join(shared[0])} share the frozen encoder: one embedding, one column." if shared else ""
    st.caption(
        f"In the {'embeddings' if choice.kind == 'embedding' else 'logits'}, measured in the full space, never on a "
        f"map, and among the {split} films alone: neighbours, folds and distances. Train films would look separated "
        f"because regimes were fitted on them. Separates: p below {LEVEL:g} against labels shuffled by patient "
        "(adjusted over labels, Benjamini–Hochberg) and the whole interval above their mean. In brackets: 95% interval "
        f"from resampling patients.{same}"
    )
    st.markdown("\n".join(f"- **{measure.title}.** {measure.meaning}" for measure in MEASURES.values()))


@panel
def measure_heatmap(view: View, choice: MeasureChoice) -> None:
    """The heatmap of every label and space, and links to other pages."""
    store, split = view.store, view.split
    download.figure(
        view,
        _board(store, split, choice.measure, choice.label),
        download.About(
            (f"{MEASURES[choice.measure].title} of every label in every space", split),
            download.films(view),
            "Filled: differs from shuffled labels; darker is further apart. Grey, unfilled: does not differ. "
            f"(In brackets): fewer than {FEW} positives. In brackets after a label: its positives. Framed: the "
            "chosen label.",
            ("shuffled labels", "adjusted p", *(("purity lift",) if choice.measure == "lift" else ())),
        ),
        lambda: measure_table(store, split, choice.measure),
        key="board",
        alt=f"{MEASURES[choice.measure].title} by label and space",
    )
    with st.container(horizontal=True, gap="medium"):
        st.markdown(f"**{in_markdown(choice.label)}**")
        st.page_link("pages/map.py", label="on the map", query_params=address.link())
        st.page_link("pages/pr_curves.py", label="PR curves", query_params=address.link(view="one"))


@panel
def measure_intervals(view: View, choice: MeasureChoice) -> None:
    """Every label's figure with its interval beside what shuffled labels reach."""
    store, split = view.store, view.split
    measure = MEASURES[choice.measure]
    download.figure(
        view,
        _whiskers(store, split, choice.kind, choice.measure),
        download.About(
            (f"How sure: {measure.title}", HEADINGS[choice.kind].lower(), split),
            download.films(view),
            "Whiskers: 95% intervals. Grey bar: where 95% of shuffles fall; tick: their mean. Grey marks: fewer than "
            f"{FEW} positives." + (" Below a quarter is drawn at the edge." if measure.ratio else ""),
        ),
        lambda: whisker_frame(store, split, choice.kind, choice.measure),
        key="whiskers",
        alt=f"{measure.title} of each label with 95% intervals",
    )
    choose.drawer("All figures in a table", "table", partial(_table, view, choice))


def _table(view: View, choice: MeasureChoice) -> None:
    show_table(
        measure_table(view.store, view.split, choice.measure),
        hide_index=True,
        column_config={p: st.column_config.NumberColumn(format="%.3f") for p in ("p", "p adjusted")},
    )


@panel
def confusable_labels(view: View, space: str, label: str) -> None:
    """Which labels' films lie among another's, in one space."""
    store, split = view.store, view.split
    labels, cells, low, pairs = confusion_cells(store, split, space)
    st.markdown(confused_with(store, split, space, label))
    if not pairs:
        return
    download.figure(
        view,
        figures.confusion_heatmap(labels, cells),
        download.About(
            ("Times more than by chance among the neighbours", store.space(space).title, split),
            download.films(view),
            "For films with the row's label and not the column's, among their "
            f"{NEIGHBOURS} nearest films of other patients: how many times more than by "
            "chance have the column's label alone. Films with both take no "
            f"part: occurring together is not confusion. Figures: p below {LEVEL:g} against shuffled labels ({low} "
            f"of {pairs} pairs; chance alone gives about {pairs * LEVEL:.0f}); *: also when adjusted over all pairs "
            f"(Benjamini–Hochberg). Dots: no difference from them. Blank and left out: fewer than {FEW} such films.",
        ),
        lambda: confusion_frame(store, split, space),
        key="confusions",
        alt="How often films with one label stand among films with another",
    )


@panel
def space_similarity(view: View) -> None:
    """How alike the spaces are."""
    st.subheader("How alike the spaces are", help=hint("cka"))
    show_table(likeness_table(view.store, view.split), hide_index=True, height="content")
    st.caption(
        "CKA: 1 for spaces that place films alike up to rotation and scale, 0 for unrelated ones. Debiased (Kornblith "
        f"et al., ICML 2019), interval by leaving out patients. Neighbours shared: of a film's {NEIGHBOURS} nearest "
        "of other patients in one space, the share that are also nearest in the other."
    )


@panel
def class_distances(view: View) -> None:
    """The paper's distances."""
    st.subheader("The paper's class distances")
    frame, n = class_table(view.store, view.split)
    show_table(frame, hide_index=True, height="content")
    st.caption(
        f"As Sadman et al. (BIOKDD 2025) computed them: a film's class is its first positive label, distances are "
        f"Euclidean ({n:,} films have a class). Inter: mean distance between class centroids. Intra: mean over classes "
        "of a film's distance to its centroid. Davies–Bouldin (1979): mean over classes of the worst ratio of two "
        "classes' spread to their distance. Value [95% interval] · mean under shuffled labels. Small classes lie far "
        "from each other by chance alone: compare with the last figure, not with 0. Here of unit-norm vectors, so not "
        "on the paper's scale."
    )


@panel
def modality_gaps(view: View) -> None:
    """How far the text of every prompt set lies from the films."""
    store = view.store
    if store.text_space is None:
        return
    st.subheader("Prompts and films", help=hint("modality gap"))
    by_prompt_set = gaps(store, view.split)
    frame = pd.DataFrame(
        {
            "Prompt set": [one.title for one in by_prompt_set],
            "Modality gap [95% interval]": [with_interval(*one.apart) for one in by_prompt_set],
            "halves of the films": [number(one.halves) for one in by_prompt_set],
            "Cosine to the nearest film": [number(one.nearest) for one in by_prompt_set],
            "Labels": [one.prompts for one in by_prompt_set],
        }
    )
    show_table(frame, hide_index=True, height="content")
    st.caption(
        f"Modality gap: distance between the mean of the {view.split} films and that of the set's positive prompts, in "
        "the frozen encoder. From 0 to 2 (Liang et al., NeurIPS 2022). Beside it is what two random halves of the "
        "films give. Text lies apart from all films: a prompt tells labels apart by direction, not by being near."
    )


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _board(store: Store, split: Split, measure: str, label: str) -> go.Figure:
    labels, spaces = by_prevalence(store, split), columns(store)
    rows = [f"{on_axis(name)} ({label_counts(store, split, name)[0]:,})" for name in labels]
    headings = [(title, sum(column.kind == kind for column in spaces)) for kind, title in HEADINGS.items()]
    lines = [column.lines for column in spaces]
    return figures.board(rows, lines, headings, heatmap_cells(store, split, measure), labels.index(label))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _whiskers(store: Store, split: Split, kind: SpaceKind, measure: str) -> go.Figure:
    styles = {column.title: column.style for column in columns(store, kind)}
    frame, shown = whisker_frame(store, split, kind, measure), MEASURES[measure]
    return figures.whiskers(frame, styles, shown.title, FEW, log=shown.ratio)
