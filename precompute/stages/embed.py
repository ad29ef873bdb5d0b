"""Every film's embedding, by the frozen encoder and by every encoder that a regime trained."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from explorer.errors import UserError
from explorer.model.device import multiplies_bfloat16
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.store import layout
from explorer.store.files import sha256_json, write_array, write_rows
from explorer.store.manifest import FROZEN
from precompute.reporter import VECTORS, ReportProgress
from precompute.run.imported import Imported
from precompute.run.job import Job
from precompute.run.recipe import Recipe
from precompute.run.run import Run
from precompute.run.shards import Advance, Part, Share, make_shards, ranges, read_shard, remove_shards, write_shard
from precompute.training.precision import check_bfloat16, passes, precision_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    parts: list[Part] = []

    def make(folder: Path, report: ReportProgress) -> list[str]:
        tower = run.tower
        if _tries_bfloat16(run.job):
            check = check_bfloat16(tower, run.pixels, run.targets, run.settings.batch_size)
            tower = tower.at("bfloat16" if asked == "bfloat16" or passes(check) else "float32", check)
            _LOG.info("Embedding in %s: %s.", tower.config.precision, precision_words(asked, check))
        tower.save(folder / files.folder)
        parts.extend(_embed(run, tower, run.job.weights_sha256, files, VERSIONS["embed frozen"], report))
        return [files.embeddings, files.norms, files.config, files.weights]

    inputs: dict[str, object] = {"weights": run.job.weights_sha256, "config": run.tower.config.model_dump()}
    if _tries_bfloat16(run.job):  # else the stage is what it was before there was a choice
        inputs |= {"precision": asked, **run.hashes(layout.SAMPLES)}
    run.stage("embed frozen", {**inputs, **run.hashes(layout.PIXELS)}, make)
    remove_shards(parts)


def _tries_bfloat16(job: Job) -> bool:
    asked = job.settings.precision
    return asked == "bfloat16" or (asked == "auto" and multiplies_bfloat16(job.tower.device))


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
    parts: list[Part] = []

    def make(folder: Path, report: ReportProgress) -> list[str]:
        tower = ImageTower.load(folder / files.folder, run.tower.device)
        if run.settings.precision == "auto" and tower.config.precision == "bfloat16":
            check = check_bfloat16(tower, run.pixels, run.targets, run.settings.batch_size)
            if not passes(check):
                raise UserError(
                    f"The {recipe.own_encoder} encoder loses too much in bfloat16, which the frozen one does not: "
                    f"{check.words}.",
                    "Give the same command with --precision float32.",
                )
        parts.extend(_embed(run, tower, run.writer.sha256(files.weights), files, OWN_ENCODER, report))
        return [files.embeddings, files.norms]

    run.stage(recipe.embed_stage, run.hashes(files.weights, files.config, layout.PIXELS), make)
    remove_shards(parts)


@lru_cache(maxsize=1)
def _read_tower(folder: Path, weights: str, device: str) -> ImageTower:
    """The tower with these weights, once for each process."""
    return ImageTower.load(folder, torch.device(device)).unnormalised()


class Embedder:
    """An encoder over the films of a run; where it goes to another process, its folder travels and not its weights.

    Parameters
    ----------
    folder : Path
        Where the tower is saved.
    weights : str
        Their hash.
    pixels : Path
        (N, S, S) uint8, without a header.
    size : int
        S.
    tower : ImageTower, optional
        The same tower, giving projections as they come, where it is in memory.
    """

    def __init__(
        self, folder: Path, weights: str, pixels: Path, size: int, batch_size: int, tower: ImageTower | None = None
    ) -> None:
        self.folder = folder
        self.weights = weights
        self.pixels = pixels
        self.size = size
        self.batch_size = batch_size
        self._tower = tower

    def __reduce__(self) -> tuple[type[Embedder], tuple[object, ...]]:
        return Embedder, (self.folder, self.weights, self.pixels, self.size, self.batch_size)

    def __call__(self, part: Part, share: Share, advance: Advance) -> None:
        if share.threads:
            torch.set_num_threads(share.threads)
        tower = self._tower or _read_tower(self.folder, self.weights, "cuda" if share.gpu else "cpu")
        pixels = np.memmap(self.pixels, np.uint8, "r").reshape(-1, self.size, self.size)
        embed_part(tower, pixels[part.first : part.last], self.batch_size, part.file, advance)


def embed_part(
    tower: ImageTower, pixels: NDArray[np.uint8], batch_size: int, file: Path, advance: Advance = lambda rows: None
) -> None:
    """Write the shard of some films' projections."""
    done = 0

    def report(now: int, total: int) -> None:
        nonlocal done
        advance(now - done)
        done = now

    write_shard(file, {"projections": tower.embed(pixels, batch_size, report)})


def embedded_shard(root: Path, config: TowerConfig, weights: str, code: int, pixels: NDArray[np.uint8]) -> Path:
    """Where the projections of some films lie, by all that decides them."""
    decides = [weights, config.model_dump(exclude={"precision_check"}), hashlib.sha256(pixels.data).hexdigest(), code]
    return layout.shard_file(root.resolve(), "embed", sha256_json(decides))


def embed_shards(job: Job, root: Path, films: Sequence[Part], report: ReportProgress) -> None:
    """Embed the films of some shards by the frozen encoder, for the run that puts all of them together."""
    tower, settings = job.tower, job.settings
    if settings.precision == "bfloat16":
        tower = tower.at("bfloat16")
    total, done, projecting = sum(map(len, films)), 0, tower.unnormalised()
    for part in films:
        pixels = read_shard(part.file)["pixels"]
        file = embedded_shard(root, tower.config, job.weights_sha256, VERSIONS["embed frozen"], pixels)
        if len(pixels) and not file.is_file():
            embed_part(projecting, pixels, settings.batch_size, file)
        done += len(part)
        report(done, total)


def refuse_to_choose(job: Job) -> None:
    """A shard cannot hold both precisions against each other: the sample that decides is of the whole set."""
    if _tries_bfloat16(job) and job.settings.precision == "auto":
        raise UserError(
            "--precision auto needs a sample of all films, and --shard has a part of them.",
            "Give --precision float32 or --precision bfloat16, to every shard and to the run that follows.",
        )


def _embed(
    run: Run, tower: ImageTower, weights: str, files: layout.EncoderFiles, code: int, report: ReportProgress
) -> list[Part]:
    """Write the embeddings of all films and their norms; the parts whose shards they were put together from."""
    work = Embedder(
        (run.path / files.folder).resolve(),
        weights,
        (run.path / layout.PIXELS).resolve(),
        tower.fit.size,
        run.settings.batch_size,
        tower.unnormalised(),
    )
    rows = [film["row"] for film in run.decoded["kept"]]  # so that parts are those in which films are decoded
    edges = np.unique(np.searchsorted(rows, [first for first, _ in ranges(rows[-1] + 1)] + [rows[-1] + 1]))
    parts = []
    for first, last in itertools.pairwise(edges.tolist()):
        file = embedded_shard(run.writer.root, tower.config, weights, code, run.pixels[first:last])
        parts.append(Part(first, last, file))
    shards = make_shards(work, parts, run.engine, report, encodes=True)
    projections = np.concatenate([shard["projections"] for shard in shards])
    norms = np.linalg.norm(projections, axis=1)
    write_array(run.path / files.embeddings, projections / norms[:, None])
    write_array(run.path / files.norms, norms)
    return parts
