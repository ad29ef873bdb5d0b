"""What is to be run, and the name that follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from explorer.data.geometry import Fit
from explorer.model.encoder import Clip, Encoder, ImageTower
from explorer.store.files import sha256_file, sha256_json
from explorer.store.manifest import SCHEMA_VERSION
from precompute.prompts import PromptSet
from precompute.run.films import film_versions
from precompute.run.imported import Imported
from precompute.run.recipe import Recipe
from precompute.settings import Settings
from precompute.sources.table import Source


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    source: Source
    encoder: Encoder | Imported
    recipes: tuple[Recipe, ...]
    prompt_sets: tuple[PromptSet, ...]
    settings: Settings
    skip_bad: bool
    allow_empty: bool
    allow_burned_in: bool = False

    @cached_property
    def identity(self) -> dict[str, object]:
        """All that decides the result, besides the code."""
        return {
            "schema": SCHEMA_VERSION,
            "csv": self.source.sha256,
            "label_origin": self.source.label_origin,
            "images": self.images_folder,
            "labels": self.source.labels,
            **self._encoder_identity,
            "regimes": [recipe.name for recipe in self.recipes],
            "prompts": [asdict(prompt_set) for prompt_set in self.prompt_sets],
            "settings": self.settings.model_dump(),
            "skip_bad": self.skip_bad,
            "allow_burned_in": self.allow_burned_in,
            "allow_empty": self.allow_empty,
        }

    @property
    def imported(self) -> Imported | None:
        """The embeddings, where they were made elsewhere."""
        return self.encoder if isinstance(self.encoder, Imported) else None

    @property
    def model(self) -> Encoder:
        """The encoder, which no stage or recipe of an import asks for."""
        if isinstance(self.encoder, Imported):
            raise TypeError("an import has no model")
        return self.encoder

    @property
    def tower(self) -> ImageTower:
        """The encoder's image tower."""
        return self.model.tower

    @property
    def clip(self) -> Clip:
        """The encoder of a job with a regime that reads text: :meth:`Recipe.check` has seen its text tower."""
        assert isinstance(self.model, Clip)
        return self.model

    @property
    def _encoder_identity(self) -> dict[str, object]:
        if self.imported is not None:
            return {"imported": self.imported.identity}
        return {"weights": self.weights_sha256, "tower": self.tower.config.model_dump()}

    @property
    def dim(self) -> int:
        """How many numbers an embedding has."""
        return self.tower.dim if self.imported is None else self.imported.dim

    @property
    def fit(self) -> Fit | None:
        """How films become what the model sees; None where there is no model."""
        return None if self.imported else self.tower.fit

    @cached_property
    def weights_sha256(self) -> str:
        """Of what makes the embeddings: weights, or a file of vectors."""
        return sha256_file(self.model.weights) if self.imported is None else self.imported.sha256

    @property
    def images_folder(self) -> str:
        """The folder of the films; empty where there are none."""
        return "" if self.source.images is None else str(self.source.images.resolve())

    @cached_property
    def film_versions(self) -> list[tuple[int, int] | None]:
        """As :func:`film_versions` has it, asked of the disk once."""
        return film_versions(Path(self.images_folder), self.source.frame["image"])

    def run_id(self, versions: Mapping[str, int]) -> str:
        """The run's name: the same command resumes or finds it, unless a stage's number in ``versions`` has risen."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.source.name.lower()).strip("-") or "run"
        paper = "-paper" if self.settings.protocol == "paper" else ""  # so that two runs of one set are told apart
        return f"{slug[:40]}{paper}-{sha256_json({**self.identity, 'code': versions})[:8]}"
