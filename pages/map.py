"""Where the films lie in every regime's space, which films lie where, and how far a map may be believed."""

from explorer.ui import maps
from explorer.ui.frame import page

with page("Map") as view:
    choice = maps.choose_maps(view)
    maps.explain(view, choice)
    maps.explore(view, choice)
    maps.hover(view, choice)
