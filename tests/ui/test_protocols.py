"""The protocols page: both protocols of one set side by side, and the marks its figures carry."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from explorer.analysis import paper
from explorer.analysis.multilabel import MULTILABEL, min_max
from explorer.figures.protocols import learning_curves, protocol_dots
from explorer.figures.style import regime_style
from explorer.store.files import write_array
from explorer.store.reader import Store
from explorer.store.runs import counterpart, open_store
from explorer.tables.protocol_scores import regime_steps, training_steps
from explorer.tables.protocols import ScoredGroup, figures_table, seed_table
from explorer.tables.training import learning_frame
from tests.conftest import ROOT, vouch
from tests.pages import as_read, open_sound_page, said


def open_protocols(part: str = "figures", **query: str) -> AppTest:
    st.cache_data.clear()
    st.cache_resource.clear()
    return open_sound_page("protocols", part=part, **query)


@pytest.fixture(scope="module")
def both(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run beside a copy of it that says it is the paper's, and has a second seed of the fine-tune."""
    root = tmp_path_factory.mktemp("both") / "store"
    mine = open_store(tiny_store).path
    shutil.copytree(mine, root / mine.name)
    shutil.copytree(mine, root / "as-the-paper")
    manifest = json.loads((mine / "manifest.json").read_text())
    manifest["settings"]["protocol"] = "paper"
    manifest["regimes"][2]["seeds"] = [43]
    seed_file = "regimes/fine_tune/seeds/43.npy"
    manifest["artefacts"][seed_file] = {**manifest["artefacts"]["regimes/fine_tune/logits.npy"], "path": seed_file}
    (root / "as-the-paper/manifest.json").write_text(json.dumps(manifest))
    logits = np.load(mine / "regimes/fine_tune/logits.npy")
    write_array(root / "as-the-paper" / seed_file, logits[::-1].copy())
    (root / "LATEST").write_text(mine.name)
    return root


# --- the page --------------------------------------------------------------------------------------------------------


def test_without_the_papers_run_the_page_says_how_to_make_it(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tiny_store))
    app = open_protocols(table="true")
    assert "`--protocol paper`" in as_read(app.info[0].value)
    table = next(frame.value for frame in app.dataframe if "Figures of" in frame.value)
    groups = table["Figures of"].value_counts().to_dict()
    assert groups == {
        "Printed in the paper": 3,
        "Sound protocol, paper’s rules": 3,
        "Sound protocol, sound rules": 3,
        "Never looks at a film (sound split)": 5,
    }


def test_the_learning_curve_rings_the_epoch_of_least_validation_loss(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    frame = learning_frame(store)
    assert frame["regime"].unique().tolist() == ["Full fine-tune"]
    assert frame["epoch"].tolist() == list(range(len(frame)))
    assert frame.loc[frame["kept"], "val_loss"].tolist() == [frame["val_loss"].min()]
    ring = learning_curves(frame, {"Full fine-tune": regime_style(2)}).data[-1]
    assert list(ring.x) == frame.loc[frame["kept"], "epoch"].tolist()


def test_a_fine_tune_that_never_left_its_start_says_so(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(open_store(tiny_store).path, tmp_path / "store/run")
    record = tmp_path / "store/run/regimes/fine_tune/training.json"
    text = record.read_text()
    kept = json.loads(text)["best_epoch"]
    record.write_text(text.replace(f'"best_epoch": {kept}', '"best_epoch": 0'))
    vouch(tmp_path / "store/run", "regimes/fine_tune/training.json")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "store"))
    st.cache_resource.clear()
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120).run()
    assert [warning.value for warning in app.warning if "the linear probe, which was kept" in warning.value]


def test_both_protocols_stand_side_by_side(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(both))
    app = open_protocols(table="true")
    assert not app.info
    table = next(frame.value for frame in app.dataframe if "Figures of" in frame.value)
    order = list(dict.fromkeys(table["Figures of"]))
    assert order[:5] == [
        "Printed in the paper",
        "Paper’s protocol, paper’s rules",
        "Paper’s protocol, sound rules",
        "Sound protocol, paper’s rules",
        "Sound protocol, sound rules",
    ]
    text = "\n".join(said(open_protocols(part)) for part in ("changes", "limits", "distances", "training"))
    for word in ("**Threshold.**", "**Prompt.**", "**Training.**", "**Linear probe, the paper's protocol", "0.63"):
        assert word in text
    store = open_store(both)
    rows = store.rows("test")
    known = ~np.isnan(store.targets[rows]).any(axis=1)
    calls = min_max(np.asarray(store.logits("linear_probe"))[rows]) > 0.5
    exact = float((calls[known] == (store.targets[rows][known] == 1)).all(axis=1).mean())
    line = table[(table["Figures of"] == "Sound protocol, paper’s rules") & (table["Regime or rule"] == "Linear probe")]
    assert line["Exact match"].item().startswith(f"{exact:.2f} [")
    assert "mean ± standard deviation over seeds" in text


def test_a_counterpart_is_of_the_same_films_labels_and_encoder(both: Path, tmp_path: Path) -> None:
    store = open_store(both)
    assert counterpart(both, store) == "as-the-paper"
    assert counterpart(both, Store(both / "as-the-paper")) == store.path.name
    file = both / "as-the-paper/manifest.json"
    whole = file.read_text()
    try:
        for change in ({"dataset": {"content": "other"}}, {"labels": ["Edema"]}, {"settings": {"protocol": "sound"}}):
            manifest = json.loads(whole)
            for key, value in change.items():
                manifest[key] = {**manifest[key], **value} if isinstance(value, dict) else value
            file.write_text(json.dumps(manifest))
            assert counterpart(both, store) is None
        file.write_text("{")
        assert counterpart(both, store) is None
    finally:
        file.write_text(whole)


def test_steps_change_one_thing_at_a_time(both: Path) -> None:
    store = open_store(both)
    rows = store.rows("test")
    steps = regime_steps(store, "test")
    assert [step.change for step in steps] == ["", "Threshold", "Threshold", "Prompt", "Training", "Training"]
    bare = np.asarray(store.prompt_logits("names"))[rows]
    assert steps[1].labels_per_film == (bare > 0).sum(axis=1).mean()
    for before, step in pairwise(steps):
        assert step.difference[0] == pytest.approx(step.macro_f1[0] - before.macro_f1[0])
    theirs = Store(both / "as-the-paper")
    ladder, n = training_steps(theirs, store, "test", "fine_tune")
    assert n == len(rows), "the copy holds out the same films"
    assert [step.change for step in ladder] == ["", "Threshold", "Threshold", "Training"]
    assert ladder[3].difference[0] == 0, "the same logits at the same thresholds"


def test_seeds_are_told_with_their_spread(both: Path) -> None:
    table = seed_table(Store(both / "as-the-paper"), "test")
    assert table["Regime"].tolist() == ["Full fine-tune"]
    assert table["Seeds"].tolist() == ["2"]
    assert table["Macro F1"].str.contains(r" ± \d\.\d+ \(").all()
    assert seed_table(open_store(both), "test").empty


# --- marks -----------------------------------------------------------------------------------------------------------


def test_what_is_no_better_than_never_looking_is_marked() -> None:
    """The paper's own figures: of its trained regimes, macro F1 alone is beyond its baselines."""
    lines = [
        {
            "regime": regime,
            "metric": metric,
            "value": paper.TABLE[regime][metric],
            "ci_low": np.nan,
            "ci_high": np.nan,
            "printed": True,
            **{kind: paper.BASELINES[kind][metric] for kind in paper.BASELINES},
        }
        for regime in paper.TABLE
        for metric in MULTILABEL
    ]
    table = figures_table([ScoredGroup("Printed", pd.DataFrame(lines))], {}).set_index("Regime or rule")
    marked = table.map(lambda cell: "‡" in str(cell))
    assert marked.loc["zero-shot", ["Macro F1", "Exact match", "LRAP", "Coverage error"]].all()
    for regime in ("probe", "trained"):
        assert marked.loc[regime, ["Macro F1", "Exact match", "LRAP", "Coverage error"]].tolist() == [
            False,
            True,
            True,
            True,
        ]
    wide = pd.DataFrame(lines[:1]).assign(value=0.3, ci_low=0.1, ci_high=0.5, printed=False)
    assert "‡" in figures_table([ScoredGroup("x", wide)], {})["Macro F1"].item()
    assert "‡" not in figures_table([ScoredGroup("x", wide.assign(ci_low=0.2))], {})["Macro F1"].item()


def test_the_papers_counts_and_baselines() -> None:
    assert {label: paper.in_test(label) for label in ("Pneumothorax", "Consolidation", "Edema")} == {
        "Pneumothorax": 3,
        "Consolidation": 5,
        "Edema": 7,
    }
    share = np.array(list(paper.POSITIVES.values())) / paper.FILMS
    assert (2 * share / (1 + share)).mean() == pytest.approx(paper.BASELINES["constant"]["macro_f1"], abs=5e-4)
    assert share[0] == pytest.approx(paper.BASELINES["constant"]["exact_match"], abs=5e-3)


def test_the_figure_has_a_mark_a_whisker_and_lines_for_each_group() -> None:
    frame = pd.DataFrame(
        {
            "regime": ["A", "B"],
            "value": [0.2, 0.4],
            "ci_low": [0.1, np.nan],
            "ci_high": [0.3, np.nan],
            "random": [0.1, 0.1],
            "constant": [np.nan, np.nan],
            "printed": [False, True],
        }
    )
    figure = protocol_dots([("One", frame), ("Two", frame)], {"A": regime_style(0), "B": regime_style(1)}, (0, 1))
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [mark.x[0] for mark in marks] == [0.2, 0.4, 0.2, 0.4]
    assert [mark.marker.symbol for mark in marks[:2]] == ["circle", "square-open"], "printed figures stand open"
    assert sorted(line.x for line in lines) == [(0.1, 0.1), (0.1, 0.1), (0.1, 0.3), (0.1, 0.3)]
    assert len({mark.y[0] for mark in marks}) == 4
