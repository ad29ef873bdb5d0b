"""Command line of the batch job: ``python -m precompute``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from explorer.data.labels import Uncertain
from explorer.data.saliency_map import MethodName
from explorer.data.samples import Split
from explorer.errors import UserError
from precompute.reporter import DRAW, RUN, SEEDS, Reporter, Stages
from precompute.settings import PAPER, Protocol
from precompute.sources import CATALOGUE, Source, SourceName, check_source, read_source
from precompute.sources.corrections import correct
from precompute.sources.table import Views

# Commands import torch, transformers and umap only when they run: help, verify and summary answer at once.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Precompute zero-shot, linear probe and full fine-tune of a CLIP-style model into a store for the explorer.",
)


def _console(stderr: bool) -> Console:
    """Markup off: names and paths may hold brackets and colons, which rich would take for its own."""
    return Console(stderr=stderr, markup=False, emoji=False)


console = _console(stderr=True)

Out = Annotated[Path, typer.Option("--out", help="The store's folder.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Seed = Annotated[int, typer.Option("--seed", help="Makes the run repeat exactly.")]
ProtocolName = Annotated[
    Protocol, typer.Option("--protocol", help="How to split and train: soundly, or as the paper did (fixed settings).")
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Train with so many seeds, to show how far figures hang on them.")
]

Corrections = Annotated[
    Path | None,
    typer.Option("--corrections", help="A review's CSV, exported from the audit page: sample_id, label, verdict."),
]

DEMO_FILMS = 1500
DEMO_ENCODER = Path(__file__).parents[1] / "encoders" / "phantom-clip"


@app.command()
def demo(
    out: Out = Path("store"),
    n: Annotated[int, typer.Option("--n", min=60, help="How many phantom films.")] = DEMO_FILMS,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Fine-tune at most so long.")] = 4,
    corrections: Corrections = None,
    seed: Seed = 0,
    protocol: ProtocolName = "sound",
    seeds: Seeds = 1,
    device: DeviceName = "auto",
) -> None:
    """Draw the phantom set and precompute all three regimes with the demo encoder: a few minutes on a CPU."""
    from precompute.demo import draw, settings

    chosen = settings(seed, epochs) if protocol == "sound" else PAPER  # the seed of the films stays the command's
    reporter = Reporter(console, {**DRAW, **_stages(seeds)}, out)
    with reporter.job():
        _run(
            draw(out, n, seed, reporter, corrections),
            f"local-dir:{DEMO_ENCODER}",
            out,
            {**chosen, "seeds": seeds},
            device,
            None,
            reporter,
            skip_bad=False,
            allow_empty=n < DEMO_FILMS,
        )


@app.command()
def run(
    ctx: typer.Context,
    encoder: Annotated[
        str, typer.Option("--encoder", help="local-dir:DIR, hf-hub:NAME[@REVISION] or open-clip:MODEL/TAG.")
    ],
    source: Annotated[SourceName, typer.Option("--source", help="The layout of the input; see sources.")] = "csv",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="csv: one row an image: image, patient_id, one column a label.")
    ] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Other sources: the folder of the set.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of films; for csv, what its paths are relative to.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="iu-xray, mimic-cxr: a labeller's CSV, in place of MeSH or CheXpert's labeller."),
    ] = None,
    uncertain: Annotated[
        Uncertain | None, typer.Option("--uncertain", help="What -1 becomes: unknown (by default), 0 or 1.")
    ] = None,
    views: Annotated[
        Views | None, typer.Option("--views", help="iu-xray, chexpert, mimic-cxr: frontal films (by default) or all.")
    ] = None,
    out: Out = Path("store"),
    name: Annotated[str | None, typer.Option("--name", help="csv: the set's name; by default the file's.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="csv: the set's licence, shown in the explorer.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="csv: take only this label column; repeat.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="csv: leave this column out; repeat.")] = None,
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", help="csv: readers' marks in pixels of the films, in any layout annotate takes."),
    ] = None,
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
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Go on without images that cannot be read.")] = False,
    allow_burned_in: Annotated[
        bool, typer.Option("--allow-burned-in", help="Take DICOM films that say text is burned into them.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Keep labels that have no positive in some split.")
    ] = False,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Fine-tune at most so long.")] = 10,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Fine-tune, encoder.")] = 2e-5,
    patch_dropout: Annotated[
        float, typer.Option("--patch-dropout", min=0, max=0.9, help="Share of patches dropped in fine-tuning.")
    ] = 0.0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Films embedded at once.")] = 64,
    train_batch_size: Annotated[int, typer.Option("--train-batch-size", min=1, help="Films a fine-tune step.")] = 24,
    protocol: ProtocolName = "sound",
    seed: Seed = 0,
    seeds: Seeds = 1,
    device: DeviceName = "auto",
) -> None:
    """Precompute all three regimes on your own films."""
    chosen: dict[str, object] = {
        "seed": seed,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "patch_dropout": patch_dropout,
        "batch_size": batch_size,
        "train_batch_size": train_batch_size,
    }
    if protocol == "paper":
        for option in sorted({"prompts", *chosen} & {"prompts", *PAPER}):
            if getattr(ctx.get_parameter_source(option), "name", "DEFAULT") != "DEFAULT":
                raise UserError(
                    f"--{option.replace('_', '-')} is the paper's to decide with --protocol paper.",
                    "Leave it out, or train by --protocol sound.",
                )
        chosen |= PAPER
    chosen["seeds"] = seeds
    given = {
        "csv": csv,
        "root": root,
        "images": images,
        "labels": labels,
        "uncertain": uncertain,
        "views": views,
        "name": name,
        "licence": licence,
        "label": label,
        "ignore": ignore,
        "annotations": annotations,
    }
    table = read_source(source, {option: value for option, value in given.items() if value})
    if corrections is not None:
        table = correct(table, corrections)
    reporter = Reporter(console, _stages(seeds), out)
    with reporter.job():
        _run(
            table,
            encoder,
            out,
            chosen,
            device,
            prompts,
            reporter,
            skip_bad=skip_bad,
            allow_empty=allow_empty,
            allow_burned_in=allow_burned_in,
            fit=fit,
        )


def _stages(seeds: int) -> Stages:
    return {name: stage for name, stage in RUN.items() if name != SEEDS or seeds > 1}


@app.command()
def sources() -> None:
    """List the sources: what each needs, where it is to be had, and its licence."""
    lines = _console(stderr=False)
    for name, entry in CATALOGUE.items():
        lines.print(f"{name}  {entry.title}", style="bold")
        for what, text in (("needs", entry.needs), ("from", entry.where), ("licence", entry.licence)):
            lines.print(f"  {what:<8}{text}", soft_wrap=True, highlight=False)


@app.command()
def check(
    source: Annotated[SourceName, typer.Argument(help="See sources.")],
    root: Annotated[Path, typer.Argument(help="The set's folder; for csv the file.")],
    images: Annotated[Path | None, typer.Option("--images", help="The folder of films.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what is there and what is missing, beside what a whole download holds, before any long work."""
    from rich.table import Table

    counts = check_source(source, root, images)
    if as_json:
        typer.echo(json.dumps([count.record() for count in counts], indent=2))
    else:
        table = Table("what", "found", "expected", "", title=f"{source}: {root}")
        for count in counts:
            expected = "" if count.expected is None else f"{count.expected:,}"
            table.add_row(count.what, f"{count.found:,}", expected, "" if count.good else "differs")
        _console(stderr=False).print(table)
    if not all(count.good for count in counts):
        raise UserError(
            f"{root} is not the whole set.", "Complete it, or go on: precompute run names every film it cannot read."
        )


@app.command()
def verify(store: Annotated[Path, typer.Argument(help="The store's folder, or one run's.")]) -> None:
    """Read every byte of the latest run and check hashes, shapes, norms and splits."""
    from explorer.store import open_store
    from explorer.store.verify import verify_store

    opened = open_store(store)
    problems = verify_store(opened)
    for problem in problems:
        console.print(f"[red]bad[/red]  {escape(problem)}", soft_wrap=True, markup=True)
    if problems:
        raise UserError(f"{len(problems)} problems in {opened.path}.", "Copy the run again, or run precompute again.")
    console.print(f"{opened.path}: {len(opened.manifest.artefacts)} files, all as the manifest says.")


@app.command()
def summary(
    store: Annotated[Path, typer.Argument(help="The store's folder, or one run's.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the regimes' table of the latest run: every figure with its n, 95% interval and trivial baseline."""
    from explorer.store import open_store
    from precompute.run.summary import as_records, as_table

    opened = open_store(store)
    if as_json:
        typer.echo(json.dumps(as_records(opened), indent=2, allow_nan=False))
    else:
        _console(stderr=False).print(as_table(opened))


@app.command()
def saliency(
    store: Annotated[Path, typer.Argument(help="The store's folder, or one run's.")],
    labels: Annotated[
        list[str] | None, typer.Option("--label", "--labels", help="Only this label; repeat. All by default.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Whose films; val comes along for the thresholds.")] = "test",
    method: Annotated[MethodName, typer.Option("--method", help="How the maps are made.")] = "grad_cam",
    block: Annotated[int | None, typer.Option("--block", help="Transformer block, from 1; else the last.")] = None,
    device: DeviceName = "auto",
) -> None:
    """Make the maps of a whole split and measure how they agree with the readers; a killed job resumes."""
    from explorer.model.device import choose_device
    from explorer.store import open_store
    from explorer.store.marks import all_annotations
    from precompute.run.summary import as_agreement
    from precompute.saliency.maps import SALIENCY, plan
    from precompute.saliency.maps import run as run_saliency

    opened = open_store(store)
    reporter = Reporter(console, SALIENCY)
    with reporter.job():
        wanted = plan(opened, labels or (), split, method, block)
        made = run_saliency(opened, all_annotations(opened), wanted, choose_device(device), reporter)
    if made.record.n_annotated:
        _console(stderr=False).print(as_agreement(opened, made))
    else:
        console.print(
            f"No reader marked a film of {split} for these labels: the maps are made, agreement cannot be measured. "
            "Add marks with `python -m precompute annotate`, or in the app."
        )
    console.print(f"{made.title}: {made.path}")


@app.command()
def annotate(
    store: Annotated[Path, typer.Argument(help="The store's folder, or one run's.")],
    file: Annotated[Path, typer.Argument(help="CSV of boxes, COCO or CheXlocalize JSON, or a folder of mask PNGs.")],
    reader: Annotated[str | None, typer.Option("--reader", help="Who marked, where the file does not say.")] = None,
    frame: Annotated[
        str | None,
        typer.Option("--frame", help="What coordinates count: WIDTHxHEIGHT, normalised, or file; else film pixels."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", help="THEIRS=OURS: a label's name in the file and here; repeat.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Pass over films and labels the run does not have.")
    ] = False,
) -> None:
    """Add readers' marks from a file to a finished run; its hashed files stay as they are."""
    from explorer.store import open_store
    from precompute.marks.annotate import annotate as add

    pairs = [text.partition("=") for text in rename or ()]
    for theirs, _, ours in pairs:
        if not theirs or not ours:
            raise UserError(f"--rename {theirs!r} is no THEIRS=OURS.", "Write as in --rename Infiltrate=Infiltration.")
    names = {theirs: ours for theirs, _, ours in pairs}
    counts = add(open_store(store), file, reader=reader, frame=frame, rename=names, skip_unknown=skip_unknown)
    console.print(
        f"{counts['added']:,} marks added, {counts['there']:,} were there already, {counts['passed']:,} passed over."
    )


@app.command()
def phantom(
    out: Annotated[Path, typer.Option("--out", help="Folder for images/, labels.csv and annotations.csv.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many films.")] = DEMO_FILMS,
    domain: Annotated[
        Literal["source", "target"], typer.Option("--domain", help="Figure-like or hospital-like.")
    ] = "target",
    seed: Seed = 0,
) -> None:
    """Draw phantom radiographs with labels, reports and the true region of every finding."""
    from precompute.phantom import write_dataset

    reporter = Reporter(console, DRAW)
    with reporter.job(), reporter.stage("draw films") as report:
        write_dataset(out, n, domain, seed, progress=report)
    console.print(f"{n} films in {out}")


@app.command(name="pack-encoder")
def pack_encoder(
    encoder: Annotated[str, typer.Argument(help="local-dir:DIR, hf-hub:NAME[@REVISION] or open-clip:MODEL/TAG.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder, for --encoder local-dir:DIR.")],
) -> None:
    """Copy an encoder into one folder that loads without network and cache, and check that it does."""
    from explorer.model.device import choose_device
    from explorer.model.encoder import load_clip
    from precompute.encoder.pack_encoder import pack_encoder as pack

    names = pack(encoder, out)
    load_clip(f"local-dir:{out}", choose_device("cpu"))
    console.print(f"{', '.join(names)} in {out}. Use it: --encoder local-dir:{out}")


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option("--out", help="The encoder's folder.")],
    work: Annotated[Path, typer.Option("--work", help="Films and checkpoint; a killed training resumes from it.")],
    n: Annotated[int | None, typer.Option("--n", min=64, help="Training films.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1)] = None,
    seed: Seed = 0,
    device: DeviceName = "auto",
) -> None:
    """Train the demo encoder from scratch on source-domain phantoms: an hour or two on two cores."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from explorer.model.device import choose_device
    from precompute.encoder.pretrain import Settings
    from precompute.encoder.pretrain import pretrain as train

    given = {"n_train": n, "epochs": epochs, "seed": seed}
    settings = Settings(**{key: value for key, value in given.items() if value is not None})
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)  # type: ignore[arg-type]

        record = train(out, work, settings, choose_device(device), report)
    typer.echo(json.dumps(record["zero_shot_auroc"], indent=2))


def _run(
    source: Source,
    encoder: str,
    out: Path,
    settings: Mapping[str, object],
    device: str,
    prompts: Path | None,
    reporter: Reporter,
    *,
    skip_bad: bool,
    allow_empty: bool,
    allow_burned_in: bool = False,
    fit: Literal["crop", "pad"] | None = None,
) -> None:
    from explorer.model.device import choose_device
    from explorer.model.encoder import load_clip
    from precompute.pipeline import run as run_job
    from precompute.prompts import BARE_NAMES, read_prompt_sets
    from precompute.run.job import Job
    from precompute.run.summary import as_table
    from precompute.settings import Settings

    try:
        checked = Settings.model_validate(settings)
    except ValidationError as error:
        wrong = error.errors()[0]
        option = "-".join(str(part) for part in wrong["loc"]).replace("_", "-")
        raise UserError(f"--{option} is {wrong['input']!r}: {wrong['msg']}.", "Give it another value.") from error
    chosen = choose_device(device)
    console.print(f"Device: {chosen}. Encoder: {encoder}.")
    job = Job(
        source=source,
        clip=load_clip(encoder, chosen, fit),
        prompt_sets=read_prompt_sets(source.labels, prompts or (BARE_NAMES if checked.protocol == "paper" else None)),
        settings=checked,
        skip_bad=skip_bad,
        allow_empty=allow_empty,
        allow_burned_in=allow_burned_in,
    )
    store = run_job(job, out, reporter)
    _console(stderr=False).print(as_table(store))
    console.print(f"Run {store.manifest.run_id} in {out}. Open it: streamlit run streamlit_app.py")


def main() -> None:
    """Run a command; a user's error is a message and exit code 1, never a traceback."""
    try:
        app()
    except UserError as error:
        _tell(error)
    except OSError as error:  # a folder that may not be written, a file where a folder should be, a full disk
        _tell(UserError(str(error), "Check that the path may be read and written, and that the disk has room."))


def _tell(error: UserError) -> NoReturn:
    console.print(f"[bold red]Error[/bold red] {escape(error.what)}", soft_wrap=True, highlight=False, markup=True)
    console.print(f"[bold]Fix[/bold]   {escape(error.fix)}", soft_wrap=True, highlight=False, markup=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
