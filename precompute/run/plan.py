"""What a run would do: each stage, whether it runs and why, and about how long that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from explorer.errors import UserError
from explorer.store import layout, list_runs
from explorer.store.manifest import read_manifest
from explorer.store.writer import RunWriter, StageRecord, donor_name, hashed, read_record
from precompute.run.job import Job
from precompute.run.run import record_name

_UNMADE = "not made yet"
"""In place of the hash of a file whose stage has to run."""
_NAMED = 4
"""Inputs that a line names."""


class PlannedStage(NamedTuple):
    """A stage of a plan.

    Attributes
    ----------
    name : str
        As the store has it.
    origin : str
        Where its result is: "here", or a donor in words; empty where it runs.
    reason : str
        Why it runs.
    """

    name: str
    origin: str
    reason: str


class Planner(RunWriter):
    """A writer that writes nothing and notes what a writer would do. It takes a file of the right size to be whole."""

    def __init__(self, root: Path, run_id: str) -> None:
        super().__init__(root, run_id)
        self.stages: list[PlannedStage] = []
        self.linked_bytes = 0

    def sha256(self, path: str) -> str:
        return self.artefacts[path].sha256 if path in self.artefacts else _UNMADE

    def stage(self, name: str, made_from: Mapping[str, object], make: Callable[[Path], list[str]]) -> bool:
        inputs = hashed(made_from)
        reasons: list[tuple[int, str]] = []
        for folder in dict.fromkeys([self.folder, *layout.stage_folders(self.root, name)]):
            record = read_record(folder, name)
            if record is None:
                continue
            donor = "this run" if folder == self.folder else donor_name(self.root, folder)
            changed = record.differs_in(inputs)
            if not changed and _whole(folder, record):
                self.artefacts |= record.artefacts
                if folder != self.folder:
                    self.linked_bytes += sum(artefact.bytes for artefact in record.artefacts.values())
                self.stages.append(PlannedStage(name, "here" if folder == self.folder else donor, ""))
                return False
            new = [source for source in changed if made_from.get(source) != _UNMADE]
            reasons.append((len(new), _reason(donor, changed, new)))
        self.stages.append(PlannedStage(name, "", min(reasons)[1] if reasons else "the store has none"))
        return False

    @property
    def runs(self) -> set[str]:
        """The stages that have to run."""
        return {stage.name for stage in self.stages if not stage.origin}


def _whole(folder: Path, record: StageRecord) -> bool:
    files = [(folder / path, artefact.bytes) for path, artefact in record.artefacts.items()]
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def _reason(donor: str, changed: list[str], new: list[str]) -> str:
    if not changed:
        return f"files of {donor} are missing or damaged"
    if not new:
        return "what it is made from is made again"
    return f"{donor} has other {', '.join(new[:_NAMED])}{', …' if len(new) > _NAMED else ''}"


def as_lines(planner: Planner, job: Job) -> list[str]:
    """The plan, a line for each stage, and the seconds of all that run, where each is known.

    A stage that is made from the result of one that runs counts as running; where that result comes out as before, the
    run takes it. Seconds are an estimate: what the stage took for each film in the newest run with the same encoder.
    """
    rates = _seconds_per_film(planner.root, job)
    seconds = {name: _estimate(name, rates, job) for name in planner.runs}
    lines = []
    width = max(len(stage.name) for stage in planner.stages) + 2
    for stage in planner.stages:
        expected = seconds.get(stage.name)
        time = "" if expected is None else f"; about {expected:,.0f} s, an estimate"
        does = f"runs: {stage.reason}{time}"
        if stage.origin:
            does = "here" if stage.origin == "here" else f"taken from {stage.origin}"
        lines.append(f"{stage.name.replace('_', ' '):<{width}}{does}")
    known = [value for value in seconds.values() if value is not None]
    lines.append(f"Up to {len(seconds)} of {len(planner.stages)} stages run.")
    if known and len(known) == len(seconds):
        lines[-1] += f" They take about {sum(known):,.0f} s by the rates of an earlier run, an estimate."
    return lines


def _estimate(name: str, rates: Mapping[str, float], job: Job) -> float | None:
    trained = {record_name(recipe.stage): recipe for recipe in job.recipes if recipe.own_encoder}
    seeds = {f"_{recipe.name}": record_name(recipe.stage) for recipe in job.recipes}
    if name.startswith("seed_"):
        name = next(stage for end, stage in seeds.items() if name.endswith(end))
    rate = rates.get(name)
    return None if rate is None else rate * len(job.source.frame) * (job.settings.epochs if name in trained else 1)


def _seconds_per_film(root: Path, job: Job) -> dict[str, float]:
    """By stage, of the newest run with the same encoder; a training's for each film and epoch."""
    for run_id in list_runs(root):
        try:
            manifest = read_manifest(layout.run_folder(root, run_id))
        except UserError:  # a run that does not open says nothing
            continue
        if manifest.encoders[0].weights_sha256 == job.weights_sha256:
            rates = {name: seconds / manifest.n for name, seconds in manifest.seconds.items()}
            for stage in {record_name(recipe.stage) for recipe in job.recipes if recipe.own_encoder} & set(rates):
                rates[stage] /= int(str(manifest.settings["epochs"]))
            return rates
    return {}
