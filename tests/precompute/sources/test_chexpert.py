"""CheXpert's two files: splits, unknowns, views, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from explorer.data.labels import CHEXPERT_LABELS
from explorer.errors import UserError
from precompute.__main__ import app
from precompute.sources import check_source
from precompute.sources.chexpert import ChexpertOptions, read_chexpert
from precompute.sources.table import deny_no_finding

HEADER = ",".join(("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_LABELS))


def row(part: str, patient: int, view: str, cells: str = "") -> str:
    path = f"CheXpert-v1.0-small/{part}/patient{patient:05d}/study1/view1_{view.lower()}.jpg"
    return f"{path},Female,{patient % 90},{view},{'PA' if view == 'Frontal' else ''},{cells or ',' * 13}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """60 patients in train.csv with a film each, one lateral, and two in valid.csv."""
    train = [row("train", patient, "Frontal", f"1.0,0.0,-1.0{',' * 11}") for patient in range(1, 61)]
    train.append(row("train", 1, "Lateral"))
    valid = [row("valid", patient, "Frontal", ",".join(["0.0"] * 13 + ["1.0"])) for patient in (70000, 70001)]
    for name, rows in (("train.csv", train), ("valid.csv", valid)):
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")
    return tmp_path


def test_valid_is_test_and_no_patient_crosses(root: Path) -> None:
    frame = read_chexpert(ChexpertOptions(root=root)).frame
    assert len(frame) == 62
    assert set(frame[frame["split"] == "test"]["patient_id"]) == {"patient70000", "patient70001"}
    assert 0 < (frame["split"] == "val").sum() < 20
    both = read_chexpert(ChexpertOptions(root=root, views="all")).frame
    assert len(both) == 63
    assert both.groupby("patient_id")["split"].nunique().max() == 1
    # which patients are val does not hang on which films are taken
    assert both[both["image"].str.contains("frontal")]["split"].tolist() == frame["split"].tolist()
    assert frame["image"][0] == "train/patient00001/study1/view1_frontal.jpg"
    assert frame["age"][0] == 1
    assert frame["view"][0] == "PA", "AP or PA where the file says it"
    assert both["view"].tolist().count("Lateral") == 1
    # the run's name hangs on the films taken
    assert (
        read_chexpert(ChexpertOptions(root=root)).sha256
        != read_chexpert(ChexpertOptions(root=root, views="all")).sha256
    )


@pytest.mark.parametrize(("policy", "value"), [("ignore", np.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_blank_is_unknown_and_uncertain_goes_by_the_policy(root: Path, policy: str, value: float) -> None:
    source = read_chexpert(ChexpertOptions(root=root, uncertain=policy))  # type: ignore[arg-type]
    np.testing.assert_array_equal(source.frame.loc[0, list(CHEXPERT_LABELS[:4])].astype(float), [1, 0, value, np.nan])
    assert policy in source.label_origin


def test_a_positive_finding_denies_no_finding_and_silence_does_not() -> None:
    blank = dict.fromkeys(CHEXPERT_LABELS, np.nan)
    rows = [{"Edema": 1.0}, {"Support Devices": 1.0}, {"Edema": 0.0}, {"No Finding": 1.0}, {}]
    targets = pd.DataFrame([blank | row for row in rows])
    np.testing.assert_array_equal(deny_no_finding(targets)["No Finding"], [0, np.nan, np.nan, 1, np.nan])
    assert deny_no_finding(targets).drop(columns="No Finding").equals(targets.drop(columns="No Finding"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("1.0,0.0,-1.0", "1.0,maybe,-1.0", r"train.csv row 2: 'Enlarged Cardiomediastinum' is 'maybe'"),
        ("Frontal,PA", "Oblique,PA", "train.csv row 2: Frontal/Lateral is 'Oblique'"),
        ("Female,1,", "Female,one,", "train.csv row 2: Age is 'one'"),
        ("patient00002/", "patient00001/", "train.csv row 3: the film .* is there twice"),
        ("small/train/patient00001", "small/patient00001", "train.csv row 2: Path is"),
        ("small/train/patient00001", "small/../patient00001", "train.csv row 2"),
        ("patient00001/", "patient70000/", r"is in \w+ \(.*train.csv row 2\) and in test \(.*valid.csv row 2\)"),
        ("Frontal/Lateral,", "View,", "has no column Frontal/Lateral"),
    ],
)
def test_bad_files_name_the_row(root: Path, old: str, new: str, told: str) -> None:
    text = (root / "train.csv").read_text()
    assert old in text
    (root / "train.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        read_chexpert(ChexpertOptions(root=root))


def test_check_counts_beside_the_whole_set(root: Path) -> None:
    film = root / "valid/patient70000/study1/view1_frontal.jpg"
    film.parent.mkdir(parents=True)
    Image.new("L", (8, 8)).save(film)
    counts = {count.what: count for count in check_source("chexpert", root)}
    assert (counts["train.csv: films named"].found, counts["train.csv: films named"].expected) == (61, 223414)
    assert counts["films on disk"].found == 1
    assert counts["valid.csv: patients"].found == 2
    assert counts["Support Devices: positive"].found == 2
    assert counts["Support Devices: unknown"].found == 61
    printed = CliRunner().invoke(app, ["sources"]).stdout
    assert "chexpert" in printed
