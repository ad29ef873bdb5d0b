"""One film: what is known of it, what each regime makes of it, and what lies near it."""

from explorer.ui import case, parameters
from explorer.ui.shared.frame import page

with page("Case", parameters.CASE) as view:
    film = case.choose_case(view)
    case.film_panel(view, film)
    case.nearest_panel(view, film)
    case.map_panel(view, film)
    case.score_panel(view, film)
