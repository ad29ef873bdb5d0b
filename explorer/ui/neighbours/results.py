"""The neighbours page's search: what is asked for, and what lies nearest to it in each regime's space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.hubness_agreement import hubs
from explorer.analysis.neighbours import search
from explorer.analysis.outliers import DEFAULT, DISTANCES, OUTLYING
from explorer.data.text import in_markdown, whole
from explorer.figures.case import margins
from explorer.figures.dots import dots
from explorer.figures.style import number
from explorer.tables import styles
from explorer.tables.film import score_frame
from explorer.tables.glossary import hint
from explorer.tables.labels import findings_text, positive_labels
from explorer.tables.spaces import distinct_spaces, label_agreement, space_title
from explorer.ui.components.viewer import Film, Pane, film_or_thumbnail, uploaded_film, viewer
from explorer.ui.maps import signs
from explorer.ui.neighbours import explain
from explorer.ui.neighbours.query import Query, choose_query
from explorer.ui.shared import address, cache, download, selection
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.show import show_film

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from explorer.store.manifest import SpaceRecord
    from explorer.store.reader import Store
    from explorer.ui.models.inference import Upload
    from explorer.ui.shared.frame import View


REPORT = 400
"""Characters of a report in the hint at its film."""
SENTENCE = 90
TILE = 150


@dataclass(frozen=True)
class Neighbours:
    """The films nearest to a query in one space.

    Attributes
    ----------
    regimes : list of str
        Titles of the regimes that share the space.
    rows, similarities : (k,)
        By falling cosine similarity.
    """

    space: SpaceRecord
    title: str
    regimes: list[str]
    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]


def search_view(view: View) -> None:
    """Ask, search, show."""
    query = choose_query(view)
    if query is None:
        return
    if query.barred.all():
        st.info(f"No film is left to search. {query.left_out}", icon=":material/search_off:")
        return
    neighbours = neighbours_by_space(view.store, query)
    if neighbours:
        query_summary(view, query, neighbours)
        side_by_side(view, query, neighbours)
    explain.explain_result(view, query)


def neighbours_by_space(store: Store, query: Query) -> list[Neighbours]:
    """The nearest films in each distinct space that the query has a direction in and whose index can be read."""
    neighbours = []
    for space, titles in distinct_spaces(store, query.kind):
        if space.name in query.vectors:
            with errors_shown():
                index = cache.index(store, space.name)
                neighbours.append(
                    Neighbours(
                        space,
                        space_title(store, space),
                        titles,
                        *search(index, query.vectors[space.name], query.k, query.barred),
                    )
                )
    return neighbours


@panel
def query_summary(view: View, query: Query, neighbours: list[Neighbours]) -> None:
    """What was asked for, and whether its neighbours share its labels."""
    if film := _film(view.store, query):
        picture, words, chart = st.columns([4, 5, 11], gap="medium")
        with picture:
            viewer([Pane(film)], compact=True)
    else:
        words, chart = st.columns([9, 11], gap="medium")
    with words:
        _about(view.store, query)
    with chart:
        if query.upload:
            _upload_scores(view, query.upload, query.known)
        else:
            _label_agreement(view, query, neighbours)
    if query.left_out:
        st.caption(query.left_out)
    if query.way == "words":
        st.caption(signs.gap_sentence(view.store, view.split))


def _film(store: Store, query: Query) -> Film | None:
    """The film asked about, where there is one to show."""
    if query.row is not None:
        return film_or_thumbnail(store, query.row)[0] if store.has_films else None
    if query.upload is not None:
        return uploaded_film(query.upload.name, query.upload.jpeg, query.upload.size)
    return None


@panel
def _about(store: Store, query: Query) -> None:
    if query.row is None:
        name = in_markdown(query.name, 300)
        st.markdown(f"**{name}**" if query.upload else f"> {name}")
        if query.upload:
            _outlying(query.upload.outlying)
        return
    sample = store.samples.iloc[query.row]
    st.markdown(
        f"**{in_markdown(query.name)}**  \n{sample['split']} · patient {in_markdown(sample['patient_id'])}",
        help="  \n".join(text for text in (whole(query.name), in_markdown(sample["report"], REPORT)) if text) or None,
    )
    st.markdown(_badges(positive_labels(store, query.row)) or findings_text(store, query.row))
    with st.container(horizontal=True, gap="small"):
        link("pages/case.py", "Case", query.name)
        link("pages/grad_cam.py", "Grad-CAM", query.name)
        link("pages/map.py", "Map", query.name)


def _outlying(percentiles: NDArray[np.float64] | None) -> None:
    """How far an upload lies from the films the regimes were trained on."""
    if percentiles is None:
        st.caption("This run holds no training cloud to hold the film against: an earlier version made it.")
        return
    percentile = dict(zip(DISTANCES, percentiles.tolist(), strict=True))
    distance_text = (
        f"Farther from the training films than {percentile['mahalanobis']:.0f}% of films like them by Mahalanobis "
        f"distance, {percentile['knn']:.0f}% by the 10th neighbour, in the frozen encoder."
    )
    if percentile[DEFAULT] >= OUTLYING:
        st.warning(
            f"{distance_text} By the Mahalanobis distance it is unlike what the regimes were fitted on: neither scores "
            "nor neighbours can be trusted.",
            icon=":material/warning:",
        )
    else:
        st.caption(distance_text)


@panel
def _upload_scores(view: View, upload: Upload, known: NDArray[np.float32]) -> None:
    store = view.store
    frame = score_frame(store, upload.logits(store), known, store.rows(view.split))
    download.figure(
        view,
        margins(frame, styles.by_title(store)),
        download.About(
            ("Scores of your film against thresholds", view.split),
            f"1 film beside {len(store.rows(view.split)):,} {view.split} films",
            f"Right of the line is predicted positive at the threshold chosen on val; spread of {view.split}.",
        ),
        lambda: frame,
        key="upload-margins",
        alt="Each regime's scores of the uploaded film",
    )
    st.button(
        "Grad-CAM of your film",
        icon=":material/center_focus_strong:",
        on_click=explain.open_explanation,
        args=(explain.OWN,),
        help="Made in memory, for this session alone.",
    )


def side_by_side(view: View, query: Query, neighbours: list[Neighbours]) -> None:
    """The neighbours in each space; regimes that have one space share its column."""
    shared = [
        f"{' and '.join(one.regimes)} share the frozen encoder, so their neighbours are the same. "
        for one in neighbours
        if len(one.regimes) > 1
    ]
    signs_text = "✓ shared label, − asked for and not there, + the neighbour's own, ? unknown there.  \n"
    known = signs_text if not np.isnan(query.known).all() else ""
    st.caption(f"{''.join(shared)}By falling cosine similarity.", help=known + hint("hub"))
    for column, one in zip(st.columns(len(neighbours), gap="medium"), neighbours, strict=True):
        with column:
            st.subheader(one.title, anchor=False)
            _one_space(view, query, one)


@panel
def _one_space(view: View, query: Query, one: Neighbours) -> None:
    store = view.store
    if query.way == "words" and store.text_space != one.space.name:
        st.caption("The text tower was not trained on with this encoder: words and films have drifted apart.")
    if not len(one.rows):
        st.caption("Nothing is left to show.")
        return
    hub_counts = _hub_counts(store, one.space.name)
    scored = _scores(store, one.rows, query.label, one.regimes)
    with st.container(horizontal=True, gap="small"):
        for row, similarity, scores in zip(one.rows.tolist(), one.similarities.tolist(), scored, strict=True):
            _neighbour(store, query, row, similarity, scores, hub_counts, key=f"{one.regimes[0]}-{row}")
    selection.actions(view, one.rows, f"near {query.name}"[:60], key=f"near-{one.space.name}")


def _hub_counts(store: Store, space: str) -> dict[int, int]:
    """Hubs of a space: their rows, and in how many neighbour lists they are; none in a run without such counts."""
    if not store.has_occurrences(space):
        return {}
    counts = store.occurrences(space)
    return {int(row): int(counts[row]) for row in np.flatnonzero(hubs(counts))}


def _neighbour(
    store: Store, query: Query, row: int, similarity: float, scores: str, hub_counts: dict[int, int], *, key: str
) -> None:
    sample = store.samples.iloc[row]
    sample_id = str(sample["sample_id"])
    flags = ""
    if query.row is not None and store.patients[row] == store.patients[query.row]:
        flags += " · same patient"
    if row in hub_counts:
        flags += f" · :violet-badge[hub: {hub_counts[row]} lists]"
    lines = [
        f"**{number(similarity, 3)}** · {sample['split']}{flags}",
        f"{in_markdown(sample_id)}",
        _compared(store, query.known, row),
    ]
    more = scores
    if sample["report"]:
        more += f"  \n{in_markdown(_sentence(str(sample['report'])), None)}"
    with st.container(width=TILE, gap="xxsmall"):
        show_film(store, row, TILE)
        st.markdown("  \n".join(lines), help=more)
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            link("pages/case.py", "Case", sample_id)
            explanation = explain.open_explanation
            st.button("Explain", key=f"why-{key}", type="tertiary", on_click=explanation, args=(sample_id,))
            # a page link to the open page is drawn as the current one
            st.button("Near it", key=f"near-{key}", type="tertiary", on_click=_search_film, args=(sample_id,))


def _search_film(sample_id: str) -> None:
    address.choose(by="film", film=sample_id)


def _scores(store: Store, rows: NDArray[np.int64], label: str, titles: list[str]) -> list[str]:
    """Each film's logit for the label in each regime of the column, against its threshold."""
    c = store.labels.index(label)
    parts: list[list[str]] = [[] for _ in rows]
    for regime in store.regimes:
        if regime.title in titles:
            name = f"{regime.title} " if len(titles) > 1 else ""
            cut = float(store.threshold_array(regime.name)[c])
            for part, logit in zip(parts, store.logits(regime.name)[rows, c].tolist(), strict=True):
                against = "" if np.isnan(cut) else f" {'≥' if logit >= cut else '<'} {number(cut)}"
                part.append(f"{name}{number(logit)}{against}")
    return [f"{in_markdown(label)} logit: {', '.join(part)}" for part in parts]


def _sentence(report: str) -> str:
    first = re.split(r"(?<=[.!?])\s", " ".join(report.split()), maxsplit=1)[0]
    return first if len(first) <= SENTENCE else f"{first[:SENTENCE].rstrip()}…"


def _badges(labels: list[str]) -> str:
    return " ".join(f":blue-badge[{in_markdown(label)}]" for label in labels)


def _compared(store: Store, known: NDArray[np.float32], other: int) -> str:
    """Both films' labels as badges: shared, missing, unknown, extra."""
    out = []
    for label, mine, theirs in zip(store.labels, known, store.targets[other], strict=True):
        if mine == 1 and theirs == 1:
            out.append(f":green-badge[✓ {in_markdown(label)}]")
        elif mine == 1 and np.isnan(theirs):
            out.append(f":gray-badge[? {in_markdown(label)}]")
        elif mine == 1:
            out.append(f":gray-badge[− {in_markdown(label)}]")
        elif theirs == 1:
            out.append(f":orange-badge[+ {in_markdown(label)}]")
    return " ".join(out) or "no positive label"


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _agreement(
    store: Store, known: NDArray[np.float32], barred: NDArray[np.bool_], rows: dict[str, NDArray[np.int64]]
) -> tuple[pd.DataFrame, go.Figure]:
    """The share of the neighbours, ``rows`` by space, that have each label asked for."""
    spaces = {space_title(store, store.space(name)): name for name in rows}
    frame = pd.concat(
        [label_agreement(store, known, ~barred, rows[name], title) for title, name in spaces.items()],
    )
    marks = {title: styles.of_space(store, store.space(name)) for title, name in spaces.items()}
    k = max(map(len, rows.values()))
    return frame, dots(frame, marks, f"share of the {k} neighbours", few=1)


@panel
def _label_agreement(view: View, query: Query, neighbours: list[Neighbours]) -> None:
    """The share of the neighbours that have each label asked for, against chance."""
    store = view.store
    if not (query.known == 1).any():
        st.caption("Nothing is known of what was asked for, so there is no agreement to measure.")
        return
    rows = {one.space.name: one.rows for one in neighbours}
    frame, figure = _agreement(store, query.known, query.barred, rows)
    download.figure(
        view,
        figure,
        download.About(
            ("Do neighbours share the labels?", query.name, view.split),
            f"n = {query.k} neighbours in each space, among {int((~query.barred).sum()):,} films",
            "Share of the neighbours known to have each label, with a 95% Wilson interval. The tick is the prevalence "
            "among the films searched, their positives in brackets.",
            ("wilson interval", "prevalence"),
        ),
        lambda: frame,
        key="agreement",
        alt="Share of neighbours that have each of the labels, against prevalence",
    )
