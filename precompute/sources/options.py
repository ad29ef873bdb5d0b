"""The options of sources: each reader takes a model of its own whole, so that a misspelt option is a type error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from explorer.data.labels import Uncertain

Views = Literal["frontal", "all"]

RootFolder = Annotated[Path, Field(description="The folder of the set.")]
ImageFolder = Annotated[Path | None, Field(description="The folder of films, where it is not the download's own.")]
UncertainPolicy = Annotated[Uncertain, Field(description="What -1 becomes: unknown (by default), 0 or 1.")]
ViewChoice = Annotated[Views, Field(description="Frontal films (by default) or all.")]


class SourceOptions(BaseModel):
    """What a source is told on the command line: field ``skip_bad`` would be option ``--skip-bad``.

    A field's description is the option's help. A field that is not here is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def flag(option: str) -> str:
    """An option as it is written on the command line.

    Examples
    --------
    >>> flag("learning_rate")
    '--learning-rate'
    """
    return f"--{option.replace('_', '-')}"
