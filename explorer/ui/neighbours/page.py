"""The Neighbours page's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.ui.neighbours import prompt_lab, quality, results
from explorer.ui.shared import choose

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View

PARTS = {"search": "Search", "lists": "List quality", "lab": "Prompt lab"}


def choose_part(view: View) -> str:
    """One of ``PARTS``."""
    return choose.part(view, "Show", "show", PARTS)


SHOWN = {"search": results.search_view, "lists": quality.quality_view, "lab": prompt_lab.prompt_lab}
"""What draws each part."""
