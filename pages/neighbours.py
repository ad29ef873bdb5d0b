"""The films nearest to one film, in every regime."""

from explorer.ui import near
from explorer.ui.frame import page

with page("Neighbours") as view:
    query = near.ask(view)
    found = near.search(view, query)
    near.summary(view, query, found)
    near.side_by_side(view, query, found)
