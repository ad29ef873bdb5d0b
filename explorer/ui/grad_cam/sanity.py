"""The Grad-CAM page's sanity checks: do maps depend on the model, and does the model depend on what they mark?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import sanity
from explorer.figures.saliency import randomisation_curve
from explorer.figures.style import number, with_interval
from explorer.store.saliency import SALIENCY_COMMAND
from explorer.tables import styles
from explorer.tables.glossary import hint
from explorer.ui.grad_cam.agreement import choose_saliency_set, explain_sample
from explorer.ui.shared import cache, download
from explorer.ui.shared.frame import errors_shown
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.saliency import SaliencySet
    from explorer.ui.shared.frame import View

LIGHTS = {"green": "all shown", "orange": "shown in part", "red": "contradicted"}
OPPONENTS = {
    sanity.ROLLED: "The map, against itself rolled",
    sanity.OTHER_FILM: "The map, against another film's",
    sanity.REGION: "Ceiling: annotators' region, against itself rolled",
}


@st.fragment
def sanity_view(view: View) -> None:
    """A verdict for each regime with the figures behind it, the randomisation curve and the other checks."""
    with errors_shown():
        saliency = choose_saliency_set(view.store)
        if saliency is None:
            return
        if not saliency.has_checks:
            st.info("An earlier version checked these maps, against scattered patches alone. Run this to check anew:")
            st.code(SALIENCY_COMMAND, language=None, wrap_lines=True)
            return
        summary = _summary(saliency)
        if summary.empty:
            st.info(f"No film of {saliency.record.split} has a label to look for: nothing could be checked.")
            st.code(SALIENCY_COMMAND, language=None, wrap_lines=True)
            return
        if not sanity.is_complete(summary, [regime.name for regime in view.store.regimes]):
            raise saliency.damaged("sanity", "it lacks a check of a regime")
        st.caption(saliency.title)
        explain_sample(view.store, saliency)
        for regime in view.store.regimes:
            verdict = sanity.verdict(summary, regime.name)
            st.markdown(
                f":{verdict.light}-badge[{LIGHTS[verdict.light]}] **{regime.title}**: {'; '.join(verdict.claims)}."
            )
        _moves(view, saliency, summary)
        _region(view, saliency)
        marks = {r.name: (r.title, styles.of_regime(view.store, r.name)) for r in view.store.regimes}
        download.figure(
            view,
            randomisation_curve(summary, sanity.RANDOM_STEPS, marks, sanity.ALIKE),
            _about_randomisation(view, saliency, summary),
            lambda: summary,
            key="randomisation",
            zoom=True,
            alt="Similarity of maps to themselves while ever more of the model is random",
        )
        st.caption(
            "Green: the map follows the weights, and beats both opponents in both checks, with whole intervals. "
            "Red: it surely stays alike, or an opponent surely beats it. These checks say whether a map follows the "
            "model, not whether the model is right."
        )


@st.cache_data(max_entries=16, show_spinner="Resampling patients", hash_funcs=cache.HASH_FUNCS)
def _summary(saliency: SaliencySet) -> pd.DataFrame:
    return sanity.summarise_checks(saliency.frame("sanity"))


def _moves(view: View, saliency: SaliencySet, summary: pd.DataFrame) -> None:
    """Deletion and insertion of every regime, beside the ceiling and what the test could have seen."""
    rows, blind = [], []
    for regime in view.store.regimes:
        figures = sanity.figures(summary, regime.name)
        mine = summary[(summary["regime"] == regime.name) & (summary["step"] == sanity.ROLLED)].set_index("check")
        for check in sanity.MOVES:
            n, patients = (int(count) for count in mine.loc[[check], ["n", "n_patients"]].to_numpy()[0])
            _, low, high = figures[check, sanity.ROLLED]
            cells = {"Regime": regime.title, "Check": check.capitalize(), "n": f"{n} of {patients} patients"}
            for opponent, title in OPPONENTS.items():
                cells[title] = with_interval(*figures[check, opponent]) if (check, opponent) in figures else "—"
            cells["Would be seen"] = f"{sanity.detectable(low, high, patients):.2f}"
            rows.append(cells)
        blind += [
            f"{regime.title} by {check}"
            for check, shown in sanity.ceiling_shown(summary, regime.name).items()
            if not shown
        ]
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    if blind:
        st.info(
            f"Even the annotators' region does not surely beat itself rolled: {', '.join(blind)}. There, a right map "
            "cannot be told from a wrong one.",
            icon=":material/help:",
        )
    if not saliency.record.n_annotated:
        st.info("No film is marked, so there is no ceiling. The sample of positive films is used.")
    st.caption(
        "Mean gain in logits. Deletion (Petsiuk et al., BMVC 2018): patches are blurred away, the map's highest first. "
        "Insertion: they are brought back. The logit must fall, or rise, faster than in the opponent's order; the "
        "baseline is 0. An opponent has the map's own shape: itself rolled by a quarter of the film or more, or the "
        "same label's map of another patient's film. n: marked pairs of film and label. Would be seen: the "
        "mean gain over the rolled map that 8 of 10 such samples would show. 95% intervals from resampling patients.",
        help=hint("insertion", "deletion"),
    )


@st.cache_data(max_entries=16, show_spinner="Flipping signs", hash_funcs=cache.HASH_FUNCS)
def _occlusion(saliency: SaliencySet, regimes: tuple[str, ...]) -> pd.DataFrame:
    return sanity.occlusion(saliency.frame("sanity"), _summary(saliency), regimes)


def _region(view: View, saliency: SaliencySet) -> None:
    """Does the model use the annotators' region at all? Without any map."""
    if not saliency.record.n_annotated:
        return
    st.markdown("**Does the annotators' region matter to the model?**")
    if not saliency.has_occlusion:
        st.info("An earlier version made these checks, and blanked no regions. Run this to check anew:")
        st.code(SALIENCY_COMMAND, language=None, wrap_lines=True)
        return
    table = _occlusion(saliency, tuple(regime.name for regime in view.store.regimes))
    if table.empty:
        st.info("No region has room elsewhere on its film for an equal one.")
        return
    titles = {regime.name: regime.title for regime in view.store.regimes}
    counts = table[["n", "n_patients"]].to_numpy(dtype=int)
    figures = table[["at_region", "elsewhere", "gap", "ci_low", "ci_high", "p_adjusted"]].to_numpy(dtype=float)
    rows = [
        {
            "Regime": titles[regime],
            "Region used": sanity.region_use(gap, p),
            "Difference": with_interval(gap, low, high),
            "p (Holm)": "—" if np.isnan(p) else f"{p:.3f}",
            "n": f"{n} of {patients} patients",
            "Region blanked": number(at_region, 2),
            "Elsewhere blanked": number(elsewhere, 2),
        }
        for regime, (n, patients), (at_region, elsewhere, gap, low, high, p) in zip(
            table["regime"], counts, figures, strict=True
        )
    ]
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    n, mirrored = int(table["n"].max()), int(table["mirrored"].max())
    st.caption(
        "Mean fall of the label's logit where the region is blurred away, and where an equal region elsewhere on the "
        f"same film is: its mirror image ({mirrored:,} of {n:,} pairs), or else the same shape at random places. "
        "Difference: the first less the second; the baseline is 0. 95% intervals from resampling patients; p from "
        "flipping the sign of patients. This asks the model itself, whatever a map shows. Regions with no room for an "
        "equal one are left out. A blur keeps what is larger than itself, so large regions are tested weakly."
    )


def _about_randomisation(view: View, saliency: SaliencySet, summary: pd.DataFrame) -> download.About:
    sampled = summary[summary["check"] == "randomisation"]
    prompted = next((regime.name for regime in view.store.all_regimes if regime.from_prompts), "")
    wordings = sanity.figures(summary, prompted).get(("prompts", ""))
    wording = f" Maps of two wordings of the prompt: ρ = {with_interval(*wordings)}." if wordings else ""
    films = int(sampled["n"].max())
    sample = saliency.sample_text(view.store)
    return download.About(
        ("Maps of an ever more random model", saliency.title, saliency.record.split),
        f"n = {films:,} films" + (f" from {sample}" if sample else ""),
        f"{films:,} positive films at random, the rarest labels first; mean of "
        f"{int(sampled['n_draws'].max())} draws of random weights (Adebayo et al., NeurIPS 2018). Whiskers span the "
        "95% intervals of all draws. Everything: head, every block, patch embedding, class token and position. "
        f"Above the dashed line two maps are alike: such a map shows the film and not the model.{wording}",
    )
