"""Precision against recall, and all that follows from a threshold: every regime, every label."""

from explorer.ui.pr_curves import calibration, curves, report, together
from explorer.ui.pr_curves import thresholds as operating
from explorer.ui.shared import choose
from explorer.ui.shared.frame import page

VIEWS = {
    "overview": ("Overview", curves.overview),
    "label": ("One label", curves.one_label),
    "thresholds": ("Thresholds", operating.thresholds),
    "calibration": ("Calibration", calibration.calibration),
    "together": ("Together", together.together),
    "report": ("Report", report.report),
}

with page("PR curves") as view:
    names = {key: title for key, (title, _) in VIEWS.items()}
    _, draw = VIEWS[choose.pick_one("View", list(names), "overview", "view", names)]
    draw(view)
