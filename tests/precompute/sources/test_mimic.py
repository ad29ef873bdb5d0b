"""MIMIC-CXR-JPG: the three tables joined, splits, views, unknowns, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.data.labels import CHEXPERT_LABELS, Uncertain
from explorer.errors import UserError
from precompute.sources import check_source, read_source
from precompute.sources.mimic import LABELS, METADATA, SPLIT, MimicOptions, read_mimic

# the columns and their order as PhysioNet ships them
META_HEADER = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)
LABEL_HEADER = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,"
    "Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
)
FILMS = [  # dicom, study, subject, split, view
    ("02aa804e-bde0afdd", "50414267", "10000032", "train", "PA"),
    ("174413ec-4ec4c1f7", "50414267", "10000032", "train", "LATERAL"),
    ("2a2277a9-b0ded155", "53189527", "10000764", "validate", "AP"),
    ("e084de3b-be89b11e", "53911762", "10000898", "test", "PA"),
    ("68b5c4b1-227d0485", "56699142", "10000935", "train", ""),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    split = ["dicom_id,study_id,subject_id,split", *(",".join(film[:4]) for film in FILMS)]
    meta = [META_HEADER]
    meta += [
        f'{dicom},{subject},{study},"CHEST (PA, LAT)",{view},3056,2544,21800506,213014.5,CHEST,,Erect'
        for dicom, study, subject, _, view in FILMS
    ]
    labels = [
        LABEL_HEADER,
        f"10000032,50414267,1.0,0.0,-1.0{',' * 11}",
        f"10000764,53189527{',' * 9}1.0{',' * 5}",
        f"10000898,53911762{',' * 14}1.0",
    ]
    (tmp_path / METADATA).write_text("\n".join(meta) + "\n")
    (tmp_path / LABELS).write_text("\n".join(labels) + "\n")
    with gzip.open(tmp_path / f"{SPLIT}.gz", "wt") as file:
        file.write("\n".join(split) + "\n")
    return tmp_path


def test_frontal_films_with_their_studys_labels(root: Path) -> None:
    source = read_mimic(MimicOptions(root=root))
    frame = source.frame
    assert frame["view"].tolist() == ["PA", "AP", "PA"]
    assert frame["split"].tolist() == ["train", "val", "test"]
    assert frame["image"][0] == "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"
    assert frame["patient_id"].tolist() == ["10000032", "10000764", "10000898"]
    first = frame.loc[0, ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema"]].astype(float)
    np.testing.assert_array_equal(first, [1, 0, np.nan, np.nan])
    assert frame["No Finding"][1] == 1
    assert frame["Support Devices"][2] == 1
    assert source.labels == CHEXPERT_LABELS
    assert source.where(1).endswith("split.csv.gz row 4"), "rows are the file's, not those that are left"


def test_all_views_and_a_study_without_labels(root: Path) -> None:
    frame = read_mimic(MimicOptions(root=root, views="all")).frame
    assert frame["view"].tolist() == ["PA", "LATERAL", "AP", "PA", ""]
    assert frame.loc[4, list(CHEXPERT_LABELS)].isna().all()
    assert frame.loc[1, "Atelectasis"] == 1, "a study's labels are its films'"


@pytest.mark.parametrize(("uncertain", "value"), [("ignore", np.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_uncertain(root: Path, uncertain: Uncertain, value: float) -> None:
    source = read_mimic(MimicOptions(root=root, uncertain=uncertain))
    np.testing.assert_equal(float(source.frame["Consolidation"][0]), value)
    assert f"chexpert.csv, uncertain: {uncertain}" in source.label_origin


def test_another_labeller(root: Path) -> None:
    negbio = root / "mimic-cxr-2.0.0-negbio.csv"
    negbio.write_text((root / LABELS).read_text().replace("1.0,0.0,-1.0", "0.0,0.0,1.0"))
    source = read_source("mimic-cxr", {"root": root, "labels": negbio})
    assert source.frame["Consolidation"][0] == 1
    assert "negbio" in source.label_origin
    assert source.sha256 != read_mimic(MimicOptions(root=root)).sha256


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (LABELS, "0.0,-1.0", "0.0,2.0", r"chexpert.csv row 2: 'Consolidation' is '2.0'"),
        (LABELS, ",53189527,", ",50414267,", "chexpert.csv row 3: the study 50414267 is there twice"),
        (LABELS, "Edema,", "Oedema,", "no column Edema"),
        (METADATA, "2a2277a9", "ffffffff", "split.csv.gz row 4: .*metadata.csv has no film 2a2277a9"),
        (METADATA, "ViewPosition", "View", "no column ViewPosition"),
        (METADATA, "174413ec-4ec4c1f7", "02aa804e-bde0afdd", "metadata.csv row 3: the film"),
    ],
)
def test_bad_files_name_the_row(root: Path, file: str, old: str, new: str, told: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        read_mimic(MimicOptions(root=root))


def test_a_bad_split_file(root: Path) -> None:
    good = gzip.decompress((root / f"{SPLIT}.gz").read_bytes()).decode()
    for bad, told in (
        (good.replace("validate", "val"), r"split.csv row 4: split is 'val'"),
        (good.replace("10000898,test", "10000032,test"), r"'10000032' is in train \(.*row 2\) and in test"),
        (good.replace("50414267,10000032", "50414267,../../../../../10", 1), "row 2: .*leaves"),
    ):
        (root / SPLIT).write_text(bad)  # the unpacked one is taken first
        with pytest.raises(UserError, match=told):
            read_mimic(MimicOptions(root=root))
    (root / SPLIT).unlink()
    (root / f"{SPLIT}.gz").unlink()
    with pytest.raises(UserError, match=r"has no mimic-cxr-2\.0\.0-split\.csv"):
        read_mimic(MimicOptions(root=root))


def test_check(root: Path) -> None:
    film = root / "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"
    film.parent.mkdir(parents=True)
    Image.new("L", (8, 8)).save(film)
    counts = {count.what: (count.found, count.expected) for count in check_source("mimic-cxr", root)}
    assert counts["films named"] == (5, 377110)
    assert counts["patients"] == (4, 65379)
    assert counts["validate: films"] == (1, 2991)
    assert counts["frontal films"] == (3, 243334)
    assert counts["studies labelled"] == (3, 227827)
    assert counts["films on disk"] == (1, 377110)
    assert counts["Atelectasis: positive"] == (2, None)
