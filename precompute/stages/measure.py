"""What each regime's scores are worth: metrics, differences, curves' bands and calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.calibration import CALIBRATION_COLUMNS, calibration
from explorer.analysis.curves import BAND_COLUMNS, bands
from explorer.analysis.differences import DIFFERENCE_COLUMNS, differences
from explorer.analysis.metrics import METRIC_COLUMNS, Scored, estimate, summarise, well_known
from explorer.data.samples import SPLITS, Split
from explorer.store import layout
from explorer.store.files import write_frame
from precompute.reporter import ReportProgress
from precompute.run.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN: tuple[Split, ...] = ("test", "val")

VERSIONS = {"metrics": 1, "curves": 1, "calibration": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def metrics(run: Run) -> None:
    """Every figure with its interval, and every difference between regimes, paired by patient."""

    def make(folder: Path, report: ReportProgress) -> list[str]:
        values, changes = [], []
        for i, split in enumerate(SPLITS):
            rows = run.rows(split)
            scored_films = (run.labels, run.targets[rows], _scored(run, rows), run.patients[rows])
            estimates = estimate(*scored_films, _averaged(run))
            values += [summarise(figures).assign(regime=name, split=split) for name, figures in estimates.items()]
            changes.append(differences(*scored_films, estimates).assign(split=split))
            report(i + 1, len(SPLITS))
        write_frame(folder / layout.METRICS, pd.concat(values, ignore_index=True)[list(METRIC_COLUMNS)])
        write_frame(folder / layout.DIFFERENCES, pd.concat(changes, ignore_index=True)[list(DIFFERENCE_COLUMNS)])
        return [layout.METRICS, layout.DIFFERENCES]

    run.stage("metrics", _inputs(run), make)


def curves(run: Run) -> None:
    """How far each curve may be off, on the splits that are shown."""

    def measure(rows: NDArray[np.int64]) -> pd.DataFrame:
        scored_films = (run.labels, run.targets[rows], _scored(run, rows), run.patients[rows])
        return bands(*scored_films, _averaged(run), resamples=run.settings.resamples, seed=run.settings.seed)

    run.stage("curves", _inputs(run), _table(run, layout.BANDS, BAND_COLUMNS, measure))


def calibrated(run: Run) -> None:
    """What probabilities are worth, as they are and fitted on val."""

    def measure(rows: NDArray[np.int64]) -> pd.DataFrame:
        val = run.rows("val")
        on_val, here = ({r.name: run.logits(r.name)[part] for r in run.regimes} for part in (val, rows))
        scored_films = (run.labels, (run.targets[val], on_val), run.targets[rows], here, run.patients[rows])
        return calibration(*scored_films)

    run.stage("calibration", _inputs(run), _table(run, layout.CALIBRATION, CALIBRATION_COLUMNS, measure))


def _table(
    run: Run, file: str, columns: tuple[str, ...], measure: Callable[[NDArray[np.int64]], pd.DataFrame]
) -> Callable[[Path, ReportProgress], list[str]]:
    """What a stage makes that measures the rows of each split that is shown, and writes one table."""

    def make(folder: Path, report: ReportProgress) -> list[str]:
        parts = []
        for i, split in enumerate(SHOWN):
            parts.append(measure(run.rows(split)).assign(split=split))
            report(i + 1, len(SHOWN))
        write_frame(folder / file, pd.concat(parts, ignore_index=True)[list(columns)])
        return [file]

    return make


def _averaged(run: Run) -> NDArray[np.bool_]:
    """(C,) labels that are well known in every split that is shown: one mean for all splits and regimes."""
    by_split = [
        well_known(run.targets[rows], run.patients[rows], run.settings.macro_patients) for rows in map(run.rows, SHOWN)
    ]
    return np.asarray(np.all(by_split, axis=0))


def _scored(run: Run, rows: NDArray[np.int64]) -> dict[str, Scored]:
    """Every regime's logits of some films, with its thresholds."""
    return {r.name: Scored(run.logits(r.name)[rows], run.threshold_array(r.name)) for r in run.regimes}


def _inputs(run: Run) -> dict[str, object]:
    """What :func:`_scored` and the resamples hang on."""
    thresholds = [layout.regime_files(regime.name).thresholds for regime in run.regimes]
    settings = run.settings.model_dump(include={"resamples", "seed", "macro_patients"})
    return {**run.logit_hashes(), **run.hashes(*thresholds, layout.SAMPLES), **settings}
