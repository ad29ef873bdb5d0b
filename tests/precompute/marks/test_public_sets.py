"""Annotations of public sets as they ship: MS-CXR, PadChest-GR and RSNA Pneumonia, in the film's own pixels."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.data.labels import CHEXPERT_LABELS, NIH_LABELS
from explorer.errors import UserError
from explorer.store.marks import marks_file, read_marks
from explorer.store.reader import Store
from precompute.marks import layouts
from precompute.marks.annotate import add_annotations, carried, source_marks
from precompute.marks.label_names import SAME, LabelNames
from precompute.marks.layouts import read_marks_file

DICOM_ID = "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"
STUDY = "216840111366964013076187734852011291090445391_00-196-188"
PATIENT = "0004cfab-14fd-4e49-80ba-63a80b6bddd6"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """As much of a run as marks ask for: a film of each set, by its own name."""
    images = [f"files/p10/p10000032/s50414267/{DICOM_ID}.jpg", f"{STUDY}.png", f"stage_2_train_images/{PATIENT}.dcm"]
    samples = pd.DataFrame(
        {
            "sample_id": [DICOM_ID, STUDY, PATIENT],
            "image": images,
            "height": [3056, 400, 1024],
            "width": [2544, 500, 1024],
        }
    )
    run = SimpleNamespace(
        path=tmp_path / "store/run",
        labels=CHEXPERT_LABELS,
        samples=samples,
        manifest=SimpleNamespace(dataset=SimpleNamespace(name="Films")),
        has_films=True,
    )
    return cast("Store", run)


def written(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def marked(store: Store) -> list[tuple[object, ...]]:
    marks = read_marks(store)
    return list(zip(marks["row"], marks["label"], marks["annotator"], *(marks[side] for side in "xywh"), strict=True))


# --- MS-CXR ----------------------------------------------------------------------------------------------------------

MS_CXR_HEADER = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split\n"


def ms_cxr_row(category: str = "Pleural Effusion", box: str = "100,200,300,400", size: str = "2544,3056") -> str:
    path = f"files/p10/p10000032/s50414267/{DICOM_ID}.jpg"
    return f'{DICOM_ID},{category},"small, left effusion",{path},{box},{size},test\n'


def ms_cxr_json() -> dict[str, object]:
    box = {"image_id": 5, "bbox": [100, 200, 300, 400], "width": 2544, "height": 3056, "segmentation": []}
    return {
        "info": {},
        "licenses": [],
        "categories": [{"id": 2, "name": "Pleural Effusion", "supercategory": "disease"}],
        "images": [{"id": 5, "file_name": f"{DICOM_ID}.jpg", "width": 2544, "height": 3056, "path": "files/p10"}],
        "annotations": [{"id": 1, "category_id": 2, "label_text": "effusion", "split": "test", **box}],
    }


def test_ms_cxr_as_csv_and_as_json(store: Store, tmp_path: Path) -> None:
    as_csv = written(tmp_path, "MS_CXR_Local_Alignment_v1.1.0.csv", MS_CXR_HEADER + ms_cxr_row())
    assert add_annotations(store, as_csv)[:3] == (1, 0, 0)
    assert marked(store) == [(0, "Pleural Effusion", "not named", 100, 200, 300, 400)]
    as_json = written(tmp_path, "MS_CXR_Local_Alignment_v1.1.0.json", ms_cxr_json())
    assert add_annotations(store, as_json)[:3] == (0, 1, 0), "both hold the same mark"


def test_a_box_of_two_phrases_counts_once(store: Store, tmp_path: Path) -> None:
    added = add_annotations(store, written(tmp_path, "ms.csv", MS_CXR_HEADER + 2 * ms_cxr_row()))
    assert added == (1, 0, 0, ("1 marks stand in ms.csv more than once; each counts once.",))
    films = store.samples[["sample_id", "image"]]
    assert len(source_marks(tmp_path / "ms.csv", films, CHEXPERT_LABELS).marks) == 1


def test_ms_cxr_of_a_film_of_another_size(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path, "ms.csv", MS_CXR_HEADER + ms_cxr_row() + ms_cxr_row(size="1272,1528"))
    with pytest.raises(UserError, match=r"ms.csv row 3 is of an image of 1272 x 1528 pixels.*2544 x 3056"):
        add_annotations(store, file)
    file = written(tmp_path, "half.csv", MS_CXR_HEADER + ms_cxr_row(size="1272,1528"))
    add_annotations(store, file, frame="file")
    assert marked(store)[0][3:] == (200, 400, 600, 800)


# --- PadChest-GR -----------------------------------------------------------------------------------------------------


def finding(*labels: str, boxes: object = ((0.1, 0.2, 0.3, 0.6),), **changes: object) -> dict[str, object]:
    about = {"sentence_en": "A finding.", "sentence_es": "Un hallazgo.", "locations": ["left"], "progression": None}
    return {**about, "abnormal": True, "labels": list(labels), "boxes": boxes, "extra_boxes": [], **changes}


def padchest(*findings: dict[str, object]) -> list[dict[str, object]]:
    return [{"StudyID": STUDY[:20], "ImageID": f"{STUDY}.png", "PreviousImageID": None, "findings": list(findings)}]


def test_padchest_gr_by_its_two_readers(store: Store, tmp_path: Path) -> None:
    content = padchest(
        finding("pulmonary mass", "nodule", extra_boxes=[[0.1, 0.2, 0.32, 0.6]]),  # both are Lung Lesion here
        finding("Normal", abnormal=False, boxes=[]),
        finding("cardiomegaly", boxes=[]),
        finding("scoliosis", boxes=[[0.4, 0.1, 0.6, 0.9], [0.4, 0.2, 0.6, 0.9]]),
    )
    added = add_annotations(store, written(tmp_path, "grounded.json", content), skip_unknown=True)
    assert added[:3] == (2, 0, 2)
    assert added.notes == (
        "Marks of labels that this run does not have: scoliosis (2).",
        "2 marks stand in grounded.json more than once; each counts once.",
    )
    first, second = marked(store)
    assert first[:3] == (1, "Lung Lesion", "reader 1")
    assert first[3:] == pytest.approx((50, 80, 100, 160))  # of 500 x 400 pixels
    assert second[2] == "reader 2"
    assert second[3:] == pytest.approx((50, 80, 110, 160))


def test_a_label_without_a_row_is_an_error_with_its_place(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path, "g.json", padchest(finding("nodule"), finding("scoliosis")))
    with pytest.raises(UserError, match=r"g.json study 1 \(.*\), finding 2: 'scoliosis' is none of the labels"):
        add_annotations(store, file)
    assert not marks_file(store).exists()


def test_shares_need_no_frame(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Leave out --frame"):
        add_annotations(store, written(tmp_path, "g.json", padchest(finding("nodule"))), frame="1024x1024")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (padchest(finding("nodule", boxes=[[0.1, 0.2, 1.3, 0.6]])), r"finding 1: its box .* outside the film"),
        (padchest(finding("nodule", boxes=[[-0.2, 0.2, 0.3, 0.6]])), r"finding 1: its box .* outside the film"),
        (padchest(finding("nodule", boxes=[[0.3, 0.2, 0.1, 0.6]])), r"finding 1: .* no area"),
        (padchest(finding("nodule", boxes=[[float("nan"), 0.2, 0.3, 0.6]])), r"finding 1: .* no area"),
        (padchest(finding("nodule", boxes=[[0.1, 0.2, 0.3]])), r"g.json study 1: something is missing"),
        (padchest(finding("nodule", boxes=3)), r"g.json study 1: something is missing"),
        (padchest(finding("nodule", boxes=[["a", 0, 1, 1]])), r"g.json study 1: something is missing"),
        (padchest({"labels": []}), r"g.json study 1: something is missing"),
        ([{"findings": 3}], r"g.json study 1: something is missing"),
        ([{"findings": []}, 3], "nor PadChest-GR's list"),
    ],
)
def test_a_bad_study_is_named(store: Store, tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        add_annotations(store, written(tmp_path, "g.json", content))


# --- RSNA Pneumonia --------------------------------------------------------------------------------------------------

RSNA_HEADER = "patientId,x,y,width,height,Target\n"


def test_rsna_with_nothing_to_mark(store: Store, tmp_path: Path) -> None:
    rows = f"{PATIENT},264.0,152.0,213.0,379.0,1\n{PATIENT},562.0,152.0,256.0,453.0,1\nother,,,,,0\n"
    file = written(tmp_path, "stage_2_train_labels.csv", RSNA_HEADER + rows)
    assert add_annotations(store, file, skip_unknown=True) == (
        2,
        0,
        1,
        ("1 marks of films that this run does not have.",),
    )
    assert marked(store) == [
        (2, "Pneumonia", "not named", 264, 152, 213, 379),
        (2, "Pneumonia", "not named", 562, 152, 256, 453),
    ]
    store.samples.loc[2, "sample_id"] = "other"
    store.samples.loc[2, "image"] = "other.dcm"
    add_annotations(store, written(tmp_path, "nothing.csv", RSNA_HEADER + "other,,,,,0\n"))
    marks = read_marks(store)
    assert marks[["row", "label"]].to_numpy().tolist() == [[2, "Pneumonia"]]
    assert marks["x"].isna().all()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (f"{PATIENT},1,2,3,4,0\n", "row 2: Target is 0, and there is a box"),
        (f"{PATIENT},,,,,1\n", "row 2: x is ''"),
        (f"{PATIENT},nan,2,3,4,1\n", "row 2: x is 'nan'"),
        (f"{PATIENT},1,2,-3,4,1\n", "row 2: .* no area"),
        (f"{PATIENT},900,2,300,4,1\n", "row 2: its box .* outside the film"),
        (f"{PATIENT},1,2,3,4,2\n", "row 2: Target is '2'"),
        (f"{PATIENT},1,2,3,4,1\n{PATIENT},,,,,0\n", "row 3: .* has another Target before"),
        (f"{DICOM_ID},1,2,3,4,1\n", "row 2 is of an image of 1024 x 1024 pixels"),
    ],
)
def test_a_bad_row_of_rsna_is_named(store: Store, tmp_path: Path, rows: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        add_annotations(store, written(tmp_path, "rsna.csv", RSNA_HEADER + rows))
    assert not marks_file(store).exists()


# --- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_huge_file_is_not_read(store: Store, tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        os.truncate(file.fileno(), layouts.LARGEST_FILE + 1)
    with pytest.raises(UserError, match="512"):
        add_annotations(store, tmp_path / name)


def test_every_row_of_the_table_leads_to_a_label() -> None:
    for theirs, ours in SAME.items():
        assert set(ours) <= set(CHEXPERT_LABELS) | set(NIH_LABELS), theirs
        assert LabelNames(ours, {}).of(theirs) == (theirs if theirs in ours else ours[0])
    assert LabelNames(CHEXPERT_LABELS, {}).of("infiltrates") == "Lung Opacity"
    assert LabelNames(NIH_LABELS, {}).of("infiltrates") == "Infiltration"
    assert LabelNames(NIH_LABELS, {}).of("Mass") == "Mass"
    assert LabelNames(CHEXPERT_LABELS, {}).of("costophrenic angle blunting") is None


@given(st.data(), st.integers(300, 3000), st.integers(300, 3000))
def test_a_box_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, width: int, height: int
) -> None:
    x, y = (data.draw(st.floats(0, side - 2)) for side in (width, height))
    w, h = data.draw(st.floats(1, width - x)), data.draw(st.floats(1, height - y))
    folder = tmp_path_factory.mktemp("boxes")
    shares = [x / width, y / height, (x + w) / width, (y + h) / height]
    coco = ms_cxr_json()
    coco["images"][0] |= {"width": width, "height": height}  # type: ignore[index]
    coco["annotations"][0] |= {"bbox": [x, y, w, h]}  # type: ignore[index]
    files = [
        written(folder, "g.json", padchest(finding("nodule", boxes=[shares]))),
        written(folder, "c.json", coco),
        folder / "ms.csv",
    ]
    with files[-1].open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [MS_CXR_HEADER.strip().split(","), [DICOM_ID, "Edema", "", "p", x, y, w, h, width, height, ""]]
        )
    for file in files:
        (mark,) = read_marks_file(file)
        back = carried(mark, width, height)
        np.testing.assert_allclose([cast("float", back[side]) for side in "xywh"], [x, y, w, h], atol=1e-6)


@given(st.tuples(*[st.integers(0, 511)] * 2), st.tuples(*[st.integers(1, 512)] * 2))
def test_a_box_of_rsna_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    row = ",".join(map(str, (*corner, *size)))
    (mark,) = read_marks_file(written(tmp_path_factory.mktemp("rsna"), "r.csv", f"{RSNA_HEADER}p,{row},1\n"))
    assert [carried(mark, 1024, 1024)[side] for side in "xywh"] == [*corner, *size]
