"""Files of marks in every layout, in the film's own pixels; a bad one is refused whole, with file, row and fix."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.data.regions import reader_masks
from explorer.errors import UserError
from explorer.store.marks import marks_file, read_marks
from explorer.store.reader import Store
from precompute.marks.annotate import add_annotations
from precompute.marks.layouts import _run_lengths

LABELS = ("Cardiomegaly", "Effusion", "Infiltration", "Lung Opacity", "Pleural_Thickening")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """As much of a run as marks ask for: films named as NIH, VinDr and CheXpert name them."""
    images = ["images/00013118_008.png", "train/0005e8e3.dicom", "valid/patient64541/study1/view1_frontal.jpg"]
    samples = pd.DataFrame(
        {
            "sample_id": ["00013118_008", "0005e8e3", "p64541"],
            "image": images,
            "height": [512, 300, 320],
            "width": [512, 200, 390],
        }
    )
    own = pd.DataFrame(columns=["sample_id", "row", "label", "annotator", "x", "y", "w", "h", "polygon"])
    manifest = SimpleNamespace(dataset=SimpleNamespace(name="Films"))
    run = SimpleNamespace(
        path=tmp_path / "store/run",
        labels=LABELS,
        samples=samples,
        annotations=own,
        manifest=manifest,
        has_films=True,
    )
    return cast("Store", run)


def a_file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def boxes(store: Store) -> list[tuple[object, ...]]:
    marks = read_marks(store)
    return list(zip(marks["row"], marks["label"], marks["annotator"], *(marks[c] for c in "xywh"), strict=True))


def test_a_csv_of_boxes(store: Store, tmp_path: Path) -> None:
    rows = "images/00013118_008.png,Effusion,10,20.5,30,40,R1", "0005e8e3,cardiomegaly,1,2,3,4,"
    text = "\n".join(("path,label,x,y,w,h,annotator", *rows))
    file = a_file(tmp_path, "boxes.csv", text)
    assert add_annotations(store, file, reader="R9") == (2, 0, 0, ())
    assert boxes(store) == [(0, "Effusion", "R1", 10, 20.5, 30, 40), (1, "Cardiomegaly", "R9", 1, 2, 3, 4)]
    assert add_annotations(store, file, reader="R9") == (0, 2, 0, ())


def test_nihs_own_file_and_its_1024_pixels(store: Store, tmp_path: Path) -> None:
    text = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00013118_008.png,Infiltrate,225.0,47.0,86.6,79.2,,,\n"
    file = a_file(tmp_path, "BBox_List_2017.csv", text)
    with pytest.raises(UserError, match=r"row 2 is of an image of 1024 x 1024 pixels; the film .* has 512 x 512"):
        add_annotations(store, file)  # it would lie inside the film, in another place
    add_annotations(store, file, frame="file")
    ((row, label, reader, *box),) = boxes(store)
    assert (row, label, reader) == (0, "Infiltration", "not named")
    assert box == pytest.approx([112.5, 23.5, 43.3, 39.6])


def test_vindrs_own_file(store: Store, tmp_path: Path) -> None:
    text = (
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
        "0005e8e3,R10,Pleural thickening,20,30,70,90\n"
        "0005e8e3,R11,No finding,,,,\n"
        "other,R11,Cardiomegaly,1,2,3,4\n"
    )
    counts = add_annotations(store, a_file(tmp_path, "annotations_train.csv", text), skip_unknown=True)
    assert counts == (1, 0, 1, ("1 marks of films that this run does not have.",))
    assert boxes(store) == [(1, "Pleural_Thickening", "R10", 20, 30, 50, 60)]


def test_coco_boxes_outlines_and_run_lengths(store: Store, tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "0005e8e3.dicom", "width": 200, "height": 300}],
        "categories": [{"id": 1, "name": "Effusion"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8]},
            {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [[10, 10, 30, 10, 30, 50]]},
            {
                "id": 3,
                "image_id": 7,
                "category_id": 1,
                "segmentation": {"size": [300, 200], "counts": [30_050, 20, 280, 20, 29_630]},
            },
        ],
    }
    add_annotations(store, a_file(tmp_path, "coco.json", json.dumps(content)))
    first, second, third = boxes(store)
    assert first[3:] == (5, 6, 7, 8)
    assert second[3:] == (10, 10, 20, 40)
    assert third[3:] == pytest.approx((100, 50, 2, 20), abs=0.6)  # two columns of 20 pixels
    assert read_marks(store)["polygon"].iat[1].tolist() == [10, 10, 30, 10, 30, 50]


def packed(runs: list[int]) -> str:
    """As pycocotools packs run lengths (maskApi.c, rleToString)."""
    out = ""
    for i, run in enumerate(runs):
        value = run - (runs[i - 2] if i > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            out += chr(48 + (bits | 32 if more else bits))
    return out


def test_packed_run_lengths_are_unpacked() -> None:
    mask = np.random.default_rng(0).random((37, 23)) < 0.4
    flat = np.concatenate([[False], mask.T.ravel()])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff([0, *edges, mask.size]).tolist()
    for counts in (runs, packed(runs)):
        np.testing.assert_array_equal(_run_lengths({"size": [37, 23], "counts": counts}), mask)


def test_chexlocalize_contours(store: Store, tmp_path: Path) -> None:
    name = "patient64541_study1_view1_frontal"
    content = {name: {"img_size": [320, 390], "Airspace Opacity": [[[100, 50], [140, 50], [140, 90], [100, 90]]]}}
    add_annotations(store, a_file(tmp_path, "gt_annotations_val.json", json.dumps(content)))
    assert boxes(store) == [(2, "Lung Opacity", "not named", 100, 50, 40, 40)]


SHAPES = [
    {"label": "Effusion", "points": [[20, 30], [70, 30], [70, 90]], "shape_type": "polygon", "group_id": None},
    {"label": "Cardiomegaly", "points": [[90, 80], [50, 20]], "shape_type": "rectangle"},
]


def labelme(image: str = "0005e8e3.png", **changes: object) -> str:
    content = {"version": "5.4.1", "flags": {}, "shapes": SHAPES, "imagePath": image, "imageData": None}
    return json.dumps(content | {"imageHeight": 300, "imageWidth": 200, **changes})


def test_labelme_polygons_and_rectangles(store: Store, tmp_path: Path) -> None:
    add_annotations(store, a_file(tmp_path, "0005e8e3.json", labelme()))
    assert boxes(store) == [
        (1, "Effusion", "not named", 20, 30, 50, 60),
        (1, "Cardiomegaly", "not named", 50, 20, 40, 60),
    ]
    assert read_marks(store)["polygon"].iat[0].tolist() == [20, 30, 70, 30, 70, 90]


def test_a_folder_of_labelme_files_beside_its_films(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    a_file(folder, "a.json", labelme())
    a_file(folder, "b.JSON", labelme("..\\films\\00013118_008.jpg", imageHeight=512, imageWidth=512))
    a_file(folder, "settings.json", "{}")
    Image.new("L", (8, 8)).save(folder / "0005e8e3.png")
    assert add_annotations(store, folder).added == 4
    assert marks_rows(store) == [1, 1, 0, 0]


def marks_rows(store: Store) -> list[int]:
    return read_marks(store)["row"].tolist()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"shapes": [SHAPES[0] | {"shape_type": "circle"}]}, "shape 1 is a circle"),
        ({"shapes": [SHAPES[0] | {"points": [[1, 2], [3, 4]]}]}, "three points"),
        ({"shapes": [SHAPES[0] | {"points": [[1, 2, 3]]}]}, "of another kind"),
        ({"shapes": [SHAPES[1] | {"points": [[1, 2], [1, 9]]}]}, "no area"),
        ({"shapes": {"0": {}}}, "of another kind"),
        ({"shapes": []}, "holds no marks"),
        ({"imageWidth": None}, "of another kind"),
    ],
)
def test_a_bad_labelme_file_names_its_shape(
    store: Store, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(UserError, match=told) as caught:
        add_annotations(store, a_file(tmp_path, "a.json", labelme(**changes)))
    assert "a.json" in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"a": [1]}',
        '{"a": {"Effusion": 3}}',
        '{"a": {"Effusion": {"size": [1e9, 1e9], "counts": []}}}',
        '{"annotations": {}, "images": {}, "categories": {}}',
        '{"annotations": [3], "images": [], "categories": []}',
        '{"annotations": null}',
        '{"annotations": [], "images": [{"id": []}], "categories": []}',
        '{"shapes": 3}',
        "[" * 100_000,
        '{"version": "1", "objects": []}',
        "\ufeff[]",
    ],
)
def test_json_of_no_layout_is_refused(store: Store, tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"a\.json"):
        add_annotations(store, a_file(tmp_path, "a.json", text))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("00013118_008.jpg", 0),
        ("00013118_008.JPEG", 0),
        ("images_004/00013118_008.jpg", None),  # another folder than the film's
        ("data/images/00013118_008.jpg", 0),
        ("data\\images\\00013118_008.dcm", 0),
        ("0005e8e3.png", 1),
        ("train/0005e8e3.png", 1),
        ("test/0005e8e3.png", None),
        ("patient64541_study1_view1_frontal.png", 2),
        ("patient9/study1/view1_frontal.jpg", None),
    ],
)
def test_a_film_of_another_ending(store: Store, tmp_path: Path, name: str, row: int | None) -> None:
    file = a_file(tmp_path, "b.csv", f"image,label,x,y,w,h\n{name},Effusion,5,5,9,9\n")
    if row is None:
        with pytest.raises(UserError, match="there is no film"):
            add_annotations(store, file)
        return
    added = add_annotations(store, file)
    assert marks_rows(store) == [row]
    assert added.notes == (
        f"1 films go by another ending or folder in {file.name}, such as {store.samples['image'][row]} for {name}.",
    )


def test_two_films_of_one_name_are_not_guessed(store: Store, tmp_path: Path) -> None:
    store.samples["image"] = ["a/x.png", "b/x.png", "x.jpg"]
    for name, row in (("x.dcm", None), ("a/x.jpg", 0), ("x.jpg", 2), ("x.png", None), ("c/x.jpg", 2)):
        (tmp_path / name.replace("/", "_")).mkdir()
        file = a_file(tmp_path / name.replace("/", "_"), "b.csv", f"image,label,x,y,w,h\n{name},Effusion,5,5,9,9\n")
        if row is None:
            with pytest.raises(UserError, match="more than one of that name"):
                add_annotations(store, file)
        else:
            add_annotations(store, file)
            assert marks_rows(store)[-1] == row


@pytest.mark.parametrize("separator", [";", "\t"])
def test_boxes_by_another_separator_and_decimal_commas(store: Store, tmp_path: Path, separator: str) -> None:
    rows = [["image", "label", "x", "y", "w", "h", ""], ["0005e8e3", "Effusion", "1,5", "2", "3,25", "4", ""]]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)
    add_annotations(store, a_file(tmp_path, "b.csv", text))
    assert boxes(store) == [(1, "Effusion", "not named", 1.5, 2, 3.25, 4)]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("ending", ["png", "PNG", "Png"])
def test_masks_of_every_kind(store: Store, tmp_path: Path, ending: str, mode: str) -> None:
    mask = np.zeros((300, 200), np.uint8)
    mask[40:80, 20:60] = 255
    image = Image.fromarray(mask.astype(np.uint16) // 255) if mode == "I;16" else Image.fromarray(mask)
    if mode == "RGBA":  # white all over, opaque where marked
        image = Image.merge("RGBA", [Image.new("L", image.size, 255)] * 3 + [image])
    elif mode != "I;16":
        image = image.convert(mode)
    (tmp_path / "masks/Effusion").mkdir(parents=True)
    image.save(tmp_path / f"masks/Effusion/0005e8e3.{ending}", "PNG")
    (tmp_path / "masks/Effusion/._0005e8e3.png").write_bytes(b"left by a Mac")
    add_annotations(store, tmp_path / "masks")
    assert boxes(store)[0][3:] == pytest.approx((20, 40, 40, 40), abs=0.6)


def test_a_mask_that_is_no_png_or_far_too_large(store: Store, tmp_path: Path) -> None:
    (tmp_path / "masks/Effusion").mkdir(parents=True)
    file = tmp_path / "masks/Effusion/0005e8e3.png"
    Image.new("L", (200, 300), 255).save(file, "JPEG")
    with pytest.raises(UserError, match=r"0005e8e3\.png cannot be read as a PNG"):
        add_annotations(store, tmp_path / "masks")
    Image.new("1", (9000, 9000), 1).save(file)
    with pytest.raises(UserError, match=r"9000 x 9000 pixels"):
        add_annotations(store, tmp_path / "masks")


def test_mask_pngs_with_their_reader(store: Store, tmp_path: Path) -> None:
    mask = np.zeros((300, 200), np.uint8)
    mask[40:80, 20:60] = 255
    mask[200:210, 100:150] = 255
    folder = tmp_path / "masks"
    (folder / "Dr A/Effusion").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "Dr A/Effusion/0005e8e3.png")
    add_annotations(store, folder)
    marks = read_marks(store)
    assert marks["annotator"].tolist() == ["Dr A", "Dr A"]
    back = reader_masks(marks, 300, 200, 1.0)["Dr A"]
    assert np.logical_xor(back, mask > 0).mean() < 0.005, "the mask comes back from its outlines"


def test_normalised_coordinates(store: Store, tmp_path: Path) -> None:
    file = a_file(tmp_path, "n.csv", "image,label,x,y,w,h\n0005e8e3,Effusion,0.1,0.2,0.5,0.25\n")
    with pytest.raises(UserError, match="normalised"):
        add_annotations(store, file)
    add_annotations(store, file, frame="normalised")
    assert boxes(store)[0][3:] == pytest.approx((20, 60, 100, 75))


def coco_of(width: int, height: int) -> str:
    return json.dumps(
        {
            "images": [{"id": 7, "file_name": "0005e8e3", "width": width, "height": height}],
            "categories": [{"id": 1, "name": "Effusion"}],
            "annotations": [{"id": 4, "image_id": 7, "category_id": 1, "bbox": [40, 60, 80, 80]}],
        }
    )


def test_an_image_of_another_size_is_told_and_carried_on_request(store: Store, tmp_path: Path) -> None:
    file = a_file(tmp_path, "coco.json", coco_of(400, 600))
    with pytest.raises(UserError, match=r"annotation 4 is of an image of 400 x 600.*200 x 300"):
        add_annotations(store, file)
    add_annotations(store, file, frame="file")
    assert boxes(store)[0][3:] == (20, 30, 40, 40)


HEAD = "image,label,x,y,w,h\n0005e8e3,Effusion,5,5,9,9\n"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("b.csv", HEAD + "0005e8e3,Effusion,150,20,90,40\n", r"b.csv row 3: its box .* outside the film .* 200 x 300"),
        ("b.csv", HEAD + "0005e8e3,Effusion,-9,20,30,40\n", r"row 3: its box .* outside"),
        ("b.csv", HEAD + "0005e8e3,Effusion,10,20,0,40\n", r"row 3: .* no area"),
        ("b.csv", HEAD + "0005e8e3,Effusion,10,20,-3,40\n", r"row 3: .* no area"),
        ("b.csv", HEAD + "0005e8e3,Effusion,ten,20,3,40\n", r"row 3: x is 'ten'"),
        ("b.csv", HEAD + "0005e8e3,Effusion,nan,20,3,40\n", r"row 3: x is 'nan'"),
        ("b.csv", HEAD + "0005e8e3,Dragon,10,20,3,40\n", r"row 3: 'Dragon' is none of the labels"),
        ("b.csv", HEAD + "nobody,Effusion,10,20,3,40\n", r"row 3: there is no film 'nobody'"),
        ("b.csv", HEAD + "0005e8e3\n", "row 3 has 1 cells, the header has 6"),
        ("b.csv", "a,b\n1,2\n", "no column h, image"),
        ("b.csv", "image,label,x,y,w,h\n", "has no rows"),
        ("b.json", "{", "is no JSON"),
        ("b.json", "[]", "no JSON object"),
        ("b.json", '{"annotations": [{}], "images": [], "categories": []}', "missing or of another kind"),
        ("b.json", '{"0005e8e3": {"Effusion": {"size": [2, 2], "counts": [1, 1]}}}', "do not fill the image"),
        ("b.json", '{"0005e8e3": {"Effusion": [[[1, 2], [3, 4]]]}}', "three points"),
    ],
)
def test_a_bad_file_is_refused_whole(store: Store, tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        add_annotations(store, a_file(tmp_path, name, text))
    assert not marks_file(store).exists(), "nothing is half added"


def test_bad_options_are_told(store: Store, tmp_path: Path) -> None:
    file = a_file(tmp_path, "b.csv", HEAD)
    with pytest.raises(UserError, match="WIDTHxHEIGHT"):
        add_annotations(store, file, frame="big")
    with pytest.raises(UserError, match="does not give its image's size"):
        add_annotations(store, file, frame="file")
    with pytest.raises(UserError, match="which is no label"):
        add_annotations(store, file, rename={"X": "Y"})
    with pytest.raises(UserError, match="no file"):
        add_annotations(store, tmp_path / "gone.csv")
    with pytest.raises(UserError, match="no PNG"):
        add_annotations(store, tmp_path)


def test_nothing_found_is_a_reading_and_comes_back_from_the_files(store: Store, tmp_path: Path) -> None:
    text = "image,label,annotator,x,y,w,h,nothing\n0005e8e3,Effusion,R1,,,,,True\n0005e8e3,Effusion,R2,1,2,3,4,False\n"
    assert add_annotations(store, a_file(tmp_path, "b.csv", text)).added == 2
    marks = read_marks(store)
    assert marks["x"].isna().tolist() == [True, False]
    masks = reader_masks(marks, 300, 200, 1.0)
    assert (masks["R1"].sum(), masks["R2"].sum()) == (0, 12)
    with pytest.raises(UserError, match=r"row 2: x is ''"):  # a blank box alone is a mistake, not a finding of nothing
        add_annotations(store, a_file(tmp_path, "c.csv", "image,label,x,y,w,h\n0005e8e3,Effusion,,,,\n"))


def test_a_label_is_renamed(store: Store, tmp_path: Path) -> None:
    file = a_file(tmp_path, "b.csv", "image,label,x,y,w,h\n0005e8e3,Herz,5,5,9,9\n")
    add_annotations(store, file, rename={"Herz": "Cardiomegaly"})
    assert boxes(store)[0][1] == "Cardiomegaly"
