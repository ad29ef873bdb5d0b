"""The films nearest to one film, in every regime."""

from explorer.ui import near
from explorer.ui.frame import page

with page("Neighbours") as view:
    query = near.ask(view)
    near.film_card(view, query)
    near.side_by_side(view, query)
