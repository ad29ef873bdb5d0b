"""What the set and its regimes say, within a minute."""

from explorer.ui import overview, parameters
from explorer.ui.shared.frame import page

with page("Overview", parameters.OVERVIEW) as view:
    overview.opening(view)
    overview.predicted(view)
    overview.training(view)
    overview.same_embedding(view)
    overview.gaps(view)
    overview.limits(view)
    overview.method()
    overview.all_figures(view)
