"""A shortcut planted is found; what a set lacks is said; a border is measured as it was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from explorer.analysis.acquisition import MEASURES, measure
from explorer.analysis.shortcuts import (
    acquisition_scores,
    attributes,
    from_embedding,
    mostly_acquisition,
    of_acquisition,
    of_labels,
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
    found = attributes(samples, ("Edema", "Nodule"), flat(rng))
    table = of_labels(found, ("Edema", "Nodule"), targets, patients).set_index(["attribute", "label"])
    line = table.loc[("view AP", "Edema")]
    known = ~np.isnan(edema)
    assert line["value"] == pytest.approx(roc_auc_score(edema[known], ap[known]))
    assert line["n_pos"] + line["n_neg"] == N - 20
    assert line["ci_low"] > 0.5
    other = table.loc[("view AP", "Nodule")]
    assert other["ci_low"] < 0.5 < other["ci_high"]

    scores = acquisition_scores(found, targets, patients, seed=0)
    alone = of_acquisition(("Edema", "Nodule"), targets, scores, patients).set_index("label")
    assert alone.at["Edema", "ci_low"] > 0.6
    assert alone.at["Nodule", "ci_low"] < 0.5
    assert mostly_acquisition(0.85, alone.at["Edema", "value"], alone.at["Edema", "ci_low"])
    assert not mostly_acquisition(0.85, alone.at["Nodule", "value"], alone.at["Nodule", "ci_low"])


def test_an_embedding_that_holds_the_view_tells_it() -> None:
    rng = np.random.default_rng(1)
    ap, age = rng.random(N) < 0.5, rng.uniform(20, 90, N)
    vectors = rng.standard_normal((N, 8)).astype(np.float32)
    vectors[:, 0] += 3 * ap
    found = attributes(films(view=np.where(ap, "AP", "PA"), age=age), (), flat(rng))
    told = from_embedding(found, vectors, np.arange(N), seed=0).set_index("attribute")
    assert told.at["view AP", "ci_low"] > 0.9
    assert told.at["age", "value"] == pytest.approx(0.5, abs=0.1)
    assert (told["baseline"] == 0.5).all()
    assert told.at["age", "n_pos"] == N // 2, "asked as above the median or not"


def test_what_a_set_lacks_is_said() -> None:
    found = attributes(films(sex="M"), ("Edema",), flat(np.random.default_rng(2)))
    assert found.lacking == {
        "view": "not given",
        "sex": "fewer than 20 films differ",
        "age": "not given",
        "device": "no label Support Devices",
        "film size": "the same for all films",
        "film shape": "the same for all films",
    }
    assert list(found.values) == list(MEASURES)
    assert found.kinds["brightness"] == "exposure", "disease changes it too: it never counts as acquisition"


def test_the_device_is_no_attribute_of_its_own_label() -> None:
    rng = np.random.default_rng(3)
    device = (rng.random(N) < 0.3).astype(np.float32)
    labels = ("Edema", "Support Devices")
    targets = np.column_stack([device, device])
    found = attributes(films(**{"Support Devices": device}), labels, flat(rng))
    table = of_labels(found, labels, targets, np.arange(N))
    assert table[table["attribute"] == "device"]["label"].tolist() == ["Edema"]


def test_without_acquisition_the_scores_are_the_rate() -> None:
    targets = np.array([[1], [0], [np.nan], [0]], dtype=np.float32)
    found = attributes(films().iloc[:4], (), np.zeros((4, len(MEASURES)), np.float32))
    assert acquisition_scores(found, targets, np.arange(4), 0).ravel().tolist() == pytest.approx([1 / 3] * 4)


def test_a_border_is_measured_as_drawn() -> None:
    film = np.full((100, 200), 100, dtype=np.uint8)
    assert measure(film).tolist() == pytest.approx([0, 0, 0, 100 / 255])
    film[:, :40] = 0  # a fifth cut off on the left
    dark, cut, white, _ = measure(film)
    assert cut == pytest.approx(0.2)
    # the outer twentieth is 5 rows and 10 columns: all of it on the left, the left fifth above and below
    assert dark == pytest.approx((10 * 100 + 2 * 5 * 30) / (100 * 200 - 90 * 180))
    film[2:12, 180:190] = 255
    assert measure(film)[2] == pytest.approx(100 / (100 * 200 - 60 * 120))
    assert white == 0
    assert measure(np.zeros((50, 50), np.uint8)).tolist() == [1, 1, 0, 0]


def test_a_run_keeps_what_was_measured(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    told = store.audit.shortcuts("embeddings")
    assert set(told["encoder"]) == {"frozen", "fine_tune"}
    assert (
        set(told["attribute"])
        == set(store.audit.shortcuts("attributes").columns)
        == set(store.audit.attribute_facts["kinds"])
    )
    assert set(store.audit.shortcuts("acquisition")["split"]) == {"train", "val", "test"}
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
