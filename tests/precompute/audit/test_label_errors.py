"""Planted label errors are found, unknown cells are never doubted, and nothing is judged by what has seen it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from explorer.analysis.crossfit import FOLDS, PENALTY, cross_fit
from explorer.analysis.flag_power import TRIAL_SHARE, flag_power, invert
from explorer.analysis.hard_cases import confident_errors, disagreement
from explorer.data.samples import share_out
from explorer.store.runs import open_store
from precompute.audit.label_errors import label_quality
from precompute.phantom.dataset import plan, true_labels
from precompute.phantom.labels import LABELS
from precompute.stages.audit import write_label_errors


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_five_percent_flipped_labels_lead_the_queue(tiny_store: Path, seed: int) -> None:
    store = open_store(tiny_store)
    assert store.labels == LABELS
    known = ~np.isnan(store.targets)
    flipped = known & (np.random.default_rng(seed).random(known.shape) < 0.05)
    right = np.asarray(store.audit.truth)
    targets = np.where(known, np.where(flipped, 1 - right, right), np.nan).astype(np.float32)
    probabilities = cross_fit(np.asarray(store.vectors("frozen")), targets, store.patients)
    quality, flagged = label_quality(targets, probabilities)
    doubt = np.where(known, np.where(flagged, quality, 1 + quality), np.inf)  # flagged ones first, as on the page
    queue = np.argsort(doubt.ravel(), kind="stable")[:100]
    base = flipped.sum() / known.sum()
    assert flipped.ravel()[queue].mean() >= 3 * base
    assert not flagged[~known].any()
    assert np.isnan(quality[~known]).all()


def test_the_demo_keeps_its_truth_and_a_trial(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    films = {film.sample_id: film for film in plan(store.n, "target", 0)}
    planned = [films[sample_id] for sample_id in store.samples["sample_id"]]
    np.testing.assert_array_equal(store.audit.truth, true_labels(planned))
    trial = store.audit.label_trial.set_index("given")
    known = ~np.isnan(store.targets)
    wrong = invert(store.targets, store.manifest.seed)
    assert trial.loc["any", "n_wrong"] == wrong.sum() == pytest.approx(TRIAL_SHARE * known.sum(), rel=0.4)
    # what was given positive is inverted to negative
    assert trial.loc["negative", "n_wrong"] == (wrong & (store.targets == 1)).sum()
    assert trial.loc["any", "n_hits"] == trial.loc["positive", "n_hits"] + trial.loc["negative", "n_hits"]
    assert trial.loc["any", "n_hits"] / trial.loc["any", "n_flagged"] > 2 * TRIAL_SHARE


def test_power_by_hand() -> None:
    targets = np.array([[1, 0], [0, 0], [1, np.nan], [0, 1]], dtype=np.float32)
    wrong = np.array([[1, 0], [0, 1], [0, 0], [1, 0]], dtype=bool)
    quality = np.array([[0.1, 0.2], [0.9, 0.8], [0.3, np.nan], [0.4, 0.05]], dtype=np.float32)
    flagged = np.array([[1, 1], [0, 0], [0, 0], [1, 1]], dtype=bool)
    table = flag_power(targets, wrong, quality, flagged).set_index("given")
    assert table.loc["any"].tolist() == [7, 3, 4, 2, 4, 2]
    assert table.loc["positive"].tolist() == [3, 1, 2, 1, 2, 1]
    assert table.loc["negative"].tolist() == [4, 2, 2, 1, 2, 1]
    many = np.linspace(0, 0.4, 24, dtype=np.float32).reshape(12, 2)
    ten = flag_power(np.ones((12, 2), np.float32), many < 0.1, many, many >= 0).set_index("given")
    assert ten.loc["any", ["n_top", "n_top_hits"]].tolist() == [10, 6], "the least probable first"


def test_quality_is_the_probability_of_the_given_label() -> None:
    targets = np.array([[1, 0], [0, 0], [1, np.nan], [0, 0]], dtype=np.float32)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.1], [0.3, 0.5], [np.nan, 0.1]], dtype=np.float32)
    quality, flagged = label_quality(targets, probabilities)
    np.testing.assert_allclose(quality[:, 0], [0.9, 0.8, 0.3, np.nan], atol=1e-6)
    assert np.isnan(quality[:, 1]).all(), "a label of which one class is known says nothing of errors"
    assert not flagged[:, 1].any()


def test_cross_fitting_is_a_model_that_saw_no_film_of_the_patient() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((150, 5))
    patients = np.repeat(np.arange(50), 3)
    targets = np.column_stack([features[:, 0] + rng.standard_normal(150) > 0, rng.random(150) < 0.3]).astype(np.float32)
    targets[::7, 1] = np.nan
    found = cross_fit(features, targets, patients)
    fold = share_out(patients, targets, (1 / FOLDS,) * FOLDS, 0)
    assert all(len(set(fold[patients == p])) == 1 for p in range(50))
    away = fold == 2
    train = ~away & ~np.isnan(targets[:, 1])
    scaler = StandardScaler().fit(features[~away])
    model = LogisticRegression(C=PENALTY, max_iter=2000).fit(scaler.transform(features[train]), targets[train, 1])
    expected = model.predict_proba(scaler.transform(features[away]))[:, 1]
    np.testing.assert_allclose(found[away, 1], expected, atol=1e-3)
    assert np.isfinite(found).all(), "unknown cells are predicted like others"


def test_a_label_never_seen_positive_gets_its_rate() -> None:
    targets = np.zeros((20, 1), dtype=np.float32)
    found = cross_fit(np.random.default_rng(1).standard_normal((20, 2)), targets, np.arange(20))
    np.testing.assert_allclose(found, 1 / 18, atol=1e-6)  # (0 + 1) / (16 + 2)


def test_films_a_regime_trained_on_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((80, 6)).astype(np.float32)
    targets = (vectors[:, :2] + rng.standard_normal((80, 2)) > 0).astype(np.float32)
    unseen = np.where(np.arange(80)[:, None] < 50, np.nan, 1 / (1 + np.exp(-vectors[:, :2]))).astype(np.float32)
    paths = write_label_errors(
        tmp_path,
        targets,
        vectors,
        np.arange(80),
        ["linear_probe"],
        {"fine_tune": unseen},
        lambda done, total: None,
        seed=0,
    )
    assert len(paths) == 7
    for what in ("quality", "probabilities"):
        assert np.isnan(np.load(tmp_path / f"audit/labels/fine_tune/{what}.npy")[:50]).all()
        assert np.isfinite(np.load(tmp_path / f"audit/labels/linear_probe/{what}.npy")).all()
    assert not np.load(tmp_path / "audit/labels/fine_tune/flagged.npy")[:50].any()


# --- hard cases ------------------------------------------------------------------------------------------------------


def test_regimes_disagree_by_rank_not_by_scale() -> None:
    logits = np.array([[1.0, 2.0, 3.0, 4.0], [100.0, 400.0, 300.0, 200.0]])
    spread, ranks = disagreement(logits)
    assert ranks.tolist() == [[0.125, 0.375, 0.625, 0.875], [0.125, 0.875, 0.625, 0.375]]
    assert spread.tolist() == [0, 0.5, 0, 0.5]


def test_confident_errors_come_first_and_unknown_is_none() -> None:
    targets = np.array([0, 0, 1, 1, np.nan, 0, 1], dtype=np.float32)
    logits = np.array([0.5, 2.0, -3.0, -0.5, 9.0, -1.0, 4.0])
    wrong, missed = confident_errors(targets, logits, 0.0)
    assert wrong.tolist() == [1, 0]
    assert missed.tolist() == [2, 3]
    assert [len(found) for found in confident_errors(targets, logits, float("nan"))] == [0, 0]
