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
            label: Prompts(_fill(section["positive"], label), _fill(section["negative"], label))
            for label, section in chosen.items()
        }
    except (ValueError, KeyError, TypeError, OSError) as error:  # TOML's and UTF-8's errors are ValueErrors
        raise UserError(
            f"The prompt file {file} cannot be used: {error!r}",
            "Give it a [default] section with lists named positive and negative, as in precompute/prompts.toml.",
        ) from error


def _fill(texts: object, label: str) -> tuple[str, ...]:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{label}: {texts!r} is no list of sentences")
    return tuple(text.replace("{}", words(label)) for text in texts)
