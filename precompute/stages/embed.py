"""Every film's embedding, by the frozen encoder and by the fine-tuned one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.model.encoder import ImageTower
from explorer.store import layout
from explorer.store.files import write_array
from precompute.reporter import ReportProgress
from precompute.run.run import Run

VERSIONS = {"embed frozen": 1, "embed fine-tune": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def frozen(run: Run) -> None:
    """By the tower as it comes, which the run keeps."""
    files = layout.encoder_files("frozen")

    def make(folder: Path, report: ReportProgress) -> list[str]:
        run.tower.save(folder / files.folder)
        return [*_embed(run, run.tower, files, report), files.config, files.weights]

    inputs = {"weights": run.job.weights_sha256, "config": run.tower.config.model_dump()}
    run.stage("embed frozen", {**inputs, **run.hashes(layout.PIXELS)}, make)


def fine_tuned(run: Run) -> None:
    """By the tower as the fine-tune left it."""
    files = layout.encoder_files("fine_tune")

    def make(folder: Path, report: ReportProgress) -> list[str]:
        return _embed(run, ImageTower.load(folder / files.folder, run.tower.device), files, report)

    run.stage("embed fine-tune", run.hashes(files.weights, files.config, layout.PIXELS), make)


def _embed(run: Run, tower: ImageTower, files: layout.EncoderFiles, report: ReportProgress) -> list[str]:
    projections = tower.unnormalised().embed(run.pixels, run.settings.batch_size, report)
    norms = np.linalg.norm(projections, axis=1)
    write_array(run.path / files.embeddings, projections / norms[:, None])
    write_array(run.path / files.norms, norms)
    return [files.embeddings, files.norms]
