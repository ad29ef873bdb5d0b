"""The films nearest to a film, to words or to a selection, in every regime; how good such lists are; a prompt lab."""

from explorer.ui import near, query
from explorer.ui.frame import page

with page("Neighbours") as view:
    asked = query.ask(view)
    if asked:
        found = near.find(view, asked)
        near.summary(view, asked, found)
        near.side_by_side(view, asked, found)
