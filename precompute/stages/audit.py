"""The set's own faults, below ``audit/``: outliers, copies, label errors, shortcuts."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.acquisition import MEASURES, measure
from explorer.analysis.calibration import probabilities
from explorer.analysis.crossfit import cross_fit
from explorer.analysis.flag_power import flag_power, invert
from explorer.analysis.outliers import DISTANCES, distances, fit_cloud, percentiles
from explorer.analysis.shortcuts import KINDS, attributes, from_embedding, kind_scores, of_kind, of_labels
from explorer.data.images import open_picture
from explorer.data.limits import BadImage
from explorer.data.samples import SPLITS
from explorer.store import checked, layout
from explorer.store.audit import LabelAudit
from explorer.store.files import write_array, write_frame, write_json
from explorer.store.folder import DamagedFile, blamed_on
from explorer.store.manifest import FROZEN
from precompute.audit.duplicates import exact_pairs, near_pairs
from precompute.audit.label_errors import label_quality
from precompute.reporter import ReportProgress
from precompute.run.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIR_COLUMNS = ["a", "b", "kind", "correlation", "similarity", "hash_bits"]

VERSIONS = {"outliers": 1, "copies": 1, "label errors": 1, "shortcuts": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def outliers(run: Run) -> None:
    """How far every film lies from the training films, in the frozen encoder."""
    seed = run.settings.seed

    def make(folder: Path, report: ReportProgress) -> list[str]:
        return write_outliers(folder, run.embeddings(FROZEN), run.rows("train"), run.patients, seed)

    given = run.hashes(layout.encoder_files(FROZEN).embeddings, layout.SAMPLES)
    run.stage("outliers", {**given, "seed": seed}, make)


def copies(run: Run) -> None:
    """Films that are in the set twice, by their pixels and nearly."""
    if not run.has_films:
        return

    def make(folder: Path, report: ReportProgress) -> list[str]:
        pixels = [film["pixels_sha256"] for film in run.decoded["kept"]]
        return write_copies(folder, pixels, run.samples, np.asarray(run.embeddings(FROZEN)), report)

    files = (layout.THUMBNAILS, layout.encoder_files(FROZEN).embeddings, layout.SAMPLES, layout.FILMS)
    run.stage("copies", run.hashes(*files), make)


def label_errors(run: Run) -> None:
    """Labels that a probe which has not seen the film, or another regime on films it was not fitted to, doubts."""
    truth = run.job.source.truth
    probes = [regime.name for regime in run.regimes if regime.kind == "probe"]
    fitted = [regime for regime in run.regimes if regime.fitted_on and regime.name not in probes]

    def make(folder: Path, report: ReportProgress) -> list[str]:
        val, unseen = run.rows("val"), {}
        for regime in fitted:
            logits, seen = run.logits(regime.name), run.samples["split"].isin(regime.fitted_on).to_numpy()
            unseen[regime.name] = np.full(logits.shape, np.nan, dtype=np.float32)
            unseen[regime.name][~seen] = probabilities("platt", run.targets[val], logits[val], logits[~seen])
        vectors = np.asarray(run.embeddings(FROZEN))
        paths = write_label_errors(
            folder, run.targets, vectors, run.patients, probes, unseen, report, run.settings.seed
        )
        if truth is not None:
            write_array(folder / layout.LABEL_TRUTH, truth[[film["row"] for film in run.decoded["kept"]]])
            paths.append(layout.LABEL_TRUTH)
        return paths

    files = (
        layout.encoder_files(FROZEN).embeddings,
        layout.SAMPLES,
        *(layout.regime_files(regime.name).logits for regime in fitted),
    )
    given = {
        **run.hashes(*files),
        **run.film_hashes(),
        "truth": None if truth is None else truth.tolist(),
        "probes": probes,
    }
    run.stage("label errors", {**given, "seed": run.settings.seed}, make)


def shortcuts(run: Run) -> None:
    """What view, patient, device and border tell of the labels, and the embeddings of them."""
    seed = run.settings.seed

    def make(folder: Path, report: ReportProgress) -> list[str]:
        vectors = {name: np.asarray(run.embeddings(name)) for name in run.encoders}
        picture = Thumbnails(folder) if run.has_films else None
        return write_shortcuts(folder, run.samples, run.labels, vectors, picture, report, seed)

    encoders = [layout.encoder_files(name).embeddings for name in run.encoders]
    pictures = run.hashes(layout.THUMBNAILS) if run.has_films else {}
    files = {**run.hashes(layout.SAMPLES, *encoders), **pictures}
    run.stage("shortcuts", {**files, "seed": seed}, make)


def write_outliers(
    folder: Path,
    embeddings: NDArray[np.float32],
    train: NDArray[np.int64],
    patients: NDArray[np.int64],
    seed: int,
) -> list[str]:
    """The training films' cloud, and every film's distances and percentiles; training films as if held out.

    Parameters
    ----------
    embeddings : (N, D) unit norm, of the frozen encoder
    train : rows
    patients : (N,) int
    """
    cloud, held_out = fit_cloud(np.asarray(embeddings[train]), patients[train], seed=seed)
    raw = np.empty((len(embeddings), len(DISTANCES)))
    raw[train] = held_out
    rest = np.setdiff1d(np.arange(len(embeddings)), train)
    raw[rest] = distances(embeddings[rest], cloud.vectors, cloud.mean, cloud.precision)
    arrays: dict[layout.OutlierArray, NDArray[np.floating]] = {
        "mean": cloud.mean,
        "precision": cloud.precision,
        "reference": cloud.reference,
        "percentiles": percentiles(raw, cloud.reference),
    }
    for name, array in arrays.items():
        write_array(folder / layout.outlier_array(name), array.astype(np.float32))
    return [layout.outlier_array(name) for name in arrays]


def write_copies(
    folder: Path,
    pixel_hashes: Sequence[str],
    samples: pd.DataFrame,
    vectors: NDArray[np.float32],
    report: ReportProgress,
) -> list[str]:
    """Pairs of films that are one film, exact ones first, and by what rule near ones were called so.

    Parameters
    ----------
    pixel_hashes : (N,) SHA-256 of each film's decoded pixels
    samples : DataFrame
        patient_id.
    vectors : (N, D) unit norm, of the frozen encoder
    """
    exact = exact_pairs(pixel_hashes)
    patients = pd.factorize(samples["patient_id"])[0]
    near, rule = near_pairs(Thumbnails(folder), vectors, patients, report)
    same = set(map(tuple, exact.tolist()))
    # an array: of an empty frame an empty list would take no columns
    near = near[np.array([pair not in same for pair in zip(near["a"], near["b"], strict=True)], dtype=bool)]
    same_pixels = pd.DataFrame(exact, columns=["a", "b"]).assign(kind="exact", correlation=1.0)
    kind = np.where(near.pop("near"), "near", "alike")
    frame = pd.concat([same_pixels, near.assign(kind=kind)], ignore_index=True).reindex(columns=PAIR_COLUMNS)
    write_frame(folder / layout.COPIES, frame)
    write_json(folder / layout.COPY_RULE, rule)
    return [layout.COPIES, layout.COPY_RULE]


def write_label_errors(
    folder: Path,
    targets: NDArray[np.float32],
    vectors: NDArray[np.float32],
    patients: NDArray[np.int64],
    probes: Sequence[str],
    unseen: Mapping[str, NDArray[np.float32]],
    report: ReportProgress,
    seed: int,
) -> list[str]:
    """Each label cell's quality by the cross-fitted probe, and by regimes where they did not train on the film.

    And a trial: some known labels are inverted, and the probe judges them anew.

    Parameters
    ----------
    vectors : (N, D) of the frozen encoder
    probes : regimes that stand for the cross-fitted probe
    unseen : regime to (N, C) probabilities, NaN for films it was trained on
    """
    sources = {**dict.fromkeys(probes, cross_fit(vectors, targets, patients)), **unseen}
    paths = []
    for i, (name, predicted) in enumerate(sources.items()):
        quality, flagged = label_quality(targets, predicted)
        for what, array in LabelAudit(predicted, quality, flagged)._asdict().items():
            paths.append(layout.label_audit_array(name, what))
            write_array(folder / paths[-1], array)
        report(i + 1, len(sources) + 1)
    wrong = invert(targets, seed)
    given = np.where(wrong, 1 - targets, targets)
    quality, flagged = label_quality(given, cross_fit(vectors, given, patients))
    write_frame(folder / layout.LABEL_TRIAL, flag_power(given, wrong, quality, flagged))
    report(len(sources) + 1, len(sources) + 1)
    return [*paths, layout.LABEL_TRIAL]


def write_shortcuts(
    folder: Path,
    samples: pd.DataFrame,
    labels: Sequence[str],
    vectors: Mapping[str, NDArray[np.float32]],
    picture: Callable[[int], NDArray[np.uint8]] | None,
    report: ReportProgress,
    seed: int,
) -> list[str]:
    """What attributes tell of labels, embeddings of attributes, and each kind alone of labels, split by split.

    Parameters
    ----------
    samples : DataFrame
        SAMPLE_COLUMNS and labels.
    vectors : encoder to (N, D) embeddings
    picture : callable or None
        A row's thumbnail; None where there are no films, and nothing is measured on them.
    """
    patients = pd.factorize(samples["patient_id"])[0]
    targets = samples[list(labels)].astype("Float32").to_numpy(dtype=np.float32, na_value=np.nan)
    measures = np.full((len(samples), len(MEASURES)), np.nan, dtype=np.float32)
    if picture is not None:
        measures = np.stack([measure(picture(row)) for row in range(len(samples))])
    given = attributes(samples, labels, measures)
    write_json(folder / layout.ATTRIBUTE_FACTS, {"kinds": given.kinds, "lacking": given.lacking})
    steps = 2 + len(vectors)
    report(1, steps)
    if not given.kinds:
        return [layout.ATTRIBUTE_FACTS]
    embedded = []
    for i, (encoder, embedding) in enumerate(vectors.items()):
        embedded.append(from_embedding(given, embedding, patients, seed).assign(encoder=encoder))
        report(2 + i, steps)
    by_split = []
    for kind in KINDS:
        scores = kind_scores(given, kind, targets, patients, seed)
        if scores is None:
            continue
        for split in SPLITS:
            rows = np.flatnonzero(samples["split"].to_numpy() == split)
            part = of_kind(kind, labels, targets[rows], scores[rows], patients[rows])
            by_split.append(part.assign(split=split))
    tables: dict[layout.ShortcutTable, pd.DataFrame] = {
        "attributes": given.values,
        "labels": of_labels(given, labels, targets, patients, seed),
        "embeddings": pd.concat(embedded, ignore_index=True),
        "kinds": pd.concat(by_split, ignore_index=True),
    }
    for name, table in tables.items():
        write_frame(folder / layout.shortcut_table(name), table)
    report(steps, steps)
    return [*map(layout.shortcut_table, tables), layout.ATTRIBUTE_FACTS]


class Thumbnails:
    """The run's thumbnails as grey arrays, by row."""

    def __init__(self, folder: Path) -> None:
        self._run_id = folder.name
        with blamed_on(self._run_id, layout.THUMBNAIL_OFFSETS):
            self._offsets = checked.map_array(folder / layout.THUMBNAIL_OFFSETS, "int64", (None,))
        with blamed_on(self._run_id, layout.THUMBNAILS):
            self._bytes = checked.map_bytes(folder / layout.THUMBNAILS, int(self._offsets[-1]))

    def __call__(self, row: int) -> NDArray[np.uint8]:
        start, stop = self._offsets[row : row + 2]
        try:
            with open_picture(io.BytesIO(self._bytes[start:stop].tobytes())) as picture:
                return np.asarray(picture)
        except BadImage as error:
            raise DamagedFile(self._run_id, layout.THUMBNAILS, f"the thumbnail of row {row} is no picture") from error
