"""Every film's embedding, by the frozen encoder and by every encoder that a regime trained."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from explorer.errors import UserError
from explorer.model.device import multiplies_bfloat16
from explorer.model.encoder import ImageTower
from explorer.store import layout
from explorer.store.files import write_array, write_rows
from explorer.store.manifest import FROZEN
from precompute.reporter import VECTORS, ReportProgress
from precompute.run.imported import Imported
from precompute.run.recipe import Recipe
from precompute.run.run import Run
from precompute.training.precision import check_bfloat16, passes, precision_words

_LOG = logging.getLogger(__name__)

VERSIONS = {"embed frozen": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""
OWN_ENCODER = 1
"""The same number, of the stage that embeds by an encoder which a regime trained."""
IMPORTED = 1
"""And of the one that takes over imported vectors."""


def frozen(run: Run) -> None:
    """By the tower as it comes, which the run keeps with the precision that was chosen; or made elsewhere."""
    files, asked = layout.encoder_files(FROZEN), run.settings.precision
    if run.job.imported is not None:
        _imported(run, run.job.imported, files)
        return

    def make(folder: Path, report: ReportProgress) -> list[str]:
        tower = run.tower
        if _tries_bfloat16(run):
            check = check_bfloat16(tower, run.pixels, run.targets, run.settings.batch_size)
            tower = tower.at("bfloat16" if asked == "bfloat16" or passes(check) else "float32", check)
            _LOG.info("Embedding in %s: %s.", tower.config.precision, precision_words(asked, check))
        tower.save(folder / files.folder)
        return [*_embed(run, tower, files, report), files.config, files.weights]

    inputs: dict[str, object] = {"weights": run.job.weights_sha256, "config": run.tower.config.model_dump()}
    if _tries_bfloat16(run):  # else the stage is what it was before there was a choice
        inputs |= {"precision": asked, **run.hashes(layout.SAMPLES)}
    run.stage("embed frozen", {**inputs, **run.hashes(layout.PIXELS)}, make)


def _tries_bfloat16(run: Run) -> bool:
    asked = run.settings.precision
    return asked == "bfloat16" or (asked == "auto" and multiplies_bfloat16(run.tower.device))


def _imported(run: Run, imported: Imported, files: layout.EncoderFiles) -> None:
    def make(folder: Path, report: ReportProgress) -> list[str]:
        places = imported.order[[film["row"] for film in run.decoded["kept"]]]
        blocks = imported.unit_vectors(places)
        write_rows(folder / files.embeddings, (len(places), imported.dim), blocks, report)
        write_array(folder / files.norms, imported.norms[places])
        return [files.embeddings, files.norms]

    given = {"vectors": imported.sha256, "order": imported.order.tolist()}
    run.stage(VECTORS, {**given, **run.film_hashes()}, make)


def by_own_encoder(run: Run, recipe: Recipe) -> None:
    """By the tower as a regime's training left it, in the frozen encoder's precision."""
    files = layout.encoder_files(recipe.encoder)

    def make(folder: Path, report: ReportProgress) -> list[str]:
        tower = ImageTower.load(folder / files.folder, run.tower.device)
        if run.settings.precision == "auto" and tower.config.precision == "bfloat16":
            check = check_bfloat16(tower, run.pixels, run.targets, run.settings.batch_size)
            if not passes(check):
                raise UserError(
                    f"The {recipe.own_encoder} encoder does not bear bfloat16 as the frozen one does: {check.words}.",
                    "Give the same command with --precision float32.",
                )
        return _embed(run, tower, files, report)

    run.stage(recipe.embed_stage, run.hashes(files.weights, files.config, layout.PIXELS), make)


def _embed(run: Run, tower: ImageTower, files: layout.EncoderFiles, report: ReportProgress) -> list[str]:
    projections = tower.unnormalised().embed(run.pixels, run.settings.batch_size, report)
    norms = np.linalg.norm(projections, axis=1)
    write_array(run.path / files.embeddings, projections / norms[:, None])
    write_array(run.path / files.norms, norms)
    return [files.embeddings, files.norms]
