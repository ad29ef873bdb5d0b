"""The Grad-CAM page's agreement view: do the maps of a split lie where the annotators marked?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import localisation as loc
from explorer.analysis.evidence import FEW
from explorer.data.regions import with_shape
from explorer.data.text import csv, in_markdown
from explorer.figures.dots import dots
from explorer.figures.style import with_interval
from explorer.store.saliency import SALIENCY_COMMAND, list_saliency
from explorer.tables import styles
from explorer.ui.grad_cam.controls import set_key
from explorer.ui.shared import address, cache, choose, download
from explorer.ui.shared.build import stage_under_way
from explorer.ui.shared.frame import errors_shown, panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from explorer.store.saliency import SaliencySet
    from explorer.ui.shared.frame import View


@st.fragment
def agreement_view(view: View) -> None:
    """One metric of every label and regime beside its baselines, and all figures in a table."""
    with errors_shown():
        saliency = choose_saliency_set(view.store)
        if saliency is None or not _is_annotated(view.store, saliency):
            return
        metric = choose.pick_one("Figure", list(loc.METRICS), "figure", loc.METRICS)
        table = _table(saliency)
        st.markdown(agreement_sentence(view.store, table, metric))
        explain_sample(view.store, saliency)
        _chart(view, saliency, table, metric)
        _all_figures(view.store, table, metric)
        _notes(saliency)
        _sizes(view.store, saliency, metric)
        _presence(view.store, saliency)


def choose_saliency_set(store: Store) -> SaliencySet | None:
    """One of the run's sets of maps; where there is none, the page names the command that makes one."""
    sets = list_saliency(store)
    if not sets:
        if stage := stage_under_way(store.path.parent):
            st.info(
                f"A job is at work on this store. {stage}. Reload this page later.", icon=":material/hourglass_top:"
            )
        n = len(with_shape(cache.run_annotations(store)))
        st.info(
            f"Maps are checked by a batch job, which has not finished. The run has {n:,} annotations."
            + ("" if n else " Without any, agreement cannot be measured: import some, or mark films yourself."),
            icon=":material/hourglass_empty:",
        )
        st.code(SALIENCY_COMMAND, language=None, wrap_lines=True)
        return None
    titles = {set_key(one): in_markdown(one.title) for one in sets}
    if len(sets) > 1:
        choose.pick_one("Maps", list(titles), "maps", titles)
    return sets[list(titles).index(address.value("maps"))]


def _is_annotated(store: Store, saliency: SaliencySet) -> bool:
    """Whether there is anything to agree with."""
    record = saliency.record
    if not record.n_annotated:
        did = "saw anything to mark in" if record.n_absent else "marked"
        st.info(
            f"{saliency.title}: the maps are there, but no annotator {did} a film of {record.split}. Agreement is not "
            "known. Import annotations or mark films, then run the job again.",
            icon=":material/help:",
        )
        st.code(SALIENCY_COMMAND, language=None, wrap_lines=True)
    return record.n_annotated > 0


@st.cache_data(max_entries=16, show_spinner="Resampling patients", hash_funcs=cache.HASH_FUNCS)
def _table(saliency: SaliencySet) -> pd.DataFrame:
    return loc.summarise_localisation(saliency.frame("agreement"))


def agreement_sentence(store: Store, table: pd.DataFrame, metric: str) -> str:
    """How often each regime beats the centre prior, in one sentence.

    Parameters
    ----------
    table : DataFrame
        As :func:`explorer.analysis.localisation.summarise` gives it.
    """
    part = table[(table["metric"] == metric) & (table["label"] != loc.ALL)]
    parts = []
    for regime in store.regimes:
        mine = part[part["source"] == regime.name]
        above, sure = int((mine["gain"] > 0).sum()), int((mine["gain_low"] > 0).sum())
        parts.append(f"{regime.title} {above} of {len(mine)} ({sure} with its whole interval)")
    return (
        f"{loc.METRICS[metric]}: labels in which a regime lies above a blob in the middle of every film: "
        f"{', '.join(parts)}."
    )


def _chart(view: View, saliency: SaliencySet, table: pd.DataFrame, metric: str) -> None:
    store = view.store
    part = table[table["metric"] == metric]
    prior = part[part["source"] == loc.CENTRE].set_index("label")
    frame = part[part["source"].isin([regime.name for regime in store.regimes])].copy()
    frame["series"] = frame["source"].map({regime.name: regime.title for regime in store.regimes})
    frame["baseline"] = frame["label"].map(prior["value"])
    frame["n_pos"] = frame["n"]
    order = prior["value"].where(prior.index != loc.ALL, 2).sort_values(ascending=False).index
    frame = frame.sort_values("label", key=lambda names: names.map(order.get_loc), kind="stable")
    download.figure(
        view,
        dots(frame, styles.by_title(store), loc.METRICS[metric], FEW),
        download.About(
            (loc.METRICS[metric], saliency.title, saliency.record.split),
            f"n = {saliency.record.n_annotated:,} marked pairs of film and label{_of_sample(store, saliency)}",
            "In brackets, marked films. The grey tick is the centre prior: a blob in the middle of every film. Grey "
            f"marks: fewer than {FEW} films. 95% intervals from resampling patients.",
            ("pointing game",),
        ),
        lambda: frame,
        key="agreement",
        alt=f"{loc.METRICS[metric]} of every label and regime beside the centre prior",
    )


def _all_figures(store: Store, table: pd.DataFrame, metric: str) -> None:
    part = table[table["metric"] == metric]
    titles = {regime.name: regime.title for regime in store.regimes}
    titles |= {loc.mean_map(regime.name): f"Mean map, {regime.title}" for regime in store.regimes}
    sources = set(part["source"])
    priors = [source for source in (loc.CENTRE, loc.LUNG, loc.RANDOM, loc.READER) if source in sources]
    columns = [*(r.name for r in store.regimes), *priors, *(loc.mean_map(r.name) for r in store.regimes)]
    rows = []
    for label, mine in part.groupby("label", sort=False):
        by_source = mine.set_index("source")
        numbers = by_source[["value", "ci_low", "ci_high", "gain_low", "gain_high"]].astype(float).T.to_dict("list")
        cells: dict[str, object] = {"Label": label, "n": int(by_source.loc[loc.CENTRE, "n"])}  # type: ignore[arg-type]
        for source in columns:
            if source not in by_source.index:
                cells[titles.get(source, source.capitalize())] = "—"
                continue
            value, low, high, gain_low, gain_high = numbers[source]
            mark = " ▲" if gain_low > 0 else " ▼" if gain_high < 0 else ""
            cells[titles.get(source, source.capitalize())] = with_interval(value, low, high) + mark
        rows.append(cells)
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    st.download_button(
        "All figures",
        csv(table),
        file_name="agreement.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


@st.cache_data(max_entries=16, show_spinner="Resampling patients", hash_funcs=cache.HASH_FUNCS)
def _by_size(saliency: SaliencySet) -> pd.DataFrame:
    return loc.by_size(saliency.frame("agreement"))


@panel
def _sizes(store: Store, saliency: SaliencySet, metric: str) -> None:
    """The figure in small, medium and large regions; asked only where each may hold FEW of them."""
    if saliency.record.n_annotated < FEW * len(loc.SIZES):
        return
    table = _by_size(saliency)
    part = table[table["metric"] == metric]
    titles = {regime.name: regime.title for regime in store.regimes} | {loc.CENTRE: loc.CENTRE.capitalize()}
    columns = ["value", "ci_low", "ci_high", "smallest", "largest", "n"]
    rows = []
    for size in (size for size in loc.SIZES if size in set(part["label"])):
        mine = part[part["label"] == size].set_index("source")
        figures = mine[columns].astype(float).T.to_dict("list")
        *_, smallest, largest, n = figures[loc.CENTRE]
        cells = {"Region": size, "n": int(n), "Share of the film": f"{smallest:.1%} to {largest:.1%}"}
        cells |= {title: with_interval(*figures[source][:3]) for source, title in titles.items()}
        rows.append(cells)
    st.markdown(f"**{loc.METRICS[metric]} by the region's size**")
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption(
        "Thirds of the marked pairs by the region's share of the film. A map of even noise reaches more in a larger "
        "region, so only figures of one size compare. 95% intervals from resampling patients."
    )


@panel
def _presence(store: Store, saliency: SaliencySet) -> None:
    """Whether annotators agree that a label is there at all; asked only where one of them said that it is not."""
    annotations = cache.run_annotations(store)
    in_split = store.samples["split"].eq(saliency.record.split).to_numpy()[annotations["row"]]
    annotations = annotations[in_split & annotations["label"].isin(saliency.record.labels)]
    table = loc.presence(annotations, store.patients)
    if table.empty:
        return
    st.markdown("**Do annotators agree that there is something to mark?**")
    numbers = table[["agree", "ci_low", "ci_high", "chance", "kappa"]].where(table["n"] >= FEW)
    cells = [
        (with_interval(agree, low, high), *("—" if np.isnan(value) else f"{value:.2f}" for value in others))
        for agree, low, high, *others in numbers.to_numpy(dtype=float)
    ]
    shown = pd.concat([table[["label", "n"]], pd.DataFrame(cells)], axis=1)
    show_table(shown.set_axis(["Label", "n", "Agree", "By chance", "Kappa"], axis=1), hide_index=True, height="content")
    st.caption(
        f"n: films that two or more annotators looked at; under {FEW} no figure. Agree: share of pairs of "
        "annotators who say the same, marked or nothing to mark. By chance: the agreement of annotators who call the "
        "label present as often, whatever the film. Kappa: Fleiss (1971), 0 at chance, 1 at full agreement."
    )


def _of_sample(store: Store, saliency: SaliencySet) -> str:
    sample = saliency.sample_text(store)
    return f", {sample}" if sample else ""


def explain_sample(store: Store, saliency: SaliencySet) -> None:
    """Where the maps are a sample's: how many films it has, and the command for all."""
    if sample := saliency.sample_text(store):
        st.caption(f"Maps of {sample}. For all films: `{SALIENCY_COMMAND}`.")


def _notes(saliency: SaliencySet) -> None:
    record = saliency.record
    left_out = (
        f"; {record.n_absent:,} more, in which most annotators marked nothing, have no region and are left out"
        if record.n_absent
        else ""
    )
    st.caption(
        f"{saliency.title}, {record.split}, {record.n_annotated:,} pairs of film and label{left_out}. ▲ ▼: the "
        "paired difference from the centre prior has its whole interval above or below 0. Random: a map of even "
        "noise. Lung prior: two fixed ellipses. Mean map: every film gets its label's mean map of val, so a regime "
        "above it looks at the film and not at the label's usual place. Another reader: how well annotators "
        "agree, the ceiling; one who marked nothing scores 0. IoU and Dice at a threshold chosen on val. A map of "
        "zeros scores 0; what is cropped away is missed. Research use only: agreement with a mark is no "
        "proof of a right reason."
    )
