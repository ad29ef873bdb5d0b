"""Prompt sets: files with each label's positive and negative sentences."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import UserError

PROMPT_SETS = Path(__file__).with_name("prompt_sets")
DEFAULT_PROMPTS = PROMPT_SETS / "pairs.toml"
BARE_NAMES = PROMPT_SETS / "names.toml"
"""The paper's prompts: each label's name, and nothing beside it."""


@dataclass(frozen=True)
class Prompts:
    """One label's sentences; without negative ones the logit is the scaled cosine to the positive alone."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclass(frozen=True)
class PromptSet:
    """A file of prompts: ``name`` is the file's, ``title`` what it says of itself."""

    name: str
    title: str
    labels: dict[str, Prompts]


def words(label: str) -> str:
    """A label as it stands in a sentence.

    Examples
    --------
    >>> words("Pleural_Thickening")
    'pleural thickening'
    """
    return label.replace("_", " ").lower()


def read_prompt_sets(labels: Sequence[str], own: Path | None = None) -> tuple[PromptSet, ...]:
    """The zero-shot regime's own set first (the user's, else the pairs), then all others that come with the project."""
    chosen = own or DEFAULT_PROMPTS
    others = sorted(file for file in PROMPT_SETS.glob("*.toml") if file.stem != chosen.stem)
    return tuple(read_prompts(file, labels) for file in (chosen, *others))


def read_prompts(file: Path, labels: Sequence[str]) -> PromptSet:
    """Each label's prompts: its own section of the file, or the default one with the label's words filled in."""
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8"))
        chosen = {label: sections.get(label, sections["default"]) for label in labels}
        prompts = {
            label: Prompts(
                _fill(section["positive"], label), _fill(section["negative"], label) if "negative" in section else ()
            )
            for label, section in chosen.items()
        }
        return PromptSet(file.stem, str(sections.get("title", file.stem)), prompts)
    except (ValueError, KeyError, TypeError, OSError) as error:  # TOML's and UTF-8's errors are ValueErrors
        raise UserError(
            f"The prompt file {file} cannot be used: {error!r}",
            "Give it a [default] section with a list named positive and, for pairs, one named negative, as in "
            "precompute/prompt_sets/pairs.toml.",
        ) from error


def _fill(texts: object, label: str) -> tuple[str, ...]:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{label}: {texts!r} is no list of sentences")
    return tuple(text.replace("{}", words(label)) for text in texts)
