"""Every film's embedding, by the frozen encoder and by the fine-tuned one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from explorer.model.encoder import ImageTower
from explorer.store import layout
from explorer.store.files import write_array
from precompute.reporter import ReportProgress
from precompute.run.run import Run


def frozen(run: Run) -> None:
    _embed(run, "embed frozen", "frozen", lambda: run.tower, {"weights": run.job.weights_sha256})


def fine_tuned(run: Run) -> None:
    inputs = {"weights": run.writer.sha256(layout.TUNED_TOWER.weights)}
    folder = run.path / layout.TUNED_TOWER.folder
    _embed(run, "embed fine-tune", "fine_tune", lambda: ImageTower.load(folder, run.tower.device), inputs)


def _embed(run: Run, stage: str, encoder: str, tower: Callable[[], ImageTower], inputs: Mapping[str, object]) -> None:
    def make(folder: Path, report: ReportProgress) -> list[str]:
        files = layout.encoder_files(encoder)
        loaded = tower()
        loaded.save(folder / files.folder)
        projections = loaded.unnormalised().embed(run.pixels, run.settings.batch_size, report)
        norms = np.linalg.norm(projections, axis=1)
        write_array(folder / files.embeddings, projections / norms[:, None])
        write_array(folder / files.norms, norms)
        return [files.embeddings, files.norms, files.config, files.weights]

    pixels = run.writer.sha256(layout.PIXELS)
    run.stage(stage, {**inputs, "pixels": pixels, "config": run.tower.config.model_dump()}, make)
