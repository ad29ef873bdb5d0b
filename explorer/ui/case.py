"""The case page's panels: one film, its labels and scores, its neighbours, its place on the maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from explorer.data.text import in_markdown, listed, plain, whole
from explorer.environment import without_store_root
from explorer.errors import UserError
from explorer.figures import overlay
from explorer.figures.case import add_ring, grouped_map, margins
from explorer.figures.style import number
from explorer.tables import styles
from explorer.tables.film import film_scores, score_table, verdicts
from explorer.tables.labels import findings_text, positive_labels
from explorer.tables.spaces import distinct_spaces, map_frame, nearest_films, point_groups_by_label, space_title
from explorer.ui.components.viewer import Pane, film_or_thumbnail, shapes_to_draw, viewer
from explorer.ui.models import heatmaps
from explorer.ui.shared import address, cache, choose, download, selection
from explorer.ui.shared.annotators import film_annotations, legend
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.filter import films, filtered, narrowed
from explorer.ui.shared.frame import LONGEST_ERROR, panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.show import figure_title, show_film, show_table
from explorer.ui.shared.stepper import FilmOrder, step, stepper

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.manifest import SpaceRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

STRIP = 6
"""Neighbours shown of each space."""
HUNG = 2
"""The patient's other films that hang beside the film; the others are thumbnails."""
_WIDTHS = ([6, 5], [8, 5], [9, 4])
"""Of films and words, by how many other films hang there."""


@dataclass(frozen=True)
class Case:
    """The film shown, the label that colours the maps, and the films that Previous and Next step through."""

    row: int
    label: str
    order: FilmOrder


def choose_case(view: View) -> Case:
    """The film, and the way to the previous and next."""
    label = choose.label()
    with view.controls:
        row = choose.film(view, label)
        order = _order(view, row)
        stepper(view.store, order, row, help="The arrow keys step, too.")
        titles = {"": "Film", **{r.name: f"Map: {in_markdown(r.title)}" for r in view.store.regimes}}
        choose.pick_one("Shown", list(titles), "overlay", titles)
    return Case(row, label, order)


def _order(view: View, row: int) -> FilmOrder:
    """The selection where the film is in it, else the film's split; of either, what the filter leaves."""
    store, selected = view.store, selection.current(view)
    if row in selected.rows:
        return FilmOrder(narrowed(store, selected.rows), filtered(in_markdown(selected.name) or "the selection"))
    split = cast("Split", store.samples["split"].iat[row])
    return FilmOrder(films(store, split), filtered(split))


def film_panel(view: View, case: Case) -> None:
    """The film with its annotations, and what is known of it."""
    others = _same_patient(view.store, case.row)
    shown, words = st.columns(_WIDTHS[min(len(others), HUNG)], gap="large")
    with shown:
        _films(view.store, case, others[:HUNG].tolist())
    with words:
        _facts(view.store, case.row)
        _verdicts(view.store, case.row)
        _thumbnails(view.store, others[HUNG:])
        _margins(view, case.row)


@panel
def _films(store: Store, case: Case, others: list[int]) -> None:
    """The film, and beside it other films of the patient, all of one height."""
    row = case.row
    if not store.has_films:
        raise store.left_out("pixels", f"no film {store.samples['sample_id'].iat[row]!s}")
    annotations = film_annotations(store, row)
    layers, note = _map_layers(store, case, str(address.value("overlay")))
    panes, remarks = [], [note]
    for each in (row, *others):
        film, remark = film_or_thumbnail(store, each)
        remarks.append(remark)
        panes.append(
            Pane(
                film,
                title=_hanging_title(store, each) if others else "",
                opens=each != row,
                marks=shapes_to_draw(annotations if each == row else film_annotations(store, each)),
                map=layers if each == row else None,
            )
        )
    viewer(panes, lambda by: step(store, case.order, row, by), choose.open_film)
    for remark in filter(None, remarks):
        st.warning(remark)
    legend(annotations)
    st.caption("Drag to move, right button for window and level, Ctrl + wheel or two fingers to zoom; ? for all keys.")


def _hanging_title(store: Store, row: int) -> str:
    sample = store.samples.iloc[row]
    study = f"study {plain(sample['study_id'])}" if sample["study_id"] else ""
    return " · ".join(part for part in (plain(sample["view"]), study) if part) or plain(sample["sample_id"])


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _film_scores(store: Store, row: int) -> tuple[pd.DataFrame, go.Figure]:
    """A film's score for every label and regime, and how far it lies from its threshold."""
    frame = film_scores(store, row)
    return frame, margins(frame, styles.by_title(store))


@panel
def _margins(view: View, row: int) -> None:
    store = view.store
    frame, figure = _film_scores(store, row)
    download.figure(
        view,
        figure,
        download.About(
            ("Scores against thresholds", str(store.samples["sample_id"].iat[row])),
            f"1 film beside the {len(store.peers(row)):,} of its split",
            "Right of the line is predicted positive. Bold and +: the film is known to have it; ?: unknown.",
            ("threshold", "logit"),
        ),
        lambda: frame,
        key="margins",
        alt="How far each label's score lies above or below its threshold",
    )


def _map_layers(store: Store, case: Case, regime: str) -> tuple[overlay.MapLayers | None, str]:
    """Grad-CAM's map of the label at the last block, where a regime is asked for, and a note."""
    if not regime:
        return None, ""
    try:
        encoder, look = store.regime(regime).encoder, overlay.MapStyle()
        block = cache.depth(store, encoder) - 1
        target = heatmaps.LabelLogits(regime, (case.label,))
        request = heatmaps.MapRequest(cache.run_key(store), case.row, target, "grad_cam", (block,))
        grid = heatmaps.saliency_maps(store, request).maps[0, 0]
    except UserError as error:
        return None, in_markdown(without_store_root(error.what), LONGEST_ERROR)
    return heatmaps.film_layers(store, case.row, encoder, grid, look), heatmaps.silence_remark(grid, look)


@panel
def _facts(store: Store, row: int) -> None:
    sample = store.samples.iloc[row]
    about = [
        str(sample["split"]),
        f"patient {in_markdown(sample['patient_id'])}",
        f"study {in_markdown(sample['study_id'])}",
        in_markdown(sample["view"]),
    ]
    if store.has_films:
        about.append(f"{sample['width']:,} × {sample['height']:,} pixels")
    st.markdown(
        f"**{in_markdown(sample['sample_id'])}** · " + " · ".join(part for part in about if part),
        help=_whole_ids(sample),
    )
    badges = " ".join(f":blue-badge[{in_markdown(label)}]" for label in positive_labels(store, row))
    st.markdown(badges or findings_text(store, row))
    unknown = [label for label, value in zip(store.labels, store.targets[row], strict=True) if np.isnan(value)]
    if unknown:
        st.caption(f"Unknown: {listed(unknown)}")
    if sample["report"]:
        st.markdown("\n".join(f"> {in_markdown(line, None)}" for line in str(sample["report"]).split("\n")))
    with st.container(horizontal=True, gap="small"):
        link("pages/grad_cam.py", "Grad-CAM", str(sample["sample_id"]))
        link("pages/neighbours.py", "Neighbours", str(sample["sample_id"]))
        link("pages/map.py", "Map", str(sample["sample_id"]))


@panel
def _verdicts(store: Store, row: int) -> None:
    """What each regime says of the film, in words."""
    for verdict in verdicts(_film_scores(store, row)[0]):
        parts = (
            ("finds", verdict.found),
            ("misses", verdict.missed),
            ("wrongly predicts", verdict.false),
            ("predicts, where nothing is known,", verdict.unconfirmed),
            ("has no threshold for", verdict.undecided),
        )
        words = "; ".join(f"{what} {listed(labels)}" for what, labels in parts if labels)
        badge = styles.by_title(store)[verdict.regime].badge
        st.markdown(f":{badge}[**{in_markdown(verdict.regime)}**] {words or 'predicts nothing'}.")


def _same_patient(store: Store, row: int) -> NDArray[np.int64]:
    """The patient's other films: those of the same study first, then by study."""
    others = np.flatnonzero((store.patients == store.patients[row]) & (np.arange(store.n) != row))
    studies = store.samples["study_id"].to_numpy()
    return others[np.lexsort((others, studies[others].astype(str), studies[others] != studies[row]))]


@panel
def _thumbnails(store: Store, others: NDArray[np.int64]) -> None:
    """The patient's films that do not hang beside the film."""
    if not len(others):
        return
    st.caption(f"Same patient, {len(others):,} more film{'s' if len(others) > 1 else ''}")
    with st.container(horizontal=True, gap="small"):
        for other in others[:STRIP].tolist():
            with st.container(width=118, gap="xxsmall"):
                show_film(store, other, 118)
                st.caption(in_markdown(_hanging_title(store, other)))
                _open_button(store, other, "patient")


def _whole_ids(sample: pd.Series) -> str | None:
    """The tooltip of ids that are too long to stand in a line."""
    ids = (whole(sample[column]) for column in ("sample_id", "patient_id", "study_id"))
    return " · ".join(text for text in ids if text) or None


def _open_button(store: Store, row: int, key: str) -> None:
    """To another film on this page: a page link would be drawn as the current page."""
    sample_id = str(store.samples["sample_id"].iat[row])
    st.button(in_markdown(sample_id), key=f"{key}-{row}", type="tertiary", on_click=choose.open_film, args=(sample_id,))


@panel
def score_panel(view: View, case: Case) -> None:
    """Every label's logit, threshold, outcome and rank, in every regime."""
    choose.drawer("Scores of every label", "scores", partial(_scores, view.store, case.row), ":material/table:")


def _scores(store: Store, row: int) -> None:
    show_table(score_table(_film_scores(store, row)[0]), hide_index=True, height="content")
    st.caption(
        "Logit against the threshold chosen on val · outcome · rank among the split's "
        f"{len(store.peers(row)):,} films. #1 is the highest; a random score would stand in the middle."
    )


def nearest_panel(view: View, case: Case) -> None:
    """The films nearest in each encoder's embedding: other patients', of a comparable view."""
    st.subheader("Nearest films of other patients")
    for space, _ in distinct_spaces(view.store, "embedding"):
        st.markdown(f"**{space_title(view.store, space)}**")
        _nearest(view.store, space.name, case.row)


@panel
def _nearest(store: Store, space: str, row: int) -> None:
    rows, similarities = nearest_films(store, cache.index(store, space), space, row, STRIP)
    with st.container(horizontal=True, gap="small"):
        for other, similarity in zip(rows.tolist(), similarities.tolist(), strict=True):
            with st.container(width=118, gap="xxsmall"):
                show_film(store, other, 118)
                st.caption(f"**{number(similarity, 3)}** · {findings_text(store, other)}")
                _open_button(store, other, space)


def map_panel(view: View, case: Case) -> None:
    """Where the film lies in each space."""
    choose.drawer("Where it lies on the maps", "maps", partial(_maps, view, case), ":material/map:")


def _maps(view: View, case: Case) -> None:
    kind = choose.space_kind()
    spaces = distinct_spaces(view.store, kind)
    hover = cache.hover_text(view.store)
    about = download.About(
        ("Where the film lies", str(view.store.samples["sample_id"].iat[case.row]), case.label, view.split),
        download.label_films(view, case.label),
        f"Films of {view.split}, coloured by {plain(case.label)}; the ring is this film. Near on the map is alike in "
        "the space, as far as two dimensions can show it.",
    )
    download.heading(
        view,
        about,
        lambda: [
            download.panel(_map_figure(view, space, case, hover), space_title(view.store, space)) for space, _ in spaces
        ],
        lambda: map_frame(view.store, [space for space, _ in spaces], view.store.rows(view.split), case.label),
        key="film-maps",
    )
    for column, (space, _) in zip(st.columns(len(spaces), gap="medium"), spaces, strict=True):
        with column:
            figure_title(space_title(view.store, space))
            _map(view, space, case)
    download.caption(about)


@panel
def _map(view: View, space: SpaceRecord, case: Case) -> None:
    figure = _map_figure(view, space, case, cache.hover_text(view.store))
    download.draw(figure, alt=f"Where the film lies: {space.title}")


def _map_figure(view: View, space: SpaceRecord, case: Case, hover: NDArray[np.str_]) -> go.Figure:
    store, layout = view.store, view.store.map(space.name)
    groups = point_groups_by_label(store, store.rows(view.split), case.label)
    figure = grouped_map(layout, groups, hover, 320)
    add_ring(figure, layout, case.row, hover)
    return figure
