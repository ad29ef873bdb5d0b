"""Label errors: a queue of doubted labels, and a place to say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.flag_power import TRIAL_SHARE, flag_power
from explorer.analysis.operating import wilson
from explorer.data.text import in_markdown, plain
from explorer.figures.style import number
from explorer.store.layout import LABEL_TRIAL, reviews_file
from explorer.store.manifest import FROZEN
from explorer.store.reviews import VERDICTS, Review, add_review, as_csv, latest, read_reviews
from explorer.tables.labels import positive_labels
from explorer.ui.shared import access, activity, address, choose
from explorer.ui.shared.frame import panel
from explorer.ui.shared.gallery import links
from explorer.ui.shared.show import show_film, show_table

if TYPE_CHECKING:
    from pathlib import Path

    from explorer.store.audit import LabelAudit
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store
    from explorer.ui.shared.frame import View

ALL = ".all"
"""In place of a label."""
STATES = {"to-review": "to review", "reviewed": "reviewed", "all": "all"}
LISTED = 100
HELP = {"keep": "the label is right", "wrong": "it is the other way", "unsure": "cannot be said: it becomes unknown"}


def label_errors_view(view: View) -> None:
    """The queue, one label with its film, and the reviews so far."""
    store = view.store
    store.file(LABEL_TRIAL)  # says so where an earlier version made the run
    if not store.audit.regimes:
        st.info("No regime shown was fitted to labels, so none can doubt them.", icon=":material/rule:")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        regime = _regime(store)
        with st.container(width=240):
            st.selectbox(
                "Doubted label",
                [ALL, *store.labels],
                format_func=lambda name: "All labels" if name == ALL else plain(name, None),
                **address.control("doubted"),
            )
        wanted = str(address.value("doubted"))
        state = choose.pick_one("Show", list(STATES), "show", STATES)
    audit = store.audit.labels(regime.name)
    file = reviews_file(store.path.parent, store.manifest.run_id)
    reviewed = latest(read_reviews(file))
    queue = _queue(store, audit, wanted, reviewed)
    kept = queue if state == "all" else queue[(queue["verdict"] != "") == (state == "reviewed")]
    _describe(store, regime, audit, len(queue), len(reviewed))
    _power(store, regime, audit)
    if kept.empty:
        st.info(f"Nothing {STATES[state]}." if len(queue) else "Nothing is flagged.")
    else:
        place = _place(len(kept))
        _one(view, kept.iloc[place - 1], file)
        st.subheader("The queue")
        listed = kept.head(LISTED).drop(columns=["row", "column"])
        show_table(listed.assign(place=range(1, len(listed) + 1)).set_index("place"), height=320)
        if len(kept) > LISTED:
            st.caption(f"The first {LISTED} of {len(kept):,}.")
    _export(store, file)


def _place(length: int) -> int:
    """The place in a queue of so many; one beyond its end is named, and the last one is shown."""
    asked = int(address.value("place"))
    if asked > length:
        st.warning(
            f"The queue has {length:,} places, not {asked:,}: the last one is shown.", icon=":material/link_off:"
        )
        address.choose(place=length)
    return int(st.number_input(f"Place in the queue, of {length:,}", 1, length, width=220, **address.control("place")))


def _regime(store: Store) -> RegimeRecord:
    names = {regime.name: in_markdown(regime.title) for regime in store.audit.regimes}
    return store.regime(choose.pick_one("Doubted by", list(names), "doubter", names))


@panel
def _describe(store: Store, regime: RegimeRecord, audit: LabelAudit, n: int, reviewed: int) -> None:
    judged = int((~np.isnan(audit.quality)).sum())
    unknown = int(np.isnan(store.targets).sum())
    how = (
        "a logistic regression on the frozen embedding, cross-fitted by patient over all films"
        if regime.encoder == FROZEN
        else "its own scores on val and test, by Platt's map fitted on val. Films it was trained on are left out: it "
        "has seen their labels"
    )
    st.caption(
        f"{regime.title}: {how}. Of {judged:,} labels judged, {n:,} here are flagged by confident learning (cleanlab), "
        f"least probable first; {unknown:,} unknown labels are never flagged. A flag is a doubt, not an error: a rare "
        f"or faint sign is doubted too. {reviewed:,} reviewed so far."
    )


@panel
def _power(store: Store, regime: RegimeRecord, audit: LabelAudit) -> None:
    """What flags find where it is known which labels are wrong: in the run's trial, and in a set of phantoms."""
    tables = {}
    if regime.encoder == FROZEN:
        tables[f"{TRIAL_SHARE:.0%} of this set's labels inverted as a trial"] = store.audit.label_trial
    if store.audit.truth is not None:
        wrong = ~np.isnan(store.targets) & (store.targets != store.audit.truth)
        tables["The phantoms' own wrong labels"] = flag_power(
            store.targets, wrong, np.asarray(audit.quality), np.asarray(audit.flagged)
        )
    if not tables:
        return
    st.markdown("**How far flags can be trusted**")
    lines = []
    for title, table in tables.items():
        for given, counts in table.set_index("given").iterrows():
            judged, wrong_ones, flags, hits, top, top_hits = (int(count) for count in counts)
            lines.append(
                {
                    "Wrong labels": title,
                    "Given as": given,
                    "Wrong": f"{wrong_ones:,} of {judged:,}",
                    "Flags that are wrong": _share(hits, flags),
                    "Wrong that are flagged": _share(hits, wrong_ones),
                    "Of the first flags": f"{top_hits} of {top}",
                    "By chance": f"{wrong_ones / judged:.1%}" if judged else "—",
                }
            )
    show_table(pd.DataFrame(lines), hide_index=True, height="content")
    st.caption(
        "Flags that are wrong: precision. By chance: the share of wrong labels, its baseline. Wrong that are flagged: "
        "recall. With 95% Wilson intervals. In the trial the probe is fitted anew, and only inverted labels count as "
        "wrong: its precision is a lower bound."
    )


def _share(hits: int, n: int) -> str:
    if not n:
        return "—"
    low, high = wilson(hits, n)
    return f"{hits / n:.0%} [{low:.0%}, {high:.0%}] ({hits} of {n})"


def _queue(store: Store, audit: LabelAudit, wanted: str, reviewed: dict[tuple[str, str], Review]) -> pd.DataFrame:
    """Flagged labels, least probable first: row, column, film, label, given, probability, split, verdict."""
    rows, columns = np.nonzero(audit.flagged)
    if wanted != ALL:
        mine = columns == store.labels.index(wanted)
        rows, columns = rows[mine], columns[mine]
    quality = np.asarray(audit.quality)[rows, columns]
    order = np.argsort(quality, kind="stable")
    rows, columns = rows[order], columns[order]
    films = store.samples["sample_id"].to_numpy(object)[rows]
    labels = [store.labels[c] for c in columns]
    verdicts = [
        reviewed[key].verdict if (key := (film, label)) in reviewed else ""
        for film, label in zip(films, labels, strict=True)
    ]
    return pd.DataFrame(
        {
            "row": rows,
            "column": columns,
            "film": films,
            "label": labels,
            "given": np.where(store.targets[rows, columns] == 1, "positive", "negative"),
            "probability of it": [f"{p:.4f}" for p in quality[order]],
            "split": store.samples["split"].to_numpy(object)[rows],
            "verdict": verdicts,
        }
    )


@panel
def _one(view: View, item: pd.Series, file: Path) -> None:
    """One label: its film, what is known of it, and the verdict."""
    store = view.store
    row, label = int(item["row"]), str(item["label"])
    sample = store.samples.iloc[row]
    picture, words, verdict = st.columns([4, 5, 4], gap="medium")
    with picture:
        show_film(store, row, "stretch")
        links(str(item["film"]))
    with words:
        st.markdown(
            f"**{in_markdown(item['film'])}** · {sample['split']}  \n**{in_markdown(label)}** is given as "
            f"**{item['given']}**"
        )
        st.markdown(
            " ".join(f":blue-badge[{in_markdown(name)}]" for name in positive_labels(store, row)) or "no positive label"
        )
        show_table(_scores(store, row, int(item["column"])), hide_index=True, height="content")
        st.caption("Unseen: the probability of the label from a model that had not seen this film.")
        if sample["report"]:
            st.markdown("> " + str(sample["report"]).replace("\n", "\n> "))
    with verdict:
        _verdict(store, item, file)


def _scores(store: Store, row: int, column: int) -> pd.DataFrame:
    lines = []
    for regime in store.regimes:
        logit, threshold = float(store.logits(regime.name)[row, column]), store.threshold_array(regime.name)[column]
        trained = store.samples["split"].iat[row] in regime.fitted_on
        predicted = "no threshold" if np.isnan(threshold) else "positive" if logit >= threshold else "negative"
        line = {
            "Regime": regime.title,
            "Logit": number(logit),
            "Predicted": predicted + (", trained on it" if trained else ""),
        }
        if any(r.name == regime.name for r in store.audit.regimes):
            chance = float(store.audit.labels(regime.name).probabilities[row, column])
            line["Unseen"] = "—" if np.isnan(chance) else f"{chance:.3f}"
        lines.append(line)
    return pd.DataFrame(lines).fillna("—")


def _verdict(store: Store, item: pd.Series, file: Path) -> None:
    visitor = access.admitted()
    if not visitor.may_mark:
        st.caption("This viewer is read-only: labels cannot be reviewed here.")
        return
    film, label = str(item["film"]), str(item["label"])
    with st.form(f"review-{film}-{label}"):
        chosen = st.segmented_control("The label is", VERDICTS, key=f"verdict-{film}-{label}")
        st.caption(" · ".join(f"{name}: {text}" for name, text in HELP.items()))
        note = st.text_input("Note", max_chars=2000, key=f"note-{film}-{label}")
        reviewer = visitor.address or st.text_input(
            "Your name", st.session_state.get("reviewer_name", ""), max_chars=100
        )
        if st.form_submit_button("Save", icon=":material/save:"):
            if chosen is None or not reviewer.strip():
                st.warning("Choose keep, wrong or unsure, and give your name.")
                return
            st.session_state["reviewer_name"] = reviewer.strip()
            review = Review(
                sample_id=film,
                label=label,
                verdict=chosen,
                given=1 if item["given"] == "positive" else 0,
                note=note.strip(),
                reviewer=reviewer.strip(),
            )
            add_review(file, review)
            activity.record("reviewed", review.reviewer, run=store.run_id, film=film, label=label)
            st.rerun()


@panel
def _export(store: Store, file: Path) -> None:
    reviews = read_reviews(file)
    if not reviews:
        return
    with st.container(key="reviews"):
        st.subheader("Reviews")
        show_table(pd.DataFrame([r.model_dump() for r in latest(reviews).values()]), hide_index=True)
        st.download_button(
            "Corrections as CSV",
            as_csv(reviews),
            file_name=f"{store.manifest.run_id}-corrections.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption(
            "`python -m precompute run … --corrections FILE` reads it: wrong labels are inverted, unsure ones become "
            "unknown. The run it makes says so."
        )
