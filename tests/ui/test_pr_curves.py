"""The PR page's views over a real store: whole in every state, and the numbers of one view are those of another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from explorer.analysis.calibration import TEMPERATURES
from explorer.analysis.differences import COMPARED
from explorer.analysis.metrics import MACRO, MACRO_ALL, METRICS
from explorer.analysis.pooled import MICRO
from explorer.data.text import plain
from explorer.store.reader import Store
from explorer.tables import curves as curve_tables
from explorer.tables import report as report_files
from explorer.tables.labels import by_prevalence, label_counts
from explorer.tables.protocol_scores import predict
from explorer.tables.results import merits
from explorer.tables.thresholds import RULE_TITLES, RuleChoice, operating_point
from explorer.ui.shared.gallery import PAGE
from tests.pages import as_read, assert_whole, open_page, said

VIEWS = ("Overview", "One label", "Thresholds", "Calibration", "Together", "Report")


def opened(view: str, **query: str) -> AppTest:
    return open_page("pr_curves", view=view, **query)


def common(store: Store) -> str:
    """The label with most positives in test that names a finding."""
    return next(label for label in by_prevalence(store, "test") if label != "No Finding")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_whole(store: Store, view: str) -> None:
    app = opened(view, few="1", label=common(store))
    assert_whole(app, "PR curves")
    assert "interval" in said(app)


def test_orders_are_what_they_say_with_too_few_last(store: Store) -> None:
    by_key = merits(store, "test")
    enough = [n for n in store.labels if label_counts(store, "test", n)[0] >= 2]

    def best(name: str) -> float:
        return max(by_key[regime.name, name, "average_precision"].value for regime in store.regimes)

    names = curve_tables.sorted_labels(store, "test", "ap", 2)
    assert set(names[: len(enough)]) == set(enough)
    assert [best(n) for n in names[: len(enough)]] == sorted(map(best, enough), reverse=True)
    by_count = [label_counts(store, "test", n)[0] for n in curve_tables.sorted_labels(store, "test", "prevalence", 1)]
    assert by_count[0] == max(by_count)


@pytest.mark.parametrize("view", ["One label", "Thresholds", "Calibration"])
def test_every_view_is_whole_for_a_label_without_positives(store: Store, view: str) -> None:
    rarest = by_prevalence(store, "test")[-1]
    assert label_counts(store, "test", rarest)[0] == 0, "the tiny store has such a label"
    app = opened(view, label=rarest, few="1")
    assert_whole(app, "PR curves")
    assert "too few to say" in said(app).lower()


@pytest.mark.parametrize(("curve", "sort"), [("PR", "AP"), ("ROC", "AP lift"), ("PR-gain", "Regime difference")])
def test_every_curve_in_any_order_draws_every_label(store: Store, curve: str, sort: str) -> None:
    app = opened("Overview", sort=sort, few="1", **{"curve-kind": curve})
    assert_whole(app, "PR curves")
    names = [*curve_tables.pool_names(store, "test"), *store.labels]
    (drawn,) = (part.proto for part in app.get("bidi_component") if part.proto.component_name.endswith("curve_cards"))
    cards = json.loads(drawn.json)["cards"]
    with_curve = {name for name in names if curve_tables.scored_counts(store, "test", name)[0]}
    assert {card["title"] for card in cards} == {plain(curve_tables.pool_title(name), None) for name in with_curve}
    assert with_curve < set(names), "the tiny store has labels without a positive"
    (line,) = (line for line in said(app).splitlines() if line.startswith("Too few positives for a curve"))
    assert all(curve_tables.pool_title(name) in line for name in set(names) - with_curve)
    assert all("<svg" not in card["html"] for card in cards), "Streamlit takes it out: it comes as a picture"


def test_a_pool_opens_by_its_name(store: Store) -> None:
    app = opened("One label", few="1", label=curve_tables.pool_title(MICRO))
    assert_whole(app, "PR curves")
    assert f"**{curve_tables.pool_title(MICRO)}** in test" in said(app)
    mean = curve_tables.pool_title(MACRO_ALL)
    app = opened("One label", few="1", label=mean)
    assert_whole(app, "PR curves")
    assert f"**{mean}** in test" in said(app)


def test_temperatures_are_shown_and_one_at_an_end_of_its_search_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("Calibration", fitted="Temperature", label=common(store), few="1")
    assert_whole(app, "PR curves")
    methods, weak, every = (frame.value for frame in app.dataframe[:3])
    assert {"Calibration in the large", "Intercept", "Slope"} <= set(weak)
    assert methods["Probabilities"].str.contains(r"Temperature, T = [\d.]+").sum() == len(store.regimes)
    assert {f"T: {regime.title}" for regime in store.regimes} <= set(every)
    assert "does not hold 0" in said(app)
    monkeypatch.setattr("explorer.ui.pr_curves.calibration.temperature", lambda targets, logits: TEMPERATURES[1])
    st.cache_data.clear()
    app = opened("Calibration", label=common(store), few="1")
    assert "larger logits do not mean the label" in said(app)
    assert app.dataframe[0].value["Probabilities"].str.contains("end of search").sum() == len(store.regimes)


@pytest.mark.parametrize("rule", ["recall", "cosine", "typed", "share"])
def test_every_kind_of_rule_draws_whole(store: Store, rule: str) -> None:
    app = opened("Thresholds", rule=RULE_TITLES[rule], label=common(store))
    assert_whole(app, "PR curves")
    table = app.dataframe[0].value
    assert table["Regime"].tolist() == [regime.title for regime in store.regimes]
    assert {"Recall", "Precision", "F1", "MCC", "NPV", "Specificity"} <= set(table)


@pytest.mark.parametrize("cell", ["tp", "gained", "down", "nonsense"])
def test_a_cell_shows_its_films_and_no_others(store: Store, cell: str) -> None:
    label = common(store)
    app = opened("Thresholds", cell=cell, label=label, regime=store.regimes[0].title)
    assert_whole(app, "PR curves")
    rows, c = store.rows("test"), store.labels.index(label)
    right = [
        np.asarray(store.logits(r.name)[rows, c] >= store.threshold_array(r.name)[c]) == (store.targets[rows, c] == 1)
        for r in store.regimes
    ]
    predicted = np.asarray(
        store.logits(store.regimes[0].name)[rows, c] >= store.threshold_array(store.regimes[0].name)[c]
    )
    truth, known = store.targets[rows, c] == 1, ~np.isnan(store.targets[rows, c])
    expected = {
        "tp": truth & predicted,
        "gained": known & ~right[0] & right[-1],
        "down": np.zeros(len(rows), bool),
    }.get(cell, known & ~truth & predicted)
    ids = store.samples["sample_id"].to_numpy()
    shown = {i for i in ids[rows] if f"**{i}** · test" in said(app)}
    assert shown <= set(ids[rows[expected]])
    assert len(shown) == min(expected.sum(), PAGE)
    if cell == "nonsense":
        assert any(button.label.endswith(f"False alarms: **{expected.sum():,}**") for button in app.button)


def test_a_cell_is_a_button_and_stands_in_the_link(store: Store) -> None:
    app = opened("Thresholds", label=common(store))
    app.button("cell-tn").click().run()
    assert_whole(app, "PR curves")
    assert app.query_params["cell"] in ("tn", ["tn"])
    assert "true negatives" in said(app)


def test_the_papers_presets_are_the_papers_rules(store: Store) -> None:
    rows = store.rows("test")
    for regime in store.regimes:
        decided = operating_point(store, regime.name, RuleChoice("min_max"), rows)
        np.testing.assert_array_equal(decided.predicted(rows), predict(store, regime.name, rows, "paper").predicted)
    cosine = operating_point(store, "zero_shot", RuleChoice("cosine"), rows).predicted(rows)
    np.testing.assert_array_equal(cosine, np.asarray(store.prompt_logits("names")[rows]) > 0)
    half = operating_point(store, "linear_probe", RuleChoice("half"), rows).predicted(rows)
    np.testing.assert_array_equal(half, np.asarray(store.logits("linear_probe")[rows]) > 0)


def test_rules_look_at_validation_alone(store: Store) -> None:
    """A rule gives the same thresholds whichever films are shown; only a share by hand is one of the films shown."""
    for rule in ("max_f1", "mcc", "youden", "recall", "precision"):
        for together in (False, True):
            choice = RuleChoice(rule, 0.8, together)
            one, two = (operating_point(store, "fine_tune", choice, store.rows(s)).thresholds for s in ("test", "val"))
            np.testing.assert_array_equal(one, two)
    label = common(store)
    rows, c = store.rows("test"), store.labels.index(label)
    for share in (0.0, 0.5, 1.0):
        calls = operating_point(store, "fine_tune", RuleChoice("share", share, label=label), rows).predicted(rows)[:, c]
        assert calls.sum() == round(share * len(rows))
    typed = operating_point(store, "fine_tune", RuleChoice("typed", 0.25, label=label), rows)
    assert typed.thresholds[c] == np.float32(0.25)


def test_holm_is_taken_over_the_labels_with_enough_positives(store: Store) -> None:
    from explorer.analysis.differences import holm

    pair = next(iter(curve_tables.regime_pairs(store).values()))
    for metric in COMPARED:
        frame = curve_tables.pair_differences(store, "test", metric, pair, few=2)
        tested = frame[~frame["pool"] & ~frame["few"]]
        np.testing.assert_allclose(tested["p_holm"], holm(tested["p"].to_numpy()))
        assert frame.loc[frame["few"] & ~frame["pool"], "p_holm"].isna().all()


# --- the report ------------------------------------------------------------------------------------------------------


def test_the_reports_numbers_are_the_stores_and_every_file_has_them(store: Store) -> None:
    frame = curve_tables.report_table(store, "test", 1)
    by_key = merits(store, "test")
    pools = ["Mean over all labels", "All film-label pairs", "Cardiovascular", "Pulmonary", "Skeletal", "Device"]
    assert frame["Label"].tolist()[-6:] == pools
    label = common(store)
    row = frame[frame["Label"] == label].iloc[0]
    csv = pd.read_csv(pd.io.common.BytesIO(report_files.report_csv(frame)), dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(csv, frame.astype(str), check_dtype=False)
    latex = report_files.report_latex(frame, "n = 3").decode()
    forest = curve_tables.report_forest(store, "test", 1)
    svg = report_files.report_picture(forest, "note", "svg").decode()
    for regime in store.regimes:
        for metric, column in (("average_precision", "AP"), ("auroc", "AUROC"), ("f1", "F1")):
            text = str(by_key[regime.name, label, metric])
            assert row[f"{regime.title}: {column}"] == text
            assert text in latex
            assert f">{text}<" in svg
    assert latex.count(r"\\") == len(frame) + 2
    assert report_files.report_picture(forest, "note", "png").startswith(b"\x89PNG")


def test_the_report_says_too_few_and_no_number(store: Store) -> None:
    frame = curve_tables.report_table(store, "test", 10_000)
    assert (frame[[c for c in frame if c.endswith(": AP")]] == "too few to say").all(axis=None)
    assert (frame[[c for c in frame if c.endswith(": AUROC")]] == "").all(axis=None)


def test_latex_escapes_what_it_must() -> None:
    frame = pd.DataFrame({"Label": ["A & B_1"], "P": ["1"], "N": ["2"], "U": ["0"], "R: AP": ["50%"]})
    text = report_files.report_latex(frame, "x").decode()
    assert r"A \& B\_1 & 1 & 2 & 0 & 50\% \\" in text
    assert r"\multicolumn{1}{c}{R}" in text


# --- older runs ------------------------------------------------------------------------------------------------------


def test_a_run_made_before_says_what_is_missing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for name in ("bands", "differences", "calibration"):
        del manifest["artefacts"][f"{name}.parquet"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    for view, name in (("Overview", "bands"), ("Calibration", "calibration")):
        app = opened(view)
        assert not app.exception
        assert f"{name}.parquet" in as_read(app.error[0].value)
        assert "precompute" in as_read(app.error[0].value)


def test_every_metric_has_every_pool(store: Store) -> None:
    frame = store.tables.metrics
    for name in (MACRO, MACRO_ALL, MICRO, "Cardiovascular", "Pulmonary", "Skeletal", "Device"):
        assert set(frame.loc[frame["label"] == name, "metric"]) == set(METRICS)
