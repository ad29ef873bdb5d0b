"""A run under way: its job, its files, and what earlier stages left for later ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.analysis.neighbours import decision_vectors
from explorer.store.schema import RegimeRecord, SpaceRecord
from explorer.store.writer import RunWriter
from precompute.reporter import Report, Reporter
from precompute.run.job import Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENCODERS = ("frozen", "fine_tune")
REGIMES = (
    RegimeRecord(
        name="zero_shot",
        title="Zero-shot",
        encoder="frozen",
        embedding_space="frozen",
        decision_space="zero_shot-decision",
    ),
    RegimeRecord(
        name="linear_probe",
        title="Linear probe",
        encoder="frozen",
        embedding_space="frozen",
        decision_space="linear_probe-decision",
    ),
    RegimeRecord(
        name="fine_tune",
        title="Full fine-tune",
        encoder="fine_tune",
        embedding_space="fine_tune",
        decision_space="fine_tune-decision",
    ),
)


class Run:
    """What a stage is given; a stage is a function of it."""

    def __init__(self, job: Job, writer: RunWriter, reporter: Reporter) -> None:
        self.job = job
        self.writer = writer
        self.reporter = reporter
        self.tower = job.clip.tower
        self.settings = job.settings
        self.labels = job.source.labels
        self.paper = job.settings.protocol == "paper"
        seeds = tuple(range(self.settings.seed + 1, self.settings.seed + self.settings.seeds))
        changed = {
            # the sound probe is the one minimum of its objective: no seed could change it
            "linear_probe": {"unit": not self.paper, "seeds": seeds if self.paper else ()},
            "fine_tune": {"unit": not self.paper, "seeds": seeds},
        }
        self.regimes = tuple(record.model_copy(update=changed.get(record.name, {})) for record in REGIMES)

    def stage(self, name: str, made_from: Mapping[str, object], make: Callable[[Path, Report], list[str]]) -> None:
        """Run one stage unless its result is there.

        Parameters
        ----------
        name : str
            As ``reporter.RUN`` has it.
        made_from : mapping
            All that decides the result: settings and the hashes of files read.
        make : callable
            Given the run's folder and whom to tell (done, total), writes files and returns their paths.
        """
        with self.reporter.stage(name) as report:
            self.writer.stage(name.replace(" ", "_"), made_from, lambda folder: make(folder, report))

    # --- hashes, for what a stage is made from -----------------------------------------------------------------------

    def hashes(self, *files: str) -> dict[str, object]:
        return {file: self.writer.sha256(file) for file in files}

    def embedding_hashes(self) -> dict[str, object]:
        return {encoder: self.writer.sha256(f"encoders/{encoder}/embeddings.npy") for encoder in ENCODERS}

    def logit_hashes(self) -> dict[str, object]:
        return {regime.name: self.writer.sha256(f"regimes/{regime.name}/logits.npy") for regime in self.regimes}

    def map_hashes(self) -> dict[str, object]:
        return {space.name: self.writer.sha256(f"spaces/{space.name}/map.npy") for space in self.spaces}

    # --- the films ---------------------------------------------------------------------------------------------------

    @cached_property
    def decoded(self) -> dict[str, Any]:
        """What the film pass kept and skipped."""
        value: dict[str, Any] = json.loads((self.writer.scratch / "films.json").read_text(encoding="utf-8"))
        return value

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, S, S) uint8, memory-mapped."""
        size = self.tower.fit.size
        return np.memmap(
            self.writer.scratch / "pixels.bin", dtype=np.uint8, mode="r", shape=(len(self.decoded["kept"]), size, size)
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The samples."""
        return pd.read_parquet(self.writer.folder / "samples.parquet")

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """(N, C) 1, 0 or NaN."""
        return self.frame[list(self.labels)].astype("Float32").to_numpy(dtype=np.float32, na_value=np.nan)

    @cached_property
    def patients(self) -> NDArray[np.int64]:
        """(N,) an integer code for each row's patient."""
        return pd.factorize(self.frame["patient_id"])[0]

    def rows(self, split: str) -> NDArray[np.int64]:
        return np.flatnonzero(self.frame["split"].to_numpy() == split)

    # --- what encoders and heads made of them ------------------------------------------------------------------------

    def embeddings(self, encoder: str) -> NDArray[np.float32]:
        """(N, D) unit norm."""
        array: NDArray[np.float32] = np.load(self.writer.folder / f"encoders/{encoder}/embeddings.npy", mmap_mode="r")
        return array

    def inputs(self, regime: RegimeRecord) -> NDArray[np.float32]:
        """(N, D) what the regime's head reads."""
        embeddings = self.embeddings(regime.encoder)
        if regime.unit:
            return embeddings
        norms: NDArray[np.float32] = np.load(self.writer.folder / f"encoders/{regime.encoder}/norms.npy")
        return embeddings * norms[:, None]

    def logits(self, regime: str) -> NDArray[np.float32]:
        """(N, C)."""
        array: NDArray[np.float32] = np.load(self.writer.folder / f"regimes/{regime}/logits.npy")
        return array

    @cached_property
    def spaces(self) -> tuple[SpaceRecord, ...]:
        """Every space; the first one's map is where the others' start."""
        decision = [
            SpaceRecord(name=r.decision_space, title=f"{r.title} logits", kind="decision", dim=len(self.labels))
            for r in self.regimes
        ]
        return (
            SpaceRecord(name="frozen", title="Frozen encoder", kind="embedding", dim=self.tower.dim),
            SpaceRecord(name="fine_tune", title="Fine-tuned encoder", kind="embedding", dim=self.tower.dim),
            *decision,
        )

    def vectors(self, space: SpaceRecord) -> NDArray[np.float32]:
        """(N, dim) unit norm."""
        if space.kind == "embedding":
            return np.asarray(self.embeddings(space.name))
        logits = self.logits(next(r.name for r in self.regimes if r.decision_space == space.name))
        return decision_vectors(logits, logits)
