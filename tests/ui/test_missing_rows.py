"""Every page over a store whose tables lack rows: a dash or a clear notice, and never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.tables.labels import by_prevalence
from explorer.tables.results import METRIC_TITLES, merits, missing_results
from tests.conftest import vouch
from tests.pages import assert_whole, open_page, said

TABLES = (
    "metrics.parquet",
    "differences.parquet",
    "bands.parquet",
    "calibration.parquet",
    "separability.parquet",
    "confusability.parquet",
    "likeness.parquet",
    "audit/shortcuts/labels.parquet",
    "audit/shortcuts/embeddings.parquet",
    "audit/shortcuts/kinds.parquet",
)


@pytest.fixture
def run(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny run, to delete rows from."""
    source = open_store(tiny_store).path
    shutil.copytree(source, tmp_path / source.name)
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path))
    return tmp_path / source.name


def drop_rows(run: Path, table: str, **values: str) -> None:
    """Delete a table's rows that have all these values; all rows without any."""
    frame = pd.read_parquet(run / table)
    dropped = pd.Series(data=True, index=frame.index)
    for column, value in values.items():
        dropped &= frame[column] == value
    assert dropped.any()
    frame[~dropped].to_parquet(run / table)
    vouch(run, table)


def label_of(run: Path) -> str:
    """The most frequent finding of the test split."""
    return next(label for label in by_prevalence(Store(run), "test") if label != "No Finding")


PAGES = (
    ("overview", "Overview", {"figures": "true"}),
    ("dataset", "Data set", {}),
    ("separability", "Separability", {}),
    ("separability", "Separability", {"space": "Decision (logits)"}),
    ("separability", "Separability", {"part": "confused"}),
    ("separability", "Separability", {"part": "spaces"}),
    *(
        ("pr_curves", "PR curves", {"view": view, "few": "1"})
        for view in ("Overview", "One label", "Thresholds", "Calibration", "Together", "Report")
    ),
    *(("audit", "Audit", {"audit": section}) for section in ("Leaks", "Shortcuts", "Hard cases")),
    *(("protocols", "Protocols", {"part": part}) for part in ("figures", "changes", "limits", "distances", "training")),
)


@pytest.fixture(scope="module")
def emptied(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose run has no row in any of these tables."""
    source, root = open_store(tiny_store).path, tmp_path_factory.mktemp("emptied")
    shutil.copytree(source, root / source.name)
    for table in TABLES:
        drop_rows(root / source.name, table)
    return root


@pytest.mark.parametrize(("page", "title", "query"), PAGES)
def test_every_page_is_whole_without_any_row(
    emptied: Path, page: str, title: str, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(emptied))
    assert_whole(open_page(page, **query), title)


@pytest.mark.parametrize("metric", METRIC_TITLES)
def test_a_metric_that_the_store_lacks_is_a_dash_and_a_notice(run: Path, metric: str) -> None:
    drop_rows(run, "metrics.parquet", metric=metric)
    app = open_page("overview", figures="true", metric=METRIC_TITLES[metric])
    assert_whole(app, "Overview")
    assert (app.dataframe[0].value[METRIC_TITLES[metric]] == "—").all()
    (notice,) = (warning.value for warning in app.warning if "metrics.parquet" in warning.value)
    assert METRIC_TITLES[metric] in notice
    assert "precompute" in notice


@pytest.mark.parametrize("view", ["Overview", "One label", "Report"])
def test_curves_are_drawn_without_a_metric(run: Path, view: str) -> None:
    for metric in ("average_precision", "f1"):
        drop_rows(run, "metrics.parquet", metric=metric)
    assert_whole(open_page("pr_curves", view=view, few="1"), "PR curves")


def test_a_whole_store_has_no_notice(run: Path) -> None:
    assert missing_results(Store(run), "test") == ""
    assert "metrics.parquet" not in said(open_page("overview"))


def test_one_regimes_missing_label_leaves_the_others_figures(run: Path) -> None:
    label, whole = label_of(run), merits(Store(run), "test")
    drop_rows(run, "metrics.parquet", regime="zero_shot", label=label)
    drop_rows(run, "bands.parquet", regime="zero_shot", label=label)
    drop_rows(run, "differences.parquet", against="zero_shot", label=label)
    drop_rows(run, "calibration.parquet", regime="zero_shot", label=label)
    for view in ("Overview", "One label", "Calibration", "Report"):
        app = open_page("pr_curves", view=view, few="1", label=label)
        assert_whole(app, "PR curves")
        if view == "One label":
            table = app.dataframe[0].value.set_index("Regime")["Average precision"]
            titles = {regime.name: regime.title for regime in Store(run).regimes}
            assert table[titles["zero_shot"]] == "—"
            assert table[titles["fine_tune"]].startswith(str(whole["fine_tune", label, "average_precision"]))


def test_a_shortcut_row_that_the_store_lacks_is_a_dash(run: Path) -> None:
    label, encoder = label_of(run), Store(run).regimes[-1].encoder
    drop_rows(run, "audit/shortcuts/kinds.parquet", label=label, split="test")
    drop_rows(run, "audit/shortcuts/embeddings.parquet", encoder=encoder)
    app = open_page("audit", audit="Shortcuts")
    assert_whole(app, "Audit")
    kinds, embeddings = (frame.value for frame in app.dataframe)
    alone = [column for column in kinds if column.endswith(" alone")]
    row = kinds.set_index("Label").loc[label]
    assert alone
    assert (row[alone] == "—").all()
    assert row["Mostly"] in ("", "too few to say")
    assert (embeddings[Store(run).regimes[-1].title] == "—").all()


def test_a_separability_row_that_the_store_lacks_is_named(run: Path) -> None:
    label = label_of(run)
    drop_rows(run, "separability.parquet", label=label, measure="lift", split="test")
    drop_rows(run, "confusability.parquet", label=label, split="test")
    drop_rows(run, "likeness.parquet", measure="cka", split="test")
    for part in ("confused", "spaces"):
        assert_whole(open_page("separability", part=part), "Separability")
    app = open_page("separability", details="true")
    assert_whole(app, "Separability")
    assert f"No figure in this store: {label}" in said(app) or "Fewer than 5 positives" in said(app)


@pytest.mark.usefixtures("run")
def test_without_a_label_of_enough_patients_the_mean_is_over_all_labels_and_says_so() -> None:
    app = open_page("overview", figures="true")
    assert_whole(app, "Overview")
    assert "No label has 10 positive and 10 negative patients" in said(app)
    assert app.dataframe[0].value["AUROC"].str.contains("0.50").all(), "a figure and its baseline, not a dash"
