"""The triage view: films that may be ruled out, or in, with a guarantee from validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import streamlit as st

from explorer.data.text import plain
from explorer.figures.bands import promises
from explorer.tables import styles
from explorer.tables import triage as triage_tables
from explorer.ui.shared import address, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from explorer.analysis.triage import Side
    from explorer.data.samples import Split
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

METHOD = """
**What is promised.** Among patients like val's, one film of each, the share of right ones among those ruled out (NPV)
or in (PPV) is at least the asked one, with 95% confidence for each regime. "Like" means exchangeable: another hospital,
scanner or year is not.

**How.** One known film of each patient in val is drawn at random: films of one patient are no independent evidence. Ten
shares of them, fixed beforehand, are tested: {shares}. Each has Clopper and Pearson's exact lower bound; Bonferroni
pays for choosing among the ten. The largest share whose bound reaches the asked one is used.

**What it does not say.** Val also chose a trained regime's settings and when to stop, so its promise is a little
optimistic: what test shows stands beside it. A high NPV is easy where the label is rare: sensitivity says how many
positives are still seen. Sources: Clopper & Pearson 1934; Angelopoulos et al. 2025 (learn then test).
"""


def triage_view(view: View) -> None:
    """One label: the promises of every regime, one regime's in a sentence, and what the films shown make of them."""
    label = choose.label()
    with view.controls:
        regime = choose.regime(view)
        sides = {str(side): title for side, title in triage_tables.SIDES.items()}
        side = cast("Side", choose.pick_one("Side", list(sides), "side", sides))
    with st.container(width=420):
        level = float(
            st.slider(
                f"{triage_tables.FIGURES[side][1]} of at least",
                0.05,
                0.995,
                step=0.005,
                format="%.3f",
                **address.control("promise"),
            )
        )
    triage = _triage(view.store, view.split, label, side, level)
    _answer(view, triage, label, side, level, regime.title)
    choose.drawer("What is promised, and how it is computed", "how", lambda: _method(side))


@panel
def _answer(view: View, triage: triage_tables.Triage, label: str, side: Side, level: float, regime_title: str) -> None:
    title = triage_tables.FIGURES[side][1]
    st.markdown(triage_tables.sentence(triage, label, side, level, regime_title))
    if triage_tables.has_films(triage):
        trivial = triage.prevalence if side == "in" else 1 - triage.prevalence
        download.figure(
            view,
            promises(triage.curves, styles.by_title(view.store), title, level, trivial),
            download.About(
                (f"{title} that val promises", label, "val"),
                f"n = {triage.patients:,} val patients, one film of each: {triage.positives:,} positive",
                "Lower bounds that hold together with 95% confidence for each regime, at shares fixed beforehand. A "
                "line that reaches the asked one gives a guarantee.",
                ("guarantee", "npv" if side == "out" else "ppv"),
            ),
            lambda: triage_tables.curve_frame(triage),
            key="promises",
            zoom=True,
            alt=f"{title} that val promises for {plain(label)} in every regime",
        )
    figure_title("Promised and seen", label, view.split)
    show_table(triage.table, hide_index=True, height="content")
    same = " These are the films it was chosen on, which is optimistic." if view.split == "val" else ""
    st.caption(
        f"{title} [95% interval, Wilson] · what random predictions at that rate reach. Sensitivity: positives that are "
        f"{'not ruled out' if side == 'out' else 'ruled in'}.{same} Unknown labels are left out. Research use: no "
        "threshold here is a clinical one."
    )


def _method(side: Side) -> None:
    st.markdown(METHOD.format(shares=triage_tables.SHARES_TEXT[side]))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _triage(store: Store, split: Split, label: str, side: Side, level: float) -> triage_tables.Triage:
    return triage_tables.triage(store, split, label, side, level)
