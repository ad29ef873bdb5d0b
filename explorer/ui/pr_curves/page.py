"""The PR curves page's views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.ui.pr_curves import (
    abstention,
    another_hospital,
    calibration,
    curves,
    joint_labels,
    report,
    thresholds,
    triage,
)
from explorer.ui.shared import choose

if TYPE_CHECKING:
    from explorer.ui.shared.frame import View

VIEWS = {
    "overview": ("Overview", curves.overview),
    "one": ("One label", curves.one_label),
    "thresholds": ("Thresholds", thresholds.thresholds),
    "calibration": ("Calibration", calibration.calibration_view),
    "triage": ("Triage", triage.triage_view),
    "abstain": ("Abstention", abstention.abstention_view),
    "elsewhere": ("Another hospital", another_hospital.another_hospital),
    "together": ("Together", joint_labels.joint_labels),
    "report": ("Report", report.report_view),
}


def choose_view(view: View) -> str:
    """One of ``VIEWS``."""
    return choose.part(view, "View", "view", {key: title for key, (title, _) in VIEWS.items()})
