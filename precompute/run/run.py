"""A run under way: its job, its files, and what earlier stages left for later ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.encoder import ImageTower, TowerConfig
from explorer.store import layout, schemas
from explorer.store.folder import RunFolder
from explorer.store.manifest import FROZEN, RegimeRecord, SpaceRecord
from explorer.store.writer import RunWriter
from precompute.reporter import Reporter, ReportProgress
from precompute.run.job import Job
from precompute.run.shards import Engine, Local

if TYPE_CHECKING:
    from numpy.typing import NDArray


Part = tuple[Mapping[str, object], Callable[[Path], list[str]]]
"""What a part of a stage is made from; and what, given the run's folder, writes files and returns their paths."""


def record_name(stage: str) -> str:
    """A stage's name in the store."""
    return stage.replace(" ", "_")


class Run(RunFolder):
    """What a stage is given; a stage is a function of it. It reads only files that earlier stages have recorded.

    Outside its ``make`` a stage reads no file: a plan of the run calls every stage and makes nothing.

    Parameters
    ----------
    versions : mapping
        By stage, the number that rises when its code gives another result.
    engine : Engine, optional
        Where films are decoded and embedded, which decides nothing of the result.
    """

    def __init__(
        self,
        job: Job,
        writer: RunWriter,
        reporter: Reporter,
        versions: Mapping[str, int],
        engine: Engine | None = None,
    ) -> None:
        self.job = job
        self.engine = engine or Local()
        self.versions = versions
        self.writer = writer
        self.reporter = reporter
        self.settings = job.settings
        self.paper = job.settings.protocol == "paper"
        self.recipes = job.recipes
        labels = job.source.labels
        regimes = tuple(recipe.record(self.settings) for recipe in self.recipes)
        decision = [
            SpaceRecord(name=r.decision_space, title=f"{r.title} logits", kind="decision", dim=len(labels))
            for r in regimes
        ]
        own = [recipe for recipe in self.recipes if recipe.own_encoder]
        self.encoders = (FROZEN, *(recipe.encoder for recipe in own))
        spaces = (  # the first one's map is where the others' start
            SpaceRecord(
                name=FROZEN,
                title="Imported vectors" if job.imported else "Frozen encoder",
                kind="embedding",
                dim=job.dim,
            ),
            *(
                SpaceRecord(
                    name=recipe.encoder,
                    title=f"{recipe.own_encoder[0].upper()}{recipe.own_encoder[1:]} encoder",
                    kind="embedding",
                    dim=job.dim,
                )
                for recipe in own
            ),
            *decision,
        )
        has_films = job.source.images is not None
        super().__init__(writer.folder, writer.run_id, labels, regimes, spaces, writer.artefacts, has_films=has_films)

    @property
    def tower(self) -> ImageTower:
        """The frozen encoder's."""
        return self.job.tower

    def stage(
        self, name: str, made_from: Mapping[str, object], make: Callable[[Path, ReportProgress], list[str]]
    ) -> bool:
        """Run one stage unless its result is there.

        Parameters
        ----------
        name : str
            As ``reporter.RUN`` has it.
        made_from : mapping
            All that decides the result: settings and the hashes of files read.
        make : callable
            Given the run's folder and a report of (done, total), writes files and returns their paths.

        Returns
        -------
        bool
            Whether the stage ran.
        """
        recorded = record_name(name)
        made_from = {**made_from, "code": self.versions[name]}
        with self.reporter.stage(name) as report:
            ran = self.writer.stage(recorded, made_from, lambda folder: make(folder, report))
            if not ran:
                origin = self.writer.taken.get(recorded)
                self.reporter.keep(f"taken from {origin}" if origin else "there already")
        return ran

    def stage_by_space(self, name: str, part: Callable[[SpaceRecord], Part]) -> None:
        """One stage in parts, a space each under its own key: made or taken, whatever became of the others.

        Parameters
        ----------
        name : str
            As ``reporter.RUN`` has it.
        part : callable
            What a space's part is made from, and what makes it; asked once the spaces before it are done.
        """
        with self.reporter.stage(name) as report:
            for i, space in enumerate(self.spaces):
                made_from, make = part(space)
                self.writer.stage(record_name(f"{name} {space.name}"), {**made_from, "code": self.versions[name]}, make)
                report(i + 1, len(self.spaces))

    # --- hashes, for what a stage is made from -----------------------------------------------------------------------

    def hashes(self, *files: str) -> dict[str, object]:
        return {file: self.writer.sha256(file) for file in files}

    def embedding_hashes(self) -> dict[str, object]:
        return self.hashes(*(layout.encoder_files(encoder).embeddings for encoder in self.encoders))

    def logit_hashes(self) -> dict[str, object]:
        return self.hashes(*(layout.regime_files(regime.name).logits for regime in self.regimes))

    def map_hashes(self) -> dict[str, object]:
        return self.hashes(*(layout.space_files(space.name).map for space in self.spaces))

    def film_hashes(self) -> dict[str, object]:
        """Of what decoding the films has told; empty where there are none."""
        return self.hashes(layout.FILMS) if self.has_films else {}

    # --- what only a run under way has -------------------------------------------------------------------------------

    @cached_property
    def decoded(self) -> dict[str, Any]:
        """The films that were kept, and those that were skipped."""
        if not self.has_films:
            return {"kept": [{"row": row} for row in range(len(self.job.source.frame))], "skipped": []}
        return self.read_json(layout.FILMS, schemas.AnyJson).model_dump()

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, S, S) uint8, memory-mapped."""
        size = self.tower.fit.size
        shape = len(self.decoded["kept"]), size, size
        return self.read_packed(layout.PIXELS).reshape(shape)

    @cached_property
    def frozen_config(self) -> TowerConfig:
        """The frozen encoder's, with the precision that it was found to bear."""
        return TowerConfig.model_validate_json(self.read_bytes(layout.encoder_files(FROZEN).config))

    def inputs(self, regime: RegimeRecord) -> NDArray[np.float32]:
        """(N, D) what the regime's head reads."""
        embeddings = self.embeddings(regime.encoder)
        if regime.unit:
            return embeddings
        return embeddings * self.norms(regime.encoder)[:, None]
