"""What is to be run, and the name that follows from it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property

import explorer
from explorer.model.encoder import Clip
from explorer.store.files import sha256_file, sha256_json
from explorer.store.manifest import SCHEMA_VERSION
from precompute.prompts import PromptSet
from precompute.settings import Settings
from precompute.sources.table import Source


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    source: Source
    clip: Clip
    prompt_sets: tuple[PromptSet, ...]
    settings: Settings
    skip_bad: bool
    allow_empty: bool
    allow_burned_in: bool = False

    @cached_property
    def identity(self) -> dict[str, object]:
        """All that decides the result; its hash names the run, so that the same command resumes or finds it."""
        return {
            "schema": SCHEMA_VERSION,
            "code": explorer.__version__,
            "csv": self.source.sha256,
            "label_origin": self.source.label_origin,
            "images": str(self.source.images.resolve()),
            "labels": self.source.labels,
            "weights": self.weights_sha256,
            "tower": self.clip.tower.config.model_dump(),
            "prompts": [asdict(prompt_set) for prompt_set in self.prompt_sets],
            "settings": self.settings.model_dump(),
            "skip_bad": self.skip_bad,
            "allow_burned_in": self.allow_burned_in,
            "allow_empty": self.allow_empty,
        }

    @cached_property
    def weights_sha256(self) -> str:
        return sha256_file(self.clip.weights)

    @property
    def run_id(self) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", self.source.name.lower()).strip("-") or "run"
        paper = "-paper" if self.settings.protocol == "paper" else ""  # so that two runs of one set are told apart
        return f"{slug[:40]}{paper}-{sha256_json(self.identity)[:8]}"
