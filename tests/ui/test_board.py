"""The board: runs of one set side by side, differences by hand, what is left out and why, its address and its files."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from explorer.analysis.differences import holm
from explorer.analysis.metrics import MACRO
from explorer.store import layout
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables import board as tables
from explorer.tables.board import COLUMNS, Row
from explorer.tables.report import report_csv
from explorer.tables.results import mean_of_labels, merits
from explorer.ui.board import ADDS
from tests.conftest import vouch
from tests.pages import address_of, as_read, open_sound_page, said

OTHER = "other-encoder"
SPLIT = "test"


def copy_run(store: Store, name: str, title: str) -> Path:
    """The run again under another name, its encoder under another title."""
    run = Path(shutil.copytree(store.path, store.path.with_name(name)))
    manifest = json.loads((run / layout.MANIFEST).read_text())
    manifest["run_id"], manifest["encoders"][0]["title"] = name, title
    (run / layout.MANIFEST).write_text(json.dumps(manifest))
    return run


@pytest.fixture
def two(own_store: Store) -> Store:
    """The open run, beside a run of the same films by another encoder: the first's logits with noise."""
    run = copy_run(own_store, OTHER, "Another encoder")
    rng = np.random.default_rng(0)
    for regime in own_store.regimes:
        file = layout.regime_files(regime.name).logits
        logits = np.load(run / file)
        np.save(run / file, (logits + rng.normal(size=logits.shape) * logits.std(axis=0)).astype(np.float32))
        vouch(run, file)
    return own_store


def other_of(store: Store) -> Store:
    return open_store(store.path.parent, OTHER)


def rows_of(store: Store, runs: dict[str, Store], of: str) -> list[Row]:
    shown = []
    for entry in tables.entries(runs):
        estimates = tables.entry_estimates(store, SPLIT, entry)
        shown.append((entry, estimates, tables.entry_figures(store, SPLIT, entry, estimates, of)))
    return tables.board_rows(shown)


def scored_label(store: Store) -> str:
    """The label with the most positives."""
    targets = store.targets[store.rows(SPLIT)]
    return store.labels[int((targets == 1).sum(axis=0).argmax())]


def test_a_difference_of_two_runs_by_hand(two: Store) -> None:
    label, other = scored_label(two), other_of(two)
    rows = rows_of(two, {two.path.name: two, OTHER: other}, label)
    mine, theirs = (next(row for row in rows if row.key == f"{run}.linear_probe") for run in (two.path.name, OTHER))
    at, c = two.rows(SPLIT), two.labels.index(label)
    truth, patients = two.targets[at, c], two.patients[at]
    scores = [np.asarray(run.logits("linear_probe")[at, c]) for run in (other, two)]
    known = ~np.isnan(truth)
    for column, metric in (("ap", average_precision_score), ("auroc", roc_auc_score)):

        def difference(kept: np.ndarray, metric=metric) -> float:
            return metric(truth[kept], scores[0][kept]) - metric(truth[kept], scores[1][kept])

        value = difference(known)
        without = np.array([difference(known & (patients != one)) for one in np.unique(patients)])
        n = len(without)
        centre = value - (n - 1) * (without.mean() - value)
        error = np.sqrt((n - 1) * without.var())
        fewer = min(len(np.unique(patients[truth == kind])) for kind in (0, 1))
        reach = stats.t.ppf(0.975, fewer - 1) * error
        change = tables.changes([mine, theirs], mine, label, column)[theirs.key]
        assert change.value == pytest.approx(value)
        assert change.low == pytest.approx(max(centre - reach, -1))
        assert change.high == pytest.approx(min(centre + reach, 1))
        assert change.p == pytest.approx(2 * stats.t.sf(abs(centre) / error, fewer - 1))
        assert change.p_holm == change.p, "one test"


def test_one_run_says_what_its_stored_tables_say(store: Store) -> None:
    mean, label = mean_of_labels(store, SPLIT), scored_label(store)
    for of, stored in ((MACRO, mean.name), (label, label)):
        rows = rows_of(store, {store.path.name: store}, of)
        by_key = merits(store, SPLIT)
        for row in rows:
            for name, column in COLUMNS.items():
                if column.metric:
                    kept = by_key[row.entry.regime, stored, column.metric]
                    np.testing.assert_allclose(row.figures.merits[name], kept, err_msg=f"{row.key} {name}")
        changes = tables.changes(rows, rows[0], of, "ap")
        frame = store.tables.differences
        chosen = (frame["split"] == SPLIT) & (frame["label"] == stored) & (frame["metric"] == "average_precision")
        frame = frame[chosen & (frame["against"] == rows[0].entry.regime)].set_index("regime")
        for row in rows[1:]:
            expected = frame.loc[row.entry.regime, ["difference", "ci_low", "ci_high", "p"]].to_numpy(dtype=float)
            np.testing.assert_allclose(changes[row.key][:4], expected)
        adjusted = holm(np.array([change.p for change in changes.values()]))
        np.testing.assert_array_equal([change.p_holm for change in changes.values()], adjusted)


def test_brier_scores_are_the_stored_ones_and_their_mean(store: Store) -> None:
    label, (entry, *_) = scored_label(store), tables.entries({store.path.name: store})
    estimates = tables.entry_estimates(store, SPLIT, entry)
    frame = store.tables.calibration
    chosen = (frame["split"] == SPLIT) & (frame["label"] == label) & (frame["regime"] == entry.regime)
    frame = frame[chosen & (frame["method"] == "none") & (frame["metric"] == "brier")]
    expected = frame[["value", "ci_low", "ci_high", "baseline"]].to_numpy(dtype=float)[0]
    np.testing.assert_allclose(
        tables.entry_figures(store, SPLIT, entry, estimates, label).merits["brier"], expected, rtol=1e-5
    )
    at = store.rows(SPLIT)
    scores = []
    for name in mean_of_labels(store, SPLIT).labels:
        c = store.labels.index(name)
        truth, logits = store.targets[at, c], store.logits(entry.regime)[at, c].astype(float)
        known = ~np.isnan(truth)
        scores.append(brier_score_loss(truth[known], 1 / (1 + np.exp(-logits[known]))))
    mean = tables.entry_figures(store, SPLIT, entry, estimates, MACRO).merits["brier"]
    assert mean.value == pytest.approx(np.mean(scores))
    assert mean.low < mean.value < mean.high


def test_films_are_matched_by_their_ids(own_store: Store) -> None:
    run = copy_run(own_store, OTHER, "The same in another order")
    for file in (layout.SAMPLES, layout.FILM_FILES):
        pd.read_parquet(run / file).iloc[::-1].to_parquet(run / file, index=False)
        vouch(run, file)
    for regime in own_store.regimes:
        file = layout.regime_files(regime.name).logits
        np.save(run / file, np.load(run / file)[::-1])
    other = other_of(own_store)
    assert tables.why_apart(own_store, other, SPLIT) == ""
    rows = rows_of(own_store, {own_store.path.name: own_store, OTHER: other}, MACRO)
    for mine, theirs in zip(rows[:3], rows[3:], strict=True):
        np.testing.assert_array_equal(theirs.estimates.left_out, mine.estimates.left_out)


def test_only_the_same_films_and_labels_are_compared(two: Store) -> None:
    at = two.rows(SPLIT)
    n, label = len(at), scored_label(two)

    def why(column: str = "", value: object = None, rows: object = at[0], split: str = SPLIT) -> str:
        other = other_of(two)
        if column:
            other.samples.loc[rows, column] = value
        return tables.why_apart(two, other, split)

    assert why() == ""
    assert why("sample_id", "elsewhere") == f"It has other test films: {n - 1} of {n} are the same."
    assert why("sample_id", "elsewhere", split="val") == ""
    assert why("patient_id", two.samples["patient_id"].iat[at[1]]) == "It has the same films of other patients."
    flipped = 1 - np.nan_to_num(two.targets[at[0], two.labels.index(label)])
    assert why(label, flipped) == f"It has other labels of 1 of {n} test films."
    known = at[~np.isnan(two.targets[at, two.labels.index(label)])][0]
    assert why(label, np.nan, rows=known) == f"It has other labels of 1 of {n} test films.", "unknown is not negative"
    other = other_of(two)
    other.film_files.loc[at[0], "sha256"] = "0" * 64
    assert tables.why_apart(two, other, SPLIT) == f"It has other pictures of 1 of {n} test films."
    other.labels = (*two.labels[:-1], "Elsewhere")
    c = len(two.labels)
    assert tables.why_apart(two, other, SPLIT) == f"It has other labels: {c - 1} of {c} are the same."


def test_a_run_whose_own_mean_is_over_other_labels_is_named(two: Store) -> None:
    other = other_of(two)
    assert tables.unlike_means(two, SPLIT, {OTHER: other}) == []
    other = other_of(two)
    other.tables.metrics["in_macro"] = other.tables.metrics["label"] == scored_label(two)
    assert tables.unlike_means(two, SPLIT, {OTHER: other}) == [OTHER]


def test_a_store_of_one_run_shows_its_regimes_and_how_to_add_an_encoder(store: Store) -> None:
    app = open_sound_page("board")
    figures, differences = (table.value for table in app.dataframe)
    assert set(figures["Regime"]) == {regime.title for regime in store.regimes}
    assert "Run" not in figures
    assert len(differences) == 3
    assert app.code[0].value == "\n".join(ADDS)
    assert "left out" not in said(app)
    assert address_of(app)["against"] == [f"{store.path.name}.{store.regimes[0].name}"]


def test_runs_stand_side_by_side_and_others_are_left_out_by_name(two: Store) -> None:
    root = two.path.parent
    (root / "torn").mkdir()
    (root / "torn" / layout.MANIFEST).write_text("{")
    short = copy_run(two, "short", "Cut off") / layout.regime_files("fine_tune").logits
    short.write_bytes(short.read_bytes()[:-4])
    torn_table = copy_run(two, "torn-table", "Without its figures") / layout.METRICS
    torn_table.write_bytes(b"")
    older = copy_run(two, "older", "Of an earlier schema") / layout.MANIFEST
    older.write_text(json.dumps({**json.loads(older.read_text()), "schema_version": "0.9"}))
    app = open_sound_page("board")
    figures = app.dataframe[0].value
    assert sorted(figures["Encoder"]) == sorted(["Another encoder", two.manifest.encoders[0].title] * 3)
    text = said(app)
    assert "torn: STORE/torn/manifest.json is damaged" in text
    assert f"short: The file {layout.regime_files('fine_tune').logits} of the run short is damaged" in text
    assert f"torn-table: The file {layout.METRICS} of the run torn-table is damaged" in text
    assert "older: STORE/older/manifest.json is of schema version 0.9" in text
    assert str(root) not in text
    # a regime that the bar hides is hidden in every run, and its damaged file with it
    app = open_sound_page("board", regimes=["zero_shot", "linear_probe"])
    assert len(app.dataframe[0].value) == 6
    assert "short:" not in said(app)


def test_the_address_says_label_order_and_reference(two: Store) -> None:
    label, key = scored_label(two), f"{OTHER}.linear_probe"
    app = open_sound_page("board", of=label.lower().replace(" ", "-"), sort="auroc", against=key)
    written = address_of(app)
    assert (written["sort"], written["against"]) == (["auroc"], [key])
    figures, differences = (table.value for table in app.dataframe)
    values = figures["AUROC"].str.split(" ").str[0].astype(float).tolist()
    assert values == sorted(values, reverse=True)
    reference = differences[differences["ΔAP"] == "reference"].iloc[0]
    assert (reference["Regime"], reference["Encoder"]) == ("Linear probe", "Another encoder")
    assert f"({label})" in said(app)
    app.selectbox(key="against").select(f"{two.path.name}.zero_shot").run()
    assert address_of(app)["against"] == [f"{two.path.name}.zero_shot"]
    unknown = open_sound_page("board", against="elsewhere.linear_probe")
    assert "against elsewhere" in as_read(unknown.warning[0].value)


def test_files_hold_every_figure(two: Store) -> None:
    label = scored_label(two)
    rows = rows_of(two, {two.path.name: two, OTHER: other_of(two)}, label)
    reference = rows[0]
    frame = pd.read_csv(io.BytesIO(report_csv(tables.board_frame(rows, reference, label, SPLIT))))
    assert len(frame) == len(rows) * len(COLUMNS)
    assert set(frame["run"]) == {two.path.name, OTHER}
    probe = frame[(frame["run"] == OTHER) & (frame["regime"] == "Linear probe") & (frame["figure"] == "AP")].iloc[0]
    row = next(row for row in rows if row.key == f"{OTHER}.linear_probe")
    assert probe["value"] == pytest.approx(row.figures.merits["ap"].value)
    change = tables.changes(rows, reference, label, "ap")[row.key]
    assert probe[list(tables.CHANGE_COLUMNS)].to_numpy(dtype=float) == pytest.approx(np.array(change))
    trained = frame[frame["figure"] == "Training (s)"].set_index(["run", "regime"])["value"]
    assert np.isnan(trained[OTHER, "Zero-shot"])
    assert trained[OTHER, "Linear probe"] == two.manifest.seconds["linear_probe"]
    latex = tables.board_latex(rows, reference, label, "n = 24 films").decode()
    assert latex.count(r" \\") == len(rows) + 1
    assert r"$\Delta$AP" in latex
    assert "Another encoder" in latex


def test_the_sentence_allows_for_all_pairs_and_names_the_best(two: Store) -> None:
    label = scored_label(two)
    rows = tables.sort_rows(rows_of(two, {two.path.name: two, OTHER: other_of(two)}, label), "ap")
    best = tables.best_sentence(rows, label, label)
    assert best.startswith(f"**{rows[0].name}** ranks best: AP ")
    assert len(best.split()) <= 25
    tested = [
        change
        for i, row in enumerate(rows)
        for change in tables.changes([row, *rows[i + 1 :]], row, label, "ap").values()
    ]
    adjusted = holm(np.array([change.p for change in tested]))
    sure = sum(p < 0.05 for p in adjusted[: len(rows) - 1])
    assert (f"surely better than {sure} of 5 others" if sure else "surely better than no other") in best
    rare = next(name for c, name in enumerate(two.labels) if (two.targets[two.rows(SPLIT), c] == 1).sum() < 5)
    assert "too few to say" in tables.best_sentence(rows_of(two, {"one": two}, rare), rare, rare)
