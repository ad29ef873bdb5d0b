"""How far each label stands apart, in the full space of every regime."""

from explorer.ui import separability
from explorer.ui.shared.frame import page

with page("Separability") as view:
    choice = separability.ask(view)
    separability.summary(view, choice)
    separability.overview(view, choice)
    separability.intervals(view, choice)
    separability.confusability(view, choice)
    separability.likeness(view)
    separability.classes(view)
    separability.prompts(view)
    separability.measures()
