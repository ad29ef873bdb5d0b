"""A run, from a checked source to a complete store: its stages in order, then its manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from explorer.environment import FILMS
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.film_folders import note_films
from explorer.store.reader import Store
from explorer.store.writer import RunWriter
from precompute.reporter import EMBED, NEED_FILMS, RUN, SEEDS, VECTORS, Reporter, Stages
from precompute.run.disk import check_room
from precompute.run.films import changed_films, unusable_named
from precompute.run.job import Job
from precompute.run.manifest import manifest
from precompute.run.plan import Planner
from precompute.run.recipe import Recipe
from precompute.run.run import Run, record_name
from precompute.run.shards import Engine, Local, make_shards
from precompute.settings import Settings
from precompute.stages import audit, embed, films, maps, measure, retrieval, separability, slices, subgroups, train

STAGES: tuple[Callable[[Run], None], ...] = (
    films.films,
    films.samples,
    films.marks,  # a box outside its film is reported before the hours of training, not after
    embed.frozen,
    train.regimes,
    train.other_seeds,
    train.score_films,
    maps.maps,
    maps.map_trust,
    maps.clusters,
    measure.metrics,
    measure.curves,
    measure.calibrated,
    separability.separability,
    audit.outliers,
    retrieval.retrieval,
    audit.copies,
    audit.label_errors,
    audit.shortcuts,
    subgroups.subgroups,
    slices.slices,
)


VERSIONS: dict[str, int] = (
    films.VERSIONS
    | embed.VERSIONS
    | train.VERSIONS
    | maps.VERSIONS
    | measure.VERSIONS
    | separability.VERSIONS
    | audit.VERSIONS
    | retrieval.VERSIONS
    | subgroups.VERSIONS
    | slices.VERSIONS
)
"""The number of each stage that every run has."""


def stages_of(
    recipes: Sequence[Recipe], settings: Settings, *, imported: bool = False, has_films: bool = True
) -> Stages:
    """Every stage of a run with these regimes, in order, with its unit and its share of the time.

    Parameters
    ----------
    imported : bool
        Whether the embeddings were made elsewhere.
    """
    trained: dict[str, tuple[str, float]] = {}
    for recipe in recipes:
        trained[recipe.stage] = ("steps", recipe.share)
        if recipe.own_encoder:
            trained[recipe.embed_stage] = RUN[EMBED]
    with_seeds = settings.seeds > 1 and any(recipe.depends_on_seed(settings) for recipe in recipes)
    stages: dict[str, tuple[str, float]] = {}
    lacking = {*(() if with_seeds else (SEEDS,)), *(() if has_films else NEED_FILMS)}
    for name, stage in RUN.items():
        if name == EMBED and imported:
            stages[VECTORS] = ("films", 1)
        elif name not in lacking:
            stages[name] = stage
        if name == EMBED:
            stages |= trained
    return stages


def versions_of(recipes: Sequence[Recipe], *, imported: bool = False) -> dict[str, int]:
    """The number of every stage of a run with these regimes: another regime's number is no part of it."""
    taken_over = {VECTORS: embed.IMPORTED} if imported else {}
    own = {recipe.embed_stage: embed.OWN_ENCODER for recipe in recipes if recipe.own_encoder}
    return {**VERSIONS, **taken_over, **{recipe.stage: recipe.version for recipe in recipes}, **own}


def stages_of_job(job: Job) -> Stages:
    """Every stage of a job, as :func:`stages_of` has them."""
    has_films = job.source.images is not None
    return stages_of(job.recipes, job.settings, imported=job.imported is not None, has_films=has_films)


def plan(job: Job, root: Path) -> Planner:
    """What :func:`precompute` would do; nothing is written."""
    versions = versions_of(job.recipes, imported=job.imported is not None)
    planner = Planner(root, job.run_id(versions))
    reporter = Reporter(Console(quiet=True), stages_of_job(job))
    rehearsed = Run(job, planner, reporter, versions)
    for stage in STAGES:
        stage(rehearsed)
    return planner


def room(job: Job, planner: Planner) -> str:
    """What a planned run needs of the disk, in words; a ``UserError`` where there is less."""
    trained = not planner.runs & {record_name(recipe.stage) for recipe in job.recipes if recipe.own_encoder}
    return check_room(job, planner.root, planner.folder, linked_bytes=planner.linked_bytes, trained=trained)


SHARD: Stages = {name: RUN[name] for name in ("films", "embed frozen")}
"""What :func:`precompute_shard` does."""


def precompute_shard(job: Job, root: Path, number: int, of: int, reporter: Reporter) -> None:
    """Decode and embed one of ``of`` shares of the films, numbered from 1; :func:`precompute` puts them together."""
    embed.refuse_to_choose(job)
    if not plan(job, root).runs & {record_name(name) for name in SHARD}:
        reporter.console.print("The store has all films decoded and embedded already; nothing to do.")
        return
    parts = films.film_parts(job, root)[number - 1 :: of]
    with reporter.stage("films") as report, unusable_named(job.source):
        for _ in make_shards(films.decoder(job), parts, Local(), report):
            pass
    with reporter.stage("embed frozen") as report:
        embed.embed_shards(job, root, parts, report)


def precompute(job: Job, root: Path, reporter: Reporter, engine: Engine | None = None) -> Store:
    """Run every stage whose result the store has not, and return the finished run.

    Parameters
    ----------
    job : Job
    root : Path
        The store's folder.
    reporter : Reporter
        Of a job under way.
    engine : Engine, optional
        Where films are decoded and embedded; by default in this process.
    """
    versions = versions_of(job.recipes, imported=job.imported is not None)
    writer = RunWriter(root, job.run_id(versions))
    with writer.locked():
        if (writer.final / layout.MANIFEST).is_file():
            writer.settle()
            _refuse_changed_films(Store(writer.final))
            reporter.console.print(f"The run {writer.run_id} is complete already; nothing to do.")
        else:
            reporter.console.print(room(job, plan(job, root)), soft_wrap=True)
            under_way = Run(job, writer, reporter, versions, engine)
            for stage in STAGES:
                stage(under_way)
            writer.finish(manifest(under_way))
    if job.source.images is not None:
        try:
            note_films(writer.final, job.source.images)
        except OSError as error:
            reporter.console.print(
                f"This user's files cannot note where the films are ({error.strerror}): "
                f"start the app with {FILMS}={job.images_folder}."
            )
    return Store(writer.final)


def _refuse_changed_films(store: Store) -> None:
    changed = changed_films(store) if store.has_films else []
    if changed:
        names = ", ".join(changed[:5]) + (", …" if len(changed) > 5 else "")
        raise UserError(
            f"{len(changed)} of {store.n} films have changed since the run {store.run_id} scored them: {names}.",
            f"Restore them; or `python -m precompute delete {store.path.parent} {store.run_id} --yes`, "
            "and give the same command again: it makes only what hangs on them.",
        )
