"""``saliency`` and ``annotate``: add to a finished run, beside its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.data.saliency_map import MethodName
from explorer.data.samples import Split
from explorer.errors import UserError
from precompute.commands.console import MESSAGES, RESULTS
from precompute.commands.options import DeviceName, RunArgument
from precompute.reporter import SALIENCY, Reporter


def saliency(
    store: RunArgument,
    labels: Annotated[
        list[str] | None, typer.Option("--label", "--labels", help="Only this label; repeat. All by default.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Whose films; val comes along for the thresholds.")] = "test",
    method: Annotated[MethodName, typer.Option("--method", help="How the maps are made.")] = "grad_cam",
    block: Annotated[int | None, typer.Option("--block", help="Transformer block, from 1; else the last.")] = None,
    films: Annotated[
        int | None,
        typer.Option(
            "--films",
            min=1,
            help="Only a sample of so many films of the split and of val, marked ones first, by label.",
        ),
    ] = None,
    device: DeviceName = "auto",
) -> None:
    """Make the maps of a split and measure how they agree with the readers; a killed job resumes."""
    from explorer.model.device import choose_device
    from explorer.store import open_store
    from explorer.store.marks import all_annotations
    from precompute.run.summary import as_agreement
    from precompute.saliency.maps import make_saliency, plan_saliency

    opened = open_store(store)
    reporter = Reporter(MESSAGES, SALIENCY)
    with reporter.job():
        wanted = plan_saliency(opened, labels or (), split, method, block, films)
        made = make_saliency(opened, all_annotations(opened), wanted, choose_device(device), reporter)
    if made.record.n_annotated:
        RESULTS.print(as_agreement(opened, made))
    else:
        MESSAGES.print(
            f"No reader marked a film of {split} for these labels: the maps are made, agreement cannot be measured. "
            "Add marks with `python -m precompute annotate`, or in the app."
        )
    MESSAGES.print(f"{made.title}: {made.path}")


def annotate(
    store: RunArgument,
    file: Annotated[
        Path, typer.Argument(help="CSV of boxes, COCO, LabelMe or CheXlocalize JSON, or a folder of mask PNGs.")
    ],
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
    from precompute.marks.annotate import add_annotations

    pairs = [text.partition("=") for text in rename or ()]
    for theirs, _, ours in pairs:
        if not theirs or not ours:
            raise UserError(f"--rename {theirs!r} is no THEIRS=OURS.", "Write as in --rename Infiltrate=Infiltration.")
    names = {theirs: ours for theirs, _, ours in pairs}
    marks = add_annotations(
        open_store(store), file, reader=reader, frame=frame, rename=names, skip_unknown=skip_unknown
    )
    MESSAGES.print(f"{marks.added:,} marks added, {marks.there:,} were there already, {marks.passed:,} passed over.")
    for note in marks.notes:
        MESSAGES.print(note)
