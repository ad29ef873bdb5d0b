"""One film: what is known of it, what each regime makes of it, and what lies near it."""

from explorer.ui import case
from explorer.ui.shared.frame import page

with page("Case") as view:
    film = case.ask(view)
    case.picture(view, film)
    case.scores(view, film)
    case.near(view, film)
    case.on_maps(view, film)
