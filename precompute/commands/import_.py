"""``import``: a run from embeddings made elsewhere, without an encoder and, where none are given, without films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from precompute.commands import run as running
from precompute.commands.console import MESSAGES
from precompute.commands.options import (
    AllowBurnedIn,
    AllowEmpty,
    Corrections,
    DryRun,
    Given,
    Patients,
    SkipBad,
    StoreFolder,
    options_from_models,
    settings_options,
    table_options,
)
from precompute.reporter import Reporter
from precompute.sources.catalogue import checked_options
from precompute.sources.corrections import correct
from precompute.sources.patients import resolve_patients


@options_from_models(table=table_options(), training=settings_options("macro_patients", "seed"))
def import_(
    *,
    vectors: Annotated[
        str,
        typer.Option("--vectors", help="(N, D) embeddings: FILE.npy, FILE.npz[:ARRAY] or FILE.parquet[:COLUMN]."),
    ],
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids",
            help="Whose the rows are: a text file with one id on each line, FILE.csv:COLUMN, an array, or a column of "
            "the vectors' own Parquet file (there sample_id by default).",
        ),
    ] = None,
    table: Given,
    text_vectors: Annotated[
        str | None,
        typer.Option(
            "--text-vectors", help="(2, C, D): each label's positive and negative text vector; brings zero-shot."
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", help="The temperature of zero-shot: the model's exp(logit_scale).")
    ] = None,
    logits: Annotated[
        str | None,
        typer.Option("--logits", help="(N, C) logits of another model, taken over as a regime of their own."),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="What made the vectors, in words; by default their file's name.")
    ] = None,
    out: StoreFolder = running.DEFAULT_STORE,
    patients: Patients = None,
    corrections: Corrections = None,
    skip_bad: SkipBad = False,
    allow_burned_in: AllowBurnedIn = False,
    allow_empty: AllowEmpty = False,
    training: Given,
    regimes: Annotated[
        str | None,
        typer.Option("--regimes", help="Which to make, with commas between; by default all that can be made."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make a run from embeddings computed elsewhere; with --images its films are shown, too."""
    from precompute.exchange.imports import exported_labels, read_imported
    from precompute.pipeline import precompute, stages_of_job
    from precompute.regimes import Ingredients, choose_recipes, possible_recipes
    from precompute.run.job import Job
    from precompute.sources.csv import TableOptions, read_csv

    given = Ingredients(films=False, text=text_vectors is not None, logits=logits is not None)
    recipes = possible_recipes(given) if regimes is None else choose_recipes(regimes, given=given)
    labels = {"label": exported_labels(Path(str(table["csv"])))} if "csv" in table and "label" not in table else {}
    options = checked_options("import", TableOptions, {**table, **labels})
    films = resolve_patients(read_csv(options), patients, MESSAGES.print)
    if corrections is not None:
        films = correct(films, corrections)
    read = read_imported(films, vectors, ids=ids, text=text_vectors, scale=scale, logits=logits, title=encoder)
    for note in (*films.notes, *read.notes):
        MESSAGES.print(note, soft_wrap=True)
    job = Job(
        source=films,
        encoder=read.imported,
        recipes=recipes,
        prompt_sets=(),
        settings=running.checked_settings(training),
        skip_bad=skip_bad,
        allow_empty=allow_empty,
        allow_burned_in=allow_burned_in,
    )
    if dry_run:
        running.print_plan(job, out)
        return
    reporter = Reporter(MESSAGES, stages_of_job(job), out)
    with reporter.job():
        store = precompute(job, out, reporter)
    running.announce(store, out)
