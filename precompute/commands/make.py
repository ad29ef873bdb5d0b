"""``phantom``, ``pack-encoder`` and ``pretrain``: make films and encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from precompute.commands.console import MESSAGES
from precompute.commands.options import PHANTOM_FILMS, DeviceName, Seed
from precompute.reporter import DRAW, Reporter


def phantom(
    out: Annotated[Path, typer.Option("--out", help="Folder for images/, labels.csv and annotations.csv.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many films.")] = PHANTOM_FILMS,
    domain: Annotated[
        Literal["source", "target"], typer.Option("--domain", help="Figure-like or hospital-like.")
    ] = "target",
    seed: Seed = 0,
) -> None:
    """Draw phantom radiographs with labels, reports and the true region of every finding."""
    from precompute.phantom import write_dataset

    reporter = Reporter(MESSAGES, DRAW)
    with reporter.job(), reporter.stage("draw films") as report:
        write_dataset(out, n, domain, seed, progress=report)
    MESSAGES.print(f"{n} films in {out}")


def pack_encoder(
    encoder: Annotated[
        str, typer.Argument(help="local-dir:DIR, hf-hub:NAME[@REVISION], open-clip:MODEL/TAG or timm:NAME.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A new folder, for --encoder local-dir:DIR.")],
) -> None:
    """Copy an encoder into one folder that loads without network and cache, and check that it does."""
    from explorer.model.device import choose_device
    from explorer.model.encoder import load_encoder
    from precompute.encoder.pack_encoder import copy_encoder

    names = copy_encoder(encoder, out)
    load_encoder(f"local-dir:{out}", choose_device("cpu"))
    MESSAGES.print(f"{', '.join(names)} in {out}. Use it: --encoder local-dir:{out}")


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
    from precompute.encoder.pretrain import PretrainSettings, pretrain_encoder

    options = {"n_train": n, "epochs": epochs, "seed": seed}
    settings = PretrainSettings(**{key: value for key, value in options.items() if value is not None})
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=MESSAGES) as bars:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)  # type: ignore[arg-type]

        record = pretrain_encoder(out, work, settings, choose_device(device), report)
    typer.echo(json.dumps(record["zero_shot_auroc"], indent=2))
