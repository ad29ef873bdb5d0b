"""When to keep silent: the views of triage, abstention and another hospital say what their tables say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from explorer.analysis.triage import bound
from explorer.store.reader import Store
from explorer.tables import abstention, prior_shift, triage
from explorer.tables.labels import by_prevalence, label_counts
from tests.pages import address_of, as_read, assert_whole, open_page, open_sound_page, said

VIEWS = ("triage", "abstain", "elsewhere")
LABEL = "No Finding"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("split", ["test", "val"])
def test_every_view_is_whole_for_every_kind_of_label(store: Store, view: str, split: str) -> None:
    order = by_prevalence(store, split)
    for label in (order[0], order[len(order) // 2], order[-1]):
        assert_whole(open_page("pr_curves", view=view, split=split, label=label, how="true"), "PR curves")


def test_rarest_labels_are_too_few_to_say(store: Store) -> None:
    rarest = by_prevalence(store, "test")[-1]
    assert label_counts(store, "test", rarest)[0] == 0
    for view in ("abstain", "elsewhere"):
        assert "too few" in said(open_sound_page("pr_curves", view=view, label=rarest)).lower()


# --- triage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "level"), [("out", 0.2), ("out", 0.95), ("in", 0.1), ("in", 0.9)])
def test_triage_says_what_its_table_says(store: Store, side: triage.Side, level: float) -> None:
    regime = store.regimes[1]
    app = open_sound_page(
        "pr_curves", view="triage", label="no-finding", side=side, promise=str(level), regime=regime.name
    )
    shown = triage.triage(store, "test", LABEL, side, level)
    assert as_read(triage.sentence(shown, LABEL, side, level, regime.title)) in said(app)
    assert shown.table.equals(app.dataframe[0].value)
    for title, row in shown.chosen.items():
        frame = shown.curves[title]
        if row is None:
            assert (frame["bound"] < level).all()
        else:
            assert row["bound"] >= level
            assert (frame.loc[frame["films"] > row["films"], "bound"] < level).all()


def test_triage_looks_at_validation_alone_and_at_one_film_of_each_patient(store: Store) -> None:
    one, two = (triage.triage(store, split, LABEL, "out", 0.5) for split in ("test", "val"))
    for title in one.curves:
        pd.testing.assert_frame_equal(one.curves[title], two.curves[title])
    val = store.rows("val")
    known = ~np.isnan(store.targets[val, store.labels.index(LABEL)])
    assert one.patients == len(np.unique(store.patients[val[known]]))


def test_the_empty_answer_says_what_it_would_take(store: Store) -> None:
    shown = triage.triage(store, "test", LABEL, "in", 0.99)
    title = store.regimes[0].title
    few = triage.sentence(replace(shown, positives=3), LABEL, "in", 0.99, title)
    assert f"val: 3. Were all ranked first, they would guarantee at most {bound(3, 0):.2f}" in few
    assert "528 without an error are needed" in few
    out = triage.sentence(triage.triage(store, "test", LABEL, "out", 0.99), LABEL, "out", 0.99, title)
    assert "528 patients ruled out without an error are needed" in out
    rare = triage.sentence(triage.triage(store, "test", LABEL, "out", 0.05), LABEL, "out", 0.05, title)
    assert "all films may be ruled out" in rare


# --- another hospital ------------------------------------------------------------------------------------------------


def test_another_hospital_says_what_its_table_says(store: Store) -> None:
    regime = store.regimes[0]
    app = open_sound_page("pr_curves", view="elsewhere", label="no-finding", there="4.5", regime=regime.name)
    shifted = prior_shift.shifted(store, "test", LABEL, regime.name, 0.045)
    assert shifted is not None
    assert as_read(shifted.sentence) in said(app)
    assert shifted.table.equals(app.dataframe[0].value)
    by_key = shifted.frame.set_index(["place", "figure"])["value"]
    for figure in prior_shift.UNCHANGED:
        assert by_key["Here", figure] == by_key["There", figure]
    if "There, best threshold" in shifted.table:
        assert by_key["There, best threshold", "probability"] == pytest.approx(by_key["Here", "probability"])


def test_at_the_sets_own_prevalence_nothing_changes(store: Store) -> None:
    here = prior_shift.prevalence_here(store, "test", LABEL)
    shifted = prior_shift.shifted(store, "test", LABEL, store.regimes[0].name, here)
    assert shifted is not None
    by_key = shifted.frame.set_index(["place", "figure"])["value"]
    for figure in prior_shift.FIGURES:
        assert by_key["Here", figure] == pytest.approx(by_key["There", figure], nan_ok=True)


def test_the_first_prevalence_is_one_to_choose_from(store: Store) -> None:
    for label in store.labels:
        assert prior_shift.first_prevalence(store, "test", label) in prior_shift.PREVALENCES
    app = open_page("pr_curves", view="elsewhere", label="no-finding", there="4.4")
    assert_whole(app, "PR curves")
    assert address_of(app)["there"] != ["4.4"]


# --- abstention ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", abstention.WAYS)
def test_abstention_says_what_its_tables_say(store: Store, way: str) -> None:
    regime = store.regimes[1]
    one = abstention.abstention(store, "test", LABEL, regime.name)
    assert one is not None
    app = open_sound_page(
        "pr_curves", view="abstain", label="no-finding", way=way, coverage="70", regime=regime.name, table="true"
    )
    assert as_read(abstention.sentence(one, LABEL, regime.title, way, 0.7)) in said(app)
    groups = abstention.kept_by_group(store, "test", one, way, 0.7)
    assert as_read(abstention.group_sentence(groups)) in said(app)
    both = groups.set_index("label")
    kept = sum(both.loc[f"label: {side}", ["value", "n_pos"]].prod() for side in ("positive", "negative"))
    assert kept == pytest.approx(round(0.7 * len(one.rows)))
    tables = [frame.value for frame in app.dataframe]
    assert abstention.compare_table(abstention.compare(one)).equals(tables[0])
    assert tables[1]["Label"].tolist()[-len(store.labels) :] == by_prevalence(store, "test")


def test_errors_are_those_of_the_stored_threshold(store: Store) -> None:
    for regime in store.regimes:
        one = abstention.abstention(store, "test", LABEL, regime.name)
        assert one is not None
        c = store.labels.index(LABEL)
        calls = store.logits(regime.name)[one.rows, c] >= store.threshold_array(regime.name)[c]
        np.testing.assert_array_equal(one.loss == 1, calls != (store.targets[one.rows, c] == 1))
        assert not np.isnan(store.targets[one.rows, c]).any()
        curve = abstention.curves(one)["probability"]
        assert curve["value"].iloc[-1] == pytest.approx(one.loss.mean())


def test_leaving_out_groups_of_many_patients_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(900), 2)
    sure = rng.normal(size=1800)
    loss = (rng.normal(size=1800) - sure > 1).astype(float)
    one = abstention.Abstention(np.arange(1800), patients, loss.astype(np.float32), loss, {"probability": sure})
    each = abstention.compare(one).iloc[0]
    monkeypatch.setattr(abstention, "MANY", 800)
    grouped = abstention.compare(one).iloc[0]
    assert grouped["gain"] == each["gain"]
    assert grouped["gain_high"] - grouped["gain_low"] == pytest.approx(each["gain_high"] - each["gain_low"], rel=0.15)
    assert grouped["gain_low"] != each["gain_low"], "groups were left out, not patients"


def test_a_group_that_is_surely_left_out_is_named() -> None:
    frame = pd.DataFrame(
        [("w", "sex: F", 0.5, 0.4, 0.6, 0.8, 40), ("w", "sex: M", 0.75, 0.6, 0.9, 0.8, 40)],
        columns=["series", "label", "value", "ci_low", "ci_high", "baseline", "n_pos"],
    )
    assert "sex: F" in as_read(abstention.group_sentence(frame))
    assert "no group more" in abstention.group_sentence(frame.iloc[1:])
