"""``saliency``, ``few-shot`` and ``annotate``: add to a finished run, beside its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.data.saliency_map import MethodName
from explorer.data.samples import Split
from explorer.errors import UserError
from precompute.commands.console import MESSAGES, RESULTS
from precompute.commands.options import DeviceName, RunArgument, Seed
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


def few_shot(
    store: RunArgument,
    regimes: Annotated[
        str | None,
        typer.Option("--regimes", help="With commas between; by default all with a head on stored embeddings."),
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", help="Positive patients of each label, with commas between; all is all of train.")
    ] = "1,2,4,8,16,all",
    draws: Annotated[int, typer.Option("--draws", min=2, help="How often patients are drawn anew.")] = 10,
    seed: Seed = 0,
) -> None:
    """Fit heads again to a few positives of each label and score them on test: from how many do they beat zero-shot?"""
    from explorer.store import open_store
    from precompute.few_shot import check_shots, choose_heads, make_few_shot, parse_shots

    opened = open_store(store)
    heads, numbers = choose_heads(opened, regimes), parse_shots(shots)
    check_shots(opened, numbers)
    reporter = Reporter(MESSAGES, {"few-shot curve": ("fits", 1)})
    with reporter.job(), reporter.stage("few-shot curve") as report:
        make_few_shot(opened, heads, numbers, draws, seed, report)
    MESSAGES.print(f"The few-shot curve lies beside the run {opened.run_id}: see Protocols, Few-shot.")


def annotate(
    store: RunArgument,
    file: Annotated[
        Path,
        typer.Argument(help="CSV of boxes, COCO, PadChest-GR, LabelMe or CheXlocalize JSON, or a folder of mask PNGs."),
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
