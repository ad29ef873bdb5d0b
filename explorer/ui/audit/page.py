"""The audit page: one section at a time, chosen in the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.ui.audit.films import hard_cases_view, outliers_view
from explorer.ui.audit.labels import label_errors_view
from explorer.ui.audit.leaks import leaks_view
from explorer.ui.audit.shortcuts import shortcuts_view
from explorer.ui.audit.slices import slices_view
from explorer.ui.audit.subgroups import subgroups_view
from explorer.ui.shared import choose
from explorer.ui.shared.frame import errors_shown

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View

SECTIONS = {
    "leaks": ("Leaks", leaks_view),
    "shortcuts": ("Shortcuts", shortcuts_view),
    "subgroups": ("Subgroups", subgroups_view),
    "slices": ("Slices", slices_view),
    "labels": ("Label errors", label_errors_view),
    "outliers": ("Out of distribution", outliers_view),
    "hard": ("Hard cases", hard_cases_view),
}


def choose_section(view: View) -> str:
    """One of ``SECTIONS``."""
    return choose.part(view, "Audit", "audit", {key: name for key, (name, _) in SECTIONS.items()})


@st.fragment
def show_section(view: View, section: str) -> None:
    """One section as a fragment: an action in it redraws no other part of the page."""
    with errors_shown():
        SECTIONS[section][1](view)
