"""Groups of films on which a regime errs more than elsewhere, sought on val and tested on test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.analysis.outliers import DEFAULT, DISTANCES
from explorer.analysis.slices import find_slices, reduce, traits
from explorer.analysis.subgroups import attributes
from explorer.store import layout
from explorer.store.files import write_frame
from precompute.reporter import ReportProgress
from precompute.run.run import Run
from precompute.stages.subgroups import scores_of

VERSIONS = {"slices": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def slices(run: Run) -> None:
    """One mixture for each regime, label and state, over the embedding of the regime's encoder and its score."""
    outlier_file = layout.outlier_array("percentiles")

    def make(folder: Path, report: ReportProgress) -> list[str]:
        percentiles = run.read_array(outlier_file, "float32", run.n, len(DISTANCES))
        # without the device, which is among the findings where a set has it
        ways = attributes(run.samples, None, percentiles[:, DISTANCES.index(DEFAULT)], run.settings.age_cuts)
        splits = run.samples["split"].to_numpy(object)
        reports = run.samples["report"].fillna("").astype(str).tolist()
        named = traits(run.labels, run.targets, ways, reports, splits == "train")
        seed = run.settings.seed
        spaces = {encoder: reduce(run.embeddings(encoder), run.rows("val"), seed) for encoder in run.encoders}
        regimes = {regime.name: scores_of(run, regime.name, np.arange(run.n)) for regime in run.regimes}
        reduced = {regime.name: spaces[regime.encoder] for regime in run.regimes}
        tables = find_slices(run.labels, run.targets, regimes, reduced, run.patients, splits, named, seed, report)
        files = (layout.SLICES, layout.SLICE_NAMES, layout.SLICE_FILMS)
        for file, table in zip(files, tables, strict=True):
            write_frame(folder / file, table)
        return list(files)

    thresholds = [layout.regime_files(regime.name).thresholds for regime in run.regimes]
    inputs = {
        **run.embedding_hashes(),
        **run.logit_hashes(),
        **run.hashes(*thresholds, layout.SAMPLES, outlier_file),
        **run.settings.model_dump(include={"age_cuts", "seed"}),
    }
    run.stage("slices", inputs, make)
