"""How far each label stands apart, in the full space of every regime."""

from explorer.ui import parameters, separability
from explorer.ui.shared.frame import page

with page("Separability", parameters.SEPARABILITY) as view:
    choice = separability.choose_measure(view)
    separability.measure_summary(view, choice)
    separability.measure_heatmap(view, choice)
    separability.measure_intervals(view, choice)
    separability.confusable_labels(view, choice)
    separability.space_similarity(view)
    separability.class_distances(view)
    separability.modality_gaps(view)
    separability.measures()
