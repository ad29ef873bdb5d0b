"""What the set holds: films, labels, labels that occur together, and where it came from."""

from explorer.ui import dataset, parameters
from explorer.ui.shared.frame import page

with page("Data set", parameters.DATASET) as view:
    dataset.films(view)
    dataset.labels(view)
    dataset.provenance(view)
