"""How far each label stands apart, in the full space of every regime."""

from explorer.ui import parameters, separability
from explorer.ui.shared.frame import page

with page("Separability", parameters.SEPARABILITY) as view:
    _, draw = separability.PARTS[separability.choose_part(view)]
    draw(view)
