"""``run`` and ``demo``: precompute regimes into a store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from explorer.environment import APP, STORE
from explorer.errors import UserError
from explorer.store.runs import list_runs
from precompute.commands.console import MESSAGES, RESULTS
from precompute.commands.options import (
    DEFAULT_REGIMES,
    PHANTOM_FILMS,
    AllowBurnedIn,
    AllowEmpty,
    Corrections,
    DeviceName,
    DryRun,
    Given,
    Patients,
    ProtocolName,
    Regimes,
    Seed,
    Seeds,
    SkipBad,
    StoreFolder,
    options_from_models,
    settings_options,
    source_options,
)
from precompute.reporter import DRAW, SAMPLE, Reporter
from precompute.settings import PAPER, Settings
from precompute.sources import SourceName, read_source
from precompute.sources.corrections import correct
from precompute.sources.options import flag
from precompute.sources.patients import resolve_patients

if TYPE_CHECKING:
    from explorer.model.encoder import Encoder
    from explorer.store.reader import Store
    from precompute.prompts import PromptSet
    from precompute.run.job import Job
    from precompute.run.recipe import Recipe
    from precompute.run.shards import Engine

DEFAULT_STORE = Path("store")
"""The app opens it where the environment names none."""
DEMO_ENCODER = APP / "encoders" / "phantom-clip"
TRAINING = (
    *("epochs", "learning_rate", "patch_dropout", "batch_size", "train_batch_size", "precision"),
    *("macro_patients", "age_cuts", "seed"),
)
"""Settings that a command may change."""


@options_from_models(training=settings_options("macro_patients"))
def demo(
    out: StoreFolder = DEFAULT_STORE,
    n: Annotated[int, typer.Option("--n", min=60, help="How many phantom films.")] = PHANTOM_FILMS,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Fine-tune for at most this many epochs.")] = 4,
    corrections: Corrections = None,
    seed: Seed = 0,
    regimes: Regimes = None,
    protocol: ProtocolName = "sound",
    seeds: Seeds = 1,
    device: DeviceName = "auto",
    *,
    training: Given,
) -> None:
    """Draw the phantom set and precompute its regimes with the demo encoder: a few minutes on a CPU."""
    from explorer.model.device import choose_device
    from precompute.demo import demo_settings, draw_films
    from precompute.pipeline import stages_of
    from precompute.regimes import choose_recipes
    from precompute.run.job import Job
    from precompute.saliency.sample import make_sample

    recipes = choose_recipes(regimes or DEFAULT_REGIMES, paper=protocol == "paper")
    chosen = demo_settings(seed, epochs) if protocol == "sound" else PAPER  # either way --seed decides the films
    settings = checked_settings({**chosen, **training, "seeds": seeds})
    reporter = Reporter(MESSAGES, {**DRAW, **stages_of(recipes, settings), **SAMPLE}, out)
    with reporter.job():
        source = draw_films(out, n, seed, reporter, corrections)
        job = Job(
            source=source,
            encoder=_load(f"local-dir:{DEMO_ENCODER}", device),
            recipes=recipes,
            prompt_sets=_prompt_sets(source.labels, settings, recipes),
            settings=settings,
            skip_bad=False,
            allow_empty=n < PHANTOM_FILMS,
        )
        store = _precompute(job, out, reporter)
        make_sample(store, choose_device(device), reporter)
    announce(store, out)


@options_from_models(source_options=source_options(), training=settings_options(*TRAINING))
def run(
    *,
    encoder: Annotated[
        str, typer.Option("--encoder", help="local-dir:DIR, hf-hub:NAME[@REVISION], open-clip:MODEL/TAG or timm:NAME.")
    ],
    source: Annotated[SourceName, typer.Option("--source", help="The layout of the input; see sources.")] = "csv",
    source_options: Given,
    out: StoreFolder = DEFAULT_STORE,
    patients: Patients = None,
    corrections: Corrections = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="Your own prompt file for zero-shot, as in precompute/prompt_sets.")
    ] = None,
    fit: Annotated[
        Literal["crop", "pad"] | None,
        typer.Option(
            "--fit", help="Cut out the film's middle square, or pad the whole film with black; else as the model does."
        ),
    ] = None,
    decode: Annotated[
        Literal["exact", "fast"],
        typer.Option("--decode", help="Decode films pixel by pixel, or halve large ones as they are decoded."),
    ] = "exact",
    skip_bad: SkipBad = False,
    allow_burned_in: AllowBurnedIn = False,
    allow_empty: AllowEmpty = False,
    training: Given,
    regimes: Regimes = None,
    protocol: ProtocolName = "sound",
    seeds: Seeds = 1,
    device: DeviceName = "auto",
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Decode and embed in this process, or on Ray (requirements-cluster.txt)."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option("--address", help="Ray: auto, or the head's HOST[:PORT]; without it, this machine alone."),
    ] = None,
    num_workers: Annotated[
        int | None, typer.Option("--num-workers", min=1, help="Ray: workers at once; by default one a machine or GPU.")
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option("--gpus-per-worker", min=0, help="Ray: GPUs of each worker that embeds; may be a fraction.")
    ] = 0,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", help="I/N: only decode and embed share I of N. The command without it puts the shares together."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Precompute regimes on your own films."""
    from precompute.pipeline import SHARD, precompute_shard, stages_of
    from precompute.regimes import choose_recipes, reads_text
    from precompute.run.job import Job

    recipes = choose_recipes(regimes or DEFAULT_REGIMES, paper=protocol == "paper")
    if protocol == "paper":
        _refuse_what_the_paper_decides({*training, *(["prompts"] if prompts else [])})
    if engine == "local":
        _refuse_without_ray({"address": address, "num_workers": num_workers, "gpus_per_worker": gpus_per_worker})
    share = _share(shard, "--engine ray" if engine == "ray" else "--dry-run" if dry_run else "")
    films = resolve_patients(read_source(source, source_options), patients, MESSAGES.print)
    for note in films.notes:
        MESSAGES.print(note)
    if corrections is not None:
        films = correct(films, corrections)
    settings = checked_settings({**training, **(PAPER if protocol == "paper" else {}), "seeds": seeds})
    loaded = _load(encoder, device, fit)
    loaded = replace(loaded, tower=loaded.tower.decoding(decode))
    if regimes is None:
        recipes = _possible(recipes, loaded)
    for recipe in recipes:
        recipe.check(loaded)
    if prompts is not None and not reads_text(recipes):
        chosen = ",".join(recipe.name for recipe in recipes)
        raise UserError(f"--prompts: no regime of {chosen} reads text.", "Leave it out, or add zero_shot to --regimes.")
    stages = SHARD if share else stages_of(recipes, settings)
    reporter = Reporter(MESSAGES, stages, None if dry_run or share else out)
    where = _ray(out, address, num_workers, gpus_per_worker) if engine == "ray" and not dry_run else nullcontext()
    with reporter.job(), where as workers:
        job = Job(
            source=films,
            encoder=loaded,
            recipes=recipes,
            prompt_sets=_prompt_sets(films.labels, settings, recipes, prompts),
            settings=settings,
            skip_bad=skip_bad,
            allow_empty=allow_empty,
            allow_burned_in=allow_burned_in,
        )
        if dry_run:
            print_plan(job, out)
            return
        if share:
            precompute_shard(job, out, *share, reporter)
            return
        store = _precompute(job, out, reporter, workers)
    announce(store, out)


def _refuse_without_ray(options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if value:
            raise UserError(f"{flag(option)} is for --engine ray.", "Add --engine ray, or leave it out.")


def _share(shard: str | None, other: str) -> tuple[int, int] | None:
    """Number and count of ``--shard``, which an other option excludes."""
    if shard is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise UserError(f"--shard is {shard!r}.", "Give I/N with I from 1 to N, as 2/8 for the second of eight shares.")
    if other:
        raise UserError(f"--shard has nothing to do with {other}.", "Give one of them.")
    return number, of


def _ray(out: Path, address: str | None, workers: int | None, gpus: float) -> AbstractContextManager[Engine]:
    from precompute.run.on_ray import on_ray

    return on_ray(out, address, workers, gpus)


def _refuse_what_the_paper_decides(given: set[str]) -> None:
    for option in sorted(given & {"prompts", *PAPER}):
        raise UserError(
            f"{flag(option)} is the paper's to decide with --protocol paper.",
            "Leave it out, or train by --protocol sound.",
        )


def checked_settings(settings: Mapping[str, object]) -> Settings:
    try:
        return Settings.model_validate(settings)
    except ValidationError as error:
        wrong = error.errors()[0]
        option = flag("-".join(str(part) for part in wrong["loc"]))
        raise UserError(f"{option} is {wrong['input']!r}: {wrong['msg']}.", "Give it another value.") from error


def _possible(recipes: Sequence[Recipe], encoder: Encoder) -> tuple[Recipe, ...]:
    """The default regimes, without those that need the text tower which the encoder has not."""
    from explorer.model.encoder import Clip

    if isinstance(encoder, Clip):
        return tuple(recipes)
    left_out = [recipe.name for recipe in recipes if recipe.reads_text]
    MESSAGES.print(f"The encoder {encoder.title} has no text tower: left out {', '.join(left_out)}.")
    return tuple(recipe for recipe in recipes if not recipe.reads_text)


def _load(encoder: str, device: str, fit: Literal["crop", "pad"] | None = None) -> Encoder:
    from explorer.model.device import choose_device
    from explorer.model.encoder import load_encoder

    chosen = choose_device(device)
    MESSAGES.print(f"Device: {chosen}. Encoder: {encoder}.")
    return load_encoder(encoder, chosen, fit)


def _prompt_sets(
    labels: Sequence[str], settings: Settings, recipes: Sequence[Recipe], own: Path | None = None
) -> tuple[PromptSet, ...]:
    from precompute.prompts import BARE_NAMES, read_prompt_sets
    from precompute.regimes import reads_text

    if not reads_text(recipes):
        return ()
    return read_prompt_sets(labels, own or (BARE_NAMES if settings.protocol == "paper" else None))


def print_plan(job: Job, out: Path) -> None:
    from precompute.pipeline import plan, room
    from precompute.run.plan import as_lines

    planner = plan(job, out)
    if planner.run_id in list_runs(out):
        RESULTS.print(f"The run {planner.run_id} is complete already; nothing to do.", soft_wrap=True)
        return
    for line in as_lines(planner, job):
        RESULTS.print(line, soft_wrap=True, highlight=False)
    RESULTS.print(room(job, planner), soft_wrap=True, highlight=False)


def _precompute(job: Job, out: Path, reporter: Reporter, engine: Engine | None = None) -> Store:
    from explorer.model.text import cut_texts
    from explorer.model.towers import check_patch_dropout, layered
    from precompute.pipeline import precompute
    from precompute.training.zero_shot import sentences

    check_patch_dropout(job.tower.visual, job.settings.patch_dropout)
    if job.settings.layer_decay < 1:
        layered(job.tower.visual)
    for text in cut_texts(job.clip, sentences(job.prompt_sets)) if job.prompt_sets else ():
        MESSAGES.print(f"The encoder does not read this prompt to its end: {text!r}.")
    return precompute(job, out, reporter, engine)


def announce(store: Store, out: Path) -> None:
    """Print the figures of a complete run, and how to open it."""
    from precompute.run.summary import as_table

    RESULTS.print(as_table(store))
    named = "" if out == DEFAULT_STORE else f"{STORE}={out} "
    MESSAGES.print(
        f"Run {store.manifest.run_id} in {out}. Open it: {named}streamlit run streamlit_app.py", soft_wrap=True
    )
