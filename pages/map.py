"""Where the films lie in every regime's space, which films lie where, and how far a map may be believed."""

from explorer.ui import parameters
from explorer.ui.maps import page as maps
from explorer.ui.shared.frame import page

with page("Map", parameters.MAP) as view:
    choice = maps.choose_maps(view)
    maps.answer(view, choice)
    maps.explore(view, choice)
    maps.method(view, choice)
