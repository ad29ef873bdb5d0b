"""The films nearest to a film, to words or to a selection, in every regime; how good such lists are; a prompt lab."""

from explorer.ui.neighbours import prompt_lab, quality, results
from explorer.ui.shared import choose
from explorer.ui.shared.frame import page

PARTS = {"search": "Search", "lists": "How good the lists are", "lab": "Prompt lab"}

with page("Neighbours") as view:
    part = choose.pick_one("Show", list(PARTS), "search", "show", PARTS)
    {"search": results.search_view, "lists": quality.quality_view, "lab": prompt_lab.prompt_lab}[part](view)
