"""What the address of each page may hold: every parameter, and the values its control knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import streamlit as st

from explorer.analysis import localisation
from explorer.analysis.calibration import METHODS as METHODS_OF_FIT
from explorer.data.saliency_map import METHODS as METHODS_OF_SALIENCY
from explorer.data.text import in_markdown, plain
from explorer.store.saliency import list_saliency
from explorer.tables import curves as curve_tables
from explorer.tables.map_colours import COLOURS, MATCHES
from explorer.tables.results import METRIC_TITLES
from explorer.tables.separability import MEASURES, columns
from explorer.tables.thresholds import RULE_TITLES
from explorer.ui.audit.films import DISTANCE_TITLES
from explorer.ui.audit.labels import ALL
from explorer.ui.audit.page import SECTIONS
from explorer.ui.grad_cam import controls
from explorer.ui.maps.page import LAYOUTS
from explorer.ui.maps.signs import KINDS
from explorer.ui.models.inference import LONGEST as LONGEST_SENTENCE
from explorer.ui.neighbours import explain, prompt_lab, quality, query
from explorer.ui.neighbours.page import PARTS
from explorer.ui.pr_curves import curves
from explorer.ui.pr_curves.page import VIEWS
from explorer.ui.pr_curves.thresholds import CELLS
from explorer.ui.shared import selection
from explorer.ui.shared.address import FLAG, Parameter, from_store, number, one_of, several_of, text
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.choose import SPACES, Among
from explorer.ui.shared.frame import SHOWN_SPLITS

if TYPE_CHECKING:
    from explorer.store.reader import Store


def _labels(store: Store) -> list[str]:
    return [plain(label, None) for label in store.labels]


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=HASH_FUNCS)
def _pools(store: Store) -> list[str]:
    pools = (name for split in SHOWN_SPLITS for name in curve_tables.pool_names(store, split))
    return [*_labels(store), *(plain(curve_tables.pool_title(name), None) for name in pools)]


def _regimes(store: Store) -> list[str]:
    return [in_markdown(regime.title) for regime in store.regimes]


def _spaces(store: Store) -> list[str]:
    return [in_markdown(column.title) for column in columns(store)]


def _prompt_sets(store: Store) -> list[str]:
    return [in_markdown(record.title) for record in store.manifest.prompt_sets]


def _saliency_sets(store: Store) -> list[str]:
    return [in_markdown(one.title) for one in list_saliency(store)]


_FILM = Parameter(lambda store, value: store.row_of(value) is not None)
_REGIME = from_store(_regimes)

SHARED = {
    "split": one_of(SHOWN_SPLITS),
    "film": _FILM,
    "label": from_store(_labels),
    "regime": _REGIME,
    "space": one_of(SPACES.values()),
    "among": one_of(get_args(Among)),
    selection.PARAMETER: text(selection.LONGEST_LINK),
    explain.PARAMETER: Parameter(lambda store, value: value == explain.OWN or _FILM.fits(store, value)),
    prompt_lab.PARAMETER: text(prompt_lab.LONGEST_LINK),
    "cell": one_of(CELLS),
}
"""Of several pages, or written by hand, so that a visitor may bring it from one page to another."""

_SALIENCY = {
    "method": one_of(method.title for method in METHODS_OF_SALIENCY.values()),
    "block": number(1, 1000, whole=True),
    "colours": one_of(controls.COLOUR_TITLES.values()),
    "opacity": number(0, 100, whole=True),
    "contour": number(0, 95, whole=True),
    "outlines": FLAG,
    "against": FLAG,
}

OVERVIEW = {**SHARED, "metric": one_of(METRIC_TITLES.values())}
MAP = {
    **SHARED,
    "layout": one_of(LAYOUTS.values()),
    "colour": one_of(COLOURS.values()),
    "match": one_of(MATCHES.values()),
    "labels": from_store(_labels, several=True),
    "signs": several_of(KINDS.values()),
    "doubtful": FLAG,
}
SEPARABILITY = {
    **SHARED,
    "measure": one_of(measure.title for measure in MEASURES.values()),
    "embedding_space": from_store(_spaces),
    "decision_space": from_store(_spaces),
}
NEIGHBOURS = {
    **SHARED,
    **_SALIENCY,
    "show": one_of(PARTS.values()),
    "by": one_of(query.WAYS.values()),
    "k": one_of(query.LENGTHS),
    "same_patient": FLAG,
    "mixed": FLAG,
    "upload_view": one_of(query.VIEWS.values()),
    "prompts": from_store(lambda store: [*_prompt_sets(store), query.OWN]),
    "text": text(LONGEST_SENTENCE),
    "why": from_store(lambda store: [explain.LIKENESS, *_labels(store)]),
    "why_own": from_store(_labels),
    "figure": one_of(quality.TITLES.values()),
    "lab_set": from_store(_prompt_sets),
}
PR_CURVES = {
    **SHARED,
    "view": one_of(title for title, _ in VIEWS.values()),
    "label": from_store(_pools),
    "few": number(1, curves.MOST_POSITIVES, whole=True),
    "sort": one_of(curve_tables.SORTS.values()),
    "bands": FLAG,
    "gain": one_of(curves.METRICS.values()),
    "pair": from_store(lambda store: map(in_markdown, curve_tables.regime_pairs(store))),
    "curve-kind": one_of(curves.SHOWN.values()),
    "rule": one_of(RULE_TITLES.values()),
    "level": number(0.05, 1),
    "cut": number(-1e6, 1e6),
    "share": number(0, 100),
    "one-cut": FLAG,
    "fitted": one_of(METHODS_OF_FIT.values()),
}
GRAD_CAM = {
    **SHARED,
    **_SALIENCY,
    "show": one_of((*controls.TITLES.values(), *controls.FORMER_TITLES)),
    "cam": FLAG,
    "words": text(LONGEST_SENTENCE),
    "figure": one_of(localisation.METRICS.values()),
    "maps": from_store(_saliency_sets),
    "alone": FLAG,
}
CASE = SHARED
AUDIT = {
    **SHARED,
    "audit": one_of(title for title, _ in SECTIONS.values()),
    "show": one_of(("to review", "reviewed", "all")),
    "doubter": _REGIME,
    "doubted": from_store(lambda store: [ALL, *_labels(store)]),
    "place": number(1, 1e9, whole=True),
    "distance": one_of(DISTANCE_TITLES.values()),
}
PROTOCOLS = SHARED
