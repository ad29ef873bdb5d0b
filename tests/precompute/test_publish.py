"""A published copy: a whole store without what was left out."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image

from explorer.errors import UserError
from explorer.store import layout, open_store
from explorer.store.files import sha256_file, write_array, write_json
from explorer.store.folder import LeftOut
from explorer.store.manifest import SaliencyRecord
from explorer.store.marks import NOTHING, add_marks, marks_file, read_marks
from explorer.store.reader import Store
from explorer.store.reviews import Review, read_reviews
from explorer.store.saliency import list_saliency
from explorer.store.verify import verify_store
from explorer.ui.shared.context import WITHOUT_PIXELS
from precompute.publish.copy import _inside
from precompute.run.summary import as_markdown, as_table
from tests import pages
from tests.conftest import run_command
from tests.pages import TITLES, assert_whole, open_page, said

if TYPE_CHECKING:
    from tests.conftest import Call

SHARE = "--i-may-share"


def published(root: Path, destination: Path, *options: str) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        assert run_command(patch, "publish", root, destination, SHARE, *options) == 0
    return open_store(destination)


@pytest.fixture(scope="module")
def blind(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The tiny store published without pixels."""
    return published(tiny_store, tmp_path_factory.mktemp("published") / "blind", "--no-pixels")


@pytest.fixture(scope="module")
def whole(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The tiny store published with all that it has but marks."""
    return published(tiny_store, tmp_path_factory.mktemp("published") / "whole")


@pytest.fixture
def own(tiny_store: Path, tmp_path: Path) -> Path:
    """A copy of the tiny store that may be changed."""
    return Path(shutil.copytree(tiny_store, tmp_path / "own"))


@pytest.fixture
def app(blind: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app opens the copy without pixels."""
    monkeypatch.setenv("EXPLORER_STORE", str(blind.path.parent))
    st.cache_data.clear()
    st.cache_resource.clear()


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def all_text(root: Path) -> str:
    """Every text of every table, and every file that is text."""
    texts = [path.read_text() for path in root.rglob("*") if path.suffix in (".json", ".md", "") and path.is_file()]
    for path in root.rglob("*.parquet"):
        table = pd.read_parquet(path)
        texts += [str(value) for column in table.select_dtypes(exclude="number") for value in table[column]]
    return "\n".join(texts)


# --- what the copy has -----------------------------------------------------------------------------------------------


def test_the_whole_copy_is_the_run_with_its_films(tiny_store: Path, whole: Store) -> None:
    store = open_store(tiny_store)
    assert verify_store(whole) == []
    assert whole.run_id == store.run_id
    assert whole.artefacts == store.artefacts
    assert whole.manifest.publication is not None
    assert whole.manifest.publication.manifest_sha256 == sha256_file(store.path / layout.MANIFEST)
    assert whole.manifest.publication.left_out == ()
    assert store.manifest.publication is None
    for row in range(store.n):
        assert whole.film(row).is_relative_to(whole.path.parent)
        assert whole.film(row).read_bytes() == store.film(row).read_bytes()


def test_the_copy_without_pixels_has_no_film_thumbnail_or_report(tiny_store: Path, blind: Store) -> None:
    store = open_store(tiny_store)
    assert verify_store(blind) == []
    absent = {layout.THUMBNAILS, layout.THUMBNAIL_OFFSETS}
    assert set(blind.artefacts) == set(store.artefacts) - absent
    assert blind.manifest.publication is not None
    assert blind.manifest.publication.left_out == ("pixels", "reports")
    assert (blind.samples["report"] == "").all()
    pd.testing.assert_frame_equal(blind.samples.drop(columns="report"), store.samples.drop(columns="report"))
    np.testing.assert_array_equal(blind.logits("fine_tune"), store.logits("fine_tune"))
    with pytest.raises(LeftOut, match="published without pixels"):
        blind.film(0)

    held = files_of(blind.path.parent)
    for row in range(0, store.n, 7):
        for pixels in (store.thumbnail(row)[-64:], store.film(row).read_bytes()[200:264]):
            assert not any(pixels in data for data in held.values())
    sentence = next(report.split(".")[0] for report in store.samples["report"] if len(report) > 20)
    assert sentence in all_text(tiny_store)  # the search sees what is there
    assert sentence not in all_text(blind.path.parent)
    assert not any(sentence.encode() in data for data in held.values())
    assert not any(cluster.words for space in blind.spaces for cluster in blind.clusters(space.name)[1])
    assert not any(str(tiny_store).encode() in data for data in held.values())


def test_a_blank_has_the_films_shape(blind: Store, tiny_store: Path) -> None:
    with (
        Image.open(io.BytesIO(blind.thumbnail(0))) as blank,
        Image.open(io.BytesIO(open_store(tiny_store).thumbnail(0))) as thumbnail,
    ):
        assert blank.size == thumbnail.size
        assert blank.mode == "L"
        low, high = blank.getextrema()
        assert low == high


def test_without_reports_or_weights_only_they_are_missing(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = published(tiny_store, tmp_path / "copy", "--no-reports", "--no-weights")
    assert verify_store(copy) == []
    towers = {layout.encoder_files(record.id).weights for record in copy.manifest.encoders}
    assert set(open_store(tiny_store).artefacts) - set(copy.artefacts) == towers
    assert (copy.samples["report"] == "").all()
    assert copy.film(0).is_file()
    for read in (copy.weights, copy.encoder_folder):
        with pytest.raises(LeftOut, match="published without weights"):
            read("frozen")
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "copy"))
    page = open_page("grad_cam")
    assert_whole(page, TITLES["grad_cam"])
    assert WITHOUT_PIXELS not in said(page)


def test_a_copy_of_a_copy_lacks_what_that_one_lacks(blind: Store, tmp_path: Path) -> None:
    again = published(blind.path.parent, tmp_path / "again", "--no-weights")
    assert verify_store(again) == []
    assert again.manifest.publication is not None
    assert again.manifest.publication.left_out == ("pixels", "reports", "weights")
    assert again.manifest.publication.manifest_sha256 == sha256_file(blind.path / layout.MANIFEST)


def test_the_zip_file_is_the_folder_and_repeats(whole: Store, tiny_store: Path, tmp_path: Path, call: Call) -> None:
    for name in ("a.zip", "b.zip"):
        assert call("publish", tiny_store, tmp_path / name, SHARE)[0] == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        archive.extractall(tmp_path / "unpacked")
    assert files_of(tmp_path / "unpacked") == files_of(whole.path.parent)


def test_card_and_checksums(tiny_store: Path, blind: Store) -> None:
    root = blind.path.parent
    held = files_of(root)
    lines = held.pop("SHA256SUMS").decode().splitlines()
    assert dict(reversed(line.split("  ", 1)) for line in lines) == {
        path: hashlib.sha256(data).hexdigest() for path, data in held.items()
    }
    text = (root / "README.md").read_text()
    for part in (
        "Research use only. Not a medical device.",
        blind.manifest.dataset.licence,
        blind.run_id,
        "baseline",
        layout.SAMPLES,
    ):
        assert part in text
    assert as_markdown(as_table(open_store(tiny_store))) in text
    positive = int((blind.targets[:, 0] == 1).sum())
    assert f"| {blind.labels[0]} | {positive} |" in text


def test_saliency_maps_come_along_and_marks_only_when_asked(own: Path, tmp_path: Path) -> None:
    store = open_store(own)
    folder = layout.saliency_folder(store.path, "grad_cam", 2)
    file = layout.saliency_maps_file("test", "zero_shot")
    write_array(folder / file, np.zeros((2, 1, 3, 3), np.float32))
    record = SaliencyRecord(
        run_id=store.run_id,
        run_created=store.manifest.created,
        method="grad_cam",
        block=2,
        split="test",
        labels=store.labels[:1],
        shares={},
        n_annotated=0,
        sha256={file: sha256_file(folder / file)},
    )
    write_json(folder / layout.SALIENCY_RECORD, record.model_dump(mode="json"))
    mark = {"row": 3, "label": store.labels[0], "annotator": "A", **NOTHING}
    add_marks(store, pd.DataFrame([mark]), "app")
    reviews = layout.reviews_file(own, store.run_id)
    review = Review(
        sample_id=store.samples["sample_id"].iat[0], label=store.labels[0], verdict="wrong", given=1, reviewer="A"
    )
    reviews.parent.mkdir()
    reviews.write_text(review.model_dump_json() + "\n")

    plain = published(own, tmp_path / "plain", "--no-pixels")
    (maps,) = list_saliency(plain)
    assert maps.maps("test", "zero_shot").shape == (2, 1, 3, 3)
    assert not marks_file(plain).exists()
    assert not layout.reviews_file(plain.path.parent, plain.run_id).exists()
    marked = published(own, tmp_path / "marked", "--no-pixels", "--with-marks")
    assert read_marks(marked)["row"].tolist() == [3]
    assert len(read_reviews(layout.reviews_file(marked.path.parent, marked.run_id))) == 1


def test_films_outside_the_store_are_copied_and_their_folder_is_not_named(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(own)
    outside = tmp_path / "hospital"
    (own / "films").rename(outside)
    manifest = json.loads((store.path / layout.MANIFEST).read_text())
    manifest["dataset"]["images"] = str(outside / Path(manifest["dataset"]["images"]).name)
    (store.path / layout.MANIFEST).write_text(json.dumps(manifest))
    monkeypatch.setenv("EXPLORER_FILMS", str(outside))
    copy = published(own, tmp_path / "copy")
    monkeypatch.delenv("EXPLORER_FILMS")
    assert copy.film(0).is_relative_to(tmp_path / "copy")
    assert not any(b"hospital" in data for data in files_of(tmp_path / "copy").values())


# --- what is refused -------------------------------------------------------------------------------------------------


def test_the_licence_is_asked_for_by_name(call: Call, tiny_store: Path, tmp_path: Path) -> None:
    code, _, err = call("publish", tiny_store, tmp_path / "copy")
    assert code == 1
    assert open_store(tiny_store).manifest.dataset.licence in err
    assert "MIT" in err
    assert SHARE in err
    assert not (tmp_path / "copy").exists()


def test_an_unknown_protocol_is_named(call: Call, tiny_store: Path) -> None:
    code, _, err = call("publish", tiny_store, "nowhere://bucket/store", SHARE)
    assert code == 1
    assert "nowhere://bucket/store cannot be read" in err


def test_croissant_describes_the_copy(tiny_store: Path, blind: Store) -> None:
    """mlcroissant finds nothing wrong, and reads the films and figures by what it says."""
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    file = layout.croissant_file(blind.path.parent)
    dataset = mlcroissant.Dataset(file)
    assert not dataset.metadata.issues.errors
    assert not dataset.metadata.issues.warnings
    assert {one.id: one.sha256 for one in dataset.metadata.distribution} == {
        path: artefact.sha256 for path, artefact in blind.artefacts.items()
    }
    films = list(dataset.records("samples"))
    assert [record["samples/0"].decode() for record in films] == blind.samples.iloc[:, 0].astype(str).tolist()
    assert len(list(dataset.records("metrics"))) == len(blind.tables.metrics)


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_nothing_is_written_over(call: Call, tiny_store: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    code, _, err = call("publish", tiny_store, tmp_path / name, SHARE)
    assert code == 1
    assert "exists already" in err
    assert (tmp_path / name).read_text() == "mine"


def test_a_destination_inside_the_store_is_refused(call: Call, own: Path) -> None:
    code, _, err = call("publish", own, own / "copy", SHARE)
    assert code == 1
    assert "lies in the store itself" in err


def _change_a_file(store: Store) -> None:
    path = store.path / layout.METRICS
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def _link_out(store: Store) -> None:
    path = store.path / layout.METRICS
    outside = path.rename(store.path.parents[1] / "outside.parquet")
    path.symlink_to(outside)


def _link_marks_out(store: Store) -> None:
    outside = store.path.parents[1] / "secret"
    outside.write_text("secret")
    marks_file(store).parent.mkdir()
    marks_file(store).symlink_to(outside)


def _lose_a_film(store: Store) -> None:
    store.film(5).unlink()


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_change_a_file, "its content has changed"),
        (_link_out, "a link leads out of the run"),
        (_link_marks_out, "leads out of the store"),
        (_lose_a_film, "--no-pixels"),
    ],
)
def test_a_spoilt_store_leaves_nothing_behind(
    call: Call, own: Path, tmp_path: Path, spoil: Callable[[Store], None], why: str, name: str
) -> None:
    spoil(open_store(own))
    (tmp_path / "to").mkdir()
    code, _, err = call("publish", own, tmp_path / "to" / name, SHARE, "--with-marks")
    assert code == 1
    assert why in err
    assert list((tmp_path / "to").iterdir()) == []


def test_a_name_that_leads_out_of_the_store_is_refused(own: Path) -> None:
    with pytest.raises(UserError, match="leads out of the store"):
        _inside(own, "a/../../outside")


# --- pages without pixels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TITLES)
def test_every_page_is_whole_without_pixels_and_says_so_once(app: None, name: str) -> None:
    page = open_page(name)
    assert_whole(page, TITLES[name])
    assert said(page).count(WITHOUT_PIXELS) == 1


@pytest.mark.parametrize("view", ["regimes", "mark"])
def test_views_that_need_the_film_say_what_is_missing(app: None, view: str) -> None:
    page = pages.open_sound_page("grad_cam", show=view)
    assert any("published without pixels" in pages.as_read(info.value) for info in page.info)


def test_a_map_asked_for_over_a_film_that_is_not_there_is_named(app: None) -> None:
    page = pages.open_sound_page("case", overlay="zero_shot")
    assert any("published without pixels" in pages.as_read(warning.value) for warning in page.warning)
