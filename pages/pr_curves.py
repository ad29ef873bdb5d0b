"""Precision against recall and everything that depends on a threshold, for every regime and label."""

from explorer.ui import parameters
from explorer.ui.pr_curves.page import VIEWS, choose_view
from explorer.ui.shared.frame import page

with page("PR curves", parameters.PR_CURVES) as view:
    _, draw = VIEWS[choose_view(view)]
    draw(view)
