"""Precision against recall and everything that depends on a threshold, for every regime and label."""

from explorer.ui.pr_curves import calibration, curves, joint_labels, report, thresholds
from explorer.ui.shared import choose
from explorer.ui.shared.frame import page

VIEWS = {
    "overview": ("Overview", curves.overview),
    "label": ("One label", curves.one_label),
    "thresholds": ("Thresholds", thresholds.thresholds),
    "calibration": ("Calibration", calibration.calibration_view),
    "together": ("Together", joint_labels.joint_labels),
    "report": ("Report", report.report_view),
}

with page("PR curves") as view:
    names = {key: title for key, (title, _) in VIEWS.items()}
    _, draw = VIEWS[choose.pick_one("View", list(names), "overview", "view", names)]
    draw(view)
