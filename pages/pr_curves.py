"""Precision against recall: every regime, every label."""

from explorer.ui import choose, curves
from explorer.ui.frame import page

with page("PR curves") as view:
    label = choose.label(view)
    curves.one_label(view, label)
    curves.table(view, label)
    curves.all_labels(view)
