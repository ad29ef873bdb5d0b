"""The paper's figures, this set under the paper's and the sound protocol, and baselines that never look at a film."""

from explorer.ui import parameters, protocols
from explorer.ui.shared.frame import page

with page("Protocols", parameters.PROTOCOLS) as view:
    for draw in protocols.PARTS[protocols.choose_part(view)][1]:
        draw(view)
