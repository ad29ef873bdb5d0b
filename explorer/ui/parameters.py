"""What the address of each page says: every parameter that a view shows, with its machine names and its default.

The address of a page is complete and holds nothing else: a parameter is in it where its ``when`` holds. Choices of
labels, prompt sets and pools are slugs of their names; regimes and spaces go by the store's ids. A word that begins
with a dot is no label: slugs hold no dots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, get_args

from explorer.analysis import few_shot, localisation
from explorer.analysis.calibration import METHODS as METHODS_OF_FIT
from explorer.analysis.evidence import FEW
from explorer.analysis.outliers import DEFAULT as DEFAULT_DISTANCE
from explorer.analysis.pooled import domains
from explorer.data.saliency_map import METHODS as METHODS_OF_SALIENCY
from explorer.data.text import in_markdown, plain
from explorer.errors import UserError
from explorer.store.saliency import list_saliency
from explorer.tables import abstention, prior_shift, slices, subgroups, triage
from explorer.tables import curves as curve_tables
from explorer.tables.board import COLUMNS as BOARD_COLUMNS
from explorer.tables.film_filter import base_rows, meets
from explorer.tables.labels import by_prevalence, label_states
from explorer.tables.map_colours import COLOURS, MATCHES, MOST_LABELS
from explorer.tables.results import METRIC_TITLES
from explorer.tables.separability import MEASURES, columns
from explorer.tables.spaces import distinct_spaces
from explorer.tables.thresholds import BY_HAND, PRESETS, RULE_TITLES, WITH_LEVEL
from explorer.ui import board
from explorer.ui.audit.films import DISTANCE_TITLES
from explorer.ui.audit.labels import ALL, STATES
from explorer.ui.audit.page import SECTIONS
from explorer.ui.grad_cam import controls
from explorer.ui.maps.page import LAYOUTS
from explorer.ui.maps.signs import KINDS
from explorer.ui.models.heatmaps import stored_set
from explorer.ui.models.inference import LONGEST as LONGEST_SENTENCE
from explorer.ui.neighbours import explain, prompt_lab, quality, query
from explorer.ui.neighbours.page import PARTS
from explorer.ui.pr_curves import curves
from explorer.ui.pr_curves.page import VIEWS
from explorer.ui.pr_curves.thresholds import CELLS
from explorer.ui.protocols import PARTS as PROTOCOL_PARTS
from explorer.ui.separability import PARTS as SEPARABILITY_PARTS
from explorer.ui.shared import cache, conditions, selection
from explorer.ui.shared.choose import SPACES, Among
from explorer.ui.shared.context import SHOWN_SPLITS
from explorer.ui.shared.former import FORMER
from explorer.ui.shared.parameter import (
    Parameter,
    Values,
    film,
    flag,
    from_store,
    number,
    number_text,
    one_of,
    shown,
    slugs,
    text,
)

if TYPE_CHECKING:
    from explorer.data.samples import Split
    from explorer.store.manifest import SpaceKind
    from explorer.store.reader import Store

MOST_REGIMES = 64
"""Regimes that an address may name."""
_ANYWHERE: Split = "test"
"""The split whose prevalence decides which label comes first: the label stays when the split is changed."""


# --- what several pages share ----------------------------------------------------------------------------------------


def _is(name: str, *wanted: object) -> Callable[[Values], bool]:
    """Whether a parameter is on the page and has one of these values."""
    return lambda values: name in values and values[name] in wanted


def _choice(name: str, names: Collection[str], default: str | None = None) -> Parameter:
    return one_of(names, default, former=FORMER.get(name))


def _labels(store: Store) -> dict[str, str]:
    return slugs(store.labels)


def _label_titles(store: Store) -> dict[str, str]:
    return {plain(label, None): label for label in store.labels}


def _first_label(store: Store, _: Values) -> str:
    """The most frequent label that names a finding."""
    options = by_prevalence(store, _ANYWHERE)
    return next((option for option in options if option != "No Finding"), options[0])


def _is_marking(values: Values) -> bool:
    return values.get("show") == "mark"


def _first_film(store: Store, values: Values) -> str:
    """The first film that has the label, of those that the filter leaves, or the first of them.

    For a reader to mark it is the first of the selection or of the split: it must not tell that the film has the label.
    A filter that leaves no film counts for nothing here.
    """
    split, label, conditions = values["split"], values["label"], values["filter"] or ()
    selected = values.get("sel") if _is_marking(values) else None
    rows = selected.rows if selected else base_rows(store, split, conditions)
    kept = rows[meets(store, conditions, label)[rows]]
    rows = kept if len(kept) else rows
    positive = rows[label_states(store, label)[rows] == "positive"]
    row = positive[0] if len(positive) and not _is_marking(values) else rows[0]
    return str(store.samples["sample_id"].iat[row])


def _regimes(store: Store) -> dict[str, str]:
    return {regime.name: regime.name for regime in store.regimes}


def _regime_titles(store: Store) -> dict[str, str]:
    return {in_markdown(regime.title): regime.name for regime in store.regimes}


_SPLIT = one_of(SHOWN_SPLITS)
_REGIMES = from_store(_regimes, lambda store, _: tuple(_regimes(store)), several=MOST_REGIMES, least=1)
_COMPARES = {"split": _SPLIT, "regimes": _REGIMES}
"""What every page that compares regimes has in its bar."""
_LABEL = from_store(_labels, _first_label, former=_label_titles)
_FILM = film(_first_film)
_REGIME = from_store(_regimes, former=_regime_titles)
_SPACE = _choice("space", SPACES)
_SEL = selection.IN_ADDRESS
_FILTER = conditions.IN_ADDRESS
_SHEET = {
    "sheet": flag(),
    "among": one_of(get_args(Among)).shown(lambda values: values.get("sheet", False) and not _is_marking(values)),
}


def _depth(store: Store) -> int:
    """Blocks to choose from; one in a copy without weights, whose views of maps say what is missing."""
    return 1 if store.manifest.leaves_out("weights") else cache.depth(store, store.regimes[0].encoder)


_LOOK = {
    "method": _choice("method", METHODS_OF_SALIENCY),
    "block": number(1, _depth, lambda store, _: _depth(store), whole=True),
    "colours": _choice("colours", controls.COLOUR_TITLES),
    "opacity": number(0, 100, 60, whole=True),
    "contour": number(0, 95, 50, whole=True),
    "outlines": flag(default=True),
    "against": flag(),
}
"""How saliency maps are made and drawn."""

# --- Overview, Data set, Map, Separability, Board ---------------------------------------------------------------------

OVERVIEW = {
    **_COMPARES,
    "figures": flag(),
    "metric": _choice("metric", METRIC_TITLES, "average_precision"),  # links made before hold it without the drawer
}
DATASET = {"split": _SPLIT}


def _first_labels(store: Store, values: Values) -> tuple[str, ...]:
    return tuple(name for name in by_prevalence(store, values["split"]) if name != "No Finding")[:3]


def _of_one_regime(values: Values) -> bool:
    return values["layout"] == "one" or values["colour"] == "cluster" or "clusters" in values["signs"]


MAP = {
    **_COMPARES,
    "layout": _choice("layout", LAYOUTS),
    "space": _SPACE,
    "colour": _choice("colour", COLOURS),
    "label": _LABEL,
    "match": _choice("match", MATCHES).shown(_is("colour", "labels")),
    "labels": from_store(_labels, _first_labels, former=_label_titles, several=MOST_LABELS).shown(
        _is("colour", "labels")
    ),
    "signs": one_of(KINDS, former=FORMER["signs"], several=len(KINDS)),
    "doubtful": flag(),
    "thumbs": flag(default=True),
    "trust": flag(),
    "regime": _REGIME.shown(_of_one_regime),
    "filter": _FILTER,
    "film": film(lambda *_: None),
    "sel": _SEL,
}


def _space_of(kind: SpaceKind) -> Parameter:
    def titles(store: Store) -> dict[str, str]:
        return {in_markdown(" = ".join(titles)): space.name for space, titles in distinct_spaces(store, kind)}

    def names(store: Store) -> dict[str, str]:
        return {column.space: column.space for column in columns(store, kind)}

    return from_store(names, former=titles)


def _is_confused(kind: SpaceKind) -> Callable[[Values], bool]:
    return lambda values: values["part"] == "confused" and values["space"] == kind


SEPARABILITY = {
    **_COMPARES,
    "part": _choice("part", SEPARABILITY_PARTS),
    "measure": _choice("measure", MEASURES, "lift").shown(_is("part", "measures")),
    "space": _SPACE.shown(_is("part", "measures", "confused")),
    "label": _LABEL.shown(_is("part", "measures", "confused")),
    "table": flag().shown(_is("part", "measures")),
    "details": flag().shown(_is("part", "measures")),
    "embedding_space": _space_of("embedding").shown(_is_confused("embedding")),
    "decision_space": _space_of("decision").shown(_is_confused("decision")),
}

BOARD = {
    **_COMPARES,
    "of": from_store(lambda store: {".mean": few_shot.MACRO, **_labels(store)}),
    "sort": one_of(BOARD_COLUMNS),
    "against": from_store(
        board.row_keys, fits=lambda store, key, values: board.on_board(store, key, cast("Split", values["split"]))
    ),
    "add": flag(board.stands_alone),
}

# --- Neighbours ------------------------------------------------------------------------------------------------------


def _prompt_sets(store: Store) -> dict[str, str]:
    return slugs(record.name for record in store.manifest.prompt_sets)


def _prompt_titles(store: Store) -> dict[str, str]:
    return {in_markdown(record.title): record.name for record in store.manifest.prompt_sets}


def _with(word: str, meaning: str, names: Callable[[Store], Mapping[str, str]]) -> Callable[[Store], dict[str, str]]:
    return lambda store: {word: meaning, **names(store)}


_is_search = _is("show", "search")
_by_words, _by_film = _is("by", "words"), _is("by", "film")


def _explains(values: Values) -> bool:
    return bool(values.get("explain"))


NEIGHBOURS = {
    **_COMPARES,
    "show": _choice("show", PARTS),
    "by": _choice("by", query.WAYS).shown(_is_search),
    "space": _SPACE.shown(lambda values: values["show"] == "lists" or (_is_search(values) and not _by_words(values))),
    "label": _LABEL.shown(_is("show", "search", "lab")),
    **shown(
        _is_search,
        {
            "k": one_of(query.LENGTHS),
            "same_patient": flag(),
            "mixed": flag(),
            "filter": _FILTER,
            "film": _FILM.shown(_by_film),
            **shown(_by_film, _SHEET),
            "sel": _SEL.shown(_is("by", "selection")),
            "upload_view": from_store(
                lambda _: {"frontal": "frontal", "lateral": "lateral", "unknown": ""},
                former=lambda _: FORMER["upload_view"],
            ).shown(_is("by", "upload")),
            "prompts": from_store(
                lambda store: {**_prompt_sets(store), ".own": query.OWN},
                former=lambda store: {**_prompt_titles(store), "My own": query.OWN},
            ).shown(_by_words),
            "text": text(LONGEST_SENTENCE).shown(_is("prompts", query.OWN)),
            "explain": explain.PARAMETER,
            "why": from_store(
                _with(".likeness", explain.LIKENESS, _labels),
                former=_with("Their likeness", explain.LIKENESS, _label_titles),
            ).shown(lambda values: _explains(values) and values["explain"] != explain.OWN),
            "why_own": from_store(_labels, lambda _, values: values["label"], former=_label_titles).shown(
                _is("explain", explain.OWN)
            ),
            **shown(_explains, _LOOK),
        },
    ),
    "figure": _choice("figure", quality.TITLES, "precision@10").shown(_is("show", "lists")),
    "lab_set": from_store(_prompt_sets, former=_prompt_titles).shown(_is("show", "lab")),
    "edits": prompt_lab.PARAMETER.shown(_is("show", "lab")),
}

# --- PR curves -------------------------------------------------------------------------------------------------------


def _pools(store: Store) -> dict[str, str]:
    return {f".{slug}": name for slug, name in slugs([*curve_tables.POOLED, *domains(store.labels)]).items()}


def _fits_view(store: Store, name: str, values: Values) -> bool:
    """Pools are shown in the view of one label, where the split has them."""
    return name in store.labels or (
        values["view"] == "one" and name in curve_tables.pool_names(store, cast("Split", values["split"]))
    )


def _pairs(store: Store) -> dict[str, Any]:
    pairs = curve_tables.regime_pairs(store)
    return {f"{regime}.{against}": title for title, (regime, against) in pairs.items()}


_PREVALENCE_THERE = from_store(
    lambda _: {number_text(percent): percent for percent in prior_shift.PREVALENCES},
    lambda store, values: prior_shift.first_prevalence(store, values["split"], values["label"]),
)

_WAY = from_store(lambda store: {way: way for way in abstention.ways(store)})

PR_CURVES = {
    **_COMPARES,
    "view": _choice("view", VIEWS),
    "label": from_store(
        lambda store: {**_labels(store), **_pools(store)},
        _first_label,
        former=lambda store: {
            **{plain(curve_tables.pool_title(name), None): name for name in _pools(store).values()},
            **_label_titles(store),
        },
        fits=_fits_view,
    ).shown(_is("view", "one", "thresholds", "calibration", "triage", "abstain", "elsewhere")),
    "regime": _REGIME.shown(_is("view", "thresholds", "triage", "abstain", "elsewhere", "together")),
    "curve-kind": _choice("curve-kind", curves.SHOWN).shown(_is("view", "overview", "one")),
    "few": number(1, curves.MOST_POSITIVES, FEW, whole=True).shown(
        _is("view", "overview", "one", "calibration", "report")
    ),
    **shown(
        _is("view", "overview"),
        {
            "sort": _choice("sort", curve_tables.SORTS),
            "bands": flag(default=True),
            "gain": _choice("gain", curves.METRICS),
            "pair": from_store(
                _pairs, former=lambda store: {in_markdown(title): title for title in curve_tables.regime_pairs(store)}
            ),
        },
    ),
    **shown(
        _is("view", "thresholds"),
        {
            "rule": _choice("rule", RULE_TITLES),
            "level": number(0.05, 1, 0.8).shown(_is("rule", *WITH_LEVEL)),
            "cut": number(-1e6, 1e6, 0.0).shown(_is("rule", "typed")),
            "share": number(0, 100, 10.0).shown(_is("rule", "share")),
            "one-cut": flag().shown(lambda values: values.get("rule") not in (*PRESETS, *BY_HAND)),
            "cell": one_of(CELLS, "fp"),
            "filter": _FILTER,
        },
    ),
    "fitted": _choice("fitted", METHODS_OF_FIT).shown(_is("view", "calibration")),
    **shown(
        _is("view", "elsewhere"),
        {"shifted": one_of(prior_shift.FIGURES), "there": _PREVALENCE_THERE},
    ),
    **shown(
        _is("view", "triage"),
        {
            "side": one_of(triage.SIDES),
            "promise": number(0.05, 0.995, lambda _, values: triage.FIRST_LEVELS[values["side"]]),
        },
    ),
    **shown(
        _is("view", "abstain"),
        {"way": _WAY, "coverage": number(10, 99, 80, whole=True), "table": flag()},
    ),
    "how": flag().shown(_is("view", "triage", "abstain", "elsewhere")),
}

# --- Grad-CAM, Case, Audit, Protocols --------------------------------------------------------------------------------

_is_picture = _is("show", "regimes", "layers", "labels")
_has_film = _is("show", "regimes", "layers", "labels", "mark")


def _has_maps(store: Store, values: Values) -> bool:
    """Maps are shown at once where the batch job has made those that the view asks for."""
    row = store.row_of(values["film"])
    if row is None or values["show"] == "layers" or values["against"]:
        return False
    regimes = [values["regime"]] if values["show"] == "labels" else list(_regimes(store))
    labels = store.labels if values["show"] == "labels" else (values["label"],)
    return stored_set(store, row, regimes, labels, values["method"], values["block"]) is not None


def _saliency_sets(store: Store) -> dict[str, str]:
    keys = (controls.set_key(one) for one in list_saliency(store))
    return {key: key for key in keys}


GRAD_CAM = {
    **_COMPARES,
    "show": _choice("show", controls.TITLES),
    **shown(
        _has_film,
        {"label": _LABEL, "sel": _SEL, "filter": _FILTER, "film": replace(_FILM, apart=_is_marking), **_SHEET},
    ),
    "regime": _REGIME.shown(_is("show", "labels")),
    **shown(_is_picture, {**_LOOK, "cam": flag(_has_maps)}),
    "words": text(LONGEST_SENTENCE).shown(_is("show", "regimes")),
    "maps": from_store(
        _saliency_sets,
        former=lambda store: {in_markdown(one.title): controls.set_key(one) for one in list_saliency(store)},
    ).shown(_is("show", "agreement", "sanity")),
    "figure": _choice("figure", localisation.METRICS, "energy").shown(_is("show", "agreement")),
    "alone": flag(default=True).shown(_is("show", "mark")),
}
CASE = {
    **_COMPARES,
    "label": _LABEL,
    "filter": _FILTER,
    "film": _FILM,
    **_SHEET,
    "overlay": from_store(lambda store: {"none": "", **_regimes(store)}),
    "maps": flag(),
    "space": _SPACE,
    "scores": flag(),
    "sel": _SEL,
}


def _doubters(store: Store) -> dict[str, str]:
    return {regime.name: regime.name for regime in store.audit.regimes}


def _groups_of(store: Store, split: Split) -> list[str]:
    try:
        return list(subgroups.groups(store, split))
    except UserError:  # an older run, or a damaged file: the view says so
        return []


def _groups(store: Store) -> dict[str, str]:
    return slugs(dict.fromkeys(title for split in SHOWN_SPLITS for title in _groups_of(store, split)))


_GROUP = from_store(
    _groups,
    lambda store, values: next(iter(_groups_of(store, values["split"])), None),
    fits=lambda store, title, values: title in _groups_of(store, values["split"]),
)


def _slice_titles(store: Store) -> list[str]:
    try:
        return list(slices.titles(store))
    except UserError:  # an older run, or a damaged file: the view says so
        return []


_SLICE = from_store(
    lambda store: slugs(_slice_titles(store)),
    lambda store, _: next(iter(_slice_titles(store)), None),
)


AUDIT = {
    "split": _SPLIT,
    "audit": _choice("audit", SECTIONS),
    "sought": flag().shown(_is("audit", "leaks")),
    **shown(
        _is("audit", "labels"),
        {
            "doubter": from_store(_doubters, former=_regime_titles),
            "doubted": from_store(_with(".all", ALL, _labels), former=_with("All labels", ALL, _label_titles)),
            "show": _choice("show", STATES),
            "place": number(1, 1e9, 1, whole=True),
        },
    ),
    "distance": _choice("distance", DISTANCE_TITLES, DEFAULT_DISTANCE).shown(_is("audit", "outliers")),
    "label": _LABEL.shown(_is("audit", "hard", "subgroups")),
    "regime": _REGIME.shown(_is("audit", "hard")),
    "filter": _FILTER.shown(_is("audit", "hard")),
    **shown(_is("audit", "subgroups"), {"figure": one_of(subgroups.FIGURES), "group": _GROUP}),
    "slice": _SLICE.shown(_is("audit", "slices")),
}
PROTOCOLS = {
    "split": _SPLIT,
    "part": _choice("part", PROTOCOL_PARTS),
    **shown(_is("part", "figures"), {"table": flag(), "details": flag()}),
    **shown(
        _is("part", "few-shot"),
        {
            "curve_of": from_store(lambda store: {".mean": few_shot.MACRO, **_labels(store)}),
            "curve_figure": one_of(few_shot.METRICS),
        },
    ),
}
