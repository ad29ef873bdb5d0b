"""The paper's figures, this run's by the paper's rules and by sound ones, and what never looks at a film."""

from explorer.ui import protocols
from explorer.ui.frame import page

with page("Protocols") as view:
    protocols.table(view)
    protocols.steps(view)
    protocols.domains(view)
    protocols.distances(view)
