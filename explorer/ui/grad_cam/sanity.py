"""The Grad-CAM page's sanity checks: do maps depend on the model, and does the model depend on what they mark?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer.analysis import sanity
from explorer.figures.saliency import randomisation_curve
from explorer.figures.style import regime_style, with_interval
from explorer.store.saliency import saliency_command
from explorer.ui.grad_cam.agreement import choose_saliency_set
from explorer.ui.shared import cache
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.saliency import SaliencySet
    from explorer.ui.shared.frame import View

WORDS = {"green": "means something", "orange": "in doubt", "red": "not shown to mean anything"}
CHECKS = {
    "deletion": "Deletion: logit lost beyond patches at random",
    "insertion": "Insertion: logit gained beyond patches at random",
    "prompts": "Wording: similarity of maps of two prompt sets",
}


@st.fragment
def sanity_view(view: View) -> None:
    """A verdict for each regime with the figures behind it, the randomisation curve and the other checks."""
    with errors_shown():
        saliency = choose_saliency_set(view.store)
        if saliency is None:
            return
        summary = _summary(saliency)
        if summary.empty:
            st.info(f"No film of {saliency.record.split} has a label to look for: nothing could be checked.")
            st.code(saliency_command(view.store), language=None)
            return
        st.caption(saliency.title)
        for regime in view.store.regimes:
            light, sentence = sanity.traffic_light(summary, regime.name)
            st.markdown(f":{light}-badge[{WORDS[light]}] **{regime.title}**: {sentence}")
        styles = {r.name: (r.title, regime_style(i)) for i, r in enumerate(view.store.regimes)}
        st.plotly_chart(
            randomisation_curve(summary, sanity.RANDOM_STEPS, styles, sanity.ALIKE),
            key="randomisation",
            alt="Similarity of maps to themselves while ever more of the model is random",
        )
        _others(view, summary)
        st.caption(
            "Films at random, the rarest labels first. Random: layers from the head down get random weights (Adebayo "
            "et al., NeurIPS 2018); a map that stays alike shows the film and not the model. The dashed line is where "
            "two maps are called alike. Deletion and insertion (Petsiuk et al., BMVC 2018): patches are blurred away, "
            "or brought back, in the map's order or at random; the baseline is 0. Green: surely no longer alike, and "
            "both surely beat a random order. Red: surely alike, or neither beats a random order. 95% intervals from "
            "resampling patients. These checks say whether a map follows the model, not whether the model is right."
        )


@st.cache_data(max_entries=16, show_spinner="Resampling patients", hash_funcs=cache.HASH_FUNCS)
def _summary(saliency: SaliencySet) -> pd.DataFrame:
    return sanity.summarise_proof(saliency.frame("proof"))


def _others(view: View, summary: pd.DataFrame) -> None:
    rows = []
    for regime in view.store.regimes:
        mine = summary[(summary["regime"] == regime.name) & (summary["step"] == "")].set_index("check")
        numbers = mine[["value", "ci_low", "ci_high"]].astype(float).T.to_dict("list")
        cells = {"Regime": regime.title}
        for check, title in CHECKS.items():
            cells[title] = with_interval(*numbers[check]) if check in numbers else "—"
        rows.append(cells)
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
