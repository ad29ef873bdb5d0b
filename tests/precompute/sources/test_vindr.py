"""VinDr-CXR: three readers' votes, the consensus, boxes, and DICOM films with their view, through the first stages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from rich.console import Console

from explorer.data.labels import Uncertain
from explorer.errors import UserError
from explorer.store.writer import RunWriter
from precompute.sources import check_source
from precompute.sources.vindr import LABELS, VindrOptions, read_vindr

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

# the columns' order as PhysioNet ships them: findings, then global labels, "No finding" last
ORDER = [*LABELS[1:], LABELS[0]]
TRAIN = [f"{i:032x}" for i in range(1, 13)]  # the last is val
TEST = [f"{i:032x}" for i in range(100, 103)]


def reading(film: str, *found: str, reader: str = "") -> str:
    return ",".join([film, *([reader] if reader else []), *(str(int(label in found)) for label in ORDER)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of the first film two of three see cardiomegaly and one an effusion; the second has no finding."""
    (tmp_path / "annotations").mkdir()
    train = [",".join(["image_id", "rad_id", *ORDER])]
    votes = {TRAIN[0]: [("Cardiomegaly", "Pleural effusion"), ("Cardiomegaly",), ()]}
    for film in TRAIN:
        for i, found in enumerate(votes.get(film, [("No finding",)] * 3)):
            train.append(reading(film, *found, reader=f"R{i + 8}"))
    test = [",".join(["image_id", *ORDER]).replace("Other diseases", "Other disease")]
    test += [reading(film, "Cardiomegaly", "Other diseases") for film in TEST]
    boxes = [
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
        f"{TRAIN[0]},R8,Cardiomegaly,10.5,20,50.5,40",
        f"{TRAIN[0]},R9,Cardiomegaly,11,21,50,41",
        *(f"{film},R8,No finding,,,," for film in TRAIN[1:]),
    ]
    consensus = ["image_id,class_name,x_min,y_min,x_max,y_max", f"{TEST[0]},Cardiomegaly,1,2,4,6"]
    for name, lines in {
        "image_labels_train": train,
        "image_labels_test": test,
        "annotations_train": boxes,
        "annotations_test": consensus,
    }.items():
        (tmp_path / f"annotations/{name}.csv").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    for part, films in (("train", TRAIN), ("test", TEST)):
        (tmp_path / part).mkdir()
        for film in films:
            write(tmp_path / f"{part}/{film}.dicom", rng)
    return tmp_path


def write(path: Path, rng: np.random.Generator) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for name, value in {
        "PatientName": "Doe^Jane",
        "ViewPosition": "PA",
        "Rows": 60,
        "Columns": 80,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": rng.integers(0, 4096, (60, 80)).astype(np.uint16).tobytes(),
    }.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(("uncertain", "value"), [("ignore", np.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_most_readers_decide_and_a_minority_is_uncertain(root: Path, uncertain: Uncertain, value: float) -> None:
    source = read_vindr(VindrOptions(root=root, uncertain=uncertain))
    first = source.frame.loc[0]
    assert first["Cardiomegaly"] == 1
    np.testing.assert_equal(float(first["Pleural effusion"]), value)
    assert first["Edema"] == 0
    assert first["No Finding"] == 0
    assert source.frame.loc[1, "No Finding"] == 1
    assert uncertain in source.label_origin


def test_splits_names_and_boxes(root: Path) -> None:
    source = read_vindr(VindrOptions(root=root))
    frame = source.frame
    assert len(source.labels) == 28
    assert frame["split"].tolist()[12:] == ["test"] * 3
    assert frame["split"].tolist()[:12] == ["train"] * 11 + ["val"]
    assert (frame["Other diseases"][12:] == 1).all(), "the test file spells it otherwise"
    assert frame["image"][12] == f"test/{TEST[0]}.dicom"
    assert frame["patient_id"].is_unique
    boxes = source.annotations
    assert [box.reader for box in boxes] == ["R8", "R9", "consensus"]
    assert boxes[0].box == (10.5, 20, 40, 20)
    assert boxes[0].image == f"train/{TRAIN[0]}.dicom"
    assert source.where(1).endswith("image_labels_train.csv row 5")
    assert source.where(13).endswith("image_labels_test.csv row 3")


def test_a_blank_reading_is_unknown_not_negative(root: Path) -> None:
    file = root / "annotations/image_labels_test.csv"
    file.write_text(file.read_text().replace("102,0,", "102,,").replace(f"{TEST[2]},0,", f"{TEST[2]},,"))
    assert np.isnan(read_vindr(VindrOptions(root=root)).frame["Aortic enlargement"].iat[14])


def test_the_view_comes_from_the_header_and_boxes_find_their_films(root: Path, tmp_path: Path, clip: Clip) -> None:
    from precompute.reporter import RUN, Reporter
    from precompute.run.job import Job
    from precompute.run.run import Run
    from precompute.settings import Settings
    from precompute.stages import films

    job = Job(read_vindr(VindrOptions(root=root)), clip, (), (), Settings(), skip_bad=False, allow_empty=True)
    writer = RunWriter(tmp_path / "store", "vindr")
    reporter = Reporter(Console(file=io.StringIO()), RUN, tmp_path / "store")
    with writer.locked(), reporter.job():
        run = Run(job, writer, reporter, films.VERSIONS)
        films.films(run)
        films.samples(run)
        films.marks(run)
        assert run.samples["view"].tolist() == ["PA"] * 15
        assert (run.samples["height"][0], run.samples["width"][0]) == (60, 80)
        boxes = pd.read_parquet(writer.folder / "annotations.parquet")
        assert boxes["row"].tolist() == [0, 0, 12]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("image_labels_train", ",1,", ",2,", r"image_labels_train.csv row 2: 'Cardiomegaly' is '2'"),
        ("image_labels_train", "Edema", "Oedema", "no column Edema"),
        ("image_labels_test", TEST[1], TEST[0], "image_labels_test.csv row 3: the film"),
        ("image_labels_test", TEST[1], TRAIN[1], "image_labels_test.csv row 3: the film"),
        ("annotations_train", "10.5,20,50.5", "60.5,20,50.5", "annotations_train.csv row 2: .* no area"),
        ("annotations_train", "10.5", "left", "annotations_train.csv row 2: x_min is 'left', no number"),
        (
            "annotations_train",
            "R9,Cardiomegaly",
            "R9,Heart",
            "annotations_train.csv row 3: 'Heart' is none of the labels",
        ),
        ("annotations_test", TEST[0], TRAIN[0], "annotations_test.csv row 2: there is no film"),
    ],
)
def test_bad_files_name_the_row(root: Path, file: str, old: str, new: str, told: str) -> None:
    path = root / f"annotations/{file}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        read_vindr(VindrOptions(root=root))


def test_check(root: Path) -> None:
    (root / f"train/{TRAIN[3]}.dicom").unlink()
    counts = {count.what: (count.found, count.expected) for count in check_source("vindr-cxr", root)}
    assert counts["train: films named"] == (12, 15000)
    assert counts["train: readings"] == (36, 45000)
    assert counts["test: films named"] == (3, 3000)
    assert (counts["train: boxes"], counts["test: boxes"]) == ((2, None), (1, None))
    assert counts["films on disk"] == (14, 18000)
    assert counts["Pleural effusion: unknown"] == (1, None)
