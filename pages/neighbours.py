"""The films nearest to a film, to words or to a selection, in every regime; how good such lists are; a prompt lab."""

from explorer.ui import parameters
from explorer.ui.neighbours.page import SHOWN, choose_part
from explorer.ui.shared.frame import page

with page("Neighbours", parameters.NEIGHBOURS) as view:
    SHOWN[choose_part(view)](view)
