"""The manifest of a run: its records, its version, and how it is read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.subgroups import AGES
from explorer.data.saliency_map import MethodName
from explorer.data.samples import Split
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.checked import first_error

SCHEMA_MAJOR = 1
SCHEMA_VERSION = f"{SCHEMA_MAJOR}.6"
"""The minor rises when runs hold more, so that the same command makes a run that has it."""

LARGEST = 64 * 2**20
"""Bytes of a manifest: a hundred times what a run of a hundred seeds has."""

SpaceKind = Literal["embedding", "decision"]
RegimeKind = Literal["zero-shot", "probe", "adapted", "trained", "imported"]
"""Where a regime's head comes from: prompts alone; fitted anew on a frozen encoder; another regime's, changed little;
trained together with the encoder. Of an imported regime the logits alone are known."""
FROZEN = "frozen"
"""The encoder as it comes. Every run has it; prompts and the audit belong to it."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def _one_name(name: str) -> str:
    """Names become folders."""
    if not name.strip() or name in (".", "..") or re.search(r"[/\\]", name) or _UNPRINTABLE.search(name):
        raise ValueError(f"{name!r} is no name of a folder")
    return name


def _path_below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or _UNPRINTABLE.search(path):
        raise ValueError(f"{path!r} is a path outside the run")
    return path


def _without_nul(path: str) -> str:
    if "\0" in path:
        raise ValueError(f"{path!r} is no path")
    return path


Name = Annotated[str, AfterValidator(_one_name)]
Below = Annotated[str, AfterValidator(_path_below)]
Folder = Annotated[str, AfterValidator(_without_nul)]
Count = Annotated[int, Field(ge=0)]


def _ascending(rows: tuple[int, ...]) -> tuple[int, ...]:
    if any(a >= b for a, b in pairwise(rows)):
        raise ValueError("the rows do not ascend")
    return rows


class _Record(BaseModel):
    """Frozen, and tolerant of keys a newer minor version may add."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Artefact(_Record):
    """One file of the run. ``made_from`` holds the hashes of what the stage that wrote it had read."""

    path: Below
    sha256: str
    bytes: Count
    dtype: str | None = None
    shape: tuple[Count, ...] | None = None
    stage: str
    made_from: str


class Dataset(_Record):
    """Where the films came from. Where the run never had them, their ids stand for their bytes.

    ``fingerprint`` hashes the samples table and every film's bytes; ``content`` only the films' bytes and labels.
    So two runs that split the same films differently are known to be of the same films.
    """

    name: str
    licence: str
    source: str
    images: Folder = Field(description="folder of the films; absolute, or relative to the run; empty without films")
    fingerprint: str
    content: str = ""
    label_columns: tuple[str, ...]
    label_origin: str = Field(default="not recorded", description="labeller or table, and what uncertain became")
    n_read: Count
    n_skipped: Count
    split_origin: str


class EncoderRecord(_Record):
    id: Name
    title: str
    source: str = Field(description="local-dir:…, hf-hub:… or import:…, or the regime that trained it")
    licence: str
    weights_sha256: str = Field(description="of the file of vectors, where they were imported")
    dim: Annotated[int, Field(ge=1)]
    reads_text: bool = Field(default=True, description="whether the model it came with has a text tower")
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description="what it multiplied in")
    precision_origin: str = Field(default="", description="why so, in words; what bfloat16 was measured to change")


class RegimeRecord(_Record):
    """``embedding_space`` and ``decision_space`` name folders under spaces/; two regimes may share the first.

    Pages ask the record what a regime is; none knows a regime by its name.
    """

    name: Name
    title: str = Field(pattern=r"^[\w ,.()+-]{1,40}$", description="stands in every text and figure: no markup")
    kind: RegimeKind
    parent: Name | None = Field(default=None, description="the regime whose head it starts from")
    fitted_on: tuple[Split, ...] = Field(default=(), description="whose labels its head or encoder was fitted to")
    recipe: str = Field(default="", description="how it was fitted, in words; empty in runs of earlier versions")
    encoder: Name
    embedding_space: Name
    decision_space: Name
    unit: bool = Field(default=True, description="the head reads the unit-norm embedding; else embedding x norm")
    seeds: tuple[int, ...] = Field(default=(), description="the further seeds it was trained with")

    @property
    def from_prompts(self) -> bool:
        """Whether its head is made of prompts alone."""
        return self.kind == "zero-shot"

    @property
    def has_head(self) -> bool:
        """Whether the run knows how its logits follow from the embedding."""
        return self.kind != "imported"


class _ReadSettings(BaseModel):
    """The settings that pages read; a run of an earlier version lacks some."""

    model_config = ConfigDict(extra="ignore")

    protocol: str = "sound"
    macro_patients: int = ENOUGH
    age_cuts: Annotated[tuple[int, ...], Field(min_length=1)] = AGES


def _describe_former(manifest: object) -> object:
    """The regimes of a run before schema 1.6, whose records did not say what they are.

    Such runs have zero-shot first, then the probe on the same encoder, then the fine-tune. Under the paper's protocol
    the fine-tune starts from a new head.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("regimes"), list | tuple):
        return manifest
    records: list[Any] = list(manifest["regimes"])
    if not all(isinstance(record, dict) and "kind" not in record for record in records):
        return manifest
    settings = manifest.get("settings")
    paper = isinstance(settings, dict) and settings.get("protocol") == "paper"
    described: list[dict[str, Any]] = []
    probe = None
    for i, record in enumerate(records):
        own = record.get("encoder") != records[0].get("encoder")
        kind: RegimeKind = "trained" if own else "probe" if i else "zero-shot"
        parent = probe if own and not paper else None
        described.append({**record, "kind": kind, "parent": parent, "fitted_on": ["train"] if i else []})
        probe = record.get("name") if kind == "probe" else probe
    return {**manifest, "regimes": described}


class PromptSetRecord(_Record):
    """One set of zero-shot prompts. ``paired``: every label has negatives; else a logit is the scaled cosine."""

    name: Name
    title: str
    paired: bool


class SpaceRecord(_Record):
    name: Name
    title: str
    kind: SpaceKind
    dim: Annotated[int, Field(ge=1)]


Part = Literal["pixels", "reports", "weights"]
"""What a run may lack: films and thumbnails; reports and words of them; image towers."""


class Publication(_Record):
    """Of which run a store is a published copy, and what the copy leaves out."""

    run_id: Name
    manifest_sha256: str = Field(description="of the run's own manifest")
    left_out: tuple[Part, ...]


class Manifest(_Record):
    """The whole of manifest.json, whose parts agree with each other."""

    schema_version: str
    run_id: Name
    title: str
    created: str
    seed: int
    settings: dict[str, object]
    versions: dict[str, str]
    device: str
    seconds: dict[str, float] = Field(description="wall-clock seconds by stage, as measured in the run")
    dataset: Dataset
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)]
    encoders: Annotated[tuple[EncoderRecord, ...], Field(min_length=1)]
    regimes: Annotated[tuple[RegimeRecord, ...], Field(min_length=1)]
    prompt_sets: tuple[PromptSetRecord, ...] = Field(default=(), description="the zero-shot regime's own first")
    spaces: tuple[SpaceRecord, ...]
    artefacts: dict[str, Artefact]
    never_had: tuple[Part, ...] = Field(default=(), description="what a run of imported embeddings was made without")
    publication: Publication | None = Field(default=None, description="of a published copy only")

    def leaves_out(self, part: Part) -> bool:
        """Whether the run was made without a part, or this is a copy that was published without it."""
        return part in self.never_had or (self.publication is not None and part in self.publication.left_out)

    @property
    def protocol(self) -> str:
        """Whose settings split and trained it: ``sound`` or ``paper``."""
        return self._read.protocol

    @property
    def macro_patients(self) -> int:
        """Positive and negative patients that a label needs to count in the mean over labels."""
        return self._read.macro_patients

    @property
    def age_cuts(self) -> tuple[int, ...]:
        """The years at which a band of ages begins, in tables of subgroups."""
        return self._read.age_cuts

    @property
    def _read(self) -> _ReadSettings:
        return _ReadSettings.model_validate(self.settings)

    @model_validator(mode="after")
    def _check_settings(self) -> Manifest:
        """Those that pages read are of their kind; the others are only shown."""
        _ = self._read
        return self

    @model_validator(mode="before")
    @classmethod
    def _former(cls, manifest: object) -> object:
        return _describe_former(manifest)

    @model_validator(mode="after")
    def _check_names(self) -> Manifest:
        """Every name once, and of something that is there."""
        encoders = {record.id: record.dim for record in self.encoders}
        spaces = {record.name: record for record in self.spaces}
        for what, names, listed in (
            ("label", set(self.labels), self.labels),
            ("encoder", set(encoders), self.encoders),
            ("regime", {record.name for record in self.regimes}, self.regimes),
            ("space", set(spaces), self.spaces),
            ("prompt set", {record.name for record in self.prompt_sets}, self.prompt_sets),
        ):
            if len(names) != len(listed):
                raise ValueError(f"two of one name: {what}")
        for i, regime in enumerate(self.regimes):
            if regime.parent is not None and regime.parent not in {record.name for record in self.regimes[:i]}:
                raise ValueError(f"no regime before {regime.name} is named {regime.parent}")
            embedding, decision = spaces.get(regime.embedding_space), spaces.get(regime.decision_space)
            if regime.encoder not in encoders or embedding is None or decision is None:
                raise ValueError(f"the encoder or a space of {regime.name} is not listed")
            if (embedding.kind, embedding.dim) != ("embedding", encoders[regime.encoder]):
                raise ValueError(f"{embedding.name} is no space of the encoder {regime.encoder}")
            if (decision.kind, decision.dim) != ("decision", len(self.labels)):
                raise ValueError(f"{decision.name} is no space of {len(self.labels)} labels")
        return self

    @model_validator(mode="after")
    def _check_files(self) -> Manifest:
        """Every file under its own path; the arrays of all films as long as the run."""
        for path, artefact in self.artefacts.items():
            if path != artefact.path:
                raise ValueError(f"{path!r} is listed as {artefact.path!r}")
        for regime in self.regimes:
            logits = self.artefacts.get(layout.regime_files(regime.name).logits)
            if logits is not None and logits.shape != (self.n, len(self.labels)):
                raise ValueError(f"{logits.path} is not of {self.n:,} films and {len(self.labels)} labels")
        return self


class SaliencyRecord(_Record):
    """The whole of saliency.json. ``block`` counts from 1; ``shares`` are thresholds by source and label, from val."""

    run_id: str
    run_created: str
    method: MethodName
    block: int
    split: Split
    labels: tuple[str, ...]
    shares: dict[str, dict[str, float]]
    n_annotated: int = Field(description="pairs of film and label in the split that have a region readers marked")
    n_absent: int = Field(
        default=0, description="pairs readers looked at, of which at most a minority marked one place"
    )
    checks: int = Field(default=1, description="version of the sanity checks; the first has no occlusion")
    sample: dict[str, Annotated[tuple[Count, ...], AfterValidator(_ascending)]] = Field(
        default={}, description="by split, the rows with maps, ascending; a split that is not named has all its films"
    )
    sha256: dict[str, str] = Field(description="of every file of the folder, by its relative path")


_FIX = "Copy the run again, or run precompute again."


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
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", _FIX) from error
    try:
        raw = from_json(data)
    except ValueError as error:
        raise UserError(f"{file} is damaged: {error}.", _FIX) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if not isinstance(version, str):
        raise UserError(f"{file} is damaged: it names no schema version.", _FIX)
    if version.split(".")[0] != str(SCHEMA_MAJOR):
        raise UserError(
            f"{file} is of schema version {version}; this explorer reads version {SCHEMA_MAJOR}.",
            "Run precompute again with this version, or open it with the version that made it.",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{file} is damaged: {first_error(error)}.", _FIX) from error
