"""The three regimes: their heads, the fine-tuned encoder, every film's logits and the thresholds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.analysis.thresholds import choose_max_f1
from explorer.errors import UserError
from explorer.model.encoder import ImageTower
from explorer.model.head import Head, prompt_head
from explorer.store import layout
from explorer.store.files import sha256_json, write_array, write_json
from precompute.reporter import SEEDS, ReportProgress
from precompute.run.run import ENCODERS, Run
from precompute.training import paper
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.finetune import fine_tune as train_fine_tune
from precompute.training.loop import TrainingCurve, best_epoch, clear_checkpoints
from precompute.training.losses import make_loss
from precompute.training.probe import fit_probe
from precompute.training.zero_shot import embed_prompts, sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSIONS = {"zero-shot head": 1, "linear probe": 1, "full fine-tune": 1, SEEDS: 1, "score": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def zero_shot(run: Run) -> None:
    """A head from every prompt set, so that the explorer can switch among them; the first is the regime's own."""
    clip, prompt_sets = run.job.clip, run.job.prompt_sets

    def make(folder: Path, report: ReportProgress) -> list[str]:
        paths = []
        for i, prompt_set in enumerate(prompt_sets):
            head = prompt_head(*embed_prompts(clip, prompt_set.labels), clip.logit_scale)
            files = layout.prompt_files(prompt_set.name)
            head.save(folder / files.head)
            write_json(folder / files.prompts, asdict(prompt_set))
            paths += [files.head, files.prompts]
            if i == 0:
                training = {**asdict(prompt_set), "logit_scale": clip.logit_scale}
                paths += _write_regime(run, folder, "zero_shot", head, training)
            report(i + 1, len(prompt_sets))
        texts = sentences(prompt_sets)
        write_json(folder / layout.TEXTS, {"texts": texts})
        write_array(folder / layout.TEXT_VECTORS, clip.embed_text(texts))
        return [*paths, layout.TEXTS, layout.TEXT_VECTORS]

    prompts = run.job.identity["prompts"]
    run.stage("zero-shot head", {"weights": run.job.weights_sha256, "labels": run.labels, "prompts": prompts}, make)


def linear_probe(run: Run) -> None:
    """The frozen encoder's head, fitted."""
    settings = run.settings

    def make(folder: Path, report: ReportProgress) -> list[str]:
        if run.paper:
            head, curve = _paper_probe(run, settings.seed, report)
            return _write_regime(run, folder, "linear_probe", head, _record(run, curve))
        head, chosen, tried = fit_probe(
            _data(run, run.embeddings("frozen")),
            run.patients,
            settings.penalties,
            settings.losses,
            report,
        )
        training = {**chosen._asdict(), "tried": [point._asdict() for point in tried]}
        return _write_regime(run, folder, "linear_probe", head, training)

    run.stage("linear probe", _probe_inputs(run), make)


def full_fine_tune(run: Run) -> None:
    """Encoder and head trained together."""
    tuned, work = layout.encoder_files("fine_tune"), run.path / layout.seed_folder("fine_tune", run.settings.seed)

    def make(folder: Path, report: ReportProgress) -> list[str]:
        tower, head, curve = _tuned(run, run.settings.seed, work, report)
        tower.save(folder / tuned.folder)
        paths = _write_regime(run, folder, "fine_tune", head, _record(run, curve))
        return [*paths, tuned.config, tuned.weights]

    if run.stage("full fine-tune", _fine_tune_inputs(run), make):
        clear_checkpoints(work)


def other_seeds(run: Run) -> None:
    """The trainings again with further seeds, only their logits kept: how much a figure depends on the seed."""
    seeds = run.regimes[-1].seeds
    if not seeds:
        return
    inputs = {**_fine_tune_inputs(run), "code": [run.versions["full fine-tune"], run.versions[SEEDS]]}
    with run.reporter.stage(SEEDS) as report:
        for i, seed in enumerate(seeds):

            def make(folder: Path, i: int = i, seed: int = seed) -> list[str]:
                return _seed(run, seed, lambda done, total: report(i * total + done, len(seeds) * total))

            if run.writer.stage(f"seed_{seed}", {**inputs, "seed": seed}, make):
                clear_checkpoints(run.path / layout.seed_folder("fine_tune", seed))


def score_films(run: Run) -> None:
    """Logits of every film in every regime and prompt set, and the operating points, from validation alone."""

    def make(folder: Path, report: ReportProgress) -> list[str]:
        paths = []
        for i, regime in enumerate(run.regimes):
            paths += write(folder, layout.regime_files(regime.name), run.inputs(regime))
            report(i + 1, len(run.regimes))
        for prompt_set in run.job.prompt_sets:
            paths += write(folder, layout.prompt_files(prompt_set.name), run.embeddings("frozen"))
        return paths

    def write(folder: Path, files: layout.HeadFiles, inputs: NDArray[np.float32]) -> list[str]:
        logits = Head(*run.read_head(files.head, inputs.shape[1])).logits(inputs)
        _check_finite(run, files.head, logits)
        write_array(folder / files.logits, logits)
        val = run.rows("val")
        thresholds = choose_max_f1(run.labels, run.targets[val], logits[val])
        write_json(folder / files.thresholds, thresholds.model_dump())
        return [files.logits, files.thresholds]

    heads = [layout.prompt_files(s.name).head for s in run.job.prompt_sets]
    heads += [layout.regime_files(r.name).head for r in run.regimes]
    norms = [layout.encoder_files(encoder).norms for encoder in ENCODERS]
    inputs = {**run.embedding_hashes(), **run.hashes(*heads, *norms, layout.SAMPLES)}
    run.stage("score", {**inputs, "unit": [regime.unit for regime in run.regimes]}, make)


def _data(run: Run, inputs: NDArray[Any]) -> TrainingData:
    return TrainingData(inputs, run.targets, run.rows("train"), run.rows("val"))


def _paper_probe(run: Run, seed: int, report: ReportProgress) -> tuple[Head, TrainingCurve]:
    work = run.path / layout.seed_folder("linear_probe", seed)
    data = _data(run, run.inputs(run.regimes[1]))
    return paper.fit_probe(data, TrainingRun(run.settings, seed, work, report, sha256_json(_probe_inputs(run))))


def _tuned(run: Run, seed: int, work: Path, report: ReportProgress) -> tuple[ImageTower, Head, TrainingCurve]:
    """The tower, giving what its head reads, and the head, trained with a seed."""
    tower = ImageTower.load(run.path / layout.encoder_files("frozen").folder, run.tower.device)
    data = _data(run, run.pixels)
    training = TrainingRun(run.settings, seed, work, report, sha256_json(_fine_tune_inputs(run)))
    if run.paper:
        tower = tower.unnormalised()
        return tower, *paper.fine_tune(tower, data, training)
    loss = make_loss(run.training("linear_probe")["loss"], data.targets[data.train])
    return tower, *train_fine_tune(tower, Head(*run.head("linear_probe")), loss, data, training)


def _seed(run: Run, seed: int, report: ReportProgress) -> list[str]:
    tower, head, _ = _tuned(run, seed, run.path / layout.seed_folder("fine_tune", seed), report)
    logits = {"fine_tune": head.logits(tower.embed(run.pixels, run.settings.batch_size))}
    if run.paper:
        probe, _ = _paper_probe(run, seed, lambda done, total: None)
        logits["linear_probe"] = probe.logits(run.inputs(run.regimes[1]))
    paths = []
    for regime, values in logits.items():
        paths.append(layout.regime_files(regime).seed_logits(seed))
        write_array(run.path / paths[-1], values)
    return paths


def _probe_inputs(run: Run) -> dict[str, object]:
    """The sound probe is a minimum, so it hangs on fewer settings than a training by epochs."""
    files = layout.encoder_files("frozen")
    decisive = {"protocol", "penalties", "losses"}
    settings = _training_settings(run) if run.paper else run.settings.model_dump(include=decisive)
    return {**run.hashes(files.embeddings, files.norms, layout.SAMPLES), **settings}


def _fine_tune_inputs(run: Run) -> dict[str, object]:
    encoder, probe = layout.encoder_files("frozen"), layout.regime_files("linear_probe")
    files = (encoder.config, encoder.weights, probe.head, probe.training, layout.PIXELS, layout.SAMPLES)
    return {**run.hashes(*files), **_training_settings(run)}


def _training_settings(run: Run) -> dict[str, object]:
    """What decides a training: settings that only measure, or number the seeds, are left out."""
    measuring = {"seeds", "fractions", "batch_size", "neighbours", "resamples", "permutations", "thumbnail"}
    return run.settings.model_dump(mode="json", exclude={*measuring, "macro_patients"})


def _record(run: Run, curve: TrainingCurve) -> dict[str, Any]:
    best = best_epoch(curve, paper.GAIN if run.paper else 0.0)
    return {"settings": _training_settings(run), "curve": curve, "best_epoch": best}


def _write_regime(run: Run, folder: Path, regime: str, head: Head, training: dict[str, Any]) -> list[str]:
    files = layout.regime_files(regime)
    _check_finite(run, files.head, np.vstack([head.weight.T, head.bias]))
    head.save(folder / files.head)
    write_json(folder / files.training, training)
    return [files.head, files.training]


def _check_finite(run: Run, head: str, values: NDArray[np.float32]) -> None:
    """Refuse a head that diverged: ``values`` (…, C) are its own, or the logits it gives."""
    finite = np.isfinite(values).all(axis=0)
    if not finite.all():
        labels = ", ".join(np.array(run.labels)[~finite])
        raise UserError(
            f"{head} of {run.path} holds or gives values that are no numbers: {labels}.",
            "Check how this head was trained: a learning rate too high, or a label without positives in train.",
        )
