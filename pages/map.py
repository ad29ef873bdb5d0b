"""Where the films lie in a regime's space, and which films lie where."""

from explorer.ui import maps
from explorer.ui.frame import page

with page("Map") as view:
    choice = maps.choose_maps(view)
    maps.explain(view, choice)
    maps.explore(view, choice)
