"""The separability board at precompute, beside the straightforward scikit-learn loop over the same shuffles.

The loop takes labels and shuffles one at a time and runs on a few; its seconds are multiplied up. It has no intervals,
no confusions and no comparison of spaces: ours are timed with them. Both are processor seconds.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, silhouette_samples
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors

from benchmarks import Measurement
from explorer.analysis.separability import NEIGHBOURS, Labelled, Space, confusability, likeness, measure_separability

FILMS, DIMENSIONS, LABELS, SPACES, SHUFFLES, RESAMPLES = 4000, 512, 14, 5, 200, 1000
LOOPED = 4
"""Labellings the loop is run on; of all it is LABELS · (1 + SHUFFLES) · SPACES."""


def run(repeats: int) -> list[Measurement]:
    vectors, targets = _films()
    patients = np.arange(FILMS)
    names = [str(c) for c in range(LABELS)]
    ours, baseline = [], []
    for _ in range(repeats):
        start = time.process_time()
        films = Labelled.of(names, targets, patients, permutations=SHUFFLES, resamples=RESAMPLES, seed=0)
        spaces = [Space.of(x, films) for x in vectors]
        boards = [measure_separability(space, films) for space in spaces]
        for i, space in enumerate(spaces):
            confusability(space, films)
            for other in spaces[:i]:
                likeness(space, other, films)
        ours.append(time.process_time() - start)
        seconds, values = _loop(vectors[0], targets[:, :LOOPED], patients)
        baseline.append(seconds / LOOPED * LABELS * (1 + SHUFFLES) * SPACES)
        for measure, expected in values.items():
            found = boards[0].query("measure == @measure and label in @names")["value"].to_numpy()[:LOOPED]
            np.testing.assert_allclose(found, expected, rtol=1e-3, err_msg=measure)
    size = (
        f"{FILMS} films, {DIMENSIONS} dimensions, {LABELS} labels, {SPACES} spaces, {SHUFFLES} shuffles; "
        f"processor seconds; the loop on {LOOPED} labellings, multiplied up; its values equal ours"
    )
    return [Measurement("separability", "matrix products", "scikit-learn loop", ours, baseline, size)]


def _films() -> tuple[list[np.ndarray], np.ndarray]:
    """Labels of many prevalences, each a direction of its own in every space, more or less strong."""
    rng = np.random.default_rng(0)
    targets = (rng.random((FILMS, LABELS)) < np.geomspace(0.01, 0.5, LABELS)).astype(np.float32)
    vectors = []
    for _ in range(SPACES):
        x = rng.normal(size=(FILMS, DIMENSIONS)) * np.exp(-np.arange(DIMENSIONS) / 100)
        x += targets @ (rng.normal(size=(LABELS, DIMENSIONS)) * np.linspace(0, 0.3, LABELS)[:, None])
        vectors.append((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
    return vectors, targets


def _loop(x: np.ndarray, targets: np.ndarray, patients: np.ndarray) -> tuple[float, dict[str, list[float]]]:
    """Seconds for these labellings, and their figures."""
    near = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine").fit(x).kneighbors(return_distance=False)
    values: dict[str, list[float]] = {"lift": [], "average_precision": [], "silhouette": []}
    start = time.process_time()
    for y in targets.T:
        rows = y == 1
        values["lift"].append(float(y[near[rows]].mean() / ((rows.sum() - 1) / (len(y) - 1))))
        scores = np.empty(len(y))
        for train, held in GroupKFold(5, shuffle=True, random_state=0).split(x, groups=patients):
            seen = x[train].astype(np.float64)
            centred = seen - seen.mean(axis=0)
            share, scale = ledoit_wolf_shrinkage(centred, assume_centered=True), (centred**2).mean()
            model = Ridge(len(seen) * scale * share / (1 - share)).fit(seen, y[train])
            spread = np.sqrt((1 - share) * (centred @ model.coef_).var() + share * scale * (model.coef_**2).sum())
            scores[held] = (x[held] - seen.mean(axis=0)) @ model.coef_ / spread
        values["average_precision"].append(float(average_precision_score(y, scores)))
        values["silhouette"].append(float(silhouette_samples(x, y, metric="cosine")[rows].mean()))
    return time.process_time() - start, values
