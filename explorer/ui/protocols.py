"""The protocols page's panels: the paper's figures, and this set under the paper's and the sound protocol."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis import paper
from explorer.analysis.few_shot import MACRO, METRICS
from explorer.analysis.multilabel import complete
from explorer.data.text import in_markdown, plain
from explorer.figures.few_shot import few_shot_curves
from explorer.figures.protocols import learning_curves, protocol_dots
from explorer.figures.style import difference_with_interval
from explorer.store.few_shot import FEW_SHOT_COMMAND, read_few_shot
from explorer.store.reader import Store
from explorer.store.runs import counterpart
from explorer.tables import few_shot as few_shot_tables
from explorer.tables import protocols as protocol_tables
from explorer.tables import styles
from explorer.tables.protocol_scores import RULE_SETS, regime_steps, split_baselines, training_steps
from explorer.tables.protocols import ScoredGroup
from explorer.tables.results import METRIC_TITLES
from explorer.tables.thresholds import has_bare_names
from explorer.tables.training import learning_frame, losses_tried, protocol_title, recipe, start_of
from explorer.ui.models.inference import why_no_prompts
from explorer.ui.shared import address, cache, choose, download
from explorer.ui.shared.cache import HASH_FUNCS
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import figure_title, show_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import plotly.graph_objects as go

    from explorer.data.samples import Split
    from explorer.store.manifest import RegimeRecord
    from explorer.tables.protocol_scores import RuleSet, Step
    from explorer.ui.shared.frame import View

SOURCE = "Sadman, Zulkernine and Kwan, BIOKDD 2025, [arXiv 2506.14136](https://arxiv.org/abs/2506.14136)"
HOW_TO_READ = (
    "Whiskers: 95% intervals from resampling patients; the paper prints none. Grey lines are baselines that never look "
    "at a film: dotted, random; solid, one constant answer."
)
MEASURES = {
    "macro_f1": ("Macro F1", "macro f1"),
    "exact_match": ("Exact match", "exact match"),
    "lrap": ("LRAP (label ranking average precision)", "lrap"),
    "coverage_error": ("Coverage error (lower is better)", "coverage error"),
}
"""By the metric's name: its title, and its term in the glossary."""
CLAIMS = (
    (
        "Zero-shot: LRAP 0.250, coverage error 7.70",
        "A random ranking: 0.244 and 7.93",
        "Its ranking of labels is chance.",
    ),
    (
        "Zero-shot “over-predicts all labels”: macro F1 0.105",
        "Predicting every label of every film: 0.126",
        "The threshold does it: with bare names a cosine is nearly always above 0. The steps above test it.",
    ),
    (
        "Linear probe and fine-tune: LRAP 0.741 and 0.779, coverage error 3.08 and 2.75",
        "Ranking every film by prevalence: about 0.79 and 2.46",
        "No sign that either ranks better than never looking at a film.",
    ),
    (
        "Linear probe and fine-tune: exact match 0.143 and 0.134",
        "Always saying No Finding: about 0.63",
        "The rule does it: with each film's scores stretched to 0..1, all labels in the upper half are predicted.",
    ),
    (
        "Zero-shot and linear probe: inter and intra distances agree to 0.01%",
        "One frozen encoder",
        "The same by construction, not a finding; only their decision spaces differ.",
    ),
    (
        "Thresholds 0.20 to 0.90 swept on test",
        "Thresholds chosen on val",
        "A figure at a threshold chosen on test is optimistic.",
    ),
    ("All figures", "Printed without intervals", "Pneumothorax has about 3 test positives, Consolidation about 5."),
)


# --- parts -----------------------------------------------------------------------------------------------------------


def choose_part(view: View) -> str:
    """One of ``PARTS``."""
    return choose.part(view, "Part", "part", {key: title for key, (title, _) in PARTS.items()})


# --- panels ----------------------------------------------------------------------------------------------------------


@panel
def comparison(view: View) -> None:
    """The paper's table, this set under both protocols and both scoring rules, and the baselines."""
    mine, split = view.store, view.split
    other = counterpart_of(mine)
    own_rules: RuleSet = "paper" if mine.manifest.protocol == "paper" else "sound"
    st.markdown(protocol_tables.beyond_sentence(_scored(mine, split, own_rules)))
    groups, figures = _compared(mine, other, split)
    runs = [run for run in (mine, other) if run is not None]
    about = download.About(
        ("The paper's figures and this set's", split), download.films(view), f"{HOW_TO_READ} {_how_scored(runs, split)}"
    )
    columns = st.columns(2, gap="medium")
    for i, (title, term, figure) in enumerate(figures):
        with columns[i % 2]:
            figure_title(title, terms=(term,))
            download.draw(
                figure,
                alt=f"{title} of the paper and of this set under each protocol, with intervals and baselines",
            )
    download.heading(
        view,
        about,
        lambda: [download.panel(figure, title) for title, _, figure in figures],
        lambda: pd.concat([frame.assign(group=name) for name, frame in groups]),
        key="compared",
    )
    st.caption(HOW_TO_READ)
    if other is None:
        _how_to_make(mine)
    choose.drawer("How the figures are made", "details", partial(_made, runs, split))
    choose.drawer("The same as a table", "table", partial(_figures_table, runs, split, groups), ":material/table:")


def _made(runs: list[Store], split: Split) -> None:
    st.markdown(f"The paper that this explorer follows, {SOURCE}, tests BiomedCLIP on IU-Xray.")
    st.caption(_how_scored(runs, split))


def _figures_table(runs: list[Store], split: Split, groups: list[tuple[str, pd.DataFrame]]) -> None:
    baselines = {_never(run): split_baselines(run, split) for run in runs}
    shown = protocol_tables.figures_table([ScoredGroup(name, frame) for name, frame in groups], baselines)
    show_table(
        shown,
        hide_index=True,
        height="content",
        column_config={"Regime or rule": st.column_config.Column(width=190)},
    )
    st.caption(
        "‡ no better than a baseline that never looks at a film: the figure, or part of its interval, lies on "
        "the wrong side of one."
    )


@panel
def changes(view: View) -> None:
    """One sentence each for what the threshold, the prompt and the training did, and the steps behind them."""
    split = view.split
    mine, other = view.store, counterpart_of(view.store)
    paper_run, sound_run = (mine, other) if mine.manifest.protocol == "paper" else (other, mine)
    run = sound_run or mine
    if run.text_space is None:
        st.info(why_no_prompts(run), icon=":material/text_fields:")
        return
    if not has_bare_names(run):
        st.caption("This run was made before prompt sets were kept. Run precompute again to see the steps.")
        return
    steps = _ladder(run, split)
    positives = float((run.targets[run.rows(split)] == 1).sum(axis=1).mean())
    st.markdown("\n".join(f"- {line}" for line in _sentences(steps, positives)))
    both = None
    if paper_run is not None and sound_run is not None:
        both = {
            regime.title: _training(paper_run, sound_run, split, regime.name)
            for regime in _trained_in_both(paper_run, sound_run)
        }
        st.markdown("\n".join(f"- {_trained(title, ladder, n)}" for title, (ladder, n) in both.items()))
    with st.expander("Step by step", icon=":material/stairs:"):
        show_table(protocol_tables.step_table(steps), hide_index=True, height="content")
        for ladder, _ in (both or {}).values():
            show_table(protocol_tables.step_table(ladder), hide_index=True, height="content")
        st.caption("One change per row, against the row above, on the same films; changes and intervals are paired.")


@panel
def limits(view: View) -> None:
    """What the paper's figures can't support, and how far each label's positives carry."""
    store, split = view.store, view.split
    st.markdown(_table(("Printed", "Beside it", "So"), CLAIMS))
    show_table(_frame("support", store, split), hide_index=True, height="content")
    st.caption(
        "† the interval spans more than half of the range: such a figure alone says next to nothing. The paper's test "
        f"positives are its counts times {paper.TEST_FILMS} of {paper.FILMS:,} films; the third column is Wilson's "
        f"95% interval if half of them were found. Here: {protocol_title(store).lower()}, at thresholds from val, "
        "intervals from resampling patients."
    )


@panel
def domain_scores(view: View) -> None:
    """F1 by the paper's four domains."""
    frame = _frame("domains", view.store, view.split)
    if frame.empty:
        return
    st.subheader("By domain")
    show_table(frame, hide_index=True, height="content")
    st.caption(
        f"{protocol_title(view.store)}. As in the paper, a film has a domain if it has any of its labels. It is "
        "predicted positive for the domain if it is for any label. F1 at thresholds from val with 95% intervals; "
        "the baseline predicts all films positive."
    )


@panel
def embedding_distances(view: View) -> None:
    """The paper's embedding distances, and why two regimes share them."""
    store = view.store
    st.subheader("Distances between classes")
    show_table(_frame("distances", store, view.split), hide_index=True, height="content")
    kept = store.projections(store.regimes[0].encoder) is not None
    st.caption(
        f"{protocol_title(store)}. The paper's measure: a film's class is its first positive label in label order. "
        f"Euclidean, {view.split} films; inter is between class centroids, intra from a film to its own. By chance: "
        "the same with labels shuffled among patients. Small classes' centroids lie apart by noise alone, "
        "so only a ratio above that shows separation. "
        + (
            "Embeddings as the encoder projects them, before unit norm, as in the paper."
            if kept
            else "This run's embeddings have unit length, the paper's do not: compare ratios, not lengths."
        )
    )


@panel
def training(view: View) -> None:
    """How each run was split and trained, what was chosen on validation, and how far figures depend on the seed."""
    mine, split = view.store, view.split
    runs = [run for run in (mine, counterpart_of(mine)) if run is not None]
    recipes = [recipe(run) for run in runs]
    st.markdown(
        _table(
            ("", *map(protocol_title, runs)),
            [
                (in_markdown(name), *(in_markdown(made.get(name, "—"), 400) for made in recipes))
                for name in dict.fromkeys(name for made in recipes for name in made)
            ],
        )
    )
    for run in runs:
        tried = losses_tried(run) if run.manifest.protocol == "sound" else None
        if tried is not None:
            show_table(tried, hide_index=True, height="content")
            st.caption(
                "Losses tried for the probe, each at its own best penalty C. The simplest within one standard error "
                "of the largest macro average precision on val is used for the probe and for what starts from it. "
                "Unknown labels have no part in any of them."
            )
    _learning(view, runs)
    for run in runs:
        spread = _frame("seeds", run, split)
        name = protocol_title(run)
        if spread.empty:
            st.caption(f"{name}: one seed. `--seeds 3` trains three and shows their spread.")
        else:
            show_table(spread, hide_index=True, height="content")
            st.caption(
                f"{name}, by its own rules on {split}: mean ± standard deviation over seeds (lowest to highest), "
                "the split the same. "
                + (
                    "The linear probe minimises one convex or nearly convex objective: no seed changes it."
                    if run.manifest.protocol == "sound"
                    else ""
                )
            )


@panel
def few_shot(view: View) -> None:
    """From how many positives a head on the frozen embedding surely beats zero-shot."""
    store = view.store
    curve = read_few_shot(store)
    if curve is None:
        st.info(f"No few-shot curve lies beside this run. Make one: `{FEW_SHOT_COMMAND}`.", icon=":material/terminal:")
        return
    names = {MACRO: few_shot_tables.MEAN_TITLE, **{label: plain(label, None) for label in store.labels}}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=260):
            st.selectbox("Curve of", list(names), format_func=names.__getitem__, **address.control("curve_of"))
        choose.pick_one("Figure", METRICS, "curve_figure", METRIC_TITLES)
    label, metric = str(address.value("curve_of")), str(address.value("curve_figure"))
    frame = few_shot_tables.curve_frame(curve, label, metric)
    if frame.empty:
        st.info(f"Train has no positive film of {in_markdown(names[label])}.")
        return
    if sentence := few_shot_tables.label_sentence(curve, label):
        st.markdown(sentence)
    record, n = curve.record, frame.iloc[-1]
    ticks = ["0", *map(few_shot_tables.shots_title, record.shots)]
    counts = "" if label == MACRO else f", {int(n['n_pos']):,} positive and {int(n['n_neg']):,} negative"
    download.figure(
        view,
        few_shot_curves(frame, ticks, few_shot_tables.curve_styles(store, curve), METRIC_TITLES[metric]),
        download.About(
            (f"{METRIC_TITLES[metric]} by positives", names[label], "test"),
            f"n = {len(store.rows('test')):,} test films{counts}",
            f"Heads fitted again to patients drawn so that each label has so many positives; mean of {record.draws} "
            f"nested draws. Settings are chosen on val, {len(store.rows('val')):,} films, whatever the number. "
            f"Whiskers are 95% intervals over draws and test patients ({record.resamples} resamples); grey: random "
            "ranking.",
        ),
        lambda: frame,
        key="few-shot",
        alt=f"{METRIC_TITLES[metric]} of {names[label]} against the number of positives, by regime",
    )
    show_table(few_shot_tables.values_table(curve, label, metric), hide_index=True, height="content")
    table = few_shot_tables.sure_table(curve)
    if len(table):
        st.subheader(f"From how many positives surely above {record.reference}?")
        show_table(table, hide_index=True, height="content")
        st.caption(
            "By average precision on test. Surely: from this number on the paired difference stays above 0, with p "
            "below 0.05 after Holm's correction over labels. ΔAP is at the largest number that the label has. The mean "
            "is over the labels that reach the largest number, the same for every point."
        )


PARTS: dict[str, tuple[str, tuple[Callable[[View], None], ...]]] = {
    "figures": ("Figures", (comparison,)),
    "changes": ("What changed them", (changes,)),
    "limits": ("What they can't support", (limits,)),
    "distances": ("Domains and distances", (domain_scores, embedding_distances)),
    "training": ("Training", (training,)),
    "few-shot": ("Few-shot", (few_shot,)),
}


@panel
def _learning(view: View, runs: list[Store]) -> None:
    """How the loss fell in each run, side by side."""
    for column, run in zip(st.columns(2, gap="medium"), runs, strict=False):
        frame = learning_frame(run)
        starts = [
            f"Epoch 0 of {r.title} is {start_of(run, r)}." for r in run.regimes if r.title in set(frame["regime"])
        ]
        with column:
            download.figure(
                view,
                learning_curves(frame, styles.by_title(run)),
                download.About(
                    ("Loss by epoch", protocol_title(run)),
                    f"n = {len(run.rows('train')):,} train films, {len(run.rows('val')):,} val films",
                    f"Ringed: the epoch kept, of least loss on val. {' '.join(starts)} Loss on train "
                    "is taken while training, with what that adds (augmentation, dropped patches), so the two may "
                    "differ.",
                ),
                partial(learning_frame, run),
                key=f"learning-{run.manifest.protocol}",
                zoom=True,
                alt="Loss by epoch",
            )


# --- words -----------------------------------------------------------------------------------------------------------


def _how_to_make(store: Store) -> None:
    other = "sound" if store.manifest.protocol == "paper" else "paper"
    st.info(
        f"This store has no run of these films under the {other} protocol. Make one with the same command and "
        f"`--protocol {other}`, into the same store.",
        icon=":material/terminal:",
    )


def _how_scored(runs: list[Store], split: Split) -> str:
    counts = "; ".join(
        f"{protocol_title(run).lower()}, {len(run.rows(split)):,} films, "
        f"{int(complete(run.targets[run.rows(split)]).sum()):,} with every label known"
        for run in runs
    )
    return (
        f"{split}: {counts}. Exact match, LRAP and coverage error need every label of a film. "
        "A label without a positive in a resample counts "
        "as F1 0, as in the paper. Overview leaves it out, so intervals there differ a little. The paper's films "
        f"are others ({paper.TEST_FILMS} of IU-Xray), and the two protocols split differently: compare each mark with "
        "its own grey lines. Paper's rules, as its published notebook has them: zero-shot from bare names; each film's "
        "scores stretched to 0..1 and predicted positive above 0.5. Sound rules: thresholds of largest F1, and Platt's "
        "probabilities to rank labels by, both from val. The paper's grey lines are worked out from its label counts."
    )


def _trained_in_both(one: Store, other: Store) -> list[RegimeRecord]:
    names = {regime.name for regime in one.regimes}
    return [regime for regime in other.regimes if regime.name in names and not regime.from_prompts]


def _never(run: Store) -> str:
    return f"Never looks at a film ({run.manifest.protocol} split)"


def _sentences(steps: list[Step], positives: float) -> list[str]:
    """What the threshold, the prompt and the training did, from the first ladder."""
    start, cut = (step for step in steps if step.change == "Threshold")
    lines = [
        f"**Threshold.** Zero-shot with bare names and cosine above 0 predicts {start.labels_per_film:.1f} labels per "
        f"film, of {positives:.1f} present, and reaches macro F1 {start.macro_f1[0]:.2f}. Thresholds from val predict "
        f"{cut.labels_per_film:.1f} and reach {cut.macro_f1[0]:.2f}: {_difference_text(cut)}, with nothing "
        "trained or reworded."
    ]
    for step in steps:
        if step.change == "Prompt":
            lines.append(
                f"**Prompt.** {in_markdown(step.rule.removeprefix('… ').capitalize())} in place of bare names: "
                f"macro F1 {step.macro_f1[0]:.2f}, {_difference_text(step)}."
            )
    trained = [step for step in steps if step.change == "Training"]
    against = ["zero-shot", *(f"the {step.rule.split(',')[0].lower()}" for step in trained)]
    effects = "; ".join(
        f"the {step.rule.split(',')[0].lower()} against {before}, {_difference_text(step)}"
        for step, before in zip(trained, against, strict=False)
    )
    return [*lines, f"**Training.** Macro F1 of {effects}."]


def _exact(step: Step) -> str:
    return "unknown" if np.isnan(step.exact_match) else f"{step.exact_match:.2f}"


def _difference_text(step: Step) -> str:
    return f"{difference_with_interval(*step.difference)}, {'beyond' if step.beyond_chance else 'within'} chance"


def _trained(title: str, ladder: list[Step], n: int) -> str:
    table, half, cut, sound = ladder
    return (
        f"**{title}, the paper's protocol against the sound one**, on the {n:,} films both runs hold out. Under the "
        f"paper's, exact match is {_exact(table)} with each film stretched to 0..1 and {_exact(half)} at probability "
        f"0.5: the threshold alone. At thresholds from val, macro F1 is {cut.macro_f1[0]:.2f}; under the sound "
        f"protocol, {sound.macro_f1[0]:.2f}: {_difference_text(sound)}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: a data frame would cut long words off, this wraps them."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


# --- what is kept between visits -------------------------------------------------------------------------------------


def counterpart_of(store: Store) -> Store | None:
    """The run of the same films by the other protocol, if it lies beside this one."""
    root = store.path.parent
    run_id = counterpart(root, store)
    return cache.store(root, run_id) if run_id else None


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _compared(
    mine: Store, other: Store | None, split: Split
) -> tuple[list[tuple[str, pd.DataFrame]], list[tuple[str, str, go.Figure]]]:
    """The groups that are compared; a title, a term and a figure for each measure."""
    groups = [(name, frame) for name, frame in _groups(mine, other, split) if len(frame)]
    figures = []
    for metric, (title, term) in MEASURES.items():
        chosen = [(name, frame[frame["metric"] == metric]) for name, frame in groups]
        values = pd.concat([frame[["value", "ci_high", *protocol_tables.BASELINES]] for _, frame in chosen]).to_numpy()
        top = float(np.nanmax(values)) * 1.05
        figures.append((title, term, protocol_dots(chosen, styles.by_title(mine), (-0.02 * top, top))))
    return groups, figures


def _groups(mine: Store, other: Store | None, split: Split) -> list[tuple[str, pd.DataFrame]]:
    """In the page's order: printed, then as the paper, then sound training by both rules."""
    groups = [protocol_tables.printed_figures(mine)]
    for protocol in ("paper", "sound"):
        run = next((run for run in (mine, other) if run is not None and run.manifest.protocol == protocol), None)
        if run is not None:
            groups += [_scored(run, split, rules) for rules in RULE_SETS]
    return [(group.title, group.frame) for group in groups]


@st.cache_data(max_entries=32, show_spinner="Scoring by both rules", hash_funcs=HASH_FUNCS)
def _scored(store: Store, split: Split, rules: RuleSet) -> ScoredGroup:
    return protocol_tables.scored_figures(store, split, rules)


@st.cache_data(max_entries=16, show_spinner="Scoring the steps", hash_funcs=HASH_FUNCS)
def _ladder(store: Store, split: Split) -> list[Step]:
    return regime_steps(store, split)


@st.cache_data(max_entries=32, show_spinner="Scoring the steps", hash_funcs=HASH_FUNCS)
def _training(paper_run: Store, sound_run: Store, split: Split, regime: str) -> tuple[list[Step], int]:
    return training_steps(paper_run, sound_run, split, regime)


_FRAMES: dict[str, Callable[[Store, Split], pd.DataFrame]] = {
    "support": protocol_tables.support_table,
    "domains": protocol_tables.domain_table,
    "distances": protocol_tables.distance_table,
    "seeds": protocol_tables.seed_table,
}


@st.cache_data(max_entries=64, show_spinner="Measuring", hash_funcs=HASH_FUNCS)
def _frame(name: str, store: Store, split: Split) -> pd.DataFrame:
    return _FRAMES[name](store, split)
