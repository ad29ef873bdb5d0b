"""ChestX-ray14: findings, ages, official lists and boxes, in the files' own odd spelling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.data.labels import NIH_LABELS
from explorer.errors import UserError
from precompute.sources import check_source
from precompute.sources.nih import BOXES, NihOptions, read_nih

# both releases' headers: commas inside brackets, and one at the end of the first release's lines
FIRST = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
ROWS = [
    "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,",
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,058Y,M,PA,2894,2729,0.143,0.143,",
    "00000002_000.png,No Finding,0,2,011M,M,AP,2500,2048,0.171,0.171,",
    "00000013_005.png,Infiltration|Pleural_Thickening,5,13,412Y,F,AP,2500,2048,0.168,0.168,",
]
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join([FIRST, *ROWS]) + "\n")
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png")
    (tmp_path / "test_list.txt").write_text("00000013_005.png\n")
    (tmp_path / BOXES).write_text(
        f"{BOX_HEADER}\n00000013_005.png,Infiltrate,225.084745762712,547.0,86.7796610169491,79.18,,,\n"
        "00000001_000.png,Cardiomegaly,1,2,3,4\n"
    )
    for i, row in enumerate(ROWS[:3]):
        film = tmp_path / f"images_{i % 2 + 1:03d}/images" / row.split(",")[0]
        film.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(film)
    return tmp_path


def test_what_the_files_say(root: Path) -> None:
    source = read_nih(NihOptions(root=root))
    frame = source.frame
    assert source.labels == NIH_LABELS
    assert frame["image"].tolist() == [
        "images_001/images/00000001_000.png",
        "images_002/images/00000001_001.png",
        "images_001/images/00000002_000.png",
        "00000013_005.png",  # not there: to be told with all films that cannot be read
    ]
    assert [[label for label in NIH_LABELS if row[label] == 1] for _, row in frame.iterrows()] == [
        ["Cardiomegaly"],
        ["Cardiomegaly", "Emphysema"],
        ["No Finding"],
        ["Infiltration", "Pleural_Thickening"],
    ]
    assert not frame[list(NIH_LABELS)].isna().any().any()
    np.testing.assert_allclose(frame["age"].astype(float), [58, 58, 11 / 12, np.nan], rtol=1e-6)
    assert frame["view"].tolist() == ["PA", "PA", "AP", "AP"]
    assert frame["patient_id"].tolist() == ["1", "1", "2", "13"]
    assert frame["split"].tolist()[3] == "test"
    assert set(frame["split"][:3]) <= {"train", "val"}
    assert frame["split"][0] == frame["split"][1]


def test_boxes(root: Path) -> None:
    boxes = read_nih(NihOptions(root=root)).annotations
    assert [box.label for box in boxes] == ["Infiltration", "Cardiomegaly"]
    assert [box.image for box in boxes] == ["00000013_005.png", "images_001/images/00000001_000.png"]
    assert boxes[0].box == (225.084745762712, 547.0, 86.7796610169491, 79.18)
    assert {(box.reader, box.size) for box in boxes} == {("radiologist", (1024, 1024))}
    (root / BOXES).unlink()
    assert read_nih(NihOptions(root=root)).annotations == ()


def test_the_second_release_and_films_elsewhere(root: Path, tmp_path: Path) -> None:
    rows = [row.removesuffix(",").replace("058Y", "58").replace("011M", "11") for row in ROWS]
    (root / "Data_Entry_2017.csv").unlink()
    (root / "Data_Entry_2017_v2020.csv").write_text(
        "\n".join([FIRST.removesuffix(",").replace("Gender", "Sex"), *rows]) + "\n"
    )
    source = read_nih(NihOptions(root=root, images=root / "images_002"))
    assert source.frame["image"].tolist()[:2] == ["00000001_000.png", "images/00000001_001.png"]
    assert source.frame["sex"].tolist() == ["M", "M", "M", "F"]
    assert "v2020" in source.label_origin


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg"])
def test_films_copied_to_jpeg(root: Path, ending: str) -> None:
    for film in root.rglob("*.png"):
        film.rename(film.with_suffix(ending))
    source = read_nih(NihOptions(root=root))
    assert source.frame["image"].tolist()[:2] == [
        f"images_001/images/00000001_000{ending}",
        f"images_002/images/00000001_001{ending}",
    ]
    assert source.annotations[1].image == f"images_001/images/00000001_000{ending}"
    assert source.notes[0].startswith("3 films go by another ending")
    assert next(count.notes for count in check_source("nih", root) if count.what == "films on disk") == source.notes
    counts = {count.what: count.found for count in check_source("nih", root)}
    assert (counts["films on disk"], counts["boxes"]) == (3, 2)


def test_a_table_of_jpeg_names_beside_lists_of_png_names(root: Path) -> None:
    before = read_nih(NihOptions(root=root)).frame
    table = root / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace(".png", ".jpg"))
    source = read_nih(NihOptions(root=root))
    assert source.frame["split"].tolist() == before["split"].tolist()
    assert source.frame["image"].tolist()[:3] == before["image"].tolist()[:3]
    assert len(source.annotations) == 2
    assert len(source.notes) == 2


def test_a_film_in_two_folders_is_not_guessed(root: Path) -> None:
    (root / "small").mkdir()
    Image.new("L", (4, 4)).save(root / "small/00000001_000.png")
    with pytest.raises(UserError, match=r"2 films that 00000001_000\.png may mean: images_001/.*, small/") as caught:
        read_nih(NihOptions(root=root))
    assert "--images" in caught.value.fix


def test_folders_that_are_links_are_named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "images_001"
    (root / "images_001").rename(elsewhere)
    (root / "images_001").symlink_to(elsewhere)
    source = read_nih(NihOptions(root=root))
    assert source.frame["image"][0] == "00000001_000.png"  # missing
    assert source.notes == (f"Links to folders are not followed; {root} holds images_001.",)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("Data_Entry_2017.csv", "|Emphysema", "|Emfysema", r"csv row 3: Finding Labels is 'Cardiomegaly\|Emfysema'"),
        ("Data_Entry_2017.csv", "011M", "young", "csv row 4: Patient Age is 'young'"),
        ("Data_Entry_2017.csv", "M,AP", "M,LL", "csv row 4: View Position is 'LL'"),
        ("Data_Entry_2017.csv", "00000001_001", "00000001_000", "row 3: the film 00000001_000.png is there twice"),
        ("Data_Entry_2017.csv", "Patient ID", "Patient", "no column Patient ID"),
        ("Data_Entry_2017.csv", "0.143,0.143,", "0.143,0.143,x", "row 2 has 12 cells"),
        ("test_list.txt", "00000013_005.png", "", "row 5: 00000013_005.png is in neither of"),
        ("test_list.txt", "\n", "\n00000002_000.png", "row 4: 00000002_000.png is in both of"),
        ("Data_Entry_2017.csv", ",5,13,", ",5,1,", r"'1' is in (train|val) \(.*row 2\) and in test \(.*row 5\)"),
        (BOXES, "Infiltrate", "Infiltrated", "BBox_List_2017.csv row 2: 'Infiltrated' is none of the labels"),
        (BOXES, "1,2,3,4", "1,2,3,-4", "BBox_List_2017.csv row 3: .* no area"),
        (BOXES, "00000001_000.png", "x.png", "BBox_List_2017.csv row 3: there is no film 'x.png'"),
    ],
)
def test_bad_files_name_the_row(root: Path, file: str, old: str, new: str, told: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        read_nih(NihOptions(root=root))


@pytest.mark.parametrize("file", ["Data_Entry_2017.csv", "train_val_list.txt", "test_list.txt"])
def test_a_missing_file_is_named(root: Path, file: str) -> None:
    (root / file).unlink()
    with pytest.raises(UserError, match=f"has no {file}"):
        read_nih(NihOptions(root=root))


def test_check(root: Path) -> None:
    counts = {count.what: (count.found, count.expected) for count in check_source("nih", root)}
    assert counts["films named"] == (4, 112120)
    assert counts["patients"] == (3, 30805)
    assert counts["train_val_list.txt: films"] == (3, 86524)
    assert counts["test_list.txt: films"] == (1, 25596)
    assert (counts["boxes"], counts["films with boxes"]) == ((2, 984), (2, 880))
    assert counts["films on disk"] == (3, 112120)
    assert counts["Cardiomegaly: positive"] == (2, None)
