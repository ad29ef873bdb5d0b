"""The manifest of a run: its records, its version, and how it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from explorer.data.saliency_map import MethodName
from explorer.errors import UserError
from explorer.store import layout

SCHEMA_MAJOR = 1
SCHEMA_VERSION = f"{SCHEMA_MAJOR}.5"
"""The minor rises when runs hold more, so that the same command makes a run that has it."""

SpaceKind = Literal["embedding", "decision"]


class _Record(BaseModel):
    """Frozen, and tolerant of keys a newer minor version may add."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Artefact(_Record):
    """One file of the run. ``made_from`` holds the hashes of what the stage that wrote it had read."""

    path: str
    sha256: str
    bytes: int
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    stage: str
    made_from: str


class Dataset(_Record):
    """Where the films came from.

    ``fingerprint`` hashes the samples table and every film's bytes; ``content`` only the films' bytes and labels.
    So two runs that split the same films differently are known to be of the same films.
    """

    name: str
    licence: str
    source: str
    images: str = Field(description="folder of the films; absolute, or relative to the run")
    fingerprint: str
    content: str = ""
    label_columns: tuple[str, ...]
    label_origin: str = Field(default="not recorded", description="labeller or table, and what uncertain became")
    n_read: int
    n_skipped: int
    split_origin: str


class EncoderRecord(_Record):
    id: str
    title: str
    source: str = Field(description="local-dir:… or hf-hub:…, or the regime that trained it")
    licence: str
    weights_sha256: str
    dim: int


class RegimeRecord(_Record):
    """``embedding_space`` and ``decision_space`` name folders under spaces/; two regimes may share the first."""

    name: str
    title: str
    encoder: str
    embedding_space: str
    decision_space: str
    unit: bool = Field(default=True, description="the head reads the unit-norm embedding; else embedding x norm")
    seeds: tuple[int, ...] = Field(default=(), description="the further seeds it was trained with")


class PromptSetRecord(_Record):
    """One set of zero-shot prompts. ``paired``: every label has negatives; else a logit is the scaled cosine."""

    name: str
    title: str
    paired: bool


class SpaceRecord(_Record):
    name: str
    title: str
    kind: SpaceKind
    dim: int


class Manifest(_Record):
    """The whole of manifest.json."""

    schema_version: str
    run_id: str
    title: str
    created: str
    seed: int
    settings: dict[str, object]
    versions: dict[str, str]
    device: str
    seconds: dict[str, float] = Field(description="wall-clock seconds by stage, as measured in the run")
    dataset: Dataset
    labels: tuple[str, ...]
    n: int
    encoders: tuple[EncoderRecord, ...]
    regimes: tuple[RegimeRecord, ...]
    prompt_sets: tuple[PromptSetRecord, ...] = Field(default=(), description="the zero-shot regime's own first")
    spaces: tuple[SpaceRecord, ...]
    artefacts: dict[str, Artefact]

    @property
    def protocol(self) -> str:
        """Whose settings split and trained it: ``sound`` or ``paper``."""
        return str(self.settings.get("protocol", "sound"))


class SaliencyRecord(_Record):
    """The whole of saliency.json. ``block`` counts from 1; ``shares`` are thresholds by source and label, from val."""

    run_id: str
    run_created: str
    method: MethodName
    block: int
    split: str
    labels: tuple[str, ...]
    shares: dict[str, dict[str, float]]
    n_annotated: int = Field(description="pairs of film and label in the split that have a region readers marked")
    n_absent: int = Field(
        default=0, description="pairs readers looked at, of which at most a minority marked one place"
    )
    sha256: dict[str, str] = Field(description="of every file of the folder, by its relative path")


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a complete run's folder.

    Raises
    ------
    UserError
        Where there is none, it is damaged, or it has another major version.
    """
    file = path / layout.MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path} is not a complete run: it has no {layout.MANIFEST}.", "Run precompute again to finish it."
        )
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        version = str(raw["schema_version"])
        if version.split(".")[0] != str(SCHEMA_MAJOR):
            raise UserError(
                f"{file} is of schema version {version}; this explorer reads version {SCHEMA_MAJOR}.",
                "Run precompute again with this version, or open it with the version that made it.",
            )
        return Manifest.model_validate(raw)
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {error}", "Copy the run again, or run precompute again.") from error
