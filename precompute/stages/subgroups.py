"""For whom each regime is worse: figures of groups of films, and gaps between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.calibration import probabilities
from explorer.analysis.outliers import DEFAULT, DISTANCES
from explorer.analysis.shortcuts import DEVICE
from explorer.analysis.subgroups import GAP_COLUMNS, GROUP_COLUMNS, Scores, attributes, measure
from explorer.store import layout
from explorer.store.files import write_frame
from precompute.reporter import ReportProgress
from precompute.run.run import Run
from precompute.stages.measure import SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSIONS = {"subgroups": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def subgroups(run: Run) -> None:
    """On the splits that are shown, with probabilities fitted on val."""
    outlier_file = layout.outlier_array("percentiles")

    def make(folder: Path, report: ReportProgress) -> list[str]:
        percentiles = run.read_array(outlier_file, "float32", run.n, len(DISTANCES))
        device = run.targets[:, run.labels.index(DEVICE)] if DEVICE in run.labels else None
        ways = attributes(run.samples, device, percentiles[:, DISTANCES.index(DEFAULT)], run.settings.age_cuts)
        groups: list[pd.DataFrame] = []
        gaps: list[pd.DataFrame] = []
        for i, split in enumerate(SHOWN):
            rows = run.rows(split)
            here = [way._replace(codes=way.codes[rows]) for way in ways]
            regimes = {regime.name: scores_of(run, regime.name, rows) for regime in run.regimes}
            tables = measure(run.labels, run.targets[rows], regimes, run.patients[rows], here)
            for parts, table in zip((groups, gaps), tables, strict=True):
                parts.append(table.assign(split=split))
            report(i + 1, len(SHOWN))
        write_frame(folder / layout.SUBGROUPS, pd.concat(groups, ignore_index=True)[list(GROUP_COLUMNS)])
        write_frame(folder / layout.SUBGROUP_GAPS, pd.concat(gaps, ignore_index=True)[list(GAP_COLUMNS)])
        return [layout.SUBGROUPS, layout.SUBGROUP_GAPS]

    thresholds = [layout.regime_files(regime.name).thresholds for regime in run.regimes]
    inputs = {**run.logit_hashes(), **run.hashes(*thresholds, layout.SAMPLES, outlier_file)}
    run.stage("subgroups", {**inputs, **run.settings.model_dump(include={"age_cuts"})}, make)


def scores_of(run: Run, regime: str, rows: NDArray[np.int64]) -> Scores:
    """What a regime says of some films, with probabilities fitted on val."""
    logits, val = run.logits(regime), run.rows("val")
    return Scores(
        np.asarray(logits[rows]),
        run.threshold_array(regime),
        probabilities("platt", run.targets[val], logits[val], logits[rows]),
    )
