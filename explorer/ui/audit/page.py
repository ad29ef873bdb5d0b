"""The audit page: one section at a time, chosen in the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from explorer.ui.audit import films as audit_films
from explorer.ui.audit import labels as audit_labels
from explorer.ui.audit import leaks as audit_leaks
from explorer.ui.audit import shortcuts as audit_shortcuts
from explorer.ui.shared import choose
from explorer.ui.shared.frame import errors_shown

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View

SECTIONS = {
    "leaks": ("Leaks", audit_leaks.show),
    "shortcuts": ("Shortcuts", audit_shortcuts.show),
    "labels": ("Label errors", audit_labels.show),
    "outliers": ("Out of distribution", audit_films.outliers),
    "hard": ("Hard cases", audit_films.hard_cases),
}


def choose_section() -> str:
    """Which fault is looked for."""
    return choose.pick_one(
        "Audit", list(SECTIONS), "leaks", "audit", {key: name for key, (name, _) in SECTIONS.items()}
    )


@st.fragment
def show(view: View, section: str) -> None:
    """The section, on its own: what is done in it draws no other part of the page anew."""
    with errors_shown():
        SECTIONS[section][1](view)
