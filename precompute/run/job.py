"""What is to be run, and the name that follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from explorer.model.encoder import Clip, Encoder
from explorer.store.files import sha256_file, sha256_json
from explorer.store.manifest import SCHEMA_VERSION
from precompute.prompts import PromptSet
from precompute.run.films import film_versions
from precompute.run.recipe import Recipe
from precompute.settings import Settings
from precompute.sources.table import Source


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    source: Source
    encoder: Encoder
    recipes: tuple[Recipe, ...]
    prompt_sets: tuple[PromptSet, ...]
    settings: Settings
    skip_bad: bool
    allow_empty: bool
    allow_burned_in: bool = False

    @property
    def clip(self) -> Clip:
        """The encoder of a job with a regime that reads text: :meth:`Recipe.check` has seen its text tower."""
        assert isinstance(self.encoder, Clip)
        return self.encoder

    @cached_property
    def identity(self) -> dict[str, object]:
        """All that decides the result, besides the code."""
        return {
            "schema": SCHEMA_VERSION,
            "csv": self.source.sha256,
            "label_origin": self.source.label_origin,
            "images": str(self.source.images.resolve()),
            "labels": self.source.labels,
            "weights": self.weights_sha256,
            "tower": self.encoder.tower.config.model_dump(),
            "regimes": [recipe.name for recipe in self.recipes],
            "prompts": [asdict(prompt_set) for prompt_set in self.prompt_sets],
            "settings": self.settings.model_dump(),
            "skip_bad": self.skip_bad,
            "allow_burned_in": self.allow_burned_in,
            "allow_empty": self.allow_empty,
        }

    @cached_property
    def weights_sha256(self) -> str:
        return sha256_file(self.encoder.weights)

    @cached_property
    def film_versions(self) -> list[tuple[int, int] | None]:
        """As :func:`film_versions` has it, asked of the disk once."""
        return film_versions(self.source.images, self.source.frame["image"])

    def run_id(self, versions: Mapping[str, int]) -> str:
        """The run's name: the same command resumes or finds it, unless a stage's number in ``versions`` has risen."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.source.name.lower()).strip("-") or "run"
        paper = "-paper" if self.settings.protocol == "paper" else ""  # so that two runs of one set are told apart
        return f"{slug[:40]}{paper}-{sha256_json({**self.identity, 'code': versions})[:8]}"
