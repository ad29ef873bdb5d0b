"""Every film's embedding, by the frozen encoder and by the fine-tuned one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from explorer.model.encoder import ImageTower
from explorer.store.files import write_array
from explorer.store.writer import SCRATCH
from precompute.reporter import Report
from precompute.run.run import Run


def frozen(run: Run) -> None:
    _embed(run, "embed frozen", "frozen", lambda: run.tower, {"weights": run.job.weights_sha256})


def fine_tune(run: Run) -> None:
    file = "fine_tune/image_tower.safetensors"
    given = {"weights": run.writer.sha256(f"{SCRATCH}/{file}")}
    folder = (run.writer.scratch / file).parent
    _embed(run, "embed fine-tune", "fine_tune", lambda: ImageTower.load(folder, run.tower.device), given)


def _embed(run: Run, stage: str, encoder: str, tower: Callable[[], ImageTower], given: Mapping[str, object]) -> None:
    def make(folder: Path, report: Report) -> list[str]:
        where = folder / "encoders" / encoder
        loaded = tower()
        files = loaded.save(where)
        projections = loaded.unnormalised().embed(run.pixels, run.settings.batch_size, report)
        norms = np.linalg.norm(projections, axis=1)
        write_array(where / "embeddings.npy", projections / norms[:, None])
        write_array(where / "norms.npy", norms)
        return [f"encoders/{encoder}/{name}" for name in ("embeddings.npy", "norms.npy", *files)]

    pixels = run.writer.sha256(f"{SCRATCH}/pixels.bin")
    run.stage(stage, {**given, "pixels": pixels, "config": run.tower.config.model_dump()}, make)
