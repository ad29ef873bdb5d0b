"""The prompt file: a label's positive and negative sentences."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import UserError

DEFAULT_PROMPTS = Path(__file__).with_name("prompts.toml")


@dataclass(frozen=True)
class Prompts:
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def words(label: str) -> str:
    """A label as it stands in a sentence.

    Examples
    --------
    >>> words("Pleural_Thickening")
    'pleural thickening'
    """
    return label.replace("_", " ").lower()


def read_prompts(file: Path, labels: Sequence[str]) -> dict[str, Prompts]:
    """Each label's prompts: its own section of the file, or the default one with the label's words filled in."""
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8"))
        chosen = {label: sections.get(label, sections["default"]) for label in labels}
        return {
            label: Prompts(
                positive=tuple(text.replace("{}", words(label)) for text in section["positive"]),
                negative=tuple(text.replace("{}", words(label)) for text in section["negative"]),
            )
            for label, section in chosen.items()
        }
    except (tomllib.TOMLDecodeError, KeyError, OSError) as error:
        raise UserError(
            f"The prompt file {file} cannot be used: {error!r}",
            "Give it a [default] section with lists named positive and negative, as in precompute/prompts.toml.",
        ) from error
