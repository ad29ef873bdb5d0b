"""The regimes by their recipes, every film's logits, and the thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.analysis.thresholds import choose_max_f1
from explorer.errors import UserError
from explorer.model.head import Head
from explorer.store import layout
from explorer.store.files import write_array, write_json
from explorer.store.manifest import FROZEN
from precompute.reporter import SEEDS, ReportProgress
from precompute.run.recipe import Recipe
from precompute.run.run import Run
from precompute.stages.embed import by_own_encoder
from precompute.training.loop import clear_checkpoints

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSIONS = {SEEDS: 1, "score": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else.

A recipe has its own number.
"""


def regimes(run: Run) -> None:
    """Every regime, and every film's embedding where the regime has an encoder of its own."""
    for recipe in run.recipes:
        _regime(run, recipe)
        if recipe.own_encoder:
            by_own_encoder(run, recipe)


def _regime(run: Run, recipe: Recipe) -> None:
    seed = run.settings.seed
    work = run.path / layout.seed_folder(recipe.name, seed)

    def make(folder: Path, report: ReportProgress) -> list[str]:
        fitted = recipe.fit(run, seed, work, report)
        files, encoder = layout.regime_files(recipe.name), layout.encoder_files(recipe.encoder)
        paths = [*fitted.files, files.training]
        if fitted.head is not None:
            _check_finite(run, files.head, np.vstack([fitted.head.weight.T, fitted.head.bias]))
            fitted.head.save(folder / files.head)
            paths.append(files.head)
        write_json(folder / files.training, fitted.training)
        if fitted.tower is not None:
            fitted.tower.save(folder / encoder.folder)
            paths += [encoder.config, encoder.weights]
        return paths

    if run.stage(recipe.stage, recipe.inputs(run), make):
        clear_checkpoints(work)


def other_seeds(run: Run) -> None:
    """The trainings again with further seeds, only their logits kept: how much a figure depends on the seed."""
    trainings = [(recipe, seed) for recipe in run.recipes for seed in run.regime(recipe.name).seeds]
    if not trainings:
        return
    with run.reporter.stage(SEEDS) as report:
        for i, (recipe, seed) in enumerate(trainings):
            work = run.path / layout.seed_folder(recipe.name, seed)

            def make(folder: Path, i: int = i, recipe: Recipe = recipe, seed: int = seed) -> list[str]:
                share = len(trainings)
                fitted = recipe.fit(
                    run,
                    seed,
                    run.path / layout.seed_folder(recipe.name, seed),
                    lambda done, total: report(i * total + done, share * total),
                )
                assert fitted.head is not None
                inputs = run.inputs(run.regime(recipe.name))
                if fitted.tower is not None:
                    inputs = fitted.tower.embed(run.pixels, run.settings.batch_size)
                path = layout.regime_files(recipe.name).seed_logits(seed)
                write_array(folder / path, fitted.head.logits(inputs))
                return [path]

            code = [run.versions[recipe.stage], run.versions[SEEDS]]
            if run.writer.stage(seed_stage(recipe, seed), {**recipe.inputs(run), "code": code, "seed": seed}, make):
                clear_checkpoints(work)


def seed_stage(recipe: Recipe, seed: int) -> str:
    """The stage of a training with a further seed, as the store names it."""
    return f"seed_{seed}_{recipe.name}"


def score_films(run: Run) -> None:
    """Logits of every film in every regime and prompt set, and the operating points, from validation alone."""

    def make(folder: Path, report: ReportProgress) -> list[str]:
        paths = []
        for i, recipe in enumerate(run.recipes):
            paths += write(folder, layout.regime_files(recipe.name), recipe.logits(run))
            report(i + 1, len(run.recipes))
        for prompt_set in run.job.prompt_sets:
            files, inputs = layout.prompt_files(prompt_set.name), run.embeddings(FROZEN)
            paths += write(folder, files, Head(*run.read_head(files.head, inputs.shape[1])).logits(inputs))
        return paths

    def write(folder: Path, files: layout.HeadFiles, logits: NDArray[np.float32]) -> list[str]:
        _check_finite(run, files.head, logits)
        write_array(folder / files.logits, logits)
        val = run.rows("val")
        thresholds = choose_max_f1(run.labels, run.targets[val], logits[val])
        write_json(folder / files.thresholds, thresholds.model_dump())
        return [files.logits, files.thresholds]

    heads = [layout.prompt_files(s.name).head for s in run.job.prompt_sets]
    heads += [layout.regime_files(r.name).head for r in run.regimes if r.has_head]
    heads += [layout.regime_files(r.name).training for r in run.regimes if not r.has_head]
    norms = [layout.encoder_files(encoder).norms for encoder in run.encoders]
    inputs = {**run.embedding_hashes(), **run.hashes(*heads, *norms, layout.SAMPLES)}
    run.stage("score", {**inputs, "unit": [regime.unit for regime in run.regimes]}, make)


def _check_finite(run: Run, head: str, values: NDArray[np.float32]) -> None:
    """Refuse a head that diverged: ``values`` (…, C) are its own, or the logits it gives."""
    finite = np.isfinite(values).all(axis=0)
    if not finite.all():
        labels = ", ".join(np.array(run.labels)[~finite])
        raise UserError(
            f"{head} of {run.path} holds or gives values that are no numbers: {labels}.",
            "Check how this head was trained: a learning rate too high, or a label without positives in train.",
        )
