"""A CSV of films: what is read, and what each kind of bad input is told (file, row and fix)."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.errors import UserError
from precompute.marks.layouts import SourceMark
from precompute.sources.csv import CsvOptions, read_csv
from precompute.sources.table import Source, check_positives
from tests.conftest import SHARED

GOOD = "image,patient_id,Edema,Fracture\na.png,p1,1,0\nsub/b.png,p2,-1,\nc.png,p1,0,1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path


def read(root: Path, text: str | bytes, **options: object) -> Source:
    content = text if isinstance(text, bytes) else text.encode()
    (root / "set.csv").write_bytes(content)
    return read_csv(CsvOptions(csv=root / "set.csv", images=root / "images", **options))  # type: ignore[arg-type]


def refused(root: Path, text: str | bytes, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read(root, text, **options)
    assert "set.csv" in caught.value.what
    assert caught.value.fix.endswith((".", "?"))
    return caught.value


# --- good input ----------------------------------------------------------------------------------------------


def test_rows_keep_the_files_order_and_unknown_is_nan(root: Path) -> None:
    source = read(root, GOOD)
    assert source.labels == ("Edema", "Fracture")
    assert source.frame["sample_id"].tolist() == ["a", "b", "c"]
    assert source.frame["study_id"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(source.frame["Edema"], np.float32([1, np.nan, 0]))
    np.testing.assert_array_equal(source.frame["Fracture"], np.float32([0, np.nan, 1]))
    assert source.frame["Edema"].dtype == np.float32
    assert source.split_origin is None
    assert source.name == "set"
    assert source.where(1) == f"{root / 'set.csv'} row 3"


@pytest.mark.parametrize("column", ["path", "filename", "image_path", " image "])
def test_the_image_column_has_other_names(root: Path, column: str) -> None:
    assert read(root, GOOD.replace("image", column)).frame["image"].tolist() == ["a.png", "sub/b.png", "c.png"]


def test_same_stems_take_the_path_for_an_id(root: Path) -> None:
    source = read(root, "image,patient_id,Edema\na/1.png,p,1\nb/1.png,p,0\n")
    assert source.frame["sample_id"].tolist() == ["a/1.png", "b/1.png"]


def test_everything_a_file_may_bring(root: Path) -> None:
    text = (
        "\ufeffsample_id,study_id,patient_id,split,view,image,report,age,sex,Edema\r\n"
        's1,t1, p1 ,train,PA,a.png,"Heart, ""large"".\nNo effusion.",63,F,1\r\n'
        "s2,t1,p1,train,LATERAL,b.png,,,,0\r\n\r\n\r\n"
    )
    source = read(root, text, name="Ours", licence="CC0")
    first = source.frame.iloc[0]
    assert (first["patient_id"], first["split"], first["view"], first["age"]) == ("p1", "train", "PA", 63)
    assert first["report"] == 'Heart, "large".\nNo effusion.'
    assert np.isnan(source.frame["age"].iat[1])
    assert (source.split_origin, source.name, source.licence) == ("the CSV's split column", "Ours", "CC0")
    assert len(source.frame) == 2


TABLE = [
    ["image", "patient_id", "report", "age", "Edema"],
    ["a.png", "p1", 'one,\n"two"', "63,5", "1,0"],
    ["b.png", "p2", "", "", "-1"],
]


def written(separator: str, ending: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=ending).writerows(TABLE)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_tables_as_spreadsheets_write_them(root: Path, separator: str, encoding: str, ending: str) -> None:
    frame = read(root, written(separator, ending).encode(encoding)).frame
    assert frame["report"].tolist() == ['one,\n"two"', ""]
    assert frame["age"].iat[0] == 63.5
    np.testing.assert_array_equal(frame["Edema"], np.float32([1, np.nan]))


@pytest.mark.parametrize("row", [",,,\n", ",,\n\n", " , ,\n"])
def test_blank_columns_and_rows_at_the_end_are_left_out(root: Path, row: str) -> None:
    source = read(root, f"image,patient_id,Edema,,\na.png,p,1,,\nb.png,p,0, \n{row}")
    assert (source.labels, len(source.frame)) == (("Edema",), 2)


def test_a_gzipped_table(root: Path) -> None:
    (root / "set.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    assert len(read_csv(CsvOptions(csv=root / "set.csv.gz", images=root / "images")).frame) == 3
    for damaged in (gzip.compress(GOOD.encode())[:-9], b"\x1f\x8b\x08\0\0\0\0\0\0\3junk", b"plain"):
        (root / "set.csv.gz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"set\.csv\.gz cannot be read"):
            read_csv(CsvOptions(csv=root / "set.csv.gz", images=root / "images"))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.dcm", "a.dicom", "A.PNG", "a.dcm.png"])
def test_a_film_of_another_ending_is_taken_and_named(root: Path, name: str) -> None:
    (root / "images" / name).touch()
    (root / "images" / "a.txt").touch()
    source = read(root, GOOD)
    assert source.frame["image"].tolist() == [name, "sub/b.png", "c.png"]
    assert source.frame["sample_id"].tolist()[1:] == ["b", "c"]
    assert source.notes == (f"1 films go by another ending or folder here, such as {name} for a.png.",)


def test_films_by_names_without_endings_and_with_backslashes(root: Path) -> None:
    (root / "images/sub").mkdir()
    for name in ("1.2.840.dcm", "sub/b.png"):
        (root / "images" / name).touch()
    frame = read(root, "image,patient_id,Edema\n1.2.840,p,1\nsub\\b.png,p,0\n").frame
    assert frame["image"].tolist() == ["1.2.840.dcm", "sub/b.png"]


def test_a_film_that_is_there_is_not_another_rows(root: Path) -> None:
    (root / "images/a.jpg").touch()
    source = read(root, "image,patient_id,Edema\na.png,p,1\na.jpg,p,0\n")
    assert source.frame["image"].tolist() == ["a.png", "a.jpg"]  # the first is missing
    assert source.notes == ()


def test_two_films_that_a_name_may_mean(root: Path) -> None:
    for name in ("a.jpg", "a.dcm"):
        (root / "images" / name).touch()
    with pytest.raises(UserError, match=r"2 films that a\.png may mean: a\.dcm, a\.jpg") as caught:
        read(root, GOOD)
    assert "--images" in caught.value.fix


def test_labels_chosen_and_columns_ignored(root: Path) -> None:
    text = "image,patient_id,Edema,Fracture,weight\na.png,p,1,0,81.5\n"
    assert read(root, text, label=["Fracture", "Fracture"]).labels == ("Fracture",)
    assert read(root, text, ignore=["weight"]).labels == ("Edema", "Fracture")
    both = "image,path,patient_id,Edema\na.png,x,p,1\n"
    assert read(root, both, ignore=["path"]).frame["image"].tolist() == ["a.png"]


def test_words_that_other_readers_take_for_missing_stay_words(root: Path) -> None:
    frame = read(root, "image,patient_id,report,Edema\nNA,null,nan,1\n").frame
    assert frame[["image", "patient_id", "report"]].iloc[0].tolist() == ["NA", "null", "nan"]


def test_another_file_has_another_hash(root: Path) -> None:
    one = read(root, GOOD).sha256
    assert one == read(root, GOOD).sha256
    assert one != read(root, GOOD.replace("1,0", "0,0")).sha256


# --- bad input -----------------------------------------------------------------------------------------------

BAD = {
    # name: (file, what is said, what the fix says)
    "empty": (b"", r"no rows", "header"),
    "header only": ("image,patient_id,Edema\n", r"no rows", "row"),
    "blank lines only": ("\n\n \n", "no rows|cells", ""),
    "UTF-16 without its mark": ("image,patient_id,Edema\na.png,p,1\n".encode("utf-16-le"), "cannot be read", "UTF-8"),
    "half of UTF-16": ("image,patient_id,Edema\né.png,p,1\n".encode("utf-16")[:-1], "cannot be read", "UTF-8"),
    "latin-1": ("image,patient_id,Edema\né.png,p,1\n".encode("latin-1"), "cannot be read", "UTF-8"),
    "open quote": ('image,patient_id,Edema\n"a.png,p,1\n', "cannot be read", "CSV in UTF-8"),
    "sep": ("sep=;\nimage;patient_id;Edema\na.png;p;1\n", "only names the separator", "Delete that line"),
    "no image": ("patient_id,Edema\np,1\n", "no column image", "path or filename"),
    "no patient": ("image,Edema\na.png,1\n", "no column patient_id", "splits"),
    "no label": ("image,patient_id\na.png,p\n", "no label column", "Add one"),
    "short row": ("image,patient_id,Edema\na.png,p,1\nb.png,p\n", r"row 3 has 2 cells.*3", "every column"),
    "long row": ("image,patient_id,Edema\na.png,p,1,0\n", r"row 2 has 4 cells", "every column"),
    "every row long": ("image,patient_id,Edema\na.png,p,1,0\nb.png,q,0,1\n", r"row 2 has 4 cells", "every column"),
    "blank row": ("image,patient_id,Edema\na.png,p,1\n\nb.png,p,7\n", r"row 3 has 0 cells", "delete"),
    "nameless column": (",image,patient_id,Edema\n0,a.png,p,1\n", "column 1 has no name", "delete"),
    "nameless column with a cell": ("image,patient_id,Edema,\na.png,p,1,x\n", "row 2 has 4 cells.*3", "delete"),
    "label twice": ("image,patient_id,Edema,Edema\na.png,p,1,0\n", "two columns for Edema", "Keep one"),
    "two image columns": ("path,filename,patient_id,Edema\na.png,a.png,p,1\n", "two columns for image", "Keep one"),
    "blank image": ("image,patient_id,Edema\na.png,p,1\n ,p,1\n", r"row 3: image is blank", "Fill"),
    "blank patient": ("image,patient_id,Edema\na.png,,1\n", r"row 2: patient_id is blank", "Fill"),
    "blank id": ("image,patient_id,sample_id,Edema\na.png,p, ,1\n", r"row 2: sample_id is blank", "Fill"),
    "same image": (
        "image,patient_id,Edema\na.png,p,1\nb.png,p,1\na.png,q,0\n",
        r"row 2 and \S* row 4 .*'a",
        "id of its own",
    ),
    "same id": (
        "sample_id,image,patient_id,Edema\nx,a.png,p,1\ny,b.png,p,1\nx,c.png,p,1\n",
        r"row 2 and \S* row 4 have the same sample_id: 'x'",
        "id of its own",
    ),
    "label 2": ("image,patient_id,Edema\na.png,p,1\nb.png,p,2\n", r"row 3: 'Edema' is '2'", "--ignore 'Edema'"),
    "label yes": ("image,patient_id,Edema\na.png,p,yes\n", r"row 2: 'Edema' is 'yes'", "--ignore"),
    "unknown column": (
        "image,patient_id,weight,Edema\na.png,p,,1\nb.png,p,81.5,1\n",
        r"unknown column 'weight'.*row 3 has '81.5'",
        "--ignore 'weight'",
    ),
    "odd split": (
        "image,patient_id,split,Edema\na.png,p,train,1\nb.png,p,dev,1\n",
        r"row 3: split is 'dev'",
        "train, val",
    ),
    "blank split": ("image,patient_id,split,Edema\na.png,p,train,1\nb.png,p,,1\n", r"row 3: split is ''", "train, val"),
    "patient in two splits": (
        "image,patient_id,split,Edema\na.png,p,train,1\nb.png,q,val,1\nc.png,p ,test,1\n",
        r"'p' is in train \(.*row 2\) and in test \(.*row 4\)",
        "one split",
    ),
    "age": ("image,patient_id,age,Edema\na.png,p,62,1\nb.png,p,old,1\n", r"row 3: age is 'old'", "Correct"),
    "path up": ("image,patient_id,Edema\na.png,p,1\n../b.png,p,1\n", r"row 3: '\.\./b\.png'.*leaves", "below"),
    "absolute path": ("image,patient_id,Edema\n/etc/passwd,p,1\n", r"row 2: '/etc/passwd'.*leaves", "below"),
    "path with NUL": ("image,patient_id,Edema\na\0.png,p,1\n", r"row 2: .*path", "below"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_file_row_and_fix(root: Path, name: str) -> None:
    text, what, fix = BAD[name]
    error = refused(root, text)
    with pytest.raises(UserError, match=what):
        raise error
    assert fix in error.fix


def test_no_file_no_folder(root: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*none\.csv"):
        read_csv(CsvOptions(csv=root / "none.csv", images=root / "images"))
    with pytest.raises(UserError, match="cannot be read"):
        read_csv(CsvOptions(csv=root, images=root / "images"))
    (root / "set.csv").write_text(GOOD)
    with pytest.raises(UserError, match=r"image folder .* does not exist"):
        read_csv(CsvOptions(csv=root / "set.csv", images=root / "nowhere"))


def test_a_link_out_of_the_folder_names_its_row(root: Path) -> None:
    (root / "outside.png").touch()
    (root / "images" / "c.png").symlink_to(root / "outside.png")
    error = refused(root, GOOD)
    assert "row 4: 'c.png' is a link out of the image folder" in error.what
    assert "--images" in error.fix
    (root / "images" / "c.png").unlink()
    (root / "elsewhere").mkdir()
    (root / "images" / "sub").symlink_to(root / "elsewhere")
    assert "row 3: 'sub/b.png' is a link out of the image folder, or lies in a linked" in refused(root, GOOD).what


@pytest.mark.parametrize("label", ["Edoema", "image", "age"])
def test_a_label_asked_for_must_be_a_label_column(root: Path, label: str) -> None:
    error = refused(root, GOOD, label=[label])
    assert repr(label) in error.what
    assert "Fracture" in error.fix


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root reads every file")
def test_a_file_that_may_not_be_read(root: Path) -> None:
    (root / "set.csv").write_text(GOOD)
    (root / "set.csv").chmod(0)
    with pytest.raises(UserError, match="cannot be read"):
        read_csv(CsvOptions(csv=root / "set.csv", images=root / "images"))


# --- positives in every split --------------------------------------------------------------------------------


def test_a_label_without_a_positive_in_a_split_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"split": ["train", "val", "test"], "A": [1, 1, 1], "B": [1, 0, np.nan], "C": [0, 1, 0]})
    check_positives(frame, ["A"], tmp_path)
    with pytest.raises(UserError, match=r"'B' has none in val, test; 'C' has none in train, test") as caught:
        check_positives(frame, ["A", "B", "C"], tmp_path)
    assert "--allow-empty" in caught.value.fix


# --- annotations ---------------------------------------------------------------------------------------------

BOXES = "image,label,x,y,w,h,polygon\na.png,Edema,1,2,30,40.5,1 2 3 4 5 6\nc.png,Fracture,0,0,1,1,\n"


def boxes(root: Path, text: str, name: str = "boxes.csv") -> tuple[SourceMark, ...]:
    (root / name).write_text(text)
    return read(root, GOOD, annotations=root / name).annotations


def test_boxes_and_polygons(root: Path) -> None:
    first, second = boxes(root, BOXES)
    assert (first.box, second.box) == ((1, 2, 30, 40.5), (0, 0, 1, 1))
    assert (first.polygon, second.polygon) == ([1, 2, 3, 4, 5, 6], None)
    assert (first.reader, second.reader) == ("not named", "not named")
    assert read(root, GOOD).annotations == ()
    assert read(root, GOOD).sha256 != read(root, GOOD, annotations=root / "boxes.csv").sha256


def test_annotations_of_any_layout(root: Path) -> None:
    """As annotate reads them; test_annotations has every layout."""
    coco = {
        "images": [{"id": 7, "file_name": "a.png", "width": 50, "height": 60}],
        "categories": [{"id": 1, "name": "edema"}],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8], "annotator": "R1"}],
    }
    (mark,) = boxes(root, json.dumps(coco), "coco.json")
    assert (mark.image, mark.label, mark.reader, mark.box, mark.size) == (
        "a.png",
        "Edema",
        "R1",
        (5, 6, 7, 8),
        (50, 60),
    )
    (root / "masks/Edema").mkdir(parents=True)
    Image.new("L", (8, 8), 255).save(root / "masks/Edema/a.png")
    (mark,) = read(root, GOOD, annotations=root / "masks").annotations
    assert (mark.image, mark.label) == ("a.png", "Edema")
    assert mark.box == pytest.approx((0, 0, 8, 8), abs=0.6)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("a.png", "z.png", r"row 2: there is no film 'z.png'"),
        ("Fracture", "Fractur", r"row 3: 'Fractur' is none of the labels"),
        ("30", "wide", r"row 2: w is 'wide', no number"),
        ("30", "nan", r"row 2: w is 'nan', no number"),
        ("30", "0", r"row 2: .*no area"),
        ("40.5", "-1", r"row 2: .*no area"),
        ("5 6", "5", r"row 2: polygon has 5 numbers"),
        ("5 6", "5 six", r"row 2: polygon is 'six', no number"),
        ("image,label,x", "image,label,left", r"no column x"),
    ],
)
def test_a_bad_box_names_its_row(root: Path, old: str, new: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        boxes(root, BOXES.replace(old, new, 1))
    assert "boxes.csv" in caught.value.what


def test_real_labels() -> None:
    shared = SHARED
    folder = shared / "nih_cxr14"
    if not folder.is_dir():
        pytest.skip("no real films here: CXR_SHARED names no folder with nih_cxr14")
    source = read_csv(CsvOptions(csv=folder / "labels.csv", images=folder, ignore=["orig_width", "orig_height"]))
    assert (len(source.frame), len(source.labels), source.split_origin is None) == (1196, 15, False)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_cell_may_be_quoted(root: Path, separator: str) -> None:
    quoted = "\n".join(separator.join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.splitlines())
    pd.testing.assert_frame_equal(read(root, quoted).frame, read(root, GOOD).frame)


@pytest.mark.parametrize(
    "label", ["macro", "micro", "macro over all labels", "all labels", "first positive class", "height", "Skeletal"]
)
def test_a_label_cannot_take_the_name_of_something_else(root: Path, label: str) -> None:
    error = refused(root, GOOD.replace("Edema", label))
    assert repr(label) in error.what


def test_one_film_by_two_paths_is_one_film(root: Path) -> None:
    error = refused(root, GOOD.replace("c.png", "./sub/../a.png"))
    assert "row 4 have the same" in error.what
