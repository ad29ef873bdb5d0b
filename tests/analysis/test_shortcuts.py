"""A shortcut planted is found; what a set lacks is said; a border is measured as it was drawn."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from explorer.analysis.acquisition import MEASURES, measure
from explorer.analysis.shortcuts import (
    KINDS,
    attributes,
    from_embedding,
    kind_scores,
    of_kind,
    of_labels,
    reaches_half,
    strongest,
)
from explorer.store.reader import Store
from explorer.store.runs import open_store

N = 400


def films(**columns: object) -> pd.DataFrame:
    base: dict[str, object] = {"view": "", "sex": "", "age": np.nan, "height": 512, "width": 512}
    return pd.DataFrame({**base, **columns}, index=range(N))


def flat(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.random((N, len(MEASURES))).astype(np.float32)


def test_a_view_that_marks_a_label_is_found_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(0)
    ap = rng.random(N) < 0.4
    edema = (rng.random(N) < np.where(ap, 0.6, 0.1)).astype(np.float32)
    nodule = (rng.random(N) < 0.3).astype(np.float32)
    edema[:20] = np.nan
    targets, patients = np.column_stack([edema, nodule]), np.arange(N)
    samples = films(view=np.where(ap, "AP", "PA"), Edema=edema, Nodule=nodule)
    given = attributes(samples, ("Edema", "Nodule"), flat(rng))
    table = of_labels(given, ("Edema", "Nodule"), targets, patients).set_index(["attribute", "label"])
    line = table.loc[("view AP", "Edema")]
    known = ~np.isnan(edema)
    assert line["value"] == pytest.approx(roc_auc_score(edema[known], ap[known]))
    assert line["n_pos"] + line["n_neg"] == N - 20
    assert line["ci_low"] > 0.5
    other = table.loc[("view AP", "Nodule")]
    assert other["ci_low"] < 0.5 < other["ci_high"]

    scores = kind_scores(given, "acquisition", targets, patients, seed=0)
    assert scores is not None
    alone = of_kind("acquisition", ("Edema", "Nodule"), targets, scores, patients).set_index("label")
    assert alone.at["Edema", "ci_low"] > 0.6
    assert alone.at["Nodule", "ci_low"] < 0.5
    assert reaches_half(0.85, alone.at["Edema", "value"], alone.at["Edema", "ci_low"])
    assert not reaches_half(0.85, alone.at["Nodule", "value"], alone.at["Nodule", "ci_low"])
    assert strongest(table.reset_index(), "acquisition", "Edema") == "view AP"


def test_an_age_common_at_both_ends_is_seen_by_bins_and_warns() -> None:
    rng = np.random.default_rng(5)
    age, sex = rng.uniform(20, 90, N), rng.choice(["F", "M"], N)
    rate = np.where(np.abs(age - 55) > 22, 0.5, 0.1)
    targets = np.column_stack([rng.random(N) < rate, rng.random(N) < np.where(sex == "M", 0.5, 0.15)]).astype(
        np.float32
    )
    labels, patients = ("Edema", "Nodule"), np.arange(N)
    given = attributes(films(age=age, sex=sex), labels, flat(rng))
    table = of_labels(given, labels, targets, patients)
    line = table.set_index(["attribute", "label"]).loc[("age", "Edema")]
    assert line["ci_low"] < 0.5 < line["ci_high"], "neither rising nor falling"
    assert line["binned_low"] > 0.55
    assert table[table["attribute"] == "sex F"]["binned"].isna().all(), "two values have no bins"
    scores = kind_scores(given, "patient", targets, patients, seed=0)
    assert scores is not None
    alone = of_kind("patient", labels, targets, scores, patients).set_index("label")
    assert (alone["ci_low"] > 0.55).all()
    assert [strongest(table, "patient", label) for label in labels] == ["age", "sex F"]


@pytest.mark.parametrize("planted", ["brightness", "noise", "sharpness", "marker in the margin", "collimated"])
@pytest.mark.parametrize("white", [False, True])
def test_what_is_done_to_half_of_the_films_is_named(tiny_store: Path, planted: str, white: bool) -> None:
    """As by a scanner of its own: bright, noisy, blurred, with a white or grey marker, or with a cut edge."""
    store = open_store(tiny_store)
    rng = np.random.default_rng(6)
    changed = np.arange(store.n) % 2 == 0
    measures = []
    for row in range(store.n):
        film = np.asarray(Image.open(io.BytesIO(store.thumbnail(row)))).astype(np.float32)
        if changed[row]:
            match planted:
                case "brightness":
                    film = film * 1.2 if white else film + 30
                case "noise":
                    film += rng.normal(0, 8, film.shape)
                case "sharpness":
                    film = cv2.GaussianBlur(film, (0, 0), 1.5)
                case "marker in the margin":
                    film[8:20, 8:16] = 250 if white else 150
                case "collimated":
                    film[:, :24] = 2
        measures.append(measure(film.clip(0, 255).astype(np.uint8)))
    given = attributes(films().iloc[: store.n], ("A",), np.stack(measures))
    table = of_labels(given, ("A",), changed[:, None].astype(np.float32), np.arange(store.n))
    gains = (table.set_index("attribute")["value"] - 0.5).abs()
    assert gains.idxmax() == planted
    assert gains[planted] > 0.15
    assert strongest(table, given.kinds[planted], "A") == planted


def test_an_embedding_that_holds_the_view_tells_it() -> None:
    rng = np.random.default_rng(1)
    ap, age = rng.random(N) < 0.5, rng.uniform(20, 90, N)
    vectors = rng.standard_normal((N, 8)).astype(np.float32)
    vectors[:, 0] += 3 * ap
    given = attributes(films(view=np.where(ap, "AP", "PA"), age=age), (), flat(rng))
    told = from_embedding(given, vectors, np.arange(N), seed=0).set_index("attribute")
    assert told.at["view AP", "ci_low"] > 0.9
    assert told.at["age", "value"] == pytest.approx(0.5, abs=0.1)
    assert (told["baseline"] == 0.5).all()
    assert told.at["age", "n_pos"] == N // 2, "asked as above the median or not"


def test_what_a_set_lacks_is_said() -> None:
    given = attributes(films(sex="M"), ("Edema",), flat(np.random.default_rng(2)))
    assert given.lacking == {
        "view": "not given",
        "sex": "fewer than 20 films differ",
        "age": "not given",
        "device": "no label Support Devices",
        "film size": "the same for all films",
        "film shape": "the same for all films",
    }
    assert list(given.values) == list(MEASURES)
    assert [name for name, kind in given.kinds.items() if kind == "picture"] == ["brightness", "sharpness", "noise"]


def test_the_device_is_no_attribute_of_its_own_label() -> None:
    rng = np.random.default_rng(3)
    device = (rng.random(N) < 0.3).astype(np.float32)
    labels = ("Edema", "Support Devices")
    targets = np.column_stack([device, device])
    given = attributes(films(**{"Support Devices": device}), labels, flat(rng))
    table = of_labels(given, labels, targets, np.arange(N))
    assert table[table["attribute"] == "device"]["label"].tolist() == ["Edema"]
    scores = kind_scores(given, "device", targets, np.arange(N), 0)
    assert scores is not None
    assert of_kind("device", labels, targets, scores, np.arange(N))["label"].tolist() == ["Edema"]


def test_a_kind_that_the_set_does_not_have_says_nothing() -> None:
    targets = np.array([[1], [0], [np.nan], [0]], dtype=np.float32)
    given = attributes(films().iloc[:4], (), np.zeros((4, len(MEASURES)), np.float32))
    assert kind_scores(given, "acquisition", targets, np.arange(4), 0) is None


def test_a_border_is_measured_as_drawn() -> None:
    film = np.full((100, 200), 100, dtype=np.uint8)
    assert measure(film).tolist() == pytest.approx([0, 0, 0, 100 / 255, 0, 0])
    film[:, :40] = 0  # a fifth cut off on the left
    dark, cut, white, *_ = measure(film)
    assert cut == pytest.approx(0.2)
    # the outer twentieth is 5 rows and 10 columns: all of it on the left, the left fifth above and below
    assert dark == pytest.approx((10 * 100 + 2 * 5 * 30) / (100 * 200 - 90 * 180))
    assert white == 0
    large = np.full((300, 600), 100, dtype=np.uint8)
    for level in (255, 170):  # a grey marker is one, too
        large[12:32, 540:560] = level
        # a median of 5 x 5 rounds a square's corners by 3 pixels each
        assert measure(large)[2] == pytest.approx((20 * 20 - 4 * 3) / (300 * 600 - 180 * 360))
    assert measure(np.zeros((50, 50), np.uint8)).tolist() == [1, 1, 0, 0, 0, 0]


def test_noise_and_blur_are_measured_as_they_were_made() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    slopes = 60 + 0.3 * x + 0.2 * y
    for spread in (3, 8):
        noisy = (slopes + rng.normal(0, spread, slopes.shape)).round().clip(0, 255).astype(np.uint8)
        assert measure(noisy)[5] == pytest.approx(spread, rel=0.05)
        assert measure(noisy)[:3].tolist() == [0, 0, 0], "noise is neither border nor marker"
    detail = cv2.GaussianBlur(rng.normal(0, 60, (200, 200)), (0, 0), 1.0) + 128
    sharpness = [
        measure(cv2.GaussianBlur(detail, (0, 0), blur).clip(0, 255).astype(np.uint8))[4] for blur in (0.3, 1, 2)
    ]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[2] < 0.7 * sharpness[0]


def test_a_run_keeps_what_was_measured(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    embedded = store.audit.shortcuts("embeddings")
    assert set(embedded["encoder"]) == {"frozen", "fine_tune"}
    assert (
        set(embedded["attribute"])
        == set(store.audit.shortcuts("attributes").columns)
        == set(store.audit.attribute_facts["kinds"])
    )
    kinds = store.audit.shortcuts("kinds")
    assert set(kinds["split"]) == {"train", "val", "test"}
    assert set(kinds["kind"]) == set(store.audit.attribute_facts["kinds"].values()) < set(KINDS)
    assert store.audit.attribute_facts["lacking"]["age"] == "not given"
    assert set(store.audit.copies["kind"]) <= {"exact", "near", "alike"}
    assert (store.audit.copies["a"] < store.audit.copies["b"]).all()
    assert 0 < store.audit.copy_rule["threshold"] < 1
    assert [regime.name for regime in store.audit.regimes] == ["linear_probe", "fine_tune"]
    tuned = store.audit.labels("fine_tune")
    assert np.isnan(tuned.quality[store.rows("train")]).all()
    assert np.array_equal(np.isnan(tuned.quality[store.rows("test")]).all(axis=0), _one_class(store))
    assert store.audit.outlyingness.shape == (store.n, 2)


def _one_class(store: Store) -> NDArray[np.bool_]:
    seen = store.targets[np.concatenate([store.rows("val"), store.rows("test")])]
    return np.array([len(np.unique(column[~np.isnan(column)])) < 2 for column in seen.T])
