"""Layouts of annotation files: boxes and outlines as their sets ship them, in the file's own coordinates."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from explorer.data.images import open_picture
from explorer.data.limits import BadImage, check_size
from explorer.data.text import from_csv
from explorer.errors import UserError
from precompute.delimited import read_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUTS = (
    "a CSV with image, label, x, y, w, h (and annotator, polygon, nothing); VinDr-CXR's, NIH's, MS-CXR's and RSNA "
    "Pneumonia's CSVs of boxes; COCO JSON, as MS-CXR's; PadChest-GR's JSON; LabelMe's JSON, one file or a folder of "
    "them; CheXlocalize's JSON of contours or segmentations; or a folder of mask PNGs, [READER/]LABEL/FILM.png"
)

NIH_SIZE = (1024.0, 1024.0)
"""Pixels of the films that the boxes of ChestX-ray14, and of RSNA Pneumonia, were drawn on."""
SHARES = (1.0, 1.0)
"""In place of an image's size: coordinates are shares of the film's sides, whatever its pixels."""
LARGEST_FILE = 512 << 20
"""Bytes of an annotation file: the largest public ones have some tens of millions."""


@dataclass(frozen=True)
class SourceMark:
    """One box or outline as a file gives it, or that a reader looked for a label and found nothing.

    Attributes
    ----------
    box : x, y, w, h, or None where nothing was found
    polygon : x and y in turn, or None
    reader : str
        Empty where the file does not say.
    size : width, height, or None
        Of the image it was drawn on, where the file says; or SHARES.
    where : str
        File and row, for messages.

    Raises
    ------
    UserError
        A box without area.
    """

    image: str
    label: str
    box: tuple[float, float, float, float] | None
    where: str
    polygon: list[float] | None = None
    reader: str = ""
    size: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.box is not None and not (all(map(math.isfinite, self.box)) and min(self.box[2:]) > 0):
            x, y, w, h = self.box
            raise UserError(
                f"{self.where}: its box is x {x:g}, y {y:g}, w {w:g}, h {h:g}: it has no area.",
                "Correct it, or delete it.",
            )


def read_marks_file(path: Path) -> list[SourceMark]:
    """Read marks from a file of one of LAYOUTS; its content says which.

    Raises
    ------
    UserError
        With the file, the row and the fix.
    """
    try:
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*.*")) if not file.name.startswith(".")]
            contents = ((file, _content(file)) for file in files if file.suffix.lower() == ".json")
            labelme = [(file, content) for file, content in contents if "shapes" in content]
            return [mark for file, content in labelme for mark in _json(file, content)] or list(_masks(path, files))
        if path.suffix.lower() == ".json":
            return list(_json(path, _content(path)))
        return list(_csv(path))
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}", "Check that you may read it.") from error


def _none_of_them(path: Path, why: str) -> UserError:
    return UserError(f"{path} is no annotation file known here: {why}.", f"Give one of: {LAYOUTS}.")


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv(path: Path) -> Iterator[SourceMark]:
    _check_file_size(path)
    names, rows = read_cells(path)
    if set(RSNA_COLUMNS) <= set(names):
        yield from _rsna(path, names, rows)
        return
    size = None
    if {"dicom_id", "category_name"} <= set(names):  # MS-CXR's; its path is the film's too
        names = [{"dicom_id": "image", "category_name": "label", "path": "film_path"}.get(name, name) for name in names]
    if names[:3] == ["Image Index", "Finding Label", "Bbox [x"]:  # NIH's header splits its own brackets
        names, size = ["image", "label", "x", "y", "w", "h"], NIH_SIZE
    alias = {"path": "image", "filename": "image", "image_path": "image", "image_id": "image", "class_name": "label"}
    names = [alias.get(name, name) for name in names]
    if len(set(names)) < len(names):
        raise _none_of_them(path, "it has two columns for the image or the label")
    corners = {"x_min", "y_min", "x_max", "y_max"} <= set(names)  # VinDr-CXR
    needed = {"image", "label"} | (set() if corners else {"x", "y", "w", "h"})
    if not needed <= set(names):
        raise _none_of_them(path, f"it has no column {', '.join(sorted(needed - set(names)))}")
    for i, cells in enumerate(rows):
        row = dict(zip(names, (from_csv(cell.strip()) for cell in cells), strict=True))
        where = f"{path} row {i + 2}"
        sides = ("x_min", "y_min", "x_max", "y_max") if corners else ("x", "y", "w", "h")
        if corners and row["label"] == "No finding":
            continue  # VinDr-CXR's row for a film without boxes; it has none
        image, label, reader = row["image"], row["label"], row.get("annotator") or row.get("rad_id", "")
        if row.get("nothing", "").lower() in ("true", "1"):
            yield SourceMark(image, label, None, where, None, reader)
            continue
        x, y, w, h = (_number(row.get(side, ""), where, side) for side in sides)
        polygon = [_number(value, where, "polygon") for value in row.get("polygon", "").split()]
        if len(polygon) % 2 or 0 < len(polygon) < 6:
            raise UserError(f"{where}: polygon has {len(polygon)} numbers.", "Give x and y of three points or more.")
        box = (x, y, w - x, h - y) if corners else (x, y, w, h)
        if "image_width" in row and "image_height" in row:
            size = (
                _number(row["image_width"], where, "image_width"),
                _number(row["image_height"], where, "image_height"),
            )
        yield SourceMark(image, label, box, where, polygon or None, reader, size)


RSNA_COLUMNS = ("patientId", "x", "y", "width", "height", "Target")
RSNA_LABEL = "Pneumonia"


def _rsna(path: Path, names: list[str], rows: list[list[str]]) -> Iterator[SourceMark]:
    """RSNA Pneumonia Detection Challenge 2018: a box where Target is 1; where it is 0, readers had nothing to mark."""
    targets: dict[str, str] = {}
    for i, cells in enumerate(rows):
        row = dict(zip(names, (from_csv(cell.strip()) for cell in cells), strict=True))
        where, sides = f"{path} row {i + 2}", [row[side] for side in RSNA_COLUMNS[1:5]]
        if targets.setdefault(row["patientId"], row["Target"]) != row["Target"]:
            raise UserError(f"{where}: {row['patientId']} has another Target before.", "Correct one, or delete it.")
        if row["Target"] == "0":
            if any(sides):
                raise UserError(f"{where}: Target is 0, and there is a box.", "Correct Target, or delete the box.")
            yield SourceMark(row["patientId"], RSNA_LABEL, None, where)
        elif row["Target"] == "1":
            x, y, w, h = (_number(text, where, side) for text, side in zip(sides, RSNA_COLUMNS[1:5], strict=True))
            yield SourceMark(row["patientId"], RSNA_LABEL, (x, y, w, h), where, size=NIH_SIZE)
        else:
            raise UserError(f"{where}: Target is {row['Target']!r}, not 0 or 1.", "Correct the row, or delete it.")


def _number(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {column} is {text!r}, no number.", "Correct the row, or delete it.")
    return value


# --- JSON ------------------------------------------------------------------------------------------------------------


def _check_file_size(path: Path) -> None:
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise UserError(
            f"{path} has {size >> 20:,} MiB; an annotation file has at most {LARGEST_FILE >> 20}.",
            "Split it into several files.",
        )


def _content(path: Path) -> dict[str, Any] | list[Any]:
    _check_file_size(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {error}", "Export it again, in UTF-8.") from error
    if isinstance(content, list) and content and all(isinstance(one, dict) and "findings" in one for one in content):
        return content
    if not isinstance(content, dict):
        raise _none_of_them(path, "it is no JSON object, nor PadChest-GR's list of studies")
    return content


def _json(path: Path, content: dict[str, Any] | list[Any]) -> Iterator[SourceMark]:
    if isinstance(content, list):
        yield from _padchest_gr(path, content)
        return
    read = _coco if "annotations" in content else _labelme if "shapes" in content else _chexlocalize
    try:
        yield from read(path, content)
    except BadImage as error:
        raise UserError(f"{path}: {error}.", "Correct the size, or delete the mask.") from error
    except (AttributeError, KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise _none_of_them(path, f"something is missing or of another kind ({error!r})") from error


def _coco(path: Path, content: dict[str, Any]) -> Iterator[SourceMark]:
    images = {image["id"]: image for image in content["images"]}
    labels = {category["id"]: str(category["name"]) for category in content["categories"]}
    for i, annotation in enumerate(content["annotations"]):
        where = f"{path} annotation {annotation.get('id', i)}"
        if annotation["image_id"] not in images or annotation["category_id"] not in labels:
            raise UserError(f"{where} is of an image or category the file does not list.", "Export it again.")
        image = images[annotation["image_id"]]
        sized = next((one for one in (image, annotation) if "width" in one and "height" in one), None)
        size = (float(sized["width"]), float(sized["height"])) if sized is not None else None
        name = image["file_name"] if "file_name" in image else image["path"]  # MS-CXR has both
        about = str(name), labels[annotation["category_id"]]
        reader = str(annotation.get("annotator", ""))
        shape = annotation.get("segmentation")
        if isinstance(shape, dict):
            yield from _outlines(_run_lengths(shape), *about, where, reader)
        elif shape:
            for polygon in shape:
                yield _outline([float(value) for value in polygon], *about, where, reader, size)
        else:
            x, y, w, h = (float(side) for side in annotation["bbox"])
            yield SourceMark(*about, (x, y, w, h), where, None, reader, size)


def _labelme(path: Path, content: dict[str, Any]) -> Iterator[SourceMark]:
    """LabelMe's file of one image: polygons, and rectangles by two corners."""
    # the path is relative to this file, which lies anywhere
    image = PureWindowsPath(content["imagePath"]).name
    size = (float(content["imageWidth"]), float(content["imageHeight"]))
    for i, shape in enumerate(content["shapes"]):
        where, kind = f"{path} shape {i + 1}", shape.get("shape_type", "polygon")
        points = np.asarray(shape["points"], dtype=float).reshape(-1, 2)
        if kind == "rectangle":
            (x, y), (w, h) = points.min(axis=0), np.ptp(points, axis=0)
            yield SourceMark(image, str(shape["label"]), (float(x), float(y), float(w), float(h)), where, size=size)
        elif kind == "polygon":
            yield _outline(points.ravel().tolist(), image, str(shape["label"]), where, "", size)
        else:
            raise UserError(f"{where} is a {kind}.", "Draw it as a polygon or a rectangle, or delete it.")


def _chexlocalize(path: Path, content: dict[str, Any]) -> Iterator[SourceMark]:
    """Saporta et al., Nature Machine Intelligence 2022: contours with ``img_size`` (height, width), or run lengths."""
    for image, findings in content.items():
        size = None
        if "img_size" in findings:
            height, width = findings["img_size"]
            size = float(width), float(height)
        for label, shape in findings.items():
            where = f"{path} {image}, {label}"
            if label == "img_size":
                continue
            if isinstance(shape, dict):
                yield from _outlines(_run_lengths(shape), image, label, where)
            else:
                for contour in shape:
                    yield _outline(np.asarray(contour, dtype=float).ravel().tolist(), image, label, where, "", size)


def _padchest_gr(path: Path, studies: list[dict[str, Any]]) -> Iterator[SourceMark]:
    """Castro et al., NEJM AI 2025: findings with corners x1, y1, x2, y2 as shares of the film, by one or two readers.

    What is not abnormal says that a report's sentence found nothing, and not that a reader looked: it is no mark.
    """
    for i, study in enumerate(studies):
        try:
            image, findings = study["ImageID"], list(study["findings"])
            for j, finding in enumerate(findings):
                if not finding["abnormal"]:
                    continue
                where = f"{path} study {i + 1} ({image}), finding {j + 1}"
                for reader, key in (("reader 1", "boxes"), ("reader 2", "extra_boxes")):
                    for left, top, right, bottom in finding.get(key) or ():
                        x, y = float(left), float(top)
                        box = x, y, float(right) - x, float(bottom) - y
                        for label in finding["labels"]:
                            yield SourceMark(str(image), str(label), box, where, None, reader, SHARES)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{path} study {i + 1}: something is missing or of another kind ({error!r}).",
                "Correct the study, or delete it.",
            ) from error


def _run_lengths(shape: dict[str, Any]) -> NDArray[np.bool_]:
    """(h, w) mask of COCO's run lengths, plain or packed as pycocotools packs them; columns first, zeros first."""
    height, width = shape["size"]
    check_size(width, height)
    counts = shape["counts"]
    runs = _unpacked(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError("run lengths do not fill the image")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """Run lengths from characters of 5 bits each, lowest first; from the fourth on, less the one before last."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


# --- masks -----------------------------------------------------------------------------------------------------------


def _masks(folder: Path, files: Iterable[Path]) -> Iterator[SourceMark]:
    pictures = [file for file in files if file.suffix.lower() == ".png"]
    if not pictures:
        raise _none_of_them(folder, "the folder holds no PNG and no JSON")
    for file in pictures:
        parts = file.relative_to(folder).parts
        if len(parts) not in (2, 3):
            raise UserError(f"{file} is not LABEL/FILM.png or READER/LABEL/FILM.png below {folder}.", "Move it.")
        try:
            with file.open("rb") as content, open_picture(content, formats=("PNG",)) as image:
                mask = _marked(image)
        except BadImage as error:
            raise UserError(f"{file} cannot be read as a PNG: {error}.", "Export it again.") from error
        if not mask.any():
            raise UserError(f"{file}: nothing is marked in this mask.", "Delete it: no mask means nothing to mark.")
        yield from _outlines(mask, file.stem, parts[-2], str(file), parts[0] if len(parts) == 3 else "")


def _marked(image: Image.Image) -> NDArray[np.bool_]:
    """Where a mask is neither black nor transparent."""
    # convert("L") keeps the upper 8 bits of 16
    mask = np.asarray(image if image.mode.startswith("I") else image.convert("L")) > 0
    return mask & (np.asarray(image.convert("RGBA"))[..., 3] > 0) if image.has_transparency_data else mask


def _outlines(mask: NDArray[np.bool_], image: str, label: str, where: str, reader: str = "") -> Iterator[SourceMark]:
    """A mark for each separate part of a mask; holes are filled."""
    height, width = mask.shape
    # twice as large, so that an outline runs near the pixels' outer edges (to a quarter) and not through their middles
    double = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    lines, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for line in lines:
        points = (line[:, 0].astype(float) + 0.5) / 2
        yield _outline(points.ravel().tolist(), image, label, where, reader, (float(width), float(height)))


def _outline(
    polygon: list[float], image: str, label: str, where: str, reader: str, size: tuple[float, float] | None
) -> SourceMark:
    if len(polygon) < 6 or len(polygon) % 2:
        raise UserError(f"{where}: an outline has {len(polygon)} numbers.", "Give x and y of three points or more.")
    x, y = _span(polygon[::2]), _span(polygon[1::2])
    return SourceMark(image, label, (x[0], y[0], x[1], y[1]), where, polygon, reader, size)


def _span(values: Iterable[float]) -> tuple[float, float]:
    least, most = min(values := list(values)), max(values)
    return least, most - least
