"""The prompt lab: a label's prompts rewritten, and what that changes on validation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from pydantic import TypeAdapter, ValidationError

from explorer.analysis.evidence import FEW
from explorer.analysis.metrics import METRICS
from explorer.analysis.rewording import EDITED, STORED, RewordingEffect, compare
from explorer.data.text import in_markdown, listed
from explorer.figures.style import number, with_interval
from explorer.store.manifest import FROZEN
from explorer.tables.labels import label_states
from explorer.tables.results import METRIC_TITLES
from explorer.ui.models import inference
from explorer.ui.neighbours.query import mean_direction
from explorer.ui.shared import address, choose
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.gallery import link
from explorer.ui.shared.links import DAMAGED, BadLink, from_text, to_text
from explorer.ui.shared.parameter import Parameter, Refused, Values
from explorer.ui.shared.show import show_film, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

MOVED = 5
"""Films shown that rise most, and as many that fall most."""
MOST = 40
"""Sentences of one side; more would only make it slower."""
LONGEST = 5000
"""Characters of one side."""
LONGEST_LINK = 3000
"""Characters the edits may add to a link, which may hold a selection, too."""

SIDES = ("positive", "negative")
Sides = dict[str, list[str]]
"""``positive`` and ``negative`` to their sentences."""
_ROWS = TypeAdapter(list[tuple[str, str, list[str], list[str]]])
Edits = dict[tuple[str, str], Sides]
"""A prompt set and a label to the sentences that replace the stored ones."""


@st.fragment
def prompt_lab(view: View) -> None:
    """Edit one label's prompts, see the figures change, and download the whole set."""
    with errors_shown():
        store = view.store
        if store.text_space is None:
            st.info(inference.why_no_prompts(store), icon=":material/text_fields:")
            return
        sets = {record.name: in_markdown(record.title) for record in store.manifest.prompt_sets}
        label = choose.label()
        base = choose.pick_one("Start from", list(sets), "lab_set", sets)
        stored = store.prompts(base)[label]
        edited = _editor(base, label, stored)
        edits: Edits = address.value("edits")
        if edits and not pack_edits(edits):
            st.caption(
                "The edits are too long for a link. They stay while this tab is open; to keep them or pass them on, "
                "save the set as TOML."
            )
        st.caption(
            "One sentence in each line; a side's sentences are embedded, averaged and renormalised. Without negative "
            "ones the logit is the scaled cosine to the positive side. Sentences of the stored sets need no text tower."
        )
        rows = store.rows("val")
        change = compare(
            label,
            store.targets[rows, store.labels.index(label)],
            _logits(store, stored, rows),
            _logits(store, edited, rows),
            store.patients[rows],
        )
        _figures(store, label, change, same=edited == stored)
        _movers(store, label, rows, change)
        _save(store, base, edits)


def _editor(base: str, label: str, stored: Sides) -> Sides:
    """The two boxes, and the sentences they hold."""
    held = address.value("edits").get((base, label), stored)
    sides = {}
    for column, side in zip(st.columns(2, gap="medium"), SIDES, strict=True):
        key = _box(base, label, side)
        if key not in st.session_state or _lines(st.session_state[key]) != list(held[side]):
            st.session_state[key] = "\n".join(held[side])
        with column:
            st.text_area(
                f"{side.capitalize()} prompts for {in_markdown(label)}",
                height=130,
                max_chars=LONGEST,
                key=key,
                on_change=_edit,
                args=(base, label, stored),
            )
        sides[side] = [inference.check_sentence(line) for line in held[side]]
    if not sides["positive"]:
        st.info("Without a positive prompt there is nothing to search for: the stored ones are used.")
        sides["positive"] = stored["positive"]
    return sides


def _edit(base: str, label: str, stored: Sides) -> None:
    """Keep what the two boxes hold."""
    edits: Edits = dict(address.value("edits"))
    sides = {side: _lines(st.session_state[_box(base, label, side)]) for side in SIDES}
    if sides == {side: list(stored[side]) for side in SIDES}:
        edits.pop((base, label), None)
    else:
        edits[base, label] = sides
    address.choose(edits=edits)


def _box(base: str, label: str, side: str) -> str:
    return f"lab-{base}-{label}-{side}"


def _lines(text: str) -> list[str]:
    """The sentences of a box, each once."""
    lines = dict.fromkeys(" ".join(line.split()) for line in text.split("\n"))
    return [line for line in lines if line][:MOST]


def pack_edits(edits: Edits) -> str:
    """Edits as the text of a link; empty where there are none, or they would exceed LONGEST_LINK."""
    rows = [[*place, sides["positive"], sides["negative"]] for place, sides in edits.items()]
    token = to_text(json.dumps(rows, ensure_ascii=False).encode()) if rows else ""
    return token if len(token) <= LONGEST_LINK else ""


def unpack_edits(token: str, store: Store) -> Edits:
    """The edits of a link.

    Raises
    ------
    BadLink
        Where it is not whole, or names a prompt set or label that this run lacks.
    """
    sets = {record.name for record in store.manifest.prompt_sets}
    try:
        rows = _ROWS.validate_json(from_text(token, 2**20))
    except ValidationError as error:
        raise BadLink(DAMAGED) from error
    edits: Edits = {}
    for base, label, positive, negative in rows:
        if base not in sets or label not in store.labels:
            raise BadLink("it was made in a run with other prompt sets or labels")
        if max(len("\n".join(side)) for side in (positive, negative)) > LONGEST:
            raise BadLink(DAMAGED)
        edits[base, label] = {"positive": positive, "negative": negative}
    return edits


def _read(store: Store, token: str) -> Edits:
    try:
        return unpack_edits(token, store)
    except BadLink as error:
        raise Refused(str(error)) from error


def _fit(store: Store, edits: Edits, _: Values) -> bool:
    sets = {record.name for record in store.manifest.prompt_sets}
    return all(base in sets and label in store.labels for base, label in edits)


PARAMETER = Parameter(read=_read, write=lambda _, edits: pack_edits(edits), fits=_fit, default=lambda *_: {})
"""The edits as a parameter of the page's address."""


def _logits(store: Store, sides: Sides, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) zero-shot logits of a label with these prompts: s(p - n)·x."""
    direction = mean_direction(inference.embed_texts(store, sides["positive"]))
    if sides["negative"]:
        direction = direction - mean_direction(inference.embed_texts(store, sides["negative"]))
    logits: NDArray[np.float32] = store.logit_scale * (np.asarray(store.embeddings(FROZEN)[rows]) @ direction)
    return logits.astype(np.float32)


@panel
def _figures(store: Store, label: str, change: RewordingEffect, *, same: bool) -> None:
    rows = store.rows("val")
    targets = store.targets[rows, store.labels.index(label)]
    positive, negative = int((targets == 1).sum()), int((targets == 0).sum())
    st.markdown(
        f"**{in_markdown(label)}** on val: {positive:,} positive, {negative:,} negative, "
        f"{len(rows) - positive - negative:,} unknown."
    )
    if positive < FEW:
        st.info(f"Fewer than {FEW} positives: too few to prefer one wording.", icon=":material/hourglass_empty:")
    values = {
        (version, metric): numbers
        for version, metric, *numbers in change.figures[
            ["version", "metric", "value", "ci_low", "ci_high", "baseline"]
        ].itertuples(index=False)
    }
    moved = {
        metric: numbers
        for metric, *numbers in change.differences[["metric", "difference", "ci_low", "ci_high"]].itertuples(
            index=False
        )
    }
    table = [
        {
            "": METRIC_TITLES[metric],
            "Stored": with_interval(*values[STORED, metric][:3]),
            "Edited": with_interval(*values[EDITED, metric][:3]),
            "Edited − stored": "—" if same or metric not in moved else _signed(*moved[metric]),
            "Trivial baseline": f"{values[EDITED, metric][3]:.2f}",
        }
        for metric in METRICS
    ]
    show_table(pd.DataFrame(table), hide_index=True)
    cut = {version: "none" if np.isnan(value) else number(value) for version, value in change.thresholds.items()}
    words = (
        "Nothing is edited yet."
        if same
        else f"Ranks: Spearman {change.spearman:.3f}. At its own threshold the edited wording predicts "
        f"{change.flips[0]:,} films more and {change.flips[1]:,} no longer."
    )
    st.caption(
        f"95% intervals by leaving out patients in turn, paired for both. Threshold of highest F1 on val: "
        f"{cut[STORED]} stored, {cut[EDITED]} edited. {words} Figures of val, on which wording and threshold are "
        "chosen, are optimistic: judge the set on test, after precompute."
    )


def _signed(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "—"
    if np.isnan(low):
        return f"{number(value, signed=True)} [no interval]"
    return with_interval(value, low, high, signed=True)


@panel
def _movers(store: Store, label: str, rows: NDArray[np.int64], change: RewordingEffect) -> None:
    """The films whose rank changes most."""
    order = np.argsort(-change.rises, kind="stable")
    groups = (("Rise most", order[:MOVED]), ("Fall most", order[::-1][:MOVED]))
    if not change.rises.any():
        return
    states = label_states(store, label)
    for column, (title, places) in zip(st.columns(2, gap="medium"), groups, strict=True):
        with column:
            st.markdown(f"**{title}**")
            with st.container(horizontal=True, gap="small"):
                for place in places.tolist():
                    row = int(rows[place])
                    sample_id = str(store.samples["sample_id"].iat[row])
                    with st.container(width=110, gap="xxsmall"):
                        show_film(store, row, 110)
                        st.caption(f"{change.rises[place]:+,} places · {states[row]}")
                        link("pages/case.py", sample_id, sample_id)


@panel
def _save(store: Store, base: str, edits: Edits) -> None:
    mine = {label: sides for (chosen, label), sides in edits.items() if chosen == base}
    file_name = re.sub(r"[^\w-]+", "-", base) + "-edited.toml"
    summary = f"{len(mine)} label{'' if len(mine) == 1 else 's'} edited: {listed(mine)}. " if mine else ""
    st.download_button(
        "Save the set as TOML",
        as_toml(f"{base}, edited", {label: mine.get(label, sides) for label, sides in store.prompts(base).items()}),
        file_name=file_name,
        mime="application/toml",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(f"{summary}`python -m precompute run … --prompts {file_name}` makes it the zero-shot regime's own set.")


def as_toml(title: str, labels: Mapping[str, Mapping[str, list[str]]]) -> str:
    """A prompt set as the file that ``--prompts`` takes: a section for each label, and a default for other labels.

    JSON's strings and lists of strings are TOML's, but for DEL, which TOML wants escaped.
    """

    def value(of: str | list[str]) -> str:
        return json.dumps(of, ensure_ascii=False).replace("\x7f", "\\u007f")

    lines = [f"title = {value(title)}", "", "[default]", 'positive = ["{}"]', 'negative = ["no {}"]']
    for label, sides in labels.items():
        lines += ["", f"[{value(label)}]"]
        lines += [f"{side} = {value(list(sides[side]))}" for side in ("positive", "negative") if sides[side]]
    return "\n".join(lines) + "\n"
