"""What the set holds and how well each regime reads it."""

from explorer.ui import overview, parameters
from explorer.ui.shared import choose
from explorer.ui.shared.frame import page

with page("Overview", parameters.OVERVIEW) as view:
    overview.introduction(view)
    overview.results(view)
    overview.metric_by_label(view, choose.metric())
    overview.labels(view)
    overview.provenance(view)
