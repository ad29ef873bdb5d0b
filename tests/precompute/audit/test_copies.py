"""Copies of films: exact ones by their pixels, near ones however they were cropped, exposed and compressed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from explorer.analysis.leaks import crossing, leaking, without
from explorer.analysis.metrics import MACRO, METRICS, Scored, evaluate
from explorer.data.images import read_film, thumbnail
from explorer.store.runs import open_store
from precompute.audit.duplicates import (
    KEPT,
    LIMITS,
    SIGNS,
    THRESHOLD,
    agreement,
    exact_pairs,
    near_pairs,
    prepare,
    propose,
    variant_hashes,
)
from precompute.stages.audit import Thumbnails, write_copies
from tests.validation.planted_copies import KINDS, Change

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

PLANTED = 20


def copied(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A film as another system may hold it: cropped by up to a tenth, exposed anew, compressed."""
    width, height = film.size
    left, top, right, bottom = rng.uniform(0, 0.05, 4)
    film = film.crop((int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom))))
    grey = (np.asarray(film) / 255) ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.1)
    out = io.BytesIO()
    Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(out, "JPEG", quality=int(rng.integers(40, 85)))
    return Image.open(out).convert("L")


def picture_of(film: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(thumbnail(film, 256))))


def test_twenty_planted_copies_are_found_without_false_alarms(tiny_store: Path, clip: Clip) -> None:
    store = open_store(tiny_store)
    rng = np.random.default_rng(0)
    sources = rng.choice(store.n, PLANTED, replace=False)
    films = [copied(read_film(store.film(int(row))), rng) for row in sources]
    pixels = np.stack([np.asarray(clip.tower.fit.apply(film)) for film in films])
    vectors = np.vstack([store.vectors("frozen"), clip.tower.embed(pixels, PLANTED, lambda done, total: None)])
    pictures = [picture_of(film) for film in films]
    thumbnails = Thumbnails(store.path)
    patients = np.concatenate([store.patients, store.patients.max() + 1 + np.arange(PLANTED)])
    frame, rule = near_pairs(
        lambda row: thumbnails(row) if row < store.n else pictures[row - store.n],
        vectors,
        patients,
        lambda done, total: None,
    )
    near = frame[frame["near"]]
    pairs = set(zip(near["a"], near["b"], strict=True))
    planted = {(int(row), store.n + i) for i, row in enumerate(sources)}
    assert pairs == planted
    assert rule["threshold"] == THRESHOLD
    assert rule["limits"] == LIMITS


def test_exact_copies_are_paired_with_the_first() -> None:
    assert exact_pairs(["a", "b", "a", "c", "b", "a"]).tolist() == [[0, 2], [1, 4], [0, 5]]
    assert exact_pairs(["a", "b"]).shape == (0, 2)


def noise(rng: np.random.Generator, n: int) -> list[NDArray[np.uint8]]:
    """Pictures of blobs of several sizes, no two alike."""
    pictures = []
    for _ in range(n):
        layers = [
            np.asarray(Image.fromarray(rng.integers(0, 256, (k, k), dtype=np.uint8)).resize((256, 256)), np.float64)
            for k in (8, 32, 128)
        ]
        pictures.append(np.mean(layers, axis=0).astype(np.uint8))
    return pictures


def test_a_crop_keeps_the_detail_and_another_film_does_not() -> None:
    first, second = noise(np.random.default_rng(0), 2)
    crop = np.asarray(Image.fromarray(first[8:240, 12:250]).resize((256, 250), Image.Resampling.LANCZOS))
    dim = (first * 0.5 + 20).astype(np.uint8)
    film = prepare(first)
    assert agreement(film, film) == pytest.approx(1, abs=1e-3)
    assert agreement(film, prepare(crop)) > THRESHOLD
    assert agreement(film, prepare(crop)) == agreement(prepare(crop), film)
    assert agreement(film, prepare(dim)) > THRESHOLD
    assert agreement(film, prepare(second)) == 0, "they differ already in coarse detail"
    flat = np.full_like(first, 90)
    assert agreement(film, prepare(flat)) == 0


def test_a_film_whose_parts_lie_elsewhere_agrees_less() -> None:
    """As another patient's ribs do: every part has its like nearby, and no affine map brings all of them there."""
    film = noise(np.random.default_rng(0), 1)[0]
    y, x = np.mgrid[:256, :256].astype(np.float32)
    wave = [(1.5 * np.sin(2 * np.pi * at / 128)).astype(np.float32) for at in (y, x)]
    bent = cv2.remap(film, x + wave[0], y + wave[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    assert 0.5 < agreement(prepare(film), prepare(bent)) < 0.72, "0.78 where no part moves"


def test_the_negative_of_a_variant_has_the_opposite_hash() -> None:
    picture = noise(np.random.default_rng(5), 1)[0]
    hashes, negative = variant_hashes(picture), variant_hashes(255 - picture)
    whole = np.flatnonzero(SIGNS < 0)[0]
    np.testing.assert_array_equal(hashes[whole], ~hashes[0])
    assert np.bitwise_count(negative[0] ^ hashes[whole]).sum() < 10


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS)
def test_a_copy_of_each_kind_is_sought(change: Change) -> None:
    rng = np.random.default_rng(4)
    pictures = noise(rng, 6)
    pictures.append(np.asarray(change(Image.fromarray(pictures[2]), rng)))
    frame, _ = near_pairs(lambda row: pictures[row], np.eye(7, 8, dtype=np.float32), np.arange(7), lambda *_: None)
    assert frame[frame["near"]][["a", "b"]].to_numpy().tolist() == [[2, 6]]


def test_one_patients_copies_are_not_pairs_and_no_copy_is_left_out_of_a_long_list() -> None:
    picture = noise(np.random.default_rng(6), 1)[0]
    n = 20
    vectors = np.eye(n, n, dtype=np.float32)
    frame, rule = near_pairs(lambda row: picture, vectors, np.zeros(n, np.int64), lambda *_: None)
    assert frame.empty
    assert rule["n_pairs"] == 0
    frame, rule = near_pairs(lambda row: picture, vectors, np.arange(n), lambda *_: None)
    assert frame["near"].all()
    assert len(frame) == rule["n_pairs"] > KEPT


def test_a_patients_own_films_are_never_proposed() -> None:
    rng = np.random.default_rng(1)
    hashes = np.stack([variant_hashes(picture) for picture in noise(rng, 12)])
    patients = np.repeat(np.arange(4), 3)
    pairs = propose(lambda row: hashes[row], hashes[:, 0], patients)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (patients[pairs[:, 0]] != patients[pairs[:, 1]]).all()
    assert set(pairs.ravel()) == set(range(12))
    one_patient = propose(lambda row: hashes[row], hashes[:3, 0], np.zeros(3, np.int64))
    assert one_patient.shape == (0, 2), "one patient has no pair"


def test_copies_are_written_once_each_with_their_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pictures = noise(rng, 10)
    pictures[7] = pictures[1]
    data = [thumbnail(Image.fromarray(picture), 256) for picture in pictures]
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails/data.bin").write_bytes(b"".join(data))
    np.save(tmp_path / "thumbnails/offsets.npy", np.cumsum([0, *map(len, data)]))
    vectors = np.eye(10, 16, dtype=np.float32)
    samples = pd.DataFrame({"patient_id": [f"p{i}" for i in range(10)]})
    hashes = [str(i % 7 if i == 8 else i) for i in range(10)]  # 8 and 1 have the same pixels, 7 is nearly 1
    paths = write_copies(tmp_path, hashes, samples, vectors, lambda done, total: None)
    frame = pd.read_parquet(tmp_path / paths[0])
    assert frame[frame["kind"] == "exact"][["a", "b"]].to_numpy().tolist() == [[1, 8]]
    assert frame[frame["kind"] == "near"][["a", "b"]].to_numpy().tolist() == [[1, 7]]
    assert not frame.duplicated(["a", "b"]).any()


# --- what they do to the figures -------------------------------------------------------------------------------------


def test_what_crosses_splits_is_named() -> None:
    splits = np.array(["train", "test", "val", "val"], object)
    assert crossing(np.array(["a", "a", "b", "b"], object), splits) == ["a"]
    assert crossing(np.array(["a", "b", "c", "c"], object), splits) == []
    pairs = np.array([[0, 1], [2, 3], [1, 2]])
    assert leaking(pairs, splits, "test").tolist() == [1]
    assert leaking(pairs, splits, "val").tolist() == [2]
    assert leaking(np.zeros((0, 2), np.int64), splits, "test").tolist() == []


def test_figures_without_leaking_films_are_those_of_the_rest() -> None:
    rng = np.random.default_rng(3)
    targets = (rng.random((200, 2)) < 0.3).astype(np.float32)
    logits = rng.standard_normal((200, 2)).astype(np.float32)
    leaks = np.arange(200) < 40
    logits[leaks] += 4 * targets[leaks]  # what a model has seen before it knows
    scored = {"probe": Scored(logits, np.full(2, np.nan, np.float32))}
    patients = np.arange(200)
    frame = without(("x", "y"), targets, scored, patients, leaks)
    rest = evaluate(("x", "y"), targets[~leaks], logits[~leaks], scored["probe"].thresholds, patients[~leaks])
    for metric in ("auroc", "average_precision"):
        rows = frame[frame["metric"] == metric].set_index("which")
        expected = rest[(rest["label"] == MACRO) & (rest["metric"] == metric)]["value"].item()
        assert rows.at["without", "value"] == pytest.approx(expected)
        assert rows.at["difference", "value"] == pytest.approx(expected - rows.at["with", "value"])
        assert rows.at["difference", "ci_high"] < 0, "the leak is found to flatter"
        assert rows.at["without", "n"] == 160
    assert METRICS[:2] == ("average_precision", "auroc")
