"""Precision against recall: every regime, every label."""

import streamlit as st

from explorer.ui import choose, curves
from explorer.ui.frame import page

with page("PR curves") as view:
    label = choose.label(view)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        curves.one_label(view, label)
    with right:
        curves.table(view, label)
    curves.all_labels(view)
